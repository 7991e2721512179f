"""Rows as Arrow tables, for Parquet, for DuckDB, and for programs with pandas or polars.

Needs pyarrow (the extra ``parquet`` or ``duckdb``).
"""

from collections.abc import Iterable

import pyarrow as pa

from toggl_async.export.mirror.tables import ColumnType, Table

__all__ = ["arrow_schema", "arrow_table"]

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


def arrow_table(declared: Table, lines: Iterable[bytes]) -> pa.Table:
    """Rows, each one JSON object, as an Arrow table."""
    rows = [declared.values(line) for line in lines]
    columns = zip(*rows, strict=True) if rows else [[] for _ in declared.columns]
    schema = arrow_schema(declared)
    return pa.Table.from_arrays(
        [pa.array(list(cells), type=field.type) for cells, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
