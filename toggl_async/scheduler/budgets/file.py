"""One budget, in a file, for all processes of a machine, whether they run at once or one after another.

A transaction is one of SQLite's and takes a tenth of a millisecond, so it runs directly in the event loop,
and is awaited only while another process is in one. The file's time is the time since the machine's start,
which nobody can set.
"""

import asyncio
import contextlib
import itertools
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import anyio
import msgspec
import platformdirs

from toggl_async.errors import BudgetError, InvalidInput
from toggl_async.scheduler.budgets import OnTrouble, Step
from toggl_async.scheduler.budgets.boot_clock import BootClock, Reading
from toggl_async.scheduler.budgets.database import Database, Locked, refuse_network, refuse_no_file, told
from toggl_async.scheduler.budgets.life import Life, begin_life
from toggl_async.scheduler.budgets.loopback import Loopback
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.budgets.store import StoreAway, opened
from toggl_async.scheduler.budgets.stored import decoded, learned, recalled
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Lesson, Memories

__all__ = ["ClockSource", "FileBudget"]

T = TypeVar("T")

_PAUSES: Final = (0.0, 0.0002, 0.0005, 0.001, 0.002)
"""Seconds between attempts while the file is locked; the last one repeats."""
_FORK_WAITS: Final = 1.0
"""How many seconds a fork waits for another thread's transaction."""
_SELECT: Final = "SELECT limits, memories FROM accounts WHERE account = ?"
_INSERT: Final = (
    "INSERT OR REPLACE INTO accounts (account, limits, at, wall, memories) VALUES (?, ?, ?, ?, ?)"
)
_UPDATE: Final = "UPDATE accounts SET limits = ?, at = ?, wall = ? WHERE account = ?"

_let_be: list[sqlite3.Connection] = []
"""Connections of a parent process. SQLite forbids using or closing them in a child."""


class ClockSource(msgspec.Struct, frozen=True):
    """Where a store's time comes from; tests bring their own.

    Attributes:
        read: reads all clocks.
        uptime: reads the machine's uptime alone, in microseconds.
    """

    read: Callable[[], Reading]
    uptime: Callable[[], int]


class FileBudget:
    """Keeps the limits of accounts in a file, for all processes of a machine that use them.

    Args:
        path: the file; None for ``toggl_async/budget.sqlite`` in the user's state directory. It is created
            with mode 0600 on first use, and must be on a local file system; a leading ``~`` is the user's
            home. It contains no credentials. For the first 3 s a new file keeps everybody waiting, because
            it may have taken the place of one whose contents are lost.

    Raises:
        InvalidInput: `path` is not a path.
        BudgetError: the path needs the user's home directory, and there is none.
    """

    __slots__ = ("_clock", "path")

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, _clock: ClockSource | None = None
    ) -> None:
        self.path: Path = _absolute(path)
        if _clock is None:
            clock = BootClock()
            _clock = ClockSource(clock.read, clock.uptime)
        self._clock = _clock

    def __repr__(self) -> str:
        return f"FileBudget({str(self.path)!r})"

    def open(self, on_wake: Callable[[str], None], *, on_trouble: OnTrouble | None = None) -> SharedHolder:
        """Join the budget from the running event loop; the file itself is opened when it is needed.

        Args:
            on_wake: called in that loop with the key of an account about which this holder should ask again.
            on_trouble: called with the reason when the file can no longer be used, and with None when it can
                be used again.

        Raises:
            BudgetError: the file is on a network file system, or is a directory, a device or a pipe.
        """
        # Follow a link, so that the file is created, and set aside, where it leads.
        path = Path(os.path.realpath(self.path)) if os.path.islink(self.path) else self.path  # noqa: PTH114 - however long
        refuse_no_file(path)
        refuse_network(path)
        # A scheduler that was never closed must not count as alive until its process ends.
        for store in [store for store in _stores if store.is_over]:
            store.close()
        return SharedHolder(_FileStore(path, on_wake, self._clock), on_trouble=on_trouble)


