"""What a run of writes remembers, so that another can resume: an SQLite file of keys and their progress.

It contains no rows, only hashes of them (or the program's own keys), and the ids of what was written. Only
one run at a time can use it.

Before a row is sent, the disk has a note that it will be. Whether it was written is noted with the operating
system, and reaches the disk with the next row: a killed process loses nothing, and a power cut loses only the
latest note, and the next run then looks for that row. So each row waits for the disk once, thanks to SQLite's
write-ahead log.
"""

import enum
import hashlib
import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Generic, NamedTuple, Self, TypeVar

import msgspec
from anyio import to_thread

from toggl_async.errors import InvalidInput, shown

__all__ = ["Keys", "RowKey", "RowState", "WriteJournal"]

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")

_APPLICATION: Final = 0x74577274
"""What tells a journal from other SQLite files (``PRAGMA application_id``)."""

_TABLES: Final = (
    f"PRAGMA application_id = {_APPLICATION}",
    """CREATE TABLE writes (
        key TEXT, nth INTEGER, state TEXT NOT NULL CHECK (state IN ('begun', 'done')), thing TEXT,
        PRIMARY KEY (key, nth)
    ) WITHOUT ROWID""",
    "CREATE INDEX things ON writes (thing) WHERE thing IS NOT NULL",
)

_DURABLE: Final = "PRAGMA synchronous = FULL"
_BATCHED: Final = "PRAGMA synchronous = NORMAL"
"""With a write-ahead log: written, and brought to the disk with what comes next."""


class RowKey(NamedTuple):
    """What tells a row from all others of a job.

    Attributes:
        key: what rows that are alike share.
        nth: which of those it is, from 1.
    """

    key: str
    nth: int


class RowState(enum.StrEnum):
    """How far a row has come."""

    NEW = "new"
    BEGUN = "begun"
    """It may have been sent."""
    DONE = "done"


