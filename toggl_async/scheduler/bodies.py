"""The bodies of answers: read as far as they come, decoded, and without the credentials that they repeat."""

import datetime as dt
from typing import Final, cast

from toggl_async.scheduler.content_coding import decode, decode_what_is_there
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.masking import masked, secrets_in, without_credentials
from toggl_async.scheduler.core.outcome import FIRST_REFUSAL
from toggl_async.scheduler.transport import httpx, running_loop

__all__ = ["SECRETS", "LostRequest", "close", "read_answer"]

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


async def read_answer(response: httpx.Response, request: httpx.Request, *, began: int) -> None:
    """Read the body of an answer, and leave it to be read again, decoded.

    A body that can't be decoded is left as it came, with its Content-Encoding. What is left of the
    body of a refusal doesn't matter: its status says enough.

    Args:
        response: the answer.
        request: what it answers.
        began: the loop's time at which the request was handed over, in microseconds.

    Raises:
        LostRequest: the body broke off.
    """
    stream = response.stream
    refused = response.status_code >= FIRST_REFUSAL
    if not isinstance(stream, httpx.ByteStream):
        response.stream = httpx.ByteStream(await _body(stream, may_break_off=refused))
    if "content-encoding" in response.headers:
        _decode(response, request, refused=refused)
    if refused:
        _mask(response, request)
        await response.aread()
        now = round(running_loop().time() * SECOND)
        response.elapsed = dt.timedelta(microseconds=now - began)


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


def _mask(response: httpx.Response, request: httpx.Request) -> None:
    """Blank the credentials in a refusal, which errors, events and budgets repeat."""
    declared: frozenset[str] = request.extensions.get(SECRETS, frozenset())
    secrets = declared | secrets_in(request.headers)
    response.headers = httpx.Headers(without_credentials(response.headers.raw, secrets))
    body = b"".join(cast(httpx.ByteStream, response.stream))
    shown = masked(body, secrets)
    if shown != body:
        if "content-length" in response.headers:
            response.headers["content-length"] = str(len(shown))
        response.stream = httpx.ByteStream(shown)
        # A response that was made of its whole body, as those of fakes are, has it in memory, too.
        if "_content" in vars(response):
            vars(response)["_content"] = shown


async def _body(stream: httpx.AsyncByteStream | httpx.SyncByteStream, *, may_break_off: bool) -> bytes:
    """Read a body, at least as far as it comes if it may break off.

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
    """Close a body that has been read, or won't be; what goes wrong then changes nothing."""
    try:
        if isinstance(stream, httpx.AsyncByteStream):
            await stream.aclose()
        else:
            stream.close()
    except Exception:  # noqa: BLE001, S110 - `contextlib.suppress` costs a call for each answer
        pass
