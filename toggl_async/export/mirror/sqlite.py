"""A mirror in a SQLite file, with the standard library's module: the store that needs nothing else.

Readers see a consistent state while a run goes on, because the file has a write-ahead log (WAL); what is
committed is brought to the disk (``synchronous = FULL``). Statements keep to what SQLite 3.40 knows.
"""

import errno
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.lock import Lock
from toggl_async.export.mirror.schema import STATE, Dialect, Statements
from toggl_async.export.mirror.sql import Cursor, SqlSnapshot, SqlStore
from toggl_async.export.mirror.storage import make_private
from toggl_async.export.mirror.store import Forget, Standing, Values
from toggl_async.export.mirror.tables import Table
from toggl_async.export.rows import Stored

__all__ = ["TYPES", "SqliteStore"]

_PATIENCE = 60.0
"""Seconds that another program may hold the file for a change of its own."""

_SYNCHRONOUS = "FULL"

_LOG = 64 * 1024 * 1024
"""Bytes that the write-ahead log is cut to, once readers that were open for long are gone."""

_OF_THE_FILE = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
)
"""Codes of errors that no statement is to blame for."""

TYPES: Mapping[ColumnType, str] = {
    ColumnType.INTEGER: "INTEGER",
    ColumnType.NUMBER: "REAL",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TEXT: "TEXT",
    ColumnType.MOMENT: "TEXT",
    ColumnType.DAY: "TEXT",
    ColumnType.INTEGERS: "TEXT",
    ColumnType.TEXTS: "TEXT",
    ColumnType.JSON: "TEXT",
}
"""What SQLite calls the types of columns."""

_DIALECT = Dialect(
    mark="?",
    differs="IS NOT",
    types=TYPES,
    json_field=lambda column, field: f"json_extract({column}, '$.{field}')",
    tag_names=(
        "(SELECT json_group_array(g.name) FROM json_each(e.tag_ids) AS j "
        "JOIN tags AS g ON g.id = j.value AND g.deleted_at IS NULL)"
    ),
    clustered=" WITHOUT ROWID",
)


class SqliteStore(SqlStore):
    """A store of one SQLite file.

    Args:
        path: the file; it is made, with its directory, for nobody but its owner to read.
    """

    dialect: ClassVar[Dialect] = _DIALECT

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.name: str = str(path)
        self._lock = Lock(path)
        self._connection: sqlite3.Connection | None = None

    @property
    def database(self) -> sqlite3.Connection:
        """The open connection."""
        if self._connection is None:
            raise RuntimeError(f"{self.name} is not open")
        return self._connection

    def connect(self) -> None:
        """See `SqlStore.connect`."""
        self.close()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self.path)
            self._connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._connection.execute(f"PRAGMA journal_size_limit = {_LOG}")
            self._refuse_other()
        except (OSError, sqlite3.Error) as error:
            self.close()
            why = error.strerror if isinstance(error, OSError) else error
            raise InvalidInput(f"cannot open {self.path} as a mirror: {why}") from error
        except InvalidInput:
            self.close()
            raise

    def _refuse_other(self) -> None:
        """Leave alone a database that isn't ours."""
        (there,) = self.database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if there and not self.has_books():
            raise InvalidInput(f"{self.path} is a database, but not a mirror of toggl_async")

    def has_books(self) -> bool:
        """See `SqlStore.has_books`."""
        statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self.execute(statement, (STATE,)).fetchone() is not None

    def columns_of(self, declared: Table) -> Collection[str]:
        """See `SqlStore.columns_of`."""
        return {row[1] for row in self.execute(f"PRAGMA table_info({declared.name})").fetchall()}

    def close(self) -> None:
        """See `RowStore.close`."""
        self.release()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def hold(self) -> Standing:
        """See `RowStore.hold`."""
        self._lock.take()
        try:
            return self.standing()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """See `RowStore.release`."""
        self._lock.let_go()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqlStore.transaction`; a deferred BEGIN would fail at its first write beside another's."""
        with self.failing():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back by itself
                    self.database.execute("ROLLBACK")
                raise

    def execute(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """See `SqlStore.execute`."""
        return self.database.execute(statement, parameters)

    def execute_many(self, statement: str, parameters: Sequence[Sequence[Stored]]) -> None:
        """See `SqlStore.execute_many`."""
        self.database.executemany(statement, parameters)

    def upsert(self, declared: Table, statements: Statements, rows: Sequence[Sequence[Stored]]) -> None:  # noqa: ARG002 - others need it
        """See `SqlStore.upsert`."""
        self.database.executemany(statements.upsert, rows)

    def forget(self, chosen: Forget) -> int:
        """See `RowStore.forget`; what is forgotten leaves the free pages of the file, too."""
        with self.failing():
            self.execute("PRAGMA secure_delete = ON")
        return super().forget(chosen)

    def failing(self) -> AbstractContextManager[None]:
        """See `SqlStore.failing`."""
        return _failing(self.name)

    @contextmanager
    def snapshot(self) -> Iterator[SqlSnapshot]:
        """See `RowStore.snapshot`."""
        with self.failing():
            url = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(
                url, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        with closing(connection):
            with self.failing():
                connection.execute("BEGIN")
                connection.execute(f"SELECT 1 FROM {STATE}").fetchone()  # noqa: S608 - a snapshot begins as it is first read
            yield _SqliteSnapshot(self, connection)


class _SqliteSnapshot(SqlSnapshot):
    """A snapshot of a SQLite file, through a connection that can't write."""

    def __init__(self, store: SqliteStore, connection: sqlite3.Connection) -> None:
        super().__init__(store)
        self._connection = connection

    def select(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """See `SqlSnapshot.select`."""
        return self._connection.execute(statement, parameters)

    def query(self, statement: str, parameters: Values) -> tuple[Sequence[str], Iterator[tuple[Stored, ...]]]:
        """See `Snapshot.query`."""
        with self._asking():
            found = self._connection.execute(statement, parameters)
        return [column[0] for column in found.description or ()], self._answers(found)

    def _answers(self, found: Cursor) -> Iterator[tuple[Stored, ...]]:
        with self._asking():
            yield from found

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Run what may be refused, at once or at a later row.

        Raises:
            InvalidInput: it is the statement's fault.
            OSError: it is the file's.
        """
        try:
            yield
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, sqlite3.Error) and _code_of(error) in _OF_THE_FILE:
                with self.failing():
                    raise
            raise InvalidInput(f"the mirror refuses the statement: {error}") from error


def _code_of(error: sqlite3.Error) -> int | None:
    """The primary code of an error; None for one that the module itself raises."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Say what the database could not do as the system would.

    Raises:
        OSError: in place of the library's own error.
    """
    try:
        yield
    except sqlite3.Error as error:
        full = "full" in str(error).lower()
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), name) from error
