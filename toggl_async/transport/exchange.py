"""One request sent once: when it really left, and what was read of the answer.

The moment of sending is learned from httpcore's `trace` extension: ``send_request_headers.started``
comes when a connection stands and the first byte is about to leave. The request waits right there
if the spacing asks for it. A trace that the caller set is called as well. A transport that does not
trace is taken to send when it is handed the request.

The same trace can prove that a request never left: there was some event, but not that one.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx

from toggl_async.errors import ConnectionFailed, RequestFailed, RequestTimeout
from toggl_async.transport.account import Account
from toggl_async.transport.queue import Call
from toggl_async.transport.route import shown_path

__all__ = ["Exchange", "HeldStream", "as_failure"]

_DEPARTURES: Final = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})

_NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]


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
        "_traces",
        "_user_trace",
        "traced",
    )

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        account: Account,
        call: Call,
        request: httpx.Request,
        *,
        traces: bool,
        hopeless: Callable[[], bool],
    ) -> None:
        """Prepare to send a request.

        Args:
            inner: what sends it.
            account: whose it is.
            call: the call that has its turn.
            request: what is sent.
            traces: whether `inner` is known to trace.
            hopeless: asked at the last moment whether its refusal is known by now.
        """
        self._inner = inner
        self._account = account
        self._call = call
        self._request = request
        self._traces = traces
        self._hopeless = hopeless
        self._user_trace: Trace | None = request.extensions.get("trace")
        self._departed = False
        self._began = 0.0
        self.traced: bool = False
        """Whether the inner transport has traced anything."""

    async def send(self) -> httpx.Response:
        """Send the request; return as soon as the head of the answer is there."""
        self._began = asyncio.get_running_loop().time()
        if not self._traces:
            await self._account.depart(self._call, self._hopeless)
        extensions = self._request.extensions
        self._request.extensions = {**extensions, "trace": self._trace}
        try:
            return await self._inner.handle_async_request(self._request)
        finally:
            self._request.extensions = extensions

    async def read(self, response: httpx.Response) -> None:
        """Read the body of an answer, and leave it to be read again.

        What is left of the body of a refusal does not matter: its status says enough.
        """
        if not isinstance(response.stream, httpx.ByteStream):
            response.stream = httpx.ByteStream(await self._body(response))
        if response.is_error:
            try:
                await response.aread()
            except httpx.DecodingError:
                response.headers.pop("content-encoding", None)
                response.stream, response.is_stream_consumed = httpx.ByteStream(b""), False
                await response.aread()
            elapsed = asyncio.get_running_loop().time() - self._began
            response.elapsed = dt.timedelta(seconds=elapsed)

    def may_have_left(self, error: httpx.RequestError) -> bool:
        """Say whether the first byte of the request may have left before it failed."""
        if self.traced:
            return self._departed
        return not isinstance(error, _NEVER_LEFT)

    async def _body(self, response: httpx.Response) -> bytes:
        stream = response.stream
        chunks: list[bytes] = []
        if not isinstance(stream, httpx.AsyncByteStream):
            return b"".join(stream)
        try:
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401 - what has come counts, even if the rest does not
        except httpx.TransportError:
            if not response.is_error:
                raise
        finally:
            await stream.aclose()
        return b"".join(chunks)

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        self.traced = True
        if name in _DEPARTURES and not _is_tunnel(info):
            await self._account.depart(self._call, self._hopeless)
            self._departed = True
        if self._user_trace is not None:
            await self._user_trace(name, info)


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
        async for chunk in self._stream:
            yield chunk

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
    failure.__cause__ = error
    return failure
