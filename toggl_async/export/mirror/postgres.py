"""A mirror in PostgreSQL: a store that many programs and machines read, each account in a schema.

Rows are copied into a temporary table by COPY, which costs half as much as an INSERT, and from there into
their own tables. The store has its own connections, one for writing and one for each snapshot. Their locks
belong to a session, so a connection pooler must pool sessions, not transactions.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any, ClassVar

import psycopg

from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.postgres_connection import connected, failing, one, os_error, quoted, said
from toggl_async.export.mirror.postgres_url import parse_url
from toggl_async.export.mirror.schema import STATE, VIEW, Dialect, Statements
from toggl_async.export.mirror.sql import Cursor, SqlStore
from toggl_async.export.mirror.sql_snapshot import SqlSnapshot
from toggl_async.export.mirror.storage import CLOSED
from toggl_async.export.mirror.store import Standing, Values
from toggl_async.export.mirror.tables import Table
from toggl_async.export.plan.datasets import DATASETS
from toggl_async.export.rows import Stored

__all__ = ["PostgresStore"]

_LOCK_TIMEOUT = "30s"
"""How long to wait for locks of other programs."""

_HOLDING, _WRITING = 0x746F67, 0x746F68
"""The locks of a schema: one for a run, one for each of its transactions."""

_CHUNK = 1000
"""Rows that are fetched at once."""

_FAREWELL = 5.0
"""Seconds that the server has to accept that a statement is cancelled."""

# Sort digits and signs by their code, whatever the database's locale.
_ASCII = 'text COLLATE "C"'

_DIALECT = Dialect(
    mark="%s",
    differs="IS DISTINCT FROM",
    types={
        ColumnType.INTEGER: "bigint",
        ColumnType.NUMBER: "double precision",
        ColumnType.BOOLEAN: "boolean",
        ColumnType.TEXT: "text",
        ColumnType.MOMENT: _ASCII,
        ColumnType.DAY: _ASCII,
        ColumnType.INTEGERS: "text",
        ColumnType.TEXTS: "text",
        ColumnType.JSON: "text",
    },
    # PostgreSQL fails to read any field of JSON that contains a NUL or half a surrogate pair.
    json_field=lambda column, field: (
        rf"CASE WHEN {column} !~* '\\u(0000|d[89a-f])' THEN {column}::json ->> '{field}' END"
    ),
    tag_names=(
        "COALESCE((SELECT json_agg(g.name ORDER BY j.place)::text "
        "FROM json_array_elements_text(e.tag_ids::json) WITH ORDINALITY AS j (id, place) "
        "JOIN tags AS g ON g.id = j.id::bigint AND g.deleted_at IS NULL), '[]')"
    ),
)


class PostgresStore(SqlStore):
    """A store of one schema in a PostgreSQL database.

    PostgreSQL's text can't contain NUL: such a cell is null, but `raw` has the value.

    Args:
        url: ``postgresql://USER@HOST:PORT/DATABASE?schema=NAME``, as libpq reads it; what it doesn't say
            comes from libpq's environment variables and files. Without ``schema`` it is the first schema of
            the search path that is there, which ``options=-csearch_path%3DNAME`` and the role may set:
            ``public``, as a rule. Which account it is for isn't known before the first request.

    Raises:
        InvalidInput: the URL can't be read.
    """

    dialect: ClassVar[Dialect] = _DIALECT

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = parse_url(url)
        self.name: str = self._url.shown
        self._connection: psycopg.Connection[Any] | None = None
        self._key = 0
        self._held = False
        self._incoming: set[str] = set()

    @property
    def database(self) -> "psycopg.Connection[Any]":
        """The open connection."""
        if self._connection is None:
            raise ClientClosed(CLOSED)
        return self._connection

    def connect(self) -> None:
        """See `SqlStore.connect`."""
        self.close()
        try:
            self._connection = connection = connected(self._url)
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = False
            connection.autocommit = True
            connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'".encode())
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
            self._settle(connection)
        except (psycopg.Error, OSError) as error:
            self.close()
            raise InvalidInput(f"cannot open {self.name} as a mirror: {said(error)}") from error
        except InvalidInput:
            self.close()
            raise

    def _settle(self, connection: "psycopg.Connection[Any]") -> None:
        """Create the schema if it doesn't exist; refuse one with other tables."""
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise InvalidInput(f"{self.name} is encoded in {encoding}; a mirror needs a database in UTF8")
        wanted = self._url.schema
        self._key = _key_of(wanted or "")
        if wanted is not None and one(connection, "SELECT to_regnamespace(%s)", quoted(wanted)) is None:
            with self.transaction():
                self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(wanted)}")
        schema = one(connection, "SELECT current_schema()")
        if schema is None:
            raise InvalidInput(f"{self.name} has no schema for tables; name one in the URL: ?schema=NAME")
        self._key = _key_of(schema)
        if not self.has_books():
            ours = [*DATASETS, VIEW]
            taken = one(
                connection,
                "SELECT min(name) FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL",
                ours,
            )
            if taken is not None:
                raise InvalidInput(
                    f"{self.name} is not a mirror of toggl_async: its schema {schema} already has {taken}; "
                    "name another schema in the URL: ?schema=NAME"
                )

    def has_books(self) -> bool:
        """See `SqlStore.has_books`."""
        return one(self.database, "SELECT to_regclass(%s)", STATE) is not None

    def columns_of(self, declared: Table) -> Collection[str]:
        """See `SqlStore.columns_of`."""
        found = self.execute(
            "SELECT attname FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (declared.name,),
        )
        return {name for (name,) in found.fetchall()}

    def close(self) -> None:
        """See `RowStore.close`."""
        self.release()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._incoming.clear()

    def hold(self) -> Standing:
        """See `RowStore.hold`."""
        with self.failing():
            if self._held or not one(
                self.database, "SELECT pg_try_advisory_lock(%s, %s)", _HOLDING, self._key
            ):
                raise InvalidInput(f"another run is writing to {self.name}; wait until it has ended")
            self._held = True
        return self.standing()

    def release(self) -> None:
        """See `RowStore.release`; a connection that was lost has let go of it already."""
        if self._held:
            self._held = False
            with suppress(psycopg.Error):
                self.execute("SELECT pg_advisory_unlock(%s, %s)", (_HOLDING, self._key))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `SqlStore.transaction`; one at a time, so that revisions are told in their order."""
        try:
            with self.failing(), self.database.transaction():
                self.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_WRITING, self._key))
                yield
        except BaseException:
            self._incoming.clear()  # the temporary tables that the transaction created are gone with it
            raise

    def execute(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """See `SqlStore.execute`."""
        return self.database.execute(statement.encode(), parameters or None)

    def execute_many(self, statement: str, parameters: Sequence[Sequence[Stored]]) -> None:
        """See `SqlStore.execute_many`."""
        with self.database.cursor() as cursor:
            cursor.executemany(statement.encode(), parameters)

    def upsert(self, declared: Table, statements: Statements, rows: Iterable[Sequence[Stored]]) -> None:
        """See `SqlStore.upsert`."""
        incoming = f"incoming_{declared.name}"
        if incoming not in self._incoming:
            # Emptied at each commit: deleted rows would pile up, and make each time slower.
            self.execute(f"CREATE TEMPORARY TABLE {incoming} (LIKE {declared.name}) ON COMMIT DELETE ROWS")
            self._incoming.add(incoming)
        columns = ", ".join(f'"{name}"' for name in statements.columns)
        with self.database.cursor() as cursor:
            with cursor.copy(f"COPY {incoming} ({columns}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(_without_nul(row))
            self._merge(cursor, declared, f"SELECT {columns} FROM {incoming}")

    def _merge(self, cursor: Cursor, declared: Table, source: str) -> None:
        """Move the incoming rows to their table."""
        cursor.execute(Statements.upsert_from(self.dialect, declared, source).encode())

    def failing(self) -> AbstractContextManager[None]:
        """See `SqlStore.failing`."""
        return failing(self.name)

    @contextmanager
    def snapshot(self) -> Iterator[SqlSnapshot]:
        """See `RowStore.snapshot`."""
        with self.failing():
            connection = connected(self._url)
        with closing(connection):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with self.failing():
                connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'".encode())
            snapshot = _PostgresSnapshot(self, connection)
            try:
                snapshot.begin()
                yield snapshot
            finally:
                snapshot.close()


class _PostgresSnapshot(SqlSnapshot):
    """A snapshot of a schema: a transaction that can't write, on a connection of its own."""

    def __init__(self, store: PostgresStore, connection: "psycopg.Connection[Any]") -> None:
        super().__init__(store)
        self._connection = connection
        self._numbers = itertools.count()
        self._cursors: list[psycopg.ServerCursor[Any]] = []

    def has_books(self) -> bool:
        """See `SqlSnapshot.has_books`."""
        return one(self._connection, "SELECT to_regclass(%s)", STATE) is not None

    def interrupt(self) -> None:
        """See `Snapshot.interrupt`."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=_FAREWELL)

    def select(self, statement: str, parameters: Values = ()) -> Cursor:
        """See `SqlSnapshot.select`; a cursor on the server, or all rows would be held here."""
        cursor = self._connection.cursor(name=f"mirror_{next(self._numbers)}")
        self._cursors.append(cursor)
        return cursor.execute(statement.encode(), parameters or None)

    def query(self, statement: str, parameters: Values) -> tuple[Sequence[str], Iterator[tuple[Stored, ...]]]:
        """See `Snapshot.query`; parameters are ``%s`` and ``%(name)s``."""
        with self._asking():
            cursor = self.select(statement, parameters)
        return [column.name for column in cursor.description or ()], self._answers(cursor)

    def _answers(self, cursor: Cursor) -> Iterator[tuple[Stored, ...]]:
        while True:
            with self._asking():
                rows = cursor.fetchmany(_CHUNK)
            if not rows:
                return
            yield from rows

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Run what the database may refuse, within a savepoint, so that the snapshot survives that."""
        try:
            with self._connection.transaction():
                yield
        except (psycopg.Error, TypeError, ValueError) as error:
            if self._connection.broken or isinstance(error, psycopg.errors.LockNotAvailable):
                raise os_error(error, self.name) from error
            raise InvalidInput(f"the mirror refuses the statement: {said(error)}") from error

    def close(self) -> None:
        """Close all cursors."""
        for cursor in self._cursors:
            with suppress(psycopg.Error):
                cursor.close()


def _key_of(schema: str) -> int:
    """The key of a schema's locks, a signed 32-bit number."""
    return zlib.crc32(schema.encode()) - 2**31


def _without_nul(row: Sequence[Stored]) -> Sequence[Stored]:
    """Make the cells of a row acceptable to PostgreSQL. The last one, `raw`, has a NUL only as an escape."""
    raw = row[-1]
    if isinstance(raw, str) and r"\u0000" in raw:
        return [None if isinstance(cell, str) and "\0" in cell else cell for cell in row]
    return row
