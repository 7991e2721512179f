"""Requests that bring no answer: typed errors with their cause, and writes that are never doubled."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import h2.exceptions
import h11
import httpx
import pytest
import trustme

from support.support_wire import QUICK, TOKEN, Received, answer, close, raw_server
from toggl_async import ApiToken, TogglClient
from toggl_async._operations.files import Download
from toggl_async._operations.operation import Operation
from toggl_async.errors import ConnectionFailed, InvalidInput, RequestFailed, RequestTimeout

pytestmark = pytest.mark.anyio

ME, TAGS = "/api/v9/me", "/api/v9/workspaces/3/tags"
CSV: Operation[bytes] = Operation.declare("me.csv", "GET /api/v9/me/csv", bytes)

FAULTS: list[Exception] = [
    ssl.SSLError(1, "decryption failed or bad record mac"),
    OSError(5, "input/output error"),
    ConnectionResetError(104, "reset"),
    RuntimeError("Event loop is closed"),
    ValueError("odd"),
    KeyError("odd"),
    AssertionError(),
    h11.RemoteProtocolError("odd"),
    h2.exceptions.ProtocolError("odd"),
    anyio.ClosedResourceError(),
    TimeoutError("late"),
    httpx.StreamClosed(),
    httpx.InvalidURL("odd"),
    httpx.ReadError("odd"),
    ExceptionGroup("several", [OSError("a"), OSError("b")]),
    ExceptionGroup("of a task group", [TimeoutError("late")]),
]


def csv(toggl: TogglClient) -> Download:
    return toggl.me._download(CSV)


def client(transport: httpx.AsyncBaseTransport) -> TogglClient:
    return TogglClient(ApiToken(TOKEN), transport=transport, options=QUICK)


def kind_of(fault: Exception) -> type[RequestFailed]:
    if isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return RequestTimeout if isinstance(fault, TimeoutError) else ConnectionFailed


class Breaking(httpx.AsyncByteStream):
    """A body that breaks off, or can't be closed."""

    def __init__(self, fault: Exception, *, at_the_end: bool = False) -> None:
        self.fault = fault
        self.at_the_end = at_the_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{}"
        if not self.at_the_end:
            raise self.fault

    async def aclose(self) -> None:
        if self.at_the_end:
            raise self.fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("where", ["head", "body"])
async def test_whatever_a_transport_raises_is_a_lost_request(
    fault: Exception, where: str, tmp_path: Path
) -> None:
    sent: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        if where == "head":
            raise fault
        return httpx.Response(200, stream=Breaking(fault))

    async with client(httpx.MockTransport(respond)) as toggl:
        with pytest.raises(kind_of(fault)) as caught:
            await toggl.request("GET", ME)
        assert caught.value.__cause__ is fault
        assert sent == ["GET"] * QUICK.retry.attempts
        with pytest.raises(kind_of(fault)) as caught:
            await toggl.request("POST", TAGS, json={})
        assert caught.value.maybe_applied
        assert caught.value.__cause__ is fault
        assert sent.count("POST") == 1
        with pytest.raises(kind_of(fault)):
            await csv(toggl).save(tmp_path / "a.csv")
        assert toggl.stats().accounts[0].in_flight == 0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_a_body_that_is_whole_but_cannot_be_closed_is_an_answer(
    fault: Exception, tmp_path: Path
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Breaking(fault, at_the_end=True)))
    async with client(transport) as toggl:
        assert await toggl.request("GET", ME) == {}
        assert await csv(toggl).save(tmp_path / "a.csv") == 2
        assert toggl.stats().accounts[0].in_flight == 0


async def test_one_exception_in_a_group_is_taken_for_itself() -> None:
    """A transport that runs a task group may raise what went wrong in one."""
    faults: list[Exception] = [httpx.ConnectError("gone"), httpx.LocalProtocolError("never works")]
    sent: list[None] = []

    def fail(_request: httpx.Request) -> httpx.Response:
        sent.append(None)
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [faults[0]])])

    async with client(httpx.MockTransport(fail)) as toggl:
        with pytest.raises(ConnectionFailed, match=r"cannot connect \(ConnectError: gone\)") as caught:
            await toggl.me.get()
        assert isinstance(caught.value.__cause__, ExceptionGroup)
        assert len(sent) == QUICK.retry.attempts
        del faults[0], sent[:]
        with pytest.raises(ConnectionFailed, match="LocalProtocolError: never works"):
            await toggl.me.get()
        assert len(sent) == 1


async def test_one_exception_object_may_be_raised_time_and_again() -> None:
    fault = httpx.ConnectError("gone")

    def fail(_request: httpx.Request) -> httpx.Response:
        raise fault

    async def ask_again_while_handling(toggl: TogglClient) -> None:
        try:
            await toggl.me.get()
        except ConnectionFailed:
            # The second has the first as its context, and that has the fault as its cause.
            await toggl.me.get()

    async with client(httpx.MockTransport(fail)) as toggl:
        with pytest.raises(ConnectionFailed) as second:
            await ask_again_while_handling(toggl)
    assert second.value.__cause__ is fault


