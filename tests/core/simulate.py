"""Whole accounts, simulated from one seed: processes, network, server, other programs, accidents.

Hours to years of Toggl's time pass in seconds. Everything is drawn from the seed, so a failing one
tells the same story again: ``python tests/core/simulate.py --seed 17``.
"""

import argparse
import collections
import heapq
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from toggl_async.options import Priority, Retry
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import Alive
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.retry import Loss
from toggl_async.scheduler.core.waiters import Wake

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.driven import Broken, Driver, Store, check_flights, process

MILLISECOND = SECOND // 1000
HOUR = 3600 * SECOND
INTERVAL = 1_020_000
BACKLOG = 40


class Scene(NamedTuple):
    """What one seed is about."""

    processes: int
    hours: float
    gap: float
    """Seconds between two bursts of calls, on average."""
    burst: int
    quota: int | None
    strict: int
    """Requests that the server's bucket takes at once."""
    others: float
    """Requests an hour of programs that nobody knows of."""
    faults: float
    withdrawals: float
    kills: float
    """An hour."""
    tells: bool
    slow: bool
    """Whether connecting takes long now and then."""

    @classmethod
    def drawn(cls, chance: random.Random) -> "Scene":
        """Draw one."""
        sparse = chance.random() < 0.2
        months = chance.choice([1, 12])
        return cls(
            processes=chance.randint(1, 4),
            hours=24.0 * 30 * months if sparse else chance.choice([0.5, 2.0]),
            gap=6 * 3600.0 * months if sparse else chance.choice([2.0, 10.0, 60.0]),
            burst=chance.choice([1, 3, 10]),
            quota=chance.choice([None, None, 30, 240]),
            strict=chance.choice([1, 1, 5]),
            others=chance.choice([0.0, 0.0, 20.0]),
            faults=chance.choice([0.0, 0.0, 0.05]),
            withdrawals=chance.choice([0.0, 0.1]),
            kills=chance.choice([0.0, 0.0, 0.0 if sparse else 30.0]),
            tells=chance.random() < 0.8,
            slow=chance.random() < 0.3,
        )


