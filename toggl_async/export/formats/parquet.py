"""Parquet: one file per dataset, in row groups of `ROW_GROUP` rows, compressed with zstd."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from toggl_async.export.formats.arrow import arrow_schema, arrow_table
from toggl_async.export.formats.columns import portions
from toggl_async.export.formats.files import create
from toggl_async.export.mirror.tables import Table

__all__ = ["ROW_GROUP", "Parquet"]

ROW_GROUP = 10_000
"""Rows per group: few enough to keep memory flat, enough to compress well."""

_SIZE = 16 << 20
"""Bytes of rows at which a group ends even with fewer rows."""


class Parquet:
    """The format ``parquet``."""

    name = "parquet"
    suffix = ".parquet"
    per_dataset = True

    def write(self, path: Path, tables: Iterable[tuple[Table, Iterable[bytes]]]) -> dict[str, int]:
        """Write the rows of one dataset, group by group; see `Format.write`."""
        ((declared, lines),) = tables
        rows = 0
        create(path)
        # pyarrow would take a path that begins like a URL for one, and refuse those that aren't UTF-8.
        with (
            path.open("wb") as sink,
            pq.ParquetWriter(sink, arrow_schema(declared), compression="zstd") as writer,
        ):
            for portion in portions(lines, rows=ROW_GROUP, size=_SIZE):
                writer.write_table(arrow_table(declared, portion))
                rows += len(portion)
        return {declared.name: rows}
