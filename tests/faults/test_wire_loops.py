"""One client, several event loops, one after the other; and a process that forks."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.support_wire import TOKEN, RawServer, answer, raw_server, threaded_server
from toggl_async import ApiToken, Scheduler, TogglClient, TogglError, WrongEventLoop
from toggl_async.scheduler import ScheduledTransport

TAGS = "/api/v9/workspaces/3/tags"

# A loop that ends before its client was closed leaves its connections open: Python says so.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def server() -> Iterator[RawServer]:
    with threaded_server(lambda _asked: answer()) as running:
        yield running
        gc.collect()


class Wrapped(httpx.AsyncBaseTransport):
    """A transport of a stranger's, with connections behind it."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.inner.handle_async_request(request)


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
    client = server.client(transport=Wrapped())
    assert post(client) == {}
    for _ in range(2):
        with pytest.raises(WrongEventLoop, match="Wrapped has connections of another event loop"):
            post(client)
    assert len(server.received) == 1
    asyncio.run(client.aclose())


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


FORKING = """
    import asyncio, os, sys, warnings
    from toggl_async import ApiToken, ClientOptions, Pace, TogglClient, WrongEventLoop
    import httpx

    warnings.simplefilter("ignore", ResourceWarning)
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
    assert fork_and(post) == (7 if given else 0)
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
    assert len(server.received) == (6 if transport == "own" else 4)


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


def test_what_cannot_be_closed_is_left_behind() -> None:
    asyncio.run(close_and_fail())
    gc.collect()
