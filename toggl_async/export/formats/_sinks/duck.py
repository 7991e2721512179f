"""DuckDB: ``toggl.duckdb``, filled through Arrow, which takes a page of rows in milliseconds.

Moments are TIMESTAMP WITH TIME ZONE, lists are lists, objects are JSON. Needs duckdb and pyarrow (the
extra ``duckdb``).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, groupby
from pathlib import Path
from typing import ClassVar, cast

import duckdb

from toggl_async.export.formats._sinks.database import Connection, DatabaseSink
from toggl_async.export.formats.arrow import arrow_table
from toggl_async.export.mirror.tables import ColumnType, Table
from toggl_async.export.rows import Line

__all__ = ["DuckDbSink", "sink"]

_MEMORY = "64MB"
"""What DuckDB may take: an export stays flat, the machine is not its own. Versions differ in what rows that
are replaced need; 24 MB are too little for 2.0, and 48 for a page of the longest descriptions."""

_BLOCK = "65536"
"""Bytes to a block of a new file. Every column that is written to holds some blocks: those of 256 KiB,
which are usual, need more memory for all columns than there is."""

_AT_ONCE = 1 << 20
"""Bytes of rows to a statement: a page of the longest descriptions is over 3 MB, held several times."""


class DuckDbSink(DatabaseSink):
    """The format ``duckdb``."""

    format = "duckdb"
    suffix: ClassVar[str] = ".duckdb"
    failures: ClassVar[type[Exception]] = duckdb.Error
    types: ClassVar[Mapping[ColumnType, str]] = {
        ColumnType.INTEGER: "BIGINT",
        ColumnType.NUMBER: "DOUBLE",
        ColumnType.BOOLEAN: "BOOLEAN",
        ColumnType.TEXT: "VARCHAR",
        ColumnType.MOMENT: "TIMESTAMP WITH TIME ZONE",
        ColumnType.DAY: "DATE",
        ColumnType.INTEGERS: "BIGINT[]",
        ColumnType.TEXTS: "VARCHAR[]",
        ColumnType.JSON: "JSON",
    }
    # To close checkpoints as well, but says nothing when it fails, and leaves the rows in a second file.
    settling: ClassVar[Sequence[str]] = ("CHECKPOINT",)
    division: ClassVar[str] = "//"
    tag_names: ClassVar[str] = (
        "(SELECT list(g.name ORDER BY g.name) FROM tags AS g WHERE list_contains(e.tag_ids, g.id))"
    )

    def connect(self, path: Path) -> Connection:
        """Open the file with little memory and one thread: rows come slowly enough."""
        connection = duckdb.connect(
            str(path), config={"memory_limit": _MEMORY, "default_block_size": _BLOCK, "threads": 1}
        )
        return cast("Connection", connection)

    def insert(self, declared: Table, lines: Sequence[Line]) -> None:
        """Add rows as Arrow tables of about `_AT_ONCE` bytes."""
        ends = accumulate(len(line.data) for line in lines)
        for _, group in groupby(zip(ends, lines, strict=True), key=lambda pair: pair[0] // _AT_ONCE):
            self._insert(declared, [line.data for _, line in group])

    def _insert(self, declared: Table, rows: Sequence[bytes]) -> None:
        connection = cast("duckdb.DuckDBPyConnection", self.database)
        arriving = arrow_table(declared, rows)
        connection.register("arriving", arriving)
        try:
            connection.execute(f"INSERT OR REPLACE INTO {declared.name} SELECT * FROM arriving")  # noqa: S608 - names of our own
        finally:
            with suppress(duckdb.Error):  # in a transaction that failed it says so, and hides the cause
                connection.unregister("arriving")


def sink(directory: Path) -> DuckDbSink:
    """A sink of one DuckDB file."""
    return DuckDbSink(directory)
