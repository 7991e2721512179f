"""Arguments of the generated coroutines, held against the types that they are declared with.

A checker sees most slips before; whoever has none would otherwise learn of them from Toggl, for the
price of a request, or never: ``delete([1, 2])`` could name two projects, and a str is a sequence of
digits. What was left out, and None where it means something, passes through.
"""

import datetime as dt
from collections.abc import Callable, Collection
from typing import Final, TypeVar

import msgspec

from toggl_async._operations.record import aware
from toggl_async.errors import InvalidInput

__all__ = ["day", "day_or_moment", "each", "id_list", "moment", "one_id", "text_list", "unix_seconds"]

_MILLISECONDS: Final = 10**11
"""As UNIX seconds the year 5138, as milliseconds 1973: nobody means the former."""

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")


def one_id(value: ValueT, name: str) -> ValueT:
    """Take one id.

    Args:
        value: an int.
        name: what errors call it: the name of the argument. So it is with all functions here.

    Raises:
        InvalidInput: it is something else, such as several ids.
    """
    if _is_given(value) and not _is_whole(value):
        raise InvalidInput(f"{name}: pass one id (an int), not {_kind(value)}")
    return value


def each(check: Callable[[ValueT, str], ResultT], /, **values: ValueT) -> dict[str, ResultT]:
    """Hold several arguments against one type; their names are those on the wire as well.

    Raises:
        InvalidInput: one of them does not fit; the message names it.
    """
    return {name: check(value, name) for name, value in values.items()}


def id_list(values: object, name: str) -> object:
    """Take ids as a list; None among them stands for things without that, where Toggl takes it.

    Raises:
        InvalidInput: it isn't a collection of ints; a str isn't, for instance.
    """
    if not isinstance(values, Collection) or isinstance(values, str | bytes | bytearray):
        if _is_given(values):
            raise InvalidInput(f"{name}: pass a collection of ids (int), not {_kind(values)}")
        return values
    for value in values:
        if value is not None and not _is_whole(value):
            raise InvalidInput(f"{name}: ids are int, not {_kind(value)}")
    return list(values)


def text_list(values: ValueT, name: str) -> ValueT:
    """Take several texts.

    Raises:
        InvalidInput: it is a single one, which as a sequence would be its letters.
    """
    if isinstance(values, str | bytes | bytearray):
        raise InvalidInput(f"{name}: pass a sequence of str, not a single {type(values).__name__}")
    return values


def day(value: ValueT, name: str) -> ValueT:
    """Take a day.

    Raises:
        InvalidInput: it isn't a date, or it is a datetime: which day that is depends on the time zone.
    """
    if _is_given(value) and (isinstance(value, dt.datetime) or not isinstance(value, dt.date)):
        raise InvalidInput(f"{name}: pass a date, not {_kind(value)}")
    return value


def moment(value: ValueT, name: str) -> ValueT:
    """Take a moment.

    Raises:
        InvalidInput: it isn't a datetime, or has no time zone.
    """
    if _is_given(value):
        aware(value, name)
    return value


def day_or_moment(value: ValueT, name: str) -> ValueT:
    """Take a day or a moment.

    Raises:
        InvalidInput: it is neither, or a datetime without a time zone.
    """
    if not _is_given(value) or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value
    return moment(value, name)


def unix_seconds(
    value: dt.datetime | int | msgspec.UnsetType, name: str = "since"
) -> int | msgspec.UnsetType:
    """Turn a moment into UNIX seconds, for the few parameters that Toggl takes them in.

    Args:
        value: a datetime with a time zone, or UNIX seconds already.
        name: what errors call it: the name of the argument.

    Raises:
        InvalidInput: it has no time zone, is a date or a fraction, or rather milliseconds.
    """
    if value is msgspec.UNSET:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= _MILLISECONDS:
            raise InvalidInput(f"{name}: pass UNIX seconds, not milliseconds: {value}")
        return value
    return int(aware(value, name).timestamp())


def _is_given(value: object) -> bool:
    return value is not None and value is not msgspec.UNSET


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: object) -> str:
    """Name the type of a value; the value itself might be secret."""
    return f"a value of type {type(value).__name__}"
