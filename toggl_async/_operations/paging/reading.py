"""Reads answers and bodies in whichever form they come: records, free-form JSON, or undecoded JSON."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import attrs
import msgspec

from toggl_async._operations.record import free_json

__all__ = [
    "Misshapen",
    "bare",
    "comparable",
    "field",
    "fields",
    "has",
    "has_no_rows",
    "identity",
    "is_no_row",
    "kind_of",
    "listed",
    "outline",
    "parsed",
    "wrapped",
]

_SHOWN: Final = 40
"""Characters of a field's name that are shown."""

_SHOWN_NAMES: Final = 5
"""Names of fields that are shown."""


class Misshapen(Exception):
    """An answer has another shape than pages of its kind have."""


def identity(item: object, name: str | None) -> int | str | None:
    """Read what tells an item apart, out of a record or out of JSON as it came."""
    if name is None:
        return None
    key = field(item, name) if not isinstance(item, msgspec.Raw) else _field_of(item, name)
    return key if isinstance(key, int | str) else None


def _field_of(piece: msgspec.Raw, name: str) -> object:
    """Read one field of a row that is still JSON, and nothing else of it; None where there is none."""
    try:
        return parsed(getattr(_only(name).decode(piece), name))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_BRACE: Final = ord("{")

_view: Final = cast("Callable[[Any], Any]", memoryview)
_first: Final = operator.itemgetter(0)


@functools.cache
def _only(name: str) -> msgspec.json.Decoder[Any]:
    """Make the decoder of an object of which one field counts."""
    form = msgspec.defstruct("Only", [(name, msgspec.Raw, msgspec.Raw(b"null"))])
    return msgspec.json.Decoder(form)


def parsed(value: object) -> object:
    """Read what is still JSON; everything else is as it is."""
    return free_json(value) if isinstance(value, msgspec.Raw) else value


def comparable(item: object) -> object:
    """Make JSON as it came comparable; records are already."""
    return bytes(item) if isinstance(item, msgspec.Raw) else item


def field(holder: object, name: str) -> object:
    """Read a field of a record or of free JSON; None where there is none."""
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def listed(rows: object) -> Sequence[object]:
    """Take a list as it is, unpack one that is still JSON, and take null for an empty one.

    What isn't a row, such as null, stays among the rows, and is counted: it may stand for a row.

    Raises:
        Misshapen: it is something else, which is never the same as an empty list, or has no row at all.
    """
    if isinstance(rows, msgspec.Raw):
        try:
            rows = msgspec.json.decode(rows, type=list[msgspec.Raw] | None)
        except msgspec.ValidationError:
            raise Misshapen(f"expected a list, got {kind_of(rows)}") from None
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise Misshapen(f"expected a list, got {kind_of(rows)}")
    if not has_no_rows(rows):
        return rows
    # Rows that are records already have been held against their type.
    strange = next((row for row in rows if is_no_row(row) and bytes(row) != b"null"), None)
    if strange is not None and all(map(is_no_row, rows)):
        raise Misshapen(f"expected a row, got {kind_of(strange)}")
    return rows


def is_no_row(element: object) -> bool:
    """Whether an element of a list that is still JSON is not an object."""
    return isinstance(element, msgspec.Raw) and memoryview(element)[0] != _BRACE


def has_no_rows(elements: Sequence[object]) -> bool:
    """Whether `is_no_row` holds for any element; for pages of JSON, without a line of Python for each."""
    try:
        return not {_BRACE}.issuperset(map(_first, map(_view, elements)))
    except TypeError:  # records
        return any(map(is_no_row, elements))


def outline(body: bytes) -> list[msgspec.Raw] | dict[str, msgspec.Raw] | None:
    """Take an answer apart into what it consists of, to count that; None where that can't be done."""
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw] | dict[str, msgspec.Raw] | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def wrapped(result: object, *names: str) -> Sequence[object]:
    """Take the objects that wrap a page, one alone or in a list; their lists stay JSON where they were.

    Null stands for none, as it does for a list.

    Args:
        result: the answer.
        names: the field of the list, and others of which one will do.

    Raises:
        Misshapen: one of them isn't an object, or has none of these fields.
    """
    given = [] if result is None else result if isinstance(result, list) else [result]
    held = [_opened(one) for one in given]
    for one in held:
        if not any(has(one, name) for name in names):
            raise Misshapen(f"expected an object with {names[0]!r}, got {kind_of(one)}")
    return held


def bare(result: object, name: str, key: str | None) -> Sequence[object] | None:
    """Take a list of rows that came without the object that should wrap it; None for any other answer.

    Args:
        result: the answer.
        name: the field of the list in what should wrap it.
        key: the field that each row has; None where rows have none in common.
    """
    if not isinstance(result, list):
        return None
    rows = [_opened(one) for one in result]
    return result if all(_is_row(row, name, key) for row in rows) else None


def _is_row(row: object, name: str, key: str | None) -> bool:
    is_object = isinstance(row, Mapping) or attrs.has(type(row))
    return is_object and not has(row, name) and (key is None or has(row, key))


def has(holder: object, name: str) -> bool:
    """Whether a record or free JSON has a field."""
    return name in holder if isinstance(holder, Mapping) else hasattr(holder, name)


def _opened(one: object) -> object:
    """Open an object that is still JSON, down to its fields."""
    if isinstance(one, msgspec.Raw) and bytes(memoryview(one)[:1]) == b"{":
        return msgspec.json.decode(one, type=dict[str, msgspec.Raw])
    return one


def kind_of(value: object) -> str:
    """Name the shape of an answer; its values are the server's."""
    value = parsed(value)
    match value:
        case None:
            return "null"
        case list():
            return "a list"
        case Mapping():
            names = ", ".join(repr(str(name)[:_SHOWN]) for name in list(value)[:_SHOWN_NAMES])
            return f"an object with {names}" if names else "an empty object"
        case _:
            return f"a value of type {type(value).__name__}"


def fields(body: object) -> Mapping[str, object]:
    """Take the body apart into fields; a record by its names on the wire."""
    if body is msgspec.UNSET:
        return {}
    if isinstance(body, Mapping):
        return body
    names: Mapping[str, str] = getattr(body, "wire_names", {})
    fields = attrs.asdict(cast("attrs.AttrsInstance", body), recurse=False)
    return {names.get(name, name): value for name, value in fields.items()}
