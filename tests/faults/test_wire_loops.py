"""One client, several event loops, one after the other; and a process that forks."""

import asyncio
import contextlib
import datetime as dt
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest

from support.redis_server import REASON, is_missing, redis_server
from support.support_wire import TOKEN, RawServer, answer, raw_server, threaded_server
from toggl_async import ApiToken, FileBudget, RedisBudget, Scheduler, TogglClient, TogglError, WrongEventLoop
from toggl_async.scheduler import ScheduledTransport

TAGS = "/api/v9/workspaces/3/tags"


@pytest.fixture
def server() -> Iterator[RawServer]:
    with threaded_server(lambda _asked: answer()) as running:
        yield running
        gc.collect()


class Wrapped(httpx.AsyncBaseTransport):
    """A transport of a stranger's, with connections behind it."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        self.closed += 1
        await self.inner.aclose()


def post(client: TogglClient) -> Any:
    return asyncio.run(client.request("POST", TAGS, json={"name": "one"}))


@pytest.mark.parametrize("make", [None, httpx.AsyncHTTPTransport], ids=["own", "given"])
def test_a_client_starts_anew_in_each_loop(server: RawServer, make: Any) -> None:
    client = server.client(transport=make and make())
    for _ in range(4):
        assert post(client) == {}
    assert len(server.received) == 4
    asyncio.run(client.aclose())
    with pytest.raises(TogglError):
        post(client)


@pytest.mark.slow
def test_many_at_once_in_each_loop(server: RawServer) -> None:
    client = server.client()

    async def several() -> list[Any]:
        calls = (client.request("GET", TAGS, params={"page": number}) for number in range(8))
        return await asyncio.gather(*calls)

    for _ in range(3):
        assert asyncio.run(several()) == [{}] * 8
    asyncio.run(client.aclose())


@pytest.mark.slow
def test_a_loop_that_ended_in_the_middle_of_calls_leaves_nothing_behind() -> None:
    async def unanswered(asked: Any) -> bytes:
        if asked.method == "GET":
            await asyncio.Event().wait()
        return answer()

    with threaded_server(unanswered) as server:
        client = server.client()

        async def begin() -> None:
            calls = [asyncio.ensure_future(client.request("GET", TAGS, params={"n": n})) for n in range(8)]
            while len(server.received) < 8:  # noqa: ASYNC110 - the server runs in another loop
                await asyncio.sleep(0.001)
            assert not any(call.done() for call in calls)

        asyncio.run(begin())
        for _ in range(2):
            assert post(client) == {}
        asyncio.run(client.aclose())
        gc.collect()


def test_a_transport_that_cannot_start_anew_refuses_before_anything_is_sent(server: RawServer) -> None:
    transport = Wrapped()
    client = server.client(transport=transport)
    assert post(client) == {}
    for _ in range(2):
        with pytest.raises(WrongEventLoop, match="Wrapped has connections of another event loop"):
            post(client)
    assert len(server.received) == 1
    asyncio.run(client.aclose())
    assert transport.closed == 1


def test_two_loops_at_once_are_refused_before_anything_is_sent(server: RawServer) -> None:
    client = server.client()
    first = asyncio.new_event_loop()
    try:
        assert first.run_until_complete(client.request("POST", TAGS)) == {}
        with pytest.raises(WrongEventLoop, match="in use by another event loop"):
            post(client)
        assert len(server.received) == 1
        first.run_until_complete(client.aclose())
    finally:
        first.close()


def test_clients_of_one_scheduler_move_on_together(server: RawServer) -> None:
    scheduler = Scheduler(server.client().scheduler.options)
    clients = [server.client(scheduler=scheduler) for _ in range(2)]
    for _ in range(2):
        for client in clients:
            assert post(client) == {}
    for client in clients:
        asyncio.run(client.aclose())


@pytest.mark.parametrize("make", [None, httpx.AsyncHTTPTransport, Wrapped], ids=["own", "given", "wrapped"])
def test_a_client_that_nobody_closed_lets_go_with_its_loop(server: RawServer, make: Any) -> None:
    for _ in range(2):
        assert post(server.client(transport=make and make())) == {}
    gc.collect()


def test_a_download_that_was_left_in_the_middle_ends_with_its_loop() -> None:
    async def half(_asked: Any) -> bytes:
        return answer(headers={"Content-Length": "2000", "Content-Type": "text/csv"}, body=b"a,b")

    with threaded_server(half) as server:
        client = server.client()
        opened = []

        async def begin() -> None:
            download = client.workspace(3).reports.detailed.csv(
                start_date=dt.date(2026, 1, 1), end_date=dt.date(2026, 1, 2)
            )
            stream = download.stream()
            opened.append((stream, await stream.__aenter__()))

        asyncio.run(begin())
        asyncio.run(client.aclose())
        opened.clear()
        gc.collect()


@pytest.mark.parametrize("runs", [True, False], ids=["running", "standing"])
@pytest.mark.parametrize("shares", [True, False], ids=["shared-scheduler", "own-scheduler"])
def test_what_another_open_loop_uses_is_not_closed_here(server: RawServer, runs: bool, shares: bool) -> None:
    scheduler = Scheduler(server.client().scheduler.options) if shares else None
    client = server.client(scheduler=scheduler)
    closable: list[Any] = [client, scheduler] if scheduler else [client]
    with anyio.from_thread.start_blocking_portal() if runs else contextlib.nullcontext() as portal:
        first = None if portal else asyncio.new_event_loop()

        def there(awaitable: Any) -> Any:
            return portal.call(lambda: awaitable) if portal else first.run_until_complete(awaitable)  # type: ignore[union-attr]

        assert there(client.request("POST", TAGS)) == {}
        how = "run_coroutine_threadsafe" if runs else "run_until_complete"
        for one in closable:
            with pytest.raises(WrongEventLoop, match=how):
                asyncio.run(one.aclose())
        assert there(client.request("POST", TAGS)) == {}
        for one in closable:
            there(one.aclose())
        if first is not None:
            first.close()


@pytest.mark.slow  # a store that has just been made stays closed for 3 s
def test_a_file_is_let_go_with_its_loop(server: RawServer, tmp_path: Path) -> None:
    client = server.client(budget=FileBudget(tmp_path / "budget"))
    assert [post(client), post(client)] == [{}, {}]
    gc.collect()


@pytest.mark.skipif(is_missing(), reason=REASON)
@pytest.mark.slow  # a store that has just been made stays closed for 3 s
def test_redis_is_let_go_with_its_loop(server: RawServer, tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        client = server.client(budget=RedisBudget(redis.url))
        assert [post(client), post(client)] == [{}, {}]
        gc.collect()


@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_a_loop_that_told_its_generators_already_is_used_all_the_same(server: RawServer) -> None:
    async def late() -> None:
        client = server.client()
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert await client.request("POST", TAGS) == {}
        await client.aclose()

    asyncio.run(late())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_given_transport_goes_on_after_a_loop_that_was_closed_without_a_word(server: RawServer) -> None:
    client = server.client(transport=httpx.AsyncHTTPTransport())
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.request("POST", TAGS)) == {}
    loop.close()
    assert post(client) == {}
    gc.collect()


@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_a_client_serves_its_loop_on_after_that_told_its_generators(server: RawServer) -> None:
    async def late() -> None:
        client = server.client()
        assert await client.request("POST", TAGS) == {}
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert await client.request("POST", TAGS) == {}
        await client.aclose()

    asyncio.run(late())


FORKING = """
    import asyncio, gc, os, sys, warnings
    from toggl_async import ApiToken, ClientOptions, Pace, TogglClient, WrongEventLoop
    import httpx

    warnings.simplefilter("error", ResourceWarning)
    given = sys.argv[2] == "given"
    options = ClientOptions(pace=Pace(interval=0.001))
    client = TogglClient(
        ApiToken("a" * 32), base_url=sys.argv[1], options=options,
        transport=httpx.AsyncHTTPTransport() if given else None,
    )

    def post():
        return asyncio.run(client.request("POST", "/api/v9/workspaces/3/tags", json={}))

    def fork_and(call):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        gc.freeze()  # what the parent left open isn't the child's to close
        try:
            came = call()
            asyncio.run(client.aclose())
        except WrongEventLoop:
            os._exit(7)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0 if came == {} else 1)

    assert post() == {}
    assert fork_and(post) == 0  # the loop took its connections with it
    assert post() == {}

    async def forked_in_a_loop():
        assert await client.request("POST", "/api/v9/workspaces/3/tags", json={}) == {}
        assert fork_and(post) == (7 if given else 0)
        assert fork_and(dict) == 0  # it closes what it was left, and nothing of its parent's
        assert await client.request("POST", "/api/v9/workspaces/3/tags", json={}) == {}
        await client.aclose()

    asyncio.run(forked_in_a_loop())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.parametrize("transport", ["own", "given"])
@pytest.mark.sampled(1)
def test_a_forked_process_starts_anew_or_is_refused(server: RawServer, transport: str) -> None:
    script = textwrap.dedent(FORKING)
    done = subprocess.run(
        [sys.executable, "-c", script, server.url, transport], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.received) == (6 if transport == "own" else 5)


def test_a_mocked_transport_serves_any_loop() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    client = TogglClient(ApiToken(TOKEN), transport=transport)
    assert [post(client), post(client)] == [{}, {}]


async def close_and_fail() -> None:
    class Unclosable(httpx.AsyncHTTPTransport):
        async def aclose(self) -> None:
            raise OSError("no")

    async with raw_server(lambda _asked: answer()) as server:
        transport = ScheduledTransport(Unclosable())
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get(server.url)).status_code == 200


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_cannot_be_closed_is_left_behind() -> None:
    asyncio.run(close_and_fail())
    gc.collect()
