"""A mirror in a SQLite file, with the standard library's module: the store that needs nothing else.

Readers see a consistent state during a run, because the file has a write-ahead log (WAL). Commits are flushed
to the disk (``synchronous = FULL``). Statements only use what SQLite 3.40 knows.
"""

import errno
import os
import sqlite3
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
from toggl_async.export.mirror.storage import CLOSED, DAMAGED, MIRROR, MirrorDamaged, is_special, make_private
from toggl_async.export.mirror.store import Forget, Standing, Values
from toggl_async.export.mirror.tables import Table
from toggl_async.export.rows import Stored

__all__ = ["TYPES", "SqliteStore"]

_PATIENCE = 30.0
"""Seconds that another program may hold the file for a change of its own."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""Codes of errors that another program is to blame for."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Codes of errors that say that the file isn't whole."""

_MAGIC = b"SQLite format 3\x00"
"""What a database begins with."""

_LOG_SUFFIX = "-wal"
"""The suffix of the write-ahead log, beside the file."""

_LACKING = ("no such table", "no such column")
"""What errors begin with where the file lacks what every mirror is made with."""

_SYNCHRONOUS = "FULL"

_PAGE = 8192
"""Bytes of a page of the file: a row has about 800, and each page that is written has its price."""

_LOG = 64 * 1024 * 1024
"""Bytes that the write-ahead log is cut to, once readers that were open for long are gone."""

_OF_THE_FILE = _BUSY | _DAMAGED | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
"""Codes of errors that no statement is to blame for."""

_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
"""What a statement does that reads; a connection that can't write still attaches files, which makes them."""

_DESCRIBE = frozenset({"index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"})
"""Pragmas that say what there is."""

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
                self._connection = sqlite3.connect(
                    self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
                )
                if self.path.stat().st_size:
                    self._refuse_other()  # before anything is written: the mode below is kept in the file
                else:
                    self._connection.execute(f"PRAGMA page_size = {_PAGE}")
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
                self._connection.execute(f"PRAGMA journal_size_limit = {_LOG}")
        except OSError as error:
            self.close()
            raise InvalidInput(f"cannot open {self.path} as a mirror: {error.strerror}") from error
        except InvalidInput:
            self.close()
            raise

    def _refuse_other(self) -> None:
        """Leave alone a database that isn't ours."""
        (there,) = self.database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if there and not self.has_books():
            raise InvalidInput(f"{self.path} is a database, but not a mirror of toggl_async{self._beside()}")

    def _refuse_no_database(self) -> None:
        """Leave alone a file that never was a mirror, such as one that was written from a mirror.

        Raises:
            InvalidInput: it is no database, and not called as a mirror is.
        """
        if self.path.name == MIRROR or not self.path.is_file():
            return
        with self.path.open("rb") as file:
            begins = file.read(len(_MAGIC))
        if begins and begins != _MAGIC:
            hint = self._beside() or "; if it was one, it is damaged: restore a copy"
            raise InvalidInput(f"{self.path} is not a mirror, because it is not a SQLite database{hint}")

    def _beside(self) -> str:
        """The hint at a mirror in the same directory; empty if there is none."""
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
                with suppress(sqlite3.Error):  # a full disk has rolled back by itself
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
        return _failing(self.name)

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
        """A connection that can't write, and whether others see that it reads.

        A file with a log takes an index of the log beside it. Where that can't be made, as on a read-only
        file system, the file is read without, and without a lock, as long as there is no log.
        """
        url = self.path.absolute().as_uri()
        # The last connection takes the log away, if it may write.
        mode = "ro" if self._connection is not None or not os.access(self.path, os.W_OK) else "rw"
        try:
            return _reading(f"{url}?mode={mode}"), True
        except sqlite3.OperationalError as error:
            if _code_of(error) != sqlite3.SQLITE_CANTOPEN:  # pragma: no cover - a fault of the disk
                raise
            if self.path.with_name(self.path.name + _LOG_SUFFIX).exists():
                raise OSError(errno.EROFS, self._log_is_unreadable(), self.name) from error
        return _reading(f"{url}?immutable=1"), False

    def _log_is_unreadable(self) -> str:
        name = self.path.name
        return (
            f"its latest changes are in {name}{_LOG_SUFFIX}, and reading them requires a directory that "
            f"can be written to; copy {name} and {name}{_LOG_SUFFIX} to one, and read the copy"
        )


class _SqliteSnapshot(SqlSnapshot):
    """A snapshot of a SQLite file, through a connection that can't write."""

    def __init__(self, store: SqliteStore, connection: sqlite3.Connection) -> None:
        super().__init__(store)
        self._connection = connection

    def has_books(self) -> bool:
        """See `SqlSnapshot.has_books`."""
        return _has_books(self._connection)

    def interrupt(self) -> None:
        """See `Snapshot.interrupt`."""
        with suppress(sqlite3.ProgrammingError):  # it was closed just now
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
        """Run what may be refused, at once or at a later row.

        Raises:
            InvalidInput: it is the statement's fault.
            OSError: it is the file's.
        """
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, TypeError, ValueError, OverflowError) as error:
            code = _code_of(error)
            if code in _OF_THE_FILE:
                with self.failing():
                    raise
            why = str(error)
            if why.startswith("not authorized"):
                why = "it would do more than read"
            raise InvalidInput(f"the mirror refuses the statement: {why}") from error


def _authorized(action: int, first: str | None, second: str | None, *_: object) -> int:
    """Whether a statement may do a thing, as SQLite asks while it prepares it."""
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = second != "load_extension"
    elif action == sqlite3.SQLITE_PRAGMA:
        allowed = first in _DESCRIBE
    elif action == sqlite3.SQLITE_UPDATE:  # so SQLite asks for json_each and its like; it refuses real ones
        allowed = first == "sqlite_master"
    else:
        allowed = action in _READS
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _reading(url: str) -> sqlite3.Connection:
    """A connection within a transaction that reads; that it can read is certain."""
    connection = sqlite3.connect(
        url, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _version(file: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from the same one before it was changed."""
    return file.st_ino, file.st_size, file.st_mtime_ns


def _has_books(connection: sqlite3.Connection) -> bool:
    statement = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(statement, (STATE,)).fetchone() is not None


def _code_of(error: Exception) -> int | None:
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
        number, said, code = errno.EIO, str(error), _code_of(error)
        if "full" in said.lower():
            number = errno.ENOSPC
        elif code in _BUSY:
            number = errno.EBUSY
            said = f"another program has locked the database for {_PATIENCE:g} s; stop it, then try again"
        elif code in _DAMAGED or said.startswith(_LACKING):
            raise MirrorDamaged(number, f"{said}; {DAMAGED}", name) from error
        raise OSError(number, said, name) from error
