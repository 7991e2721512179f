"""SQLite: ``toggl.sqlite``, with the standard library's module.

Moments are ISO 8601 text in UTC, which sorts and which SQLite's own date functions read; days are
text; truth values 0 and 1; lists and objects JSON, for ``json_each``.
"""

import datetime as dt
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import msgspec

from toggl_async.export.formats.columns import ROWS, SIZE
from toggl_async.export.formats.database import Connection, DatabaseFile
from toggl_async.export.formats.files import create
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.sqlite import TYPES
from toggl_async.export.mirror.tables import Table

__all__ = ["Sqlite"]


class Sqlite(DatabaseFile):
    """The format ``sqlite``."""

    name = "sqlite"
    suffix = ".sqlite"
    failures: ClassVar[type[Exception]] = sqlite3.Error
    # Exports have always had BIGINT, and a schema that changes is one that programs stumble over.
    types: ClassVar[Mapping[ColumnType, str]] = {**TYPES, ColumnType.INTEGER: "BIGINT"}
    tag_names: ClassVar[str] = (
        "(SELECT json_group_array(g.name) FROM json_each(e.tag_ids) AS j JOIN tags AS g ON g.id = j.value)"
    )
    indexed: ClassVar[bool] = True
    rows: ClassVar[int] = ROWS
    size: ClassVar[int] = SIZE

    def connect(self, path: Path) -> Connection:
        """Open the file, without the safeguards of one that others read and that must outlive a crash."""
        create(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA page_size = 16384")  # it is written once, and each page has its price
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
        except sqlite3.Error:
            connection.close()
            raise
        return cast("Connection", connection)

    def insert(self, connection: Connection, declared: Table, rows: Sequence[bytes]) -> None:
        """Add rows by one prepared statement.

        A column without a value stands in it as null: to bind one takes as long as five numbers, since
        Python's module asks its adapters of it. The key is never empty, so there is something to bind.
        """
        made: list[Sequence[object]] = []
        values: list[str] = []
        for column, cells in zip(declared.columns, declared.columns_of(rows), strict=True):
            if cells.count(None) == len(rows):
                values.append("NULL")
                continue
            values.append("?")
            made.append(cells if column.kind not in _MADE else _MADE[column.kind](cells))
        connection.executemany(
            f"INSERT INTO {declared.name} VALUES ({', '.join(values)})",  # noqa: S608 - names of our own
            zip(*made, strict=True),
        )


def _moments(cells: Sequence[Any]) -> Sequence[object]:
    utc = dt.UTC
    return _texts([None if cell is None else cell.astimezone(utc) for cell in cells])


def _texts(cells: Sequence[Any]) -> Sequence[object]:
    return cast("Sequence[object]", msgspec.to_builtins(cells))


def _flags(cells: Sequence[Any]) -> Sequence[object]:
    return [None if cell is None else int(cell) for cell in cells]  # a bool is asked about, too; see `insert`


def _lists(cells: Sequence[Any]) -> Sequence[object]:
    encode = msgspec.json.encode
    return [None if cell is None else encode(cell).decode() for cell in cells]


_MADE: Mapping[ColumnType, Callable[[Sequence[Any]], Sequence[object]]] = {
    ColumnType.BOOLEAN: _flags,
    ColumnType.MOMENT: _moments,
    ColumnType.DAY: _texts,
    ColumnType.INTEGERS: _lists,
    ColumnType.TEXTS: _lists,
}
"""What makes what SQLite has of a column."""
