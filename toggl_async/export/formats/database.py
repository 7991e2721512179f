"""Single-file databases: every dataset is a table, and everything is written in one transaction.

All tables are created, whether or not their datasets are exported, so that the view `VIEW` always works. They
have no primary key: a row that Toggl sent twice is there twice, as in every other format.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from toggl_async.export.formats.columns import portions
from toggl_async.export.formats.files import failing
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table, table
from toggl_async.export.plan.datasets import DATASETS

__all__ = ["VIEW", "Connection", "DatabaseFile"]

VIEW = "time_entries_named"
"""The view of time entries with the current names of user, project, client, task and tags."""


class Connection(Protocol):
    """The methods of a connection that both libraries have."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any:
        """Run a statement."""
        ...

    def executemany(self, query: str, parameters: Any = ..., /) -> Any:
        """Run a statement for each of many sets of parameters."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class DatabaseFile(abc.ABC):
    """A format that is a database of one file; each kind of database derives from it."""

    name: str
    suffix: str
    per_dataset = False
    failures: ClassVar[type[Exception]]
    """The library's own errors."""
    types: ClassVar[Mapping[ColumnType, str]]
    tag_names: ClassVar[str]
    """A scalar query for the names of the tags of a time entry ``e``."""
    indexed: ClassVar[bool] = False
    """Whether tables get an index of their key; without one, they are scanned."""
    settling: ClassVar[Sequence[str]] = ()
    """The statement that moves everything into the file after the transaction."""
    rows: ClassVar[int]
    """The most rows of a statement."""
    size: ClassVar[int]
    """Bytes of rows at which a statement ends even with fewer rows."""

    @abc.abstractmethod
    def connect(self, path: Path) -> Connection:
        """Create the file, on a connection that begins no transaction by itself."""

    @abc.abstractmethod
    def insert(self, connection: Connection, declared: Table, rows: Sequence[bytes]) -> None:
        """Add a portion of rows within the current transaction."""

    def write(self, path: Path, tables: Iterable[tuple[Table, Iterable[bytes]]]) -> dict[str, int]:
        """Write datasets, each into its table; see `Format.write`."""
        counts: dict[str, int] = {}
        with self._opened(path) as connection:
            with failing(self.failures, path):
                connection.execute("BEGIN")
                self._make_tables(connection)
            for declared, lines in tables:
                counts[declared.name] = 0
                for portion in portions(lines, rows=self.rows, size=self.size):
                    # Only here: the rows come from a database as well, whose errors are not about this file.
                    with failing(self.failures, path):
                        self.insert(connection, declared, portion)
                    counts[declared.name] += len(portion)
            with failing(self.failures, path):
                connection.execute("COMMIT")
                for statement in self.settling:
                    connection.execute(statement)
        return counts

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Connection]:
        with failing(self.failures, path):
            connection = self.connect(path)
        try:
            yield connection
        except BaseException:
            with suppress(self.failures):  # a file that could not be written can't even be closed properly
                connection.close()
            raise
        with failing(self.failures, path):
            connection.close()

    def _make_tables(self, connection: Connection) -> None:
        for name, dataset in DATASETS.items():
            columns = [
                f'"{column.name}" {self.types[column.kind]}'
                + (" NOT NULL" if column.name in dataset.key else "")
                for column in table(name).columns
            ]
            connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            if self.indexed:
                key = ", ".join(f'"{part}"' for part in dataset.key)
                connection.execute(f"CREATE INDEX {name}_key ON {name} ({key})")
        connection.execute(
            f"CREATE VIEW {VIEW} AS SELECT e.*, "
            "COALESCE(u.fullname, e.username) AS user_name, "
            "COALESCE(p.name, e.project_name) AS current_project_name, "
            "p.client_id AS client_id, "
            # The project may have lost its client since.
            "CASE WHEN p.id IS NOT NULL AND p.client_id IS NULL THEN NULL "
            "ELSE COALESCE(c.name, e.client_name) END AS current_client_name, "
            "COALESCE(t.name, e.task_name) AS current_task_name, "
            f"{self.tag_names} AS current_tag_names, w.name AS workspace_name "
            "FROM time_entries AS e "
            "LEFT JOIN users AS u ON u.workspace_id = e.workspace_id AND u.id = e.user_id "
            "LEFT JOIN projects AS p ON p.id = e.project_id "
            "LEFT JOIN clients AS c ON c.id = p.client_id "
            "LEFT JOIN tasks AS t ON t.id = e.task_id "
            "LEFT JOIN workspaces AS w ON w.id = e.workspace_id"
        )
