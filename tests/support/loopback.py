"""Raw servers on the loopback, and a port that nobody listens on.

Nothing here depends on who closes first. Leaving ``async with asyncio.Server`` does: since Python 3.12
it waits for every open connection, and with a client that keeps one open, for ever.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a server does with a connection; it is closed afterwards."""


@contextlib.asynccontextmanager
async def listening(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port and yield it; at the end, no connection and no task is left.

    What ends a connection from the other side (it is reset, it ends in the middle of what `talk`
    reads) ends `talk` without an error.
    """
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks[task] = writer
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await talk(reader, writer)
                writer.close()
                await writer.wait_closed()
        except asyncio.CancelledError:
            pass  # the server ends before its client
        finally:
            writer.transport.abort()
            del talks[task]

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # A connection that was just accepted takes the loop two turns to become one.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while talks:
            for task in talks:
                task.cancel()
            await asyncio.wait(talks)
        await server.wait_closed()


@contextlib.contextmanager
def nobody_listening() -> Iterator[int]:
    """Hold a port that refuses connections; a port that was only freed could be taken by anybody.

    A server that reuses addresses, as the sandbox does, may take it while it is held.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
