"""What a run of writes remembers, so that another can go on: an SQLite file of keys and how far each came.

It holds no rows, only hashes of them (or the keys that the program makes), and each step is on the disk
before the next is taken. One run at a time has it.
"""

import enum
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, Self, TypeVar

import msgspec
from anyio import to_thread

from toggl_async.errors import InvalidInput

__all__ = ["Keys", "RowState", "WriteJournal"]

RowT = TypeVar("RowT")

_OPENING: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = FULL",
    "BEGIN IMMEDIATE",
    "CREATE TABLE IF NOT EXISTS writes (key TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
    "COMMIT",
)


class RowState(enum.StrEnum):
    """How far a row has come."""

    NEW = "new"
    BEGUN = "begun"
    """It may have been sent."""
    DONE = "done"


class WriteJournal:
    """The states of rows, by key.

    Args:
        path: the file; None remembers nothing.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            InvalidInput: it is not a journal, can't be written to, or another run is using it.
        """
        if self._path is not None:
            await self._in_thread(self._open)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._connection is not None:
            self._connection.close()

    async def state(self, key: str) -> RowState:
        """Return how far a row has come."""
        found = await self._run("SELECT state FROM writes WHERE key = ?", key)
        return RowState(found[0][0]) if found else RowState.NEW

    async def begin(self, key: str) -> None:
        """Remember that a row is about to be sent."""
        await self._run("INSERT OR REPLACE INTO writes VALUES (?, ?)", key, RowState.BEGUN)

    async def end(self, key: str) -> None:
        """Remember that it is there."""
        await self._run("INSERT OR REPLACE INTO writes VALUES (?, ?)", key, RowState.DONE)

    async def forget(self, key: str) -> None:
        """Take back that it was about to be sent: it was not written."""
        await self._run("DELETE FROM writes WHERE key = ?", key)

    def _open(self) -> list[tuple[str]]:
        path = os.fspath(self._path or "")
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            for statement in _OPENING:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        return []

    async def _run(self, statement: str, *values: str) -> list[tuple[str]]:
        connection = self._connection
        if connection is None:
            return []
        return await self._in_thread(lambda: connection.execute(statement, values).fetchall())

    async def _in_thread(self, work: Callable[[], list[tuple[str]]]) -> list[tuple[str]]:
        """Do what waits for the disk.

        Raises:
            InvalidInput: the file can't be used.
        """
        try:
            return await to_thread.run_sync(work)
        except sqlite3.Error as error:
            raise InvalidInput(
                f"the journal {os.fspath(self._path or '')!r} can't be used: {error}"
            ) from None


class Keys(Generic[RowT]):
    """Makes keys of rows: the same row has the same one in each run, and no two rows of a run share one."""

    def __init__(self, key: Callable[[RowT], str] | None) -> None:
        self._key: Callable[[RowT], str] = _hash_of if key is None else partial(_checked, key)
        self._met: Counter[str] = Counter()

    def of(self, row: RowT) -> str:
        """Return the key of the next row.

        Raises:
            InvalidInput: none can be made of it.
        """
        key = self._key(row)
        self._met[key] += 1
        return key if self._met[key] == 1 else f"{key}#{self._met[key]}"


def _hash_of(row: object) -> str:
    try:
        content = msgspec.json.encode(row, order="deterministic")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"no key can be made of a row that is {type(row).__name__}: give key=…") from error
    return hashlib.sha256(content).hexdigest()


def _checked(key: Callable[[RowT], str], row: RowT) -> str:
    found: object = key(row)
    if not isinstance(found, str):
        raise InvalidInput(f"key must return text, not {type(found).__name__}")
    return found