async def test_a_transport_that_returns_no_answer_lost_it() -> None:
    class Odd(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> Any:
            return None

    async with client(Odd()) as toggl:
        with pytest.raises(ConnectionFailed, match="returned NoneType") as caught:
            await toggl.request("POST", TAGS)
    assert caught.value.maybe_applied


def test_an_interruption_stays_one() -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    async def call() -> None:
        await client(httpx.MockTransport(respond)).request("GET", ME)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(call())


async def test_a_cancellation_stays_one() -> None:
    waiting = asyncio.Event()

    async def respond(_: httpx.Request) -> httpx.Response:
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with client(httpx.MockTransport(respond)) as toggl:
        call = asyncio.ensure_future(toggl.request("GET", ME))
        await waiting.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert toggl.stats().accounts[0].in_flight == 0


@contextlib.asynccontextmanager
async def damaging(port: int, is_damaged: Callable[[], bool]) -> AsyncIterator[int]:
    """Pass bytes on to a port and back, one bit flipped on the way back while asked to."""
    tasks: list[asyncio.Task[Any]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, back: bool) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    if back and is_damaged():
                        data = data[:-1] + bytes([data[-1] ^ 1])
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, far_writer, back=False), pump(far_reader, writer, back=True))
        await asyncio.gather(close(writer), close(far_writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    if tasks:
        await asyncio.wait(tasks)


async def test_a_damaged_tls_record_is_a_lost_answer() -> None:
    authority = trustme.CA()
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(asking)
    seen: list[str] = []

    def respond(asked: Received) -> bytes:
        seen.append(asked.method)
        return answer()

    async with raw_server(respond, tls=serving) as server, damaging(server.port, lambda: bool(seen)) as port:
        transport = httpx.AsyncHTTPTransport(verify=asking)
        async with TogglClient(
            ApiToken(TOKEN), base_url=f"https://127.0.0.1:{port}", transport=transport, options=QUICK
        ) as toggl:
            with pytest.raises(ConnectionFailed) as caught:
                await toggl.request("POST", TAGS, json={})
            assert caught.value.maybe_applied
            assert seen == ["POST"]
            seen.clear()
            with pytest.raises(ConnectionFailed):
                await toggl.request("GET", ME)


class Renaming(httpx.AsyncHTTPTransport):
    """httpx's own transport, whose trace says something else."""

    def __init__(self, rename: Callable[[str], str | None]) -> None:
        super().__init__()
        self.rename = rename

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trace = request.extensions["trace"]

        async def renamed(name: str, info: dict[str, Any]) -> None:
            other = self.rename(name)
            if other is not None:
                await trace(other, info)

        extensions = {**request.extensions, "trace": renamed}
        moved = httpx.Request(
            request.method, request.url, headers=request.headers, stream=request.stream, extensions=extensions
        )
        return await super().handle_async_request(moved)


RENAMINGS: dict[str, Callable[[str], str | None]] = {
    "as it is": lambda name: name,
    "prefix": lambda name: f"http.{name}",
    "request": lambda name: name.replace("http11.send_request", "http11.write_request"),
    "versions": lambda name: name.replace("http11.", "http1."),
    "steps": lambda name: name.replace(".started", ".begin"),
    "no requests": lambda name: None if name.startswith("http11.") else name,
    "nothing": lambda name: None,
}


@pytest.mark.parametrize("rename", RENAMINGS)
async def test_a_write_that_a_server_hung_up_on_is_never_doubled(rename: str) -> None:
    async with (
        raw_server(lambda _asked: None) as server,
        server.client(transport=Renaming(RENAMINGS[rename])) as toggl,
    ):
        with pytest.raises(RequestFailed) as caught:
            await toggl.workspace(3).tags.create(name="one")
    assert caught.value.maybe_applied
    assert len(server.received) == 1


class Mapping(httpx.AsyncBaseTransport):
    """A stranger's transport, to which every failure is one of connecting."""

    def __init__(self, fault: type[httpx.TransportError], *, traced: bool) -> None:
        self.inner = httpx.AsyncHTTPTransport()
        self.fault = fault
        self.traced = traced

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trace = request.extensions.pop("trace")
        if self.traced:
            await trace("connection.connect_tcp.started", {})
            await trace("connection.connect_tcp.failed", {})
        try:
            return await self.inner.handle_async_request(request)
        except httpx.TransportError as error:
            raise self.fault("hung up") from error

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
    ],
)
async def test_a_stranger_proves_nothing(fault: type[httpx.TransportError], *, traced: bool) -> None:
    async with (
        raw_server(lambda _asked: None) as server,
        server.client(transport=Mapping(fault, traced=traced)) as toggl,
    ):
        with pytest.raises(RequestFailed) as caught:
            await toggl.workspace(3).tags.create(name="one")
    assert caught.value.maybe_applied
    assert len(server.received) == 1


@pytest.mark.parametrize("given", [True, False])
async def test_a_write_whose_connection_was_refused_goes_again(given: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        transport = httpx.AsyncHTTPTransport() if given else None
        async with TogglClient(
            ApiToken(TOKEN), base_url=base_url, transport=transport, options=QUICK
        ) as toggl:
            with pytest.raises(ConnectionFailed) as caught:
                await toggl.workspace(3).tags.create(name="one")
            assert toggl.stats().lost == QUICK.retry.attempts
    assert not caught.value.maybe_applied


async def test_a_write_whose_certificate_is_not_trusted_never_left() -> None:
    authority, serving = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    async with raw_server(lambda _asked: answer(), tls=serving) as server:
        url = server.url.replace("http:", "https:")
        async with TogglClient(ApiToken(TOKEN), base_url=url, options=QUICK) as toggl:
            with pytest.raises(ConnectionFailed, match="certificate") as caught:
                await toggl.workspace(3).tags.create(name="one")
    assert not caught.value.maybe_applied
    assert server.received == []


async def test_a_header_that_cannot_be_sent_is_tried_once() -> None:
    async with raw_server(lambda _asked: answer()) as server, server.client() as toggl:
        toggl._session.wire._headers = (("Bad header", "x"),)
        with pytest.raises(InvalidInput, match="'Bad header' is not the name of a header"):
            await toggl.request("GET", ME)
        (account,) = toggl.stats().accounts
        assert (account.in_flight, account.waiting) == (0, 0)
    assert server.received == []
