"""A tiny HTTP/2 server on loopback, without TLS (the client has to know); needs h2."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import attrs
import h2.config
import h2.connection
import h2.events

from support.loopback import listening


@attrs.define
class Http2Server:
    """A server that listens."""

    port: int
    paths: list[str]
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def http2_server(
    statuses: Sequence[int], headers: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[Http2Server]:
    """Answer the first requests with `statuses`, and all others with 200; all with `headers`."""
    served = Http2Server(0, [])
    left = list(statuses)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while piece := await reader.read(65536):
            for event in connection.receive_data(piece):
                if isinstance(event, h2.events.RequestReceived):
                    served.paths.append(dict(event.headers)[b":path"].decode())
                    status = str(left.pop(0) if left else 200)
                    connection.send_headers(event.stream_id, [(":status", status), *headers])
                    connection.send_data(event.stream_id, b"{}", end_stream=True)
            writer.write(connection.data_to_send())
            await writer.drain()

    async with listening(connected) as served.port:
        yield served