class WriteJournal:
    """The states of rows, by key, and which thing each of them became.

    Args:
        path: the file; None keeps it all in memory, for as long as the run lasts.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            InvalidInput: it is not a journal, is damaged, can't be written to, or another run is using it.
        """
        if self._path is not None:
            given: object = self._path
            path = os.fspath(given) if isinstance(given, str | os.PathLike) else given
            if not isinstance(path, str) or not path or "\0" in path:
                raise InvalidInput(f"journal must be the path of a file, not {shown(path)}")
        await self._in_thread(self._open)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._opened().close()

    async def state(self, row: RowKey) -> RowState:
        """Return how far a row has come."""
        found = await self._run("SELECT state FROM writes WHERE key = ? AND nth = ?", *row)
        return RowState(str(found[0][0])) if found else RowState.NEW

    async def begin(self, row: RowKey) -> None:
        """Remember that a row is about to be sent."""
        await self._write(_DURABLE, "INSERT OR REPLACE INTO writes VALUES (?, ?, 'begun', NULL)", *row)

    async def end(self, row: RowKey, thing: object) -> None:
        """Remember that it is there, as a thing that no other row can be.

        Args:
            row: the row.
            thing: what the program knows it by; only its id is kept.
        """
        values = (*row, _id_of(thing))
        await self._write(_BATCHED, "INSERT OR REPLACE INTO writes VALUES (?, ?, 'done', ?)", *values)

    async def forget(self, row: RowKey) -> None:
        """Take back that it was about to be sent: it was not written."""
        await self._write(_BATCHED, "DELETE FROM writes WHERE key = ? AND nth = ?", *row)

    async def may_be_anothers(self, row: RowKey, thing: object) -> bool:
        """Say whether a thing that was found for a row may be what another row became.

        It is, if that has its id. Where a thing has none, it can be that of any row that is alike.
        """
        found = _id_of(thing)
        others = "SELECT thing FROM writes WHERE state = 'done' AND NOT (key = ? AND nth = ?) AND "
        if found is not None and await self._run(f"{others} thing = ? LIMIT 1", *row, found):
            return True
        doubtful = "" if found is None else "AND thing IS NULL"
        return bool(await self._run(f"{others} key = ? {doubtful} LIMIT 1", *row, row.key))

    def _open(self) -> None:
        # An absolute path can't be read as a URL of SQLite's, or as memory.
        path = ":memory:" if self._path is None else os.fspath(Path(self._path).absolute())
        if self._path is not None and _is_special(Path(path)):
            raise _UnusableError("it is not a regular file; name one, or a file that does not exist yet")
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
            if self._path is not None:
                _refuse_damaged(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    async def _write(self, how: str, statement: str, *values: str | int | None) -> None:
        connection = self._opened()

        def write() -> None:
            connection.execute(how)
            connection.execute(statement, values)

        await self._in_thread(write)

    async def _run(self, statement: str, *values: str | int | None) -> list[tuple[object, ...]]:
        connection = self._opened()
        return await self._in_thread(lambda: connection.execute(statement, values).fetchall())

    def _opened(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101 - it is open as long as it is entered
        return self._connection

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        """Do what waits for the disk.

        Raises:
            InvalidInput: the file can't be used.
        """
        try:
            return work() if self._path is None else await to_thread.run_sync(work)
        except (sqlite3.Error, _UnusableError) as error:
            path = os.fspath(self._path or "")
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise InvalidInput(
                    f"another run is using the journal {path!r}: wait until that has ended, or give this job "
                    "a journal of its own"
                ) from None
            raise InvalidInput(f"the journal {path!r} can't be used: {error}") from None


class _UnusableError(Exception):
    """The file is an SQLite database, but no journal that can be gone on with."""


def _is_special(path: Path) -> bool:
    """Whether something else than a file has this name, such as a pipe, which keeps a run waiting."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _prepare(connection: sqlite3.Connection) -> None:
    """Take a file for this run alone, and see that it is a journal, or new.

    Raises:
        _UnusableError: it is somebody else's.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN IMMEDIATE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and objects == 0:
        for statement in _TABLES:
            connection.execute(statement)
    elif application != _APPLICATION:
        raise _UnusableError("it is another program's database; name a file that does not exist yet")
    connection.execute("COMMIT")


def _refuse_damaged(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file that has lost a part of itself, which SQLite takes for zeros where it is short.

    Raises:
        _UnusableError: it has.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok" or Path(path).stat().st_size != pages * page_size:
        raise _UnusableError(
            "it is damaged, so what was written is unknown: restore an intact copy, or check what is in "
            "Toggl and begin a new journal with the rows that are missing"
        )


class Keys(Generic[RowT]):
    """Makes keys of rows: the same row has the same one in each run, and no two rows of a run share one."""

    def __init__(self, key: Callable[[RowT], str] | None) -> None:
        self._key: Callable[[RowT], str] = _hash_of if key is None else partial(_checked, key)
        self._met: Counter[str] = Counter()

    def of(self, row: RowT, *, needed: bool) -> RowKey:
        """Return the key of the next row.

        Args:
            row: the row.
            needed: whether another run has to know it again; else all rows of which no key can be made are
                alike.

        Raises:
            InvalidInput: none can be made of it.
        """
        try:
            key = self._key(row)
        except InvalidInput:
            if needed:
                raise
            key = ""
        self._met[key] += 1
        return RowKey(key, self._met[key])


def _hash_of(row: object) -> str:
    try:
        content = msgspec.json.encode(row, order="deterministic")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"cannot derive a key from a row of type {type(row).__name__}: pass key=…"
        ) from error
    return hashlib.sha256(content).hexdigest()


def _checked(key: Callable[[RowT], str], row: RowT) -> str:
    found: object = key(row)
    if not isinstance(found, str):
        raise InvalidInput(f"key must return text, not {type(found).__name__}")
    return found


def _id_of(thing: object) -> str | None:
    """Return the id of what Toggl has, which identifies it; None if it has none."""
    found = thing
    if isinstance(thing, Mapping):
        found = thing.get("id")
    elif not isinstance(thing, int | str):
        found = getattr(thing, "id", None)
    return str(found) if isinstance(found, int | str) and not isinstance(found, bool) else None
