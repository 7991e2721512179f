"""One request, sent once: when it left, and if no answer came, whether it may have reached Toggl.

The moment of sending is learned from httpcore's `trace` extension: ``send_request_headers.started``
comes when a connection stands and the first byte is about to leave. The request waits right there
if the spacing asks for it. A trace that the caller set is called as well. A transport that does not
trace is taken to send when it is handed the request.

The trace of httpx's own transport can prove that a request never left: it failed while it connected, and
nothing else had begun. What can't be proved is not believed: a transport that traces nothing, or calls its
events by other names, has sent what it failed to send, for all we know.
"""

import asyncio
import enum
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.scheduler.core.masking import hide_what_came, secrets_in
from toggl_async.scheduler.core.retry import Loss
from toggl_async.scheduler.core.schedule import Recalled
from toggl_async.scheduler.exchange.bodies import SECRETS, LostRequest, close
from toggl_async.scheduler.transport import Send, httpx
from toggl_async.scheduler.transport.failures import is_hopeless
from toggl_async.scheduler.transport.inner import InnerTransport, Pool

__all__ = ["Departing", "Exchange", "HeldStream"]

_DEPARTURES: Final = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})

_UNWRITTEN: Final = "http11.send_request_headers.failed"
"""Traced where the head could not be written; httpcore makes all of it before it writes a byte."""

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
"""What RFC 9110 allows as the name and the value of a header."""

_CONNECTING: Final = frozenset(
    {
        "connection.connect_tcp",
        "connection.connect_unix_socket",
        "connection.retry",
        "connection.start_tls",
        "proxy.start_tls",
        "socks.connect_tcp",
        "socks.setup_socks5_connection",
        "socks.start_tls",
    }
)
"""What httpcore traces before a request begins."""

_CLEANING: Final = frozenset({"connection.close", "http11.response_closed"})
"""What it traces after something failed."""

_LOGGERS: Final = tuple(
    logging.getLogger(f"{core}.{protocol}")
    for core in ("httpcore", "httpcore2")
    for protocol in ("http11", "http2")
)
"""Where httpx's transports and those of httpx2 log what they trace, the headers of answers included."""

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


class Departing(Protocol):
    """Lets a request leave when its time has come."""

    def __call__(self, *, may_wait: bool, again: bool) -> Awaitable[None]:
        """Return when it may leave.

        Args:
            may_wait: whether it can be held up where it is.
            again: whether it has left before.

        Raises:
            Recalled: it must not be sent after all.
        """
        ...


class _Phase(enum.Enum):
    """How far a request is known to have come."""

    WITHHELD = enum.auto()
    """Middleware has not sent it on."""
    HANDED_OVER = enum.auto()
    """Nothing was traced."""
    CONNECTING = enum.auto()
    """A connection is being made, or could not be made."""
    CONNECTED = enum.auto()
    """A part of connecting is done; what came next, if anything, was not traced."""
    BEGUN = enum.auto()
    """Something else was traced: what we don't know."""
    LEFT = enum.auto()
    """The first byte was about to leave."""
    UNSENDABLE = enum.auto()
    """Its head can't be written down, so no byte of it left."""


