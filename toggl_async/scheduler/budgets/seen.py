"""What a holder knows about an account without asking its store, and a step on its way there."""

import math
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from toggl_async.scheduler.budgets import Step
from toggl_async.scheduler.core import alone
from toggl_async.scheduler.core.limits import NEVER, SECOND, Limits
from toggl_async.scheduler.core.memory import Lesson, Memories
from toggl_async.scheduler.core.waiters import Wake

__all__ = ["Closed", "Passed", "Seen"]

T = TypeVar("T")

_SLOW: Final = SECOND // 10
"""An answer that took longer may be that of a store that hung."""
_HUNG: Final = SECOND * 9 // 10
"""How long nobody has been served, at least, if somebody has gone on alone meanwhile."""


class Closed(msgspec.Struct, frozen=True):
    """The result of a step that was not run, because this process goes on alone for a while.

    Attributes:
        left: microseconds until the store opens.
        forgot: whether that is because it lost what it knew.
    """

    left: int
    forgot: bool


class Seen:
    """What a holder knows of an account without asking the store."""

    __slots__ = (
        "ahead",
        "before",
        "departed",
        "highest",
        "interval",
        "lessons",
        "limits",
        "lost_at",
        "memories",
        "newer",
        "opens_at",
        "round",
        "used_at",
    )

    def __init__(self, now: int) -> None:
        self.limits: Limits | None = None
        """As they were last seen; while alone, as this process keeps them."""
        self.ahead: int = 0
        """How far their time is ahead of the loop's."""
        self.before: int = NEVER
        """The last slot but one, as the store reported it; `NEVER` if it didn't."""
        self.highest: int = 0
        """The highest number of a turn that was seen."""
        self.departed: int | None = None
        """The slot of this process's latest turn."""
        self.interval: int | None = None
        self.round: alone.Round | None = None
        """This process's places while it is alone; None while it uses the store."""
        self.lost_at: int = 0
        """When the store was lost, by the loop's clock."""
        self.opens_at: int | None = None
        """When the store that is back opens, by the loop's clock; None while it has to be asked."""
        self.newer: bool = False
        """Whether a newer version keeps the limits of this account."""
        self.memories: Memories = Memories()
        self.lessons: list[Lesson] = []
        """What was learned while alone; the store gets it with the next transaction."""
        self.used_at: int = now

    def next_place(self, now: int) -> float:
        """Return this process's next place while it is alone, by the loop's clock; else infinity."""
        limits, places = self.limits, self.round
        if limits is None or places is None:
            return math.inf
        return self._next_place(places, limits, now, self.interval or 0)

    def next_place_in(self, limits: Limits, step: Step[object], name: str, now: int) -> float:
        """Return this process's next place by the limits seen last; infinity if it has none."""
        time = now + self.ahead
        interval = alone.interval_by(step, limits.added, time, name)
        places = alone.places_in(limits, name, self.departed)
        if not interval or places.anchor is None or not alone.is_on_its_way(places, time, interval):
            return math.inf
        return max(places.anchor - self.ahead, self._next_place(places, limits, now, interval))

    def _next_place(self, places: alone.Round, limits: Limits, now: int, interval: int) -> float:
        return alone.place_after(places, limits, now + self.ahead, interval) - self.ahead


class Passed(Generic[T]):
    """A step on its way to the store, with the checks that come before it.

    It may run twice, so it only records what it finds. `SharedHolder` acts on that once the store has
    answered.
    """

    __slots__ = ("_began", "_name", "_read", "_seen", "_step", "ahead", "lessons", "limits")

    def __init__(self, name: str, seen: Seen, step: Step[T], began: int, read: Callable[[], int]) -> None:
        self._name = name
        self._seen = seen
        self._step = step
        self._began = began
        self._read = read
        self.lessons: list[Lesson] = seen.lessons.copy()
        """What was learned while alone, and is reported now."""
        self.limits: Limits
        self.ahead: int = 0
        """How far the time of the limits is ahead of the loop's."""

    def __call__(self, limits: Limits, now: int) -> tuple[Limits, T | Closed, Sequence[Wake]]:
        """Run the step, unless processes that are alone have to stay so for a while."""
        seen, clock = self._seen, self._read()
        time = max(now + limits.skew, limits.at)
        self.ahead = time - clock
        unserved = time - limits.at
        if seen.round is not None:
            hung = seen.opens_at is None and unserved >= clock - seen.lost_at - _SLOW
        else:
            # A process whose place came before, and that was not served, may be alone by now.
            hung = (
                unserved > _HUNG
                and clock - self._began > _SLOW
                and any(
                    waiter.wakes < time - _HUNG and name != self._name
                    for name, waiter in limits.waiters.items()
                )
            )
        known = seen.limits
        forgot = known is not None and alone.forgot(limits, seen.before, time)
        # Somebody may have closed it since this process was served, and once is enough.
        served = time if known is None else known.at + self.ahead - seen.ahead
        if (hung or forgot) and limits.closed <= min(served, time):
            limits.closed = time + alone.CLOSED
        another = seen.round is not None or alone.is_another(limits, seen.highest)
        if known is not None and (forgot or another):
            alone.bring_back(limits, known, self.ahead - seen.ahead)
        limits.number = max(limits.number, seen.highest)
        limits.cold += bool(self.lessons)
        if limits.closed > time:
            place = seen.next_place(clock)
            if seen.round is None and known is not None and forgot:
                # One memory promised all of them their places, and they keep to those. A store that only
                # hung may have made other promises since.
                place = seen.next_place_in(known, self._step, self._name, clock)
            if place < clock + limits.closed - time:
                limits.advance(now)
                self.limits = limits
                return limits, Closed(limits.closed - time, forgot), ()
        self.limits, result, wakes = self._step(limits, now)
        return self.limits, result, wakes
