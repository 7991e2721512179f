"""A driver in moments that last no time: what is done twice, too late, or while something ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import pytest

from support.clock import JumpLoop
from support.model import Model
from support.slow_budget import SlowBudget
from support.support_wire import TOKEN
from toggl_async import (
    ApiToken,
    BudgetError,
    ClientClosed,
    ClientOptions,
    EndpointGone,
    MaxWaitExceeded,
    Pace,
    Priority,
    RateLimited,
    Scheduler,
    TogglClient,
)
from toggl_async.scheduler import MemoryBudget, ScheduledTransport
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.notes import LossTold
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.schedule import Recalled
from toggl_async.scheduler.driver import Driver, Ticket
from toggl_async.scheduler.driver.tickets import Background, deliver
from toggl_async.scheduler.scheduler import drivers_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

ME = "/api/v9/me"


def ok(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def driver_of(scheduler: Scheduler, token: str = TOKEN) -> Driver:
    """The driver of an account."""
    auth = httpx.BasicAuth(token, "api_token")
    request = httpx.Request("GET", f"https://api.track.toggl.com{ME}")
    return drivers_of(scheduler).of(next(auth.auth_flow(request)))


def call_of(driver: Driver, **other: Any) -> Call:
    """A call of nobody's."""
    ticket = Ticket(method="GET", path=lambda: ME, owner=None, refusal=lambda: None)
    given = {"route": f"GET {ME}", "reads": True, "max_wait": None, "max_attempts": None, **other}
    return driver.call(Priority.NORMAL, "user", ticket, **given)


async def sent(driver: Driver) -> Call:
    """A call whose request has left."""
    call = call_of(driver)
    waiting = driver.turn(call)
    if waiting is not None:
        await waiting
    driver.begin(call)
    await driver.depart(call)
    return call


async def test_what_has_ended_can_end_again() -> None:
    async with Scheduler() as scheduler:
        driver = driver_of(scheduler)
        call = await sent(driver)
        driver.finish(call)
        for end in (
            lambda: driver.finish(call),
            lambda: driver.withdraw(call),
            lambda: driver.refuse(call, ClientClosed("closed")),
            lambda: driver._expire(call),
        ):
            end()
            assert (call.state, driver.schedule.in_flight) == (CallState.DONE, 0)
        (account,) = scheduler.stats().accounts
        assert (account.in_flight, account.waiting) == (0, 0)


async def test_a_request_that_its_transport_sends_again_needs_another_turn() -> None:
    async with Scheduler() as scheduler:
        driver = driver_of(scheduler)
        call = await sent(driver)
        turn = call.turn
        with pytest.raises(Recalled):
            await driver.depart(call, again=True)
        assert driver.schedule.notes == [LossTold(turn, "user")]
        waiting = driver.back(call)
        assert waiting is not None
        await waiting
        assert call.turn > turn
        driver.finish(call)


class Multiplexed(httpx.AsyncBaseTransport):
    """Tells when it sends as a connection does that several requests share; it sends some of them twice."""

    def __init__(self, *, sends_again: Sequence[int] = (), slow: Sequence[int] = ()) -> None:
        self.sends_again, self.slow = sends_again, slow
        self.taken = 0
        self.left: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.taken += 1
        if self.taken in self.slow:
            await asyncio.sleep(0.5)
        for _ in range(1 + (self.taken in self.sends_again)):
            await request.extensions["trace"]("http2.send_request_headers.started", {"request": request})
            self.left.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json={})


async def test_a_connection_that_ends_makes_no_request_leave_unpaced() -> None:
    network = Multiplexed(sends_again=[2])
    async with TogglClient(ApiToken(TOKEN), transport=network) as toggl:
        for _ in range(3):
            await toggl.request("GET", ME)
    assert len(network.left) == network.taken == 4
    first, *gaps = (later - earlier for earlier, later in zip(network.left, network.left[1:], strict=False))
    assert all(gap >= 1.0 for gap in (first, *gaps))


async def test_a_shared_connection_is_not_held_up_while_a_store_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Scheduler() as scheduler:
        driver = driver_of(scheduler)
        call = call_of(driver)
        assert driver.turn(call) is None
        driver.begin(call)
        monkeypatch.setattr(driver, "_prompt", False)
        await asyncio.sleep(0.5)
        with pytest.raises(Recalled):
            await driver.depart(call, may_wait=False)
        driver.withdraw(call)


class Eager(MemoryBudget):
    """Forgets between two steps what was sent."""

    def limits_of(self, account: str, now: int) -> Limits:
        return Limits.new(now)


