"""The driver of one account: it asks the core, waits, and gives turns to those who wait.

It owns what the core must not know: futures, timers and the running loop. An account has one timer, one
outbox of notes and one transaction under way. `poke` starts the loop, which is a generator: it collects
wants and notes, applies the step, and takes what was granted. It yields only where a budget has to be
waited for; what is not finished then is carried on by a task. So a budget in memory costs no await and no
task, and there is one loop for all budgets. Who pokes meanwhile sets a flag, and the loop goes round once
more.

A call that meets an account at rest takes its turn itself, without a line, a future or the loop.

*Cancellation.* A caller that gives up leaves its place, or hands its turn back; others lose one place at
most. *Listeners* are told after the fact, so they can do anything to calls and scheduler.

Every send passes a limiter when its connection is at hand, whatever the budget says: it guarantees the
spacing of this process's sends, also while a store is away or wrong.
"""

import asyncio
import contextlib
import contextvars
import datetime as dt
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Final, Generic, TypeVar

from aiolimiter import AsyncLimiter

from toggl_async.errors import ClientClosed, MaxWaitExceeded, QuotaExceeded, TogglError
from toggl_async.options import ClientOptions
from toggl_async.scheduler.budgets import Holder
from toggl_async.scheduler.coalesce import Coalescer
from toggl_async.scheduler.core.ask import Departure, Grant, View, WindowView, ask, leaving, view
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Forgotten, Lesson, Memories
from toggl_async.scheduler.core.notes import Alive, Learned, LossTold, Note, Unused
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.retry import Loss
from toggl_async.scheduler.core.route import quota_of
from toggl_async.scheduler.core.schedule import Next, Reason, Recalled, Schedule, TooLong
from toggl_async.scheduler.core.waiters import Wake, Want
from toggl_async.scheduler.reporter import Reporter

__all__ = ["Background", "Driver", "Ticket", "closed"]

T = TypeVar("T")

GRACE: Final = 0.05
"""Share of the interval that the timer at a deadline leaves to a turn that is about to come."""
SIGN_OF_LIFE: Final = 2.0
"""Seconds between two notes that the process of a probe is alive."""
LEASE: Final = 5 * SECOND
"""How much longer than its timeout a request under way is waited for."""
LONGEST_LEASE: Final = 3600 * SECOND
SOON: Final = SECOND // 1000
"""How much later than its slot a turn may leave without a last look at limits in memory: about as long
as the way from the turn to the wire takes where a connection is at hand."""
LATE: Final = SECOND // 200
"""How much later than its slot a turn may leave without a last look at a store."""

_logger: Final = logging.getLogger("toggl_async.scheduler")


class Ticket:
    """What the driver keeps with a call.

    Args:
        route: method and path template, for events.
        method: the HTTP method, for errors.
        path: the path as errors may show it.
        owner: whose call it is, for `Driver.close`.
        refusal: returns the error of a refusal that is remembered by now.
    """

    __slots__ = ("future", "method", "news", "owner", "path", "queued_at", "refusal", "route", "timer")

    def __init__(
        self,
        *,
        route: str,
        method: str,
        path: Callable[[], str],
        owner: object,
        refusal: Callable[[], TogglError | None],
    ) -> None:
        self.route: str = route
        self.method: str = method
        self.path: Callable[[], str] = path
        self.owner: object = owner
        self.refusal: Callable[[], TogglError | None] = refusal
        self.future: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.queued_at: int = 0
        self.news: int = 0
        """What the driver had learned when the turn was given."""


class Background(Generic[T]):
    """Something that goes on in a task of its own, whoever waits for it gives up."""

    __slots__ = ("_task",)

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    async def wait(self) -> T:
        """Wait for its result, and leave it alone if cancelled."""
        if not self._task.done():
            await asyncio.wait([self._task])
        return self._task.result()

    def stop(self, ended: Callable[[], None]) -> None:
        """Cancel it; `ended` is called when it is over, even if whoever stopped it is gone."""

        def over(task: "asyncio.Task[T]") -> None:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio is content
            ended()

        self._task.cancel()
        self._task.add_done_callback(over)


