"""Values to JSON: what a body may contain, and what is refused before anything is sent."""

import datetime as dt
import enum
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import attrs
import msgspec

from toggl_async._operations.plain import builtin, rfc3339
from toggl_async.errors import InvalidInput, shown

__all__ = ["encode", "has_room"]

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
"""Toggl's servers read whole numbers into 64 bits."""


def encode(body: object) -> bytes:
    """Write a body as JSON; UNSET is left out at every depth and None is sent as null.

    Args:
        body: records (by their names on the wire), mappings, sequences, text, numbers, truth
            values, aware datetimes, dates, enumerations; UNSET for no body at all.

    Raises:
        InvalidInput: a value cannot be sent; the message names its field.
    """
    if body is msgspec.UNSET:
        return b""
    try:
        return msgspec.json.encode(_plain(body, ""))
    except UnicodeEncodeError:
        raise InvalidInput("the body contains text that is not valid Unicode") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply, or contains itself") from None


def _plain(value: object, path: str) -> object:
    """Turn a value into what msgspec writes as it is meant."""
    match value:
        case None | bool() | msgspec.Raw():
            return value
        case enum.Enum():
            return _plain(value.value, path)
        case str():
            return builtin(value)
        case int() | float():
            return _number(value, path)
        case dt.datetime():
            return rfc3339(value, path or "body")
        case dt.date():
            return dt.date.isoformat(value)
        case Mapping():
            return {
                _key(key, path): _plain(item, _at(path, str(key)))
                for key, item in value.items()
                if item is not msgspec.UNSET
            }
        case bytes() | bytearray() | memoryview():
            pass
        case dt.timedelta():
            raise InvalidInput(f"{path or 'body'}: pass whole seconds, not a timedelta")
        case Sequence() | AbstractSet():
            return [
                _plain(item, f"{path}[{index}]")
                for index, item in enumerate(value)
                if item is not msgspec.UNSET
            ]
        case _ if attrs.has(type(value)):
            return _record(value, path)
    raise InvalidInput(f"{path or 'body'}: a value of type {type(value).__name__} cannot be sent")


def _record(record: Any, path: str) -> dict[str, object]:
    """Turn a record into a mapping by its names on the wire."""
    names: Mapping[str, str] = getattr(record, "wire_names", {})
    fields = ((field.name, getattr(record, field.name)) for field in attrs.fields(type(record)))
    return {
        names.get(name, name): _plain(value, _at(path, name))
        for name, value in fields
        if value is not msgspec.UNSET
    }


def _number(value: float, path: str) -> float:
    """Refuse numbers that JSON or Toggl has no room for.

    A whole float goes as a whole number: Toggl's servers take no ``1800.0`` for seconds, and ``1800`` for
    an amount just as well.
    """
    if isinstance(value, int):
        number = int.__int__(value)
        if not has_room(number):
            raise InvalidInput(
                f"{path or 'body'}: the number {shown(number)} cannot be sent: more than 64 bits"
            )
        return number
    fraction = float.__float__(value)
    if not math.isfinite(fraction):
        raise InvalidInput(f"{path or 'body'}: the number {fraction} cannot be sent")
    return int(fraction) if fraction.is_integer() and has_room(int(fraction)) else fraction


def has_room(number: int) -> bool:
    """Say whether Toggl can read a whole number."""
    return _LEAST <= number <= _MOST


def _key(key: object, path: str) -> str:
    """Refuse names that aren't text."""
    if not isinstance(key, str):
        raise InvalidInput(f"{path or 'body'}: keys must be str, not {shown(key)}")
    return str.__str__(key)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
