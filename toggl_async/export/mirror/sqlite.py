"""A mirror in a SQLite file, with the standard library's module: the store that needs nothing else.

Readers see a consistent state during a run, because the file has a write-ahead log (WAL). Commits are flushed
to the disk (``synchronous = FULL``). Statements only use what SQLite 3.40 knows.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.lock import Lock
from toggl_async.export.mirror.schema import STATE, Dialect, Statements
from toggl_async.export.mirror.sql import Cursor, SqlStore
from toggl_async.export.mirror.sql_snapshot import SqlSnapshot, no_mirror
from toggl_async.export.mirror.sqlite_errors import code_of, failing, is_busy, is_of_the_file
from toggl_async.export.mirror.storage import CLOSED, MIRROR, is_of_the_machine, is_special, make_private
from toggl_async.export.mirror.store import Forget, Standing, Values
from toggl_async.export.mirror.tables import Table
from toggl_async.export.rows import Stored

__all__ = ["TYPES", "SqliteStore"]

_PATIENCE = 30.0
"""Seconds to wait for another program that has locked the file."""

_MOMENT = 0.01
"""Seconds between two attempts where SQLite itself doesn't wait."""

_MAGIC = b"SQLite format 3\x00"
"""The first bytes of a database."""

_LOG_SUFFIX = "-wal"
"""The suffix of the write-ahead log, beside the file."""

_SYNCHRONOUS = "FULL"

_PAGE = 8192
"""The page size of the file, in bytes: a row has about 800, and writing a page has a fixed cost."""