class Exchange:
    """A request on its way."""

    __slots__ = (
        "_depart",
        "_handed_over",
        "_inner",
        "_phase",
        "_pool",
        "_request",
        "_user_trace",
        "_watched",
    )

    def __init__(
        self,
        inner: InnerTransport,
        request: httpx.Request,
        depart: Departing,
    ) -> None:
        """Prepare to send a request.

        Args:
            inner: what sends it.
            request: what is sent.
            depart: asked at the last moment before the first byte.
        """
        self._inner = inner
        self._pool: Pool | None = None
        self._request = self._handed_over = request
        self._depart = depart
        self._user_trace: Trace | None = request.extensions.get("trace")
        self._watched: dict[str, Any] = {}
        self._phase = _Phase.HANDED_OVER

    async def send(self) -> httpx.Response:
        """Send the request; return as soon as the head of the answer is there.

        Raises:
            LostRequest: no answer came.
            Recalled: it must not be sent after all.
            ClientClosed: the client was closed before it left.
            InvalidInput: it can't be written down, or middleware did what it must not before it left.
            WrongEventLoop: the transport belongs to another event loop.
        """
        inner = self._inner
        if not inner.is_ready:
            await inner.make_ready()
        if not inner.traces:
            await self._depart(may_wait=True, again=False)
        extensions = self._request.extensions
        self._request.extensions = self._watched = {**extensions, "trace": self._trace}
        pool = self._pool = inner.enter()
        try:
            send, around = pool.transport.handle_async_request, inner.around
            response = await (
                send(self._request) if around is None else around(self._request, self._withhold(send))
            )
            if around is not None and inner.traces and self._phase is not _Phase.LEFT:
                await self._depart(may_wait=True, again=False)  # answered by middleware: its turn is spent
        except (ClientClosed, Recalled):
            raise
        except InvalidInput as error:
            if self._refused_unsent():
                raise
            raise LostRequest(error) from error
        except Exception as error:
            if self._phase is _Phase.UNSENDABLE:
                # Not as h11 says it: that quotes the value, which may be a secret.
                raise InvalidInput(
                    f"{self._request.method}: the request cannot be sent: {_unsendable(self._handed_over)}"
                ) from None
            if isinstance(error, httpx.PoolTimeout):
                inner.found_full(pool)
            raise LostRequest(error) from error
        finally:
            self._request.extensions = extensions
            self._stop_watching()
        if not isinstance(response, httpx.Response):
            raise LostRequest(TypeError(f"the transport returned {type(response).__name__}, not a Response"))
        return response

    def _withhold(self, send: Send) -> Send:
        """Note when middleware sends the request: until then, nothing of it has left."""
        self._phase = _Phase.WITHHELD

        def hand_over(request: httpx.Request) -> Awaitable[httpx.Response]:
            self._phase = _Phase.HANDED_OVER
            self._handed_over = request
            return send(request)

        return hand_over

    def end(self) -> None:
        """Note that nothing more of it will be read; calling it twice does nothing."""
        pool, self._pool = self._pool, None
        if pool is not None:
            self._inner.leave(pool)

    def was_cut_off(self) -> None:
        """Note that it was cancelled under way, which can put its connection out of use."""
        if self._pool is not None:
            self._inner.doubt(self._pool)

    def _refused_unsent(self) -> bool:
        """Say whether what was refused on its way is certain not to have left."""
        if self._phase is _Phase.WITHHELD:
            return True
        return self._inner.sends_once and self._phase not in {_Phase.BEGUN, _Phase.LEFT}

    def may_have_left(self, error: Exception) -> bool:
        """Say whether the first byte of the request may have left before it failed."""
        if self._phase is _Phase.WITHHELD:
            return False
        if not self._inner.is_httpx or self._phase in {_Phase.BEGUN, _Phase.LEFT}:
            return True
        if isinstance(error, httpx.PoolTimeout | httpx.UnsupportedProtocol):
            return self._phase is not _Phase.HANDED_OVER
        return self._phase is not _Phase.CONNECTING and not isinstance(error, httpx.ProxyError)

    def loss_of(self, error: Exception) -> Loss:
        """Say how a request was lost."""
        if is_hopeless(error):
            return Loss.HOPELESS
        return Loss.MAY_HAVE_LEFT if self.may_have_left(error) else Loss.NEVER_LEFT

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        """Hold the request as it is about to leave, until it may; later events do not matter."""
        self._inner.traces = True
        is_logged = any(map(_is_logged, _LOGGERS))
        if name in _DEPARTURES and not _is_tunnel(info):
            # Where several share a connection, one that waited here would let another take its stream.
            alone = name.startswith("http11.")
            if self._inner.closed:
                # Made while the pool was closed, which didn't know it yet: the error has it closed.
                raise ClientClosed("the client was closed before the call could be sent")
            await self._depart(may_wait=alone, again=self._phase is _Phase.LEFT)
            self._phase = _Phase.LEFT
            if alone and self._inner.sends_once and not is_logged:
                self._stop_watching()  # httpcore has ten more steps to trace, and each costs
        elif self._phase is not _Phase.LEFT:
            self._note(name, info)
        elif name == _UNWRITTEN and _is_unwritable(info):
            self._phase = _Phase.UNSENDABLE
        if self._user_trace is not None:
            await self._user_trace(name, info)
        if is_logged:
            # httpcore logs it next, and has no other use for it once a step is over.
            declared: frozenset[str] = self._request.extensions.get(SECRETS, frozenset())
            hide_what_came(info, declared | secrets_in(self._request.headers))

    def _note(self, name: str, info: dict[str, Any]) -> None:
        """Note an event before the departure."""
        what, _, step = name.rpartition(".")
        if what in _CLEANING or self._phase is _Phase.BEGUN or step == "failed":
            return
        if step == "complete" and self._phase is _Phase.CONNECTING:
            self._phase = _Phase.CONNECTED
        elif step == "started" and (what in _CONNECTING or _is_tunnel(info)):
            self._phase = _Phase.CONNECTING
        else:
            self._phase = _Phase.BEGUN

    def _stop_watching(self) -> None:
        """Trace no more, except for the caller; afterwards, nothing refers to this exchange."""
        if self._user_trace is None:
            self._watched.pop("trace", None)
        else:
            self._watched["trace"] = self._user_trace


def _is_logged(logger: logging.Logger) -> bool:
    return logger.isEnabledFor(logging.DEBUG)


def _is_unwritable(info: dict[str, Any]) -> bool:
    """Say whether an event tells that a head is not HTTP; h11's error or httpcore's, which have one name."""
    return type(info.get("exception")).__name__ == "LocalProtocolError"


def _unsendable(request: httpx.Request) -> str:
    """Say why a head is not HTTP, without the values, which may be secrets."""
    for name, value in request.headers.raw:
        if not _NAME.fullmatch(name):
            return f"{name.decode('latin-1')!a} is not the name of a header"
        if not _VALUE.fullmatch(value):
            return (
                f"the value of its header {name.decode('ascii')} begins or ends with a space, or contains a "
                "line break or another control character"
            )
    return "HTTP does not allow its method, target or headers"


def _is_tunnel(info: dict[str, Any]) -> bool:
    """Say whether an event is about the CONNECT by which a proxy is asked for a tunnel."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


class HeldStream(httpx.AsyncByteStream):
    """The body of a streamed answer; its call's slot is free once it is closed.

    Args:
        stream: the body.
        exchange: what brought it.
        broken: called with the error if it breaks off.
        closed: called once, when it is closed.
    """

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        exchange: Exchange,
        *,
        broken: Callable[[Exception], object],
        closed: Callable[[], object],
    ) -> None:
        self._stream = stream
        self._exchange = exchange
        self._broken = broken
        self._closed = closed
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except asyncio.CancelledError:
            self._exchange.was_cut_off()
            raise
        except Exception as error:
            self._broken(error)
            raise

    async def aclose(self) -> None:
        """Close the answer, and free the slot."""
        try:
            await close(self._stream)
        except asyncio.CancelledError:
            self._exchange.was_cut_off()
            raise
        finally:
            if self._open:
                self._open = False
                self._exchange.end()
                self._closed()
