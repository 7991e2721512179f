"""Parquet: one file per dataset, in row groups of `ROW_GROUP` rows, compressed with zstd."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from toggl_async.export.formats.arrow import arrow_schema, arrow_table
from toggl_async.export.formats.staged import StagedRows, StagedSink
from toggl_async.export.mirror.tables import DAY, Table, table
from toggl_async.export.plan.datasets import Dataset
from toggl_async.export.rows import Known

__all__ = ["ROW_GROUP", "Parquet", "sink"]

ROW_GROUP = 10_000
"""Rows to a group: small enough to stay flat in memory, large enough to compress."""


class Parquet:
    """The format ``parquet``."""

    name = "parquet"
    suffix = ".parquet"
    staged = False

    def write(self, path: Path, source: StagedRows) -> int:
        """Write what lives of the base, then the staged rows, group by group."""
        declared = table(source.dataset.name)
        rows = 0
        with pq.ParquetWriter(path, arrow_schema(declared), compression="zstd") as writer:
            if source.base is not None:
                for group in _living(source, declared, source.base):
                    writer.write_table(group)
                    rows += group.num_rows
            for lines in _groups(source.lines):
                group = arrow_table(declared, lines)
                writer.write_table(group)
                rows += group.num_rows
        return rows

    def known(self, path: Path, dataset: Dataset) -> Iterator[Known]:
        """Look at the rows of a file."""
        declared = table(dataset.name)
        names = [name for name in ("workspace_id", "id", DAY, "seconds") if name in declared.place]
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROW_GROUP, columns=names):
                for row in batch.to_pylist():
                    yield Known(row.get("workspace_id"), row["id"], row.get(DAY), row.get("seconds"))


def _living(source: StagedRows, declared: Table, base: Path) -> Iterator[pa.Table]:
    """The rows of a file that were not removed."""
    has_workspace = "workspace_id" in declared.place
    with pq.ParquetFile(base) as file:
        for batch in file.iter_batches(ROW_GROUP):
            ids = batch.column("id").to_pylist()
            workspaces = batch.column("workspace_id").to_pylist() if has_workspace else [None] * len(ids)
            lives = [
                not source.dead(source.dataset.key_of(workspace, number))
                for workspace, number in zip(workspaces, ids, strict=True)
            ]
            yield pa.Table.from_batches([batch]).filter(pa.array(lives, type=pa.bool_()))


def _groups(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in groups, of which only the last may be short."""
    left = iter(lines)
    while group := list(islice(left, ROW_GROUP)):
        yield group


def sink(directory: Path) -> StagedSink:
    """A sink of Parquet files."""
    return StagedSink(directory, Parquet())
