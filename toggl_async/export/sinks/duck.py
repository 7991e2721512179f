"""DuckDB: ``toggl.duckdb``, filled through Arrow, which takes a page of rows in milliseconds.

Moments are TIMESTAMP WITH TIME ZONE, lists are lists, objects are JSON. Needs duckdb and pyarrow (the
extra ``duckdb``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

import duckdb

from toggl_async.export.arrow import arrow_table
from toggl_async.export.rows import Line
from toggl_async.export.sinks.database import Connection, DatabaseSink
from toggl_async.export.tables import Kind, Table

__all__ = ["DuckDbSink", "sink"]

_MEMORY = "32MB"
"""What DuckDB may take for its cache: an export stays flat, the machine is not its own."""


class DuckDbSink(DatabaseSink):
    """The format ``duckdb``."""

    format = "duckdb"
    suffix: ClassVar[str] = ".duckdb"
    failures: ClassVar[type[Exception]] = duckdb.Error
    types: ClassVar[Mapping[Kind, str]] = {
        Kind.INTEGER: "BIGINT",
        Kind.NUMBER: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TEXT: "VARCHAR",
        Kind.MOMENT: "TIMESTAMP WITH TIME ZONE",
        Kind.DAY: "DATE",
        Kind.INTEGERS: "BIGINT[]",
        Kind.TEXTS: "VARCHAR[]",
        Kind.JSON: "JSON",
    }
    # To close checkpoints as well, but says nothing when it fails, and leaves the rows in a second file.
    settling: ClassVar[Sequence[str]] = ("CHECKPOINT",)
    tag_names: ClassVar[str] = (
        "(SELECT list(g.name ORDER BY g.name) FROM tags AS g WHERE list_contains(e.tag_ids, g.id))"
    )

    def connect(self, path: Path) -> Connection:
        """Open the file with little memory and one thread: rows come slowly enough."""
        connection = duckdb.connect(str(path), config={"memory_limit": _MEMORY, "threads": 1})
        return cast("Connection", connection)

    def insert(self, declared: Table, lines: Sequence[Line]) -> None:
        """Add rows as an Arrow table."""
        connection = cast("duckdb.DuckDBPyConnection", self.database)
        arriving = arrow_table(declared, [line.data for line in lines])
        keyed = " AND ".join(f'"{name}" IS NOT NULL' for name in declared.dataset.key)
        into = f"INTO {declared.name} SELECT * FROM arriving WHERE"  # noqa: S608 - names of our own
        connection.register("arriving", arriving)
        try:
            connection.execute(f"INSERT OR REPLACE {into} {keyed}")
            if any(arriving.column(name).null_count for name in declared.dataset.key):
                # To replace, DuckDB takes all odd rows for one, since their keys are all null.
                connection.execute(f"INSERT {into} NOT ({keyed})")
        finally:
            connection.unregister("arriving")


def sink(directory: Path) -> DuckDbSink:
    """A sink of one DuckDB file."""
    return DuckDbSink(directory)
