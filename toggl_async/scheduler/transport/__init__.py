"""httpx, and the inner transport: what sends the requests, and whether its connections can be used.

This is the only module that imports httpx. All others import it from here, so that a successor would only
need an adapter in this place.

Connections belong to one process and one event loop. If a client meets another loop, because its program
calls `asyncio.run` again or was forked, it starts with fresh connections; if its transport can't do that, the
call is refused before anything is sent. A loop that ends closes the connections that were made in it.

A cancelled exchange can take a connection out of use for good. httpcore keeps anyio's cancellation away
from its clean-up, but not asyncio's own: a task cancelled while it cleans up, or in the turn in which its
connection stands but the request hasn't begun, leaves an entry in the pool that nobody will use or close
(encode/httpcore: 1.0.9 does). From outside that can't be told from a clean end, and a task for each
exchange, to keep cancellation out of it, would cost a fifth of what a GET costs. So a pool in which an
exchange was cancelled takes no more requests. The next ones go to a fresh pool, and the old one is closed
when the last of its exchanges has ended. What that costs is a few idle connections. A pool that has no
connection to give, although the scheduler lets no more requests out than it has, is replaced, too.

An httpx transport that the caller made can't be replaced: it is emptied, between two exchanges.
"""

import asyncio
import logging
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any, Final, Never, Protocol, Self, TypeAlias, cast

import httpx

from toggl_async.errors import InvalidInput, WrongEventLoop
from toggl_async.scheduler.transport.environment import (
    CERTIFICATE_VARIABLES,
    named_proxy,
    refuse_certificates,
    unusable_certificates,
)
from toggl_async.scheduler.transport.loops import EndOfLoop, refuse_to_close_elsewhere

__all__ = [
    "AnyTransport",
    "Around",
    "EnvironmentNetwork",
    "EnvironmentProxy",
    "Httpx2Transport",
    "InnerTransport",
    "Network",
    "Pool",
    "Send",
    "foreign_request",
    "httpx",
    "proxy_for",
    "running_loop",
    "tls_context",
]

_logger: Final = logging.getLogger("toggl_async.scheduler")

Send: TypeAlias = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""Sends a request on, and returns its answer."""

Around: TypeAlias = Callable[[httpx.Request, Send], Coroutine[Any, Any, httpx.Response]]


class Httpx2Transport(Protocol):
    """What `httpx2.AsyncBaseTransport` is to a type checker, which needs no httpx2 for that."""

    def handle_async_request(self, request: Never, /) -> Awaitable[object]:
        """Send a request of httpx2's."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Close the transport."""
        ...


AnyTransport: TypeAlias = httpx.AsyncBaseTransport | Httpx2Transport
"""An asynchronous transport of httpx or httpx2."""

_LAST_PORT: Final = 65535
_CONNECTIONLESS: Final = (httpx.MockTransport, httpx.ASGITransport)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop.

    Raises:
        WrongEventLoop: it is not asyncio's, or there is none.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise WrongEventLoop(
            "toggl_async needs asyncio: await it within asyncio.run(…), or anyio.run(…, backend='asyncio'); "
            "trio's event loop can't run it"
        ) from None


_contexts: Final[dict[tuple[str | None, ...], ssl.SSLContext]] = {}


def tls_context() -> ssl.SSLContext:
    """Return the TLS context of this process, as the environment wants it.

    One for all clients: to build one takes 30 to 50 ms, in which the loop stands still, and 850 kB.

    Raises:
        InvalidInput: a file or folder that the environment names can't be used.
    """
    key = tuple(os.environ.get(name) for name in CERTIFICATE_VARIABLES)
    context = _contexts.get(key)
    if context is None:
        refuse_certificates()
        try:
            context = _contexts[key] = httpx.create_ssl_context()
        except (OSError, ValueError) as error:
            raise unusable_certificates(error) from error
    return context


class EnvironmentProxy(httpx.Proxy):
    """A proxy that the environment names.

    Attributes:
        shown: the proxy and who names it, without credentials, as errors tell it.
    """

    def __init__(self, url: httpx.URL, *, source: str) -> None:
        super().__init__(url)
        self.shown: str = f"the proxy {url.scheme}://{url.netloc.decode('ascii')}, which {source} names"


def proxy_for(url: httpx.URL) -> EnvironmentProxy | None:
    """Return the proxy that the environment names for a host, if any.

    Without TLS the host is this machine, which is never asked through a proxy.

    Raises:
        InvalidInput: what the environment names can't be used; it is not quoted, as it may hold a password.
    """
    if url.scheme == "http":
        return None
    named = named_proxy(url.scheme, url.host)
    if named is None:
        return None
    address, source = named
    try:
        proxy = EnvironmentProxy(
            httpx.URL(address if "://" in address else f"http://{address}"), source=source
        )
    except (ValueError, httpx.InvalidURL):
        proxy = None
    is_spaced = any(map(str.isspace, address))
    if proxy is None or is_spaced or not proxy.url.host or not 0 <= (proxy.url.port or 0) <= _LAST_PORT:
        raise InvalidInput(
            f"the proxy for {url.scheme} is not valid: {source} must be a URL such as http://HOST:PORT"
        )
    return proxy


