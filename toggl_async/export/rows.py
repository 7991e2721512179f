"""From what Toggl sent to the lines of a file: pure work on bytes.

Rows keep their bytes: every field, known to this library or not, in Toggl's order and spelling. Only these
changes are made: A row without a ``workspace_id`` gets one, because one file contains the rows of every
workspace. A group that has only a ``group_id`` gets that as its ``id``, too. A row of the detailed report,
which is a group of time entries, becomes one line for each entry: the fields of the group beside those of the
entry, without the row number, which changes with the row's neighbours, and with null seconds while it runs,
in place of Toggl's negative number; seconds that came as text or with a fraction of zero are a whole number.
Credentials are blanked
(`SECRET_FIELDS`), because Toggl sends the token of a workspace along with it, and no file may contain one.

Every line is identified by a number: its id, or a substitute (`stand_in`).
"""

import datetime as dt
import functools
import hashlib
from typing import Any, NamedTuple, TypeAlias

import msgspec

from toggl_async.codec.scalars import whole_number
from toggl_async.export.intake import json_of

__all__ = [
    "NEVER",
    "SECRET_FIELDS",
    "Known",
    "Line",
    "Stored",
    "changed_at",
    "day_of",
    "entry_lines",
    "fields_of",
    "id_of",
    "is_deleted",
    "known_of",
    "list_line",
    "stand_in",
    "totals_of",
    "unreadable_fields",
    "without_secrets",
]

SECRET_FIELDS = ("api_token", "ical_url")
"""Fields that would give a reader access: written as null."""

NEVER = "0001-01-01"
"""The day that Go servers send for "never"."""


Stored: TypeAlias = int | float | bool | str | None
"""The value of a cell in a mirror."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a file, without its line feed.

    Attributes:
        id: the id of the row, or its substitute: a row without an id isn't lost.
        data: the row as JSON.
        seconds: for a time entry, its length; else 0.
        start: for a time entry, the day on which it began, in the profile's time zone.
        cells: for a time entry that is as documented, what a mirror has in its columns, in their order;
            None for any other row.
    """

    id: int
    data: bytes
    seconds: int = 0
    start: dt.date | None = None
    cells: tuple[Stored, ...] | None = None


class Known(NamedTuple):
    """What is looked at of a row that was written."""

    workspace_id: int | None
    id: int
    day: dt.date | None
    seconds: int | None


class _Present(msgspec.Struct):
    """Whether a listed row names itself and its workspace, in whatever way."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    workspace_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Seen(msgspec.Struct):
    """What a row is looked at for; None where it is missing, or of another type."""

    id: int | None = None
    group_id: int | None = None
    workspace_id: int | None = None
    wid: int | None = None
    seconds: int | None = None
    start: str | None = None


class _Changed(msgspec.Struct):
    """When a row last changed."""

    at: dt.datetime | None = None


class _Deletable(msgspec.Struct):
    """The two marks of deletion that Toggl has."""

    server_deleted_at: str | None = None
    deleted_at: str | None = None


class _Point(msgspec.Struct):
    """A point of the graph of a report's totals."""

    seconds: int | None = None


class _Total(msgspec.Struct):
    """What the totals of a report are asked for."""

    seconds: int
    resolution: str | None = None
    graph: list[_Point] | None = None


_NULL = msgspec.Raw(b"null")

_Fields = dict[str, msgspec.Raw]

_present = msgspec.json.Decoder(_Present)
_fields = msgspec.json.Decoder(_Fields)
_rows = msgspec.json.Decoder(list[msgspec.Raw] | None)
_total = msgspec.json.Decoder(_Total)
_typed = msgspec.json.Decoder(_Seen)
_untyped = msgspec.json.Decoder()
_changed = msgspec.json.Decoder(_Changed)
_deletable = msgspec.json.Decoder(_Deletable)
_encode = msgspec.json.Encoder().encode

_day = functools.lru_cache(maxsize=1024)(dt.date.fromisoformat)
"""Remembers days: the rows of a page begin on few."""

_TYPES = {"id": int, "group_id": int, "workspace_id": int, "wid": int, "seconds": int, "start": str}
_LARGEST = 2**63


def stand_in(row: bytes) -> int:
    """The negative number that stands for the id of a row without one.

    It is made of the row's content, so that the same row has the same one whenever it is read; its place
    in the report isn't part of that.
    """
    try:
        fields = _fields.decode(row)
    except msgspec.DecodeError:
        content = row.strip()
    else:
        fields.pop("row_number", None)
        content = _encode(sorted(fields.items()))
    return -1 - (int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1)


def fields_of(row: bytes) -> dict[str, object] | None:
    """The fields of a row, decoded one by one; None when it isn't an object, or one of its names isn't text.

    A value that Python cannot hold or write again, such as 1e999, stays as it came: a `msgspec.Raw`.
    """
    try:
        fields = _fields.decode(row)
    except msgspec.DecodeError:  # half a pair of surrogates stands in a name
        return None
    return {name: _value(value) for name, value in fields.items()}


def _value(value: msgspec.Raw) -> object:
    decoded: object
    try:
        decoded = _untyped.decode(value)
        _encode(decoded)
    except (msgspec.DecodeError, ValueError, OverflowError):
        return value
    return decoded


def _seen(row: bytes) -> _Seen:
    """Look at a row of whatever shape."""
    try:
        return _typed.decode(row)
    except (msgspec.DecodeError, ValueError):
        fields: dict[str, Any] = fields_of(row) or {}
    return _Seen(**{name: fields[name] for name, kind in _TYPES.items() if type(fields.get(name)) is kind})