class Server:
    """Toggl: a leaky bucket and hourly windows, which know nothing of the client."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.level, self.last = 0.0, 0
        self.windows: dict[str, tuple[int, int]] = {}
        self.statuses: collections.Counter[str] = collections.Counter()
        self.applied: collections.Counter[int] = collections.Counter()

    def take(self, now: int, window: str) -> Outcome:
        """Judge a request as it arrives."""
        self.level = max(0.0, self.level - (now - self.last) / SECOND)
        self.last = now
        if self.level + 1 > self.scene.strict + 1e-6:
            return Outcome(OutcomeKind.THROTTLED)
        self.level += 1
        if self.scene.quota is None:
            return Outcome(OutcomeKind.DONE)
        left, until = self.windows.get(window, (0, 0))
        if now >= until:
            left, until = self.scene.quota, now + HOUR
        left -= 1
        self.windows[window] = left, until
        resets_in = (until - now) // SECOND * SECOND
        if left < 0:
            return Outcome(OutcomeKind.QUOTA, 0, resets_in)
        return Outcome(OutcomeKind.DONE, left, resets_in)


class Simulation:
    """One account."""

    def __init__(self, seed: int, store: Store | None = None) -> None:
        self.seed = seed
        self.chance = chance = random.Random(seed)
        self.scene = scene = Scene.drawn(chance)
        self.server = Server(scene)
        self.store = store or Store()
        self.store.promises.told_at = self.store.now
        self.store.promises.slack = 40 * SECOND if scene.faults or scene.kills or not scene.tells else 0
        self.end = self.store.now + int(scene.hours * HOUR)
        self.story: collections.deque[str] = collections.deque(maxlen=150)
        self.drivers: list[Driver] = []
        self.asking: set[str] = set()
        self.others: dict[int, Driver] = {}
        self.sent = self.calls = 0
        self.maybe_applied: set[int] = set()
        self._names = map("p{}".format, itertools.count())
        self._numbers = itertools.count(1)
        self._order = itertools.count()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        for _ in range(scene.processes):
            self.begin()
        if scene.others:
            self.after(self.about(HOUR / scene.others), self.other_program)
        if scene.kills:
            self.after(self.about(HOUR / scene.kills), self.kill)

    def at(self, moment: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (moment, next(self._order), action))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        self.at(self.store.now + int(delay), action)

    def about(self, mean: float) -> float:
        return self.chance.expovariate(1 / mean)

    def tell(self, words: str) -> None:
        self.story.append(f"{self.store.now / SECOND:14.3f}  {words}")

    def run(self) -> None:
        """Let time pass until everything is over.

        Raises:
            Broken: with the story that led there.
        """
        try:
            while self._agenda:
                moment, _, action = heapq.heappop(self._agenda)
                self.store.now = max(self.store.now, moment)
                action()
            self.finished()
        except Exception as error:
            raise Broken(
                "\n".join(
                    [f"seed {self.seed}: {self.scene}", *self.story, f"{type(error).__name__}: {error}"]
                )
            ) from error

    def finished(self) -> None:
        """All is done when nothing happens any more."""
        living = [driver for driver in self.drivers if driver.alive]
        for driver in living:
            for call in driver.calls:
                if call.state is not CallState.DONE:
                    raise Broken(f"call {call.number} of {driver.name} is lost: {call.state.value}")
        limits = Limits.from_bytes(self.store.value)
        if any(driver.name in limits.waiters for driver in living):
            raise Broken(f"{list(limits.waiters)} wait for nothing")
        scene = self.scene
        alone = not scene.others and not scene.faults
        if alone and self.server.statuses["throttled"]:
            raise Broken("429 on an account that nobody else uses")
        if alone and not scene.kills and not scene.withdrawals and self.server.statuses["quota"]:
            raise Broken("402 on a window whose words were all heard")

    # Processes

    def begin(self) -> None:
        """Start a process."""
        name = next(self._names)
        me = process(
            name,
            interval=INTERVAL,
            rest_minimum=120 * SECOND,
            rest_maximum=240 * SECOND,
            tells=self.scene.tells,
            lag=2 * MILLISECOND if self.scene.processes > 1 else 0,
        )
        me.alive = self.is_alive if self.scene.tells else (lambda _: True)
        driver = Driver(name, me, Retry(), 8)
        self.drivers.append(driver)
        self.after(self.about(self.scene.gap * SECOND), lambda: self.burst(driver))

    def is_alive(self, name: str) -> bool:
        return any(driver.name == name and driver.alive for driver in self.drivers)

    def burst(self, driver: Driver) -> None:
        """Make some calls at once."""
        if not driver.alive or self.store.now >= self.end:
            return
        # A backlog of hours would only slow the simulation: a few dozen waiting calls show the same.
        for _ in range(self.chance.randint(1, self.scene.burst) if len(driver.calls) < BACKLOG else 0):
            number = next(self._numbers)
            call = Call(
                number,
                self.chance.choice([Priority.INTERACTIVE, Priority.NORMAL, Priority.BULK, Priority.BULK]),
                self.chance.choice(["user", "organization:1"]),
                reads=self.chance.random() < 0.7,
                max_wait=self.chance.choice([None, 600 * SECOND, 5 * SECOND]),
            )
            self.calls += 1
            if driver.submit(self.store, call):
                self.tell(f"{driver.name}: call {number}, {call.level.name}, {call.window}")
                if call.deadline is not None:
                    self.at(call.deadline + 1, lambda call=call: self.expire(driver, call))  # type: ignore[misc]
            else:
                call.state = CallState.DONE
            if self.chance.random() < self.scene.withdrawals:
                self.after(self.about(3 * SECOND), lambda call=call: self.withdraw(driver, call))  # type: ignore[misc]
        self.look(driver)
        self.after(self.about(self.scene.gap * SECOND), lambda: self.burst(driver))

    def withdraw(self, driver: Driver, call: Call) -> None:
        if driver.alive and call.state is not CallState.DONE:
            self.tell(f"{driver.name}: call {call.number} gives up while {call.state.value}")
            driver.withdraw(call)
            self.look(driver)

    def expire(self, driver: Driver, call: Call) -> None:
        if call.state is CallState.WAITING and call.deadline is not None and self.store.now > call.deadline:
            self.withdraw(driver, call)

    def kill(self) -> None:
        """Kill a process; another starts in its place."""
        if self.store.now < self.end:
            driver = self.chance.choice([driver for driver in self.drivers if driver.alive])
            self.tell(f"{driver.name} is killed")
            driver.alive = False
            self.store.promises.died(driver)
            self.drivers = [driver for driver in self.drivers if driver.alive]
            self.begin()
            self.after(self.about(HOUR / self.scene.kills), self.kill)

    def look(self, driver: Driver) -> None:
        """Have a process ask, after the time that a transaction takes."""
        if driver.alive and driver.name not in self.asking:
            self.asking.add(driver.name)
            delay = self.chance.uniform(0.2, 3) * MILLISECOND if self.scene.processes > 1 else 0
            self.after(delay, lambda: self.ask(driver))

    def ask(self, driver: Driver) -> None:
        self.asking.discard(driver.name)
        if not driver.alive:
            return
        driver.me.chance = self.chance.random()
        before = {call.number for call in driver.calls if call.state is CallState.LEAVING}
        wakes = driver.ask(self.store)
        self.store.promises.check_patience(Limits.from_bytes(self.store.value))
        self.wake(wakes)
        for call in driver.calls:
            if call.state is CallState.LEAVING and call.number not in before:
                self.tell(f"{driver.name}: turn {call.turn} for call {call.number}")
                slow = self.scene.slow and self.chance.random() < 0.1
                connecting = (
                    self.chance.uniform(0.5, 3) * SECOND if slow else self.chance.uniform(0, 4) * MILLISECOND
                )
                if self.chance.random() < self.scene.faults:
                    self.at(
                        call.leaves_at,
                        lambda call=call, turn=call.turn: self.lose(driver, call, turn, Loss.NEVER_LEFT),  # type: ignore[misc]
                    )
                else:
                    self.at(
                        call.leaves_at + int(connecting),
                        lambda call=call, turn=call.turn: self.leave(driver, call, turn),  # type: ignore[misc]
                    )
        driver.check()
        driver.calls = [call for call in driver.calls if call.state is not CallState.DONE]
        if driver.poked:
            self.look(driver)
        elif driver.wakes_at is not None:
            self.at(driver.wakes_at, lambda at=driver.wakes_at: self.timer(driver, at))  # type: ignore[misc]

    def timer(self, driver: Driver, at: int) -> None:
        if driver.wakes_at is not None and self.store.now >= driver.wakes_at and at == driver.wakes_at:
            self.look(driver)

    def wake(self, wakes: Iterable[Wake]) -> None:
        for wake in wakes:
            for driver in self.drivers:
                if driver.name == wake.name and self.scene.tells and self.chance.random() < 0.95:
                    at = self.store.now + wake.after
                    if driver.wakes_at is None or at < driver.wakes_at:
                        driver.wakes_at = at
                        self.at(at, lambda driver=driver, at=at: self.timer(driver, at))  # type: ignore[misc]

    # Requests

    def leave(self, driver: Driver, call: Call, turn: int) -> None:
        if not driver.alive or call.state is not CallState.LEAVING or call.turn != turn:
            return
        number = call.turn
        left, wakes = driver.leave(self.store, call, SECOND)
        self.wake(wakes)
        if not left:
            if call.turn:
                self.at(call.leaves_at, lambda turn=call.turn: self.leave(driver, call, turn))  # type: ignore[misc]
            else:
                self.tell(f"{driver.name}: call {call.number} goes back to the queue")
                self.look(driver)
            return
        if not call.reads and call.number in self.maybe_applied:
            raise Broken(f"call {call.number} may have been applied, and was sent again")
        self.sent += 1
        number = call.turn
        self.tell(f"{driver.name}: call {call.number} leaves, turn {number}")
        if call.probe:
            self.after(2 * SECOND, lambda: self.sign_of_life(driver, call, number))
        # The way there takes about as long each time: jitter is what the margin is for.
        self.after(self.chance.uniform(20, 30) * MILLISECOND, lambda: self.arrive(driver, call, number))

    def sign_of_life(self, driver: Driver, call: Call, turn: int) -> None:
        if driver.alive and call.turn == turn and call.state is CallState.UNDER_WAY:
            driver.schedule.notes.append(Alive())
            self.look(driver)
            self.after(2 * SECOND, lambda: self.sign_of_life(driver, call, turn))

    def arrive(self, driver: Driver, call: Call, turn: int) -> None:
        outcome = self.server.take(self.store.now, call.window)
        drawn = self.chance.random()
        latency = self.chance.uniform(30, 400) * MILLISECOND
        if outcome.kind is OutcomeKind.DONE and drawn < self.scene.faults:
            self.maybe_applied.add(call.number)
            if drawn < self.scene.faults / 2:
                self.after(latency, lambda: self.lose(driver, call, turn, Loss.MAY_HAVE_LEFT))
                return
            outcome = Outcome(OutcomeKind.FAILED, outcome.remaining, outcome.resets_in)
        elif outcome.kind is OutcomeKind.DONE and drawn > 1 - self.scene.faults / 3:
            outcome = Outcome(OutcomeKind.THROTTLED)
        self.server.statuses[outcome.kind.value] += 1
        self.after(latency, lambda: self.answer(driver, call, turn, outcome))

    def answer(self, driver: Driver, call: Call, turn: int, outcome: Outcome) -> None:
        if driver.alive and call.state is CallState.UNDER_WAY and call.turn == turn:
            self.tell(
                f"{driver.name}: call {call.number} is answered: {outcome.kind.value}, {outcome.remaining}"
            )
            driver.answered(self.store, call, outcome, self.chance.random())
            self.look(driver)

    def lose(self, driver: Driver, call: Call, turn: int, loss: Loss) -> None:
        if driver.alive and call.turn == turn and call.state in {CallState.LEAVING, CallState.UNDER_WAY}:
            self.tell(f"{driver.name}: call {call.number} is lost: {loss.value}")
            driver.lost(self.store, call, loss, self.chance.random())
            self.look(driver)

    def other_program(self) -> None:
        if self.store.now < self.end:
            self.server.take(self.store.now, "user")
            self.after(self.about(HOUR / self.scene.others), self.other_program)


def run(seed: int, store: Store | None = None) -> Simulation:
    """Run one seed."""
    simulation = Simulation(seed, store)
    simulation.run()
    if not simulation.scene.kills:  # the killed leave turns behind, until their leases end
        check_flights(simulation.store, simulation.drivers)
    return simulation


def main() -> None:
    """Run seeds, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one alone, and tell its story")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.seed is not None:
        simulation = run(given.seed)
        print("\n".join(simulation.story))  # noqa: T201
        return
    began, hours, sent, calls, failing = time.monotonic(), 0.0, 0, 0, []
    statuses: collections.Counter[str] = collections.Counter()
    seed = given.first
    for seed in range(given.first, given.first + given.seeds):
        if time.monotonic() - began > given.seconds:
            break
        try:
            simulation = run(seed)
        except Broken as error:
            failing.append(seed)
            print(f"seed {seed}: {error}", flush=True)  # noqa: T201
            continue
        hours += simulation.scene.hours
        sent, calls = sent + simulation.sent, calls + simulation.calls
        statuses += simulation.server.statuses
    seconds = time.monotonic() - began
    result = {
        "seeds": seed + 1 - given.first,
        "failing": failing,
        "simulated_hours": round(hours),
        "hours_a_minute": round(hours / seconds * 60),
        "calls": calls,
        "requests": sent,
        "answers": dict(sorted(statuses.items())),
        "seconds": round(seconds, 1),
    }
    print(json.dumps(result, indent=2))  # noqa: T201
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(bool(failing))


if __name__ == "__main__":
    main()
