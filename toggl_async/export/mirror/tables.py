"""The tables of an export: columns, types and keys, declared once for every format that has columns.

The columns of a dataset are the fields of its record, so that the knowledge of Toggl's API is in one place.
Other fields that Toggl sends, and values of an undocumented type, are not lost: they are JSON in the column
`EXTRA`.
"""

import datetime as dt
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from toggl_async import records
from toggl_async._operations.record import Moment, Record
from toggl_async.export.mirror.cells import (
    CELLS,
    EDGES,
    JSON_TYPES,
    Cell,
    ColumnType,
    as_json,
    as_stored,
    calendar_day,
)
from toggl_async.export.mirror.documented import Documented, DocumentedField
from toggl_async.export.plan.datasets import DATASETS, Dataset
from toggl_async.export.rows import SECRET_FIELDS, Line, Stored, fields_of, known_of

__all__ = [
    "DAY",
    "EXTRA",
    "LOCAL_START",
    "Column",
    "ExportedGroup",
    "ExportedTimeEntry",
    "ExportedUser",
    "Table",
    "table",
]

EXTRA = "extra"
"""The column for everything that has no column of its own, as a JSON object."""

DAY = "day"
"""The column for the day on which a time entry began, in the profile's time zone, as reports count it."""

LOCAL_START = "local_start"
"""The column of a mirror for the local time at which a time entry began."""

_ENTRY_COLUMNS = (
    "id",
    "workspace_id",
    "user_id",
    "project_id",
    "task_id",
    "billable",
    "description",
    "tag_ids",
    "billable_amount_in_cents",
    "currency",
    "seconds",
    "start",
    "stop",
    "at",
    DAY,
    LOCAL_START,
)
"""The fields of a time entry that have columns in a mirror: those that are often needed. `raw` has the rest;
a column costs about 0.3 us per row. `toggl_async.export.read.report_rows` makes them in this order, too."""

_DELETED = ("deleted_at", "server_deleted_at")
"""Toggl's own marks of deletion. A mirror has `deleted_at` instead, and deletes rows with these."""

_decode = msgspec.json.Decoder().decode


@attrs.frozen(kw_only=True)
class ExportedUser(records.User):
    """A user of a workspace, and of which one."""

    workspace_id: int | None = None
    """Id of the workspace in which the user is."""


@attrs.frozen(kw_only=True)
class ExportedGroup(records.Group):
    """A group in a workspace; Toggl shows its members and its other workspaces only to administrators."""

    legacy_names: typing.ClassVar[frozenset[str]] = frozenset({"group_id"})

    users: list[records.OrganizationGroupUser] | None = None
    """Its members."""
    workspaces: list[int] | None = None
    """Ids of the workspaces that it is in."""


@attrs.frozen(kw_only=True)
class ExportedTimeEntry(records.DetailedReportRow):
    """A time entry with the fields of its report row."""

    id: int | None = None
    """Id of the time entry, the same as in Track."""
    workspace_id: int | None = None
    """Id of the workspace that it is in."""
    seconds: int | None = None
    """Its duration in seconds; null while it is running."""
    start: Moment | None = None
    """When it started, with the profile's offset."""
    stop: Moment | None = None
    """When it stopped; null while it is running."""
    at: Moment | None = None
    """When it last changed, in UTC."""
    at_tz: Moment | None = None
    """When it last changed, with the profile's offset."""


_RECORDS: Mapping[str, type[Record]] = {
    "organizations": records.Organization,
    "workspaces": records.Workspace,
    "users": ExportedUser,
    "groups": ExportedGroup,
    "clients": records.Client,
    "projects": records.Project,
    "tags": records.Tag,
    "tasks": records.Task,
    "time_entries": ExportedTimeEntry,
}

_LEFT_OUT = {*SECRET_FIELDS, "time_entries", "row_number"}
"""Fields without a column: secrets, the list whose elements have become rows, and the place of a row in a
report, which says nothing about the row."""


