"""The bodies of answers: read as far as they come, decoded, and without the credentials that they repeat."""

import datetime as dt
from typing import Final, cast

from toggl_async.scheduler.content_coding import decode, decode_what_is_there
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.masking import masked, secrets_in, without_credentials
from toggl_async.scheduler.core.outcome import FIRST_REFUSAL
from toggl_async.scheduler.transport import httpx, running_loop

__all__ = ["SECRETS", "LostRequest", "close", "read_answer", "secrets_of"]

SECRETS: Final = "toggl_async.secrets"
"""The key of `httpx.Request.extensions` under which a request says what is secret in its body."""

_BODILESS: Final = frozenset({204, 205, 304})
"""Answers that have no body, whatever their headers say of it."""


class LostRequest(Exception):
    """No answer came, or a part of one.

    Attributes:
        error: what the inner transport raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


async def read_answer(response: httpx.Response, request: httpx.Request, *, began: int) -> httpx.Response:
    """Read the body of an answer, and leave it to be read again, decoded.

    A body that can't be decoded is left as it came, with its Content-Encoding. If the body of a refusal
    breaks off, what has come of it will do: its status says enough.

    Args:
        response: the answer.
        request: what it answers.
        began: the loop's time at which the request was handed over, in microseconds.

    Returns:
        The answer; in place of a refusal, a copy without the credentials that errors, events and budgets
        would repeat.

    Raises:
        LostRequest: the body broke off.
    """
    stream = response.stream
    refused = response.status_code >= FIRST_REFUSAL
    if not isinstance(stream, httpx.ByteStream):
        response.stream = httpx.ByteStream(await _body(stream, may_break_off=refused))
    if "content-encoding" in response.headers:
        _decode(response, request, refused=refused)
    if not refused:
        return response
    refusal = _masked(response, request)
    await refusal.aread()
    now = round(running_loop().time() * SECOND)
    refusal.elapsed = dt.timedelta(microseconds=now - began)
    return refusal


def _decode(response: httpx.Response, request: httpx.Request, *, refused: bool) -> None:
    """Decode a body that has been read."""
    body = b"".join(cast(httpx.ByteStream, response.stream))
    if not body and (request.method == "HEAD" or response.status_code in _BODILESS):
        return
    if refused:
        decoded = decode_what_is_there(response.headers, body)
    else:
        try:
            decoded = decode(response.headers, body)
        except httpx.DecodingError:
            return
        except httpx.RemoteProtocolError as error:
            raise LostRequest(error) from error
    del response.headers["content-encoding"]
    if "content-length" in response.headers:
        response.headers["content-length"] = str(len(decoded))
    response.stream = httpx.ByteStream(decoded)


def secrets_of(request: httpx.Request) -> frozenset[str]:
    """Return what is secret in a request: what proves who asks, and what it says is."""
    declared: frozenset[str] = request.extensions.get(SECRETS, frozenset())
    return declared | secrets_in(request.headers)


def _masked(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    """Copy a refusal whose body has been read, with the credentials in it blanked."""
    secrets = secrets_of(request)
    headers = httpx.Headers(without_credentials(response.headers.raw, secrets))
    body = b"".join(cast(httpx.ByteStream, response.stream))
    shown = masked(body, secrets)
    if shown != body and "content-length" in headers:
        headers["content-length"] = str(len(shown))
    return httpx.Response(
        response.status_code,
        headers=headers,
        stream=httpx.ByteStream(shown),
        extensions=response.extensions,
    )


async def _body(stream: httpx.AsyncByteStream | httpx.SyncByteStream, *, may_break_off: bool) -> bytes:
    """Read a body; if it may break off, as far as it comes.

    Raises:
        LostRequest: it broke off.
    """
    chunks: list[bytes] = []
    try:
        if isinstance(stream, httpx.AsyncByteStream):
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401 - what has come counts, even if the rest does not
        else:
            chunks.extend(stream)
    except Exception as error:
        if not may_break_off:
            raise LostRequest(error) from error
    finally:
        await close(stream)
    return b"".join(chunks)


async def close(stream: httpx.AsyncByteStream | httpx.SyncByteStream) -> None:
    """Close a body that has been read or isn't wanted; nothing depends on whether that works."""
    try:
        if isinstance(stream, httpx.AsyncByteStream):
            await stream.aclose()
        else:
            stream.close()
    except Exception:  # noqa: BLE001, S110 - `contextlib.suppress` costs a call for each answer
        pass
