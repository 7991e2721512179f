"""One account: the calls made with one credential, and everything that limits them.

An account joins its pieces: `admit` waits for a turn, `depart` watches the send, `answered` and
`lost` learn from what came of it, `release` frees the slot. All state changes between two awaits,
so there are no locks.

A call that meets an idle account takes its turn itself; the dispatcher's task exists only while
calls wait.

*Cancellation.* A caller that gives up while waiting leaves its place, no more. One that gives up
between turn and wake-up hands the turn back, unused: the next call has it without delay.

*`max_wait`.* A lower bound of the wait is worked out when a call joins, and again for those already
waiting when a 429 or a window's end moves the goal. Whoever cannot make it fails then, not later. A
timer at the deadline catches what the bound did not foresee, such as urgent calls that went ahead.
"""

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from typing import Final

import httpx

from toggl_async.errors import ClientClosed, TogglError
from toggl_async.options import ClientOptions
from toggl_async.scheduler import events
from toggl_async.scheduler.coalesce import Coalescer
from toggl_async.scheduler.dispatcher import Dispatcher
from toggl_async.scheduler.events import Reason
from toggl_async.scheduler.gates import Gates, too_long
from toggl_async.scheduler.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.queue import Call
from toggl_async.scheduler.quota import Organizations, QuotaWindows, Window
from toggl_async.scheduler.reporter import Reporter
from toggl_async.scheduler.route import RequestFacts
from toggl_async.scheduler.stats import Counters

__all__ = ["Account", "Recalled"]

_GRACE: Final = 0.05
"""Share of the interval that the timer at a deadline leaves to a turn that is about to come."""


