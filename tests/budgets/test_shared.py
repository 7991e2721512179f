"""Clients that share an account by one file, each with a scheduler of its own; in virtual time.

Each client stands for a process: it has its own hold on the file, and knows of the others only what the
file and their datagrams tell. The server judges as Toggl does, on the clock that all of them share.
"""

import asyncio
import contextlib
import itertools
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from budgets.conftest import Machine
from budgets.test_outage import forget, locked
from toggl_async import (
    ApiToken,
    BudgetError,
    ClientOptions,
    ConnectionFailed,
    Cooldown,
    EndpointGone,
    FeatureUnavailable,
    FileBudget,
    LoginRefused,
    MaxWaitExceeded,
    MemoryBudget,
    Pace,
    Priority,
    QuotaExceeded,
    QuotaPolicy,
    Retry,
    Scheduler,
    TogglClient,
    TogglError,
)
from toggl_async.scheduler import Budget, SchedulerEvent, events
from toggl_async.scheduler.budgets import Holder, OnTrouble

INTERVAL = 1.02
OPTIONS = ClientOptions(coalesce=False, max_wait=None)
Answer = Callable[[httpx.Request], httpx.Response | None]

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


def now() -> float:
    return asyncio.get_running_loop().time()


class Counted:
    """A budget that counts its transactions."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.transactions = 0
        self.holders: list[Any] = []

    def open(self, on_wake: Callable[[str], None], *, on_trouble: OnTrouble | None = None) -> Holder:
        holder: Any = self.budget.open(on_wake, on_trouble=on_trouble)
        transact = holder.transact

        def counted(*given: Any) -> Any:
            self.transactions += 1
            return transact(*given)

        holder.transact = counted
        self.holders.append(holder)
        return holder  # type: ignore[no-any-return]


class Toggl:
    """The account's server, and the clients that share it."""

    def __init__(self, path: Path, machine: Machine, *, token: str = "a" * 32) -> None:
        self.budget = Counted(FileBudget(path, _clock=machine.clock))
        self.token = token
        self.sent: list[tuple[float, str]] = []
        self.throttled = 0
        self.answer: Answer = lambda _: None
        self.takes = 0.1
        self.clients: list[TogglClient] = []

    def client(self, options: ClientOptions = OPTIONS, **given: Any) -> TogglClient:
        """Make another one, as if in a process of its own."""
        given.setdefault("budget", self.budget)
        client = TogglClient(
            ApiToken(self.token), transport=httpx.MockTransport(self.handle), options=options, **given
        )
        self.clients.append(client)
        return client

    async def handle(self, request: httpx.Request) -> httpx.Response:
        at = now()
        last = self.sent[-1][0] if self.sent else at - 10
        self.sent.append((at, request.url.path))
        self.throttled += at - last < 1 - 1e-6
        answered = self.answer(request)
        await asyncio.sleep(self.takes)
        return answered or httpx.Response(200, json=[])

    @property
    def gaps(self) -> list[float]:
        times = [at for at, _ in self.sent]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    @property
    def transactions_a_grant(self) -> float:
        return self.budget.transactions / len(self.sent)


@pytest.fixture
async def toggl(tmp_path: Path, machine: Machine) -> AsyncIterator[Toggl]:
    server = Toggl(tmp_path / "budget.sqlite", machine)
    yield server
    for client in server.clients:
        await client.aclose()


async def call(client: TogglClient, count: int = 1, workspace: int = 1) -> None:
    """Make calls one after the other."""
    for _ in range(count):
        await client.workspace(workspace).tags.list()


async def together(client: TogglClient, count: int, tasks: int) -> None:
    """Make calls, some at a time."""
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            await call(client)

    await asyncio.gather(*(one() for _ in range(tasks)))


async def test_many_keep_the_pace_of_one_at_a_transaction_for_each_call(toggl: Toggl) -> None:
    await asyncio.sleep(5)
    await asyncio.gather(*(together(toggl.client(), 25, 5) for _ in range(8)))
    assert len(toggl.sent) == 200
    assert toggl.throttled == 0
    assert min(toggl.gaps) > 1.0 + 1e-6
    assert toggl.sent[-1][0] - toggl.sent[0][0] < 199 * INTERVAL * 1.05
    assert toggl.transactions_a_grant < 1.2


