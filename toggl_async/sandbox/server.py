"""Starts a sandbox in the running event loop, on a real socket, and stops it without a trace."""

import asyncio
import contextlib
import datetime as dt
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from toggl_async.sandbox.app import Application
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.control import control
from toggl_async.sandbox.counts import Counts
from toggl_async.sandbox.faults import Faults
from toggl_async.sandbox.limits import ServerLimits
from toggl_async.sandbox.options import SandboxOptions
from toggl_async.sandbox.origin import insist
from toggl_async.sandbox.sandbox import Sandbox

__all__ = ["run_forever", "serve"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends a reset instead of the orderly end."""

_DAY = 86_400


@contextlib.asynccontextmanager
async def serve(options: SandboxOptions | None = None) -> AsyncIterator[Sandbox]:
    """Run a sandbox on 127.0.0.1 in the current event loop, for the duration of an ``async with``.

    It installs no signal handlers and no logging, and leaves no task, timer or socket of its own behind.
    Requests still under way at the end are cut off.

    Args:
        options: the company, its limits and its faults; None for the defaults.

    Yields:
        The running sandbox, with its address, credentials, company and counts.

    Raises:
        OSError: the port is taken.
        ValueError: a route of `gone` does not exist.
    """
    options = options or SandboxOptions()
    insist(options.gone)
    started = dt.datetime.now(dt.UTC) if options.now is None else options.now
    company = Company(options, started.timestamp())
    counts = Counts()
    faults = Faults(options.faults, random.Random(options.seed))
    limits = ServerLimits(
        interval=options.interval / options.speed,
        burst=options.burst,
        user_quota=options.personal_quota,
        organization_quota=options.organization_quota,
    )
    clock = Clock(started.timestamp(), options.speed, on_move=limits.empty_buckets)
    listener = _Listener()
    application = Application(
        company=company,
        clock=clock,
        limits=limits,
        faults=faults,
        counts=counts,
        gone=options.gone,
        not_in_plan=options.not_in_plan,
        reset=listener.reset,
    )
    port = await listener.open(application, options.port)
    sandbox = Sandbox(
        base_url=f"http://127.0.0.1:{port}",
        api_token=company.account.api_token,
        email=company.account.email,
        password=company.account.password,
        company=company,
        counts=counts,
        clock=clock,
        faults=faults,
        seed=options.seed,
        publish=application.publish,
    )
    application.control = control(sandbox)
    try:
        yield sandbox
    finally:
        await application.aclose()
        await listener.close()
        await application.idle()


async def run_forever(options: SandboxOptions, announce: Callable[[Sandbox], None]) -> None:
    """Run a sandbox until the task is cancelled.

    Args:
        options: the options of the sandbox.
        announce: called once it is listening, to show its address and its token.
    """
    async with serve(options) as sandbox:
        announce(sandbox)
        await asyncio.Event().wait()


def _bound(port: int) -> socket.socket:
    """Return a socket bound to a port of the loopback.

    asyncio turns Nagle's algorithm off only where the protocol is given: without that, every answer
    in two pieces would wait 40 ms for the client's acknowledgement.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


class _Listener:
    """uvicorn behind a socket of ours, in the running event loop.

    `uvicorn.Server.serve` would take over signal handlers, wake up ten times a second (of a loop that
    may run a thousand times too fast) and end with a pause. So `startup` is all that is used of it: it
    starts servers of asyncio, and these are closed as asyncio has it.
    """

    def __init__(self) -> None:
        self._transports: dict[object, asyncio.Transport] = {}
        self._closing = False
        self._all_lost = asyncio.Event()
        self._servers: list[asyncio.base_events.Server] = []

    async def open(self, application: Application, port: int) -> int:
        """Listen, and return the port."""
        listener = self

        class Connection(H11Protocol):
            """A connection that the listener knows of, by the client's address."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                listener.opened(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                listener.lost(self.transport)

        bound = _bound(port)
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            # A fast loop would close idle connections within milliseconds.
            timeout_keep_alive=_DAY,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[bound])
        self._servers = server.servers
        number: int = bound.getsockname()[1]
        return number

    def opened(self, transport: asyncio.Transport) -> None:
        """Note a connection."""
        self._transports[transport.get_extra_info("peername")] = transport

    def lost(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._transports.pop(transport.get_extra_info("peername"), None)
        self._notice()

    def _notice(self) -> None:
        if self._closing and not self._transports:
            self._all_lost.set()

    def reset(self, client: object) -> None:
        """Reset the connection from this address."""
        transport = self._transports[client]
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()

    async def close(self) -> None:
        """Stop listening, cut off what is under way, and wait until nothing is left of it.

        It does not matter who closes first: since Python 3.12 `wait_closed` waits for all connections,
        so they are cut off before.
        """
        self._closing = True
        for server in self._servers:
            server.close()
        # A connection that was just accepted takes the loop two turns to become one.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for transport in self._transports.values():
            transport.abort()
        self._notice()
        await self._all_lost.wait()
        for server in self._servers:
            await server.wait_closed()
