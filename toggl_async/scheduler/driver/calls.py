"""The calls of an account, on their way through its driver."""

import asyncio
import math
from collections.abc import Awaitable, Sequence
from typing import Final

import msgspec

from toggl_async.errors import TogglError
from toggl_async.scheduler.core.ask import Departure, Grant, leaving
from toggl_async.scheduler.core.foresight import Reason, TooLong
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import LossTold, Unused
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.retry import Loss
from toggl_async.scheduler.core.schedule import Next, Recalled
from toggl_async.scheduler.core.waiters import Wake, Want
from toggl_async.scheduler.driver.asking import Asking
from toggl_async.scheduler.driver.tickets import Ticket, closed, deliver, ticket_of

__all__ = ["Driver"]

GRACE: Final = 0.05
"""How much later than a deadline its timer fires, as a share of the interval: a turn may be about to come."""
SOON: Final = SECOND // 1000
"""How much later than its slot a turn may leave without a last look at limits in memory: about as long
as the way from the turn to the wire takes where a connection is at hand."""
JITTER: Final = SECOND // 10_000
"""How late any turn may be: no network keeps requests apart more precisely, and the limiter does. If the
turns themselves are closer together, none is ever late."""
LATE: Final = SECOND // 200
"""How much later than its slot a turn may leave without a last look at a store."""


