"""The tables of a mirror, in the SQL that all stores share; `Dialect` has what differs between them.

Each dataset is a table: the columns that `Table.stored` declares, then what a mirror knows of each row:

- ``revision``: grows with each change of any row of the mirror; no two rows have the same one.
- ``deleted_at``: when the mirror learned that Toggl no longer has the row, in UTC; null while it does. A
  deleted row stays, so that the feed can report it.
- ``raw``: the row as JSON, as Toggl sent it; null once it was forgotten.

In addition, there are the books, whose names begin with ``mirror_``: what the run is, how far its pieces are,
which rows they have not met yet, and the counter of revisions. They change in the same transaction as the
rows that they describe.

A store knows the number of its schema. A newer version of this library migrates an older schema in one
transaction when it opens it; an older version refuses a newer schema and leaves it alone. Columns are only
ever added, never renamed or given another meaning; a version fills the columns that it adds from ``raw``.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

from collections.abc import Callable, Iterator, Mapping

import attrs

from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table, table
from toggl_async.export.plan.datasets import DATASETS, ENTRIES

__all__ = [
    "COUNTER",
    "MARKS",
    "PROGRESS",
    "STATE",
    "UNMET",
    "VIEW",
    "Dialect",
    "Statements",
    "create",
    "create_view",
    "drop_view",
]

STATE, COUNTER, PROGRESS, UNMET = "mirror_state", "mirror_counter", "mirror_progress", "mirror_unmet"
"""The tables of the books: the run, the counters, the progress of each piece, and what it has not met yet."""

VIEW = "time_entries_named"
"""The view of the time entries that Toggl has, with current names of user, project, client, task and tags."""

MARKS = ("revision", "deleted_at", "raw")
"""What a mirror knows of each row. The row itself is last, so that other columns are read without it."""


@attrs.frozen(kw_only=True)
class Dialect:
    """The SQL that differs between databases.

    Attributes:
        mark: the placeholder of a parameter.
        differs: the operator that compares two values, and treats null as a value.
        types: the type of each kind of column.
        json_field: makes the expression for the text of a field, from the column with the JSON and the field.
        tag_names: the current names of the tags of a time entry ``e``, as an expression.
        clustered: the option of a table that has no columns beside its key.
    """

    mark: str
    differs: str
    types: Mapping[ColumnType, str]
    json_field: Callable[[str, str], str]
    tag_names: str
    clustered: str = ""


def _quoted(names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def create(dialect: Dialect) -> Iterator[str]:
    """Create all missing tables and indexes, whether or not the plan includes their datasets."""
    text, whole = dialect.types[ColumnType.TEXT], dialect.types[ColumnType.INTEGER]
    yield f"CREATE TABLE IF NOT EXISTS {STATE} (name {text} PRIMARY KEY, value {text} NOT NULL)"
    yield f"CREATE TABLE IF NOT EXISTS {COUNTER} (revision {whole} NOT NULL, requests {whole} NOT NULL)"
    yield f"CREATE TABLE IF NOT EXISTS {PROGRESS} (piece {text} PRIMARY KEY, progress {text} NOT NULL)"
    yield (
        f"CREATE TABLE IF NOT EXISTS {UNMET} (dataset {text} NOT NULL, id {whole} NOT NULL, "
        f"workspace_id {whole} NOT NULL, piece {text} NOT NULL, "
        f"PRIMARY KEY (dataset, id, workspace_id, piece)){dialect.clustered}"
    )
    for name in DATASETS:
        yield _create_table(dialect, table(name))
        # With `deleted_at`, so that rows can be counted by the index alone.
        yield f"CREATE INDEX IF NOT EXISTS {name}_revision ON {name} (revision, deleted_at)"
    # With the columns that sums by day need, so that whole rows need not be read.
    covered = "day, workspace_id, deleted_at, seconds"
    yield f"CREATE INDEX IF NOT EXISTS {ENTRIES.name}_day ON {ENTRIES.name} ({covered})"


def _create_table(dialect: Dialect, declared: Table) -> str:
    key = declared.dataset.key
    columns = []
    for column in declared.stored:
        kind = dialect.types[column.kind]
        columns.append(f'"{column.name}" {kind}{" NOT NULL" if column.name in key else ""}')
    whole, text = dialect.types[ColumnType.INTEGER], dialect.types[ColumnType.TEXT]
    columns += [f"revision {whole} NOT NULL", f"deleted_at {text}", f"raw {text}"]
    return f"CREATE TABLE IF NOT EXISTS {declared.name} ({', '.join(columns)}, PRIMARY KEY ({_quoted(key)}))"


def drop_view() -> str:
    """Drop the view, before tables change or it is created again."""
    return f"DROP VIEW IF EXISTS {VIEW}"


def create_view(dialect: Dialect) -> str:
    """Create the view of time entries with current names, or the report's names of what was deleted."""

    def name_then(field: str) -> str:
        return dialect.json_field("e.raw", field)

    def joined(name: str, on: str) -> str:
        return f"LEFT JOIN {name} AS {name[0]} ON {on} AND {name[0]}.deleted_at IS NULL "

    columns = ", ".join(f'e."{column.name}"' for column in table(ENTRIES.name).stored)
    return (
        f"CREATE VIEW {VIEW} AS SELECT {columns}, "
        f"COALESCE(u.fullname, {name_then('username')}) AS user_name, "
        f"COALESCE(p.name, {name_then('project_name')}) AS project_name, "
        "p.client_id AS client_id, "
        f"CASE WHEN p.id IS NULL THEN {name_then('client_name')} ELSE c.name END AS client_name, "
        f"COALESCE(t.name, {name_then('task_name')}) AS task_name, "
        f"{dialect.tag_names} AS tag_names, w.name AS workspace_name "
        f"FROM {ENTRIES.name} AS e "
        + joined("users", "u.workspace_id = e.workspace_id AND u.id = e.user_id")
        + joined("projects", "p.id = e.project_id")
        + joined("clients", "c.id = p.client_id")
        + joined("tasks", "t.id = e.task_id")
        + joined("workspaces", "w.id = e.workspace_id")
        + "WHERE e.deleted_at IS NULL"
    )


