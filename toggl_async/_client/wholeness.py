"""Which successes bring all of what was asked for.

A part, a difference or a promise looks like the whole once its status is forgotten: the first rows of a list
are a list. So each status that says so is an error, on every path that answers take.
"""

import http
from typing import Final

from toggl_async.errors import DecodeError
from toggl_async.scheduler.transport import httpx

__all__ = ["check_file", "check_whole"]

_PARTS: Final = frozenset({206, 226})
"""Partial Content, and IM Used: nobody asked for a range, or for what has changed."""

_PROMISES: Final = frozenset({202, 205})
"""Accepted, and Reset Content: there may be something, but not in this answer."""

_NOTHING: Final = 204


def check_whole(response: httpx.Response, *, operation: str, reads: bool, body: bytes = b"") -> None:
    """Refuse an answer that says that it isn't all of it.

    Args:
        response: the answer; a refusal passes.
        operation: whose answer it is.
        reads: whether something was asked for, so that an answer without it is none.
        body: its body, as far as it is known.

    Raises:
        DecodeError: it is a part, or comes before there is anything.
    """
    status = response.status_code
    if status in _PARTS:
        found = response.headers.get("content-range", "without a Content-Range")
        raise _other(
            response, f"only a part of the answer, though all of it was asked for: {found}", operation, body
        )
    if reads and status in _PROMISES:
        raise _other(response, "no answer yet", operation, body)


def check_file(response: httpx.Response, *, operation: str) -> None:
    """Refuse an answer that says that there is no file in it.

    Raises:
        DecodeError: it does; an empty file comes with another status.
    """
    if response.status_code == _NOTHING:
        raise _other(response, "no file", operation, b"")


def _other(response: httpx.Response, what: str, operation: str, body: bytes) -> DecodeError:
    status = http.HTTPStatus(response.status_code)
    return DecodeError(f"got {what} ({status} {status.phrase})", operation=operation, field="$", body=body)
