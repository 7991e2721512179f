"""What is done to an answer before its rows are looked at: is it JSON, is it a list, can it be held. Pure."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from toggl_async.errors import DecodeError, TogglError

__all__ = ["json_of", "reading", "rows_of"]

_DEEPEST = 200
"""Levels of nesting that a row may have. Decoders give up somewhere between five hundred and a thousand,
depending on how deep the caller's own stack is."""

_rows = msgspec.json.Decoder(list[msgspec.Raw] | None)

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
"""An escape of JSON: a pair of surrogates, one that is alone, or any other."""

_ALONE = 6
"""Characters to the escape of a surrogate that is alone; a pair has twice as many."""


def json_of(body: bytes) -> bytes:
    """An answer as JSON that can be read: no body means null, as it does to the client.

    Half of a surrogate pair is no character, and no file can hold it: its escape becomes text, so that
    it can be read what came.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    if not body or body.isspace():
        return b"null"
    if not body.isascii():
        body.decode()
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(_spelled_out, body)


def _spelled_out(escape: re.Match[bytes]) -> bytes:
    found = escape.group()
    return b"\\" + found if len(found) == _ALONE else found


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a list that comes as a whole; null means none, and so does no body.

    Raises:
        msgspec.ValidationError: it is no list, or a row is nested too deeply.
    """
    rows = [bytes(row) for row in _rows.decode(json_of(body)) or []]
    for row in rows:
        if row.count(b"[") + row.count(b"{") > _DEEPEST and _depth(row) > _DEEPEST:
            raise msgspec.ValidationError(f"Expected a row, got one of more than {_DEEPEST} levels")
    return rows


_TOKEN = re.compile(rb'"(?:\\.|[^"\\])*"|[\[{]|[\]}]', re.DOTALL)


def _depth(row: bytes) -> int:
    """How many levels of lists and objects a row has."""
    level = deepest = 0
    for token in _TOKEN.finditer(row):
        level += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token.group(), 0)
        deepest = max(deepest, level)
    return deepest


@contextmanager
def reading(operation: str, body: bytes) -> Iterator[None]:
    """Say of an answer that is not what it should be which one it was, and which field is at fault.

    Raises:
        DecodeError: in place of the decoder's own error.
    """
    try:
        yield
    except TogglError:
        raise
    except RecursionError:
        raise DecodeError("nested too deeply", operation=operation, field="$", body=body) from None
    except (msgspec.DecodeError, ValueError) as error:
        message, _, field = str(error).partition(" - at `")
        raise DecodeError(message, operation=operation, field=field.rstrip("`") or "$", body=body) from None