async def test_one_call_at_a_time_takes_two_transactions(toggl: Toggl) -> None:
    client = toggl.client()
    await call(client, 40)
    assert toggl.transactions_a_grant < 2.3
    toggl.sent.clear()
    toggl.budget.transactions = 0
    for _ in range(20):
        await asyncio.sleep(8)
        await call(client)
    assert toggl.transactions_a_grant <= 2.2


async def test_an_urgent_call_goes_before_all_that_others_have_waiting(toggl: Toggl) -> None:
    chance = random.Random(4)
    bulk = [toggl.client().with_options(priority=Priority.BULK) for _ in range(4)]
    waiting = [asyncio.ensure_future(call(client)) for client in bulk for _ in range(60)]
    urgent = toggl.client().with_options(priority=Priority.INTERACTIVE)
    await asyncio.sleep(8)
    toggl.sent.clear()
    toggl.budget.transactions = 0
    before = []
    for _ in range(40):
        await asyncio.sleep(chance.uniform(0.5, 5))
        already = len(toggl.sent)
        await call(urgent, workspace=2)
        passed = [path for _, path in toggl.sent[already:]]
        before.append(passed.index("/api/v9/workspaces/2/tags"))
    assert max(before) <= 1
    assert toggl.throttled == 0
    assert toggl.transactions_a_grant < 1.5
    await cancelled(waiting)


async def test_a_429_stops_all_and_one_request_tries_whether_it_is_over(toggl: Toggl) -> None:
    options = ClientOptions(coalesce=False, max_wait=None, cooldown=Cooldown(minimum=20, maximum=20))
    clients = [toggl.client(options) for _ in range(3)]
    waiting = [asyncio.ensure_future(together(client, 30, 3)) for client in clients]
    await asyncio.sleep(10.6)
    refused = []

    def once(_request: httpx.Request) -> httpx.Response:
        refused.append(now())
        toggl.answer = lambda _: None
        return httpx.Response(429)

    toggl.answer = once
    await asyncio.sleep(60)
    after = [at for at, _ in toggl.sent if at > refused[0] + toggl.takes]
    assert after[0] - refused[0] > 20
    assert after[1] - after[0] > toggl.takes  # the others wait for the answer to the one that tries
    assert len(after) > 25
    await cancelled(waiting)


async def test_a_429_is_told_to_who_has_a_turn_already(toggl: Toggl) -> None:
    """A turn that was given ahead is looked at once more: its process was woken."""
    toggl.answer = lambda _: httpx.Response(429)
    toggl.takes = INTERVAL - 0.1
    first, second = toggl.client(), toggl.client()
    tasks = [asyncio.ensure_future(call(client)) for client in (first, second)]
    await asyncio.sleep(60)
    assert len(toggl.sent) == 1
    await cancelled(tasks)


async def test_a_quota_is_used_up_by_all_together_and_no_further(toggl: Toggl) -> None:
    left = [41]

    def spend(_request: httpx.Request) -> httpx.Response:
        left[0] -= 1
        headers = {"X-Toggl-Quota-Remaining": str(max(0, left[0])), "X-Toggl-Quota-Resets-In": "3000"}
        return httpx.Response(402 if left[0] < 0 else 200, json=[], headers=headers)

    toggl.answer = spend
    clients = [toggl.client() for _ in range(4)]
    waiting = [asyncio.ensure_future(together(client, 20, 5)) for client in clients]
    await asyncio.sleep(1000)
    assert left[0] == 0
    impatient = toggl.client(ClientOptions(max_wait=60))
    with pytest.raises(QuotaExceeded) as caught:
        await call(impatient)
    assert caught.value.from_memory
    assert len(toggl.sent) == 41
    assert toggl.throttled == 0
    await cancelled(waiting)


async def test_a_later_run_knows_the_windows_the_rest_and_the_pace_of_an_earlier_one(toggl: Toggl) -> None:
    headers = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "1800"}
    toggl.answer = lambda _: httpx.Response(200, json=[], headers=headers)
    async with toggl.client() as first:
        await call(first)
    async with toggl.client(ClientOptions(max_wait=100)) as second:
        with pytest.raises(QuotaExceeded, match="hourly quota is used up"):
            await call(second)
        with pytest.raises(MaxWaitExceeded, match="pace"):
            await second.with_options(max_wait=0.5).me.get()  # the user's own window is open
    assert len(toggl.sent) == 1


