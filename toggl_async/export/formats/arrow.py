"""Rows as Arrow tables, for Parquet, for DuckDB, and for programs with pandas or polars.

Needs pyarrow (the extra ``parquet`` or ``duckdb``).
"""

from collections.abc import Iterable

import pyarrow as pa

from toggl_async.export.mirror.tables import Kind, Table

__all__ = ["arrow_schema", "arrow_table"]

_TYPES = {
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TEXT: pa.string(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    Kind.DAY: pa.date32(),
    Kind.INTEGERS: pa.list_(pa.int64()),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.JSON: pa.string(),
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
