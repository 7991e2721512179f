"""A receiver of webhooks on a socket of its own: keeps what comes, and answers what it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import attrs
import httpx
import msgspec

from support.loopback import listening


@attrs.define
class Receiver:
    """What came to an address, and what it answers.

    Attributes:
        url: the address.
        status: what it answers.
        echoes: whether it sends validation codes back.
        speaks: whether its answers are JSON.
        came: headers and body of each delivery.
    """

    url: str = ""
    status: int = 200
    echoes: bool = True
    speaks: bool = True
    came: list[tuple[httpx.Headers, bytes]] = attrs.field(factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = httpx.Headers(
                [(line.partition(": ")[0], line.partition(": ")[2]) for line in head if ": " in line]
            )
            body = await reader.readexactly(int(headers["content-length"]))
            self.came.append((headers, body))
            code = msgspec.json.decode(body).get("validation_code")
            answer = msgspec.json.encode({"validation_code": code} if self.echoes and code else ["ok"])
            answer = answer if self.speaks else b"thanks"
            told = f"HTTP/1.1 {self.status} Told\r\nContent-Length: {len(answer)}\r\n\r\n"
            writer.write(told.encode() + answer)
            await writer.drain()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Listen on this machine."""
    made = Receiver()
    async with listening(made.talk) as port:
        made.url = f"http://127.0.0.1:{port}/hook"
        yield made
