"""The inner transport: what sends the requests, and whether its connections can be used.

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
from typing import Any, Final, cast

from toggl_async.errors import InvalidInput, WrongEventLoop
from toggl_async.scheduler.transport import AnyTransport, Around, Network, guests, httpx
from toggl_async.scheduler.transport.loops import EndOfLoop, refuse_to_close_elsewhere

__all__ = ["InnerTransport", "Pool"]

_logger: Final = logging.getLogger("toggl_async.scheduler")

_CONNECTIONLESS: Final = (httpx.MockTransport, httpx.ASGITransport)


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
        adapter, guest = guests(), None
        if adapter is not None and isinstance(transport, adapter.httpx2.AsyncBaseTransport):
            guest = adapter.GuestTransport(transport)
        # Any other object with httpx's methods is taken to be such a transport.
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
        """Start afresh in another event loop, and close the pools that are no longer used.

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
            # If this is cancelled, they still go on.
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
        """Note that an exchange has ended."""
        pool.under_way -= 1

    def doubt(self, pool: Pool) -> None:
        """Note that a connection of a pool may be out of use for good."""
        if pool is not self._pool:
            return
        if isinstance(pool.transport, Network):
            self._pool = Pool(pool.transport.renewed())
            self._retired.append(pool)
        else:
            pool.is_doubtful = self.is_httpx

    def found_full(self, pool: Pool) -> None:
        """Note that a pool had no connection to give."""
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
                # It forgets its connections, even if it cannot close them because their loop is closed.
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
    """Name the type of a transport; for a guest, the type that its program passed."""
    adapter = guests()
    given: object = transport
    if adapter is not None and isinstance(transport, adapter.GuestTransport):
        given = cast(Any, transport).transport
    return type(given).__name__


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    """Close a transport; one that can't be closed is left behind."""
    try:
        await transport.aclose()
    except Exception as error:  # noqa: BLE001 - there is nothing that anybody could do about it
        _logger.debug("a transport could not be closed: %s", type(error).__name__)