GONE = httpx.Response(410, json="Gone")
FEATURE = httpx.Response(402, json="This feature is not available for free")
LOGIN = httpx.Response(403, json="Incorrect username and/or password")


@pytest.mark.parametrize(
    ("answer", "error"), [(GONE, EndpointGone), (FEATURE, FeatureUnavailable), (LOGIN, LoginRefused)]
)
async def test_a_refusal_is_remembered_for_all_until_they_forget(
    toggl: Toggl, answer: httpx.Response, error: type[TogglError]
) -> None:
    if answer is LOGIN:
        answer.headers["X-Remaining-Login-Attempts"] = "3"
    toggl.answer = lambda _: httpx.Response(
        answer.status_code, content=answer.content, headers=answer.headers
    )
    first, second = toggl.client(), toggl.client()
    with pytest.raises(error):
        await call(first)
    sent = len(toggl.sent)
    for client in (second, toggl.client()):
        with pytest.raises(error) as caught:
            await call(client)
        assert caught.value.from_memory  # type: ignore[attr-defined]
    assert len(toggl.sent) == sent
    toggl.answer = lambda _: None
    third = toggl.client()
    third.scheduler.forget_refusals()  # it has asked nothing yet
    await call(third)
    for client in (first, second):
        with contextlib.suppress(
            error
        ):  # they hear of it by asking the store, which they do once they refuse
            await call(client)
            continue
        await call(client)
    assert len(toggl.sent) == sent + 3


async def test_credentials_are_tried_again_after_a_quarter_of_an_hour(toggl: Toggl) -> None:
    headers = {"X-Remaining-Login-Attempts": "3"}
    toggl.answer = lambda _: httpx.Response(403, json="no", headers=headers)
    client, other = toggl.client(), toggl.client()
    for one in (client, other):
        with pytest.raises(LoginRefused):
            await call(one)
    sent = len(toggl.sent)
    await asyncio.sleep(16 * 60)
    toggl.answer = lambda _: None
    await call(other)
    await call(client)
    assert len(toggl.sent) == sent + 2


async def test_calls_that_wait_hear_of_a_refusal(toggl: Toggl) -> None:
    toggl.answer = lambda _: httpx.Response(410, json="Gone")
    calls = [asyncio.ensure_future(call(toggl.client())) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, EndpointGone) for result in results)
    assert len(toggl.sent) < 4


async def test_an_organization_is_known_to_all(toggl: Toggl) -> None:
    headers = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "1800"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/tags"):
            return httpx.Response(200, json=[], headers=headers)
        return httpx.Response(200, json=[{"id": 1, "organization_id": 7, "name": "W"}])

    toggl.answer = answer
    first, second = toggl.client(), toggl.client(ClientOptions(max_wait=60))
    await call(first)  # whose organization is not known yet
    await first.me.workspaces.list()
    with pytest.raises(QuotaExceeded) as caught:
        await call(second)
    assert caught.value.organization_id == 7


async def test_max_wait_counts_what_others_have_waiting(toggl: Toggl) -> None:
    busy = [toggl.client().with_options(priority=Priority.INTERACTIVE) for _ in range(2)]
    waiting = [asyncio.ensure_future(call(client)) for client in busy for _ in range(50)]
    await asyncio.sleep(8)
    patient, impatient = toggl.client(), toggl.client(ClientOptions(max_wait=8))
    later = asyncio.ensure_future(call(patient))
    began = now()
    with pytest.raises(MaxWaitExceeded, match="queue"):
        await call(impatient)
    assert now() == pytest.approx(began)
    # Within a level processes take turns: of each of the busy ones, one goes first.
    await call(impatient.with_options(priority=Priority.INTERACTIVE, max_wait=4))
    assert now() - began < 4
    await cancelled([*waiting, later])