_LOG = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut once a reader that was open for long is gone."""

_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
"""The actions of a statement that reads. A read-only connection can still attach, and so create, files."""

_DESCRIBE = frozenset({"index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"})
"""Pragmas that describe the schema."""

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
"""SQLite's names of the types of columns."""

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
        path: the file. It is created together with its directory, and only its owner may read it.
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
            raise ClientClosed(CLOSED)
        return self._connection

    def connect(self) -> None:
        """See `SqlStore.connect`."""
        self.close()
        if is_special(self.path):
            raise InvalidInput(f"cannot open {self.path} as a mirror: it is not a regular file")
        try:
            with self.failing():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                make_private(self.path)
                self._refuse_no_database()
                # An absolute path can't be read as a URL of SQLite's, which a build may take anywhere.
                self._connection = sqlite3.connect(
                    self.path.absolute(), timeout=_PATIENCE, isolation_level=None, check_same_thread=False
                )
                if self.path.stat().st_size:
                    self._refuse_other()  # before anything is written, such as the journal mode below
                else:
                    self._connection.execute(f"PRAGMA page_size = {_PAGE}")
                self._log_ahead()
                self._connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
                self._connection.execute(f"PRAGMA journal_size_limit = {_LOG}")
        except OSError as error:
            self.close()
            if is_of_the_machine(error):
                raise
            raise InvalidInput(f"cannot open {self.path} as a mirror: {error.strerror}") from error
        except InvalidInput:
            self.close()
            raise

    def _log_ahead(self) -> None:
        """Write changes to a log, so that others can read meanwhile."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # For this alone SQLite doesn't wait for the other, which may just be doing the same.
                if not is_busy(error) or time.monotonic() >= until:
                    raise
                time.sleep(_MOMENT)
            else:
                return

    def _refuse_other(self) -> None:
        """Refuse a database that isn't a mirror."""
        (there,) = self.database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if there and not self.has_books():
            raise InvalidInput(f"{self.path} is a database, but not a mirror of toggl_async{self._beside()}")

    def _refuse_no_database(self) -> None:
        """Refuse a file that never was a mirror, such as one that was written from a mirror.

        Raises:
            InvalidInput: it isn't a SQLite database, and doesn't have the name of a mirror.
        """
        if self.path.name == MIRROR or not self.path.is_file():
            return
        with self.path.open("rb") as file:
            begins = file.read(len(_MAGIC))
        if begins and begins != _MAGIC:
            hint = self._beside() or "; if it was one, it is damaged: restore a copy"
            raise InvalidInput(f"{self.path} is not a mirror, because it is not a SQLite database{hint}")

    def _beside(self) -> str:
        """A hint at the mirror in the same directory; "" if there is none."""
        beside = self.path.with_name(MIRROR)
        if self.path.name == MIRROR or not beside.is_file():
            return ""
        return f"; the mirror is {beside}: name that, or the directory {self.path.parent}"

    def has_books(self) -> bool:
        """See `SqlStore.has_books`."""
        return _has_books(self.database)

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
                with suppress(sqlite3.Error):  # if the disk is full, SQLite has already rolled back
                    self.database.execute("ROLLBACK")
                raise

    def execute(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """See `SqlStore.execute`."""
        return self.database.execute(statement, parameters)

    def execute_many(self, statement: str, parameters: Sequence[Sequence[Stored]]) -> None:
        """See `SqlStore.execute_many`."""
        self.database.executemany(statement, parameters)

    def upsert(self, declared: Table, statements: Statements, rows: Iterable[Sequence[Stored]]) -> None:  # noqa: ARG002 - others need it
        """See `SqlStore.upsert`."""
        self.database.executemany(statements.upsert, rows)

    def forget(self, chosen: Forget) -> int:
        """See `RowStore.forget`; what is forgotten leaves the free pages of the file, too."""
        with self.failing():
            self.execute("PRAGMA secure_delete = ON")
        return super().forget(chosen)

    def failing(self) -> AbstractContextManager[None]:
        """See `SqlStore.failing`."""
        return failing(self.path, _PATIENCE)

    @contextmanager
    def snapshot(self) -> Iterator[SqlSnapshot]:
        """See `RowStore.snapshot`."""
        if not self.path.is_file():
            raise no_mirror(self.name)
        if not os.access(self.path, os.R_OK):
            raise OSError(errno.EACCES, "you lack permission to read the file; ask its owner", self.name)
        self._refuse_no_database()
        with self.failing():
            connection, is_locked = self._connected_to_read()
        before = self.path.stat()
        with closing(connection):
            snapshot = _SqliteSnapshot(self, connection)
            connection.set_authorizer(_authorized)
            snapshot.begin(self._beside())
            yield snapshot
        if not is_locked and _version(self.path.stat()) != _version(before):
            raise OSError(
                errno.EBUSY, "another program changed the mirror during the read; try again", self.name
            )

    def _connected_to_read(self) -> tuple[sqlite3.Connection, bool]:
        """Open a read-only connection, and tell whether it holds a lock.

        To read a file with a log, SQLite needs an index of the log beside it. If that can't be created, as on
        a read-only file system or a full disk, the file is read without index and lock, as long as there is
        no log. If there is one, a connection that keeps others out can have the index in memory.
        """
        url = self.path.absolute().as_uri()
        # The last connection to close removes the log, if it may write.
        mode = "ro" if self._connection is not None or not os.access(self.path, os.W_OK) else "rw"
        try:
            return _reading(f"{url}?mode={mode}"), True
        except sqlite3.OperationalError as error:
            code = code_of(error)
            if code not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
                raise
            log = self.path.with_name(self.path.name + _LOG_SUFFIX)
            if log.exists() and log.stat().st_size:
                if code == sqlite3.SQLITE_CANTOPEN:
                    raise OSError(errno.EROFS, self._log_is_unreadable(), self.name) from error
                return _reading(f"{url}?mode={mode}", alone=True), True
        return _reading(f"{url}?immutable=1"), False

    def _log_is_unreadable(self) -> str:
        name = self.path.name
        return (
            f"its latest changes are in {name}{_LOG_SUFFIX}, and reading them requires a directory that "
            f"can be written to; copy {name} and {name}{_LOG_SUFFIX} to one, and read the copy"
        )


class _SqliteSnapshot(SqlSnapshot):
    """A snapshot of a SQLite file, through a read-only connection."""

    def __init__(self, store: SqliteStore, connection: sqlite3.Connection) -> None:
        super().__init__(store)
        self._connection = connection

    def has_books(self) -> bool:
        """See `SqlSnapshot.has_books`."""
        return _has_books(self._connection)

    def interrupt(self) -> None:
        """See `Snapshot.interrupt`."""
        with suppress(sqlite3.ProgrammingError):  # it has just been closed
            self._connection.interrupt()

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
            for row in found:
                for cell in row:
                    if isinstance(cell, bytes):
                        raise ValueError("a cell is a blob; wrap the column in hex(…)")  # noqa: TRY004
                yield row

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Run what the database may refuse, at once or at a later row.

        Raises:
            InvalidInput: the statement is at fault.
            OSError: the file is.
        """
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, TypeError, ValueError, OverflowError) as error:
            if is_of_the_file(error):
                with self.failing():
                    raise
            why = str(error)
            if why.startswith("not authorized"):
                why = "it would do more than read"
            raise InvalidInput(f"the mirror refuses the statement: {why}") from error


def _authorized(action: int, first: str | None, second: str | None, *_: object) -> int:
    """The authorizer: whether a statement may do something, which SQLite asks while it prepares it."""
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = second != "load_extension"
    elif action == sqlite3.SQLITE_PRAGMA:
        allowed = first in _DESCRIBE
    elif action == sqlite3.SQLITE_UPDATE:  # asked for json_each and the like; SQLite refuses real updates
        allowed = first == "sqlite_master"
    else:
        allowed = action in _READS
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _reading(url: str, *, alone: bool = False) -> sqlite3.Connection:
    """Open a read-only connection, and begin a transaction by a first read.

    Args:
        url: the file, and how it is opened.
        alone: whether to keep others out until the connection is closed.
    """
    connection = sqlite3.connect(
        url, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        if alone:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _version(file: os.stat_result) -> tuple[int, int, int]:
    """A value that changes when a file is changed."""
    return file.st_ino, file.st_size, file.st_mtime_ns


def _has_books(connection: sqlite3.Connection) -> bool:
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(statement, (STATE,)).fetchone() is not None
