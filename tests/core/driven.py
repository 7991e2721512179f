"""Processes driven without a loop: what the driver does, on a clock that somebody else moves.

`explore` takes every choice that these leave, `simulate` draws them. Both watch the promises: each is
broken in the moment in which it is.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from toggl_async.options import Retry
from toggl_async.scheduler.core import waiters
from toggl_async.scheduler.core.ask import Departure, ask, leaving
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.outcome import Outcome
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.queue import Call, CallState, Queue
from toggl_async.scheduler.core.retry import Backoff, Loss
from toggl_async.scheduler.core.schedule import Next, Schedule
from toggl_async.scheduler.core.waiters import Wake

T = TypeVar("T")

ON_THE_WAY = {CallState.GRANTED, CallState.LEAVING, CallState.UNDER_WAY, CallState.ANSWERED}


class Broken(AssertionError):
    """A promise was broken."""


class Promises:
    """What is held against the requests that leave, by whoever sees all of them."""

    __slots__ = ("last_sent", "left_at", "overtaken", "probes", "rests_until", "slack", "starving", "told_at")

    def __init__(self) -> None:
        self.last_sent: int | None = None
        self.rests_until = 0
        self.probes: int | None = None
        """The turn that probes; None while nobody has to, 0 while nobody does."""
        self.overtaken: dict[tuple[str, int, str], int] = {}
        """By line: turns of worse levels given since it entered the calendar."""
        self.starving: dict[tuple[str, int, str], int] = {}
        """By line: how long it could have gone and didn't, rests and shut windows not counted."""
        self.slack = 0
        """How much longer than promised a level may wait, because its processes hold back or die."""
        self.left_at: dict[tuple[str, int, str], int] = {}
        self.told_at = 0

    def copy(self) -> "Promises":
        twin = twin_of(self)
        twin.overtaken, twin.starving = self.overtaken.copy(), self.starving.copy()
        twin.left_at = self.left_at.copy()
        return twin

    def elapsed(self, limits: Limits, now: int) -> None:
        """Count the time in which a line could have gone."""
        since, self.told_at = self.told_at, now
        lines = {
            (name, line.level, line.window)
            for name, waiter in limits.waiters.items()
            for line in waiter.lines
        }
        for key in [key for key in self.starving if key not in lines]:
            # A process that holds back for a while keeps its age.
            if now - self.left_at.setdefault(key, now) > 60 * SECOND:
                del self.starving[key], self.left_at[key]
        for key in lines:
            self.left_at.pop(key, None)
            free_from = max(since, limits.gate.until)
            window = limits.windows.get(key[2])
            if window is not None and window.remaining is not None and window.remaining <= len(window.flying):
                free_from = now if window.reset_at is None else max(free_from, window.reset_at)
            self.starving[key] = self.starving.get(key, 0) + max(0, now - free_from)

    def check_patience(self, limits: Limits) -> None:
        """No level waits for longer than the patience, while others are served."""
        patience = waiters.PATIENCE + 8 * int(SECOND * (1.1 + limits.added)) + self.slack
        for (name, level, window), starved in self.starving.items():
            waits = any(
                (line.level, line.window) == (level, window)
                for line in (limits.waiters[name].lines if name in limits.waiters else ())
            )
            if waits and starved > patience and limits.served[level] < limits.slot:
                raise Broken(f"level {level} of {name} for {window} starves since {starved} us; {limits}")

    def died(self, driver: "Driver") -> None:
        """Take note that a process is dead: if it probed, another has to."""
        if self.probes in driver.turns:
            self.probes = 0

    def granted(self, limits: Limits, me: Process, level: int, aged: bool) -> None:
        """Look at a turn that was given."""
        before, self.overtaken = self.overtaken, {}
        for name, waiter in limits.waiters.items():
            comes = me.tells or waiter.wakes <= limits.slot
            for line in waiter.lines:
                key = name, line.level, line.window
                window = limits.windows.get(line.window)
                shut = (
                    window is not None
                    and window.remaining is not None
                    and window.remaining <= len(window.flying)
                )
                if shut:
                    continue
                self.overtaken[key] = before.get(key, 0) + (line.level < level and not aged and comes)
                if self.overtaken[key] > 1:
                    raise Broken(f"{me.name} took a second turn at level {level} before {key}; {limits}")
        for key in [key for key in self.starving if key[1] == level]:
            self.starving[key] = 0
        for key in [key for key in self.overtaken if key[:2] == (me.name, level)]:
            del self.overtaken[key]

    def sent(self, now: int, least: int, number: int) -> None:
        """Look at a request that leaves."""
        if self.last_sent is not None and now - self.last_sent < least:
            raise Broken(f"sent {now - self.last_sent} us after the one before, not {least}")
        self.last_sent = now
        if now < self.rests_until:
            raise Broken("sent while the account rests")
        if self.probes is not None:
            if self.probes:
                raise Broken("sent beside the probe")
            self.probes = number

    def throttled(self, until: int) -> None:
        """Take note of a 429 of which the limits were told."""
        self.rests_until = max(self.rests_until, until)
        self.probes = 0

    def ended(self, number: int, *, answered: bool) -> None:
        """Take note that a request is over and the limits know."""
        if number == self.probes:
            self.probes = None if answered else 0


