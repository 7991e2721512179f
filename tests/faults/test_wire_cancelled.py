"""Cancelled callers take nothing with them: no slot, and no connection."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from support.support_wire import TOKEN, Received, answer, raw_server
from toggl_async import ApiToken, ClientOptions, Pace, Retry, TogglClient
from toggl_async._operations.files import Download
from toggl_async._operations.operation import Operation

pytestmark = pytest.mark.anyio

OPTIONS = ClientOptions(
    pace=Pace(interval=1e-6), retry=Retry(attempts=3, minimum=0.0, maximum=0.001), timeout=30.0
)
CSV: Operation[bytes] = Operation.declare("me.csv", "GET /api/v9/me/csv", bytes)
PATH = "/api/v9/workspaces/3/tags"

FULL = httpx.Limits(max_connections=8, max_keepalive_connections=4)
MAKERS: dict[str, Callable[[], httpx.AsyncBaseTransport | None]] = {
    "own": lambda: None,
    "given": lambda: httpx.AsyncHTTPTransport(limits=FULL),
}


async def slow(asked: Received) -> bytes:
    """Answer after a few turns of the loop; some answers end their connection."""
    for _ in range(sum(asked.target.encode()) % 5):
        await asyncio.sleep(0)
    ends = {"Connection": "close"} if asked.target.endswith("1") else {}
    return answer(200, b'"%s"' % (b"x" * 100_000 if asked.target.endswith("2") else b"x"), ends)


async def eight_at_once(toggl: TogglClient) -> None:
    """Make as many calls as can be under way; each must be answered."""
    with anyio.fail_after(25):
        calls = (toggl.request("GET", PATH, params={"last": number}) for number in range(8))
        answers = await asyncio.gather(*calls)
    assert {value[:1] for value in answers} == {"x"}
    (account,) = toggl.stats().accounts
    assert (account.in_flight, account.waiting) == (0, 0)


async def streamed(toggl: TogglClient) -> None:
    download: Download = toggl.me._download(CSV)
    async with download.stream() as chunks:
        async for _ in chunks:
            await asyncio.sleep(0)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled_in(call: Awaitable[Any], first: int, *, again: int | None) -> None:
    """Cancel a call after so many turns of the loop, and once more after a few others."""
    task = asyncio.ensure_future(call)
    await turns(first)
    task.cancel()
    if again is not None:
        await turns(again)
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def left_by_a_scope(call: Awaitable[Any], first: int) -> None:
    """Leave a call by cancelling an anyio scope around it."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await turns(first)
                scope.cancel()

            group.start_soon(leave)
            await call


async def cancel_at_random(toggl: TogglClient, count: int, source: random.Random) -> None:
    """Cancel calls of all kinds, in all ways, at any point."""
    limiter = anyio.CapacityLimiter(24)

    async def one(number: int) -> None:
        async with limiter:
            first, again = source.randrange(40), source.randrange(6)
            kind = source.randrange(4)
            call: Awaitable[Any]
            if source.random() < 0.1:
                call = streamed(toggl)
            elif source.random() < 0.2:
                call = toggl.request("GET", PATH)  # shared
            else:
                call = toggl.request("POST", PATH, json=number)
            if kind == 0:
                await left_by_a_scope(call, first)
            else:
                await cancelled_in(call, first, again=None if kind == 1 else again if kind == 2 else 1)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)


async def cancelled_calls(count: int, transport: httpx.AsyncBaseTransport | None, seed: int) -> int:
    """Cancel calls, then make eight; return how many requests reached the server."""
    async with raw_server(slow) as server:
        async with TogglClient(
            ApiToken(TOKEN), base_url=server.url, options=OPTIONS, transport=transport
        ) as toggl:
            await cancel_at_random(toggl, count, random.Random(seed))
            await eight_at_once(toggl)
        return len(server.received)


