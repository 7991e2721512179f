"""Values to the text of paths and queries.

Toggl takes lists separated by commas, booleans as ``true`` and ``false``, and times in RFC 3339.
"""

import datetime as dt
import enum
import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from urllib.parse import quote

import msgspec

from toggl_async._operations.plain import rfc3339
from toggl_async.codec.encoding import has_room
from toggl_async.errors import InvalidInput, shown

__all__ = ["expand_path", "path_value", "query_items", "query_value"]

_NO_SEQUENCE = (str, bytes, bytearray, memoryview)
"""Sequences that nobody means as such."""

_PARAMETER = re.compile(r"\{(\w+)\}")


def expand_path(template: str, values: Mapping[str, object]) -> str:
    """Put values into the ``{names}`` of a path; values that it has no name for are left alone.

    Raises:
        InvalidInput: a value is missing, or cannot be used in a path.
    """

    def expand(match: re.Match[str]) -> str:
        name = match[1]
        return path_value(values.get(name, msgspec.UNSET), name)

    return _PARAMETER.sub(expand, template)


def path_value(value: object, name: str) -> str:
    """Escape a value so that it cannot leave its segment of the path.

    Args:
        value: an id, a text, a date, an aware datetime, or a sequence of them.
        name: what errors call it.

    Raises:
        InvalidInput: the value is empty, missing, ``.`` or ``..``, a truth value, or no such thing.
    """
    if isinstance(value, bool | float):
        raise InvalidInput(f"{name}: {shown(value)} cannot be used in a path")
    text = _text(value, name)
    if text in {"", ".", ".."}:
        # Servers and proxies resolve dot segments, escaped or not: such a call would go elsewhere.
        raise InvalidInput(f"{name}: {shown(text)} cannot be used in a path")
    # Commas come from sequences alone, whose items hold none.
    return _quoted(text, name, safe="" if isinstance(value, str) else ",")


def query_items(query: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Write the parameters of a query as text, not yet escaped; UNSET is left out.

    Raises:
        InvalidInput: a value cannot be used in a query.
    """
    for name in query:
        if not isinstance(name, str):
            raise InvalidInput(f"params: names must be str, not {shown(name)}")
    texts = ((str.__str__(name), query_value(value, name)) for name, value in query.items())
    return tuple((name, text) for name, text in texts if text is not None)


def query_value(value: object, name: str) -> str | None:
    """Write one parameter of a query as text, not yet escaped; None for UNSET, which is left out.

    None is refused: there is no null in a query, and leaving a filter out that was meant to be one
    would answer with everything.

    Raises:
        InvalidInput: the value is None, an empty sequence, a naive datetime, or no scalar.
    """
    return None if value is msgspec.UNSET else _text(value, name)


def _text(value: object, name: str) -> str:
    """Write a scalar, or a sequence of them separated by commas."""
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, _NO_SEQUENCE):
        parts = [_scalar(part, name) for part in value]
        if not parts:
            raise InvalidInput(f"{name}: an empty sequence cannot be sent: leave it out")
        if any("," in part or not part for part in parts):
            raise InvalidInput(f"{name}: items must not be empty or contain a comma")
        return ",".join(parts)
    return _scalar(value, name)


def _scalar(value: object, name: str) -> str:
    """Write a scalar."""
    match value:
        case enum.Enum():
            return _scalar(value.value, name)
        case bool():
            return "true" if value else "false"
        case str():
            return str.__str__(value)
        case int() if has_room(number := int.__int__(value)):
            return str(number)
        case int():
            raise InvalidInput(f"{name}: the number {shown(value)} cannot be sent: more than 64 bits")
        case float() if math.isfinite(fraction := float.__float__(value)):
            return str(int(fraction)) if fraction.is_integer() else repr(fraction)
        case dt.datetime():
            return rfc3339(value, name)
        case dt.date():
            return dt.date.isoformat(value)
    raise InvalidInput(f"{name}: {_named(value)} cannot be sent here")


def _named(value: object) -> str:
    """Name a value that is refused, without showing what might be secret."""
    if value is None or value is msgspec.UNSET or isinstance(value, float):
        return str(value)
    return f"a value of type {type(value).__name__}"


def _quoted(text: str, name: str, *, safe: str) -> str:
    """Escape everything that means something in a URL."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise InvalidInput(f"{name}: the text is not valid Unicode") from None
