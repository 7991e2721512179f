"""Files: the pieces of a streamed answer, and whether what came is a file at all."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final

import msgspec

from toggl_async._client.wire import raw_chunks, undecodable
from toggl_async._operations.operation import Operation
from toggl_async.codec import Codec
from toggl_async.errors import DecodeError, RequestFailed
from toggl_async.scheduler.adapter import shown_path
from toggl_async.scheduler.content_coding import decoder_for
from toggl_async.scheduler.core.masking import masked_text
from toggl_async.scheduler.transport import httpx
from toggl_async.scheduler.transport.failures import failure_type, told

__all__ = ["after", "believe", "pieces_of"]

_SHOWN: Final = 200
"""Characters that are shown of a text that came instead of a file."""


async def pieces_of(
    codec: Codec,
    operation: Operation[object],
    request: httpx.Request,
    response: httpx.Response,
    opened: AsyncExitStack,
) -> AsyncGenerator[bytes, None]:
    """Return the pieces of a streamed file, decoded and believed; `opened` closes them."""
    pieces = await opened.enter_async_context(aclosing(_chunks(operation, request, response)))
    return await opened.enter_async_context(aclosing(_believed(codec, operation, response, pieces)))


def believe(codec: Codec, operation: Operation[object], response: httpx.Response, piece: bytes) -> None:
    """Refuse what can't be a file.

    Raises:
        DecodeError: text of JSON or HTML came.
    """
    if "json" in response.headers.get("content-type", "").lower() and piece.startswith(b'"'):
        try:
            words = msgspec.json.decode(piece, type=str)
        except msgspec.DecodeError:
            pass
        else:
            shown = masked_text(words, codec.mask)[:_SHOWN]
            raise DecodeError(
                f'expected a file, got text: "{shown}"',
                operation=operation.name,
                field="$",
                body=codec.mask(piece),
            )
    codec.believe(bytes, piece, operation=operation.name)


async def _believed(
    codec: Codec, operation: Operation[object], response: httpx.Response, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """Pass on a file, unless its first piece shows that it isn't one."""
    is_first = True
    async for piece in pieces:
        if is_first:
            believe(codec, operation, response, piece)
        is_first = False
        yield piece


async def after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield a piece that has been read already, and then those that follow."""
    if first:
        yield first
    async for piece in pieces:
        yield piece


async def _chunks(
    operation: Operation[object], request: httpx.Request, response: httpx.Response
) -> AsyncGenerator[bytes, None]:
    """Pass on the body of a streamed answer, decoded."""
    try:
        decoder = decoder_for(response.headers)
        async for chunk in raw_chunks(response):
            decoded = chunk if decoder is None else decoder.feed(chunk)
            if decoded:
                yield decoded
        if decoder is not None:
            decoder.finish()
    except httpx.DecodingError as error:
        raise undecodable(error, operation=operation.name) from error
    except Exception as error:
        raise _broken_off(operation, request, error) from error


def _broken_off(operation: Operation[object], request: httpx.Request, error: Exception) -> RequestFailed:
    """Return the typed error for an answer that was cut off."""
    return failure_type(error)(
        f"the answer was cut off: {told(error, request.extensions.get('timeout'))}",
        method=request.method,
        path=shown_path(request),
        maybe_applied=not operation.reads,
    )