async def test_a_shared_connection_is_not_held_up_by_the_limiter() -> None:
    network = Multiplexed()
    async with TogglClient(ApiToken(TOKEN), transport=network, budget=Eager()) as toggl:
        await asyncio.gather(*(toggl.request("GET", ME, params={"n": n}) for n in range(4)))
    gaps = [later - earlier for earlier, later in zip(network.left, network.left[1:], strict=False)]
    assert len(gaps) == 3
    assert min(gaps) >= 1.0 - 1e-6
    assert network.taken > 4, "some went back to their queue"


async def test_a_turn_that_comes_too_late_is_given_back() -> None:
    asked: list[float] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        asked.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json={})

    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(answer)) as toggl:
        await toggl.request("GET", ME)
        await asyncio.sleep(0.7)
        with pytest.raises(MaxWaitExceeded, match="pace"):
            await toggl.with_options(max_wait=0.1).request("GET", ME)
        await toggl.request("GET", ME)
    assert asked[1] - asked[0] == pytest.approx(1.02)


async def test_a_scheduler_that_is_closed_while_an_upload_is_read_sends_nothing() -> None:
    async with Scheduler() as scheduler:
        transport = ScheduledTransport(httpx.MockTransport(ok), scheduler=scheduler)

        async def body() -> AsyncIterator[bytes]:
            yield b"{"
            await scheduler.aclose()
            yield b"}"

        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(ClientClosed):
                await client.post(
                    f"https://api.track.toggl.com{ME}", content=body(), headers={"content-length": "2"}
                )


async def test_a_request_that_is_called_back_while_its_scheduler_closes_is_told_so() -> None:
    async with Scheduler() as scheduler:
        driver = driver_of(scheduler)
        call = call_of(driver)
        assert driver.turn(call) is None
        driver.begin(call)
        driver.close()
        with pytest.raises(ClientClosed):
            driver.back(call)
        assert (call.state, driver.schedule.in_flight) == (CallState.DONE, 0)


async def test_work_that_fails_as_it_is_stopped_is_over_all_the_same() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("no") from None

    work, ended = Background(stubborn()), asyncio.Event()
    await asyncio.sleep(0)
    work.stop(ended.set)
    await asyncio.wait_for(ended.wait(), 1)
    with pytest.raises(ValueError, match="no"):
        await work.wait()


async def test_a_turn_that_nobody_waits_for_any_more_is_delivered_to_nobody() -> None:
    ticket = Ticket(method="GET", path=lambda: ME, owner=None, refusal=lambda: None)
    deliver(ticket)
    ticket.future = asyncio.get_running_loop().create_future()
    deliver(ticket)
    deliver(ticket)
    assert ticket.future.done()


async def test_calls_that_wait_for_the_first_word_of_a_store_are_said_to_queue() -> None:
    budget = SlowBudget(seconds=1.0)
    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(ok), budget=budget) as toggl:
        call = asyncio.ensure_future(toggl.request("GET", ME))
        await asyncio.sleep(0.1)
        (account,) = toggl.stats().accounts
        assert account.reason is Reason.QUEUE
        await call


async def test_a_quota_without_a_total_is_taken() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        rows = [{"organization_id": None, "remaining": 0, "resets_in_secs": 600, "total": None}]
        return httpx.Response(200, json=rows if request.url.path.endswith("/quota") else {})

    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(answer)) as toggl:
        await toggl.request("GET", f"{ME}/quota")
        (account,) = toggl.stats().accounts
        (window,) = account.windows
        assert (window.remaining, window.total) == (0, None)


async def test_what_an_account_was_refused_outlives_an_hour_of_rest() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(410 if request.url.path.endswith("/old") else 200, json={})

    async with Scheduler() as scheduler:
        transport = httpx.MockTransport(answer)
        one, other = (
            TogglClient(ApiToken(token), transport=transport, scheduler=scheduler)
            for token in (TOKEN, TOKEN[::-1] + "1")
        )
        for _ in range(2):
            with pytest.raises(Exception, match="410"):
                await one.request("GET", f"{ME}/old")
            await asyncio.sleep(2 * 3600)
            await other.request("GET", ME)
            await other.request("GET", ME)
    assert asked.count(f"{ME}/old") == 1


async def test_what_another_scheduler_learned_is_learned_with_the_next_answer() -> None:
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        await asyncio.sleep(0.1 if request.url.path.endswith("/old") else 3)
        return httpx.Response(410 if request.url.path.endswith("/old") else 200, json={})

    budget, transport = MemoryBudget(), httpx.MockTransport(answer)
    async with (
        TogglClient(ApiToken(TOKEN), transport=transport, budget=budget) as one,
        TogglClient(ApiToken(TOKEN), transport=transport, budget=budget) as other,
    ):
        slow = asyncio.ensure_future(other.request("GET", ME))
        await asyncio.sleep(0.01)
        with pytest.raises(Exception, match="410"):
            await one.request("GET", f"{ME}/old")
        await slow
        await other.request("GET", ME)
        with pytest.raises(Exception, match="410"):
            await other.request("GET", f"{ME}/old")
    assert asked.count(f"{ME}/old") == 1