class _FileStore:
    """One holder's connection to the file."""

    def __init__(self, path: Path, on_wake: Callable[[str], None], clock: ClockSource) -> None:
        self._path = path
        self._clock = clock
        self._loopback = Loopback(on_wake)
        self._database: Database | None = None
        self._life: Life | None = None
        self._using_file = threading.Lock()
        self._held_for_fork = False
        _stores.add(self)

    @property
    def name(self) -> str:
        """The holder's name: its process, and the port at which it is woken."""
        return self._loopback.name

    @property
    def place(self) -> str:
        """The file's path."""
        return f"the shared budget {self._path}"

    @property
    def read_at(self) -> int:
        """The time at which a step is given the clock: now."""
        return int(asyncio.get_running_loop().time() * SECOND)

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson]) -> T | Awaitable[T]:
        """Apply a step at once; wait only if another process is in a transaction."""
        try:
            with self._using_file:
                return self._attempt(account, step, lessons)
        except Locked:
            return self._when_free(lambda: self._attempt(account, step, lessons))

    def recall(self, account: str) -> tuple[Memories, int] | Awaitable[tuple[Memories, int]]:
        """Return what was learned about an account."""
        try:
            with self._using_file:
                return self._read(account)
        except Locked:
            return self._when_free(lambda: self._read(account))

    def alive(self, name: str) -> bool:
        """Say whether another holder is alive, by its lock on the file beside this one."""
        if self._life is None:
            return True
        try:
            return self._life.alive(name)
        except OSError:
            return True

    async def ping(self) -> None:
        """Check that a transaction can begin and end."""
        await self._when_free(self._try)

    @property
    def is_over(self) -> bool:
        """Whether the event loop of its holder is over."""
        return self._loopback.is_over

    async def aclose(self) -> None:
        """Close the file, and stop the sign of life."""
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self._loopback.close()
        self._forget_file()
        if self._life is not None:
            self._life.end()
            self._life = None
        _stores.discard(self)

    def close_before_fork(self) -> None:
        """Close the connection, which a child must not inherit; it is opened again when it is needed.

        SQLite takes the parent's locks for the child's own: two of a parent's children, which use the file
        when the parent has closed it, would hold no lock, and the next process would start a new journal.
        """
        # The loop of another thread may be in a transaction. If that hangs, the fork goes ahead.
        self._held_for_fork = self._using_file.acquire(timeout=_FORK_WAITS)
        if self._held_for_fork:
            self._forget_file()

    def go_on_after_fork(self) -> None:
        """Let the parent use the file again."""
        if self._held_for_fork:
            self._using_file.release()

    def close_after_fork(self) -> None:
        """Release, in a child, what would keep the parent's lock and port alive."""
        self._loopback.close_after_fork()
        if self._life is not None:
            self._life.end()
            self._life = None
        if self._database is not None:
            _let_be.append(self._database.connection)
            self._database = None

    async def _when_free(self, attempt: Callable[[], T]) -> T:
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            await anyio.sleep(pause)
            with contextlib.suppress(Locked), self._using_file:
                return attempt()
        raise AssertionError  # pragma: no cover - the pauses never end

    def _attempt(self, account: str, step: Step[T], lessons: Sequence[Lesson]) -> T:
        """Run one transaction.

        Raises:
            Locked: another process is in one.
        """
        database = self._open()
        run = database.connection.execute
        try:
            run("BEGIN IMMEDIATE")
            row = run(_SELECT, (account,)).fetchone()
            reading = self._clock.read()
            now = reading.uptime + database.ahead
            limits = None if row is None else decoded(row[0])
            if limits is None:
                limits = Limits.new(now)
                limits.closed = opened(now, database.began if row is None else now)
            limits, result, wakes = step(limits, now)
            stored, memories = limits.to_bytes(), None if row is None else row[1]
            if lessons:
                memories = learned(memories, lessons, now)
            if row is None or lessons:
                run(_INSERT, (account, stored, now, reading.wall, memories))
            elif stored != row[0]:
                run(_UPDATE, (stored, now, reading.wall, account))
            run("COMMIT")
        except sqlite3.Error as error:
            self._failed(database, error)
        except BaseException:
            _roll_back(database.connection)
            raise
        for wake in wakes:
            self._loopback.wake(wake.name, account, wake.after)
        return result

    def _read(self, account: str) -> tuple[Memories, int]:
        database = self._open()
        try:
            row = database.connection.execute(_SELECT, (account,)).fetchone()
        except sqlite3.Error as error:
            self._failed(database, error)
        now = self._clock.uptime() + database.ahead
        return recalled(None if row is None else row[1]), now

    def _try(self) -> None:
        database = self._open()
        try:
            database.connection.execute("BEGIN IMMEDIATE")
            # A write, because a full disk can still be read; and a change, because without one SQLite
            # writes nothing.
            database.connection.execute("UPDATE clock SET tries = tries + 1")
            database.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(database, error)

    def _failed(self, database: Database, error: sqlite3.Error) -> NoReturn:
        """Make an error of SQLite one of a store; set a damaged file aside."""
        _roll_back(database.connection)
        if database.damaged(error):
            self._database = None
            raise Locked from error
        raise told(error) from error

    def _open(self) -> Database:
        """Return a connection to the file that has this name now."""
        database = self._database
        if database is not None:
            if database.is_current():
                return database
            self._forget_file()
        database = Database(self._path, self._clock.read())
        if self._life is None:
            try:
                self._life = begin_life(self._path, self.name)
            except OSError as error:
                database.close()
                raise StoreAway(f"{error.strerror}: {error.filename}") from error
        self._database = database
        return database

    def _forget_file(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _absolute(path: str | os.PathLike[str] | None) -> Path:
    """Return the absolute path of a file; by default, one in the user's state directory.

    Raises:
        InvalidInput: it is not a path.
        BudgetError: it needs a home directory, and there is none.
    """
    try:
        if path is None:
            path = platformdirs.user_state_path("toggl_async", appauthor=False) / "budget.sqlite"
        found = Path(path).expanduser().absolute()
    except TypeError:
        raise InvalidInput(
            f"the path of a budget must be a str or a Path, not {type(path).__name__}"
        ) from None
    except RuntimeError as error:
        raise BudgetError(
            "there is no default path for the budget, because this user has no home directory: name a file, "
            "for instance with TOGGL_BUDGET=file:/a/path"
        ) from error
    if "\0" in str(found):
        raise InvalidInput("the path of a budget contains a null character")
    return found


def _roll_back(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.rollback()


_stores: set[_FileStore] = set()
"""The open ones: nothing else releases the lock of a store that is never closed."""


def _before_fork() -> None:
    for store in list(_stores):
        store.close_before_fork()


def _after_fork_in_parent() -> None:
    for store in list(_stores):
        store.go_on_after_fork()


def _after_fork() -> None:
    for store in list(_stores):
        store.close_after_fork()
    _stores.clear()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows does not fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
    )
