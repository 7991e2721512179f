"""Calls that wait, fail, are shared and are listened to: each test is somebody's accident."""

import asyncio
import itertools
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import httpx
import pytest

from support.model import NGINX
from support.support_wire import TOKEN
from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    Cooldown,
    EndpointGone,
    InvalidInput,
    MaxWaitExceeded,
    Pace,
    Priority,
    QuotaExceeded,
    RateLimited,
    Retry,
    Scheduler,
    ServerError,
    TogglClient,
)
from toggl_async.scheduler import MemoryBudget, ScheduledTransport, SchedulerEvent, events

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

ME = "/api/v9/me"
TAGS = "/api/v9/workspaces/3/tags"
SEARCH = "/reports/api/v3/workspace/3/search/time_entries"
Respond = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def now() -> float:
    return asyncio.get_running_loop().time()


class Toggl:
    """A server that answers by a function, and notes when it was asked for what."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.asked: list[tuple[float, str]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((now(), request.url.path))
        answer = self.respond(request)
        return await answer if isinstance(answer, Awaitable) else answer

    def client(self, options: ClientOptions | None = None, **other: Any) -> TogglClient:
        transport = httpx.MockTransport(self)
        return TogglClient(ApiToken(TOKEN), transport=transport, options=options, **other)


def ok(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def then(*answers: httpx.Response) -> Respond:
    left = list(answers)
    return lambda _request: left.pop(0) if left else httpx.Response(200, json={})


def after(seconds: float, respond: Respond = ok) -> Respond:
    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        found = respond(request)
        assert isinstance(found, httpx.Response)
        return found

    return answer


async def many(toggl: TogglClient, count: int, path: str = ME, method: str = "GET") -> list[Any]:
    calls = (toggl.request(method, path, params={"n": number}) for number in range(count))
    return await asyncio.gather(*calls, return_exceptions=True)


# Listeners


@pytest.mark.parametrize("kind", [events.Queued, events.Granted, events.Sent, events.Answered])
async def test_a_listener_that_cancels_calls_hurts_no_others(kind: type[SchedulerEvent]) -> None:
    cancelled: list[asyncio.Task[Any]] = []

    def listen(event: SchedulerEvent) -> None:
        if isinstance(event, kind) and not cancelled and len(server.asked) == 1:
            cancelled.append(tasks[1])
            tasks[1].cancel()

    server = Toggl(ok)
    async with server.client(on_event=listen) as toggl:
        tasks = [
            asyncio.ensure_future(toggl.request("POST", ME, params={"n": number})) for number in range(5)
        ]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for number, result in enumerate(results) if number != 1] == [{}] * 4
        assert cancelled
        (account,) = toggl.stats().accounts
        assert (account.waiting, account.in_flight) == (0, 0)
        assert await toggl.request("GET", ME) == {}


async def test_a_listener_can_do_anything_to_the_scheduler() -> None:
    told = []

    def listen(event: SchedulerEvent) -> None:
        told.append(event)
        scheduler.stats()
        scheduler.forget_refusals()
        raise asyncio.CancelledError if len(told) % 2 else ZeroDivisionError

    server = Toggl(then(httpx.Response(429, html=NGINX)))
    async with Scheduler() as scheduler:
        end = scheduler.listen(listen)
        also = scheduler.listen(listen)
        async with server.client(scheduler=scheduler) as toggl:
            assert await many(toggl, 4) == [{}] * 4
            also()
            end()
            end()
            count = len(told)
            await toggl.request("GET", ME)
    assert len(told) == count > 10


async def test_a_listener_that_closes_the_scheduler_ends_the_calls() -> None:
    closing: list[asyncio.Task[None]] = []

    def listen(event: SchedulerEvent) -> None:
        if isinstance(event, events.Answered) and not closing:
            closing.append(asyncio.ensure_future(toggl.aclose()))

    toggl = Toggl(ok).client(on_event=listen)
    results = await many(toggl, 4)
    assert results[0] == {}
    assert {type(result).__name__ for result in results[2:]} == {"ClientClosed"}
    await asyncio.gather(*closing)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (httpx.Response(410, text="Gone"), "EndpointGone"),
        (httpx.Response(402, text="Upgrade your workspace to use this feature"), "FeatureUnavailable"),
        (httpx.Response(403, headers={"x-remaining-login-attempts": "3"}), "LoginRefused"),
    ],
)
async def test_listeners_hear_how_each_call_ended_that_an_answer_to_another_refused(
    refusal: httpx.Response, error: str
) -> None:
    heard: list[SchedulerEvent] = []
    server = Toggl(after(0.1, then(refusal)))
    async with server.client(ClientOptions(coalesce=False), on_event=heard.append) as toggl:
        calls = [toggl.request("GET", ME) for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await toggl.scheduler.aclose()
    assert [type(result).__name__ for result in results] == [error] * 5
    assert len(server.asked) == 1
    assert [event.call for event in heard if isinstance(event, events.Sent)] == [1]
    refused = [(event.call, event.error) for event in heard if isinstance(event, events.Refused)]
    assert sorted(refused) == [(call, error) for call in (2, 3, 4, 5)]
    assert not any(isinstance(event, events.Cancelled) for event in heard)


async def test_a_refused_call_takes_no_turn_from_the_one_behind_it() -> None:
    server = Toggl(lambda request: httpx.Response(410 if request.url.path == ME else 200, json={}))
    async with server.client(ClientOptions(coalesce=False)) as toggl:
        gone = asyncio.ensure_future(many(toggl, 1))
        await asyncio.sleep(0)
        more = [asyncio.ensure_future(toggl.request("GET", ME, params={"n": 0})) for _ in range(2)]
        await asyncio.sleep(1.1)
        began = now()
        first, second = await asyncio.gather(toggl.request("GET", TAGS), toggl.request("GET", SEARCH))
        assert (first, second) == ({}, {})
        await asyncio.gather(gone, *more, return_exceptions=True)
    assert [path for _, path in server.asked] == [ME, TAGS, SEARCH]
    assert server.asked[1][0] == pytest.approx(began)


async def test_listeners_hear_of_the_calls_that_waited_when_their_client_was_closed() -> None:
    heard: list[SchedulerEvent] = []
    server = Toggl(ok)
    async with server.client(on_event=heard.append) as toggl:
        calls = asyncio.ensure_future(many(toggl, 4))
        await asyncio.sleep(0.5)
        await toggl.aclose()
        await calls
    refused = [event.error for event in heard if isinstance(event, events.Refused)]
    assert refused == ["ClientClosed"] * 3


# Sharing


@pytest.mark.parametrize("status", [429, 503])
async def test_a_follower_that_has_time_goes_on_where_the_leader_has_none(status: int) -> None:
    """The first has waited so long that another rest is too much; the second came late."""
    refusal = httpx.Response(status, html=NGINX)
    server = Toggl(then(httpx.Response(429, html=NGINX), httpx.Response(200, json={}), refusal))
    options = ClientOptions(
        cooldown=Cooldown(minimum=150.0, maximum=150.0), retry=Retry(minimum=150.0, maximum=150.0)
    )
    async with server.client(options) as toggl:
        first = asyncio.ensure_future(toggl.request("POST", TAGS))
        await asyncio.sleep(0.5)
        calls = toggl.with_options(max_wait=200.0)
        leader = asyncio.ensure_future(calls.request("GET", ME))
        await asyncio.sleep(140)
        follower = asyncio.ensure_future(calls.request("GET", ME))
        with pytest.raises((RateLimited, ServerError)):
            await leader
        assert await follower == {}
        await first
        assert toggl.stats().shared == 1
    assert [path for _, path in server.asked] == [TAGS, TAGS, ME, ME]


async def test_reads_by_post_are_shared_as_gets_are() -> None:
    server = Toggl(after(5.0))
    async with server.client() as toggl:
        searches = [
            toggl.request("POST", SEARCH, json={"start_date": f"2026-0{month}-01"})
            for month in (1, 1, 1, 1, 1, 2)
        ]
        assert await asyncio.gather(*searches) == [{}] * 6
        writes = [toggl.request("POST", TAGS, json={"name": "a"}) for _ in range(3)]
        await asyncio.gather(*writes)
    assert [path for _, path in server.asked] == [SEARCH] * 2 + [TAGS] * 3
    assert toggl.stats().shared == 4


# Bounds


async def test_ageing_counts_in_what_max_wait_foresees() -> None:
    server = Toggl(ok)
    async with server.client() as toggl:
        urgent = toggl.with_options(priority=Priority.INTERACTIVE, max_wait=None)
        crowd = asyncio.ensure_future(many(urgent, 400))
        await asyncio.sleep(0.1)
        began = now()
        bulk = toggl.with_options(priority=Priority.BULK, max_wait=300.0)
        assert await bulk.request("GET", TAGS) == {}
        assert 170 < now() - began < 190
        await crowd


async def test_what_failed_in_one_moment_is_one_incident() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502) if now() < failing_until else ok(request)

    failing_until = now() + 20
    server = Toggl(after(15.0, answer))
    async with server.client(ClientOptions(retry=Retry(minimum=0.5, maximum=30.0))) as toggl:
        assert await many(toggl, 8) == [{}] * 8
    first_again = next(at for at, _ in server.asked[8:])
    assert first_again - server.asked[7][0] < 15 + 4


async def test_a_rest_does_not_count_as_starving() -> None:
    server = Toggl(then(httpx.Response(429, html=NGINX, headers={"Retry-After": "400"})))
    async with server.client() as toggl:
        urgent = toggl.with_options(priority=Priority.INTERACTIVE)
        bulk = toggl.with_options(priority=Priority.BULK)
        refused = asyncio.ensure_future(urgent.request("POST", ME))
        await asyncio.sleep(0.01)
        patient = asyncio.ensure_future(bulk.request("POST", TAGS))
        await asyncio.sleep(0.5)
        late = asyncio.ensure_future(urgent.request("POST", f"{ME}/late"))
        await asyncio.gather(refused, patient, late)
    assert [path for _, path in server.asked] == [ME, ME, f"{ME}/late", TAGS]


async def test_no_wait_and_no_timeout_are_no_limits() -> None:
    server = Toggl(then(httpx.Response(429, html=NGINX, headers={"Retry-After": "3000"})))
    async with server.client(ClientOptions(max_wait=None, timeout=None)) as toggl:
        assert await toggl.request("GET", ME) == {}
        assert await toggl.with_options(max_wait=None, timeout=None).request("GET", ME) == {}
    assert server.asked[1][0] - server.asked[0][0] >= 3000


async def test_a_pace_of_nothing_costs_no_time() -> None:
    server = Toggl(ok)
    async with server.client(ClientOptions(pace=Pace(interval=0))) as toggl:
        began = now()
        assert await many(toggl, 100) == [{}] * 100
        assert now() - began < 0.01


async def test_attempts_of_a_view_are_its_own() -> None:
    server = Toggl(lambda _: httpx.Response(500))
    async with server.client() as toggl:
        with pytest.raises(ServerError):
            await toggl.with_options(attempts=2).request("GET", ME)
        assert len(server.asked) == 2
        with pytest.raises(ServerError):
            await toggl.with_options(attempts=1).request("GET", ME)
        assert len(server.asked) == 3
        with pytest.raises(InvalidInput, match="attempts must be at least 1"):
            toggl.with_options(attempts=0)


# Memories


async def test_a_410_of_one_project_says_nothing_of_others(caplog: pytest.LogCaptureFixture) -> None:
    gone = "/api/v9/workspaces/3/projects/7"
    server = Toggl(lambda request: httpx.Response(410 if request.url.path == gone else 200, json={}))
    async with server.client() as toggl:
        for _ in range(2):
            with pytest.raises(EndpointGone):
                await toggl.request("GET", gone)
        assert await toggl.request("GET", "/api/v9/workspaces/3/projects/8") == {}
        assert await toggl.request("GET", "/api/v9/workspaces/4/projects/7") == {}
        assert [path for _, path in server.asked].count(gone) == 1
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "410" in warnings[0].getMessage()
        await asyncio.sleep(24 * 3600)
        with pytest.raises(EndpointGone) as caught:
            await toggl.request("GET", gone)
        assert not caught.value.from_memory, "it is asked for again after a day"


async def test_a_402_that_says_nothing_is_not_remembered() -> None:
    server = Toggl(then(httpx.Response(402)))
    async with server.client() as toggl:
        results = [*await many(toggl, 1, TAGS), *await many(toggl, 1, TAGS)]
    assert type(results[0]).__name__ == "PaymentRequired"
    assert results[1] == {}


async def test_a_window_ends_by_the_wall_clock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "3000"}
    server = Toggl(lambda _: httpx.Response(200, json={}, headers=quota if len(server.asked) == 1 else {}))
    asleep, real = 0.0, time.time
    monkeypatch.setattr("time.time", lambda: real() + asleep)
    async with server.client(ClientOptions(max_wait=5)) as toggl:
        await toggl.request("GET", ME)
        with pytest.raises(QuotaExceeded):
            await toggl.request("GET", ME)
        asleep = 3200.0  # the lid was shut: the loop's clock stood still
        assert await toggl.request("GET", ME) == {}


# What cannot succeed


def certificate() -> httpx.ConnectError:
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    return error


@pytest.mark.parametrize(
    "fault",
    [certificate(), httpx.ProxyError("407 Proxy Authentication Required"), httpx.UnsupportedProtocol("x")],
    ids=["certificate", "proxy password", "protocol"],
)
async def test_what_cannot_succeed_is_tried_once(fault: httpx.TransportError) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise fault

    server = Toggl(fail)
    async with server.client() as toggl:
        with pytest.raises(ConnectionFailed):
            await toggl.request("GET", ME)
        assert len(server.asked) == 1
        server.respond = ok
        began = now()
        await toggl.request("GET", ME)
        assert now() - began < 1.1, "nothing that would get better is waited for"


@pytest.mark.parametrize("status", [501, 505, 511])
async def test_what_a_server_cannot_do_is_asked_once(status: int) -> None:
    server = Toggl(lambda _: httpx.Response(status))
    async with server.client() as toggl:
        with pytest.raises(ServerError) as read:
            await toggl.request("GET", ME)
        with pytest.raises(ServerError) as written:
            await toggl.request("POST", ME)
    assert (read.value.maybe_applied, written.value.maybe_applied) == (False, True)
    assert len(server.asked) == 2


# Options beside a shared scheduler


async def test_a_client_inherits_the_options_of_its_scheduler() -> None:
    scheduler = Scheduler(ClientOptions(max_wait=0.5, timeout=7.0, coalesce=False))
    seen: list[Any] = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"]["read"])
        return ok(request)

    server = Toggl(look)
    async with scheduler, server.client(scheduler=scheduler) as toggl:
        results = await many(toggl, 3)
        assert [type(result) for result in results] == [dict, MaxWaitExceeded, MaxWaitExceeded]
        own = attrs.evolve(scheduler.options, max_wait=60.0, timeout=None)
        async with server.client(own, scheduler=scheduler) as patient:
            assert await many(patient, 3) == [{}] * 3
    assert seen == [7.0, None, None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"options": ClientOptions(pace=Pace(interval=5))}, "options.pace differs"),
        ({"options": ClientOptions(max_in_flight=3)}, "options.max_in_flight differs"),
        ({"options": ClientOptions(retry=Retry(attempts=2))}, "options.retry differs"),
        ({"budget": MemoryBudget()}, "budget and scheduler cannot be combined"),
        ({"on_event": print}, r"use scheduler.listen\(on_event\)"),
    ],
)
async def test_what_belongs_to_the_scheduler_is_refused_beside_it(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        TogglClient(ApiToken(TOKEN), scheduler=Scheduler(), **given)
    if "on_event" not in given:
        with pytest.raises(InvalidInput, match=message):
            ScheduledTransport(scheduler=Scheduler(), **given)


# Chance


async def test_a_reset_does_not_bring_all_back_in_one_moment() -> None:
    quota = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "1000"}
    back = []
    for _ in range(12):
        server = Toggl(lambda _: httpx.Response(200, json={}, headers=quota))
        async with server.client(ClientOptions(max_wait=None)) as toggl:
            await toggl.request("GET", ME)
            began = server.asked[0][0]
            await toggl.request("GET", ME)
            back.append(server.asked[1][0] - began)
    assert all(1000 < at < 1012 for at in back)
    assert max(back) - min(back) > 2


# Packages


async def test_the_limiter_keeps_the_distance_where_the_budget_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A budget that grants everything at once, as a store that lost its memory again and again would."""

    async def gaps() -> float:
        server = Toggl(ok)
        async with server.client(budget=_Forgetful()) as toggl:
            await many(toggl, 6, TAGS, "POST")
        times = [at for at, _ in server.asked]
        return min(later - earlier for earlier, later in itertools.pairwise(times))

    assert await gaps() >= 1.0 - 1e-6

    class Open:
        def __init__(self, *_: object) -> None: ...
        def has_capacity(self) -> bool:
            return True

        async def acquire(self) -> None: ...

    monkeypatch.setattr("toggl_async.scheduler.driver.outlook.AsyncLimiter", Open)
    assert await gaps() < 0.1, "without it, nothing holds them"


class _Forgetful(MemoryBudget):
    """Begins anew before each transaction."""

    def limits_of(self, account: str, now: int) -> Any:
        self._limits.clear()
        return super().limits_of(account, now)