def _guests() -> ModuleType | None:
    """Return the adapter for httpx2, if the program has brought httpx2 along, and not in httpx's place."""
    if sys.modules.get("httpx2") in {None, httpx}:
        return None
    from toggl_async.scheduler import guest  # noqa: PLC0415 - httpx2 is there

    return guest


def foreign_request(request: object, send: Send) -> Coroutine[Any, Any, httpx.Response]:
    """Handle a request that isn't httpx's: a client of httpx2's gets an answer of its own kind.

    Raises:
        InvalidInput: it is neither.
    """
    guests = _guests()
    if guests is None or not isinstance(request, guests.httpx2.Request):
        kind = f"{type(request).__module__}.{type(request).__name__}"
        raise InvalidInput(f"ScheduledTransport takes requests of httpx or httpx2, not of type {kind}")
    # Whoever sends a request of httpx2's expects its answer; the type is the one that httpx's clients need.
    return cast(Coroutine[Any, Any, httpx.Response], guests.serve_guest(request, send))


class Network(httpx.AsyncHTTPTransport):
    """httpx's own transport, which can be had again without the connections.

    Args:
        limits: connections at once.
        proxy: what the connections go through.
    """

    def __init__(self, *, limits: httpx.Limits | None = None, proxy: httpx.Proxy | None = None) -> None:
        self._settings = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20), proxy
        self._context = tls_context()
        self._connect()

    def renewed(self) -> Self:
        """Return another transport like this one, with its TLS context and without its connections."""
        other = type(self).__new__(type(self))
        other._settings, other._context = self._settings, self._context  # noqa: SLF001 - one of us
        other._connect()  # noqa: SLF001 - likewise
        return other

    def _connect(self) -> None:
        limits, proxy = self._settings
        super().__init__(verify=self._context, limits=limits, proxy=proxy)

    def way_to(self, _url: httpx.URL) -> str:
        """Return the proxy that the environment names for a URL; empty if there is none."""
        proxy = self._settings[1]
        return proxy.shown if isinstance(proxy, EnvironmentProxy) else ""


