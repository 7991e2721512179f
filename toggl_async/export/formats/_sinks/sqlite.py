"""SQLite: ``toggl.sqlite``, with the standard library's module.

Moments are ISO 8601 text in UTC, which sorts and which SQLite's own date functions read; days are
text; truth values 0 and 1; lists and objects JSON, for ``json_each``.
"""

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import msgspec

from toggl_async.export.formats._sinks.database import Connection, DatabaseSink
from toggl_async.export.mirror.tables import Cell, ColumnType, Table
from toggl_async.export.rows import Line, day_of

__all__ = ["SqliteSink", "sink"]


class SqliteSink(DatabaseSink):
    """The format ``sqlite``."""

    format = "sqlite"
    suffix: ClassVar[str] = ".sqlite"
    failures: ClassVar[type[Exception]] = sqlite3.Error
    types: ClassVar[Mapping[ColumnType, str]] = {
        # BIGINT, since INTEGER as the only key would be made the row's number, and never null.
        ColumnType.INTEGER: "BIGINT",
        ColumnType.NUMBER: "REAL",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.TEXT: "TEXT",
        ColumnType.MOMENT: "TEXT",
        ColumnType.DAY: "TEXT",
        ColumnType.INTEGERS: "TEXT",
        ColumnType.TEXTS: "TEXT",
        ColumnType.JSON: "TEXT",
    }
    tag_names: ClassVar[str] = (
        "(SELECT json_group_array(g.name) FROM json_each(e.tag_ids) AS j JOIN tags AS g ON g.id = j.value)"
    )

    def connect(self, path: Path) -> Connection:
        """Open the file; transactions are begun by hand."""
        return cast("Connection", sqlite3.connect(path, isolation_level=None))

    def insert(self, declared: Table, lines: Sequence[Line]) -> None:
        """Add rows by one prepared statement."""
        marks = ", ".join("?" * len(declared.columns))
        self.database.executemany(
            f"INSERT OR REPLACE INTO {declared.name} VALUES ({marks})",  # noqa: S608 - names of our own
            [list(map(_cell, declared.values(line.data))) for line in lines],
        )

    def day(self, cell: Any) -> Any:
        """Days are text here."""
        return day_of(cell)


def _cell(value: Cell) -> object:
    """A cell as SQLite has it."""
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case dt.date():
            return value.isoformat()
        case list():
            return msgspec.json.encode(value).decode()
        case _:
            return value


def sink(directory: Path) -> SqliteSink:
    """A sink of one SQLite file."""
    return SqliteSink(directory)