@attrs.frozen
class Column:
    """A column.

    Attributes:
        name: its name.
        kind: its type.
        wire: the field's name in JSON, if it differs.
    """

    name: str
    kind: ColumnType
    wire: str


@attrs.frozen(kw_only=True, slots=False)
class Table:
    """A dataset as a table.

    Attributes:
        dataset: the dataset.
        record: the record of its rows.
        columns: its columns: the key first, `EXTRA` last.
    """

    dataset: Dataset
    record: type[Record]
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """The name of the table: the dataset's."""
        return self.dataset.name

    @functools.cached_property
    def stored(self) -> tuple[Column, ...]:
        """Its columns in a mirror, apart from `raw`; the key first."""
        if self.record is ExportedTimeEntry:
            local_start = Column(LOCAL_START, ColumnType.TEXT, LOCAL_START)
            return tuple(
                local_start if name == LOCAL_START else self.columns[self.place[name]]
                for name in _ENTRY_COLUMNS
            )
        return tuple(
            column
            for column in self.columns
            if column.kind is not ColumnType.JSON and column.name not in _DELETED
        )

    def stored_cells(self, line: Line, workspace_id: int | None) -> tuple[Stored, ...]:
        """The cells of the columns `stored`: times, days and lists as text.

        Args:
            line: the row.
            workspace_id: the workspace that it was listed for, if the row names none.
        """
        if line.cells is not None:
            return line.cells
        cells = self.values(line.data)
        cells[self._id_place] = line.id
        found = dict(zip(self.place, cells, strict=True))
        if "workspace_id" in found and not found["workspace_id"]:
            found["workspace_id"] = workspace_id or (0 if self.dataset.key_has_workspace else None)
        start_at = found.get("start")
        if isinstance(start_at, dt.datetime):
            found[LOCAL_START] = start_at.isoformat()[:19]
        return tuple(as_stored(found.get(column.name)) for column in self.stored)

    @functools.cached_property
    def place(self) -> Mapping[str, int]:
        """The index of each column."""
        return {column.name: index for index, column in enumerate(self.columns)}

    def values(self, data: bytes) -> list[Cell]:
        """The cells of a row, in the order of the columns; those of the key are never empty."""
        return [cell for (cell,) in self.columns_of([data])]

    def columns_of(self, rows: Sequence[bytes]) -> list[Sequence[Cell]]:
        """The cells of some rows, at least one, column by column; see `values`."""
        columns: list[Sequence[Cell]]
        documented = self._documented.columns(rows)
        if documented is not None:
            columns = [*documented, [None] * len(rows)]  # documented rows leave nothing for `EXTRA`
        elif len(rows) == 1:
            columns = [(cell,) for cell in self._odd(rows[0])]
        else:  # at least one of them is odd
            return list(zip(*map(self.values, rows), strict=True))
        ids = self._id_place
        if None in columns[ids]:
            pairs = zip(columns[ids], rows, strict=True)
            columns[ids] = [known_of(row).id if cell is None else cell for cell, row in pairs]
        if self.dataset.key_has_workspace and None in columns[self._workspace_place]:
            spaces = columns[self._workspace_place]
            columns[self._workspace_place] = [0 if cell is None else cell for cell in spaces]
        return columns

    def _odd(self, data: bytes) -> list[Cell]:
        """The cells of a row of whatever shape."""
        try:
            fields = _decode(data)
            return self._cells_of(fields) if isinstance(fields, dict) else self._only_extra(fields)
        except (msgspec.DecodeError, ValueError, OverflowError):  # a number that Python cannot hold
            loose = fields_of(data)
            return self._only_extra(msgspec.Raw(data)) if loose is None else self._cells_of(loose)

    def _only_extra(self, value: object) -> list[Cell]:
        """The cells of a value that isn't an object."""
        return [*[None] * (len(self.columns) - 1), as_json(value)]

    def _cells_of(self, fields: dict[str, Any]) -> list[Cell]:
        """The cells of an object, which is emptied."""
        start = fields.get("start")
        row: list[Cell] = []
        odd: dict[str, Any] = {}
        for name, wire, cell_of in self._cells:
            value = fields.pop(wire, None)
            if wire is not name:
                twin = fields.pop(name, None)
                value = twin if value is None else value
            if value is None:
                row.append(None)
                continue
            cell = cell_of(value)
            if cell is None:
                odd[wire] = value
            row.append(cell)
        if self._has_day:
            moment = row[self.place["start"]]
            row.append(moment.date() if isinstance(moment, dt.datetime) else calendar_day(str(start)[:10]))
        if not odd and fields.keys() <= self._known:
            return [*row, None]
        return [*row, as_json(odd | {name: fields[name] for name in fields if name not in self._known})]

    @functools.cached_property
    def _documented(self) -> Documented[Cell]:
        """The reader of documented rows without further fields."""
        fields = [
            DocumentedField[Cell](
                name=column.wire,
                twin="" if column.wire == column.name else column.name,
                type=JSON_TYPES[column.kind],
                cell=as_json if column.kind is ColumnType.JSON else None,
            )
            for column in self.columns
            if column.name not in {DAY, EXTRA}
        ]
        return Documented(
            fields,
            ignored=self._known,
            derived=[(self.place["start"], dt.datetime.date)] if self._has_day else (),
            avoided=EDGES,
        )

    @functools.cached_property
    def _id_place(self) -> int:
        return self.place["id"]

    @functools.cached_property
    def _workspace_place(self) -> int:
        return self.place["workspace_id"]

    @functools.cached_property
    def _cells(self) -> list[tuple[str, str, Callable[[Any], Cell]]]:
        """The fields that fill columns, and how."""
        return [
            (column.name, column.name if column.wire == column.name else column.wire, CELLS[column.kind])
            for column in self.columns
            if column.name not in {DAY, EXTRA}
        ]

    @functools.cached_property
    def _has_day(self) -> bool:
        return DAY in self.place

    @functools.cached_property
    def _known(self) -> frozenset[str]:
        """Fields that need no column: twins of others, and secrets, which are blanked."""
        return self.record.legacy_names | {*SECRET_FIELDS}


