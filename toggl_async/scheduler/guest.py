"""httpx2 as a guest: its transports under our scheduler, and our scheduler under its clients.

httpx2 has its own copies of httpx's classes, so messages are converted from one to the other. Streamed bodies
stay streamed, and errors are converted to those of the library that waits for them. If a program replaces
httpx with httpx2 altogether (`httpx2.alias_httpx`), the classes are the same, and nothing here is used.

Imported only by `transport`, if a program has imported httpx2.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from types import ModuleType
from typing import Self, cast

import httpx
import httpx2

__all__ = ["GuestTransport", "serve_guest"]


class GuestTransport(httpx.AsyncBaseTransport):
    """A transport of httpx2's that sends requests of httpx's.

    Args:
        transport: the transport.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.transport: httpx2.AsyncBaseTransport = transport
        self.is_own: bool = isinstance(transport, httpx2.AsyncHTTPTransport)
        """Whether it is httpx2's own, whose traces and errors are those of httpx's."""
        self.is_connectionless: bool = isinstance(transport, httpx2.MockTransport | httpx2.ASGITransport)
        """Whether there are no connections that would belong to one event loop."""

    async def __aenter__(self) -> Self:
        await self.transport.__aenter__()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and raise httpx's errors where httpx2's are raised."""
        url = request.url
        sent = httpx2.Request(
            request.method,
            httpx2.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.raw_path),
            headers=request.headers.raw,
            stream=_to_httpx2(request.stream),
        )
        # The same dict: a trace that is taken out of it while the request is under way has to be gone.
        sent.extensions = request.extensions
        with _errors_of(httpx):
            answer: object = await self.transport.handle_async_request(sent)
        if not isinstance(answer, httpx2.Response):
            return cast(httpx.Response, answer)  # the caller says what it is
        return httpx.Response(
            answer.status_code,
            headers=answer.headers.raw,
            stream=_to_httpx(answer.stream),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close the transport."""
        await self.transport.aclose()


async def serve_guest(
    request: httpx2.Request, send: Callable[[httpx.Request], Awaitable[httpx.Response]]
) -> httpx2.Response:
    """Send a request of httpx2's by what sends those of httpx's."""
    url = request.url
    sent = httpx.Request(
        request.method,
        httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.raw_path),
        headers=request.headers.raw,
        stream=_to_httpx(request.stream),
        extensions=request.extensions,
    )
    answer = await send(sent)
    return httpx2.Response(
        answer.status_code,
        headers=answer.headers.raw,
        stream=_to_httpx2(answer.stream),
        extensions=answer.extensions,
    )


class _Pieces:
    """A body that comes in pieces.

    Args:
        source: the body.
    """

    _reader: ModuleType
    """The library whose errors its reader knows."""

    def __init__(self, source: httpx.AsyncByteStream | httpx2.AsyncByteStream) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of(self._reader):
            async for piece in self._source:
                yield piece

    async def aclose(self) -> None:
        """Close the body."""
        with _errors_of(self._reader):
            await self._source.aclose()


class _HttpxBody(_Pieces, httpx.AsyncByteStream):
    _reader = httpx


class _Httpx2Body(_Pieces, httpx2.AsyncByteStream):
    _reader = httpx2


def _to_httpx(stream: httpx2.AsyncByteStream | httpx2.SyncByteStream) -> httpx.AsyncByteStream:
    """Make a body of httpx2's one of httpx's; one that can be sent again still can."""
    if isinstance(stream, httpx2.AsyncByteStream) and not isinstance(stream, httpx2.ByteStream):
        return _HttpxBody(stream)
    return httpx.ByteStream(b"".join(cast(Iterable[bytes], stream)))


def _to_httpx2(stream: httpx.AsyncByteStream | httpx.SyncByteStream) -> httpx2.AsyncByteStream:
    """Make a body of httpx's one of httpx2's."""
    if isinstance(stream, httpx.ByteStream):
        return httpx2.ByteStream(b"".join(stream))
    assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - what is sent here always is
    return _Httpx2Body(stream)


@contextlib.contextmanager
def _errors_of(reader: ModuleType) -> Iterator[None]:
    """Raise errors of the other library as the reader's errors of the same name."""
    try:
        yield
    except (httpx.RequestError, httpx2.RequestError) as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        known: type[Exception] = next(getattr(reader, name) for name in names if hasattr(reader, name))
        if isinstance(error, known):
            raise
        error._request = None  # noqa: SLF001 - it holds the credentials
        raise known(str(error)) from error
