"""SQLite: ``toggl.sqlite``, with the standard library's module.

Times are ISO 8601 text in UTC, which sorts, and which SQLite's own date functions read; days are text;
booleans are 0 and 1; lists and objects are JSON, for ``json_each``.
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
    # Exports have always had BIGINT, and programs rely on the schema.
    types: ClassVar[Mapping[ColumnType, str]] = {**TYPES, ColumnType.INTEGER: "BIGINT"}
    tag_names: ClassVar[str] = (
        "(SELECT json_group_array(g.name) FROM json_each(e.tag_ids) AS j JOIN tags AS g ON g.id = j.value)"
    )
    indexed: ClassVar[bool] = True
    rows: ClassVar[int] = ROWS
    size: ClassVar[int] = SIZE

    def connect(self, path: Path) -> Connection:
        """Open the file, without a journal: nobody else reads it yet, and it need not survive a crash."""
        create(path)
        # An absolute path can't be read as a URL of SQLite's.
        connection = sqlite3.connect(path.absolute(), isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA page_size = 16384")  # each page has a cost
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
        except sqlite3.Error:
            connection.close()
            raise
        return cast("Connection", connection)

    def insert(self, connection: Connection, declared: Table, rows: Sequence[bytes]) -> None:
        """Add rows by one prepared statement.

        A column that is empty in all rows is written as NULL in the statement: binding None takes as long as
        binding five numbers, because the module looks for an adapter. The key is never empty.
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
    # For a bool, the module looks for an adapter as well; see `insert`.
    return [None if cell is None else int(cell) for cell in cells]


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
"""The function that converts a cell of a column for SQLite."""
