"""Arguments of the generated coroutines, checked against their declared types.

A type checker finds most slips earlier. Without one, a program would learn of them from Toggl, at the price
of a request, or never: ``delete([1, 2])`` could name two projects, and a str is a sequence of digits.
Arguments that were left out pass, and so does None if it has a meaning.
"""

import datetime as dt
import math
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar, cast

import msgspec

from toggl_async._operations.record import aware
from toggl_async.errors import InvalidInput, shown

__all__ = [
    "any_number", "date_range", "day", "day_or_moment", "each", "each_of", "each_or_null", "entry_seconds",
    "from_one", "id_list", "is_one_of", "listed", "moment", "one_flag", "one_id", "one_text", "text_list",
    "unix_seconds", "whole_number",
]  # fmt: skip

_MILLISECONDS: Final = 10**11
"""As UNIX seconds the year 5138, as milliseconds 1973: nobody means the former."""

_UNSET: Final = msgspec.UNSET

_NO_COLLECTION: Final = (str, bytes, bytearray, memoryview, Mapping)
"""Collections that nobody means as such: of letters, of bytes, of names."""

_EARLIEST: Final = 10**9
"""As UNIX seconds 2001, before any time entry of Toggl's; with a minus a running entry's duration."""

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
    # A plain one: the scheduler counts by it, and an int of a subclass may write itself in another way.
    return cast(ValueT, int.__int__(value)) if isinstance(value, int) else value


def each(check: Callable[[ValueT, str], ResultT], /, **values: ValueT) -> dict[str, ResultT]:
    """Hold several arguments against one type; their names are those on the wire as well.

    Raises:
        InvalidInput: one of them does not fit, or is None; the message names it.
    """
    checked = cast(dict[str, ResultT], values)
    for name, value in values.items():
        if value is None:
            raise InvalidInput(f"{name}: None is not allowed here; leave it out, or pass UNSET")
        if value is not _UNSET:  # what most are: a call less for each
            checked[name] = check(value, name)
    return checked


def each_or_null(check: Callable[[ValueT, str], ResultT], /, **values: ValueT) -> dict[str, ResultT]:
    """Hold several arguments against one type, as `each` does; None among them means null.

    Raises:
        InvalidInput: one of them does not fit; the message names it.
    """
    checked = cast(dict[str, ResultT], values)
    for name, value in values.items():
        if value is not _UNSET:  # what most are: a call less for each
            checked[name] = check(value, name)
    return checked


def each_of(allowed: Collection[object], /, **values: ValueT) -> dict[str, ValueT]:
    """Hold several arguments against the values that they can have.

    Raises:
        InvalidInput: one of them has another value; the message names it. To Toggl, 0 and 1 are not false and
            true.
    """
    for name, value in values.items():
        if value is not _UNSET and not is_one_of(value, allowed):
            raise InvalidInput(f"{name}: pass {' or '.join(map(repr, allowed))}, not {_quoted(value)}")
    return values


def is_one_of(value: object, allowed: Collection[object]) -> bool:
    """Say whether a value is among those that are allowed; other types may compare to anything."""
    return isinstance(value, str | int | float | None) and not isinstance(value, bool) and value in allowed


def one_text(value: ValueT, name: str) -> ValueT:
    """Take a text.

    Raises:
        InvalidInput: it isn't a str.
    """
    if not isinstance(value, str) and _is_given(value):
        raise InvalidInput(f"{name}: pass a str, not {_kind(value)}")
    return value


def one_flag(value: ValueT, name: str) -> ValueT:
    """Take a yes or no.

    Raises:
        InvalidInput: it isn't a bool; 0 and 1 aren't.
    """
    if not isinstance(value, bool) and _is_given(value):
        raise InvalidInput(f"{name}: pass a bool, not {_kind(value)}")
    return value


def whole_number(value: ValueT, name: str) -> ValueT:
    """Take a whole number; a float without a fraction is one, and is sent as one.

    Raises:
        InvalidInput: it isn't an int; a bool isn't, for instance.
    """
    if _is_given(value) and not _is_whole(value) and not (isinstance(value, float) and value.is_integer()):
        raise InvalidInput(f"{name}: pass an int, not {_kind(value)}")
    return value


