"""How long a call will have to wait at least, foreseen from the latest view of the shared limits.

The bound must be a lower one: a call that fails because of it could not have been sent, whatever the others
do short of giving up. So it counts only what is certain to be in the way: the next slot, a rest, a back-off,
calls that are ahead, and windows that are shut; and of those calls no more than ageing alone would let pass.

All times are microseconds of the process's own clock.
"""

import enum
from collections.abc import Iterator

import msgspec

from toggl_async.scheduler.core.ask import View
from toggl_async.scheduler.core.queue import Call, Queue
from toggl_async.scheduler.core.retry import Backoff
from toggl_async.scheduler.core.waiters import PATIENCE
from toggl_async.scheduler.core.windows import HOUR

__all__ = ["Foresight", "Reason", "TooLong"]


class Reason(enum.StrEnum):
    """Why a call, or a whole account, is waiting."""

    PACE = "pace"
    """The spacing between two requests."""
    QUEUE = "queue"
    """Other calls are ahead."""
    COOLDOWN = "cool-down"
    """Toggl said 429."""
    PROBE = "probe"
    """The one request that tries whether a cool-down is over has not been answered yet."""
    QUOTA = "quota"
    """The hourly quota is used up."""
    BACKOFF = "back-off"
    """Toggl failed a moment ago, or the connection did."""
    IN_FLIGHT = "in flight"
    """As many requests are under way as the options allow."""


class TooLong(msgspec.Struct, frozen=True):
    """A call cannot go within its `max_wait`.

    Attributes:
        reason: what it would wait for, mainly.
        at: when it could go, at the earliest.
    """

    reason: Reason
    at: int


class Foresight:
    """What one process foresees for its calls.

    Args:
        queue: the calls that wait.
        backoff: what holds all of them after a failure.
    """

    __slots__ = ("backoff", "queue", "seen_at", "view")

    def __init__(self, queue: Queue, backoff: Backoff) -> None:
        self.queue: Queue = queue
        self.backoff: Backoff = backoff
        self.view: View | None = None
        """The latest look at the shared limits."""
        self.seen_at: int = 0

    def expected(self, call: Call, now: int) -> tuple[int, Reason]:
        """Return when a call that joins can go at the earliest, and what it waits for, mainly."""
        at, reason = self._earliest(now)
        view = self.view
        if view is None:
            return at, reason
        # What was sent before goes to the head of its line.
        ahead = 0 if call.attempts else self._ahead(call.level, call.window)
        opens = self._window_opens(call.window, ahead)
        if opens is not None and opens > at:
            return opens, Reason.QUOTA
        if not call.attempts:
            ahead += self._ahead_elsewhere(call)
        behind = min(ahead * view.interval, self._ages_in(call, now))
        return at + behind, Reason.QUEUE if behind and behind >= at - now else reason

    def too_long(self, call: Call, now: int) -> TooLong:
        """Return why a call whose deadline has come must end."""
        at, reason = self._earliest(now)
        opens = self._window_opens(call.window, 0)
        if opens is not None and opens > at:
            at, reason = opens, Reason.QUOTA
        if reason is Reason.PACE and len(self.queue) > 1:
            reason = Reason.QUEUE
        return TooLong(reason, max(at, now))

    def late(self, now: int) -> Iterator[tuple[Call, TooLong]]:
        """Go through the waiting calls that cannot make it, after a 429 or the end of a window."""
        earliest, cause = self._earliest(now)
        for line in list(self.queue.lines.values()):
            if not line.limited:
                continue
            for place, call in enumerate(list(line)):
                if call.deadline is None:
                    continue
                at, reason = earliest, cause
                opens = self._window_opens(call.window, place)
                if opens is not None and opens > at:
                    at, reason = opens, Reason.QUOTA
                if at > call.deadline:
                    yield call, TooLong(reason, at)

    def _earliest(self, now: int) -> tuple[int, Reason]:
        """Return when any call may be sent at the earliest, and what is in the way."""
        at, reason = now, Reason.PACE
        view = self.view
        if view is not None:
            at = max(now, self.seen_at + view.opens_in)
            if view.rest and self.seen_at + view.rest >= at:
                reason = Reason.COOLDOWN
        if self.backoff.until > at:
            at, reason = self.backoff.until, Reason.BACKOFF
        return at, reason

    def _window_opens(self, name: str, ahead: int) -> int | None:
        """Return when a window lets one more go than `ahead`; None if it does, or that is unknown."""
        window = self.view.windows.get(name) if self.view is not None else None
        if window is None or window.hope is None or window.resets_in is None or ahead < window.hope:
            return None
        further = (ahead - window.hope) // window.total if window.total else 0
        return self.seen_at + window.resets_in + further * HOUR

    def _ahead(self, level: int, window: str) -> int:
        """Count the calls ahead of a newcomer on its own window, those of other processes included.

        Within a level processes take turns, so no more calls of another go first than of this one.
        """
        mine = self.queue.ahead(level, window)
        others = self.view.others if self.view is not None else ()
        return mine + sum(
            other.count if other.level < level else min(other.count, mine + 1)
            for other in others
            if other.window == window and other.level <= level
        )

    def _ahead_elsewhere(self, call: Call) -> int:
        """Count the calls ahead that wait on other windows, as far as those let them go."""
        view = self.view
        assert view is not None  # noqa: S101 - `expected` has looked
        names = {line.window for line in self.queue.lines.values()} | {other.window for other in view.others}
        ahead = 0
        for name in names - {call.window}:
            window, waiting = view.windows.get(name), self._ahead(call.level, name)
            ahead += waiting if window is None or window.hope is None else min(waiting, window.hope)
        return ahead

    def _ages_in(self, call: Call, now: int) -> int:
        """Return how long it takes until ageing alone would let a newcomer go.

        Its level gets a turn each `PATIENCE`, whatever else waits, and those before it in the level get
        theirs first. Without this, a crowd of urgent calls would fail a patient one in advance.
        """
        view = self.view
        assert view is not None  # noqa: S101 - `expected` has looked
        lines = [line for line in self.queue.lines.values() if line.level == call.level]
        since = now - self.seen_at
        waited = max((line.waited(now) + (since if line.age is not None else 0) for line in lines), default=0)
        unserved = view.unserved[call.level] + since
        before = sum(line.live for line in lines)
        before += sum(other.count for other in view.others if other.level == call.level)
        return max(0, PATIENCE - min(waited, unserved)) + before * PATIENCE
