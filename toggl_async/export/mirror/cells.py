"""Cells: the types of columns, and how a JSON value becomes a cell. Pure."""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

import msgspec

from toggl_async.export.rows import Stored

__all__ = ["CELLS", "EDGES", "JSON_TYPES", "Cell", "ColumnType", "as_json", "as_stored", "calendar_day"]

_LARGEST = 2**63

_MINUTE = dt.timedelta(minutes=1)

_Moment: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_encode = msgspec.json.Encoder().encode


class ColumnType(enum.Enum):
    """The types of columns; each format has its own names for them."""

    INTEGER = enum.auto()
    NUMBER = enum.auto()
    BOOLEAN = enum.auto()
    TEXT = enum.auto()
    MOMENT = enum.auto()
    DAY = enum.auto()
    INTEGERS = enum.auto()
    TEXTS = enum.auto()
    JSON = enum.auto()


Cell: TypeAlias = int | float | bool | str | dt.datetime | dt.date | list[int] | list[str] | None
"""The value of a cell: JSON as text, times with their offset."""


def _whole(value: Any) -> int | None:
    if type(value) is int and -_LARGEST <= value < _LARGEST:
        return value
    return None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _moment(value: object) -> dt.datetime | None:
    """A time that every format can hold, in RFC 3339 or else ISO 8601.

    The first and the last year could leave the calendar when converted to UTC, and Go writes the year 1 for
    "never". Offsets have whole minutes, because not every format supports others.
    """
    if not isinstance(value, str):
        return None
    moment: dt.datetime
    try:
        moment = msgspec.convert(value, _Moment)
    except msgspec.ValidationError:
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    offset = moment.utcoffset()
    if offset is None or offset % _MINUTE or not dt.MINYEAR < moment.year < dt.MAXYEAR:
        return None
    return moment


def calendar_day(value: object) -> dt.date | None:
    """A day of the calendar; None when it isn't one."""
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _integers(value: object) -> list[int] | None:
    if isinstance(value, list) and all(_whole(item) is not None for item in value):
        return value
    return None


def _texts(value: object) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def as_json(value: object) -> str:
    """A value as JSON."""
    return _encode(value).decode()


def as_stored(cell: Cell) -> Stored:
    """A cell, as a mirror stores it."""
    match cell:
        case dt.date():  # a datetime is a date, too
            return cell.isoformat()
        case list():
            return as_json(cell)
        case _:
            return cell


CELLS: Mapping[ColumnType, Callable[[object], Cell]] = {
    ColumnType.INTEGER: _whole,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: _flag,
    ColumnType.TEXT: _text,
    ColumnType.MOMENT: _moment,
    ColumnType.DAY: calendar_day,
    ColumnType.INTEGERS: _integers,
    ColumnType.TEXTS: _texts,
    ColumnType.JSON: as_json,
}
"""The function that makes a cell of a JSON value; it returns None if the value doesn't fit."""

_Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST - 1)]

JSON_TYPES: Mapping[ColumnType, Any] = {
    ColumnType.INTEGER: _Whole,
    ColumnType.NUMBER: float,
    ColumnType.BOOLEAN: bool,
    ColumnType.TEXT: str,
    ColumnType.MOMENT: _Moment,
    ColumnType.DAY: dt.date,
    ColumnType.INTEGERS: list[_Whole],
    ColumnType.TEXTS: list[str],
    ColumnType.JSON: Any,
}
"""The JSON type of a column in a documented row."""

EDGES = (b'"0001-', b'"9999-')
"""Prefixes of times that not every format may be able to hold; see `_moment`."""
