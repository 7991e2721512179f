"""Tiny servers on loopback: HTTP/1.1 that behaves or misbehaves as told, and a proxy."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs

from support.loopback import listening
from toggl_async import ClientOptions, SessionCookie, TogglClient


@attrs.define
class Asked:
    """A request as it came over the wire, with the means to answer it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    connection: int
    """Which connection it came on, counted from 0."""

    def answer(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        """Answer as a server that keeps the connection."""
        self.head(status, len(body), **headers)
        self.writer.write(body)

    def head(self, status: int, length: int, **headers: str) -> None:
        """Send the head of an answer only."""
        fields = {"Content-Length": str(length), "Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in fields.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    def hang_up(self) -> None:
        """Close the connection, after what was written."""
        self.writer.close()


def answer_signed_in(asked: Asked) -> None:
    """Answer a sign-in with a session, and anything else with an empty list."""
    if asked.target == "/api/sessions":
        asked.answer(Set_Cookie="__Secure-accounts-session=S")
    else:
        asked.answer(body=b"[]")


def session_client(url: str, options: ClientOptions) -> TogglClient:
    """Make a client that signs in with a password, and asks one server for everything."""
    auth = SessionCookie("ann@example.com", "sesame")
    return TogglClient(auth, base_url=url, accounts_url=url, options=options)


Handler = Callable[[Asked], Awaitable[None] | None]


@attrs.define
class Server:
    """A server that listens."""

    port: int
    asked: list[Asked]
    connections: list[asyncio.StreamWriter]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def http_server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve HTTP/1.1 with keep-alive; `handler` answers each request."""
    server = Server(0, [], [])

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections.append(writer)
        number = len(server.connections) - 1
        while not writer.is_closing() and (asked := await _read(reader, writer, number)) is not None:
            server.asked.append(asked)
            answered = handler(asked)
            if answered is not None:
                await answered
            await writer.drain()

    async with listening(connected, tls=tls) as server.port:
        yield server


@contextlib.asynccontextmanager
async def http_proxy(*, opens: Callable[[Asked], bool] = lambda _asked: True) -> AsyncIterator[Server]:
    """Serve a proxy: it forwards what names a whole URL, and opens tunnels where `opens` lets it."""
    server = Server(0, [], [])

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections.append(writer)
        while (asked := await _read(reader, writer, len(server.connections) - 1)) is not None:
            server.asked.append(asked)
            if asked.method != "CONNECT":
                await _forward(asked)
            elif opens(asked):
                await _tunnel(asked, reader)
                return
            else:
                asked.answer(503)

    async with listening(connected) as server.port:
        yield server


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Asked | None:
    """Read a request, or the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *fields = head.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body, writer, number)


async def _forward(asked: Asked) -> None:
    """Make a request on behalf of a client, on a connection of its own."""
    _, _, authority, path = asked.target.split("/", 3)
    async with _connection(authority) as (near, far):
        fields = [f"{name}: {value}" for name, value in asked.headers.items()]
        far.write("\r\n".join([f"{asked.method} /{path} HTTP/1.1", *fields, "", ""]).encode() + asked.body)
        head = await near.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        asked.writer.write(head + await near.readexactly(int(length)))
        await asked.writer.drain()


async def _tunnel(asked: Asked, reader: asyncio.StreamReader) -> None:
    """Connect a client with where it wants to go."""
    async with _connection(asked.target) as (near, far):
        asked.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(near, asked.writer), _pump(reader, far))


@contextlib.asynccontextmanager
async def _connection(authority: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = authority.partition(":")
    near, far = await asyncio.open_connection(host, int(port))
    try:
        yield near, far
    finally:
        await _close(far)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, until it ends."""
    while piece := await source.read(65536):
        sink.write(piece)
        await sink.drain()
    sink.close()
