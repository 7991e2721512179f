"""How a server may write a text that was sent to it: with escapes of JSON, HTML and URLs, in any mixture."""

import functools
import html
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html.entities import html5
from typing import Final

__all__ = ["ESCAPING", "pattern_of"]

ESCAPING: Final = re.compile(rb"[\\&%+]")
"""What every escape begins with: a body without any writes all texts as they are."""

# An escape may be escaped itself, as JSON does with the "&" of an entity. How often is limited, or a body of
# nothing but backslashes would be searched anew from each of them.
_BACKSLASH: Final = rb"\\{1,8}+"
_PERCENT: Final = rb"%(?:25){0,4}"
_AMPERSAND: Final = rb"(?:&|\\{1,8}+u0026|%(?:25){0,4}26)(?:amp;|#0*+38;|#[xX]0*+26;){0,4}"

_SHORT: Final[Mapping[str, bytes]] = {
    '"': b'"', "'": b"'", "/": b"/", "\b": b"b", "\f": b"f", "\n": b"n", "\r": b"r", "\t": b"t",
}  # fmt: skip
"""Characters that have an escape of one letter in JSON."""

_BYTE: Final = 0x100


@functools.lru_cache(maxsize=64)
def pattern_of(text: str) -> re.Pattern[bytes]:
    """Return what finds a text in UTF-8, each of its characters as it is or escaped by whatever means."""
    return re.compile(b"".join(_runs(text)))


def _runs(text: str) -> Iterator[bytes]:
    """Yield a pattern for each character, and one for all backslashes in a row.

    Each of these may be written as one or more; one by one, there would be countless ways to share them.
    """
    for run in re.findall(r"\\+|[^\\]", text, re.DOTALL):
        if run[0] == "\\":
            yield rb"(?:%s|%s){%d,%d}" % (b"|".join(_escapes("\\")), _as_bytes("\\"), len(run), 4 * len(run))
        else:
            yield b"(?:%s|%s)" % (b"|".join(_escapes(run)), _as_bytes(run))


def _as_bytes(character: str) -> bytes:
    """Return a pattern for the bytes of a character, each as it is or as URLs write it."""
    found = _in_bytes(character.encode("utf-8", "surrogatepass"))
    # In Latin-1, as old proxies write; only then, because it may be the beginning of the other.
    return (
        b"%s|%s" % (found, _in_bytes(character.encode("latin-1"))) if "\x7f" < character < "\u0100" else found
    )


def _in_bytes(encoded: bytes) -> bytes:
    return b"".join(
        b"(?:%s%s|%s)" % (_PERCENT, _hexadecimal(one), re.escape(bytes([one]))) for one in encoded
    )


def _escapes(character: str) -> Iterator[bytes]:
    """Yield patterns for the ways to escape a character; none is the beginning of one that follows."""
    for name in _names().get(character, ()):
        yield b"%s%s;?" % (_AMPERSAND, name.encode())
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass")
    yield b"".join(
        b"%su%s%s" % (_BACKSLASH, _hexadecimal(high), _hexadecimal(low))
        for high, low in zip(units[::2], units[1::2], strict=True)
    )
    if code < _BYTE:
        yield b"%sx%s" % (_BACKSLASH, _hexadecimal(code))
    if character in _SHORT:
        yield _BACKSLASH + _SHORT[character]
    if character == " ":
        yield rb"\+"
    for number in (code, *_numbers().get(character, ())):
        digits = b"%x" % number
        yield rb"%s#(?:0*+%d|[xX]0*+%s);?" % (_AMPERSAND, number, _in_any_case(digits))


def _hexadecimal(byte: int) -> bytes:
    """Return a pattern for two hexadecimal digits."""
    return _in_any_case(b"%02x" % byte)


def _in_any_case(digits: bytes) -> bytes:
    """Return a pattern for hexadecimal digits in lower and upper case."""
    return b"".join(b"[%s%s]" % (one, one.upper()) if one.isalpha() else one for one in _each(digits))


def _each(digits: bytes) -> Iterator[bytes]:
    return (digits[at : at + 1] for at in range(len(digits)))


@functools.cache
def _names() -> Mapping[str, tuple[str, ...]]:
    """Return characters to the names that HTML has for them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, text in html5.items():
        found[text].add(name.rstrip(";"))
    return {text: tuple(sorted(names, key=len, reverse=True)) for text, names in found.items()}


@functools.cache
def _numbers() -> Mapping[str, tuple[int, ...]]:
    """Return characters to the numbers by which HTML has them too: those of Windows code pages."""
    return {html.unescape(f"&#{number};"): (number,) for number in range(0x80, 0xA0)}