class EnvironmentNetwork(Network):
    """httpx's own transport, through the proxy that the environment names for each host."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        host = request.url.scheme, request.url.host
        if host not in self._by_host:
            proxy = proxy_for(request.url)
            self._by_host[host] = None if proxy is None else Network(limits=self._settings[0], proxy=proxy)
        network = self._by_host[host]
        if network is None:
            return await super().handle_async_request(request)
        return await network.handle_async_request(request)

    def way_to(self, url: httpx.URL) -> str:
        """Return the proxy that the environment names for a URL; empty if there is none."""
        network = self._by_host.get((url.scheme, url.host))
        return "" if network is None else network.way_to(url)

    async def aclose(self) -> None:
        """Close all connections."""
        await super().aclose()
        for network in self._by_host.values():
            if network is not None:
                await network.aclose()

    def _connect(self) -> None:
        super()._connect()
        self._by_host: dict[tuple[str, str], Network | None] = {}


class Pool:
    """A transport, and the exchanges that are under way on it."""

    __slots__ = ("is_doubtful", "transport", "under_way")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport: httpx.AsyncBaseTransport = transport
        self.under_way: int = 0
        self.is_doubtful: bool = False
        """Whether a connection of it may be out of use for good."""


class InnerTransport:
    """The transport that sends, whichever pool it has at the time."""

    __slots__ = (
        "_closing",
        "_end_of_loop",
        "_is_connectionless",
        "_is_over",
        "_loop",
        "_pool",
        "_process",
        "_retired",
        "around",
        "closed",
        "is_httpx",
        "sends_once",
        "traces",
    )

    def __init__(self, transport: AnyTransport) -> None:
        if isinstance(transport, type) or not callable(getattr(transport, "handle_async_request", None)):
            kind = "a class" if isinstance(transport, type) else f"a value of type {type(transport).__name__}"
            raise InvalidInput(
                f"transport must be asynchronous, for instance httpx.AsyncHTTPTransport(), not {kind}"
            )
        guests = _guests()
        guest = None
        if guests is not None and isinstance(transport, guests.httpx2.AsyncBaseTransport):
            guest = guests.GuestTransport(transport)
        # Another kind that has httpx's methods is taken at its word.
        self._pool = Pool(guest or cast(httpx.AsyncBaseTransport, transport))
        self._retired: list[Pool] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._end_of_loop: EndOfLoop | None = None
        self._is_over = False
        """Whether the transport was closed with its loop, for good as far as is known."""
        self._is_connectionless = isinstance(transport, _CONNECTIONLESS) or (
            guest is not None and guest.is_connectionless
        )
        self.is_httpx: bool = isinstance(transport, httpx.AsyncHTTPTransport) or (
            guest is not None and guest.is_own
        )
        """Whether it is httpx's own, or httpx2's, whose traces and errors are known."""
        self.sends_once: bool = isinstance(transport, Network) or type(transport) is httpx.AsyncHTTPTransport
        """Whether a request whose first byte has left over HTTP/1.1 is certain not to be sent again."""
        self.traces: bool = self.is_httpx
        """Whether it is known to trace what it does."""
        self.around: Around | None = None
        """What goes around each attempt, if anything."""
        self.closed: bool = False
        """Whether nothing may be sent by it any more."""

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """The transport of the pool at hand."""
        return self._pool.transport

    @property
    def is_ready(self) -> bool:
        """Whether the pool at hand can take a request as it is."""
        return (
            self._loop is asyncio.get_running_loop()
            and self._process == os.getpid()
            and not (self._retired or self._closing or self._pool.is_doubtful)
        )

    async def make_ready(self) -> None:
        """Begin anew in another event loop, and close the pools that nobody uses any more.

        Raises:
            WrongEventLoop: the transport has connections of another loop or process, and can't be
                made to begin anew.
        """
        if self._loop is not asyncio.get_running_loop() or self._process != os.getpid():
            await self._move()
        pool = self._pool
        unused = [retired for retired in self._retired if not retired.under_way]
        self._retired = [retired for retired in self._retired if retired.under_way]
        if pool.is_doubtful and not pool.under_way:
            pool.is_doubtful = False
            unused.append(pool)
        for one in unused:
            task = asyncio.get_running_loop().create_task(_close(one.transport))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if self._closing:
            # Whoever is cancelled here leaves them to go on.
            await asyncio.wait(list(self._closing))

    def way_to(self, url: httpx.URL) -> str:
        """Return the proxy that the environment names for a URL; empty if there is none."""
        transport = self._pool.transport
        return transport.way_to(url) if isinstance(transport, Network) else ""

    def enter(self) -> Pool:
        """Return the pool at hand, for one exchange, which has to `leave` it."""
        self._pool.under_way += 1
        return self._pool

    def leave(self, pool: Pool) -> None:
        """Take note that an exchange has ended."""
        pool.under_way -= 1

    def doubt(self, pool: Pool) -> None:
        """Take note that a connection of a pool may be out of use for good."""
        if pool is not self._pool:
            return
        if isinstance(pool.transport, Network):
            self._pool = Pool(pool.transport.renewed())
            self._retired.append(pool)
        else:
            pool.is_doubtful = self.is_httpx

    def found_full(self, pool: Pool) -> None:
        """Take note that a pool had no connection to give."""
        self.doubt(pool)
        pool.is_doubtful = True

    def refuse_to_close_elsewhere(self) -> None:
        """Refuse to be closed while another event loop may be using the connections.

        Raises:
            WrongEventLoop: it is neither the running one nor closed.
        """
        refuse_to_close_elsewhere("the client", self._loop, self._process)

    async def aclose(self) -> None:
        """Close all pools; those of another process are left to it."""
        self.closed = True
        if self._process != os.getpid():
            return
        if self._end_of_loop is not None:
            self._end_of_loop.forget()
        await self._close_pools()

    async def _close_pools(self) -> None:
        pools, self._retired = [] if self._is_over else [self._pool, *self._retired], []
        for pool in pools:
            await _close(pool.transport)
        if self._closing:
            await asyncio.wait(list(self._closing))

    async def _end_with_loop(self) -> None:
        """Close the pools because their loop ends; the next loop begins anew if it can."""
        await self._close_pools()
        if self.is_httpx:
            self._loop = None
        else:
            self._is_over = True

    async def _move(self) -> None:
        """Leave the connections of another event loop or process behind."""
        pool, forked = self._pool, self._process != os.getpid()
        if self._loop is not None:
            if isinstance(pool.transport, Network):
                self._pool = Pool(pool.transport.renewed())
            elif self._is_connectionless:
                self._pool = Pool(pool.transport)
            elif self.is_httpx and not forked:
                # It forgets its connections, whatever comes of closing them in a loop that is over.
                await _close(pool.transport)
                self._pool = Pool(pool.transport)
            else:
                raise WrongEventLoop(
                    f"this {_kind(pool.transport)} has connections of another "
                    f"{'process' if forked else 'event loop'}; make a client in each"
                )
        self._loop, self._process = asyncio.get_running_loop(), os.getpid()
        self._retired, self._closing = [], set()
        if self._end_of_loop is not None:
            self._end_of_loop.forget()
        if not self._is_connectionless:
            self._end_of_loop = EndOfLoop(self._end_with_loop)


def _kind(transport: httpx.AsyncBaseTransport) -> str:
    """Name the type of a transport, of a guest's as its program knows it."""
    guests = _guests()
    given: object = transport
    if guests is not None and isinstance(transport, guests.GuestTransport):
        given = cast(Any, transport).transport
    return type(given).__name__


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    """Close a transport; one that can't be closed is left behind."""
    try:
        await transport.aclose()
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody can do anything about it
        _logger.debug("a transport could not be closed: %s", type(error).__name__)