async def test_the_stats_tell_who_else_waits(toggl: Toggl) -> None:
    busy = toggl.client().with_options(priority=Priority.BULK)
    other = toggl.client()
    await call(other)
    waiting = [asyncio.ensure_future(call(busy)) for _ in range(5)]
    await asyncio.sleep(2.5)
    await call(other)
    await asyncio.sleep(0.2)
    (account,) = other.scheduler.stats().accounts
    (process,) = account.processes
    assert process.process == toggl.budget.holders[1].name
    assert process.priority is Priority.BULK
    assert 1 <= process.waiting <= 5
    assert 0 <= process.waited < 5
    assert not other.scheduler.stats().alone
    await cancelled(waiting)


async def test_closing_tells_what_there_is_to_tell_and_frees_the_place(toggl: Toggl) -> None:
    headers = {"X-Toggl-Quota-Remaining": "12", "X-Toggl-Quota-Resets-In": "1800"}
    toggl.answer = lambda _: httpx.Response(200, json=[], headers=headers)
    first = toggl.client()
    await call(first, 2)
    waiting = [asyncio.ensure_future(call(first)) for _ in range(3)]
    await asyncio.sleep(0.2)
    under_way = len(toggl.sent)
    await first.aclose()
    await asyncio.gather(*waiting, return_exceptions=True)
    second = toggl.client()
    await call(second)
    (account,) = second.scheduler.stats().accounts
    assert account.processes == ()
    assert [window.remaining for window in account.windows] == [11]
    assert len(toggl.sent) == under_way + 1


async def test_an_answer_that_comes_after_the_scheduler_was_closed_is_harmless(toggl: Toggl) -> None:
    client = toggl.client()
    await call(client)
    toggl.takes = 5
    task = asyncio.ensure_future(call(client))
    await asyncio.sleep(2)
    await client.scheduler.aclose()
    await task
    assert len(toggl.sent) == 2


async def test_whose_slots_are_full_keep_nobody_waiting(toggl: Toggl) -> None:
    toggl.takes = 10
    full = toggl.client(ClientOptions(coalesce=False, max_wait=None, max_in_flight=2))
    waiting = [asyncio.ensure_future(call(full)) for _ in range(9)]
    other = toggl.client()
    others = [asyncio.ensure_future(call(other)) for _ in range(6)]
    await asyncio.sleep(60)
    times = [at for at, _ in toggl.sent]
    assert times[7] - times[0] < 7 * INTERVAL + 0.1
    assert toggl.throttled == 0
    await cancelled([*waiting, *others])


async def test_a_calls_own_trouble_is_its_process_own(toggl: Toggl) -> None:
    """Back-off after 5xx holds one process, and the others go on in its places."""
    toggl.answer = lambda request: httpx.Response(502) if request.url.path.endswith("/8/tags") else None
    failing, other = toggl.client(), toggl.client()
    task = asyncio.ensure_future(call(failing, workspace=8))
    await asyncio.sleep(0.5)
    await together(other, 20, 4)
    mine = [at for at, path in toggl.sent if not path.endswith("/8/tags")]
    assert mine[-1] - mine[0] < 24 * INTERVAL
    assert toggl.throttled == 0
    await cancelled([task])


