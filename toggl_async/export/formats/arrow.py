"""Rows as Arrow tables, for Parquet, and for programs with pandas or polars.

Needs pyarrow (the extra ``parquet``).
"""

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa

from toggl_async.export.formats.columns import ROWS, SIZE, portions
from toggl_async.export.mirror.cells import Cell, ColumnType
from toggl_async.export.mirror.tables import Table

__all__ = ["arrow_batch", "arrow_schema", "arrow_table"]

_ROWS = 5 * ROWS
"""Rows to a batch: each has its price, too."""

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


def arrow_schema(declared: Table) -> pa.Schema:
    """The columns of a table as Arrow has them; JSON is text, moments are in UTC."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in declared.columns])


def arrow_batch(declared: Table, schema: pa.Schema, portion: Sequence[bytes]) -> pa.RecordBatch:
    """Some rows, each one JSON object."""
    columns = declared.columns_of(portion)
    return pa.RecordBatch.from_arrays(
        [_array(cells, field.type) for cells, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def _array(cells: Sequence[Cell], kind: pa.DataType) -> pa.Array:
    """A column; moments pass as text, which Arrow reads in half the time that objects of Python take."""
    if kind != _TYPES[ColumnType.MOMENT]:
        return pa.array(cells, type=kind)
    return pa.array(msgspec.to_builtins(cells), type=pa.string()).cast(kind)


def arrow_table(declared: Table, lines: Iterable[bytes]) -> pa.Table:
    """Rows, each one JSON object, as an Arrow table."""
    schema = arrow_schema(declared)
    return pa.Table.from_batches(
        [arrow_batch(declared, schema, portion) for portion in portions(lines, rows=_ROWS, size=SIZE)],
        schema=schema,
    )