@pytest.mark.parametrize("transport", MAKERS)
async def test_after_some_cancelled_calls_eight_at_once_succeed(transport: str) -> None:
    assert await cancelled_calls(300, MAKERS[transport](), seed=1) >= 8


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", MAKERS)
async def test_after_ten_thousand_cancelled_calls_eight_at_once_succeed(transport: str) -> None:
    reached = await cancelled_calls(10_000, MAKERS[transport](), seed=2)
    assert reached >= 8


@pytest.mark.parametrize("transport", MAKERS)
@pytest.mark.parametrize("again", [None, 0, 1, 2])
@pytest.mark.sampled(2)
async def test_a_call_can_be_cancelled_in_any_turn(again: int | None, transport: str) -> None:
    """One connection is all there is, so that one that is lost is missed at once."""
    options = ClientOptions(
        pace=Pace(interval=1e-6), retry=Retry(attempts=1), timeout=10.0, max_in_flight=1, max_wait=20.0
    )
    one = httpx.Limits(max_connections=1)
    inner = httpx.AsyncHTTPTransport(limits=one) if transport == "given" else None
    async with (
        raw_server(slow) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=options, transport=inner) as toggl,
    ):
        for turn in range(45):
            await cancelled_in(toggl.request("GET", PATH, params={"n": 1}), turn, again=again)
            await left_by_a_scope(toggl.request("GET", PATH, params={"n": 1}), turn)
            await cancelled_in(streamed(toggl), turn, again=again)
            if turn % 5 == 0:
                assert await toggl.request("GET", PATH) == "x"
        assert await toggl.request("GET", PATH) == "x"


async def test_calls_go_on_while_others_are_cancelled() -> None:
    """Nobody who is answered notices that a pool is replaced."""
    async with (
        raw_server(slow) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        cancelling = asyncio.ensure_future(cancel_at_random(toggl, 150, random.Random(3)))
        posts = (toggl.request("POST", PATH, json=f"kept {number}") for number in range(50))
        assert await asyncio.gather(*posts) == ["x"] * 50
        await cancelling
    kept = [asked.body for asked in server.received if b"kept" in asked.body]
    assert len(kept) == len(set(kept)) == 50


async def test_an_open_download_outlives_the_pool_that_it_came_from() -> None:
    held = asyncio.Event()

    async def respond(asked: Received) -> bytes:
        if asked.target == PATH:
            await held.wait()
        return answer(200, b"1")

    async with (
        raw_server(respond) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        download: Download = toggl.me._download(CSV)
        async with download.stream() as chunks:
            await cancelled_in(toggl.request("GET", PATH), 60, again=None)
            held.set()
            assert await toggl.request("GET", "/api/v9/me") == 1
            assert b"".join([chunk async for chunk in chunks]) == b"1"
        assert await toggl.request("GET", "/api/v9/me") == 1


async def test_a_pool_without_a_connection_to_give_is_replaced() -> None:
    """As if every connection had been lost: they are all taken behind the scheduler's back."""
    options = ClientOptions(
        pace=Pace(interval=1e-6), retry=Retry(attempts=3, minimum=0.0, maximum=0.001), timeout=0.5
    )
    forever = asyncio.Event()

    async def respond(asked: Received) -> bytes:
        if asked.target == "/taken":
            await forever.wait()
        return answer(200, b'"x"')

    inner = httpx.AsyncHTTPTransport(limits=FULL)
    async with (
        raw_server(respond) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=options, transport=inner) as toggl,
    ):
        url, extensions = f"{server.url}/taken", {"timeout": httpx.Timeout(None).as_dict()}
        requests = [httpx.Request("GET", url, extensions=extensions) for _ in range(8)]
        taken = [asyncio.ensure_future(inner.handle_async_request(request)) for request in requests]
        while len(server.received) < 8:  # noqa: ASYNC110 - the server counts
            await asyncio.sleep(0.001)
        assert await toggl.request("POST", PATH, json={}) == "x"
        for task in taken:
            task.cancel()
        await asyncio.wait(taken)
