"""Checks of an answer before its rows are read: is it JSON, is it a list, can it be stored? Pure."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import msgspec

from toggl_async._operations.paging.reading import Misshapen, is_no_row, kind_of, listed
from toggl_async.codec.apart import apart, faithful
from toggl_async.codec.codec import EMPTY
from toggl_async.codec.legible import impostor
from toggl_async.errors import DecodeError

__all__ = ["json_of", "reading", "row_of", "rows_among", "rows_of", "text_of"]

_DEEPEST = 200
"""Levels of nesting that a row may have. Decoders give up somewhere between five hundred and a thousand,
depending on how deep the caller's own stack is."""


def text_of(body: bytes) -> bytes:
    """An answer as UTF-8 without a byte order mark and space around it, nothing of it replaced.

    Raises:
        UnicodeDecodeError: some of it stands for no character.
    """
    return faithful(body).strip()


def json_of(body: bytes) -> bytes:
    """An answer as JSON that can be read, nothing of it replaced; no body means null, as to the client.

    Raises:
        UnicodeDecodeError: some of it stands for no character.
    """
    return text_of(body) or b"null"


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a list that comes as a whole; null means none, and so does no body.

    Raises:
        Misshapen: it isn't a list, or a row isn't an object or can't be held.
        msgspec.DecodeError: it is not JSON.
    """
    return list(map(row_of, listed(apart(json_of(body)))))


def rows_among(body: bytes) -> tuple[list[bytes], int]:
    """The rows of a list that comes as a whole, and how many elements that aren't objects are left out.

    Raises:
        Misshapen: it isn't a list, no element of it is an object, or a row can't be held.
        msgspec.DecodeError: it is not JSON.
    """
    elements = apart(json_of(body))
    if not isinstance(elements, list):
        return rows_of(body), 0
    objects = [element for element in elements if not is_no_row(element)]
    if not objects:
        return rows_of(body), 0
    return list(map(row_of, objects)), len(elements) - len(objects)


def row_of(piece: object) -> bytes:
    """A row, once it is certain that it can be held.

    Raises:
        Misshapen: it isn't an object, but may stand for one, or it is nested too deeply.
    """
    row = bytes(cast("msgspec.Raw", piece))
    if row[:1] != b"{":
        raise Misshapen(f"expected a row, got {kind_of(piece)}")
    if row.count(b"[") + row.count(b"{") > _DEEPEST and _depth(row) > _DEEPEST:
        raise Misshapen(f"got a row nested more than {_DEEPEST} levels deep")
    return row


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
    except RecursionError:
        raise DecodeError("nested too deeply", operation=operation, field="$", body=body) from None
    except (Misshapen, msgspec.DecodeError, ValueError) as error:
        message, _, field = str(error).partition(" - at `")
        message = impostor(body) or (message if body.strip() else f"got {EMPTY}")
        raise DecodeError(message, operation=operation, field=field.rstrip("`") or "$", body=body) from None
