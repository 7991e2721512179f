"""A server on a real socket that sends exactly the bytes that a test wants, and a clock that it can move on.

It runs on the same loop as the client, so a test that is about waiting needs no time: where the server
falls silent, it moves the clock of the loop on until the client has lost its patience.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal
from urllib.parse import urlsplit

import attrs

__all__ = ["PATIENCE", "Answering", "LeapLoop", "Reply", "Request", "serve"]

PATIENCE = 60.0
"""Seconds that clients of these tests wait for a byte: a busy machine is never so slow."""


_GLANCE = 0.001
"""Seconds between two leaps, so that the client has its turns."""


class LeapLoop(asyncio.SelectorEventLoop):
    """An event loop on the real clock, which can be moved on."""

    def __init__(self) -> None:
        super().__init__()
        self._leapt = 0.0

    def time(self) -> float:
        return super().time() + self._leapt

    def leap(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._leapt += seconds


@attrs.frozen(kw_only=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@attrs.frozen(kw_only=True)
class Reply:
    """What goes back over the wire.

    Attributes:
        data: status line, headers and body.
        then: what becomes of the connection: kept, closed, reset, or kept without another byte.
    """

    data: bytes
    then: Literal["keep", "close", "reset", "silence"] = "keep"


Answering = Callable[[Request], Awaitable[Reply]]


async def _read(reader: asyncio.StreamReader) -> Request:
    """Read one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple(
        (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    known = dict(headers)
    body = b""
    if known.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(known.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(method=method, path=parts.path, query=parts.query, headers=headers, body=body)


async def _talk(answer: Answering, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    loop = asyncio.get_running_loop()
    while True:
        reply = await answer(await _read(reader))
        writer.write(reply.data)
        await writer.drain()
        if reply.then == "reset":
            writer.transport.abort()
        if reply.then in {"close", "reset"}:
            return
        if reply.then == "silence":
            assert isinstance(loop, LeapLoop)
            await _outlast(reader, loop)
            return


async def _outlast(reader: asyncio.StreamReader, loop: LeapLoop) -> None:
    """Say nothing until the client has left; time passes in leaps, as nobody knows when it began to wait."""
    leaving = asyncio.ensure_future(reader.read())
    while not leaving.done():
        loop.leap(PATIENCE + 1)
        await asyncio.wait({leaving}, timeout=_GLANCE)


@contextlib.asynccontextmanager
async def serve(answer: Answering) -> AsyncIterator[str]:
    """Serve on a free port; gives the base URL. Connections end with it, whoever holds them."""
    talks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            # The client may leave whenever it wants to.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await _talk(answer, reader, writer)
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**24)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for talk in list(talks):
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
