"""Bodies before they are decoded: text that isn't valid UTF-8, and what came instead of JSON.

This runs only if an answer could not be decoded as it came, or isn't decoded at all.
"""

import html
import http
import json
import re
from collections.abc import Callable
from typing import Final

import msgspec

from toggl_async.codec.apart import ESCAPES

__all__ = ["impostor", "mended"]

_REPLACED: Final = rb"\ufffd"
"""The escape of the replacement character."""

_MARKUP: Final = re.compile(rb"<(?:!doctype\s+html|html|head|body|title)\b", re.IGNORECASE)
_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_GLANCE: Final = 65_536
"""Bytes that are searched for a title, and that an object which tells of an error has at most."""

_REFUSALS: Final = frozenset(
    one.phrase.lower().encode() for one in http.HTTPStatus if one >= http.HTTPStatus.BAD_REQUEST
)
"""Texts that are the names of statuses, such as ``Forbidden``."""

_ERROR: Final = ("error", "error_message", "errors")
_AROUND_ERRORS: Final = frozenset(
    {
        *_ERROR,
        "code",
        "error_description",
        "message",
        "request_id",
        "status",
        "status_code",
        "success",
        "tip",
        "trace_id",
    }
)
"""What an object contains that reports an error, and no other object."""

_STATUS: Final = ("status", "status_code", "code")
_FAILURE: Final = re.compile(rb"[45]\d\d")
"""A status in an answer that contradicts that of the answer."""

_CONTRADICTED: Final = "got an error, although the status says success: "

_SHOWN: Final = 120
"""Characters of a title or an error that are shown."""


def mended(body: bytes) -> bytes | None:
    """Return the UTF-8 without byte order mark that a body should have been; None where it is that.

    Bytes and halves of surrogate pairs that stand for no character become U+FFFD.
    """
    text = body.decode(json.detect_encoding(body), errors="replace").encode()
    text = ESCAPES.sub(lambda found: _REPLACED if found["lone"] else found[0], text)
    return None if text == body else text


def impostor(body: bytes, server: str = "", *, mask: Callable[[bytes], bytes] = bytes) -> str | None:
    """Say what came, where it is an answer of another kind: HTML, or an error as an object or by its name.

    Proxies, login pages and maintenance pages answer with status 200, too.

    Args:
        body: the answer.
        server: whose answer it is, if that is to be told.
        mask: blanks credentials in what is quoted of the answer.
    """
    start = mask(body[:_GLANCE]).lstrip(b"\xef\xbb\xbf \t\r\n")
    if _MARKUP.match(start):
        title = _TITLE.search(start)
        came = f"got HTML from {server}" if server else "got HTML"
        return f"{came}, titled {_shown(title[1], mask)}" if title else f"{came} without a title"
    if start.rstrip().strip(b'"').lower() in _REFUSALS:
        return f"{_CONTRADICTED}{_shown(start, mask)}"
    if not start.startswith(b"{") or len(body) > _GLANCE:
        return None
    try:
        told = msgspec.json.decode(start, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    words = [
        told[name] for name in _ERROR if bytes(told.get(name, b"null")) not in {b"null", b"false", b'""'}
    ]
    failed = bytes(told.get("success", b"")) == b"false"
    if not words and (failed or any(_FAILURE.fullmatch(bytes(told.get(name, b""))) for name in _STATUS)):
        words = [told.get("message", msgspec.Raw(start.strip()))]
    if not words or told.keys() - _AROUND_ERRORS:
        return None
    return f"{_CONTRADICTED}{_shown(bytes(words[0]), mask)}"


def _shown(words: bytes, mask: Callable[[bytes], bytes]) -> str:
    """Show words of a server: in one line, short, and without what a terminal would obey."""
    text = " ".join(html.unescape(words.decode(errors="replace")).strip('"').split())
    # What is left out may have stood between the characters of a secret, and entities may be escaped twice.
    printable = "".join(character for character in text if character.isprintable())
    printable = mask(printable.encode()).decode(errors="replace")
    return f'"{printable[:_SHOWN]}{"…" if len(printable) > _SHOWN else ""}"'
