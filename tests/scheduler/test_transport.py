"""The scheduling transport as a whole, on the jumping clock; at the end over a real socket."""

import asyncio
import gc
import itertools
import json
import logging
import math
import random
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from support.loopback import listening, nobody_listening
from support.model import NGINX, Model
from support.patience import patient
from support.slow_budget import SlowBudget
from toggl_async import errors
from toggl_async.options import ClientOptions, Cooldown, Pace, Priority, QuotaPolicy, Retry
from toggl_async.scheduler import (
    EXTENSION,
    Attempted,
    Budget,
    Lane,
    MemoryBudget,
    Reason,
    RequestFacts,
    ScheduledTransport,
    Scheduler,
    SchedulerEvent,
    error_of,
    events,
)
from toggl_async.scheduler.budgets import Holder
from toggl_async.scheduler.scheduler import drivers_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

BASE = "https://toggl.test"
ME = f"{BASE}/api/v9/me"
Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response] | httpx.Response]


def facts(path: str = "/api/v9/me", **other: Any) -> dict[str, Any]:
    reads = other.pop("reads", True)
    made = RequestFacts(
        **{"route": f"{'GET' if reads else 'POST'} {path}", "lane": Lane.USER, "reads": reads, **other}
    )
    return {EXTENSION: made}


class Bench:
    """A client over a handler, with everything that happens written down."""

    def __init__(
        self, handler: Handler, options: ClientOptions | None = None, *, budget: Budget | None = None
    ) -> None:
        self.sent: list[tuple[float, str]] = []
        self.events: list[SchedulerEvent] = []
        self.handler = handler
        self.scheduler = Scheduler(
            options, random=random.Random(1), budget=budget, on_event=self.events.append
        )
        self.transport = ScheduledTransport(httpx.MockTransport(self.handle), scheduler=self.scheduler)
        self.client = httpx.AsyncClient(transport=self.transport, auth=("made-up", "api_token"))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append((asyncio.get_running_loop().time(), f"{request.method} {request.url.path}"))
        answer = self.handler(request)
        return await answer if isinstance(answer, Awaitable) else answer

    def of(self, kind: type[SchedulerEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def gaps(self) -> list[float]:
        times = [at for at, _ in self.sent]
        return [round(after - before, 3) for before, after in itertools.pairwise(times)]


def others(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Return the tasks that have come since."""
    return asyncio.all_tasks() - before


def ok(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"ok": True})


def after(seconds: float, response: httpx.Response | None = None) -> Handler:
    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return response or httpx.Response(200, json={"ok": True})

    return answer


def script(*answers: httpx.Response | Exception) -> Handler:
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        given = left.pop(0) if left else httpx.Response(200, json={"ok": True})
        if isinstance(given, Exception):
            raise given
        return given

    return answer


async def test_two_hundred_calls_keep_the_pace_and_the_order() -> None:
    bench = Bench(after(2.0))
    responses = await asyncio.gather(*(bench.client.get(f"{ME}/{n}") for n in range(200)))
    assert {response.status_code for response in responses} == {200}
    assert [path for _, path in bench.sent] == [f"GET /api/v9/me/{n}" for n in range(200)]
    assert set(bench.gaps) == {1.02}


async def test_a_single_call_takes_no_task() -> None:
    before = asyncio.all_tasks()
    bench = Bench(ok)
    await bench.client.post(ME)
    assert not others(before)
    assert not bench.of(events.Queued)
    assert [type(event) for event in bench.events] == [events.Granted, events.Sent, events.Answered]


async def test_the_answer_says_how_it_was_come_by() -> None:
    bench = Bench(script(httpx.Response(429, html=NGINX)))
    response = await bench.client.get(ME)
    attempted = response.extensions[EXTENSION]
    assert isinstance(attempted, Attempted)
    assert attempted.attempts == 2
    assert 120 <= attempted.waited <= 240
    assert not attempted.shared
    assert response.json() == {"ok": True}


async def test_too_long_a_queue_fails_at_once() -> None:
    bench = Bench(ok)
    calls = [bench.client.get(f"{ME}/{n}", extensions=facts(max_wait=5.0)) for n in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, errors.MaxWaitExceeded)]
    assert len(bench.sent) == 5
    assert len(refused) == 15
    assert refused[0].reason == "queue"
    assert refused[0].wait > refused[0].max_wait == 5.0
    assert all(event.at < bench.sent[0][0] + 0.01 for event in bench.of(events.Refused))


async def test_no_wait_at_all_is_enough_for_a_free_turn() -> None:
    bench = Bench(ok)
    response = await bench.client.get(ME, extensions=facts(max_wait=0.0))
    assert response.status_code == 200
    with pytest.raises(errors.MaxWaitExceeded, match="pace"):
        await bench.client.get(ME, extensions=facts(max_wait=0.0))


async def test_a_cool_down_fails_those_who_cannot_wait_for_it() -> None:
    bench = Bench(script(httpx.Response(429, html=NGINX)))
    patient = asyncio.ensure_future(bench.client.get(f"{ME}/1"))
    hasty = [
        asyncio.ensure_future(bench.client.get(f"{ME}/{n}", extensions=facts(max_wait=wait)))
        for n, wait in ((2, 60.0), (3, 600.0), (4, 60.0))
    ]
    await asyncio.sleep(0.5)
    assert [task.done() for task in hasty] == [True, False, True]
    with pytest.raises(errors.MaxWaitExceeded, match="cool-down"):
        await hasty[0]
    assert (await patient).status_code == 200
    assert (await hasty[1]).status_code == 200
    late = bench.client.get(f"{ME}/5", extensions=facts(max_wait=0.5))
    with pytest.raises(errors.MaxWaitExceeded, match="pace"):
        await late


async def test_who_cannot_wait_after_a_429_gets_it_as_the_answer() -> None:
    bench = Bench(lambda _: httpx.Response(429, html=NGINX))
    response = await bench.client.get(ME, extensions=facts(max_wait=60.0))
    assert response.status_code == 429
    assert isinstance(error_of(response, method="GET", path="/api/v9/me"), errors.RateLimited)
    assert len(bench.sent) == 1
    with pytest.raises(errors.MaxWaitExceeded, match="cool-down"):
        await bench.client.get(ME, extensions=facts(max_wait=60.0))


async def test_a_429_widens_the_interval_and_calm_narrows_it() -> None:
    bench = Bench(script(httpx.Response(429, html=NGINX), httpx.Response(400, html=NGINX)))
    await asyncio.gather(
        *(bench.client.get(f"{ME}/{n}", extensions=facts(max_wait=math.inf)) for n in range(400))
    )
    cooled = bench.of(events.CooledDown)
    assert [round(event.interval, 3) for event in cooled] == [1.12, 1.22]
    assert max(gap for gap in bench.gaps if gap < 100) == 1.22
    assert 1.02 < bench.gaps[-1] < 1.15


async def test_two_refusals_of_one_incident_widen_the_interval_once() -> None:
    refusals = [httpx.Response(429, html=NGINX), httpx.Response(429, html=NGINX)]

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return refusals.pop() if refusals else ok(request)

    bench = Bench(answer)
    await asyncio.gather(*(bench.client.get(f"{ME}/{n}") for n in range(2)))
    assert [round(event.interval, 3) for event in bench.of(events.CooledDown)] == [1.12, 1.12]


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait() -> None:
    bench = Bench(ok)
    bulk = asyncio.ensure_future(
        bench.client.get(f"{ME}/0", extensions=facts(max_wait=3.0, priority=Priority.BULK))
    )
    first = bench.client.get(f"{ME}/a")
    urgent = [
        bench.client.get(f"{ME}/{n}", extensions=facts(priority=Priority.INTERACTIVE)) for n in range(1, 9)
    ]
    start = asyncio.get_running_loop().time()
    done = asyncio.gather(first, *urgent)
    await asyncio.sleep(0)
    late = asyncio.ensure_future(
        bench.client.get(f"{ME}/late", extensions=facts(max_wait=2.5, priority=Priority.BULK))
    )
    results = await asyncio.gather(bulk, late, return_exceptions=True)
    assert any(isinstance(result, errors.MaxWaitExceeded) for result in results)
    assert asyncio.get_running_loop().time() - start < 4.0
    await done


async def test_a_deadline_is_kept_by_a_timer_where_urgent_calls_go_ahead() -> None:
    bench = Bench(ok)
    first = asyncio.ensure_future(bench.client.get(f"{ME}/first"))
    await asyncio.sleep(0.01)
    bulk = asyncio.ensure_future(
        bench.client.get(f"{ME}/bulk", extensions=facts(max_wait=3.0, priority=Priority.BULK))
    )
    await asyncio.sleep(0.01)
    urgent = asyncio.gather(
        *(bench.client.get(f"{ME}/{n}", extensions=facts(priority=Priority.INTERACTIVE)) for n in range(9))
    )
    start = asyncio.get_running_loop().time()
    with pytest.raises(errors.MaxWaitExceeded) as caught:
        await bulk
    assert asyncio.get_running_loop().time() - start == pytest.approx(3.03, abs=0.05)
    assert caught.value.wait >= 3.0
    assert len(await urgent) == 9
    assert (await first).status_code == 200


async def test_quota_is_learned_and_waited_for() -> None:
    left = 3

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal left
        left -= 1
        return httpx.Response(
            200, headers={"X-Toggl-Quota-Remaining": str(left), "X-Toggl-Quota-Resets-In": "900"}
        )

    bench = Bench(answer)
    calls = [bench.client.get(f"{ME}/{n}", extensions=facts(max_wait=math.inf)) for n in range(5)]
    short = bench.client.get(f"{ME}/short", extensions=facts(max_wait=800.0))
    tasks = [asyncio.ensure_future(call) for call in [*calls, short]]
    await asyncio.sleep(0.5)
    assert tasks[-1].done()
    with pytest.raises(errors.QuotaExceeded) as caught:
        await tasks[-1]
    assert caught.value.from_memory
    assert caught.value.organization_id is None
    await asyncio.sleep(10)
    assert len(bench.sent) == 3
    pause = bench.of(events.Paused)[-1]
    assert pause.reason is Reason.QUOTA
    stats = bench.scheduler.stats()
    assert stats.accounts[0].reason is Reason.QUOTA
    assert 880 < (stats.accounts[0].wait or 0) < 911
    assert stats.accounts[0].windows[0].remaining == 0
    left = 99
    await asyncio.gather(*tasks[:-1])
    assert bench.gaps[2] > 898
    assert bench.scheduler.stats().accounts[0].wait is None


@pytest.mark.parametrize("shared", [False, True])
async def test_a_short_quota_refuses_what_it_leaves_over_and_no_more(shared: bool) -> None:
    left = 5

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal left
        left -= 1
        headers = {"X-Toggl-Quota-Remaining": str(left), "X-Toggl-Quota-Resets-In": "3600"}
        return httpx.Response(200, headers=headers)

    bench = Bench(answer, budget=SlowBudget() if shared else None)
    calls = [bench.client.get(f"{ME}/{n}", extensions=facts(max_wait=300.0)) for n in range(12)]
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0.9)
    assert sum(task.done() for task in tasks) == 1 + 7, "at once, when the first answer tells the quota"
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, errors.QuotaExceeded)]
    assert (len(refused), len(bench.sent)) == (7, 5)


@pytest.mark.parametrize("seed", range(8))
async def test_chance_refuses_nobody_who_can_wait_for_a_reset(seed: int) -> None:
    """It is drawn once, counted in what `max_wait` is compared with, and then it holds."""
    began, quota = asyncio.get_running_loop().time(), {"organization_id": 5, "total": 600}

    def answer(request: httpx.Request) -> httpx.Response:
        left = max(0, round(began + 60 - asyncio.get_running_loop().time()))
        row = quota | {"remaining": 0 if left else 600, "resets_in_secs": left or 3600}
        return httpx.Response(200, json=[row] if "quota" in request.url.path else None)

    scheduler = Scheduler(random=random.Random(seed))
    transport = ScheduledTransport(httpx.MockTransport(answer), scheduler=scheduler)
    drivers_of(scheduler).learn_organization(7, 5)
    async with httpx.AsyncClient(transport=transport, auth=("made-up", "api_token")) as client:

        async def ask(max_wait: float) -> httpx.Response:
            extensions = facts("/x", lane=Lane.ORGANIZATION, workspace_id=7, max_wait=max_wait)
            return await client.get(f"{BASE}/api/v9/workspaces/7/tags", extensions=extensions)

        await client.get(f"{ME}/quota")
        (window,) = (one for one in scheduler.stats().accounts[0].windows if one.organization_id == 5)
        wait = window.resets_in
        assert wait is not None
        assert 61 <= wait <= 71
        with pytest.raises(errors.QuotaExceeded):
            await ask(wait - 0.001)
        waiting = asyncio.ensure_future(ask(wait + 0.001))
        for _ in range(3):
            await asyncio.sleep(5)
            await client.get(f"{ME}/quota")
        assert (await waiting).status_code == 200
        assert asyncio.get_running_loop().time() - began <= wait + 0.002


async def test_a_402_goes_back_to_the_queue_even_for_a_write() -> None:
    body = '"Your quota will reset in 133 seconds."'
    bench = Bench(script(httpx.Response(402, text=body)))
    extensions = facts("/api/v9/workspaces/7/tags", lane=Lane.ORGANIZATION, workspace_id=7, reads=False)
    response = await bench.client.post(
        f"{BASE}/api/v9/workspaces/7/tags", json={"name": "a"}, extensions=extensions
    )
    assert response.status_code == 200
    assert 134 <= bench.gaps[0] <= 144, "chance adds up to ten seconds, against herds"
    [retried] = bench.of(events.Retried)
    assert retried.reason is Reason.QUOTA
    again = Bench(script(httpx.Response(402, text=body)))
    short = await again.client.post(ME, extensions=facts(reads=False, max_wait=60.0))
    assert short.status_code == 402
    assert bench.scheduler.stats().over_quota == 1


async def test_the_quota_answer_is_read_as_it_passes_by() -> None:
    rows = [
        {"organization_id": None, "remaining": 28, "resets_in_secs": 100, "total": 30},
        {"organization_id": 5, "remaining": 0, "resets_in_secs": 700, "total": 600},
        {"organization_id": 6, "remaining": "many"},
        "nonsense",
    ]
    bench = Bench(lambda request: httpx.Response(200, json=rows if "quota" in request.url.path else None))
    waiting = bench.scheduler
    assert (await bench.client.get(f"{ME}/quota")).json() == rows
    windows = {window.organization_id: window for window in waiting.stats().accounts[0].windows}
    assert (windows[None].total, windows[None].remaining) == (30, 28)
    assert (windows[5].total, windows[5].remaining) == (600, 0)
    drivers_of(waiting).learn_organization(7, 5)
    url, extensions = (
        f"{BASE}/api/v9/workspaces/7/tags",
        facts("/x", lane=Lane.ORGANIZATION, workspace_id=7, max_wait=60),
    )
    with pytest.raises(errors.QuotaExceeded) as caught:
        await bench.client.get(url, extensions=extensions)
    assert (caught.value.organization_id, caught.value.total) == (5, 600)


@pytest.mark.parametrize("content", [b"not json", b'{"a": 1}', b"null"])
async def test_an_odd_quota_answer_does_no_harm(content: bytes) -> None:
    bench = Bench(lambda _: httpx.Response(200, content=content))
    assert (await bench.client.get(f"{ME}/quota")).content == content
    broken = Bench(
        lambda _: httpx.Response(200, stream=httpx.ByteStream(content), headers={"content-encoding": "gzip"})
    )
    with pytest.raises(httpx.DecodingError):
        await broken.client.get(f"{ME}/quota")


async def test_waiting_calls_follow_their_workspace_into_its_organization() -> None:
    bench = Bench(script(httpx.Response(402, text='"hourly limit. quota will reset in 1000 seconds"')))
    extensions = facts("/x", lane=Lane.ORGANIZATION, workspace_id=7, max_wait=math.inf)
    url = f"{BASE}/api/v9/workspaces/7/tags"
    tasks = [asyncio.ensure_future(bench.client.get(f"{url}/{n}", extensions=extensions)) for n in range(3)]
    await asyncio.sleep(5)
    drivers_of(bench.scheduler).learn_organization(7, 5)
    [window] = bench.scheduler.stats().accounts[0].windows
    assert (window.organization_id, window.workspace_id, window.remaining) == (5, None, 0)
    assert bench.scheduler.stats().accounts[0].waiting == 3
    await asyncio.gather(*tasks)
    assert 1001 <= bench.gaps[0] <= 1011
    assert bench.gaps[1:] == [1.02, 1.02]


async def test_a_reserve_is_left_for_others() -> None:
    headers = {"X-Toggl-Quota-Remaining": "5", "X-Toggl-Quota-Resets-In": "900"}
    bench = Bench(lambda _: httpx.Response(200, headers=headers), ClientOptions(quota=QuotaPolicy(reserve=5)))
    await bench.client.get(ME)
    with pytest.raises(errors.QuotaExceeded):
        await bench.client.get(ME)
    assert len(bench.sent) == 1


@pytest.mark.parametrize(
    "fault", [httpx.ReadError("x"), httpx.ReadTimeout("x"), httpx.Response(502), httpx.Response(503)]
)
async def test_reads_are_retried_after_a_delay(fault: httpx.Response | Exception) -> None:
    bench = Bench(script(fault, fault))
    assert (await bench.client.get(ME)).status_code == 200
    assert len(bench.sent) == 3
    assert [event.reason for event in bench.of(events.Retried)] == [Reason.BACKOFF] * 2
    assert bench.scheduler.stats().retried == 2


async def test_a_read_is_given_up_after_so_many_attempts() -> None:
    bench = Bench(lambda _: httpx.Response(500, text="report too big to be exported"))
    response = await bench.client.get(ME)
    assert response.status_code == 500
    assert len(bench.sent) == 5
    assert response.extensions[EXTENSION].maybe_applied is False
    lost = Bench(script(*[httpx.ReadTimeout("slow")] * 9), ClientOptions(retry=Retry(attempts=2)))
    with pytest.raises(errors.RequestTimeout) as caught:
        await lost.client.get(ME)
    assert not caught.value.maybe_applied
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)
    assert len(lost.sent) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "sent", "maybe"),
    [
        (httpx.ReadError(""), errors.ConnectionFailed, 1, True),
        (httpx.WriteTimeout("x"), errors.RequestTimeout, 1, True),
        (httpx.RemoteProtocolError("x"), errors.ConnectionFailed, 1, True),
        (httpx.ConnectError("x"), errors.ConnectionFailed, 1, True),
        (httpx.ConnectTimeout("x"), errors.RequestTimeout, 1, True),
        (httpx.PoolTimeout("x"), errors.RequestTimeout, 1, True),
        (httpx.UnsupportedProtocol("x"), errors.ConnectionFailed, 1, True),
    ],
)
async def test_a_write_is_not_repeated_where_nothing_proves_that_it_never_left(
    fault: Exception, kind: type[errors.RequestFailed], sent: int, maybe: bool
) -> None:
    bench = Bench(script(*[fault] * 9))
    with pytest.raises(kind) as caught:
        await bench.client.post(ME, json={"a": 1})
    assert caught.value.maybe_applied is maybe
    assert len(bench.sent) == sent
    assert [event.sent for event in bench.of(events.Lost)] == [maybe] * sent


async def test_a_failed_write_says_so_in_its_answer() -> None:
    bench = Bench(lambda _: httpx.Response(502, html="<html>nginx</html>"))
    response = await bench.client.post(ME, json={})
    error = error_of(response, method="POST", path="/api/v9/me")
    assert isinstance(error, errors.ServerError)
    assert error.maybe_applied
    assert len(bench.sent) == 1


async def test_a_retry_that_cannot_wait_ends_with_the_failure() -> None:
    bench = Bench(script(httpx.ReadError("lost")), ClientOptions(retry=Retry(minimum=20.0)))
    with pytest.raises(errors.ConnectionFailed, match="lost"):
        await bench.client.get(ME, extensions=facts(max_wait=10.0))
    with pytest.raises(errors.MaxWaitExceeded, match="back-off"):
        await bench.client.get(ME, extensions=facts(max_wait=10.0))


class Pieces(httpx.AsyncByteStream):
    """A body in pieces, that may break off."""

    def __init__(self, *pieces: bytes, fault: Exception | None = None) -> None:
        self.pieces = pieces
        self.fault = fault
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.fault:
            raise self.fault

    async def aclose(self) -> None:
        self.closed = True


async def test_a_body_that_breaks_off_is_fetched_again() -> None:
    broken = Pieces(b"ab", fault=httpx.ReadError("broken off"))
    bench = Bench(
        script(httpx.Response(200, stream=broken), httpx.Response(200, stream=Pieces(b"ab", b"cd")))
    )
    async with bench.client.stream("GET", ME) as response:
        assert [chunk async for chunk in response.aiter_raw()] == [b"abcd"]
    assert broken.closed
    assert len(bench.sent) == 2


async def test_the_body_of_a_refusal_may_break_off() -> None:
    bench = Bench(script(httpx.Response(403, stream=Pieces(b"no", fault=httpx.ReadError("x")))))
    response = await bench.client.post(ME)
    assert (response.status_code, response.text) == (403, "no")
    assert response.elapsed.total_seconds() >= 0


async def test_a_refusal_that_cannot_be_decompressed_is_still_one() -> None:
    headers = {"content-encoding": "gzip"}
    bench = Bench(script(httpx.Response(403, stream=Pieces(b"no gzip"), headers=headers)))
    response = await bench.client.get(ME)
    assert (response.status_code, response.content) == (403, b"")


async def test_a_streamed_answer_holds_its_slot_until_it_is_closed() -> None:
    body = Pieces(b"ab", b"cd")
    bench = Bench(script(httpx.Response(200, stream=body)), ClientOptions(max_in_flight=1))
    async with bench.client.stream("GET", ME, extensions=facts(streams=True)) as response:
        other = asyncio.ensure_future(bench.client.get(f"{ME}/other"))
        await asyncio.sleep(30)
        assert not other.done()
        assert bench.scheduler.stats().accounts[0].reason is Reason.IN_FLIGHT
        assert [chunk async for chunk in response.aiter_raw()] == [b"ab", b"cd"]
    assert body.closed
    assert (await other).status_code == 200
    assert bench.scheduler.stats().accounts[0].in_flight == 0
    refused = Bench(lambda _: httpx.Response(404, stream=Pieces(b"none")))
    async with refused.client.stream("GET", ME, extensions=facts(streams=True)) as response:
        assert response.text == "none"
    assert refused.scheduler.stats().accounts[0].in_flight == 0


async def test_no_more_under_way_than_allowed() -> None:
    under_way = most = 0

    async def slow(_request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(20)
        under_way -= 1
        return httpx.Response(200)

    bench = Bench(slow, ClientOptions(max_in_flight=3))
    await asyncio.gather(*(bench.client.get(f"{ME}/{n}") for n in range(10)))
    assert most == 3


async def test_small_uploads_are_kept_for_a_second_time_and_large_ones_not() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"large"

    bench = Bench(script(httpx.Response(429, html=NGINX)))
    response = await bench.client.post(ME, files={"logo": b"png"})
    assert (response.status_code, len(bench.sent)) == (200, 2)
    large = Bench(script(httpx.Response(429, html=NGINX)))
    response = await large.client.post(ME, content=chunks())
    assert (response.status_code, len(large.sent)) == (429, 1)
    gone = Bench(script(httpx.Response(402, text="a premium feature")))
    assert (
        await gone.client.post(ME, content=chunks(), headers={"content-length": "5000000"})
    ).status_code == 402
    assert (await gone.client.post(ME, content=chunks())).status_code == 200


async def test_identical_gets_share_one_answer() -> None:
    bench = Bench(after(5.0))
    responses = await asyncio.gather(*(bench.client.get(ME) for _ in range(5)), bench.client.get(f"{ME}?x=1"))
    assert len(bench.sent) == 2
    assert len({id(response) for response in responses}) == 6
    assert [response.extensions[EXTENSION].shared for response in responses] == [False, *[True] * 4, False]
    assert all(response.json() == {"ok": True} for response in responses)
    assert bench.scheduler.stats().shared == len(bench.of(events.Shared)) == 4
    await bench.client.get(ME)
    assert len(bench.sent) == 3


async def test_a_shared_refusal_is_one_for_all() -> None:
    bench = Bench(after(1.0, httpx.Response(403, text="no")))
    responses = await asyncio.gather(*(bench.client.get(ME) for _ in range(3)))
    assert [(response.status_code, response.text) for response in responses] == [(403, "no")] * 3
    assert len(bench.sent) == 1


async def test_a_write_breaks_the_sharing() -> None:
    bench = Bench(after(10.0))
    first = asyncio.ensure_future(bench.client.get(ME))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    write = asyncio.ensure_future(bench.client.put(ME, json={}))
    await asyncio.sleep(0.1)
    second = asyncio.ensure_future(bench.client.get(ME))
    await write
    third = asyncio.ensure_future(bench.client.get(ME))
    await asyncio.gather(first, second, third)
    assert [path for _, path in bench.sent] == [
        "GET /api/v9/me",
        "PUT /api/v9/me",
        "GET /api/v9/me",
        "GET /api/v9/me",
    ]


async def test_sharing_can_be_switched_off() -> None:
    bench = Bench(after(5.0))
    await asyncio.gather(*(bench.client.get(ME, extensions=facts(coalesce=False)) for _ in range(3)))
    assert len(bench.sent) == 3
    off = Bench(after(5.0), ClientOptions(coalesce=False))
    await asyncio.gather(*(off.client.get(ME) for _ in range(3)))
    assert len(off.sent) == 3


@pytest.mark.parametrize("waits", [True, False], ids=["joined while it waited", "joined on its way"])
async def test_one_who_leaves_does_not_hurt_those_who_share(waits: bool) -> None:
    bench = Bench(after(5.0))
    ahead = [asyncio.ensure_future(bench.client.get(f"{ME}/ahead"))] if waits else []
    await asyncio.sleep(0)
    tasks = [asyncio.ensure_future(bench.client.get(ME)) for _ in range(3)]
    await asyncio.sleep(2)
    tasks[0].cancel()
    await asyncio.sleep(1)
    tasks[2].cancel()
    assert (await tasks[1]).status_code == 200
    await asyncio.gather(*ahead)
    assert [path for _, path in bench.sent].count("GET /api/v9/me") == (1 if waits else 2)
    last = asyncio.ensure_future(bench.client.get(ME))
    await asyncio.sleep(2)
    last.cancel()
    with pytest.raises(asyncio.CancelledError):
        await last
    assert bench.scheduler.stats().accounts[0].in_flight == 0
    assert bench.scheduler.stats().cancelled == (1 if waits else 2)


async def test_the_request_goes_down_with_the_last_who_waits_for_it() -> None:
    bench = Bench(after(5.0))
    ahead = asyncio.ensure_future(bench.client.get(f"{ME}/ahead"))
    await asyncio.sleep(0)
    tasks = [asyncio.ensure_future(bench.client.get(ME)) for _ in range(2)]
    await asyncio.sleep(2)
    for task in tasks:
        task.cancel()
    assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [
        asyncio.CancelledError,
        asyncio.CancelledError,
    ]
    assert bench.scheduler.stats().accounts[0].in_flight == 1
    assert (await ahead).status_code == 200
    assert len(bench.sent) == 2


@pytest.mark.parametrize("error", [None, httpx.ReadError("lost")])
async def test_an_answer_that_comes_as_its_caller_leaves_is_the_next_ones(error: Exception | None) -> None:
    """The one who leaves is cancelled in the moment in which the answer is there, and not yet handed over."""
    answered = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/me") and len(bench.sent) == 2:
            await asyncio.sleep(1)
            asyncio.get_running_loop().call_soon(tasks[0].cancel)
            answered.set()
            if error is not None:
                raise error
        return ok(request)

    bench = Bench(answer)
    await bench.client.get(f"{ME}/ahead")
    tasks = [asyncio.ensure_future(bench.client.get(ME)) for _ in range(2)]
    assert (await tasks[1]).status_code == 200
    assert tasks[0].cancelled()
    assert len(bench.sent) == (2 if error is None else 3)


async def test_what_httpx_would_not_send_is_sent_once() -> None:
    bench = Bench(script(httpx.LocalProtocolError("an illegal header")))
    with pytest.raises(errors.ConnectionFailed):
        await bench.client.get(ME)
    assert len(bench.sent) == 1


async def test_the_cause_of_a_failure_shows_no_secret() -> None:
    bench = Bench(
        script(httpx.ConnectError("refused"), httpx.ConnectError("refused")),
        ClientOptions(retry=Retry(attempts=1)),
    )
    with pytest.raises(errors.ConnectionFailed) as caught:
        await bench.client.post(f"{ME}?token=sesame", json={"password": "sesame"})
    cause = caught.value.__cause__
    assert isinstance(cause, httpx.ConnectError)
    assert str(cause.request.url) == ME
    assert cause.request.content == b""
    assert not cause.request.headers.keys() & {"authorization", "cookie"}


async def test_who_came_later_still_has_time_when_the_first_runs_out_of_it() -> None:
    bench = Bench(ok)
    urgent = facts(priority=Priority.INTERACTIVE)
    bulk = facts(max_wait=3.0, priority=Priority.BULK)
    await bench.client.get(f"{ME}/now")
    first = asyncio.ensure_future(bench.client.get(ME, extensions=bulk))
    await asyncio.sleep(0.01)
    ahead = asyncio.gather(*(bench.client.get(f"{ME}/{n}", extensions=urgent) for n in range(4)))
    await asyncio.sleep(2.5)
    second = asyncio.ensure_future(bench.client.get(ME, extensions=bulk))
    with pytest.raises(errors.MaxWaitExceeded):
        await first
    assert (await second).status_code == 200
    await ahead


async def test_what_is_gone_is_asked_for_once() -> None:
    bench = Bench(lambda _: httpx.Response(410, json="gone", headers={"X-Request-Id": "r1"}))
    assert (await bench.client.get(f"{BASE}/api/v9/workspaces/7/old")).status_code == 410
    with pytest.raises(errors.EndpointGone, match="from memory") as caught:
        await bench.client.get(f"{BASE}/api/v9/workspaces/7/old")
    assert (caught.value.status, caught.value.request_id, caught.value.message) == (410, "r1", "gone")
    assert len(bench.sent) == 1
    assert bench.of(events.Refused)[0].error == "EndpointGone"
    bench.scheduler.forget_refusals()
    assert (await bench.client.get(f"{BASE}/api/v9/workspaces/7/old")).status_code == 410


async def test_calls_that_wait_hear_of_a_gone_endpoint_too() -> None:
    bench = Bench(lambda _: httpx.Response(410, json="gone"))
    calls = (bench.client.get(f"{BASE}/api/v9/workspaces/7/old?n={n}") for n in range(20))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert len(bench.sent) == 1
    assert sum(isinstance(result, errors.EndpointGone) for result in results) == 19
    assert asyncio.get_running_loop().time() - bench.sent[0][0] < 2.0


async def test_a_feature_refusal_is_remembered_by_payload() -> None:
    bench = Bench(
        lambda request: (
            httpx.Response(402, json="a premium feature") if b"true" in request.content else ok(request)
        )
    )
    url = f"{BASE}/api/v9/workspaces/7/time_entries"
    assert (await bench.client.post(url, json={"billable": True})).status_code == 402
    with pytest.raises(errors.FeatureUnavailable):
        await bench.client.post(url, json={"billable": True})
    assert (await bench.client.post(url, json={"billable": False})).status_code == 200
    other = await bench.client.post(url.replace("7", "8"), json={"billable": True})
    assert other.status_code == 402
    assert len(bench.sent) == 3


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toggl_async.scheduler.core.memory.LIMIT", 2)
    bench = Bench(lambda _: httpx.Response(402, json="a premium feature"))
    for n in (1, 2, 3):
        assert (await bench.client.get(f"{ME}?n={n}")).status_code == 402
    assert (await bench.client.get(f"{ME}?n=1")).status_code == 402
    with pytest.raises(errors.FeatureUnavailable):
        await bench.client.get(f"{ME}?n=3")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 418])
async def test_other_refusals_are_handed_over_once_each(status: int) -> None:
    bench = Bench(lambda _: httpx.Response(status, text="no"))
    for _ in range(2):
        assert (await bench.client.get(f"{BASE}/api/v9/workspaces/3/tags")).status_code == status
    assert len(bench.sent) == 2


async def test_each_urgent_call_is_next_while_thousands_wait() -> None:
    bench = Bench(ok)
    bulk = [
        asyncio.ensure_future(
            bench.client.get(f"{ME}/bulk/{n}", extensions=facts(priority=Priority.BULK, max_wait=math.inf))
        )
        for n in range(1000)
    ]
    await asyncio.sleep(300.5)
    urgent = [
        bench.client.get(f"{ME}/urgent/{n}", extensions=facts(priority=Priority.INTERACTIVE))
        for n in range(100)
    ]
    await asyncio.gather(*urgent)
    paths = [path for _, path in bench.sent]
    start = paths.index("GET /api/v9/me/urgent/0")
    assert paths[start : start + 100] == [f"GET /api/v9/me/urgent/{n}" for n in range(100)]
    for task in bulk:
        task.cancel()
    await asyncio.gather(*bulk, return_exceptions=True)


@pytest.mark.parametrize(("connecting", "before"), [(0.2, 1), (1.2, 1), (1.9, 1), (2.5, 2), (9.0, 2)])
async def test_an_urgent_call_finds_one_request_before_it_while_a_connection_is_made(
    connecting: float, before: int
) -> None:
    """Unless that takes more than two intervals: then another may go meanwhile."""
    model = Model(burst=1, connecting=lambda call, _attempt: connecting * (call == "0"), traces=True)
    transport = ScheduledTransport(model, options=ClientOptions(max_wait=math.inf))
    async with httpx.AsyncClient(transport=transport) as client:

        def ask(number: int, priority: Priority) -> "asyncio.Task[httpx.Response]":
            asked = client.get(
                f"{ME}/alpha", params={"call": str(number)}, extensions=facts(priority=priority)
            )
            return asyncio.ensure_future(asked)

        await ask(98, Priority.NORMAL)  # from now on the transport is known to trace
        await asyncio.sleep(2)
        bulk = [ask(number, Priority.BULK) for number in range(20)]
        await asyncio.sleep(min(connecting, 2.1) - 0.01)
        urgent = ask(99, Priority.INTERACTIVE)
        await asyncio.gather(*bulk, urgent)
    order = [arrival.call for arrival in model.arrivals]
    assert order.index("99") <= 1 + before
    assert [arrival.status for arrival in model.arrivals] == [200] * 22


async def test_a_connection_that_hangs_costs_others_one_interval() -> None:
    model = Model(burst=1, connecting=lambda call, _attempt: 30.0 * (call == "3"), traces=True)
    transport = ScheduledTransport(model, options=ClientOptions(max_wait=math.inf))
    async with httpx.AsyncClient(transport=transport) as client:
        await asyncio.gather(*(client.get(f"{ME}/alpha", params={"call": str(n)}) for n in range(20)))
    ordinary = [arrival.at for arrival in model.arrivals if arrival.call != "3"]
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(ordinary))
    assert gaps[-2] == pytest.approx(1.02, abs=0.01)
    assert gaps[-1] == pytest.approx(2 * 1.02, abs=0.01)  # that of the one that hangs


@pytest.mark.parametrize("slow", [{"5": 1.5}, {"0": 1.5, "1": 2.5}, {"5": 3.5, "6": 3.0, "7": 9.2}])
async def test_a_slow_connection_holds_nobody_up_for_longer_than_it_took(slow: dict[str, float]) -> None:
    log: list[SchedulerEvent] = []
    model = Model(burst=1, connecting=lambda call, attempt: slow.get(call, 0.0), traces=True)
    scheduler = Scheduler(ClientOptions(max_wait=math.inf), on_event=log.append)
    transport = ScheduledTransport(model, scheduler=scheduler)
    async with httpx.AsyncClient(transport=transport) as client:
        await asyncio.gather(*(client.get(f"{ME}/alpha", params={"call": str(n)}) for n in range(40)))
    granted = {event.call: event.at for event in log if isinstance(event, events.Granted)}
    sent = {event.call: event.at for event in log if isinstance(event, events.Sent)}
    late = [call for call, at in sent.items() if at - granted[call] > 0.5]
    assert len(late) <= len(slow)
    assert all(at - granted[call] < max(slow.values()) + 3.1 for call, at in sent.items())
    assert min(b - a for a, b in itertools.pairwise(sorted(sent.values()))) > 1.0
    assert [arrival.status for arrival in model.arrivals] == [200] * 40


async def test_accounts_are_known_by_credential_and_host() -> None:
    bench = Bench(ok)
    await bench.client.get(ME)
    await bench.client.get(ME, auth=("another", "api_token"))
    session = {"cookie": "theme=dark; __Secure-accounts-session=one"}
    anonymous = httpx.AsyncClient(transport=bench.transport)
    await anonymous.get(ME, headers=session)
    await anonymous.get(ME, headers={"cookie": "__Secure-accounts-session=one; other=1"})
    await anonymous.get(ME, headers={"cookie": "plain=1"})
    await anonymous.get(ME, headers={"cookie": 'x="__Host-timer-session"'})
    await anonymous.get("https://other.test/")
    accounts = {event.account for event in bench.of(events.Granted)}
    assert len(accounts) == 6
    assert "made-up" not in repr(bench.events) + repr(bench.scheduler.stats()) + repr(bench.scheduler)


async def test_idle_accounts_are_forgotten() -> None:
    bench = Bench(ok)
    for n in range(5):
        await bench.client.get(ME, auth=(f"user{n}", "api_token"))
    assert len(bench.scheduler.stats().accounts) == 5
    await asyncio.sleep(3601)
    for _ in range(5):
        await bench.client.get(ME, auth=("user0", "api_token"))
    assert len(bench.scheduler.stats().accounts) == 1


async def test_a_busy_account_is_not_forgotten() -> None:
    bench = Bench(after(4000.0))
    busy = asyncio.ensure_future(bench.client.get(ME))
    await asyncio.sleep(3700)
    bench.handler = ok
    await bench.client.get(ME, auth=("another", "api_token"))
    assert len(bench.scheduler.stats().accounts) == 2
    await busy


async def test_closing_ends_the_calls_that_wait() -> None:
    before = asyncio.all_tasks()
    bench = Bench(after(10.0))
    tasks = [asyncio.ensure_future(bench.client.get(f"{ME}/{n}")) for n in range(5)]
    await asyncio.sleep(1.5)
    await bench.scheduler.aclose()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [httpx.Response] * 2 + [errors.ClientClosed] * 3
    with pytest.raises(errors.ClientClosed):
        await bench.client.get(ME)
    assert "closed" in repr(bench.scheduler)
    assert not others(before)


async def test_closing_waits_for_connections_that_are_being_closed() -> None:
    closed: list[float] = []

    class Slow(httpx.AsyncHTTPTransport):
        """Takes its time to answer, and longer to close what a cancelled request may have left behind."""

        takes = 60.0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(10)
            return httpx.Response(200)

        async def aclose(self) -> None:
            takes, self.takes = self.takes, 0.0
            await asyncio.sleep(takes)
            closed.append(takes)

    client = httpx.AsyncClient(transport=ScheduledTransport(Slow()))
    for _ in range(2):  # the first on its way, the second while it waits for the connections to be closed
        call = asyncio.ensure_future(client.post(ME))
        await asyncio.sleep(5)
        call.cancel()
        await asyncio.wait([call])
    await client.aclose()
    assert closed == [0.0, 60.0]


async def test_closing_one_transport_leaves_the_other_alone() -> None:
    bench = Bench(after(0.1))
    other = ScheduledTransport(httpx.MockTransport(bench.handle), scheduler=bench.scheduler)
    client = httpx.AsyncClient(transport=other, auth=("made-up", "api_token"))
    mine = [asyncio.ensure_future(bench.client.get(f"{ME}/{n}")) for n in range(3)]
    theirs = [asyncio.ensure_future(client.get(f"{ME}/{n}")) for n in range(3)]
    await asyncio.sleep(0.5)
    await other.aclose()
    assert {type(result) for result in await asyncio.gather(*theirs, return_exceptions=True)} == {
        errors.ClientClosed
    }
    assert {result.status_code for result in await asyncio.gather(*mine)} == {200}
    with pytest.raises(errors.ClientClosed):
        await client.get(ME)


async def test_a_call_that_comes_back_to_a_closed_client_is_told() -> None:
    async def slow_refusal(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(502)

    bench = Bench(slow_refusal)
    other = ScheduledTransport(httpx.MockTransport(bench.handle), scheduler=bench.scheduler)
    client = httpx.AsyncClient(transport=other, auth=("made-up", "api_token"))
    call = asyncio.ensure_future(client.get(ME))
    await asyncio.sleep(1)
    await other.aclose()
    with pytest.raises(errors.ClientClosed):
        await call
    owned = ScheduledTransport(
        httpx.MockTransport(bench.handle), options=ClientOptions(retry=Retry(minimum=9.0))
    )
    call = asyncio.ensure_future(httpx.AsyncClient(transport=owned).get(ME))
    await asyncio.sleep(1)
    await owned.aclose()
    with pytest.raises(errors.ClientClosed):
        await call


async def test_a_cancelled_waiter_gives_its_turn_to_the_next() -> None:
    bench = Bench(ok)
    await bench.client.post(f"{ME}/first")
    granted: list[asyncio.Task[httpx.Response]] = []
    transport = bench.transport
    waiting = [asyncio.ensure_future(bench.client.post(f"{ME}/{n}")) for n in range(3)]

    def cancel_on_grant(event: SchedulerEvent) -> None:
        if isinstance(event, events.Granted) and not granted:
            granted.append(waiting[0])
            waiting[0].cancel()

    transport.scheduler.listen(cancel_on_grant)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert len(bench.of(events.Cancelled)) == 1
    assert bench.gaps == [1.02, 1.02]
    assert bench.scheduler.stats().accounts[0].in_flight == 0


async def test_waiters_that_leave_leave_nothing_behind() -> None:
    before = asyncio.all_tasks()
    bench = Bench(ok)
    tasks = [asyncio.ensure_future(bench.client.post(f"{ME}/{n}")) for n in range(50)]
    await asyncio.sleep(3.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(2)
    account = bench.scheduler.stats().accounts[0]
    assert (account.waiting, account.in_flight, account.reason) == (0, 0, None)
    assert not others(before)
    await bench.client.post(f"{ME}/again")
    assert len(bench.sent) == 5


async def test_a_cancelled_request_frees_its_slot_and_a_cancelled_probe_the_gate() -> None:
    bench = Bench(script(httpx.Response(429, html=NGINX)))
    probe = asyncio.ensure_future(bench.client.post(f"{ME}/0"))
    await asyncio.sleep(0.1)
    bench.handler = after(10_000.0)
    behind = asyncio.ensure_future(bench.client.post(f"{ME}/1"))
    await asyncio.sleep(400)
    assert bench.scheduler.stats().accounts[0].reason is Reason.PROBE
    assert not bench.sent[2:]
    bench.handler = ok
    probe.cancel()
    assert (await behind).status_code == 200
    with pytest.raises(asyncio.CancelledError):
        await probe


async def test_a_request_on_its_way_is_called_back_when_the_quota_ends() -> None:
    inner = Tracing(5.0, 0.0)
    inner.headers = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "500"}
    bench = Bench(ok)
    client = httpx.AsyncClient(transport=ScheduledTransport(inner, scheduler=bench.scheduler))
    await asyncio.gather(client.post(f"{ME}/slow"), client.post(f"{ME}/quick"))
    assert [event.reason for event in bench.of(events.Retried)] == [Reason.QUOTA]
    assert inner.sent[1] - inner.sent[0] > 500


async def test_a_request_on_its_way_is_called_back_when_its_endpoint_turns_out_to_be_gone() -> None:
    inner = Tracing(5.0, 0.0, status=410)
    bench = Bench(ok)
    client = httpx.AsyncClient(transport=ScheduledTransport(inner, scheduler=bench.scheduler))
    slow = asyncio.ensure_future(client.get(ME, params={"n": 1}))
    await asyncio.sleep(1.5)
    assert (await client.get(ME)).status_code == 410
    with pytest.raises(errors.EndpointGone):
        await slow
    assert len(inner.sent) == 1
    assert bench.scheduler.stats().accounts[0].in_flight == 0


async def test_a_scheduler_without_a_listener_tells_nobody() -> None:
    bench = Bench(after(1.0, httpx.Response(410)))
    transport = ScheduledTransport(httpx.MockTransport(bench.handle))
    async with httpx.AsyncClient(transport=transport) as client:
        await asyncio.gather(*(client.get(ME) for _ in range(2)))
        with pytest.raises(errors.EndpointGone):
            await client.get(ME)
    stats = transport.scheduler.stats()
    assert (stats.shared, stats.refused, stats.sent) == (1, 1, 1)


async def test_a_streamed_upload_is_not_remembered() -> None:
    class Unread(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(402, text="a premium feature")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"large"

    async with httpx.AsyncClient(transport=ScheduledTransport(Unread())) as client:
        for _ in range(2):
            assert (await client.post(ME, content=chunks())).status_code == 402
        assert (await client.post(ME)).status_code == 402
        assert (await client.post(f"{ME}?x=1", content=chunks())).status_code == 402


async def test_a_cool_down_can_outlast_a_window() -> None:
    quota = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "60"}
    bench = Bench(script(httpx.Response(429, html=NGINX, headers=quota)))
    await bench.client.post(ME)
    assert bench.scheduler.stats().accounts[0].windows == ()
    bench.handler = script(httpx.Response(200, headers=quota), httpx.Response(429, html=NGINX))
    await bench.client.post(ME)
    other = facts("/x", lane=Lane.ORGANIZATION, organization_id=5)
    refused = asyncio.ensure_future(bench.client.post(f"{ME}/other", extensions=other))
    await asyncio.sleep(2)
    late = asyncio.ensure_future(bench.client.post(ME))
    await asyncio.sleep(0.5)
    queued = [event for event in bench.of(events.Queued) if event.route.endswith("/me")][-1]
    assert queued.reason is Reason.COOLDOWN
    assert queued.wait > 100
    await asyncio.gather(refused, late)


class Hanging(Pieces):
    """A body that stops coming, or whose end does not."""

    def __init__(self, where: str) -> None:
        super().__init__(b"ab")
        self.where = where

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"ab"
        await asyncio.sleep(3600 if self.where == "reading" else 0)

    async def aclose(self) -> None:
        await asyncio.sleep(3600 if self.where == "closing" else 0)


@pytest.mark.parametrize("where", ["reading", "closing"])
async def test_a_stream_that_is_left_by_a_cancellation_frees_its_slot(where: str) -> None:
    bench = Bench(script(httpx.Response(200, stream=Hanging(where))), ClientOptions(max_in_flight=1))

    async def read() -> None:
        async with bench.client.stream("GET", f"{ME}/file", extensions=facts(streams=True)) as response:
            assert [chunk async for chunk in response.aiter_raw()] == [b"ab"]

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(30)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert bench.scheduler.stats().accounts[0].in_flight == 0
    assert (await bench.client.get(ME)).status_code == 200


async def test_a_stream_may_be_closed_twice() -> None:
    bench = Bench(lambda _: httpx.Response(200, stream=Pieces(b"ab")))
    async with bench.client.stream("GET", f"{ME}/quota", extensions=facts(streams=True)) as response:
        stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    await stream.aclose()
    assert bench.scheduler.stats().accounts[0].in_flight == 0


async def test_events_that_fail_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_event: SchedulerEvent) -> None:
        raise ZeroDivisionError

    scheduler = Scheduler(on_event=fail)
    transport = ScheduledTransport(httpx.MockTransport(ok), scheduler=scheduler)
    response = await httpx.AsyncClient(transport=transport).get(ME)
    assert response.status_code == 200
    assert "on_event raised an error for Granted" in caplog.text


async def test_long_waits_are_logged_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "toggl_async.scheduler")
    bench = Bench(script(httpx.Response(429, html=NGINX)))
    await asyncio.gather(*(bench.client.get(f"{ME}/{n}?secret=sesame") for n in range(30)))
    messages = [record.getMessage() for record in caplog.records if record.name == "toggl_async.scheduler"]
    assert sum("cool-down" in message for message in messages) == 1
    assert not any("queue" in message for message in messages)
    await asyncio.gather(*(bench.client.get(f"{ME}/{n}?secret=sesame") for n in range(30)))
    messages = [record.getMessage() for record in caplog.records if record.name == "toggl_async.scheduler"]
    assert sum("queue" in message for message in messages) == 1
    assert "made-up" not in caplog.text
    assert "sesame" not in repr(messages)


async def test_a_budget_that_fails_leaves_nobody_hanging(caplog: pytest.LogCaptureFixture) -> None:
    budget = SlowBudget()
    scheduler = Scheduler(budget=budget)
    client = httpx.AsyncClient(transport=ScheduledTransport(httpx.MockTransport(ok), scheduler=scheduler))
    await client.post(ME)
    await asyncio.sleep(2)
    for _ in range(2):
        budget.faults = [ZeroDivisionError()]
        results = await asyncio.gather(*(client.post(ME) for _ in range(3)), return_exceptions=True)
        assert {type(result) for result in results} == {errors.BudgetError}
        assert {type(result.__cause__) for result in results} == {ZeroDivisionError}  # type: ignore[union-attr]
    assert [record.getMessage() for record in caplog.records] == ["account 1: the budget did not answer"]
    assert (await client.post(ME)).status_code == 200
    await scheduler.aclose()


async def test_schedulers_that_share_a_budget_keep_one_pace() -> None:
    budget = MemoryBudget()
    benches = [Bench(ok, budget=budget) for _ in range(2)]
    await asyncio.gather(*(bench.client.post(f"{ME}/{n}") for n in range(5) for bench in benches))
    sent = sorted(at for bench in benches for at, _ in bench.sent)
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert min(gaps) >= 1.02 - 1e-6
    assert max(gaps) < 1.1
    refusing = script(httpx.Response(429, html=NGINX))
    for bench in benches:
        bench.sent.clear()
        bench.handler = refusing
    await asyncio.gather(*(bench.client.post(ME) for bench in benches))
    refused, probe, other = sorted(at for bench in benches for at, _ in bench.sent)
    assert probe - refused >= 120
    assert other - probe < 1.2


async def test_a_turn_that_is_given_back_goes_to_whoever_shares_the_budget() -> None:
    budget = MemoryBudget()
    mine, theirs = (Bench(ok, budget=budget) for _ in range(2))
    await mine.client.post(ME)
    next_turn = asyncio.ensure_future(mine.client.post(ME))
    await asyncio.sleep(0.1)
    the_one_behind = asyncio.ensure_future(theirs.client.post(ME))
    await asyncio.sleep(0.1)
    next_turn.cancel()
    assert (await the_one_behind).status_code == 200
    [(first, _)], [(second, _)] = mine.sent, theirs.sent
    assert second - first == pytest.approx(1.02, abs=1e-3)


async def test_a_wake_of_an_account_that_is_forgotten_does_no_harm() -> None:
    wakes: list[Callable[[str], None]] = []

    class Waking:
        def open(self, on_wake: Callable[[str], None], **others: Any) -> Holder:
            wakes.append(on_wake)
            return MemoryBudget().open(on_wake, **others)

    bench = Bench(ok, budget=Waking())
    await bench.client.post(ME)
    wakes[0]("nobody's")
    assert (await bench.client.post(ME)).status_code == 200


async def test_a_task_that_a_stranger_cancels_is_replaced() -> None:
    before = asyncio.all_tasks()
    budget = SlowBudget(seconds=0.1)
    bench = Bench(ok, budget=budget)
    mine = [asyncio.ensure_future(bench.client.post(f"{ME}/{n}")) for n in range(4)]
    await asyncio.sleep(0.01)
    [stranger] = others(before) - set(mine)
    stranger.cancel()
    await asyncio.gather(*mine)
    assert min(bench.gaps) >= 1.02 - 1e-6


@pytest.mark.parametrize("seconds", [0.01, 0.2, 0.6, 0.9])
async def test_a_late_request_whose_last_look_is_answered_late_keeps_its_distance(seconds: float) -> None:
    memory = MemoryBudget()
    sent: list[float] = []
    mine, theirs = (SlowBudget(memory=memory) for _ in range(2))

    class Slow(Tracing):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            mine.seconds = seconds  # the machine is busy just when the last look is taken
            asyncio.get_running_loop().call_later(0.1 + seconds, setattr, mine, "seconds", 0.002)
            return await super().handle_async_request(request)

    inners = Slow(0.1, protocol="http11"), Tracing(protocol="http11")
    late, behind = (
        httpx.AsyncClient(transport=ScheduledTransport(inner, scheduler=Scheduler(budget=budget)))
        for inner, budget in zip(inners, (mine, theirs), strict=True)
    )
    for inner in inners:
        inner.sent = sent
    first = asyncio.ensure_future(late.post(ME))
    await asyncio.sleep(0.01)
    await asyncio.gather(first, behind.post(ME))
    assert sent[1] - sent[0] >= 1.02 - 0.005


async def test_a_budget_that_is_waited_for_keeps_pace_and_order() -> None:
    budget = SlowBudget()
    bench = Bench(after(0.3), budget=budget)
    await asyncio.gather(*(bench.client.get(f"{ME}/{n}") for n in range(50)))
    assert [path for _, path in bench.sent] == [f"GET /api/v9/me/{n}" for n in range(50)]
    assert min(bench.gaps) >= 1.02
    assert bench.sent[-1][0] - bench.sent[0][0] < 49 * 1.02 + 1
    await bench.scheduler.aclose()


class Tracing(httpx.AsyncBaseTransport):
    """An inner transport that traces, and takes its time to connect."""

    def __init__(
        self,
        *connecting: float,
        fault: Exception | None = None,
        tunnel: bool = False,
        status: int = 200,
        protocol: str = "http2",
    ) -> None:
        self.protocol = protocol
        self.status = status
        self.connecting = list(connecting)
        self.fault = fault
        self.tunnel = tunnel
        self.sent: list[float] = []
        self.headers: dict[str, str] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        await asyncio.sleep(self.connecting.pop(0) if self.connecting else 0)
        if self.tunnel:
            await trace(
                "http11.send_request_headers.started", {"request": SimpleNamespace(method=b"CONNECT")}
            )
        if self.fault:
            raise self.fault
        await trace(f"{self.protocol}.send_request_headers.started", {"request": request})
        self.sent.append(asyncio.get_running_loop().time())
        return httpx.Response(self.status, headers=self.headers)


async def test_spacing_counts_from_the_send_and_those_overtaken_wait_for_theirs() -> None:
    inner = Tracing(0.0, 5.0, 0.0, 0.3, 4.0, 0.0, 0.1, 0.2)
    bench = Bench(ok)
    transport = ScheduledTransport(inner, scheduler=bench.scheduler)
    client = httpx.AsyncClient(transport=transport)
    await client.post(ME)
    await asyncio.gather(*(client.post(f"{ME}/{n}") for n in range(7)))
    gaps = [later - earlier for earlier, later in itertools.pairwise(inner.sent)]
    assert len(gaps) == 7
    assert min(gaps) >= 1.02 - 1e-5
    assert inner.sent[-1] - inner.sent[0] < 14


async def test_the_callers_own_trace_is_called_too() -> None:
    names: list[str] = []

    async def trace(name: str, _info: dict[str, Any]) -> None:
        names.append(name)

    client = httpx.AsyncClient(transport=ScheduledTransport(Tracing()))
    request = client.build_request("GET", ME, extensions={"trace": trace})
    await client.send(request)
    assert names == ["connection.connect_tcp.started", "http2.send_request_headers.started"]
    assert request.extensions["trace"] is trace


@pytest.mark.parametrize("own_trace", [True, False])
@pytest.mark.parametrize("inner", [httpx.MockTransport(ok), Tracing()])
async def test_an_answer_goes_with_the_last_who_holds_it(
    inner: httpx.AsyncBaseTransport, *, own_trace: bool
) -> None:
    """Nothing is left for the garbage collector, which takes long where many calls wait."""

    async def trace(_name: str, _info: dict[str, Any]) -> None:
        pass

    transport = ScheduledTransport(inner)
    extensions = {"trace": trace} if own_trace else {}
    gc.disable()
    try:
        response = await transport.handle_async_request(httpx.Request("GET", ME, extensions=extensions))
        seen = weakref.ref(response)
        del response
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("tunnel", [True, False])
async def test_the_trace_of_a_stranger_proves_nothing(tunnel: bool) -> None:
    inner = Tracing(fault=httpx.ConnectError("handshake"), tunnel=tunnel)
    bench = Bench(ok)
    client = httpx.AsyncClient(transport=ScheduledTransport(inner, scheduler=bench.scheduler))
    with pytest.raises(errors.ConnectionFailed) as caught:
        await client.post(ME)
    assert caught.value.maybe_applied
    assert len(bench.of(events.Lost)) == 1


async def test_a_request_on_its_way_is_called_back_by_a_429() -> None:
    times: list[float] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]
        await trace("connection.connect_tcp.started", {})
        await asyncio.sleep(3.0 if "slow" in request.url.path and not times[1:] else 0)
        await trace("http11.send_request_headers.started", {"request": request})
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(429 if len(times) == 1 else 200, html=NGINX)

    bench = Bench(ok)
    client = httpx.AsyncClient(
        transport=ScheduledTransport(httpx.MockTransport(handle), scheduler=bench.scheduler)
    )
    slow = asyncio.ensure_future(client.post(f"{ME}/slow"))
    await asyncio.sleep(1.5)
    quick = asyncio.ensure_future(client.post(f"{ME}/quick"))
    assert (await slow).status_code == (await quick).status_code == 200
    assert times[1] - times[0] >= 120
    assert {event.reason for event in bench.of(events.Retried)} == {Reason.COOLDOWN}
    assert bench.scheduler.stats().accounts[0].in_flight == 0


async def test_a_shared_request_on_its_way_is_called_back_by_a_429() -> None:
    sent: list[str] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        trace, path = request.extensions["trace"], request.url.path
        await trace("connection.connect_tcp.started", {})
        await asyncio.sleep(3.0 if path.endswith("/slow") else 0)
        await trace("http11.send_request_headers.started", {"request": request})
        sent.append(path.rpartition("/")[2])
        return httpx.Response(429 if sent == ["first", "quick"] else 200, html=NGINX)

    bench = Bench(ok)
    client = httpx.AsyncClient(
        transport=ScheduledTransport(httpx.MockTransport(handle), scheduler=bench.scheduler)
    )
    await client.post(f"{ME}/first")
    shared = [asyncio.ensure_future(client.get(f"{ME}/slow")) for _ in range(2)]
    await asyncio.sleep(0.1)
    quick = asyncio.ensure_future(client.post(f"{ME}/quick"))
    assert {response.status_code for response in await asyncio.gather(quick, *shared)} == {200}
    assert sorted(sent) == ["first", "quick", "quick", "slow"]
    assert bench.scheduler.stats().shared == 1
    assert bench.scheduler.stats().accounts[0].in_flight == 0


async def test_answers_may_come_from_a_transport_that_was_never_asked() -> None:
    class Cached(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Sync())

    class Sync(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"cached"

    transport = ScheduledTransport(Cached())
    transport._inner.traces = True
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.get(ME)
    assert response.content == b"cached"


def test_two_loops_are_refused_and_one_after_the_other_is_not() -> None:
    scheduler = Scheduler()

    async def call() -> int:
        client = httpx.AsyncClient(transport=ScheduledTransport(httpx.MockTransport(ok), scheduler=scheduler))
        url = f"{BASE}/api/v9/workspaces/7/tags"
        return (await client.get(url)).status_code

    first = asyncio.new_event_loop()
    assert first.run_until_complete(call()) == 200
    with asyncio.Runner() as runner, pytest.raises(RuntimeError, match="another event loop"):
        runner.run(call())
    first.close()
    drivers_of(scheduler).learn_organization(7, 5)
    assert scheduler.stats().accounts == ()
    with asyncio.Runner() as runner:
        assert runner.run(call()) == 200
    with asyncio.Runner() as runner:
        assert runner.run(call()) == 200
        assert len(scheduler.stats().accounts) == 1
    asyncio.run(scheduler.aclose())
    gc.collect()


def test_a_budget_of_another_loop_is_refused_until_it_is_free() -> None:
    budget = MemoryBudget()
    first, second = Scheduler(budget=budget), Scheduler(budget=budget)

    async def call(scheduler: Scheduler) -> int:
        client = httpx.AsyncClient(transport=ScheduledTransport(httpx.MockTransport(ok), scheduler=scheduler))
        return (await client.get(ME)).status_code

    with asyncio.Runner() as loop, asyncio.Runner() as other:
        assert loop.run(call(first)) == 200
        for _ in range(2):
            with pytest.raises(errors.WrongEventLoop, match="this MemoryBudget is in use"):
                other.run(call(second))
        loop.run(first.aclose())
        assert other.run(call(second)) == 200
        other.run(second.aclose())


@asynccontextmanager
async def serve(writer_of: Callable[[str, asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    """Serve a tiny HTTP on loopback."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            for line in lines:
                if line.lower().startswith("content-length:"):
                    await reader.readexactly(int(line.split(":")[1]))
            writer_of(lines[0], writer)
            await writer.drain()

    async with listening(handle) as port:
        yield f"http://127.0.0.1:{port}"


class TestOverASocket:
    """The same over httpx's own transport."""

    options = ClientOptions(
        pace=Pace(interval=0.004),
        retry=Retry(minimum=0.0, maximum=0.01),
        cooldown=Cooldown(minimum=0.05, maximum=0.06),
    )

    @pytest.fixture
    def anyio_backend(self) -> Any:
        return patient(1)

    async def test_spacing_and_refusals(self) -> None:
        arrivals: list[float] = []
        loop = asyncio.get_running_loop()

        def answer(line: str, writer: asyncio.StreamWriter) -> None:
            arrivals.append(loop.time())
            if len(arrivals) == 7:
                body = NGINX.encode()
                writer.write(b"HTTP/1.1 429 Too Many\r\ncontent-type: text/html\r\n")
            elif len(arrivals) == 12:
                writer.transport.abort()
                return
            else:
                body = json.dumps(line.split()[1]).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))

        happened: list[SchedulerEvent] = []
        scheduler = Scheduler(self.options, on_event=happened.append)
        transport = ScheduledTransport(scheduler=scheduler)
        async with serve(answer) as base, httpx.AsyncClient(transport=transport) as client:
            responses = await asyncio.gather(*(client.get(f"{base}/api/v9/me/{n}") for n in range(25)))
        assert [response.json() for response in responses] == [f"/api/v9/me/{n}" for n in range(25)]
        assert len(arrivals) == 27
        sent = [event.at for event in happened if isinstance(event, events.Sent)]
        assert len(sent) == 27
        assert min(after - before for before, after in itertools.pairwise(sent)) >= 0.00408 - 1e-6
        kinds = [type(event) for event in happened]
        assert kinds.count(events.CooledDown) == 1
        assert kinds.count(events.Lost) == 1
        await scheduler.aclose()

    async def test_a_write_whose_answer_is_lost_is_not_sent_again(self) -> None:
        asked: list[str] = []

        def hang_up(line: str, writer: asyncio.StreamWriter) -> None:
            asked.append(line)
            writer.close()

        transport = ScheduledTransport(options=self.options)
        async with serve(hang_up) as base, httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(errors.ConnectionFailed) as caught:
                await client.post(f"{base}/api/v9/me", json={})
            assert caught.value.maybe_applied
            assert len(asked) == 1
            with pytest.raises(errors.ConnectionFailed):
                await client.get(f"{base}/api/v9/me")
            assert len(asked) == 6

    async def test_nobody_listens(self) -> None:
        happened: list[SchedulerEvent] = []
        transport = ScheduledTransport(scheduler=Scheduler(self.options, on_event=happened.append))
        with nobody_listening() as port:
            async with httpx.AsyncClient(transport=transport) as client:
                with pytest.raises(errors.ConnectionFailed) as caught:
                    await client.post(f"http://127.0.0.1:{port}/api/v9/me", json={})
        assert not caught.value.maybe_applied
        assert [event.sent for event in happened if isinstance(event, events.Lost)] == [False] * 5