def _written(declared: Table) -> tuple[str, ...]:
    """The columns to write. `deleted_at` is left out, because it is null, and binding it would cost time."""
    return (*(column.name for column in declared.stored), *(mark for mark in MARKS if mark != "deleted_at"))


class Statements:
    """The statements on the table of one dataset.

    Args:
        dialect: the SQL of the database.
        declared: the table.
    """

    def __init__(self, dialect: Dialect, declared: Table) -> None:
        mark, name, key = dialect.mark, declared.name, declared.dataset.key
        self.columns: tuple[str, ...] = _written(declared)
        """The columns to write, in order."""
        self.is_row: str = " AND ".join(f"{part} = {mark}" for part in key)
        """The condition for one row, by its key."""
        values = ", ".join([mark] * len(self.columns))
        self.upsert: str = self.upsert_from(dialect, declared, f"VALUES ({values})")
        """Write a row; an unchanged one keeps its revision."""
        self.delete: str = (
            f"UPDATE {name} SET deleted_at = {mark}, revision = {mark} WHERE {self.is_row} "
            "AND deleted_at IS NULL"
        )
        """Mark a row as deleted: time, revision, key. One that is already deleted keeps both."""
        emptied = ", ".join(f'"{column.name}" = NULL' for column in declared.stored if column.name not in key)
        self.erase: str = (
            f"UPDATE {name} SET {emptied}, raw = NULL, deleted_at = {mark}, revision = {mark} "
            f"WHERE {self.is_row}"
        )
        """Erase all of a row but its key: time, revision, key."""
        self.all: str = f"SELECT id FROM {name} WHERE deleted_at IS NULL"
        """The ids of the rows that Toggl has."""
        self.of_workspace: str = f"{self.all} AND workspace_id = {mark}"
        """The ids of those in a workspace, if the table has it."""
        self.count: str = f"SELECT COUNT(*) FROM {name} WHERE deleted_at IS NULL"
        """How many rows Toggl has."""
        self.met: str = f"DELETE FROM {UNMET} WHERE dataset = '{name}' AND id = {mark}" + (
            f" AND workspace_id = {mark}" if declared.dataset.key_has_workspace else ""
        )
        """Note that a row was met: its id, and its workspace if the id is unique only there."""

    @staticmethod
    def upsert_from(dialect: Dialect, declared: Table, source: str) -> str:
        """Write rows from a source, VALUES or a SELECT, with the columns `columns`."""
        name, key = declared.name, declared.dataset.key
        columns = _written(declared)
        changed = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in key)
        return (
            f"INSERT INTO {name} ({_quoted(columns)}) {source} "
            f"ON CONFLICT ({_quoted(key)}) DO UPDATE SET {changed}, deleted_at = NULL "
            f"WHERE {name}.raw {dialect.differs} excluded.raw OR {name}.deleted_at IS NOT NULL"
        )