class Store:
    """One stored value, and the clock that it goes by; tests of budgets keep the value in a real store."""

    __slots__ = ("now", "promises", "value")

    def __init__(self, now: int = SECOND) -> None:
        self.now = now
        self.value = Limits.new(now).to_bytes()
        self.promises = Promises()

    def transact(self, step: Callable[[Limits, int], T]) -> T:
        """Apply a step to the stored value."""
        limits = Limits.from_bytes(self.value)
        result = step(limits, self.now)
        self.value = limits.to_bytes()
        return result

    def copy(self) -> "Store":
        twin = twin_of(self)
        twin.promises = self.promises.copy()
        return twin


class Driver:
    """One process: a schedule, and what the real driver would do for it."""

    __slots__ = ("alive", "calls", "leaves", "me", "name", "poked", "schedule", "turns", "wakes_at")

    def __init__(self, name: str, me: Process, retry: Retry, max_in_flight: int) -> None:
        self.name = name
        self.me = me
        self.schedule = Schedule(retry, max_in_flight=max_in_flight)
        self.poked = False
        self.wakes_at: int | None = None
        self.alive = True
        self.calls: list[Call] = []
        self.leaves: dict[int, int] = {}
        """By turn, the slot that its last look moved ahead by as long as a store takes to say so."""
        self.turns: dict[int, int] = {}
        """By turn, the call that has it; for the accounts of who watches."""

    def copy(self, twins: dict[int, Call]) -> "Driver":
        """Return the same process; `twins` gets its calls by number."""
        twin = twin_of(self)
        twin.calls = []
        for call in self.calls:
            other = twins[call.number] = copy.copy(call)
            other.line = None
            twin.calls.append(other)
        mine = self.schedule
        twin.schedule = other_schedule = twin_of(mine)
        other_schedule.notes = mine.notes.copy()
        other_schedule.backoff = Backoff(mine.backoff.until, mine.backoff.incidents, mine.backoff.began)
        other_schedule.queue = Queue()
        for other in twin.calls:
            if other.state is CallState.WAITING:
                other_schedule.queue.push(other)
        twin.me = self.me
        twin.turns = self.turns.copy()
        return twin

    def is_due(self, now: int) -> bool:
        """Say whether it would ask now."""
        return self.alive and (self.poked or (self.wakes_at is not None and now >= self.wakes_at))

    def ask(self, store: Store) -> Sequence[Wake]:
        """Run the one transaction of the driver's loop."""
        schedule, now = self.schedule, store.now
        return store.transact(lambda limits, _: self._ask(store, limits, schedule, now))

    def _ask(self, store: Store, limits: Limits, schedule: Schedule, now: int) -> Sequence[Wake]:
        wants, notes = schedule.wants(now), schedule.notes
        schedule.notes = []
        self.poked = False
        probes_before = limits.gate.probe
        watch = store.promises
        watch.elapsed(limits, now)
        ages = {key: since for key, since in watch.starving.items() if key[0] == self.name}
        answer, wakes = ask(limits, now, self.me, wants, notes)
        for note in notes:
            match type(note).__name__:
                case "Throttled":
                    watch.throttled(limits.gate.until)
                case "AnswerTold":
                    watch.ended(note.number, answered=True)  # type: ignore[union-attr]
                case "LossTold" | "Unused":
                    watch.ended(note.number, answered=False)  # type: ignore[union-attr]
        if answer.number:
            aged = ages.get((self.name, answer.level, answer.window), 0) >= waiters.PATIENCE * 9 // 10
            watch.granted(limits, self.me, answer.level, aged)
            if answer.probe and probes_before and watch.probes == probes_before:
                watch.probes = 0  # its lease was over
        if answer.view is not None:
            schedule.see(answer.view, now)
        self.wakes_at = None if answer.sleep is None else now + answer.sleep
        if schedule.queue and now < schedule.backoff.until:
            self.wakes_at = schedule.backoff.until
        if answer.number:
            call = schedule.grant(answer, now)
            if call is not None:
                self.turns[answer.number] = call.number
                schedule.begin(call, now)
            else:
                self.poked = True
        return wakes

    def leave(self, store: Store, call: Call, least: int) -> tuple[bool, Sequence[Wake]]:
        """Look a last time, and send; return whether it left."""
        schedule, now = self.schedule, store.now
        rests = now < store.promises.rests_until  # it would have been woken
        if self.leaves.pop(call.turn, None) == now and not rests:
            store.promises.sent(now, least, call.turn)
            schedule.sent(call, now)
            return True, ()

        def step(limits: Limits, _: int) -> tuple[Departure, Sequence[Wake]]:
            store.promises.elapsed(limits, now)
            return leaving(limits, now, self.me, call.turn, call.level, call.window)

        departure, wakes = store.transact(step)
        if not schedule.depart(call, departure, now):
            schedule.send_back(call, now)
            self.poked = True
            return False, wakes
        self.turns[call.turn] = call.number
        if departure.wait:
            if self.me.lag:
                self.leaves[call.turn] = call.leaves_at
            return False, wakes
        store.promises.sent(now, least, call.turn)
        schedule.sent(call, now)
        return True, wakes

    def answered(self, store: Store, call: Call, outcome: Outcome, chance: float = 0.5) -> Next:
        """Take an answer, read it, and send it again where that is decided."""
        result = self.schedule.answered(call, outcome, store.now, chance)
        self._follow(call, result, store.now)
        return result

    def lost(self, store: Store, call: Call, loss: Loss, chance: float = 0.5) -> Next:
        """Take a loss."""
        result = self.schedule.lost(call, loss, store.now, chance)
        self._follow(call, result, store.now)
        return result

    def _follow(self, call: Call, result: Next, now: int) -> None:
        if result.again is None:
            self.schedule.finish(call)
        else:
            self.schedule.again(call, now)
        if outcome_throttles(result):
            for _ in self.schedule.doomed(now):
                pass
        self.poked = True

    def submit(self, store: Store, call: Call) -> bool:
        """Let a call wait, if it can go in time."""
        self.calls.append(call)
        refused = self.schedule.submit(call, store.now)
        self.poked = True
        return refused is None

    def withdraw(self, call: Call) -> None:
        """Let a caller give up."""
        self.schedule.withdraw(call)
        self.poked = True

    def check(self) -> None:
        """Look at the books of the schedule."""
        schedule = self.schedule
        on_the_way = sum(call.state in ON_THE_WAY for call in self.calls)
        if schedule.in_flight != on_the_way:
            raise Broken(f"{schedule.in_flight} slots are held by {on_the_way} calls")
        waiting = sum(call.state is CallState.WAITING for call in self.calls)
        if len(schedule.queue) != waiting:
            raise Broken(f"{waiting} calls wait, and {len(schedule.queue)} are in the queue")


