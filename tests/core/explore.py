"""A small model checker: every interleaving of a few callers, answers, losses and times.

Two processes share one stored value. In each state every action that could come next is taken:
callers ask and give up, processes look, requests leave in time or late, answers of all kinds come or
don't, a process dies, the clock moves to the next thing that is due. Every promise is asserted in
every state, and from every state the world, left alone, has to come to an end: all calls done, nobody
in the calendar, nothing flying.

``nox -s explore`` runs it to the depth at which every rule has fired.
"""

import argparse
import collections
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from toggl_async.options import Priority, Retry
from toggl_async.scheduler.core import ask as asking
from toggl_async.scheduler.core import foresight, gate, notes, turns, waiters, windows
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.retry import Loss

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.driven import Broken, Driver, Store, check_flights, process

SHORT_PATIENCE = 5 * SECOND // 2
SHORT_HOUR = 12 * SECOND

OUTCOMES = {
    "200": Outcome(OutcomeKind.DONE),
    "200, 1 left": Outcome(OutcomeKind.DONE, remaining=1, resets_in=9 * SECOND),
    "429": Outcome(OutcomeKind.THROTTLED),
    "402 quota": Outcome(OutcomeKind.QUOTA, remaining=0, resets_in=6 * SECOND),
    "402 feature": Outcome(OutcomeKind.FEATURE, remaining=2, resets_in=6 * SECOND),
    "503": Outcome(OutcomeKind.FAILED),
}


class Caller(NamedTuple):
    """Somebody who will call."""

    process: int
    level: Priority
    window: str = "user"
    writes: bool = False
    patience: int | None = None


class World:
    """Everything that an action can change."""

    __slots__ = ("calls", "deaths", "drivers", "faults", "store", "withdrawals", "writes")

    def __init__(self, callers: tuple[Caller, ...], faults: int, withdrawals: int, deaths: int) -> None:
        self.store = Store()
        self.drivers = [
            Driver(name, process(name), Retry(attempts=2, minimum=0.5, maximum=2.0), 2) for name in ("a", "b")
        ]
        self.calls: list[Call | None] = [None] * len(callers)
        self.faults, self.withdrawals, self.deaths = faults, withdrawals, deaths
        self.writes: dict[int, bool] = {}

    def copy(self) -> "World":
        """Return the same world, to go another way."""
        twin = object.__new__(World)
        twin.store = self.store.copy()
        twin.drivers, twin.calls = [], []
        twins: dict[int, Call] = {}
        for driver in self.drivers:
            twin.drivers.append(driver.copy(twins))
        twin.calls = [None if call is None else twins[call.number] for call in self.calls]
        twin.faults, twin.withdrawals, twin.deaths = self.faults, self.withdrawals, self.deaths
        twin.writes = self.writes.copy()
        return twin

    def alive(self, name: str) -> bool:
        return any(driver.alive for driver in self.drivers if driver.name == name)

    def wake(self, wakes: Any) -> None:
        for wake in wakes:
            for driver in self.drivers:
                if driver.name == wake.name:
                    at = self.store.now + wake.after
                    driver.wakes_at = at if driver.wakes_at is None else min(driver.wakes_at, at)

    def call(self, number: int) -> Call:
        """Return a call that was made."""
        call = self.calls[number]
        assert call is not None
        return call

    def key(self) -> tuple[object, ...]:
        """Return what makes two worlds the same."""
        store = self.store
        return (
            store.now,
            store.value,
            store.promises.last_sent,
            store.promises.rests_until,
            store.promises.probes,
            tuple(store.promises.overtaken.items()),
            tuple(store.promises.starving.items()),
            self.faults,
            self.withdrawals,
            tuple(
                (
                    driver.poked,
                    driver.wakes_at,
                    driver.alive,
                    driver.schedule.backoff.until,
                    driver.schedule.backoff.incidents,
                    tuple(map(repr, driver.schedule.notes)),
                )
                for driver in self.drivers
            ),
            tuple(
                None
                if call is None
                else (
                    call.state,
                    call.turn,
                    call.attempts,
                    call.failures,
                    call.leaves_at,
                    call.since,
                    call.waited,
                )
                for call in self.calls
            ),
        )


Action = tuple[str, tuple[Any, ...]]