async def test_trouble_is_told_once_and_holds_no_call_for_longer_than_a_second(
    toggl: Toggl, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    told: list[SchedulerEvent] = []
    clients = [toggl.client(on_event=told.append) for _ in range(2)]
    waiting = [asyncio.ensure_future(call(client)) for client in clients for _ in range(20)]
    await asyncio.sleep(8)
    with caplog.at_level(logging.INFO, "toggl_async.budget"):
        with locked(tmp_path / "budget.sqlite"):
            began = now()
            await asyncio.sleep(8)
            assert clients[0].scheduler.stats().alone
        await asyncio.sleep(10)
    assert not clients[0].scheduler.stats().alone
    await asyncio.gather(*waiting)
    assert toggl.throttled == 0
    assert (
        max(gap for (at, _), gap in zip(toggl.sent, toggl.gaps, strict=False) if at > 8) < 1 + 2.6 * INTERVAL
    )
    assert len([at for at, _ in toggl.sent if began <= at < began + 8]) >= 5
    troubles = [event for event in told if isinstance(event, events.BudgetLost | events.BudgetBack)]
    assert [type(event) for event in troubles] == [events.BudgetLost] * 2 + [events.BudgetBack] * 2
    assert {event.account for event in troubles} == {0}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2 + ["INFO"] * 2


async def test_whose_store_forgets_calls_on_one_by_one(toggl: Toggl, tmp_path: Path) -> None:
    clients = [toggl.client() for _ in range(2)]
    tasks = [asyncio.ensure_future(call(client, 60)) for client in clients]
    await asyncio.sleep(15)
    began = now()
    forget(tmp_path / "budget.sqlite")
    await asyncio.sleep(15)
    times = [at for at, _ in toggl.sent if at > began - 2]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 3 * INTERVAL
    assert toggl.throttled == 0
    await cancelled(tasks)


async def test_events_tell_of_a_rest_that_another_met(toggl: Toggl) -> None:
    told: list[SchedulerEvent] = []
    watching, other = toggl.client(on_event=told.append), toggl.client()
    toggl.answer = lambda _: httpx.Response(429)
    tasks = [asyncio.ensure_future(call(client)) for client in (other, watching)]
    await asyncio.sleep(30)
    assert any(isinstance(event, events.CooledDown) for event in told)
    await cancelled(tasks)


async def test_options_that_differ_are_each_process_own(toggl: Toggl) -> None:
    slow = toggl.client(ClientOptions(coalesce=False, pace=Pace(interval=4), quota=QuotaPolicy(reserve=5)))
    fast = toggl.client()
    await asyncio.gather(together(slow, 5, 2), together(fast, 20, 2))
    assert toggl.throttled == 0
    assert min(toggl.gaps) > 1


async def test_a_lost_request_is_told_with_the_next_step(toggl: Toggl) -> None:
    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    toggl.answer = lose
    client = toggl.client(ClientOptions(retry=Retry(attempts=1)))
    with pytest.raises(ConnectionFailed):
        await call(client)
    toggl.answer = lambda _: None
    await call(client)
    assert toggl.throttled == 0


async def test_trouble_is_logged_where_nobody_listens(
    toggl: Toggl, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = toggl.client()
    await call(client)
    with locked(tmp_path / "budget.sqlite"):
        await call(client)
    assert "this process keeps its own pace until it can" in caplog.text


async def test_an_account_that_rests_is_forgotten_here_and_known_by_the_store(toggl: Toggl) -> None:
    scheduler = Scheduler(OPTIONS, budget=toggl.budget)
    client = toggl.client(OPTIONS, scheduler=scheduler, budget=None)
    toggl.token = "b" * 32
    another = toggl.client(OPTIONS, scheduler=scheduler, budget=None)
    toggl.answer = lambda _: httpx.Response(410, json="Gone")
    with pytest.raises(EndpointGone):
        await call(another)
    toggl.answer = lambda _: None
    await asyncio.sleep(3700)
    await call(client, 3)
    assert [account.account for account in scheduler.stats().accounts] == [2]
    with pytest.raises(EndpointGone) as caught:
        await call(another)
    assert caught.value.from_memory
    await scheduler.aclose()


async def test_a_store_that_can_never_work_fails_the_calls_that_wait(toggl: Toggl) -> None:
    class Broken(MemoryBudget):
        def open(self, on_wake: Any, *, on_trouble: OnTrouble | None = None) -> Any:
            return BrokenHolder()

    class BrokenHolder:
        name, away = "broken", False

        def transact(self, *_: object) -> NoReturn:
            raise ZeroDivisionError

        async def aclose(self) -> None: ...

        def alive(self, _name: str) -> bool:
            return True

    client = toggl.client(budget=Broken())
    results = await asyncio.gather(*(call(client) for _ in range(3)), return_exceptions=True)
    assert len(results) == 3
    assert all(isinstance(result, BudgetError) for result in results)
    assert "ZeroDivisionError" in str(results[0])


@pytest.mark.parametrize("budget", ["redis://cache", FileBudget, MemoryBudget, 7])
async def test_what_is_no_budget_is_refused(budget: Any) -> None:
    with pytest.raises(ValueError, match=r"budget must be FileBudget\(…\), RedisBudget"):
        TogglClient(ApiToken("a" * 32), budget=budget)


async def cancelled(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Give up what still waits."""
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
