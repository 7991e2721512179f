"""One request sent once: when it really left, and what was read of the answer.

The moment of sending is learned from httpcore's `trace` extension: ``send_request_headers.started``
comes when a connection stands and the first byte is about to leave. The request waits right there
if the spacing asks for it. A trace that the caller set is called as well. A transport that does not
trace is taken to send when it is handed the request.

The same trace can prove that a request never left: there was some event, but not that one.
"""

import asyncio
import datetime as dt
import http
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, cast

import httpx

from toggl_async.errors import ConnectionFailed, RequestFailed, RequestTimeout
from toggl_async.transport.account import Account
from toggl_async.transport.content_coding import decode, decode_what_is_there
from toggl_async.transport.queue import Call
from toggl_async.transport.route import shown_path

__all__ = ["Exchange", "HeldStream", "InnerTransport", "as_failure"]

_DEPARTURES: Final = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})

_NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

_BODILESS: Final = frozenset({204, 205, 304})
"""Answers that have no body, whatever their headers say of it."""

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


class InnerTransport:
    """The inner transport, and what is known of it."""

    __slots__ = ("closed", "traces", "transport")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport: httpx.AsyncBaseTransport = transport
        self.traces: bool = isinstance(transport, httpx.AsyncHTTPTransport)
        """Whether it is known to trace what it does."""
        self.closed: bool = False
        """Whether nothing may be sent by it any more."""


class Exchange:
    """A request on its way."""

    __slots__ = (
        "_account",
        "_began",
        "_call",
        "_departed",
        "_hopeless",
        "_inner",
        "_request",
        "_traced",
        "_user_trace",
        "_watched",
    )

    def __init__(
        self,
        inner: InnerTransport,
        account: Account,
        call: Call,
        request: httpx.Request,
        *,
        hopeless: Callable[[], bool],
    ) -> None:
        """Prepare to send a request.

        Args:
            inner: what sends it.
            account: whose it is.
            call: the call that has its turn.
            request: what is sent.
            hopeless: asked at the last moment whether its refusal is known by now.
        """
        self._inner = inner
        self._account = account
        self._call = call
        self._request = request
        self._hopeless = hopeless
        self._user_trace: Trace | None = request.extensions.get("trace")
        self._watched: dict[str, Any] = {}
        self._departed = False
        self._began = 0.0
        self._traced = False

    async def send(self) -> httpx.Response:
        """Send the request; return as soon as the head of the answer is there."""
        self._began = asyncio.get_running_loop().time()
        if not self._inner.traces:
            await self._account.depart(self._call, self._hopeless)
        extensions = self._request.extensions
        self._request.extensions = self._watched = {**extensions, "trace": self._trace}
        try:
            return await self._inner.transport.handle_async_request(self._request)
        finally:
            self._request.extensions = extensions
            self._stop_watching()

    async def read(self, response: httpx.Response) -> None:
        """Read the body of an answer, and leave it to be read again, decoded.

        A body that can't be decoded is left as it came, with its Content-Encoding. What is left of the
        body of a refusal doesn't matter: its status says enough.

        Raises:
            httpx.TransportError: the body broke off.
        """
        stream = response.stream
        refused = response.status_code >= http.HTTPStatus.BAD_REQUEST
        if not isinstance(stream, httpx.AsyncByteStream):
            response.stream = httpx.ByteStream(b"".join(stream))
        elif not isinstance(stream, httpx.ByteStream):
            response.stream = httpx.ByteStream(await _body(stream, may_break_off=refused))
        if "content-encoding" in response.headers:
            self._decode(response, refused=refused)
        if refused:
            await response.aread()
            response.elapsed = dt.timedelta(seconds=asyncio.get_running_loop().time() - self._began)

    def _decode(self, response: httpx.Response, *, refused: bool) -> None:
        """Decode a body that has been read."""
        body = b"".join(cast(httpx.ByteStream, response.stream))
        if not body and (self._request.method == "HEAD" or response.status_code in _BODILESS):
            return
        if refused:
            decoded = decode_what_is_there(response.headers, body)
        else:
            try:
                decoded = decode(response.headers, body)
            except httpx.DecodingError:
                return
        del response.headers["content-encoding"]
        if "content-length" in response.headers:
            response.headers["content-length"] = str(len(decoded))
        response.stream = httpx.ByteStream(decoded)

    def may_have_left(self, error: httpx.RequestError) -> bool:
        """Say whether the first byte of the request may have left before it failed."""
        if isinstance(error, httpx.LocalProtocolError):
            return False  # httpx would not send it
        if self._traced:
            return self._departed
        return not isinstance(error, _NEVER_LEFT)

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        """Let the request leave when it is about to; nothing that comes later matters here."""
        self._traced = self._inner.traces = True
        if name in _DEPARTURES and not _is_tunnel(info):
            # Where several share a connection, one that waited here would let another take its stream.
            alone = name.startswith("http11.")
            await self._account.depart(self._call, self._hopeless, may_wait=alone)
            self._departed = True
            self._stop_watching()
        if self._user_trace is not None:
            await self._user_trace(name, info)

    def _stop_watching(self) -> None:
        """Leave the trace to the caller's own, if any: nothing refers to this exchange any more."""
        if self._user_trace is None:
            self._watched.pop("trace", None)
        else:
            self._watched["trace"] = self._user_trace


async def _body(stream: httpx.AsyncByteStream, *, may_break_off: bool) -> bytes:
    """Read a body, at least as far as it comes if it may break off."""
    chunks: list[bytes] = []
    try:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - what has come counts, even if the rest does not
    except httpx.TransportError:
        if not may_break_off:
            raise
    finally:
        await stream.aclose()
    return b"".join(chunks)


def _is_tunnel(info: dict[str, Any]) -> bool:
    """Say whether an event is about the CONNECT by which a proxy is asked for a tunnel."""
    return getattr(info.get("request"), "method", b"") == b"CONNECT"


class HeldStream(httpx.AsyncByteStream):
    """The body of a streamed answer; its call's slot is free once it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, account: Account, call: Call) -> None:
        self._stream = stream
        self._account = account
        self._call = call
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except httpx.TransportError as error:
            self._account.lost(self._call, type(error).__name__, sent=True)
            raise

    async def aclose(self) -> None:
        """Close the answer, and free the slot."""
        try:
            await self._stream.aclose()
        finally:
            if self._open:
                self._open = False
                self._account.release(self._call)


def as_failure(error: httpx.RequestError, request: httpx.Request, call: Call, *, sent: bool) -> RequestFailed:
    """Return the typed error for a network error, with that as its cause."""
    kind = RequestTimeout if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    failure = kind(
        words, method=request.method, path=shown_path(request), maybe_applied=sent and not call.facts.reads
    )
    # The request holds the credential, and what is secret in its URL and its body.
    error.request = httpx.Request(request.method, request.url.copy_with(raw_path=failure.path.encode()))
    failure.__cause__ = error
    return failure
