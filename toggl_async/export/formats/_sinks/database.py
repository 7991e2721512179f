"""Databases of one file: every dataset is a table, and rows and progress go in by one transaction.

While an export is under way the file is called ``toggl.SUFFIX.partial``. All tables are made, whether
their datasets are exported or not, so that the view `VIEW` works in any case.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import abc
import errno
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec

from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.sink import Commit, DaySum, FileFacts, Recovered
from toggl_async.export.mirror.storage import PARTIAL, sync_directory
from toggl_async.export.mirror.tables import DAY, ColumnType, Table, table
from toggl_async.export.plan.datasets import DATASETS, Dataset, Key
from toggl_async.export.rows import Known, Line

__all__ = ["PROGRESS", "VIEW", "Connection", "DatabaseSink"]

PROGRESS = "toggl_async_progress"
"""The table that says how far the pieces of the latest export came; it stays, as a record of its origin."""

VIEW = "time_entries_named"
"""The view of time entries with the names of user, project, client, task and tags as they are now."""

_RUN = "run"

_PART = 1 << 20


class Connection(Protocol):
    """What is used of a connection, which the two libraries have in common."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any:
        """Run a statement."""
        ...

    def executemany(self, query: str, parameters: Any = ..., /) -> Any:
        """Run a statement for each of many sets of parameters."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class DatabaseSink(abc.ABC):
    """A sink for a database of one file; each kind of database derives from it."""

    format: str
    finishes_in_thread = False
    suffix: ClassVar[str]
    types: ClassVar[Mapping[ColumnType, str]]
    failures: ClassVar[type[Exception]]
    settling: ClassVar[Sequence[str]] = ()
    """What brings everything into the file, before it is closed and gets its name."""
    division: ClassVar[str] = "/"
    """The operator that divides whole numbers into whole numbers."""
    tag_names: ClassVar[str]
    """A scalar query for the names of the tags of a time entry ``e``."""

    def __init__(self, directory: Path) -> None:
        """Args: directory: where the file goes."""
        self.directory = directory
        self._whole = directory / f"toggl{self.suffix}"
        self._partial = self._whole.with_name(self._whole.name + PARTIAL)
        self._connection: Connection | None = None
        self._finished: dict[str, FileFacts] = {}

    @abc.abstractmethod
    def connect(self, path: Path) -> Connection:
        """Open the file, so that nothing is written but in transactions that we begin ourselves."""

    @abc.abstractmethod
    def insert(self, declared: Table, lines: Sequence[Line]) -> None:
        """Add rows, in place of those with the same key, within the current transaction."""

    @property
    def database(self) -> Connection:
        """The open connection."""
        if self._connection is None:
            raise RuntimeError("the destination is not open")
        return self._connection

    def open(self, run: str, *, update: Collection[str]) -> Recovered:
        """Open the file under its partial name, and read the progress of this run; see `Sink.open`."""
        self._finished.clear()
        with self._failing():
            # One that is no longer as it was written keeps its name until the new one is whole.
            begun = self._partial.exists()
            if self._whole.exists() and not begun and (update or self._is_of(run)):
                self._whole.replace(self._partial)
            self._connection = self.connect(self._partial)
            recovered = self._recovered(run)
            if recovered is not None:
                return recovered
            if not update:  # of an export whose files were half removed by hand
                self._connection.close()
                self._partial.unlink()
                self._connection = self.connect(self._partial)
            with self._transaction():
                self._make_tables()
                self.database.execute(f"DELETE FROM {PROGRESS}")
                self._save(_RUN, run.encode(), 0)
            return Recovered()

    def commit(self, commit: Commit) -> None:
        """Write rows and progress in one transaction; see `Sink.commit`."""
        with self._failing(), self._transaction():
            if commit.dataset is not None:
                declared = table(commit.dataset.name)
                arriving = {line.id for line in commit.lines}
                gone = [
                    commit.dataset.key_of(commit.workspace_id, number)
                    for number in commit.removed
                    if number not in arriving
                ]
                if gone:
                    self._delete(declared, gone)
                if commit.lines:
                    self.insert(declared, commit.lines)
            self._save(commit.piece, msgspec.json.encode(commit.progress), commit.requests)

    def known(self, dataset: Dataset) -> Iterator[Known]:
        """Look at the rows of a table."""
        place = table(dataset.name).place
        names = [f'"{name}"' if name in place else "NULL" for name in ("workspace_id", "id", DAY, "seconds")]
        found = self.database.execute(f"SELECT {', '.join(names)} FROM {dataset.name}")
        while rows := found.fetchmany(1000):
            for workspace_id, number, day, seconds in rows:
                yield Known(workspace_id, number, self.day(day), seconds)

    def sums(self, dataset: Dataset) -> Iterator[DaySum]:
        """Have the database add up."""
        found = self.database.execute(
            # In two parts: their sums don't leave 64 bits, whatever Toggl may say of an entry's length.
            f"SELECT workspace_id, {DAY}, COUNT(*), SUM(seconds {self.division} {_PART}), "
            f"SUM(seconds % {_PART}) FROM {dataset.name} "
            f"WHERE {DAY} IS NOT NULL AND seconds IS NOT NULL GROUP BY workspace_id, {DAY}"
        )
        for workspace_id, day, rows, parts, rest in found.fetchall():
            yield DaySum(workspace_id, self.day(day), rows, int(parts) * _PART + int(rest))

    def day(self, cell: Any) -> Any:
        """What a cell of a DATE column is."""
        return cell

    def finish(self, dataset: Dataset) -> FileFacts:
        """Count the rows; there is no file of its own to make whole."""
        (rows,) = self.database.execute(f"SELECT COUNT(*) FROM {dataset.name}").fetchone()
        facts = self._finished[dataset.name] = FileFacts(file=self._whole.name, rows=rows)
        return facts

    def seal(self) -> None:
        """Close the file and give it its name."""
        with self._failing():
            for statement in self.settling:
                self.database.execute(statement)
            self.database.close()
            self._connection = None
        self._partial.replace(self._whole)
        sync_directory(self.directory)

    def stop(self) -> dict[str, FileFacts]:
        """Close the file, which keeps its partial name."""
        facts = {}
        if self._connection is not None:
            with suppress(self.failures):
                facts = {
                    name: FileFacts(file=self._partial.name, rows=self.finish(dataset).rows)
                    for name, dataset in DATASETS.items()
                }
            with suppress(self.failures):
                self._connection.close()
            self._connection = None
        return facts

    def clean(self) -> None:
        """Keep the progress: it is in the database, as a record of its origin."""
        self._finished.clear()

    def _is_of(self, run: str) -> bool:
        """Whether this run has given the file its name already, just before it ended."""
        with suppress(self.failures):
            self._connection = self.connect(self._whole)
            try:
                return self._recovered(run) is not None
            finally:
                self._connection.close()
        return False

    def _recovered(self, run: str) -> Recovered | None:
        """The progress that the file holds, if it is of this run."""
        made = self.database.execute(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = ?"
            if self.format == "duckdb"
            else "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
            [PROGRESS],
        ).fetchone()
        if not made[0]:
            return None
        rows = self.database.execute(f"SELECT piece, progress, requests FROM {PROGRESS}").fetchall()
        saved = {piece: (progress, requests) for piece, progress, requests in rows}
        if saved.pop(_RUN, ("", 0))[0] != run:
            return None
        return Recovered(
            progress={
                piece: msgspec.json.decode(progress, type=Progress) for piece, (progress, _) in saved.items()
            },
            requests=max((requests for _, requests in saved.values()), default=0),
        )

    def _make_tables(self) -> None:
        for name, dataset in DATASETS.items():
            columns = [f'"{column.name}" {self.types[column.kind]}' for column in table(name).columns]
            key = ", ".join(f'"{part}"' for part in dataset.key)
            self.database.execute(
                f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}, PRIMARY KEY ({key}))"
            )
        self.database.execute(
            f"CREATE TABLE IF NOT EXISTS {PROGRESS} "
            "(piece VARCHAR PRIMARY KEY, progress VARCHAR, requests INTEGER)"
        )
        self.database.execute(
            f"CREATE VIEW IF NOT EXISTS {VIEW} AS SELECT e.*, "
            "COALESCE(u.fullname, e.username) AS user_name, "
            "COALESCE(p.name, e.project_name) AS current_project_name, "
            "p.client_id AS client_id, COALESCE(c.name, e.client_name) AS current_client_name, "
            "COALESCE(t.name, e.task_name) AS current_task_name, "
            f"{self.tag_names} AS current_tag_names, w.name AS workspace_name "
            "FROM time_entries AS e "
            "LEFT JOIN users AS u ON u.workspace_id = e.workspace_id AND u.id = e.user_id "
            "LEFT JOIN projects AS p ON p.id = e.project_id "
            "LEFT JOIN clients AS c ON c.id = p.client_id "
            "LEFT JOIN tasks AS t ON t.id = e.task_id "
            "LEFT JOIN workspaces AS w ON w.id = e.workspace_id"
        )

    def _delete(self, declared: Table, keys: Sequence[Key]) -> None:
        where = " AND ".join(f'"{name}" = ?' for name in declared.dataset.key)
        self.database.executemany(f"DELETE FROM {declared.name} WHERE {where}", [list(key) for key in keys])

    def _save(self, piece: str, progress: bytes, requests: int) -> None:
        self.database.execute(
            f"INSERT OR REPLACE INTO {PROGRESS} VALUES (?, ?, ?)", [piece, progress.decode(), requests]
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, or leave everything as it was."""
        self.database.execute("BEGIN")
        try:
            yield
            self.database.execute("COMMIT")
        except BaseException:
            with suppress(self.failures):  # a full disk has rolled back by itself
                self.database.execute("ROLLBACK")
            raise

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Say what the database could not do as the system would.

        Raises:
            OSError: in place of the library's own error.
        """
        try:
            yield
        except self.failures as error:
            full = any(word in str(error).lower() for word in ("full", "no space", "too large"))
            raise OSError(
                errno.ENOSPC if full else errno.EIO, str(error), os.fspath(self._partial)
            ) from error