class Explorer:
    """Walks the worlds that follow from one."""

    def __init__(
        self,
        callers: tuple[Caller, ...],
        *,
        faults: int = 2,
        withdrawals: int = 1,
        deaths: int = 0,
        lazy: bool = False,
    ) -> None:
        self.callers = callers
        self.lazy = lazy
        self.start = World(callers, faults, withdrawals, deaths)
        self.fired: collections.Counter[str] = collections.Counter()
        self.states = self.transitions = self.depth = 0

    def actions(self, world: World) -> Iterator[Action]:
        """Go through everything that could happen next."""
        now = world.store.now
        for number, call in enumerate(world.calls):
            caller = self.callers[number]
            if not world.drivers[caller.process].alive:
                continue
            if call is not None:
                yield from self._of(world, number, call)
            # Callers of one kind are alike: only the first of them comes next.
            elif not any(world.calls[n] is None and self.callers[n] == caller for n in range(number)):
                yield "submit", (number,)
        for index, driver in enumerate(world.drivers):
            if driver.is_due(now):
                yield "ask", (index,)
            if world.deaths and driver.alive and driver.calls:
                yield "kill", (index,)
        if (ahead := self.next_time(world)) is not None:
            yield "clock", (ahead,)

    def _of(self, world: World, number: int, call: Call) -> Iterator[Action]:
        """Go through what could happen to a call."""
        if call.state is not CallState.DONE and world.withdrawals:
            yield "withdraw", (number,)
        if call.state is CallState.LEAVING:
            if world.store.now >= call.leaves_at:
                yield "leave", (number,)
            if world.faults:
                yield "lose", (number, Loss.NEVER_LEFT)
        elif call.state is CallState.UNDER_WAY:
            for name in OUTCOMES if world.faults else ("200",):
                yield "answer", (number, name)
            if world.faults:
                yield "lose", (number, Loss.MAY_HAVE_LEFT)

    def next_time(self, world: World) -> int | None:
        """Return the next instant at which something is due."""
        now = world.store.now
        times = [driver.wakes_at for driver in world.drivers if driver.alive and driver.wakes_at is not None]
        times += [
            call.leaves_at
            for call, caller in zip(world.calls, self.callers, strict=True)
            if call is not None and call.state is CallState.LEAVING and world.drivers[caller.process].alive
        ]
        later = [at for at in times if at > now]
        if later:
            return min(later)
        # Something is due already: a busy machine lets time pass all the same.
        busy = any(driver.is_due(now) for driver in world.drivers) or any(
            call is not None
            and call.state in {CallState.LEAVING, CallState.UNDER_WAY}
            and world.drivers[caller.process].alive
            for call, caller in zip(world.calls, self.callers, strict=True)
        )
        return now + 7 * SECOND // 10 if busy else None

    def act(self, world: World, action: Action) -> None:
        """Do one thing; who has something to tell does so at once, unless the scene is lazy."""
        self.do(world, action)
        while not self.lazy:
            driver = next((driver for driver in world.drivers if driver.poked and driver.alive), None)
            if driver is None:
                break
            driver.me.alive = world.alive
            world.wake(driver.ask(world.store))

    def do(self, world: World, action: Action) -> None:
        """Do one thing."""
        name, arguments = action
        if name == "clock":
            (world.store.now,) = arguments
        elif name in {"ask", "kill"}:
            driver = world.drivers[arguments[0]]
            driver.me.alive = world.alive
            if name == "ask":
                world.wake(driver.ask(world.store))
            else:
                driver.alive = False
                world.deaths -= 1
                world.store.promises.died(driver)
        else:
            number, *rest = arguments
            driver = world.drivers[self.callers[number].process]
            driver.me.alive = world.alive
            getattr(self, f"_{name}")(world, driver, number, *rest)

    def _submit(self, world: World, driver: Driver, number: int) -> None:
        caller = self.callers[number]
        call = world.calls[number] = Call(
            number + 1, caller.level, caller.window, reads=not caller.writes, max_wait=caller.patience
        )
        if not driver.submit(world.store, call):
            self.fired["refused: too long"] += 1

    def _withdraw(self, world: World, driver: Driver, number: int) -> None:
        call = world.call(number)
        world.withdrawals -= 1
        self.fired[f"withdrawn while {call.state.value}"] += 1
        driver.withdraw(call)

    def _leave(self, world: World, driver: Driver, number: int) -> None:
        call = world.call(number)
        late = world.store.now > call.leaves_at
        before, attempts = call.turn, call.attempts
        left, wakes = driver.leave(world.store, call, SECOND)
        world.wake(wakes)
        if left:
            self.fired["left late" if late else "left in time"] += 1
            if self.callers[number].writes and world.writes.get(number):
                raise Broken("a write that may have been applied was sent again")
        elif call.attempts < attempts:
            self.fired["sent back at the last look"] += 1
        elif call.turn != before:
            self.fired["passed: a new turn behind the others"] += 1

    def _lose(self, world: World, driver: Driver, number: int, loss: Loss) -> None:
        world.faults -= 1
        world.writes[number] = world.writes.get(number, False) or loss is Loss.MAY_HAVE_LEFT
        again = driver.lost(world.store, world.call(number), loss).again
        self.fired[f"lost, {loss.value}: {'again' if again else 'handed over'}"] += 1

    def _answer(self, world: World, driver: Driver, number: int, name: str) -> None:
        outcome = OUTCOMES[name]
        world.faults -= name != "200"
        world.writes[number] = world.writes.get(number, False) or outcome.kind is OutcomeKind.FAILED
        again = driver.answered(world.store, world.call(number), outcome).again
        self.fired[f"{name}: {'again' if again else 'handed over'}"] += 1

    def check(self, world: World) -> None:
        """Look at everything that holds in every state."""
        for driver in world.drivers:
            driver.check()
        check_flights(world.store, world.drivers)
        if self.prompt(world):
            world.store.promises.check_patience(Limits.from_bytes(world.store.value))

    def prompt(self, world: World) -> bool:
        """Say whether every process looks as soon as it should."""
        return not any(
            driver.poked or driver.is_due(world.store.now - SECOND // 2) for driver in world.drivers
        )

    def settle(self, world: World) -> None:
        """Leave the world alone, all answers good: it has to come to an end."""
        for _ in range(300):
            action = self.tamest(world)
            if action is None:
                break
            self.act(world, action)
        else:
            last = [
                self.tamest(world),
                *map(repr, (driver.schedule.wants(world.store.now) for driver in world.drivers)),
            ]
            raise Broken(f"it never comes to an end: {last} at {Limits.from_bytes(world.store.value)}")
        for number, call in enumerate(world.calls):
            alive = world.drivers[self.callers[number].process].alive
            if call is not None and alive and call.state is not CallState.DONE:
                raise Broken(f"call {number} is lost: {call.state.value}")
        limits = Limits.from_bytes(world.store.value)
        if any(world.alive(name) for name in limits.waiters):
            raise Broken(f"{list(limits.waiters)} wait for nothing")

    def tamest(self, world: World) -> Action | None:
        """Return what would happen next if nothing went wrong any more."""
        tame = [
            action
            for action in self.actions(world)
            if action[0] not in {"submit", "withdraw", "lose", "kill"}
            and (action[0] != "answer" or action[1][1] == "200")
        ]
        if not tame:
            return None
        order = {"ask": 0, "leave": 1, "answer": 2, "clock": 3}
        return min(tame, key=lambda action: order[action[0]])

    def walk(self, *, depth: int, seconds: float | None = None, settle_every: int = 1) -> None:
        """Take every action in every state, breadth first.

        Args:
            depth: how many actions follow each other.
            seconds: when to stop, whatever the depth.
            settle_every: of how many states one is left alone to see how it ends.
        """
        stop = None if seconds is None else time.monotonic() + seconds
        self.start.store.promises.told_at = self.start.store.now
        frontier: list[tuple[World, tuple[Any, ...]]] = [(self.start, ())]
        seen = {hash(self.start.key())}
        with counting(self.fired), shortened():
            for level in range(1, depth + 1):
                self.depth = level
                following: list[tuple[World, tuple[Any, ...]]] = []
                for before, path in frontier:
                    for action in list(self.actions(before)):
                        if stop is not None and time.monotonic() > stop:
                            self.depth -= 1
                            return
                        world = before.copy()
                        story = (*path, action)
                        try:
                            self.act(world, action)
                            self.transitions += 1
                            self.check(world)
                            key = hash(world.key())
                            if key in seen:
                                continue
                            seen.add(key)
                            self.states = len(seen)
                            following.append((world, story))
                            if len(seen) % settle_every == 0:
                                self.settle(world.copy())
                        except Exception as error:
                            told = "\n".join(f"  {name} {', '.join(map(str, rest))}" for name, rest in story)
                            raise Broken(
                                f"{error}\nafter\n{told}\n{Limits.from_bytes(world.store.value)}"
                            ) from error
                if not following:
                    return
                frontier = following


@contextlib.contextmanager
def shortened() -> Iterator[None]:
    """Shorten patience, calm and hours, so that all rules fire within a few actions."""
    changes = [
        (waiters, "PATIENCE", SHORT_PATIENCE),
        (foresight, "PATIENCE", SHORT_PATIENCE),
        (turns, "CALM", 0),
        (windows, "HOUR", SHORT_HOUR),
        (foresight, "HOUR", SHORT_HOUR),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
    try:
        for module, name, value in changes:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


def _is(result: object) -> bool:
    return bool(result)


RULES: list[tuple[Any, str, Callable[[Any], bool], str]] = [
    (asking, "_alone", lambda answer: answer is not None, "a turn by the short way"),
    (asking, "_outranked", _is, "somebody else goes first"),
    (asking, "fill_next_place", lambda wake: wake is not None, "the best sleeper is moved forward"),
    (asking, "rank", lambda rank: rank < 3, "a level has aged"),
    (asking, "shuts_out", _is, "the gate shuts a turn out"),
    (asking, "take", _is, "a turn"),
    (gate, "widen", lambda _: True, "a new incident widens the interval"),
    (gate, "rest", lambda _: True, "a rest"),
    (gate, "probe_gone", lambda _: True, "a turn that may have been the probe is over"),
    (turns, "narrow", lambda _: True, "an answer narrows the interval"),
    (turns, "give_back", lambda _: True, "a turn is given back"),
    (windows, "overdrawn", _is, "a window is overdrawn at the last look"),
    (windows, "exhaust", lambda _: True, "a window is exhausted"),
    (windows, "learn", lambda _: True, "a word on a window"),
    (notes, "_throttled", lambda wake: wake is not None, "the holder of a turn given ahead is woken"),
]


@contextlib.contextmanager
def counting(fired: "collections.Counter[str]") -> Iterator[None]:
    """Count how often each rule fires."""
    kept = [(module, name, getattr(module, name)) for module, name, *_ in RULES]
    try:
        for module, name, fires, rule in RULES:
            setattr(module, name, _counted(getattr(module, name), fires, rule, fired))
        yield
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def _counted(
    function: Callable[..., Any], fires: Callable[[Any], bool], rule: str, fired: "collections.Counter[str]"
) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        fired[rule] += fires(result)
        return result

    return counted


SCENES: dict[str, tuple[tuple[Caller, ...], dict[str, Any]]] = {
    "three levels": (
        (
            Caller(0, Priority.NORMAL),
            Caller(0, Priority.BULK),
            Caller(1, Priority.INTERACTIVE),
            Caller(1, Priority.BULK),
        ),
        {"faults": 1, "withdrawals": 1},
    ),
    "faults": (
        (Caller(0, Priority.NORMAL), Caller(0, Priority.NORMAL, writes=True), Caller(1, Priority.NORMAL)),
        {"faults": 3, "withdrawals": 0},
    ),
    "two windows": (
        (
            Caller(0, Priority.NORMAL),
            Caller(0, Priority.INTERACTIVE, "organization:1"),
            Caller(1, Priority.NORMAL, "organization:1"),
        ),
        {"faults": 2, "withdrawals": 1},
    ),
    "deaths": (
        (Caller(0, Priority.NORMAL), Caller(1, Priority.NORMAL), Caller(1, Priority.BULK)),
        {"faults": 1, "withdrawals": 0, "deaths": 1},
    ),
    "impatient": (
        (
            Caller(0, Priority.NORMAL),
            Caller(0, Priority.NORMAL),
            Caller(0, Priority.BULK, patience=3 * SECOND // 2),
            Caller(1, Priority.NORMAL, patience=5 * SECOND),
        ),
        {"faults": 1, "withdrawals": 1},
    ),
}


def main() -> None:
    """Walk all scenes, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=120.0, help="a scene")
    parser.add_argument("--scene", choices=SCENES)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    fired: collections.Counter[str] = collections.Counter()
    results = {}
    for name, (callers, limits) in SCENES.items():
        if given.scene not in {None, name}:
            continue
        explorer = Explorer(callers, **limits)
        began = time.monotonic()
        explorer.walk(depth=given.depth, seconds=given.seconds, settle_every=7)
        seconds = time.monotonic() - began
        fired += explorer.fired
        results[name] = {
            "states": explorer.states,
            "transitions": explorer.transitions,
            "depth": explorer.depth,
            "seconds": round(seconds, 1),
        }
        print(name, results[name], flush=True)  # noqa: T201
    for rule, count in sorted(fired.items()):
        print(f"{count:9}  {rule}")  # noqa: T201
    if given.out:
        given.out.write_text(
            json.dumps({"scenes": results, "rules": dict(sorted(fired.items()))}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