def twin_of(thing: T) -> T:
    """Return a shallow copy of an object with slots; `copy.copy` takes five times as long."""
    kind = type(thing)
    twin = object.__new__(kind)
    for name in kind.__slots__:  # type: ignore[attr-defined]
        setattr(twin, name, getattr(thing, name))
    return twin


def outcome_throttles(result: Next) -> bool:
    """Say whether those who wait may be too late now."""
    return result.again is not None


def check_flights(store: Store, drivers: Sequence[Driver]) -> None:
    """Nothing flies in the windows but what is on its way, not told yet, or of the dead."""
    limits = Limits.from_bytes(store.value)
    known = {call.turn for driver in drivers for call in driver.calls if call.turn}
    told = {getattr(note, "number", 0) for driver in drivers for note in driver.schedule.notes}
    if all(driver.alive for driver in drivers):
        for name, window in limits.windows.items():
            leaked = set(window.flying) - known - told
            if leaked:
                raise Broken(f"turns {leaked} fly in {name} for ever")


def process(name: str, **changes: Any) -> Process:
    """Return a process with an interval of one second and no margin, unless told otherwise."""
    settings: dict[str, Any] = {
        "base": SECOND,
        "interval": SECOND,
        "rest_minimum": 4 * SECOND,
        "rest_maximum": 4 * SECOND,
    }
    return Process(name=name, **(settings | changes))
