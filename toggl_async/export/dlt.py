"""A source for dlt: the datasets of a mirror, loaded into any database, warehouse or lake that dlt knows.

::

    pipeline = dlt.pipeline("toggl", destination="duckdb", dataset_name="tracked")
    pipeline.run(toggl_source("sqlite:///mirror.sqlite"))

The first load brings everything. Each later one brings what has changed in the mirror since then, and removes
what was deleted. Needs the extra ``dlt``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from toggl_async._extras import needed_by
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.store import Change, RowStore
from toggl_async.export.mirror.tables import Table, table
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.plan.arguments import dataset_names
from toggl_async.export.plan.datasets import DATASETS

with needed_by("toggl_async.export.dlt", "dlt"):
    import dlt
    import pyarrow as pa
    import pyarrow.compute as pc
    from dlt.common.data_types.typing import TDataType
    from dlt.common.schema.typing import TColumnSchema, TDeleteInsertStrategyDict
    from dlt.extract import DltResource, DltSource

    from toggl_async.export.formats.arrow import arrow_schema, arrow_table

__all__ = ["DELETED", "REVISION", "toggl_source"]

REVISION, DELETED = "revision", "deleted"
"""The additional columns: the revision of a row's last change, and whether that is a deletion, which is false
for every row that exists."""

_ROWS = 5000
"""Changes to an Arrow table."""

_State: TypeAlias = dict[str, Any]

_MERGE: TDeleteInsertStrategyDict = {"disposition": "merge", "strategy": "delete-insert"}
# The strategy "upsert" writes the deletion of a row that it has never seen, and keeps it.

_TYPES: Mapping[ColumnType, TDataType] = {
    ColumnType.INTEGER: "bigint",
    ColumnType.NUMBER: "double",
    ColumnType.BOOLEAN: "bool",
    ColumnType.MOMENT: "timestamp",
    ColumnType.DAY: "date",
}
"""dlt's types; everything else is text. So are lists, which not every destination has."""


def toggl_source(mirror_url: str, *, datasets: Collection[str] | None = None) -> DltSource:
    """The datasets of a mirror, each a resource with its primary key and the types of its columns.

    dlt keeps in its state which revision of which mirror it has loaded. Each dataset is of one moment, even
    during a refresh. If the mirror was made again, start over as well: ``pipeline.run(toggl_source(…),
    refresh="drop_sources")`` loads everything again.

    The columns are those of the Parquet export, with times in UTC and lists as JSON text, plus `REVISION` and
    `DELETED`. A cell that contains a NUL is null, because many databases don't accept it; the mirror has it.

    Args:
        mirror_url: the mirror, as for `toggl_async.export.Mirror`.
        datasets: names of datasets; all of them by default.

    Returns:
        For ``pipeline.run``.

    Raises:
        InvalidInput: the URL doesn't name a mirror, or there is no such dataset; or, on loading, as the cause
            of dlt's own error: there is no mirror, or it is not the one that was loaded before.
    """
    store = store_of(mirror_url)
    names = DATASETS if datasets is None else dict.fromkeys(dataset_names(datasets, "datasets"))
    tables = [table(name) for name in names]

    @dlt.source(name="toggl", max_table_nesting=0)
    def toggl() -> list[DltResource]:
        return [_resource(store, declared) for declared in tables]

    return toggl()


def _resource(store: RowStore, declared: Table) -> DltResource:
    key = declared.dataset.key
    columns: dict[str, TColumnSchema] = {
        column.name: {"data_type": _TYPES.get(column.kind, "text"), "nullable": column.name not in key}
        for column in declared.columns
    }
    columns[REVISION] = {"data_type": "bigint", "nullable": False}
    columns[DELETED] = {"data_type": "bool", "nullable": False, "hard_delete": True}

    @dlt.resource(name=declared.name, primary_key=list(key), columns=columns, write_disposition=_MERGE)
    def changed() -> Iterator[pa.Table]:
        yield from _changed(store, declared, dlt.current.resource_state())

    return changed()


def _changed(store: RowStore, declared: Table, state: _State) -> Iterator[pa.Table]:
    """What has changed since the state, which is brought up to date."""
    with store.snapshot() as snapshot:
        if state.setdefault("mirror", snapshot.id) != snapshot.id:
            raise InvalidInput(
                f"{store.name} is not the mirror that was loaded before; "
                'to load everything again, call pipeline.run(source, refresh="drop_sources")'
            )
        changes = snapshot.changes(state.get(REVISION, 0), declared.dataset)
        if REVISION not in state:
            state[REVISION] = 0
            yield _arrow(declared, ())  # so that a dataset without rows is a table, too
        while portion := list(islice(changes, _ROWS)):
            yield _arrow(declared, portion)
            state[REVISION] = portion[-1].revision


def _arrow(declared: Table, changes: Sequence[Change]) -> pa.Table:
    """Changes as an Arrow table: those of deleted rows have but their keys."""
    schema = arrow_schema(declared)
    rows = [change for change in changes if change.row is not None]
    gone = [change for change in changes if change.row is None]
    empty = pa.table([pa.nulls(len(gone), field.type) for field in schema], schema=schema)
    whole = pa.concat_tables([arrow_table(declared, (change.row or b"" for change in rows)), empty])
    ordered = [*rows, *gone]
    for place, name in enumerate(declared.dataset.key):
        keys = [change.key[place] for change in ordered]
        whole = whole.set_column(whole.schema.get_field_index(name), name, pa.array(keys, pa.int64()))
    for place, column in enumerate(declared.columns):
        if column.kind not in _TYPES:
            whole = whole.set_column(place, column.name, _text(whole.column(place)))
    whole = whole.append_column(REVISION, pa.array([change.revision for change in ordered], pa.int64()))
    whole = whole.append_column(DELETED, pa.array([change.deleted for change in ordered], pa.bool_()))
    filled = {*declared.dataset.key, REVISION, DELETED}
    return whole.cast(pa.schema([field.with_nullable(field.name not in filled) for field in whole.schema]))


def _text(cells: pa.ChunkedArray) -> pa.Array:
    """A column as text without a NUL in it."""
    if pa.types.is_list(cells.type):
        cells = pa.chunked_array([[_json(cell) for cell in cells.to_pylist()]], pa.string())
    has_nul = pc.call_function("match_substring", [cells], pc.MatchSubstringOptions("\0"))
    return pc.call_function("if_else", [has_nul, pa.scalar(None, pa.string()), cells])


def _json(cell: Sequence[Any] | None) -> str | None:
    return None if cell is None else msgspec.json.encode(cell).decode()
