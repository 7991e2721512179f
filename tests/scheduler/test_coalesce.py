"""Who does the work that several ask for, and who goes on with it."""

import asyncio
import datetime as dt
from collections.abc import Callable

import pytest

from toggl_async import errors
from toggl_async.scheduler.coalesce import Coalescer, Work

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

TOO_LONG = errors.MaxWaitExceeded(
    reason="queue", wait=9.0, max_wait=1.0, available_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
)


def now() -> float:
    return asyncio.get_running_loop().time()


class Script(Work[str]):
    """Work that takes a second a go, and ends each as it is told to."""

    def __init__(self, *ends: str | Exception) -> None:
        self.ends = list(ends)
        self.asked: list[float] = []
        self.copied = 0
        self.when_copied: Callable[[], object] = lambda: None
        self.abandoned = False
        self.is_followed = False
        self.ran_out = False

    async def run(self, asked_at: float) -> str:
        self.asked.append(asked_at)
        await asyncio.sleep(1)
        end = self.ends.pop(0)
        self.ran_out = end is TOO_LONG
        if isinstance(end, Exception):
            raise end
        return end

    def abandon(self) -> None:
        self.abandoned = True

    def copier(self, result: str) -> Callable[[], str]:
        self.copied += 1
        self.when_copied()
        return lambda: f"copy of {result}"


class Callers:
    """Some who ask for the same thing, a tenth of a second apart; the first leads."""

    def __init__(self, work: Script, count: int) -> None:
        self.coalescer: Coalescer[str] = Coalescer()
        self.work = work
        self.count = count

    async def __aenter__(self) -> "list[asyncio.Task[str]]":
        tasks = [asyncio.create_task(self.coalescer.begin("it", self.work).lead(now()))]
        for _ in range(self.count - 1):
            await asyncio.sleep(0.1)
            group = self.coalescer.find("it")
            assert group is not None
            tasks.append(asyncio.create_task(group.follow(now())))
        await asyncio.sleep(0.1)
        return tasks

    async def __aexit__(self, *_: object) -> None:
        assert self.coalescer.find("it") is None


async def test_the_leader_gets_the_result_and_the_others_copies() -> None:
    work = Script("it")
    async with Callers(work, 3) as tasks:
        assert await asyncio.gather(*tasks) == ["it", "copy of it", "copy of it"]
    assert (work.copied, work.abandoned, work.is_followed) == (1, False, True)


async def test_who_is_alone_pays_for_no_copy() -> None:
    work = Script("it")
    async with Callers(work, 1) as [task]:
        assert await task == "it"
    assert (work.copied, work.is_followed) == (0, False)


async def test_a_failure_is_everybodys() -> None:
    async with Callers(Script(ValueError("no")), 3) as tasks:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["no"] * 3


async def test_one_whose_time_is_over_leaves_the_lead_to_the_next() -> None:
    work = Script(TOO_LONG, "it")
    async with Callers(work, 3) as [first, second, third]:
        with pytest.raises(errors.MaxWaitExceeded):
            await first
        assert (await second, await third) == ("it", "copy of it")
    assert work.asked == pytest.approx([1000.0, 1000.1], abs=1e-6)


async def test_the_last_to_leave_abandons_the_work() -> None:
    work = Script("never")
    async with Callers(work, 3) as [first, second, third]:
        second.cancel()
        first.cancel()
        await asyncio.sleep(0)
        assert not work.abandoned
        third.cancel()
        results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert work.abandoned


@pytest.mark.parametrize("others", [0, 1])
async def test_one_who_is_to_lead_may_leave_in_the_same_moment(others: int) -> None:
    work = Script("it")
    async with Callers(work, 2 + others) as [first, second, *rest]:
        first.cancel()
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert [await task for task in rest] == ["it"] * others
    assert work.abandoned is not bool(others)


async def test_one_may_leave_in_the_moment_in_which_the_result_comes() -> None:
    work = Script("it")
    async with Callers(work, 3) as [first, second, third]:
        work.when_copied = lambda: asyncio.get_running_loop().call_soon(second.cancel)
        assert (await first, await third) == ("it", "copy of it")
        with pytest.raises(asyncio.CancelledError):
            await second


async def test_nobody_joins_after_a_write() -> None:
    callers = Callers(Script("it"), 2)
    async with callers as tasks:
        callers.coalescer.break_up()
        assert callers.coalescer.find("it") is None
        assert await asyncio.gather(*tasks) == ["it", "copy of it"]


async def test_what_ends_after_a_write_leaves_alone_what_began_since() -> None:
    coalescer: Coalescer[str] = Coalescer()
    before = asyncio.create_task(coalescer.begin("it", Script("old")).lead(now()))
    await asyncio.sleep(0.5)
    coalescer.break_up()
    since = coalescer.begin("it", Script("new"))
    after = asyncio.create_task(since.lead(now()))
    assert await before == "old"
    assert coalescer.find("it") is since
    assert await after == "new"
    assert coalescer.find("it") is None
