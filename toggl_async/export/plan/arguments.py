"""Arguments of the export's public functions, checked before anything is sent or written."""

import datetime as dt
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from toggl_async._client.client import TogglClient
from toggl_async.errors import InvalidInput
from toggl_async.export.plan.datasets import dataset

__all__ = [
    "check_client",
    "check_day",
    "check_flag",
    "check_id",
    "check_ids",
    "check_instance",
    "check_path",
    "check_seconds",
    "dataset_names",
    "or_none",
    "refuse",
    "shown",
]

_LARGEST: Final = 2**63 - 1
"""The largest id that a database can hold."""

_SHOWN: Final = 80
"""Bits of the longest whole number that a message repeats."""

_SINGLE: Final = (str, bytes, bytearray, Mapping)
"""What can be iterated, and nobody means as a collection of ids or names."""


def shown(value: object) -> str:
    """Say what came: a value that fits into a line, or the type of any other."""
    if isinstance(value, int) and value.bit_length() > _SHOWN:  # Python refuses to write very long ones
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, int | float | str | dt.date):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def refuse(value: object, name: str, expected: str) -> InvalidInput:
    """Make the error for an argument that can't be used.

    Args:
        value: the argument.
        name: its name; so it is with all functions here.
        expected: what it must be, such as ``"a date"``.
    """
    return InvalidInput(f"{name} must be {expected}, not {shown(value)}")


def check_instance(kind: type | tuple[type, ...], value: object, name: str, expected: str) -> None:
    """Refuse what is not of a type.

    Raises:
        InvalidInput: it is of another type.
    """
    if not isinstance(value, kind):
        raise refuse(value, name, expected)


def check_client(value: object, name: str = "client") -> None:
    """Refuse what isn't a client.

    Raises:
        InvalidInput: it isn't one.
    """
    check_instance(TogglClient, value, name, "a TogglClient")


def check_flag(value: object, name: str) -> None:
    """Refuse what is neither True nor False; 0 and 1 aren't.

    Raises:
        InvalidInput: it is something else.
    """
    check_instance(bool, value, name, "True or False")


def check_day(value: object, name: str) -> None:
    """Refuse what isn't a day; a datetime isn't, because which day that is depends on the time zone.

    Raises:
        InvalidInput: it is something else.
    """
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise refuse(value, name, "a date")


def check_id(value: object, name: str) -> None:
    """Refuse what can't be an id of Toggl's.

    Raises:
        InvalidInput: it isn't an int, or less than 1, or too large for any database.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST:
        raise refuse(value, name, f"an id, a whole number from 1 to {_LARGEST}")


def check_ids(values: object, name: str) -> None:
    """Refuse what isn't a collection of ids.

    Raises:
        InvalidInput: it isn't one, or has something else in it.
    """
    if not isinstance(values, Collection) or isinstance(values, _SINGLE):
        raise refuse(values, name, "ids in a list or a tuple")
    for place, value in enumerate(values):
        check_id(value, f"{name}[{place}]")


def check_path(value: object, name: str) -> None:
    """Refuse what isn't a path.

    Raises:
        InvalidInput: it isn't a str or an `os.PathLike` of one.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise refuse(value, name, "a path, a str or an os.PathLike[str]")


def check_seconds(value: object, name: str, *, zero: bool = True) -> None:
    """Refuse what isn't a number of seconds; infinitely many are one.

    Args:
        value: the argument.
        name: its name.
        zero: whether it may be 0.

    Raises:
        InvalidInput: it isn't a number, or too small.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (number > 0 or (zero and number == 0)):
        raise refuse(value, name, f"{'at least' if zero else 'more than'} 0 seconds")


def dataset_names(values: object, name: str) -> tuple[str, ...]:
    """Names of datasets, each of which there is.

    Raises:
        InvalidInput: it isn't a collection of names, or there is no such dataset.
    """
    if not isinstance(values, Iterable) or isinstance(values, _SINGLE):
        raise refuse(values, name, "names of datasets in a list or a tuple")
    return tuple(dataset(one).name for one in values)


def or_none(check: Callable[[object, str], object]) -> Callable[[object, str], None]:
    """The check of an argument that may be None."""

    def checked(value: object, name: str) -> None:
        if value is not None:
            check(value, name)

    return checked