def from_one(value: ValueT, name: str) -> ValueT:
    """Take a whole number that counts from 1, such as a page.

    Raises:
        InvalidInput: it isn't an int, or less than 1.
    """
    number: object = whole_number(value, name)
    if isinstance(number, int | float) and number < 1:
        raise InvalidInput(f"{name}: pass 1 or more, not {shown(value)}")
    return value


def entry_seconds(value: ValueT, name: str) -> ValueT:
    """Take the length of a time entry, which a running one writes as a negative number.

    Raises:
        InvalidInput: it isn't an int, or a negative one that is neither -1 nor a start in UNIX seconds.
    """
    seconds: object = whole_number(value, name)
    if isinstance(seconds, int | float) and -_EARLIEST < seconds < -1:
        raise InvalidInput(
            f"{name}: pass 0 or more seconds, or -1 to let the entry run, not {shown(value)}; "
            "any negative duration would start it"
        )
    return value


def any_number(value: ValueT, name: str) -> ValueT:
    """Take a number.

    Raises:
        InvalidInput: it is neither an int nor a float, or not a finite number.
    """
    if not _is_given(value):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name}: pass an int or a float, not {_kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{name}: pass a finite number, not {float.__float__(value)}")
    return value


def id_list(values: object, name: str) -> object:
    """Take ids as a list; None among them stands for things without that, where Toggl takes it.

    Raises:
        InvalidInput: it isn't a collection of ints; a str isn't, for instance.
    """
    if not _is_given(values):
        return values
    ids = listed(values)
    if ids is None:
        raise InvalidInput(f"{name}: pass a collection of ids (int), not {_kind(values)}")
    for value in ids:
        if value is not None and not _is_whole(value):
            raise InvalidInput(f"{name}: ids are int, not {_kind(value)}")
    return ids


def whole_list(values: object, name: str) -> list[int]:
    """Take the ids of what a call is about, which can't be left out, as a list.

    Raises:
        InvalidInput: it isn't a collection of ints.
    """
    ids = id_list(values, name)
    if not isinstance(ids, list) or None in ids:
        raise InvalidInput(f"{name}: pass a collection of ids (int), not {shown(values)}")
    return cast("list[int]", ids)


def listed(values: object) -> list[object] | None:
    """Turn a collection into a list; None for what isn't one, such as a str or a mapping."""
    if not isinstance(values, Collection) or isinstance(values, _NO_COLLECTION):
        return None
    try:
        return list(values)
    except TypeError:  # such as an array of numpy's without dimensions, which is one only by its methods
        return None


def text_list(values: object, name: str) -> object:
    """Take several texts as a list.

    Raises:
        InvalidInput: one of them isn't a str, or it is a single text, which would be taken as its letters.
    """
    if isinstance(values, str | bytes | bytearray):
        raise InvalidInput(f"{name}: pass a sequence of str, not a single {type(values).__name__}")
    if not _is_given(values):
        return values
    texts = listed(values)
    if texts is None:
        raise InvalidInput(f"{name}: pass a sequence of str, not {_kind(values)}")
    for value in texts:
        if not isinstance(value, str):
            raise InvalidInput(f"{name}: pass a sequence of str, without {_kind(value)}")
    return texts


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


def date_range(most: int, /, **days: ValueT) -> dict[str, ValueT]:
    """Take the first and the last day of a report.

    Args:
        most: how many days the last may come after the first.
        days: `start_date` and `end_date`.

    Raises:
        InvalidInput: one of them isn't a date, or the last comes before the first or too long after it.
    """
    for name, value in days.items():
        day(value, name)
    first, last = days.get("start_date"), days.get("end_date")
    if isinstance(first, dt.date) and isinstance(last, dt.date):
        if last < first:
            raise InvalidInput(f"end_date: {last} is before start_date, {first}")
        if (last - first).days > most:
            raise InvalidInput(
                f"end_date: {last} is more than {most} days after start_date, {first}; split the range"
            )
    return days


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
            raise InvalidInput(f"{name}: pass UNIX seconds, not milliseconds: {shown(value)}")
        return value
    return int(dt.datetime.timestamp(aware(value, name)))


def _is_given(value: object) -> bool:
    return value is not None and value is not _UNSET


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _quoted(value: object) -> str:
    """Quote a text or a number, and name the type of everything else."""
    return shown(value) if isinstance(value, str | int | float | None) else _kind(value)


def _kind(value: object) -> str:
    """Name the type of a value; the value itself might be secret."""
    return f"a value of type {type(value).__name__}"
