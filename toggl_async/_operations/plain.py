"""Records to builtin types that JSON has, with Toggl's own names: how they leave the library.

Bodies of requests go another way, through the codec, which refuses what Toggl can't take. Imported by
`record` and, for the times, by the codec; it imports only `errors` from the package.
"""

import datetime as dt
import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
from msgspec import UNSET

from toggl_async.errors import InvalidInput, shown

__all__ = ["builtin", "by_wire_name", "plain", "rfc3339"]


def builtin(value: str | float) -> str | int | float:
    """Turn a value of a subclass, such as numpy's and bson's, into the plain str, int or float.

    The methods are those of the base class: a subclass may override them to say something else, and so do
    members of an enumeration.
    """
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def plain(value: object, path: str) -> Any:
    """Turn a value into builtins that JSON has, all the way down.

    Args:
        value: a record, or a value in one.
        path: what errors call it.

    Raises:
        InvalidInput: JSON has no room for it; the message names its field.
    """
    match value:
        case enum.Enum():
            return plain(value.value, path)
        case None | bool():
            return value
        case str() | int():
            return builtin(value)
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{path}: JSON cannot represent {value}")
            return builtin(value)
        case dt.datetime():
            return rfc3339(value, path)
        case dt.date():
            return dt.date.isoformat(value)
        case Mapping():
            return {_key(key, path): plain(item, f"{path}.{key}") for key, item in value.items()}
        case bytes() | bytearray() | memoryview():
            pass
        case Sequence() | AbstractSet():
            return [plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
        case _ if attrs.has(type(value)):
            return {name: plain(item, f"{path}.{name}") for name, item in by_wire_name(value)}
    raise InvalidInput(f"{path}: JSON cannot represent a value of type {type(value).__name__}")


def by_wire_name(record: Any) -> Iterator[tuple[str, object]]:
    """Give the fields of a record by their names in JSON, and after them those that it doesn't know.

    What is UNSET is left out. A known field whose value could not be read comes twice: the second
    time as it was sent.
    """
    for field in attrs.fields(type(record)):
        if (value := getattr(record, field.name)) is not UNSET:
            yield record.wire_names.get(field.name, field.name), value
    yield from record.unknown.items()


def rfc3339(moment: dt.datetime, name: str) -> str:
    """Write a time with its offset; whole seconds without fraction.

    Raises:
        InvalidInput: the datetime is naive, or beyond the years that there are.
    """
    # By the methods of the base class: pandas' datetimes, for one, write nanoseconds.
    offset = dt.datetime.utcoffset(moment)
    if offset is None:
        raise InvalidInput(f"{name}: the datetime {moment} needs a time zone")
    if offset % dt.timedelta(minutes=1):
        # Local mean times have offsets with seconds, for which RFC 3339 has no room.
        try:
            moment = dt.datetime.astimezone(moment, dt.UTC)
        except OverflowError:
            raise InvalidInput(f"{name}: the datetime {moment} cannot be sent") from None
    return dt.datetime.isoformat(moment).replace("+00:00", "Z")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{path}: keys must be str in JSON, not {shown(key)}")
    return str.__str__(key)