class Recalled(Exception):
    """A request must not be sent after all; it goes back to the queue as if it had not had its turn.

    Attributes:
        reason: what was learned while it was on its way to the wire.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Account:
    """The calls of one credential; belongs to one event loop."""

    __slots__ = (
        "_closed",
        "_coalescer",
        "_dispatcher",
        "_loop",
        "_next_call",
        "_next_turn",
        "_report",
        "gates",
        "key",
        "number",
        "used_at",
    )

    def __init__(
        self,
        number: int,
        key: bytes,
        *,
        options: ClientOptions,
        source: random.Random,
        organizations: Organizations,
        counters: Counters,
        tell: Callable[[events.SchedulerEvent], None] | None,
    ) -> None:
        self.number: int = number
        self.key: bytes = key
        self.used_at: float = 0.0
        """The loop's time of its last call."""
        self.gates: Gates = Gates(options, source, QuotaWindows(options.quota, organizations, self._merged))
        self._dispatcher = Dispatcher(number, self.gates, self, counters.waits)
        self._loop = asyncio.get_running_loop()
        self._report = Reporter(number, counters, tell)
        self._coalescer: Coalescer[httpx.Response] | None = None
        self._next_call = 0
        self._next_turn = 0
        self._closed = False

    @property
    def pause(self) -> tuple[Reason, float] | None:
        """What everybody waits for, and the loop's time at which it ends; None when nobody does."""
        return self._dispatcher.pause

    @property
    def coalescer(self) -> "Coalescer[httpx.Response]":
        """The GETs under way whose answers can be shared."""
        if self._coalescer is None:
            self._coalescer = Coalescer()
        return self._coalescer

    def call(self, facts: RequestFacts, *, request: httpx.Request, owner: object) -> Call:
        """Return a new call, which draws its place in the queue now."""
        self._next_call += 1
        window = self.gates.quota.window(facts)
        return Call(self._next_call, facts, window=window, request=request, owner=owner)

    def admit(self, call: Call) -> Coroutine[object, object, None] | None:
        """Give a call its turn now, or return what waits for it; then it holds a slot, until `release`.

        Raises:
            MaxWaitExceeded: the call cannot go within its `max_wait`.
            QuotaExceeded: it cannot, because the hourly quota is used up.
            ClientClosed: its client or scheduler was closed.
        """
        if self._closed:
            raise _closed()
        now = self._loop.time()
        window = call.window = self.gates.quota.window(call.facts)
        budget = call.facts.max_wait - call.waited
        call.since, call.deadline = now, now + budget
        if budget >= 0 and self._goes_at_once(call, now):
            return None
        wait, reason = self.gates.expected(call, window, now)
        if wait > budget:
            raise self._too_long(call, now, now + wait, reason)
        waiting = len(self.gates.queue) + 1
        self._report.queued(call, now, wait=wait, reason=reason, waiting=waiting)
        return self._wait(call, window, budget)

    def _goes_at_once(self, call: Call, now: float) -> bool:
        """Let a call take its turn by itself if nobody waits and nothing is in the way."""
        gates = self.gates
        if gates.queue or self._dispatcher.is_running or gates.barrier(now) is not None:
            return False
        if call.window.left(now) == 0 or not gates.pacer.turn_at_once(now):
            return False
        self._give_turn(call, now)
        return True

    async def _wait(self, call: Call, window: Window, budget: float) -> None:
        """Wait in the queue."""
        future = call.future = self._loop.create_future()
        if budget < math.inf:
            grace = _GRACE * self.gates.pacer.interval
            call.timer = self._loop.call_at(call.deadline + grace, self._expire, call)
        self.gates.queue.push(call, window)
        self._dispatcher.wake()
        try:
            await future
        except asyncio.CancelledError:
            if call.unsettled:
                self.decline(call)
            elif future.done() and not future.cancelled():
                future.exception()  # it failed in the same moment: looked at, so that asyncio is content
            self._report.cancelled(call, self._loop.time())
            raise
        finally:
            self.gates.queue.discard(call)
            if call.timer is not None:
                call.timer.cancel()
                call.timer = None
            call.future = None
            waited = self._loop.time() - call.since
            call.waited += waited
            self._report.counters.waited += waited

    def decline(self, call: Call, *, ready: bool = True) -> None:
        """Take back a turn that nobody will use.

        Args:
            call: whose turn it was.
            ready: whether the next call may have it without delay.
        """
        call.window.current().settle(call.turn, counted=False)
        call.unsettled = False
        call.attempts -= 1
        gates = self.gates
        gates.released(call)
        gates.cooldown.gave_up(call)
        gates.pacer.ready = gates.pacer.ready or ready
        self._dispatcher.wake()
        self._dispatcher.rouse()

    async def depart(self, call: Call, hopeless: Callable[[], bool], *, may_wait: bool = True) -> None:
        """Let a request leave, at the right distance from the one before.

        Args:
            call: the request.
            hopeless: says whether its refusal is known by now.
            may_wait: whether it can be held up where it is.

        Raises:
            Recalled: it was on its way to the wire when a 429 came, or the end of its quota, or a
                refusal that it would meet too; or it is too early, and cannot be held up.
        """
        pacer, now = self.gates.pacer, self._loop.time()
        if not pacer.has_room(call.turn, now):
            if not may_wait:
                raise Recalled(Reason.PACE)
            await pacer.room(call.turn)
            now = self._loop.time()
        window = call.window.current()
        if hopeless():
            raise Recalled(Reason.QUEUE)
        if self.gates.cooldown.shuts_out(call, now):
            raise Recalled(Reason.COOLDOWN)
        if window.overdrawn(now, call.turn):
            raise Recalled(Reason.QUOTA)
        self._next_turn += 1
        window.depart(now, call.turn, self._next_turn)
        call.turn = self._next_turn
        await pacer.depart(call.turn, now)
        self.gates.left(call)
        first, call.sent_at = call.sent_at is None, now
        if first:
            self._report.sent(call, now)

    def answered(self, call: Call, status: int, outcome: Outcome) -> None:
        """Learn from an answer."""
        now = self._loop.time()
        window = call.window.current()
        hope = window.hope(now) if self.gates.queue else 0
        call.unsettled = False
        window.settle(call.turn, counted=True)
        self._report.answered(call, now, status, outcome)
        self._learn(call, window, outcome, now)
        if outcome.kind is OutcomeKind.THROTTLED:
            self._cool_down(call, outcome, now)
        else:
            self.gates.cooldown.answered(call)
        if outcome.kind is OutcomeKind.FAILED:
            self.gates.hold(now, outcome.retry_after)
        elif outcome.kind is not OutcomeKind.THROTTLED:
            self.gates.failures = 0
            self.gates.pacer.narrow()
        self._review(window, hope, now)
        self._dispatcher.wake()

    def lost(self, call: Call, error: str, *, sent: bool) -> None:
        """Learn from a request that brought no answer, or half of one."""
        now = self._loop.time()
        self._report.lost(call, now, error, sent=sent)
        self._end(call, now, counted=sent)
        self.gates.hold(now, None)

    def release(self, call: Call) -> None:
        """Free the slot of a call that is no longer under way, whatever came of it."""
        now = self._loop.time()
        if call.unsettled:  # the caller gave up: Toggl may have counted it all the same
            self._report.cancelled(call, now)
            self._end(call, now, counted=call.sent_at is not None)
        self.gates.released(call)
        self._dispatcher.wake()

    def note_retry(self, call: Call, reason: Reason) -> None:
        """Tell that a call goes back to the queue."""
        self._report.retried(call, self._loop.time(), reason)

    def told_quota(
        self, organization_id: int | None, *, remaining: int, resets_in: float, total: int | None
    ) -> None:
        """Take one row of ``GET /me/quota``; `organization_id` is None for the user's own window."""
        now = self._loop.time()
        quota = self.gates.quota
        window = quota.tell(now, organization_id, remaining=remaining, resets_in=resets_in, total=total)
        self._report.quota_changed(window, now)
        self._revise(now)
        self._dispatcher.wake()

    def is_idle(self, now: float) -> bool:
        """Say whether nothing is under way and nothing is known that a new account would miss."""
        return (
            not self.gates.in_flight
            and not self.gates.queue
            and not self._dispatcher.is_running
            and now >= self.gates.cooldown.until
            and all(window.reset_at is None or now >= window.reset_at for window in self.gates.quota)
        )

    def close(self, owner: object = None) -> None:
        """End the waiting calls of one owner, or of all for good, with ClientClosed."""
        if owner is None:
            self._closed = True
        for call in [call for line in self.gates.queue.lines for call in line]:
            if owner is None or call.owner is owner:
                self._fail(call, _closed())
        self._dispatcher.rouse()

    async def stop(self) -> None:
        """End the dispatcher's task; only after `close`."""
        await self._dispatcher.stop()

    def fail_all(self, error: BaseException) -> None:
        """End all waiting calls with an error."""
        for call in [call for line in self.gates.queue.lines for call in line]:
            self._fail(call, error)

    def fail_each(self, error_of: Callable[[Call], TogglError | None]) -> None:
        """End each waiting call with an error of its own, where there is one."""
        for call in [call for line in self.gates.queue.lines for call in line]:
            error = error_of(call)
            if error is not None:
                self._fail(call, error)

    def grant(self, call: Call, now: float) -> None:
        """Give a turn to a call that waits; the turn is kept if its caller has just given up."""
        if call.future is None or call.future.done():
            self.gates.queue.discard(call)
            return
        self.gates.queue.take(call, now)
        self._give_turn(call, now)
        call.future.set_result(None)

    def paused(self, reason: Reason, until: float) -> None:
        """Tell what everybody waits for, and until when."""
        self._report.paused(self._loop.time(), reason, until=until, waiting=len(self.gates.queue))

    def _end(self, call: Call, now: float, *, counted: bool) -> None:
        """Take note that no answer, or no more of it, will come."""
        self.gates.cooldown.gave_up(call)
        if call.unsettled:
            window = call.window.current()
            hope = window.hope(now)
            call.unsettled = False
            window.settle(call.turn, counted=counted)
            self._review(window, hope, now)

    def _learn(self, call: Call, window: Window, outcome: Outcome, now: float) -> None:
        """Take the server's word on a quota window."""
        if outcome.kind is OutcomeKind.QUOTA:
            window.exhaust(now, outcome.resets_in, call.turn)
        elif outcome.remaining is not None and outcome.resets_in is not None:
            window.learn(now, call.turn, remaining=outcome.remaining, resets_in=outcome.resets_in)
        elif window.remaining is None:
            return
        self._report.quota_changed(window, now)

    def _cool_down(self, call: Call, outcome: Outcome, now: float) -> None:
        """Rest after a 429; a new incident widens the pace too."""
        cooldown, pacer = self.gates.cooldown, self.gates.pacer
        if cooldown.refuse(now, sent_at=call.left_at, retry_after=outcome.retry_after):
            pacer.widen()
        self._report.cooled_down(now, until=cooldown.until, interval=pacer.interval)
        self._revise(now)

    def _review(self, window: Window, hope: int | None, now: float) -> None:
        """Look again at who can make it, if a window gives less than could be hoped for."""
        if self.gates.queue:
            left = window.hope(now)
            if left is not None and (hope is None or left < hope):
                self._revise(now)

    def _revise(self, now: float) -> None:
        """Fail the waiting calls that can no longer make it."""
        for call, at, reason in self.gates.doomed(now):
            self._fail(call, self._too_long(call, now, at, reason))

    def _expire(self, call: Call) -> None:
        """End a wait whose deadline has come."""
        now = self._loop.time()
        reason, at = self.pause or (Reason.QUEUE, now)
        self._fail(call, self._too_long(call, now, at if now < at < math.inf else now, reason))

    def _too_long(self, call: Call, now: float, at: float, reason: Reason) -> TogglError:
        """Make the error of a call that cannot go in time, and tell of it."""
        error = too_long(call, now, at, reason)
        self._report.refused(call, now, error, reason)
        return error

    def _fail(self, call: Call, error: BaseException) -> None:
        """End the wait of a call with an error."""
        self.gates.queue.discard(call)
        if call.future is not None and not call.future.done():  # else its caller has just given up
            call.future.set_exception(error)

    def _give_turn(self, call: Call, now: float) -> None:
        self.gates.granted(call)
        self._next_turn += 1
        call.turn, call.unsettled = self._next_turn, True
        call.attempts += 1
        call.granted_at, call.sent_at = now, None
        call.window = call.window.current()
        call.window.spend(call.turn)
        self._report.granted(call, now)

    def _merged(self, old: Window, lasting: Window) -> None:
        """Let the calls that wait on a window follow it into another."""
        self.gates.queue.merge(old, lasting)
        now = self._loop.time()
        self._report.quota_changed(lasting, now)
        self._revise(now)
        self._dispatcher.wake()


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed before the call could go")
