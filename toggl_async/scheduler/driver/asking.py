"""The loop of a driver: it asks the core, and hands out what was given.

It is a generator that yields only when it has to wait for a budget; a task then finishes the rest. Poking it
meanwhile sets a flag, and the loop runs once more.
"""

import asyncio
import contextlib
import contextvars
import datetime as dt
import logging
from collections.abc import Awaitable, Generator, Sequence
from typing import Any, Final

from toggl_async.errors import BudgetError, MaxWaitExceeded, QuotaExceeded, TogglError
from toggl_async.scheduler.core.ask import Grant, View, ask, view
from toggl_async.scheduler.core.foresight import Reason, TooLong
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Forgotten, Lesson, Memories
from toggl_async.scheduler.core.notes import Alive, Learned, Note
from toggl_async.scheduler.core.queue import Call
from toggl_async.scheduler.core.route import quota_of
from toggl_async.scheduler.core.waiters import Wake, Want
from toggl_async.scheduler.driver.outlook import Outlook
from toggl_async.scheduler.driver.stores import TELL_AFTER, is_urgent
from toggl_async.scheduler.driver.tickets import closed, deliver, ticket_of

__all__ = ["Asking"]

SIGN_OF_LIFE: Final = 2.0
"""Seconds between two notes that the process of a probe is alive."""
_logger: Final = logging.getLogger("toggl_async.scheduler")


