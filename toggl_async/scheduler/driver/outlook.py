"""The state of an account, as its driver knows it: calls, the latest view, memories, what it waits for."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiolimiter import AsyncLimiter

from toggl_async.options import ClientOptions
from toggl_async.scheduler.budgets import Holder
from toggl_async.scheduler.budgets.memory import MemoryHolder
from toggl_async.scheduler.coalesce import Coalescer
from toggl_async.scheduler.core.ask import View, WindowView
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.memory import Lesson, Memories
from toggl_async.scheduler.core.notes import Note
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.schedule import Schedule
from toggl_async.scheduler.core.waiters import Want
from toggl_async.scheduler.driver.stores import Lag
from toggl_async.scheduler.reporter import Reporter

__all__ = ["Outlook"]

LEASE: Final = 5 * SECOND
"""How much longer than its timeout a request under way is waited for."""
LONGEST_LEASE: Final = 3600 * SECOND


class Outlook:
    """What a driver knows about its account; belongs to one event loop.

    Args:
        key: that of the account, among all that share the budget.
        number: that of the account, in events and logs.
        options: of the scheduler.
        holder: the scheduler's hold on its budget.
        chance: where chance comes from.
        report: reports what happens, in events and in the log.
        wall: the wall clock, in seconds.
        learned: called with a workspace and its organization when the budget knew of them first.
    """

    __slots__ = (
        "_again",
        "_asked",
        "_called",
        "_chance",
        "_closed",
        "_cold",
        "_fault",
        "_holder",
        "_lag",
        "_learned",
        "_lessons",
        "_limiter",
        "_loop",
        "_made",
        "_me",
        "_memory",
        "_news",
        "_pause",
        "_prompt",
        "_report",
        "_running",
        "_standing",
        "_stepped_at",
        "_task",
        "_timer",
        "_totals",
        "_unplaced",
        "_view",
        "_view_at",
        "_wall",
        "key",
        "memories",
        "number",
        "options",
        "schedule",
        "shared",
        "used_at",
    )

    def __init__(
        self,
        key: str,
        number: int,
        *,
        options: ClientOptions,
        holder: Holder,
        chance: random.Random,
        report: Reporter,
        wall: Callable[[], float],
        learned: Callable[[int, int], None],
    ) -> None:
        self.key: str = key
        self.number: int = number
        self.options: ClientOptions = options
        self.used_at: float = 0.0
        """The loop's time of its last call."""
        self.shared: Coalescer[Any] = Coalescer()
        """The reads under way whose answers can be shared."""
        self.schedule: Schedule = Schedule(options.retry, max_in_flight=options.max_in_flight)
        self._loop = asyncio.get_running_loop()
        self._holder = holder
        self._memory = holder if isinstance(holder, MemoryHolder) else None
        self._chance = chance
        self._report = report
        self._wall = wall
        self._learned = learned
        self._me = Process.of(holder.name, options)
        self._me.alive = holder.alive
        self._me.lease = LONGEST_LEASE
        if options.timeout is not None:
            self._me.lease = min(LONGEST_LEASE, round(options.timeout * SECOND) + LEASE)
        interval = options.pace.interval
        self._limiter = AsyncLimiter(1, interval) if interval else None
        self.memories: Memories = Memories()
        """What is remembered about the account."""
        self._lessons: list[Lesson] = []
        self._cold = 0
        self._asked: tuple[Sequence[Want], Sequence[Note]] = (), ()
        self._prompt = self._memory is not None
        """Whether the limits are at hand: then asking once more costs next to nothing."""
        self._stepped_at = 0
        """When a store read the time of the latest step: what it answers are durations from then on."""
        self._standing: frozenset[tuple[int, str]] = frozenset()
        """The waiting lines of this process that the store knows."""
        self._called = False
        """Whether the store has to be asked: this process's time has come, or somebody has woken it."""
        self._lag = Lag()
        self._fault = ""
        """What a budget that isn't ours last failed with, as logged."""
        self._running = self._again = self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._view: View | None = None
        self._view_at = 0
        self._pause: tuple[Reason, float] | None = None
        self._news = 0
        self._made = 0
        self._totals: dict[str, int] = {}
        self._unplaced: set[int] = set()

    def now(self) -> int:
        """Return the loop's time in microseconds."""
        return round(self._loop.time() * SECOND)

    def total(self, window: str) -> int | None:
        """Return how many requests a window allows, as far as known."""
        return self._totals.get(window)

    def waits(self) -> tuple[Reason | None, float | None]:
        """Return what everybody waits for, and the seconds until it ends; None twice when nobody does."""
        found = self._found_pause(self.now())
        if found is None:
            return None, None
        return found[0], max(0.0, found[1] - self._loop.time())

    @property
    def interval(self) -> float:
        """Seconds between two requests."""
        return (self._view.interval if self._view is not None else self._me.interval) / SECOND

    def window(self, name: str) -> WindowView | None:
        """Return a window as it stood at the last look."""
        return self._view.windows.get(name) if self._view is not None else None

    def seen_ago(self) -> int:
        """Return the microseconds since the account was last looked at."""
        return self.now() - self._view_at

    def _note_pause(self, now: int) -> None:
        """Report what everybody waits for, each time that it changes."""
        found = self._found_pause(now)
        if found != self._pause:
            self._pause = found
            self._report.paused(now, found, waiting=len(self.schedule.queue))

    def _found_pause(self, now: int) -> tuple[Reason, float] | None:
        schedule, seen = self.schedule, self._view
        if not schedule.queue:
            return None
        if seen is not None and seen.probing:
            return Reason.PROBE, math.inf
        if seen is not None and seen.rest and self._view_at + seen.rest > now:
            return Reason.COOLDOWN, (self._view_at + seen.rest) / SECOND
        held = schedule.held(now)
        if held is not None:
            return held[0], math.inf if held[1] is None else held[1] / SECOND
        if seen is None:
            return Reason.QUEUE, now / SECOND
        resets = []
        for _, window in schedule.queue.lines:
            known = seen.windows.get(window)
            if known is None or known.left != 0:
                return Reason.PACE, max(now, self._view_at + seen.opens_in) / SECOND
            resets.append(self._view_at + (known.resets_in or 0))  # what has nothing left has a reset
        return Reason.QUOTA, min(resets) / SECOND
