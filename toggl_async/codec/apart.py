"""Splits an answer into its rows, which stay the JSON that Toggl sent. Pure.

Walks and exports split their pages here.
"""

import json
import re
from typing import Final, TypeAlias

import msgspec

__all__ = ["ESCAPES", "Apart", "apart", "faithful"]

Apart: TypeAlias = list[msgspec.Raw] | dict[str, msgspec.Raw] | None
"""A page as its rows, or as the fields of what wraps them."""

ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
"""Escapes of JSON, each consumed as a whole, so that an escaped backslash begins no other."""

_apart: Final[msgspec.json.Decoder[Apart]] = msgspec.json.Decoder(Apart)


def apart(body: bytes) -> Apart:
    """Take an answer apart; nothing, and null, is None.

    Raises:
        msgspec.DecodeError: it is not JSON, or neither a list nor an object.
        UnicodeDecodeError: it is not UTF-8; what stays JSON here is not looked at again before a
            stranger reads it.
        RecursionError: it is nested too deeply.
    """
    if not body.isascii():
        body.decode()
    return _apart.decode(body.strip() or b"null")


def faithful(body: bytes) -> bytes:
    """Return an answer as the UTF-8 that it should have been, nothing of it replaced.

    Half of a surrogate pair isn't a character, and no file can hold it: its escape becomes text, so that
    it can be read what came.

    Raises:
        UnicodeDecodeError: some of it stands for no character.
    """
    if not body.isascii() or b"\0" in body:
        body = body.decode(json.detect_encoding(body)).encode()
    # Most pages have no backslash at all, which one byte tells faster than two escapes do.
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return body
    return ESCAPES.sub(lambda found: b"\\" + found[0] if found["lone"] else found[0], body)