def id_of(row: bytes) -> int | None:
    """The id of a row, or what a group goes by; None when it has none that can be used."""
    seen = _seen(row)
    return next((number for number in (seen.id, seen.group_id) if number is not None and _fits(number)), None)


def _fits(number: int) -> bool:
    """Whether every format can hold a number."""
    return -_LARGEST <= number < _LARGEST


def _number(seen: _Seen, row: bytes) -> int:
    """What a row is known by."""
    for number in (seen.id, seen.group_id):
        if number is not None and _fits(number):
            return number
    return stand_in(row)


def _one_line(row: bytes) -> bytes:
    """The same JSON without line feeds between its tokens."""
    return msgspec.json.format(row, indent=-1) if b"\n" in row or b"\r" in row else row


def without_secrets(row: bytes) -> bytes:
    """The same object, its secret fields null."""
    if not any(b'"%b"' % name.encode() in row for name in SECRET_FIELDS):
        return row
    fields = _fields.decode(row)
    return _encode(fields | {name: _NULL for name in SECRET_FIELDS if name in fields})


def list_line(row: bytes, *, workspace_id: int | None) -> Line:
    """The line of a listed row.

    Args:
        row: one JSON object.
        workspace_id: the workspace that it was listed for, added when the row names none.
    """
    row = _one_line(row.strip())
    if not row.startswith(b"{"):
        return Line(stand_in(row), row)
    row, present, seen = without_secrets(row), _present.decode(row), _seen(row)
    if present.id is msgspec.UNSET and seen.group_id is not None:
        row = _with(row, b"id", seen.group_id)
    if present.workspace_id is msgspec.UNSET and workspace_id is not None:
        row = _with(row, b"workspace_id", workspace_id)
    return Line(_number(seen, row), row)


def _with(row: bytes, name: bytes, number: int) -> bytes:
    """The same object with one more field."""
    return b'%b%b"%b":%d}' % (row[:-1], b"" if row == b"{}" else b",", name, number)


def entry_lines(row: bytes, *, workspace_id: int) -> list[Line]:
    """The lines of one row of the detailed report: one for each of its time entries.

    Args:
        row: one JSON object with a list ``time_entries``; without any, the row itself is the line,
            as is one of another shape.
        workspace_id: the workspace of the report, which its rows do not name.
    """
    try:
        group = _fields.decode(row)
        entries = [_fields.decode(entry) for entry in _rows.decode(group.pop("time_entries", _NULL)) or []]
        group.pop("row_number", None)
        group.setdefault("workspace_id", msgspec.Raw(b"%d" % workspace_id))
        return [entry_line(_one_line(_encode(_timed(group | entry)))) for entry in entries or [{}]]
    except msgspec.ValidationError:
        data = _one_line(row.strip())
        return [Line(stand_in(data), data)]


def _timed(entry: _Fields) -> _Fields:
    """The same time entry, its seconds null while it runs: Toggl sends a negative number then.

    Seconds that are a whole number in another guise, such as text, become that number.
    """
    came = bytes(entry.get("seconds", _NULL))
    number = None if came.isdigit() else whole_number(_value(msgspec.Raw(came)))
    seconds = came if number is None else b"%d" % number
    if seconds[:1] == b"-" and seconds != b"-0":
        seconds = b"null"
    return entry if seconds == came else entry | {"seconds": msgspec.Raw(seconds)}


def entry_line(data: bytes) -> Line:
    """The line of a time entry that stands alone."""
    seen = _seen(data)
    seconds = seen.seconds if seen.seconds is not None and _fits(seen.seconds) else 0
    return Line(_number(seen, data), data, seconds, day_of(seen.start))


def unreadable_fields(line: Line) -> list[str]:
    """The fields of a time entry that decide what it adds to which day, and that came but can't be read."""
    if line.start is not None and line.cells is not None:
        return []
    fields = fields_of(line.data) or {}
    seconds, start = fields.get("seconds"), fields.get("start")
    return [
        name
        for name, came, read in (
            ("seconds", seconds, type(seconds) is int and _fits(seconds)),
            ("start", start, line.start is not None),
        )
        if came is not None and not read
    ]


def changed_at(line: bytes) -> dt.datetime | None:
    """When a row last changed; None where its line doesn't tell, or not in which time zone."""
    try:
        moment = _changed.decode(line).at
    except (msgspec.ValidationError, ValueError):
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def day_of(moment: str | None) -> dt.date | None:
    """The day of an RFC 3339 datetime, in its own offset; None when it isn't one."""
    try:
        return _day((moment or "")[:10])
    except ValueError:
        return None


def known_of(line: bytes) -> Known:
    """What is looked at of a row that was written, whatever its shape."""
    seen = _seen(line)
    workspace_id = seen.wid if seen.workspace_id is None else seen.workspace_id
    seconds = seen.seconds if seen.seconds is not None and _fits(seen.seconds) else None
    return Known(workspace_id, _number(seen, line), day_of(seen.start), seconds)


def is_deleted(row: bytes) -> bool:
    """Whether a row that a list sent for having changed is one that was deleted."""
    try:
        marks = _deletable.decode(row)
    except msgspec.ValidationError:
        return False
    return any(mark and not mark.startswith(NEVER) for mark in (marks.server_deleted_at, marks.deleted_at))


def totals_of(body: bytes) -> tuple[int, tuple[int, ...]]:
    """The seconds that the totals of a report say, and those of each month of its graph.

    The months are empty when there is no graph, or one of another resolution.

    Raises:
        msgspec.ValidationError: it names no number of seconds, so it is not a total.
    """
    total = _total.decode(json_of(body))
    if total.resolution != "month":
        return total.seconds, ()
    return total.seconds, tuple(point.seconds or 0 for point in total.graph or ())
