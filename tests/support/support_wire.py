"""Raw servers on loopback, whose answers a test writes byte by byte, and clients to ask them with."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import anyio.from_thread
import attrs

from toggl_async import ApiToken, ClientOptions, Cooldown, Pace, Retry, TogglClient

TOKEN = "a" * 32

QUICK = ClientOptions(
    pace=Pace(interval=0.001),
    retry=Retry(attempts=3, minimum=0.0, maximum=0.004),
    cooldown=Cooldown(minimum=0.01, maximum=0.02),
    timeout=20.0,
)
"""Options with which nothing is waited for that a test could wait for."""


@attrs.frozen
class Received:
    """A request as it came over the wire.

    Attributes:
        method: its method.
        target: its path and query.
        headers: its headers, names in lower case.
        body: its body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@attrs.define
class RawServer:
    """A server that listens, and what it received."""

    port: int
    received: list[Received]
    open_connections: int = 0

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, options: ClientOptions = QUICK, **other: Any) -> TogglClient:
        """Make a client of the server."""
        return TogglClient(ApiToken(TOKEN), base_url=self.url, options=options, **other)


def answer(status: int = 200, body: object = b"{}", headers: Mapping[str, str] | None = None) -> bytes:
    """Write an answer; a body that is not bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


Answering = Callable[[Received], bytes | Awaitable[bytes | None] | None]
"""Returns what is written in answer to a request; None hangs up."""


@contextlib.asynccontextmanager
async def raw_server(answering: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve HTTP/1.1 with keep-alive, on a free port of loopback."""
    server = RawServer(0, [])
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.open_connections += 1
        try:
            while (received := await receive(reader)) is not None:
                server.received.append(received)
                written = answering(received)
                if isinstance(written, Awaitable):
                    written = await written
                if written is None:
                    break
                writer.write(written)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            server.open_connections -= 1
            tasks.discard(task)
            await close(writer)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that nothing of it is left."""
    writer.close()
    try:
        await writer.wait_closed()
    except (OSError, asyncio.CancelledError):
        writer.transport.abort()


@contextlib.contextmanager
def threaded_server(answering: Answering) -> Iterator[RawServer]:
    """Serve from a thread, for programs that run one event loop after another."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(raw_server(answering)) as server,
    ):
        yield server


async def receive(reader: asyncio.StreamReader) -> Received | None:
    """Read one request; None when the connection ends."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, OSError):
        return None
    method, target, _ = start.split(" ")
    return Received(method, target, headers, body)
