"""What other tests stand on: servers that don't care who closes first, and a clock that no stall moves."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from support.hook_receiver import receiver
from support.loopback import listening, nobody_listening
from support.patience import PatientLoop
from support.sandbox_world import world
from toggl_async import ApiToken, TogglClient
from toggl_async.sandbox import SMALL, SandboxOptions, serve

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Insist that no task is left of a block."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() == before


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(100):
        writer.write(piece)
        await writer.drain()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("client", ["idle", "talking", "just connected", "gone"])
async def test_a_server_ends_whatever_its_client_does(client: str) -> None:
    with nothing_left(), contextlib.ExitStack() as stack:
        async with listening(echo) as port:
            reader, writer = await connect(port)
            stack.callback(writer.close)
            if client != "just connected":
                writer.write(b"hello")
                assert await reader.read(100) == b"hello"
            if client == "talking":
                writer.write(b"again")
            if client == "gone":
                writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() in {b"", b"again"}


async def test_a_server_ends_while_its_client_reads_nothing() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 1_000_000)
            await writer.drain()

    with nothing_left(), contextlib.ExitStack() as stack:
        async with listening(flood) as port:
            reader, writer = await connect(port)
            stack.callback(writer.close)
            assert await reader.readexactly(10) == b"x" * 10


async def test_nobody_listens_on_a_port_that_is_held() -> None:
    with nobody_listening() as port, pytest.raises(ConnectionRefusedError):
        await connect(port)


async def test_a_sandbox_ends_before_its_clients() -> None:
    options = SandboxOptions(size=SMALL, interval=0.0)
    with nothing_left():
        async with contextlib.AsyncExitStack() as stack, serve(options) as sandbox:
            toggl = TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url)
            await stack.enter_async_context(toggl)
            assert (await toggl.me.get()).id == sandbox.company.owner.id
            _, silent = await connect(httpx.URL(sandbox.base_url).port or 0)
            stack.callback(silent.close)


def test_a_sandbox_in_a_thread_ends_before_its_clients() -> None:
    options = SandboxOptions(size=SMALL, interval=0.0)
    with (
        httpx.Client(trust_env=False, timeout=None) as http,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(options)) as sandbox,
    ):
        assert http.get(f"{sandbox.base_url}/api/v9/status").json() == "OK"


@pytest.mark.parametrize("first", ["the receiver", "the sandbox"])
async def test_a_sandbox_and_its_receiver_end_in_either_order(first: str) -> None:
    body = {"description": "d", "event_filters": [{"entity": "*", "action": "*"}]}
    with nothing_left():
        async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
            hooks = await (inner if first == "the receiver" else outer).enter_async_context(receiver())
            toggl = await (outer if first == "the receiver" else inner).enter_async_context(world())
            path = f"/webhooks/api/v1/subscriptions/{toggl.workspace_id}"
            await toggl.json("POST", path, {**body, "url_callback": hooks.url})
            assert len(hooks.came) == 1


async def test_work_takes_none_of_the_loops_time() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = time.monotonic() + 0.02
    while time.monotonic() < end:  # noqa: ASYNC110 - a machine that is busy
        await asyncio.sleep(0)
    assert loop.time() - began < 0.001


@pytest.mark.parametrize("speed", [100.0, 1_000_000.0])
def test_waits_take_what_they_are_asked_for(speed: float) -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(1.0)
        await asyncio.to_thread(time.monotonic)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2.0)
        return loop.time() - began

    with asyncio.Runner(loop_factory=lambda: PatientLoop(speed)) as runner:
        assert runner.run(wait()) == pytest.approx(3.0, abs=0.001)
