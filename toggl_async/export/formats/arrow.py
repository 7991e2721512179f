"""Rows as Arrow tables, for Parquet, and for programs with pandas or polars.

Needs pyarrow (the extra ``parquet``).
"""

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa

from toggl_async.export.formats.columns import ROWS, SIZE, portions
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table

__all__ = ["arrow_schema", "arrow_table"]

_ROWS = 3 * ROWS // 2
"""Rows per batch. A batch has a fixed cost, but a larger one holds enough lists to start the collector."""

_TYPES = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TEXT: pa.string(),
    ColumnType.MOMENT: pa.timestamp("us", tz="UTC"),
    ColumnType.DAY: pa.date32(),
    ColumnType.INTEGERS: pa.list_(pa.int64()),
    ColumnType.TEXTS: pa.list_(pa.string()),
    ColumnType.JSON: pa.string(),
}

_PASSED = {_TYPES[ColumnType.MOMENT]: pa.string()}


def arrow_schema(declared: Table) -> pa.Schema:
    """The columns of a table as Arrow has them; JSON is text, moments are in UTC."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in declared.columns])


def arrow_table(declared: Table, lines: Iterable[bytes]) -> pa.Table:
    """Convert rows, each one JSON object, to an Arrow table."""
    schema = arrow_schema(declared)
    # Times are passed as text: Arrow parses a whole column in half the time that it takes to read objects.
    texts = pa.schema([(field.name, _PASSED.get(field.type, field.type)) for field in schema])
    batches = [_batch(declared, texts, portion) for portion in portions(lines, rows=_ROWS, size=SIZE)]
    return pa.Table.from_batches(batches, schema=texts).cast(schema)


def _batch(declared: Table, schema: pa.Schema, portion: Sequence[bytes]) -> pa.RecordBatch:
    """Convert some rows, each one JSON object."""
    arrays = []
    for column, cells, field in zip(declared.columns, declared.columns_of(portion), schema, strict=True):
        passed = msgspec.to_builtins(cells) if column.kind is ColumnType.MOMENT else cells
        arrays.append(pa.array(passed, type=field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
