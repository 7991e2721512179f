"""Everything that can keep the calls of one account waiting, asked in one place.

The dispatcher asks what is in the way *now* (`barrier`, `next_call`). A caller's `max_wait` asks how
long it will take *at least* (`expected`), and, when a 429 or the end of a window moves the goal, who
of those waiting can no longer make it (`doomed`). Both look at the same gates: pace, cool-down,
back-off after a failure, requests in flight, quota windows.

A bound has to be a lower one: whoever fails by it could not have gone, whatever the others do
short of giving up.
"""

import datetime as dt
import math
import random
from collections.abc import Iterator

from toggl_async.errors import MaxWaitExceeded, QuotaExceeded, TogglError
from toggl_async.options import ClientOptions
from toggl_async.scheduler import retry
from toggl_async.scheduler.cooldown import CooldownGate
from toggl_async.scheduler.events import Reason
from toggl_async.scheduler.outcome import WINDOW
from toggl_async.scheduler.pace import Pacer
from toggl_async.scheduler.queue import Call, Queue
from toggl_async.scheduler.quota import QuotaWindows, Window
from toggl_async.scheduler.route import shown_path

__all__ = ["Gates", "too_long"]


class Gates:
    """The gates of one account, with the queue before them."""

    __slots__ = (
        "_options",
        "_random",
        "cooldown",
        "failures",
        "held_until",
        "in_flight",
        "leaving",
        "pacer",
        "queue",
        "quota",
    )

    def __init__(self, options: ClientOptions, source: random.Random, quota: QuotaWindows) -> None:
        self._options = options
        self._random = source
        self.pacer: Pacer = Pacer(options.pace)
        self.cooldown: CooldownGate = CooldownGate(options.cooldown, source)
        self.queue: Queue = Queue()
        self.quota: QuotaWindows = quota
        self.in_flight: int = 0
        self.leaving: Call | None = None
        """The call that had the latest turn, until its request leaves; None from then on."""
        self.failures: int = 0
        """How many requests in a row met a 5xx or lost their connection."""
        self.held_until: float = -math.inf
        """The loop's time until which such a failure holds everybody back."""

    def hold(self, now: float, retry_after: float | None) -> None:
        """Hold the next request back after a failure, longer with each in a row."""
        self.failures += 1
        wait = retry.delay(
            self.failures, options=self._options.retry, source=self._random, retry_after=retry_after
        )
        self.held_until = max(self.held_until, now + wait)

    def granted(self, call: Call) -> None:
        """Take note that a call has the turn that was ready, and a slot."""
        self.pacer.ready = False
        self.in_flight += 1
        self.leaving = call
        self.cooldown.granted(call)

    def left(self, call: Call) -> None:
        """Take note that the request of a call has left."""
        if self.leaving is call:
            self.leaving = None

    def released(self, call: Call) -> None:
        """Take note that a call has given its slot back, whether its request left or not."""
        self.left(call)
        self.in_flight -= 1

    def barrier(self, now: float) -> tuple[Reason, float] | None:
        """Return what keeps everybody from going, and until when (infinity: an answer has to come)."""
        opens = self.cooldown.opens_at(now)
        if opens > now:
            return (Reason.PROBE if math.isinf(opens) else Reason.COOLDOWN), opens
        if self.held_until > now:
            return Reason.BACKOFF, self.held_until
        if self.in_flight >= self._options.max_in_flight:
            return Reason.IN_FLIGHT, math.inf
        return None

    def next_call(self, now: float) -> Call | None:
        """Return the call that goes next; None if the windows of all that wait are shut."""
        return self.queue.choose(now, lambda window: window.left(now) != 0)

    def windows_open_at(self, now: float) -> float:
        """Return when the first window opens on which somebody waits."""
        return min((line.window.opens_at(now) for line in self.queue.lines), default=now)

    def expected(self, call: Call, window: Window, now: float) -> tuple[float, Reason]:
        """Return the seconds that a call which joins will wait at least, and what for, mainly."""
        at, reason = self._earliest(now)
        if not self.queue:
            ahead = 0
        elif call.attempts:
            ahead = 0  # it goes to the head of the queue
        else:
            ahead = self.queue.ahead(call.facts.priority, window)
        hope = window.hope(now)
        if hope is not None and ahead >= hope and window.reset_at is not None:
            resets = (ahead - hope) // window.total if window.total else 0
            opens = window.reset_at + resets * WINDOW
            if opens > at:
                return opens - now, Reason.QUOTA
        if self.queue and not call.attempts:
            ahead += self._others(call, window, now)
        behind = ahead * self.pacer.interval
        return at - now + behind, Reason.QUEUE if ahead and behind >= at - now else reason

    def doomed(self, now: float) -> Iterator[tuple[Call, float, Reason]]:
        """Go through the waiting calls that cannot make it, with when they could go, and why not now."""
        earliest, cause = self._earliest(now)
        for line in list(self.queue.lines):
            if not line.limited:
                continue
            hope, reset_at = line.window.hope(now), line.window.reset_at
            for call in list(line):
                at, reason = earliest, cause
                if hope:
                    hope -= 1
                elif hope == 0 and reset_at is not None and reset_at > at:
                    at, reason = reset_at, Reason.QUOTA
                if at > call.deadline:
                    yield call, at, reason

    def _earliest(self, now: float) -> tuple[float, Reason]:
        """Return the earliest time at which anybody may go, and what stands in the way."""
        at, reason = self.pacer.next_at(now), Reason.PACE
        opens = self.cooldown.opens_at(now)
        if at < opens < math.inf:
            at, reason = opens, Reason.COOLDOWN
        if self.held_until > at:
            at, reason = self.held_until, Reason.BACKOFF
        return at, reason

    def _others(self, call: Call, window: Window, now: float) -> int:
        """Count the calls ahead that wait on other windows, as far as those let them go."""
        ahead = 0
        for line in self.queue.lines:
            if line.window is not window:
                waiting, hope = sum(line.live[: call.facts.priority + 1]), line.window.hope(now)
                ahead += waiting if hope is None else min(waiting, hope)
        return ahead


def too_long(call: Call, now: float, at: float, reason: Reason) -> TogglError:
    """Return the error of a call that cannot go in time, with the moment at which it could."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=min(at - now, 1e9))
    if reason is not Reason.QUOTA:
        wait = call.waited + at - call.since
        return MaxWaitExceeded(
            reason=reason.value, wait=wait, max_wait=call.facts.max_wait, available_at=moment
        )
    window = call.window.current()
    return QuotaExceeded(
        f"the hourly quota is used up until {moment:%Y-%m-%d %H:%M:%S} UTC",
        reset_at=moment,
        remaining=window.remaining or 0,
        total=window.total,
        organization_id=window.organization_id,
        method=call.request.method,
        path=shown_path(call.request),
        from_memory=True,
    )