@functools.cache
def table(name: str) -> Table:
    """The table of a dataset."""
    dataset, record = DATASETS[name], _RECORDS[name]
    hints = typing.get_type_hints(record)
    columns = {
        field.name: Column(
            field.name, _kind(hints[field.name]), record.wire_names.get(field.name, field.name)
        )
        for field in attrs.fields(typing.cast("type[attrs.AttrsInstance]", record))
        if field.name not in _LEFT_OUT
    }
    first = [name for name in (*dataset.key, "workspace_id") if name in columns]
    ordered = [columns[name] for name in dict.fromkeys((*first, *columns))]
    if record is ExportedTimeEntry:
        ordered.append(Column(DAY, ColumnType.DAY, DAY))
    return Table(dataset=dataset, record=record, columns=(*ordered, Column(EXTRA, ColumnType.JSON, EXTRA)))


def _kind(hint: object) -> ColumnType:
    """The type of a column for the annotation of a field."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    simple: dict[object, ColumnType] = {
        int: ColumnType.INTEGER,
        float: ColumnType.NUMBER,
        bool: ColumnType.BOOLEAN,
        str: ColumnType.TEXT,
        dt.datetime: ColumnType.MOMENT,
        dt.date: ColumnType.DAY,
        list[int]: ColumnType.INTEGERS,
        list[str]: ColumnType.TEXTS,
    }
    try:
        return simple.get(hint, ColumnType.JSON)
    except TypeError:  # an annotation that cannot be hashed
        return ColumnType.JSON
