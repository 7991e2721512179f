"""DuckDB: ``toggl.duckdb``, for DuckDB 1.2 and later.

Times are TIMESTAMP WITH TIME ZONE, lists are lists, objects are JSON. Needs duckdb (the extra ``duckdb``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import duckdb
import msgspec

from toggl_async.export.formats.columns import ROWS, SIZE, portions
from toggl_async.export.formats.database import Connection, DatabaseFile
from toggl_async.export.formats.files import READABLE, create
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table

__all__ = ["DuckDb"]

_CONFIG: Mapping[str, Any] = {
    # An export leaves memory to other programs, but 48 MB are too little for rows of 5 MB.
    "memory_limit": "64MB",
    "threads": 1,
    # Every open column holds some blocks. With blocks of the default size, 256 KiB, all columns together need
    # more memory than the limit.
    "default_block_size": "65536",
    # Without it, older versions could not read what a newer one has written.
    "storage_compatibility_version": "v1.2.0",
    # Everything that is needed is built in, so nothing may be downloaded.
    "autoinstall_known_extensions": False,
}


class DuckDb(DatabaseFile):
    """The format ``duckdb``."""

    name = "duckdb"
    suffix = ".duckdb"
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
    tag_names: ClassVar[str] = (
        "(SELECT list(g.name ORDER BY g.name) FROM tags AS g WHERE list_contains(e.tag_ids, g.id))"
    )
    # Closing writes a checkpoint as well, but doesn't report it if that fails.
    settling: ClassVar[Sequence[str]] = ("CHECKPOINT",)
    rows: ClassVar[int] = 2048  # DuckDB's own vector size; each statement costs some ms
    size: ClassVar[int] = 2 << 20

    def connect(self, path: Path) -> Connection:
        """Open the file with little memory and one thread."""
        create(path)
        # DuckDB doesn't accept an empty file as a new database; creating one showed that it is possible.
        path.unlink()
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
        # DuckDB would load an extension for a path that begins like a URL, as no absolute path does.
        connection = cast("Connection", duckdb.connect(str(path.absolute()), config=dict(_CONFIG)))
        try:
            path.chmod(READABLE)
            # Optimizing these statements takes longer than running them, and improves nothing.
            connection.execute("PRAGMA disable_optimizer")
        except BaseException:
            connection.close()
            raise
        return connection

    def insert(self, connection: Connection, declared: Table, rows: Sequence[bytes]) -> None:
        """Add rows, each column as one list in JSON, which DuckDB reads faster than single values."""
        lists = ", ".join(
            f"unnest(from_json(${place}, '{_LISTS[column.kind]}')) AS \"{column.name}\""
            for place, column in enumerate(declared.columns, start=1)
        )
        cells = ", ".join(
            (_JSON if column.kind is ColumnType.JSON else '"{0}"').format(column.name)
            for column in declared.columns
        )
        connection.execute(
            f"INSERT INTO {declared.name} SELECT {cells} FROM (SELECT {lists})",  # noqa: S608 - names of our own
            _as_lists(declared, rows),
        )


def _as_lists(declared: Table, rows: Sequence[bytes]) -> list[str]:
    """The columns of some rows, each as a list in JSON."""
    encode = msgspec.json.encode
    pieces = [
        [encode(cells)[1:-1] for cells in declared.columns_of(portion)]
        for portion in portions(rows, rows=ROWS, size=SIZE)
    ]
    return [f"[{b','.join(column).decode()}]" for column in zip(*pieces, strict=True)]


_LISTS: Mapping[ColumnType, str] = {
    ColumnType.INTEGER: '["BIGINT"]',
    ColumnType.NUMBER: '["DOUBLE"]',
    ColumnType.BOOLEAN: '["BOOLEAN"]',
    ColumnType.TEXT: '["VARCHAR"]',
    ColumnType.MOMENT: '["TIMESTAMPTZ"]',
    ColumnType.DAY: '["DATE"]',
    ColumnType.INTEGERS: '[["BIGINT"]]',
    ColumnType.TEXTS: '[["VARCHAR"]]',
    ColumnType.JSON: '["VARCHAR"]',
}
"""A column as a list in JSON."""

_JSON = 'CASE WHEN json_valid("{0}") THEN CAST("{0}" AS JSON) ELSE to_json("{0}") END'
"""A cast of JSON. What DuckDB doesn't accept as JSON, such as half a surrogate pair, becomes a JSON string.

TRY_CAST should do the same, but raises on some values in DuckDB 1.4.
"""
