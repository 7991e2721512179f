"""httpx, and the transports built on it: through which proxy they go, and which certificates they trust.

This is the only module that imports httpx. All others import it from here, so that a successor would only
need an adapter in this place.
"""

import asyncio
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

__all__ = [
    "AnyTransport",
    "Around",
    "EnvironmentNetwork",
    "EnvironmentProxy",
    "Httpx2Transport",
    "Network",
    "Send",
    "foreign_request",
    "guests",
    "httpx",
    "proxy_for",
    "running_loop",
    "tls_context",
]

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


def guests() -> ModuleType | None:
    """Return the adapter for httpx2, if the program has imported httpx2, and not in place of httpx."""
    if sys.modules.get("httpx2") in {None, httpx}:
        return None
    from toggl_async.scheduler import guest  # noqa: PLC0415 - httpx2 is there

    return guest


def foreign_request(request: object, send: Send) -> Coroutine[Any, Any, httpx.Response]:
    """Handle a request that isn't httpx's: a client of httpx2's gets an answer of its own kind.

    Raises:
        InvalidInput: it is neither.
    """
    adapter = guests()
    if adapter is None or not isinstance(request, adapter.httpx2.Request):
        kind = f"{type(request).__module__}.{type(request).__name__}"
        raise InvalidInput(f"ScheduledTransport takes requests of httpx or httpx2, not of type {kind}")
    # Whoever sends a request of httpx2's expects its answer; the type is the one that httpx's clients need.
    return cast(Coroutine[Any, Any, httpx.Response], adapter.serve_guest(request, send))


class Network(httpx.AsyncHTTPTransport):
    """httpx's own transport, which can be made again without its connections.

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
        other._settings, other._context = self._settings, self._context  # noqa: SLF001 - of the same class
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