class Asking(Outlook):
    """Asks the core for the calls of one account."""

    __slots__ = ()

    def look(self) -> View | None:
        """Return the account as it stands; from a store, as it stood at the last look."""
        if self._prompt and not self._running:
            self._refresh()
        return self._view

    def _refresh(self) -> None:
        """Look again at limits in memory, once they have been told everything."""
        if self._memory is not None:
            now = self.now()
            if self.schedule.notes:
                self.poke()
            seen = self._memory.transact(self.key, self._viewing)
            self._view, self._view_at = seen, now
            self.schedule.see(seen, now)

    def _viewing(self, limits: Limits, now: int) -> tuple[Limits, View, Sequence[Wake]]:
        notes: list[Note] = []
        ask_nothing = not self.schedule.queue
        if ask_nothing:
            ask(limits, now, self._me, (), notes)  # windows whose reset has come are full again
        return limits, view(limits, limits.at, self._me), ()

    def _set_timer(self, at: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._loop.call_at(at / SECOND, self._due)

    def learn(self, lesson: Lesson) -> bool:
        """Take in what was learned about the account; say whether it is news."""
        is_news = self.memories.take(lesson, self.now(), shared=not self._prompt)
        self._lessons.append(lesson)
        self.schedule.notes.append(Learned())
        if is_news and not isinstance(lesson, Forgotten):
            self._news += 1
            self._refuse_waiting()
        self.poke()
        return is_news

    def place(self, workspace_id: int, lasting: str, lesson: Lesson) -> None:
        """Note the organization of a workspace, if calls have spent from a window of its own."""
        if workspace_id in self._unplaced:
            self._unplaced.discard(workspace_id)
            self.schedule.merge(f"workspace:{workspace_id}", lasting)
            self.learn(lesson)

    def told_quota(self, window: str, *, remaining: int, resets_in: int, total: int | None) -> None:
        """Take one row of ``GET /me/quota``; `resets_in` in microseconds."""
        if total is not None:
            self._totals[window] = total
        self.schedule.told_quota(window, remaining, resets_in, total)
        self.poke()

    def is_idle(self) -> bool:
        """Say whether nothing is under way and nothing is known that a new account would miss."""
        if self.schedule.in_flight or self.schedule.queue or self._running:
            return False
        if not self._prompt:
            return not self.schedule.notes  # everything else is in the store
        if self.memories.refusals or self.memories.login is not None:
            return False
        seen = self.look()
        return seen is None or (
            not seen.rest and all(window.resets_in is None for window in seen.windows.values())
        )

    def close(self, owner: object = None) -> None:
        """End the waiting calls of one owner, or of all for good, with ClientClosed."""
        if owner is None:
            self._closed = True
        for call in list(self.schedule.queue):
            if owner is None or ticket_of(call).owner is owner:
                self._refuse(call, closed())
        self.poke()

    async def stop(self) -> None:
        """End the task and the timer; only after `close`."""
        self._set_timer(None)
        if self._task is not None:
            await asyncio.wait([self._task])

    def poke(self) -> None:
        """Have the core asked again, because something has changed."""
        if self._tells_at_once():
            return
        self._again = True
        if not self._running and not self._loop.is_closed():
            self._start(self._steps(None))

    def wake(self) -> None:
        """Have the core asked again, because another holder says so: a turn given ahead may be void."""
        self._news += 1
        self._called = True
        self.poke()

    def wonder(self) -> None:
        """Ask a store whether what is remembered still holds: somebody may have forgotten it for all."""
        if not self._prompt:
            self._called = True
            self.poke()

    def _tells_later(self) -> bool:
        """Say whether what an answer said can wait for the next step: nobody else would hear of it before."""
        memory = self._memory
        return (
            memory is not None
            and not self.schedule.queue.lines
            and not self._running
            and not self._report.is_heard
            and memory.is_alone
        )

    def _tells_at_once(self) -> bool:
        """Pass on the notes at once if nobody waits or listens: nothing else can come of it."""
        if not self._prompt or self._running or self._pause is not None or self._report.is_heard:
            return False
        schedule = self.schedule
        if schedule.queue or self._lessons:
            return False
        if schedule.notes:
            told = self._transact(())
            assert isinstance(told, Grant)  # noqa: S101 - memory answers at once
            if told.cold != self._cold:
                self._learn_cold(told)
        return True

    def _has_to_ask(self, wants: Sequence[Want], now: int) -> bool:
        """Say whether a store has to be asked now; what it was told holds until its place comes."""
        if self._called or self._standing != {(want.level, want.window) for want in wants}:
            return True
        notes, reserve = self.schedule.notes, self.options.quota.reserve
        if not notes:
            return False
        if self._closed or any(is_urgent(note, self._view, reserve) for note in notes):
            return True
        if self._timer is None:
            self._set_timer(now + TELL_AFTER)
        return False

    def _start(self, steps: Generator[Awaitable[Any], Any, None]) -> None:
        self._running = True
        try:
            pending = next(steps)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it, whatever it is
            self._failed(error)
            return
        # In a context of its own, so that it doesn't keep alive what is in the first caller's.
        task = self._loop.create_task(self._carry(steps, pending), context=contextvars.Context())
        self._task = task
        task.add_done_callback(self._carried)

    async def _carry(self, steps: Generator[Awaitable[Any], Any, None], pending: Awaitable[Any]) -> None:
        """Go on with the loop where it has to wait."""
        with contextlib.suppress(StopIteration):
            while True:
                try:
                    result = await pending
                except Exception as error:  # noqa: BLE001 - the loop decides
                    pending = steps.throw(error)
                else:
                    pending = steps.send(result)

    def _carried(self, task: "asyncio.Task[None]") -> None:
        """Clean up after a task; however it ended, nobody is left hanging."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)
        elif task.cancelled():
            self._running = False
            self.poke()

    def _failed(self, error: Exception) -> None:
        self._running = self._again = False
        refusal = self._typed(error)
        for call in list(self.schedule.queue):
            self._refuse(call, refusal)

    def _typed(self, error: Exception) -> TogglError:
        """Return our error for what a budget raised; anything that isn't ours is logged, once."""
        if isinstance(error, TogglError):
            return error
        fault = repr(error)
        if fault != self._fault:
            self._fault = fault
            _logger.error("account %d: the budget did not answer", self.number, exc_info=error)
        refusal = BudgetError(f"the budget failed: {type(error).__name__}")
        refusal.__cause__ = error
        return refusal

    def _steps(self, asked: Grant | Awaitable[Grant] | None) -> Generator[Awaitable[Any], Any, None]:
        """Ask the core as long as something changes; yield what has to be waited for."""
        try:
            while asked is not None or self._again:
                if asked is None:
                    self._again = False
                    now = self.now()
                    self.schedule.look(now, round(self._wall() * SECOND))
                    wants = self.schedule.wants(now)
                    if not (self._prompt or self._has_to_ask(wants, now)):
                        continue
                    asked = self._transact(wants)
                answer = asked if isinstance(asked, Grant) else (yield asked)
                asked, at = None, self.now() if self._prompt else self._stepped_at
                if answer.cold != self._cold:
                    memories = self._holder.recall(self.key)
                    if not isinstance(memories, Memories):
                        memories = yield memories
                    self._remember(answer.cold, memories)
                is_worse = self._see(answer, at)
                self._settle(answer, at)
                if is_worse:
                    # Only now: the call that was given this turn would count as one of those that wait.
                    self._refuse_doomed()
        finally:
            self._running = False

    def _transact(self, wants: Sequence[Want]) -> Grant | Awaitable[Grant]:
        """Take a step on the shared limits, with all that there is to tell."""
        schedule = self.schedule
        self._me.chance = self._chance.random()
        notes = schedule.notes
        self._asked = wants, notes
        if not notes and self._prompt:
            return self._holder.transact(self.key, self._step)
        schedule.notes = []
        lessons, self._lessons = self._lessons, []
        if self._prompt:
            return self._holder.transact(self.key, self._step, lessons)
        self._called, self._standing = False, frozenset()
        began = self.now()
        try:
            asked = self._holder.transact(self.key, self._step_in_store, lessons)
        except Exception as error:  # noqa: BLE001 - a budget may be anybody's
            refusal = self._typed(error)
            raise refusal from refusal.__cause__
        if isinstance(asked, Grant):
            return self._answered_by_store(asked, began)
        return self._await_store(asked, began)

    def _step(self, limits: Limits, now: int) -> tuple[Limits, Grant, Sequence[Wake]]:
        """Ask."""
        wants, notes = self._asked
        answer, wakes = ask(limits, now, self._me, wants, notes)
        if answer.view is None and notes and self._report.is_heard:
            answer.view = view(limits, limits.at, self._me)
        return limits, answer, wakes

    def _step_in_store(self, limits: Limits, now: int) -> tuple[Limits, Grant, Sequence[Wake]]:
        """Ask; it may run twice, and the last time counts."""
        self._stepped_at = self._holder.read_at
        wants, notes = self._asked
        answer, wakes = ask(limits, now, self._me, wants, notes)
        if answer.view is None:
            answer.view = view(limits, limits.at, self._me)
        return limits, answer, wakes

    async def _await_store(self, asked: Awaitable[Grant], began: int) -> Grant:
        return self._answered_by_store(await asked, began)

    def _answered_by_store(self, answer: Grant, began: int) -> Grant:
        """Note how long it took, and which lines of this process the store knows now."""
        self._fault = ""
        if not self._holder.away:
            self._me.lag = self._lag.learn(self.now() - began, self._me.interval)
        if answer.sleep is not None:
            given = (answer.level, answer.window) if answer.number else None
            self._standing = frozenset(
                line
                for want in self._asked[0]
                if (line := (want.level, want.window)) != given or want.count > 1
            )
        return answer

    def _see(self, answer: Grant, now: int) -> bool:
        """Look at the shared limits, report what has changed, and say whether it is for the worse."""
        seen = answer.view
        if seen is None:
            return False
        before, before_at, self._view, self._view_at = self._view, self._view_at, seen, now
        self.schedule.see(seen, now)
        if before is not None and seen.rest and not before.rest:
            self._news += 1  # a turn that was given before that must not be used
        self._report.saw(before, seen, now, before_at=before_at)
        return _is_worse(before, seen)

    def _refuse_doomed(self) -> None:
        """End the waiting calls that cannot make it any more."""
        now = self.now()
        for call, too_long in self.schedule.doomed(now):
            self._fail(call, self._error(call, too_long, now))
            self._again = True

    def _settle(self, answer: Grant, at: int) -> None:
        """Act on the result of a step that ran at the moment `at`."""
        schedule, now = self.schedule, self.now()
        if answer.number:
            call = schedule.grant(answer, now)
            if call is None:
                self._again = True
            else:
                call.leaves_at = at + answer.wait
                self._granted(call, max(0, call.leaves_at - now))
        asks_at = None if answer.sleep is None else at + answer.sleep
        if schedule.queue:
            held = schedule.held(now)
            if held is not None:
                asks_at = held[1]
                self._again = self._again or not self._prompt  # nobody should wait for this process meanwhile
        self._set_timer(asks_at)
        self._note_pause(now)

    def _granted(self, call: Call, wait: int) -> None:
        ticket = ticket_of(call)
        ticket.news = self._news
        if call.probe:
            self._show_life(call, call.turn)
        if ticket.timer is not None:
            ticket.timer.cancel()
            ticket.timer = None
        if wait > 0:
            ticket.timer = self._loop.call_at(call.leaves_at / SECOND, deliver, ticket)
        else:
            deliver(ticket)
        now = self.now()
        self._report.granted(call, now, waited=now + wait - ticket.queued_at)

    def _refuse(self, call: Call, error: Exception) -> None:
        """End the wait of a call with an error, and report it."""
        self._report.refused(call, self.now(), error)
        self._fail(call, error)

    def _fail(self, call: Call, error: Exception) -> None:
        """End the wait of a call with an error that has been reported."""
        self.schedule.withdraw(call)
        future = ticket_of(call).future
        if future is not None and not future.done():
            future.set_exception(error)

    def _error(self, call: Call, too_long: TooLong, now: int) -> TogglError:
        """Make the error of a call that cannot go in time, and report it."""
        ticket = ticket_of(call)
        wait = too_long.at - now
        moment = dt.datetime.fromtimestamp(self._wall(), dt.UTC) + dt.timedelta(
            microseconds=min(wait, 10**15)
        )
        error: TogglError
        if too_long.reason is Reason.QUOTA:
            seen = self.window(call.window)
            error = QuotaExceeded(
                f"the hourly quota is used up until {moment:%Y-%m-%d %H:%M:%S} UTC",
                reset_at=moment,
                remaining=(seen.remaining or 0) if seen is not None else 0,
                total=seen.total if seen is not None else None,
                organization_id=quota_of(call.window)[1],
                method=ticket.method,
                path=ticket.path(),
                from_memory=True,
            )
        else:
            error = MaxWaitExceeded(
                reason=too_long.reason.value,
                wait=(call.waited + too_long.at - call.since) / SECOND,
                max_wait=(call.max_wait or 0) / SECOND,
                available_at=moment,
            )
        self._report.refused(call, now, error, too_long.reason)
        return error

    def _show_life(self, call: Call, turn: int) -> None:
        """Keep saying that the process of a probe is alive."""
        self._loop.call_later(SIGN_OF_LIFE, self._show_life_again, call, turn)

    def _show_life_again(self, call: Call, turn: int) -> None:
        if call.turn == turn and call.probe:
            self.schedule.notes.append(Alive())
            self.poke()
            self._show_life(call, turn)

    def _learn_cold(self, answer: Grant) -> bool:
        """Read at once what has been learned, and say so; a store has to be waited for."""
        if self._memory is not None:
            self._remember(answer.cold, self._memory.recall(self.key))
        return self._prompt

    def _remember(self, cold: int, memories: Memories) -> None:
        self._cold = cold
        for lesson in self._lessons:  # not told yet
            memories.take(lesson, self.now(), shared=not self._prompt)
        self.memories: Memories = memories
        for workspace_id, organization_id in list(memories.organizations.items()):
            self._learned(workspace_id, organization_id)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """End the waiting calls whose refusal is known by now."""
        for call in list(self.schedule.queue):
            error = ticket_of(call).refusal()
            if error is not None:
                self._refuse(call, error)

    def _due(self) -> None:
        self._timer = None
        self._called = True
        self.poke()


def _is_worse(before: View | None, seen: View) -> bool:
    """Say whether waiting calls may have less to hope for than they had."""
    if before is None or seen.rest > before.rest:
        return True
    for name, window in seen.windows.items():
        known = before.windows.get(name)
        if window.hope is not None and (known is None or known.hope is None or window.hope < known.hope):
            return True
    return False