class Driver:
    """The calls of one account; belongs to one event loop.

    Args:
        key: the account's, among all that share the budget.
        number: the account's, in events and logs.
        options: of the scheduler.
        holder: the scheduler's hold on its budget.
        chance: where chance comes from.
        report: the voice of the account.
        wall: the wall clock, in seconds.
        learned: told of workspace and organization when the budget knew more of them.
    """

    __slots__ = (
        "_again",
        "_asked",
        "_chance",
        "_closed",
        "_cold",
        "_holder",
        "_learned",
        "_lessons",
        "_limiter",
        "_loop",
        "_made",
        "_me",
        "_memories",
        "_news",
        "_pause",
        "_prompt",
        "_report",
        "_running",
        "_store_ahead",
        "_task",
        "_timer",
        "_totals",
        "_unplaced",
        "_view",
        "_view_at",
        "_wall",
        "key",
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
        self._memories = Memories()
        self._lessons: list[Lesson] = []
        self._cold = 0
        self._store_ahead = 0
        self._asked: tuple[Sequence[Want], Sequence[Note]] = (), ()
        self._prompt = True
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

    # What is asked from outside

    def now(self) -> int:
        """Return the loop's time in microseconds."""
        return round(self._loop.time() * SECOND)

    def call(
        self,
        level: int,
        window: str,
        ticket: Ticket,
        *,
        reads: bool,
        max_wait: float | None,
        max_attempts: int | None,
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
            if isinstance(asked, Grant):
                self._learn_cold(asked)
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
            if asked is not None:
                self.poke()  # it stands in the calendar already
            raise self._error(call, too_long, now)
        return self._queue(call, now, asked)

    def again(self, call: Call) -> Awaitable[None] | None:
        """Let a call that `Next` sends again return to the head of its line.

        Raises:
            MaxWaitExceeded: as for `turn`; then its slot is free.
            QuotaExceeded: likewise.
            ClientClosed: likewise.
        """
        if self._closed:
            self.withdraw(call)
            raise closed()
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
            self.withdraw(call)
            raise closed()
        now = self.now()
        self.schedule.send_back(call, now)
        return self._queue(call, now, None)

    def begin(self, call: Call) -> None:
        """Take note that a call is handed to the network."""
        _ticket(call).news = self._news
        self.schedule.begin(call, self.now())

    async def depart(self, call: Call, *, may_wait: bool = True, again: bool = False) -> None:
        """Let a request leave, at the right distance from the one before.

        Args:
            call: the request.
            may_wait: whether it can be held up where it is.
            again: whether its transport sends it a second time, unasked.

        Raises:
            Recalled: it was on its way to the wire when a 429 came, or the end of its quota; or it is
                too early, and cannot be held up.
        """
        limiter = self._limiter
        if again:
            # As where a server ended an HTTP/2 connection: that needs a turn of its own.
            self.schedule.notes.append(LossTold(call.turn, call.window))
            call.turn = 0
            raise Recalled(Reason.PACE)
        first = call.state is not CallState.UNDER_WAY
        if not first and self.now() - call.sent_at <= LATE:
            return  # it was taken to leave when it was handed over, and so it does
        look = self._is_late(call)
        passed = limiter is None
        while True:
            if look:
                await self._last_look(call, may_wait=may_wait)
            if passed or limiter is None:
                break
            look = not limiter.has_capacity()
            if look and not may_wait:
                raise Recalled(Reason.PACE)
            await limiter.acquire()
            passed = True
            if not look:
                break
        now = self.now()
        self.schedule.sent(call, now)
        if first:
            self._report.sent(call, now, _ticket(call).route)

    def answered(self, call: Call, status: int, outcome: Outcome) -> Next:
        """Learn from an answer; the call keeps its slot until `finish` or `again`."""
        now = self.now()
        elapsed = now - call.sent_at
        then = self.schedule.answered(call, outcome, now, self._chance.random())
        if outcome.kind in {OutcomeKind.THROTTLED, OutcomeKind.QUOTA}:
            self._news += 1
        self._report.answered(call, now, _ticket(call).route, status, outcome, elapsed)
        self.poke()
        return then

    def lost(self, call: Call, loss: Loss, error: str, *, sent: bool) -> Next:
        """Learn from a request that brought no answer, or half of one."""
        now = self.now()
        then = self.schedule.lost(call, loss, now, self._chance.random())
        self._report.lost(call, now, _ticket(call).route, error, sent=sent)
        self.poke()
        return then

    def broke_off(self, call: Call, error: str) -> None:
        """Learn that an answer broke off that its caller reads; its slot is free once it is closed."""
        now = self.now()
        self.schedule.backoff.fail(now, call.sent_at, None, self.options.retry, self._chance.random())
        self._report.lost(call, now, _ticket(call).route, error, sent=True)

    def finish(self, call: Call) -> None:
        """Free the slot of a call whose answer has been read, or that ended without one."""
        if call.state is not CallState.DONE:
            self.schedule.finish(call)
            if self.schedule.queue:
                self.poke()

    def withdraw(self, call: Call) -> None:
        """Let a call go whose caller has given up, wherever it is; does nothing if it is done."""
        if call.state is not CallState.DONE:
            now = self.now()
            self.schedule.withdraw(call)
            self._report.cancelled(call, now, _ticket(call).route)
            self.poke()

    def retried(self, call: Call, reason: Reason) -> None:
        """Tell that a call goes back to the queue."""
        self._report.retried(call, self.now(), _ticket(call).route, reason)

    def refused(self, error: TogglError, route: str) -> None:
        """Tell that a call fails because an earlier answer is remembered."""
        self._report.refused_from_memory(self.now(), route, error)

    def tell_shared(self, route: str) -> None:
        """Tell that a call joins an identical one."""
        self._report.shared(self.now(), route)

    def tell_remembered(self, status: int, route: str, how_long: str) -> None:
        """Say once that a refusal will not be asked for again."""
        self._report.remembered(status, route, for_how_long=how_long)

    # What is learned besides

    @property
    def memories(self) -> Memories:
        """What is remembered of the account."""
        return self._memories

    def store_now(self) -> int:
        """Return the budget's clock, as far as it is known."""
        return self.now() + self._store_ahead

    def learn(self, lesson: Lesson) -> bool:
        """Take in what was learned of the account; say whether it is news."""
        is_news = self._memories.take(lesson, self.store_now(), shared=not self._prompt)
        self._lessons.append(lesson)
        self.schedule.notes.append(Learned())
        if is_news and not isinstance(lesson, Forgotten):
            self._news += 1
            self._refuse_waiting()
        self.poke()
        return is_news

    def place(self, workspace_id: int, lasting: str, lesson: Lesson) -> None:
        """Take note of the organization of a workspace, if calls have spent from a window of its own."""
        if workspace_id in self._unplaced:
            self._unplaced.discard(workspace_id)
            self.schedule.merge(f"workspace:{workspace_id}", lasting)
            self.learn(lesson)

    def _spends(self, window: str) -> None:
        if window.startswith("workspace:"):
            self._unplaced.add(int(window.partition(":")[2]))

    def told_quota(self, window: str, *, remaining: int, resets_in: int, total: int | None) -> None:
        """Take one row of ``GET /me/quota``; `resets_in` in microseconds."""
        if total is not None:
            self._totals[window] = total
        self.schedule.told_quota(window, remaining, resets_in, total)
        self.poke()

    def total(self, window: str) -> int | None:
        """Return how many requests a window allows, as far as known."""
        return self._totals.get(window)

    # How things stand

    def look(self) -> View | None:
        """Return the account as it stands; from a store, as it stood at the last look."""
        if self._prompt and not self._running:
            self._refresh()
        return self._view

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

    def is_idle(self) -> bool:
        """Say whether nothing is under way and nothing is known that a new account would miss."""
        if self.schedule.in_flight or self.schedule.queue or self._running:
            return False
        if self._memories.refusals or self._memories.login is not None:
            return False
        seen = self.look()
        return seen is None or (
            not seen.rest and all(window.resets_in is None for window in seen.windows.values())
        )

    # Endings

    def close(self, owner: object = None) -> None:
        """End the waiting calls of one owner, or of all for good, with ClientClosed."""
        if owner is None:
            self._closed = True
        for call in list(self.schedule.queue):
            if owner is None or _ticket(call).owner is owner:
                self._fail(call, closed())
        self.poke()

    async def stop(self) -> None:
        """End the task and the timer; only after `close`."""
        self._set_timer(None)
        if self._task is not None:
            await asyncio.wait([self._task])

    # The short way

    def _is_soon_enough(self, call: Call, wait: int) -> bool:
        return not wait or call.max_wait is None or wait <= call.max_wait - call.waited

    def _go(self, call: Call, answer: Grant, now: int) -> Awaitable[None] | None:
        """Take a turn that was given at once; wait for its slot, if that is a little ahead."""
        call.since = now
        self.schedule.give(call, answer, now)
        if answer.probe:
            self._show_life(call, call.turn)
        if self._timer is not None:
            self._set_timer(None)
        if answer.wait > 0:
            ticket = _ticket(call)
            ticket.queued_at = now
            ticket.future = self._loop.create_future()
            ticket.timer = self._loop.call_at(call.leaves_at / SECOND, _deliver, ticket)
            self._report.granted(call, now, ticket.route, waited=answer.wait)
            return self._wait(call, ticket)
        self._report.granted(call, now, _ticket(call).route, waited=0)
        return None

    def _tells_at_once(self) -> bool:
        """Tell what there is to tell, where nobody waits or listens: nothing else can come of it."""
        if not self._prompt or self._running or self._pause is not None or self._report.is_heard:
            return False
        schedule = self.schedule
        if schedule.queue or schedule.check is not None or self._lessons:
            return False
        if schedule.notes or self._timer is not None:
            told = self._transact(())
            if not isinstance(told, Grant):
                self._start(self._steps(told))
                return True
            self._learn_cold(told)
            self._set_timer(None)
        return True

    # The long way

    def _queue(self, call: Call, now: int, asked: Grant | Awaitable[Grant] | None) -> Awaitable[None]:
        """Let a call wait that stands in its line."""
        ticket = _ticket(call)
        ticket.future = self._loop.create_future()
        ticket.queued_at = now
        if call.deadline is not None:
            grace = GRACE * self._me.interval / SECOND
            ticket.timer = self._loop.call_at(call.deadline / SECOND + grace, self._expire, call)
        if self._report.is_heard or len(self.schedule.queue) > 1:
            at, reason = self.schedule.expected(call, now)
            waiting = len(self.schedule.queue)
            self._report.queued(call, now, ticket.route, wait=at - now, reason=reason, waiting=waiting)
        if call.state is not CallState.WAITING:
            return self._wait(call, ticket)  # a listener has seen to it
        if asked is None:
            self.poke()
        elif isinstance(asked, Grant):
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
                future.exception()  # it failed in the same moment: looked at, so that asyncio is content
            self.withdraw(call)
            raise
        finally:
            if ticket.timer is not None:
                ticket.timer.cancel()
                ticket.timer = None
            ticket.future = None
            self._report.counters.waited += (self.now() - ticket.queued_at) / SECOND

    def poke(self) -> None:
        """Have the core asked again, because something has changed."""
        if self._tells_at_once():
            return
        self._again = True
        if not self._running and not self._loop.is_closed():
            self._start(self._steps(None))

    def _start(self, steps: Generator[Awaitable[Any], Any, None]) -> None:
        self._running = True
        try:
            pending = next(steps)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it, whatever it is
            self._failed(error)
            return
        # In a context of its own: it must not keep alive what the first caller had in his.
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
        """Take leave of a task; nobody is left hanging, whatever it ended with."""
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)
        elif task.cancelled():
            self._running = False
            if not task.get_loop().is_closed():
                self.poke()

    def _failed(self, error: Exception) -> None:
        self._running = self._again = False
        _logger.error("account %d: the budget could not be asked", self.number, exc_info=error)
        for call in list(self.schedule.queue):
            self._fail(call, error)

    def _steps(self, asked: Grant | Awaitable[Grant] | None) -> Generator[Awaitable[Any], Any, None]:
        """Ask the core as long as something changes; yield what has to be waited for."""
        try:
            while asked is not None or self._again:
                if asked is None:
                    self._again = False
                    now = self.now()
                    self.schedule.look(now, round(self._wall() * SECOND))
                    asked = self._transact(self.schedule.wants(now))
                if isinstance(asked, Grant):
                    answer = asked
                else:
                    self._prompt = False
                    answer = yield asked
                asked = None
                if answer.cold != self._cold:
                    memories = self._holder.recall(self.key)
                    if not isinstance(memories, Memories):
                        memories = yield memories
                    self._remember(answer.cold, memories)
                now = self.now()
                self._see(answer, now)
                self._settle(answer, now)
        finally:
            self._running = False

    def _transact(self, wants: Sequence[Want]) -> Grant | Awaitable[Grant]:
        """Take a step on the shared limits, with all that there is to tell."""
        schedule = self.schedule
        self._me.chance = self._chance.random()
        notes = schedule.notes
        self._asked = wants, notes
        if not notes:
            return self._holder.transact(self.key, self._step)
        schedule.notes = []
        lessons, self._lessons = self._lessons, []
        return self._holder.transact(self.key, self._step, lessons)

    def _step(self, limits: Limits, now: int) -> tuple[Limits, Grant, Sequence[Wake]]:
        """Ask; it may run twice."""
        wants, notes = self._asked
        answer, wakes = ask(limits, now, self._me, wants, notes)
        if answer.view is None and (not self._prompt or (notes and self._report.is_heard)):
            answer.view = view(limits, limits.at, self._me)
        self._store_ahead = now - self.now() if not self._prompt else 0
        return limits, answer, wakes

    def _see(self, answer: Grant, now: int) -> None:
        """Take a look at the shared limits, and tell what has changed."""
        seen = answer.view
        if seen is None:
            return
        before, before_at, self._view, self._view_at = self._view, self._view_at, seen, now
        self.schedule.see(seen, now)
        self._report.saw(before, seen, now, before_at=before_at)
        if self.schedule.queue and _is_worse(before, seen):
            for call, too_long in self.schedule.doomed(now):
                self._fail(call, self._error(call, too_long, now))
                self._again = True

    def _settle(self, answer: Grant, now: int) -> None:
        """Take what a step gave."""
        schedule = self.schedule
        if answer.number:
            call = schedule.grant(answer, now)
            if call is None:
                self._again = True
            else:
                self._granted(call, answer.wait)
        sleep = answer.sleep
        if schedule.queue:
            held = schedule.held(now)
            if held is not None:
                sleep = None if held[1] is None else held[1] - now
        self._set_timer(None if sleep is None else now + sleep)
        self._note_pause(now)

    def _granted(self, call: Call, wait: int) -> None:
        ticket = _ticket(call)
        if call.probe:
            self._show_life(call, call.turn)
        if ticket.timer is not None:
            ticket.timer.cancel()
            ticket.timer = None
        if wait > 0:
            ticket.timer = self._loop.call_at(call.leaves_at / SECOND, _deliver, ticket)
        else:
            _deliver(ticket)
        now = self.now()
        self._report.granted(call, now, ticket.route, waited=now + wait - ticket.queued_at)

    def _expire(self, call: Call) -> None:
        """End a wait whose deadline has come."""
        if call.state is CallState.WAITING:
            now = self.now()
            error = self._error(call, self.schedule.too_long(call, now), now)
            self._fail(call, error)
            self.poke()

    def _fail(self, call: Call, error: BaseException) -> None:
        """End the wait of a call with an error."""
        self.schedule.withdraw(call)
        future = _ticket(call).future
        if future is not None and not future.done():
            future.set_exception(error)

    def _error(self, call: Call, too_long: TooLong, now: int) -> TogglError:
        """Make the error of a call that cannot go in time, and tell of it."""
        ticket = _ticket(call)
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
        self._report.refused(call, now, ticket.route, error, too_long.reason)
        return error

    def window(self, name: str) -> WindowView | None:
        """Return a window as it stood at the last look."""
        return self._view.windows.get(name) if self._view is not None else None

    # On the way

    def _is_late(self, call: Call) -> bool:
        """Say whether a turn needs a last look: its slot is over, or something was learned since."""
        if _ticket(call).news != self._news:
            return True
        return self.now() - call.leaves_at > min(SOON if self._prompt else LATE, self._me.interval // 100)

    async def _last_look(self, call: Call, *, may_wait: bool) -> None:
        """Look until the request may leave.

        Raises:
            Recalled: it must not, or not now and it can't wait here.
        """
        if not self._prompt and not may_wait:
            raise Recalled(Reason.PACE)  # to ask a store takes time
        while True:
            turn = call.turn, call.level, call.window

            def step(limits: Limits, now: int) -> tuple[Limits, Departure, Sequence[Wake]]:
                return limits, *leaving(limits, now, self._me, *turn)  # noqa: B023 - used up at once

            departure = self._holder.transact(self.key, step)
            if not isinstance(departure, Departure):
                departure = await departure
            now = self.now()
            if not departure.number:
                call.turn = 0
                raise Recalled(self._why(call))
            call.turn, call.leaves_at = departure.number, now + departure.wait
            if departure.wait <= 1:
                return
            if not may_wait:
                raise Recalled(Reason.PACE)
            await asyncio.sleep(departure.wait / SECOND)

    def _why(self, call: Call) -> Reason:
        """Return why a turn was not used."""
        seen = self.look()
        if seen is not None and (seen.rest or seen.probing):
            return Reason.COOLDOWN
        window = self.window(call.window)
        return Reason.QUOTA if window is not None and window.left == 0 else Reason.QUEUE

    def _show_life(self, call: Call, turn: int) -> None:
        """Say again and again that the process of a probe is alive."""
        self._loop.call_later(SIGN_OF_LIFE, self._show_life_again, call, turn)

    def _show_life_again(self, call: Call, turn: int) -> None:
        if call.turn == turn and call.probe:
            self.schedule.notes.append(Alive())
            self.poke()
            self._show_life(call, turn)

    # Details

    def _refresh(self) -> None:
        """Take a fresh look at limits that are at hand."""
        if self._prompt:
            now = self.now()
            seen = self._holder.transact(self.key, self._viewing)
            if isinstance(seen, View):
                self._view, self._view_at = seen, now
                self.schedule.see(seen, now)

    def _viewing(self, limits: Limits, now: int) -> tuple[Limits, View, Sequence[Wake]]:
        notes: list[Note] = []
        ask_nothing = not self.schedule.queue
        if ask_nothing:
            ask(limits, now, self._me, (), notes)  # windows whose reset has come are full again
        return limits, view(limits, limits.at, self._me), ()

    def _learn_cold(self, answer: Grant) -> None:
        if answer.cold != self._cold:
            memories = self._holder.recall(self.key)
            if isinstance(memories, Memories):
                self._remember(answer.cold, memories)

    def _remember(self, cold: int, memories: Memories) -> None:
        self._cold, self._memories = cold, memories
        for workspace_id, organization_id in list(memories.organizations.items()):
            self._learned(workspace_id, organization_id)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """End the waiting calls whose refusal is known by now."""
        for call in list(self.schedule.queue):
            error = _ticket(call).refusal()
            if error is not None:
                self._fail(call, error)

    def _set_timer(self, at: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._loop.call_at(at / SECOND, self._due)

    def _due(self) -> None:
        self._timer = None
        self.poke()

    def _note_pause(self, now: int) -> None:
        """Tell what everybody waits for, each time that it changes."""
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
            if known.resets_in is not None:
                resets.append(self._view_at + known.resets_in)
        return Reason.QUOTA, min(resets) / SECOND if resets else math.inf


def closed() -> ClientClosed:
    """Return the error of calls that wait when their client is closed."""
    return ClientClosed("the client was closed before the call could go")


def _deliver(ticket: Ticket) -> None:
    """Hand a turn to whoever waits for it, in the moment of its slot."""
    future = ticket.future
    if future is not None and not future.done():  # else its caller has just given up, and hands it back
        future.set_result(None)


def _ticket(call: Call) -> Ticket:
    ticket = call.load
    assert isinstance(ticket, Ticket)  # noqa: S101 - `Driver.call` put it there
    return ticket


def _is_worse(before: View | None, seen: View) -> bool:
    """Say whether waiting calls may have less to hope for than they had."""
    if before is None or seen.rest > before.rest:
        return True
    for name, window in seen.windows.items():
        known = before.windows.get(name)
        if window.hope is not None and (known is None or known.hope is None or window.hope < known.hope):
            return True
    return False
