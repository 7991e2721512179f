"""The core's simulated accounts, with the value in a real store: the stores change no promise.

The simulated clock is the store's own, and its steps are the core's: what differs from the simulation
in memory is all that lies between, the encoding, the transaction and the time that the store tells.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from core.driven import Store
from core.simulate import run
from support.budget_steps import result_of
from support.redis_server import RedisServer
from toggl_async.scheduler.budgets import Budget, Holder
from toggl_async.scheduler.budgets.boot_clock import Reading
from toggl_async.scheduler.budgets.file import ClockSource, FileBudget
from toggl_async.scheduler.budgets.redis import RedisBudget
from toggl_async.scheduler.core.limits import SECOND, Limits

T = TypeVar("T")


class Kept(Store):
    """A store whose value is a budget's."""

    def __init__(self, budget: Callable[[Callable[[], int]], Budget]) -> None:
        self._runner = asyncio.Runner()
        super().__init__()
        self._budget = budget(lambda: self.now)
        self._holder = self._runner.run(self._open())
        # A new memory begins closed, and the simulation asks for the time of an account that is open.
        self.transact(lambda limits, _: setattr(limits, "closed", 0))

    async def _open(self) -> Holder:
        return self._budget.open(lambda account: None)

    def transact(self, step: Callable[[Limits, int], T]) -> T:
        """Apply a step in the budget."""

        async def one() -> T:
            found: list[T] = []

            def apply(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
                assert now == self.now
                found.append(step(limits, now))
                return limits, None, ()

            await result_of(self._holder.transact("account", apply))
            (result,) = found
            return result

        return self._runner.run(one())

    @property
    def value(self) -> bytes:
        return self.transact(lambda limits, _: limits.to_bytes())

    @value.setter
    def value(self, stored: bytes) -> None:
        """Leave it to the budget to make a new one."""

    def close(self) -> None:
        self._runner.run(self._holder.aclose())
        self._runner.close()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Kept]:
    def budget(now: Callable[[], int]) -> Budget:
        return FileBudget(
            tmp_path / "budget.sqlite", _clock=ClockSource(lambda: Reading("", now(), now()), now)
        )

    store = Kept(budget)
    yield store
    store.close()


@pytest.fixture
def in_redis(shared_redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[Kept]:
    store = Kept(lambda now: RedisBudget(shared_redis.url, request.node.name, _clock=now))
    yield store
    store.close()


NIGHTLY = pytest.mark.nightly
"""Stories of hours, whose steps are many."""


@pytest.mark.parametrize("seed", [0, 2, *(pytest.param(seed, marks=NIGHTLY) for seed in (1, *range(3, 12)))])
def test_a_simulated_account_keeps_its_promises_in_a_file(in_file: Kept, seed: int) -> None:
    simulation = run(seed, in_file)
    assert (simulation.sent, simulation.calls) == outcome_in_memory(seed)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=NIGHTLY) for seed in range(1, 6))])
def test_a_simulated_account_keeps_its_promises_in_redis(in_redis: Kept, seed: int) -> None:
    simulation = run(seed, in_redis)
    assert (simulation.sent, simulation.calls) == outcome_in_memory(seed)


def outcome_in_memory(seed: int) -> tuple[int, int]:
    simulation = run(seed, Store())
    assert simulation.end > SECOND
    return simulation.sent, simulation.calls
