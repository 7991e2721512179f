"""A holder on a store that does as it is told: how long it is waited for, and life without it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from support.budget_steps import result_of
from toggl_async.errors import BudgetError
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.budgets.store import StoreAway
from toggl_async.scheduler.core.limits import SECOND, Limits, NewerFormat
from toggl_async.scheduler.core.memory import Belongs, Memories, RememberedRefusal

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


def nothing(limits: Limits, now: int) -> tuple[Limits, int, tuple[()]]:
    return limits, limits.number, ()


class Scripted:
    """A store that answers at once, fails with `fault`, or takes `seconds`."""

    name = "me"
    place = "the store"

    def __init__(self) -> None:
        self.limits: dict[str, Limits] = {}
        self.lessons: list[Any] = []
        self.fault: Exception | None = None
        self.seconds = 0.0
        self.memories = Memories()

    def _now(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND)

    @property
    def read_at(self) -> int:
        return self._now()

    def transact(self, account: str, step: Any, lessons: Sequence[Any]) -> Any:
        return self._do(lambda: self._transact(account, step, lessons))

    def _transact(self, account: str, step: Any, lessons: Sequence[Any]) -> Any:
        limits = self.limits.get(account) or Limits.new(self._now())
        self.limits[account], result, _ = step(limits, self._now())
        self.lessons += lessons
        return result

    def recall(self, account: str) -> Any:
        return self._do(lambda: (self.memories, self._now()))

    def _do(self, action: Callable[[], Any]) -> Any:
        if self.seconds:
            return self._later(action)
        if self.fault is not None:
            raise self.fault
        return action()

    async def _later(self, action: Callable[[], Any]) -> Any:
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        return action()

    def alive(self, name: str) -> bool:
        return True

    async def ping(self) -> None:
        await result_of(self._do(lambda: None))

    async def aclose(self) -> None:
        pass


@pytest.fixture
def store() -> Scripted:
    return Scripted()


@pytest.fixture
def told() -> list[str | None]:
    return []


@pytest.fixture
async def holder(store: Scripted, told: list[str | None]) -> Any:
    holder = SharedHolder(store, on_trouble=told.append)
    yield holder
    await holder.aclose()


def now() -> float:
    return asyncio.get_running_loop().time()


async def ended(given: Any) -> Any:
    return await given if isinstance(given, Awaitable) else given


async def test_a_store_that_was_never_there_is_not_waited_for(holder: SharedHolder, store: Scripted) -> None:
    store.fault, store.seconds = StoreAway("nobody answers"), 0.1
    began = now()
    await ended(holder.transact("account", nothing))
    assert now() - began == pytest.approx(0.1)
    assert holder.away


@pytest.mark.parametrize("fault", [StoreAway("away"), NewerFormat(9), BudgetError("no")])
async def test_memories_of_a_store_that_fails_are_those_that_were_seen(
    holder: SharedHolder, store: Scripted, told: list[str | None], fault: Exception
) -> None:
    await ended(holder.transact("account", nothing, [Belongs(1, 2)]))
    store.memories = Memories(organizations={1: 2})
    seen = await ended(holder.recall("account"))
    store.fault = fault
    assert (await ended(holder.recall("account"))) is seen
    assert (await ended(holder.recall("account"))) is seen
    assert told == [str(fault)]


@pytest.mark.parametrize("fault", [None, StoreAway("away")])
async def test_memories_are_waited_for_a_second_at_most(
    holder: SharedHolder, store: Scripted, fault: Exception | None
) -> None:
    await ended(holder.transact("account", nothing))
    store.seconds, store.fault = 5.0 if fault is None else 0.1, fault
    began = now()
    assert (await ended(holder.recall("account"))) == Memories()
    assert now() - began <= 1.0 + 1e-6
    assert holder.away


async def test_what_is_remembered_for_ever_stays_so(holder: SharedHolder, store: Scripted) -> None:
    store.memories = Memories(refusals={b"key": RememberedRefusal(410, "gone", None, None)})
    assert (await ended(holder.recall("account"))).refusals[b"key"].until is None


async def test_what_was_learned_alone_is_told_when_the_store_is_back(
    holder: SharedHolder, store: Scripted
) -> None:
    await ended(holder.transact("account", nothing))
    store.fault = StoreAway("away")
    await ended(holder.transact("account", nothing, [Belongs(1, 2)]))
    assert (await ended(holder.recall("account"))).organizations == {1: 2}
    store.fault = None
    await asyncio.sleep(2.1)
    assert not holder.away
    assert (await ended(holder.recall("account"))).organizations == {1: 2}  # though the store knows nothing
    store.limits["account"].closed = 0
    await asyncio.sleep(5)
    await ended(holder.transact("account", nothing))
    assert store.lessons == [Belongs(1, 2)]


async def test_a_value_of_a_newer_version_is_told_once(
    holder: SharedHolder, store: Scripted, told: list[str | None]
) -> None:
    store.fault = NewerFormat(9)
    store.seconds = 0.1
    first, second = (ended(holder.transact("account", nothing)) for _ in range(2))
    await asyncio.gather(first, second)
    assert len(told) == 1
    assert not holder.away
    store.fault = None
    await ended(holder.transact("another", nothing))  # which this version reads
    assert list(store.limits) == ["another"]


async def test_a_store_that_answers_and_fails_one_account_is_told_once_and_left_until_it_is_mended(
    holder: SharedHolder, store: Scripted, told: list[str | None]
) -> None:
    """What fails has to be tried, not what works: else it is lost and found again all the time."""
    await ended(holder.transact("account", nothing))
    faults: dict[str, Exception] = {"account": StoreAway("a value of another type")}
    transact = store.transact

    def fail(account: str, step: Any, lessons: Sequence[Any]) -> Any:
        if account in faults:
            raise faults[account]
        return transact(account, step, lessons)

    store.transact = fail  # type: ignore[method-assign]
    for _ in range(30):
        await ended(holder.transact("account", nothing))
        await ended(holder.transact("another", nothing))
        await asyncio.sleep(1)
    assert told == ["a value of another type"]
    faults["account"] = NewerFormat(9)  # which is not the store's fault
    await asyncio.sleep(2.1)
    assert told == ["a value of another type", None]


async def test_a_budget_that_cannot_work_is_said_once(
    holder: SharedHolder, store: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    store.fault = BudgetError("the password is wrong")
    for number in range(3):
        with pytest.raises(BudgetError):
            await ended(holder.transact(f"account {number}", nothing))
    assert [record.getMessage() for record in caplog.records] == ["the password is wrong"]


async def test_many_that_fail_at_once_are_told_once(
    holder: SharedHolder, store: Scripted, told: list[str | None]
) -> None:
    await ended(holder.transact("account", nothing))
    store.seconds = 60
    await asyncio.gather(*(ended(holder.transact(f"account {n}", nothing)) for n in range(3)))
    assert told == ["no answer within 1 s"]


async def test_accounts_that_rest_are_forgotten(holder: SharedHolder) -> None:
    await ended(holder.transact("old", nothing))
    await asyncio.sleep(3601)
    await ended(holder.transact("new", nothing))
    assert list(holder._accounts) == ["new"]


async def test_a_closed_holder_touches_its_store_no_more(holder: SharedHolder, store: Scripted) -> None:
    await ended(holder.transact("account", nothing))
    await holder.aclose()
    store.fault = ZeroDivisionError()
    await ended(holder.transact("account", nothing))
    assert (await ended(holder.recall("account"))) == Memories()