class Foreign:
    """Somebody else's budget, which answers at once, and fails from a step on."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.away = False

    def open(self, on_wake: Callable[[str], None], **_others: object) -> Any:
        self._holder = MemoryBudget().open(on_wake)
        return self

    def transact(self, account: str, step: Any, lessons: Sequence[Any] = ()) -> Any:
        self.steps -= 1
        if self.steps < 0:
            raise RuntimeError("lost")
        return self._holder.transact(account, step, lessons)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._holder, name)


@pytest.mark.parametrize("steps", range(5))
async def test_a_budget_that_fails_fails_calls_with_an_error_of_ours(steps: int) -> None:
    async def server(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200, json={})

    budget = Foreign(steps)
    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(server), budget=budget) as toggl:
        calls = [toggl.request("GET", ME, params={"n": n}) for n in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} <= {dict, BudgetError}
    assert BudgetError in {type(result) for result in results}


async def test_a_wake_for_a_scheduler_that_is_closed_does_no_harm() -> None:
    """It gave a turn a little ahead, was closed, and then another one met a 429."""
    budget = MemoryBudget()

    async def refuse(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1.7)
        return httpx.Response(429)

    other = Scheduler(budget=budget)
    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(refuse), budget=budget) as toggl:
        refused = asyncio.ensure_future(toggl.with_options(max_wait=5.0).request("GET", ME))
        await asyncio.sleep(1.1)
        driver = driver_of(other)
        await sent(driver)
        await asyncio.sleep(0.55)
        call = call_of(driver)
        waiting = asyncio.ensure_future(_wait(driver.turn(call)))
        await asyncio.sleep(0)
        await other.aclose()
        with pytest.raises((RateLimited, MaxWaitExceeded)):
            await refused
        waiting.cancel()


async def _wait(waiting: Any) -> None:
    if waiting is not None:
        await waiting


async def test_what_two_schedulers_learn_at_once_both_remember() -> None:
    asked: list[str] = []

    async def gone(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        await asyncio.sleep(0.7)
        return httpx.Response(410)

    budget, transport = SlowBudget(seconds=0.9), httpx.MockTransport(gone)
    async with (
        TogglClient(ApiToken(TOKEN), transport=transport, budget=budget) as one,
        TogglClient(ApiToken(TOKEN), transport=transport, budget=budget) as other,
    ):
        for again in range(2):
            for toggl in (one, other) if not again else (other, one):
                calls = [toggl.request("GET", f"{ME}/{number}") for number in range(4)]
                results = await asyncio.gather(*calls, return_exceptions=True)
                assert {type(result) for result in results} == {EndpointGone}
                calls = [one.request("GET", f"{ME}/{number}") for number in (7, 8)]
                calls += [other.request("GET", f"{ME}/{number}") for number in (8, 9)]
                await asyncio.gather(*calls, return_exceptions=True)
    assert all(asked.count(path) == 1 for path in asked if path[-1] in "0123")


async def test_a_request_that_others_passed_waits_for_its_new_slot_and_is_not_asked_about_again() -> None:
    budget = SlowBudget(seconds=0.002)
    async with Scheduler(budget=budget) as scheduler, Scheduler(budget=budget) as other:
        driver, second = driver_of(scheduler), driver_of(other)
        call = call_of(driver)
        await _wait(driver.turn(call))
        driver.begin(call)
        await asyncio.sleep(1.5)
        passing = await sent(second)
        left, transactions = asyncio.get_running_loop().time(), budget.transactions
        await driver.depart(call)
        assert asyncio.get_running_loop().time() - left >= 1.0
        assert budget.transactions == transactions + 1
        driver.finish(call)
        second.finish(passing)


@pytest.mark.parametrize("started", [0.0, 5.0, 1e6])
def test_a_first_call_is_not_held_up_on_a_machine_that_was_just_started(started: float) -> None:
    """Its clock shows less than an interval, and the connection takes longer than a turn keeps."""
    model = Model(connecting=lambda call, _attempt: 1.5 * (call == "slow"))
    options = ClientOptions(pace=Pace(interval=3600), max_wait=None)

    async def ask() -> float:
        transport = ScheduledTransport(model, options=options)
        async with httpx.AsyncClient(transport=transport, base_url="https://toggl.test") as client:
            # From the first one on, the transport is known to trace.
            for token, call in (("a" * 32, "quick"), ("b" * 32, "slow")):
                await client.get(ME, params={"call": call}, auth=(token, "api_token"))
        return asyncio.get_running_loop().time() - started

    loop = JumpLoop()
    loop.now = started
    try:
        assert loop.run_until_complete(ask()) < 3
    finally:
        loop.close()