class Driver(Asking):
    """Gives the calls of one account their turns, and learns what became of them."""

    __slots__ = ()

    def call(
        self,
        level: int,
        window: str,
        ticket: Ticket,
        *,
        route: str,
        reads: bool,
        max_wait: float | None,
        max_attempts: int | None,
        max_cooldowns: int | None = None,
    ) -> Call:
        """Return a new call, which draws its place in the queue now."""
        self._made += 1
        self._spends(window)
        return Call(
            self._made,
            level,  # type: ignore[arg-type]
            window,
            reads=reads,
            max_wait=None if max_wait is None or max_wait == math.inf else round(max_wait * SECOND),
            max_attempts=max_attempts,
            max_cooldowns=max_cooldowns,
            route=route,
            load=ticket,
        )

    def turn(self, call: Call) -> Awaitable[None] | None:
        """Give a call its turn now, or return what waits for it; then it holds a slot.

        Raises:
            MaxWaitExceeded: the call cannot go within its `max_wait`.
            QuotaExceeded: it cannot, because the hourly quota is used up.
            ClientClosed: its client or scheduler was closed.
        """
        if self._closed:
            raise closed()
        now, schedule = self.now(), self.schedule
        schedule.look(now, round(self._wall() * SECOND))
        asked = None
        if not self._running and schedule.is_clear(now):
            asked = self._transact((Want(call.level, call.window),))
            if isinstance(asked, Grant) and (asked.cold == self._cold or self._learn_cold(asked)):
                if not self._prompt:
                    now = self._stepped_at
                    self._see(asked, now)
                if asked.number and self._is_soon_enough(call, asked.wait):
                    return self._go(call, asked, now)
                if asked.number:
                    schedule.notes.append(Unused(asked.number, call.window))
                    self.poke()
                    raise self._error(call, TooLong(Reason.PACE, now + asked.wait), now)
                self._see(asked, now)
        elif not schedule.queue and not self._running:
            self._refresh()
        too_long = schedule.submit(call, now)
        if too_long is not None:
            if asked is not None:  # it is in the calendar already, or has a turn
                self._again = True
                self._start(self._steps(asked))
            raise self._error(call, too_long, now)
        return self._queue(call, now, asked)

    def again(self, call: Call) -> Awaitable[None] | None:
        """Let a call that `Next` sends again return to the head of its line.

        Raises:
            MaxWaitExceeded: as for `turn`; then its slot is free.
            QuotaExceeded: as for `turn`; then its slot is free.
            ClientClosed: as for `turn`; then its slot is free.
        """
        if self._closed:
            raise self.refuse(call, closed())
        now = self.now()
        if not self._running:
            self._refresh()
        too_long = self.schedule.again(call, now)
        if too_long is not None:
            self.poke()
            raise self._error(call, too_long, now)
        return self._queue(call, now, None)

    def back(self, call: Call) -> Awaitable[None] | None:
        """Let a call that was recalled wait for another turn."""
        if self._closed:
            raise self.refuse(call, closed())
        now = self.now()
        self.schedule.send_back(call, now)
        return self._queue(call, now, None)

    def begin(self, call: Call) -> int:
        """Note that a call is handed to the network; return the time."""
        now = self.now()
        self.schedule.begin(call, now)
        return now

    async def depart(self, call: Call, *, may_wait: bool = True, again: bool = False) -> None:
        """Let a request leave, at the right distance from the one before.

        Args:
            call: the request.
            may_wait: whether it can be held up where it is.
            again: whether its transport sends it a second time, unasked.

        Raises:
            Recalled: it was on its way to the wire when a 429 came, the end of its quota, or a refusal
                that holds for it as well; or it is too early, and cannot be held up.
        """
        limiter = self._limiter
        if again:
            # For instance because a server ended an HTTP/2 connection. That needs a turn of its own.
            self.schedule.notes.append(LossTold(call.turn, call.window))
            call.turn = 0
            raise Recalled(Reason.PACE)
        first = call.state is not CallState.UNDER_WAY
        if not first and self.now() - call.sent_at <= LATE:
            return  # it counts as sent since it was handed over, and is only leaving now
        now = self.now()
        look = self._is_late(call, now)
        passed = limiter is None
        while True:
            if look:
                await self._last_look(call, may_wait=may_wait)
                now = self.now()
            if self._is_refused(call):
                raise Recalled(Reason.QUEUE)  # before it takes a token of the limiter
            if passed or limiter is None:
                break
            if not may_wait and not limiter.has_capacity():
                # Its next turn would come at once, and be refused here at once, again and again.
                self.schedule.hold_back(self.now() + self._me.interval)
                raise Recalled(Reason.PACE)
            await limiter.acquire()
            now = self.now()
            passed, look = True, self._is_late(call, now)
            if not look:
                break
        self.schedule.sent(call, now)
        if first:
            self._report.sent(call, now)

    def answered(self, call: Call, status: int, outcome: Outcome) -> Next:
        """Learn from an answer; the call keeps its slot until `finish` or `again`."""
        now = self.now()
        elapsed, is_probe = now - call.sent_at, call.probe
        then = self.schedule.answered(call, outcome, now, self._chance.random())
        kind = outcome.kind
        if kind is OutcomeKind.THROTTLED or kind is OutcomeKind.QUOTA:
            self._news += 1
        self._report.answered(call, now, status, outcome, elapsed)
        if is_probe or kind is not OutcomeKind.DONE or not self._tells_later():
            self.poke()
        return then

    def lost(self, call: Call, loss: Loss, error: str, *, sent: bool) -> Next:
        """Learn from a request that brought no answer, or half of one."""
        now = self.now()
        then = self.schedule.lost(call, loss, now, self._chance.random())
        self._report.lost(call, now, error, sent=sent)
        self.poke()
        return then

    def broke_off(self, call: Call, error: str) -> None:
        """Learn that an answer broke off that its caller reads; its slot is free once it is closed."""
        now = self.now()
        self.schedule.backoff.fail(now, call.sent_at, None, self.options.retry, self._chance.random())
        self._report.lost(call, now, error, sent=True)

    def finish(self, call: Call) -> None:
        """Free the slot of a call whose answer has been read, or that ended without one."""
        if call.state is not CallState.DONE:
            self.schedule.finish(call)
            if self.schedule.queue.lines:
                self.poke()

    def withdraw(self, call: Call) -> None:
        """Release a call whose caller has given up, wherever it is; do nothing if it is done."""
        if call.state is not CallState.DONE:
            now = self.now()
            self.schedule.withdraw(call)
            self._report.cancelled(call, now)
            self.poke()

    def refuse(self, call: Call, error: TogglError) -> TogglError:
        """Release a call that must not be sent any more; return the error to raise."""
        if call.state is not CallState.DONE:
            self._report.refused(call, self.now(), error)
            self.schedule.withdraw(call)
            self.poke()
        return error

    def retried(self, call: Call, reason: Reason) -> None:
        """Report that a call goes back to the queue."""
        self._report.retried(call, self.now(), reason)

    def refused(self, error: TogglError, route: str) -> None:
        """Report that a call fails because an earlier answer is remembered."""
        self._report.refused_from_memory(self.now(), route, error)
        self.wonder()

    def tell_shared(self, route: str) -> None:
        """Report that a call joins an identical one."""
        self._report.shared(self.now(), route)

    def tell_remembered(self, status: int, route: str, how_long: str) -> None:
        """Report, once, that a refusal is remembered."""
        self._report.remembered(status, route, for_how_long=how_long)

    def _spends(self, window: str) -> None:
        if window.startswith("workspace:"):
            self._unplaced.add(int(window.partition(":")[2]))

    def _is_soon_enough(self, call: Call, wait: int) -> bool:
        return not wait or call.max_wait is None or wait <= call.max_wait - call.waited

    def _go(self, call: Call, answer: Grant, now: int) -> Awaitable[None] | None:
        """Take a turn that was given at once; wait for its slot, if that is a little ahead."""
        call.since = now
        ticket_of(call).news = self._news
        self.schedule.give(call, answer, now)
        if answer.probe:
            self._show_life(call, call.turn)
        if self._timer is not None:
            self._set_timer(None)
        if answer.wait > 0:
            ticket = ticket_of(call)
            ticket.queued_at = now
            ticket.future = self._loop.create_future()
            ticket.timer = self._loop.call_at(call.leaves_at / SECOND, deliver, ticket)
            self._report.granted(call, now, waited=answer.wait)
            return self._wait(call, ticket)
        self._report.granted(call, now, waited=0)
        return None

    def _queue(self, call: Call, now: int, asked: Grant | Awaitable[Grant] | None) -> Awaitable[None]:
        """Let a call that is in its line wait."""
        ticket = ticket_of(call)
        ticket.future = self._loop.create_future()
        ticket.queued_at = now
        if call.deadline is not None:
            grace = GRACE * self._me.interval / SECOND
            ticket.timer = self._loop.call_at(call.deadline / SECOND + grace, self._expire, call)
        if self._report.is_heard or len(self.schedule.queue) > 1:
            at, reason = self.schedule.foresight.expected(call, now)
            waiting = len(self.schedule.queue)
            self._report.queued(call, now, wait=at - now, reason=reason, waiting=waiting)
        if asked is None:
            self.poke()
        elif isinstance(asked, Grant) and asked.cold == self._cold:
            self._settle(asked, now)
        else:
            self._start(self._steps(asked))
        return self._wait(call, ticket)

    async def _wait(self, call: Call, ticket: Ticket) -> None:
        """Wait until a turn is delivered."""
        future = ticket.future
        assert future is not None  # noqa: S101 - it has just been made
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.exception()  # it failed in the same moment; asyncio logs what nobody retrieves
            self.withdraw(call)
            raise
        finally:
            if ticket.timer is not None:
                ticket.timer.cancel()
                ticket.timer = None
            ticket.future = None
            self._report.counters.waited += (self.now() - ticket.queued_at) / SECOND

    def _expire(self, call: Call) -> None:
        """End a wait whose deadline has come."""
        if call.state is CallState.WAITING:
            now = self.now()
            error = self._error(call, self.schedule.foresight.too_long(call, now), now)
            self._fail(call, error)
            self.poke()

    def _is_refused(self, call: Call) -> bool:
        memories = self.memories
        if memories.login is None and not memories.refusals:
            return False
        return ticket_of(call).refusal() is not None

    def _is_late(self, call: Call, now: int) -> bool:
        """Say whether a turn needs a last look: its slot is over, or something was learned since."""
        if ticket_of(call).news != self._news:
            return True
        late, interval = now - call.leaves_at, self._me.interval
        if late <= JITTER or interval <= JITTER:
            return False
        return late > (min(SOON, interval // 100) if self._prompt else min(LATE, interval // 10))

    def _has_missed(self, call: Call) -> bool:
        """Say whether a request is too late for the slot that a store has just moved for it."""
        is_late = self.now() - call.leaves_at > LATE and self._me.interval > JITTER
        return is_late or ticket_of(call).news != self._news

    async def _last_look(self, call: Call, *, may_wait: bool) -> None:
        """Look until the request may leave.

        Raises:
            Recalled: it must not, or not now and it can't wait here.
        """
        if not self._prompt and not may_wait:
            raise Recalled(Reason.PACE)  # asking a store takes time
        ticket, me = ticket_of(call), self._me
        while True:
            if self._prompt and self.schedule.notes:
                self.poke()  # answers that came while nobody waited go with the next step, which is this one
            ticket.news = self._news
            turn, at = (call.turn, call.level, self.schedule.name_window(call)), 0

            def step(limits: Limits, now: int) -> tuple[Limits, Departure, Sequence[Wake]]:
                nonlocal at
                at = self._holder.read_at
                return limits, *leaving(limits, now, me, *turn)  # noqa: B023 - it runs at once

            departure = self._holder.transact(self.key, step)
            if not isinstance(departure, Departure):
                departure = await departure
            if not self.schedule.depart(call, departure, at):
                raise Recalled(self._why(call))
            answered = self.now()
            wait = call.leaves_at - answered
            if wait > 1:
                if not may_wait:
                    raise Recalled(Reason.PACE)
                await asyncio.sleep(wait / SECOND)
            elif self._prompt:
                return
            if not (self._prompt or self._has_missed(call)):
                return
            # The answer took longer than expected: the next look allows it more time.
            me = msgspec.structs.replace(self._me, lag=max(self._me.lag, 2 * (answered - at)))

    def _why(self, call: Call) -> Reason:
        """Return why a turn was not used."""
        seen = self.look()
        if seen is not None and (seen.rest or seen.probing):
            return Reason.COOLDOWN
        window = self.window(call.window)
        return Reason.QUOTA if window is not None and window.left == 0 else Reason.QUEUE
