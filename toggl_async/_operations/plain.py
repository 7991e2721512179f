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

from toggl_async.errors import InvalidInput

__all__ = ["by_wire_name", "plain", "rfc3339"]


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
        case None | bool() | str() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{path}: JSON cannot represent {value}")
            return value
        case dt.datetime():
            return rfc3339(value, path)
        case dt.date():
            return value.isoformat()
        case Mapping():
            return {_key(key, path): plain(item, f"{path}.{key}") for key, item in value.items()}
        case bytes() | bytearray():
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
    offset = moment.utcoffset()
    if offset is None:
        raise InvalidInput(f"{name}: the datetime {moment} needs a time zone")
    if offset % dt.timedelta(minutes=1):
        # Local mean times have offsets with seconds, for which RFC 3339 has no room.
        try:
            moment = moment.astimezone(dt.UTC)
        except OverflowError:
            raise InvalidInput(f"{name}: the datetime {moment} cannot be sent") from None
    return moment.isoformat().replace("+00:00", "Z")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{path}: keys must be str in JSON, not {key!r}")
    return key
