"""The SQLite file of a `FileBudget`: how it is created, and what happens if it is damaged.

A file appears under its name complete, with its tables and in WAL mode: it is created under another name and
linked. So if several processes begin at once, one of them creates it, and none sees half a file. A damaged
file is set aside under another name, so that it can be examined.
"""

import contextlib
import errno
import glob
import logging
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from toggl_async.errors import BudgetError
from toggl_async.scheduler.budgets.boot_clock import Reading, ahead_after_boot
from toggl_async.scheduler.budgets.store import StoreAway

__all__ = ["Database", "Locked", "refuse_network", "refuse_no_file", "told"]

FORMAT: Final = 1
"""The layout of the file (``PRAGMA user_version``)."""
APPLICATION: Final = 0x70676C61
"""What tells a budget from other SQLite files (``PRAGMA application_id``)."""

_MARK_AT: Final = 68
_MARK_END: Final = _MARK_AT + 4
"""Where SQLite keeps the application id in a file."""

_FOR_EVER: Final = frozenset({errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
"""Why a path can never become a budget: it leads in a circle, or is too long."""

_TABLES: Final = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA application_id = {APPLICATION};
    CREATE TABLE clock (
        boot TEXT NOT NULL, ahead INTEGER NOT NULL, began INTEGER NOT NULL, tries INTEGER NOT NULL
    );
    CREATE TABLE accounts (
        account TEXT PRIMARY KEY, limits BLOB NOT NULL, at INTEGER NOT NULL, wall INTEGER NOT NULL,
        memories BLOB
    ) WITHOUT ROWID;
    PRAGMA user_version = {FORMAT};
"""
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_KEPT: Final = 48 * 3600 * 1_000_000
"""How long an unused account is kept: longer than anything that is remembered about it."""
_FORMER: Final = ("-wal", "-shm", "")
_PRIMARY: Final = 0xFF
_NETWORK: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
})  # fmt: skip
_MOUNTS: Final = Path("/proc/self/mountinfo")

_logger = logging.getLogger("toggl_async.budget")


class Locked(Exception):
    """Another process is in a transaction; it takes a tenth of a millisecond."""


class Database:
    """An open connection to the file.

    Args:
        path: the file; it is created if it doesn't exist.
        reading: the clocks of the machine.

    Attributes:
        ahead: how far the file's time is ahead of the machine's clock.
        began: the file's time when it was created.

    Raises:
        BudgetError: the file is not a budget.
        Locked: another process is opening it at the same moment.
        StoreAway: it cannot be used now.
    """

    __slots__ = ("_identity", "_path", "ahead", "began", "connection")

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path = path
        self.ahead: int = 0
        self.began: int = 0
        self.connection: sqlite3.Connection
        try:
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            if not path.exists():
                _make(path, reading)
            self._identity = _identity_of(path)
            self.connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise told(error) from error
        except OSError as error:
            if error.errno in _FOR_EVER:
                raise BudgetError(
                    f"{path} cannot be used as a budget: {error.strerror}; name another file"
                ) from error
            raise StoreAway(f"{error.strerror}: {error.filename}") from error
        try:
            self._prepare(reading)
        except sqlite3.Error as error:
            self.connection.close()
            if not _is_damage(error):
                raise told(error) from error
            if _code(error) == sqlite3.SQLITE_NOTADB and not _was_budget(path):
                raise self._foreign() from error
            self._set_aside(error)
            raise Locked from error  # the next attempt makes a new one
        except BaseException:
            self.connection.close()
            raise

    def is_current(self) -> bool:
        """Say whether the open file is still the one that has this name."""
        try:
            return _identity_of(self._path) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def damaged(self, error: sqlite3.Error) -> bool:
        """Set the file aside if an error shows that it is damaged; say whether it did."""
        if not _is_damage(error):
            return False
        self.close()
        self._set_aside(error)
        return True

    def _prepare(self, reading: Reading) -> None:
        """Check the layout, and move the file's time on if the machine was restarted."""
        run = self.connection.execute
        (application,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        if not application and self._path.is_file() and not self._path.stat().st_size:
            raise _damage("the file is empty")
        if application != APPLICATION:
            raise self._foreign()
        if version > FORMAT:
            raise StoreAway(
                f"the file has format {version}, and this version of toggl_async reads up to {FORMAT}: "
                "update toggl_async here, too"
            )
        run("PRAGMA synchronous = NORMAL")  # only a crash of the machine may lose a moment
        row = run("SELECT boot, ahead, began FROM clock").fetchone()
        if row is None:
            raise _damage("the clock is missing")
        boot, self.ahead, self.began = row
        latest = run("SELECT max(at), wall FROM accounts").fetchone()
        last, wall = latest if latest[0] is not None else (self.began, reading.wall)
        if not all(isinstance(time, int) for time in (self.ahead, self.began, last, wall)):
            raise _damage("a time is not a number")
        # Where the system has no id for each start, a clock that is behind shows a restart.
        if boot == reading.boot and (boot or reading.uptime + self.ahead >= last):
            return
        self.ahead = ahead_after_boot(reading, last, wall)
        run("BEGIN IMMEDIATE")
        if run("SELECT boot FROM clock").fetchone() != (boot,):  # another process was first
            run("ROLLBACK")
            raise Locked
        run("UPDATE clock SET boot = ?, ahead = ?", (reading.boot, self.ahead))
        run("DELETE FROM accounts WHERE at < ?", (reading.uptime + self.ahead - _KEPT,))
        run("COMMIT")

    def _foreign(self) -> BudgetError:
        return BudgetError(f"{self._path} is not a budget of toggl_async; give FileBudget a file of its own")

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Rename a damaged file, unless another process was faster."""
        try:
            with _nobody_else(self._path):
                if not self.is_current():
                    return
                aside = self._path.with_name(f"{self._path.name}.damaged-{secrets.token_hex(4)}")
                for former in _FORMER:  # the file last: a new one must not meet an old journal
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self._path}{former}").rename(f"{aside}{former}")
        except BlockingIOError:
            return
        except OSError as problem:
            raise StoreAway(f"{error}; and it cannot be set aside: {problem.strerror}") from problem
        _logger.warning("%s is damaged (%s); it was set aside as %s", self._path, error, aside.name)


def _make(path: Path, reading: Reading) -> None:
    """Create a complete file, unless another process was faster."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
    try:
        connection = sqlite3.connect(draft, timeout=0, isolation_level=None)
        try:
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO clock VALUES (?, 0, ?, 0)", (reading.boot, reading.uptime))
        finally:
            connection.close()  # which moves the journal into the file
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        for former in _FORMER:
            Path(f"{draft}{former}").unlink(missing_ok=True)


@contextlib.contextmanager
def _nobody_else(path: Path) -> Iterator[None]:
    """Keep others from setting the same file aside; they try again a moment later.

    Raises:
        BlockingIOError: another process is doing that.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    file = os.open(path.with_name(f"{path.name}.life"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _identity_of(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _damage(words: str) -> sqlite3.DatabaseError:
    """Return an error for damage that SQLite does not see."""
    error = sqlite3.DatabaseError(words)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_damage(error: sqlite3.Error) -> bool:
    """Say whether an error shows that the file is damaged, or has lost a table or a column."""
    code = _code(error)
    if code == sqlite3.SQLITE_ERROR:
        return str(error).startswith("no such ")
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _was_budget(path: Path) -> bool:
    """Say whether a damaged file was a budget, by its mark or by signs of life."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(_MARK_END)[_MARK_AT:] == APPLICATION.to_bytes(4, "big"):
            return True
    return any(path.parent.glob(f"{glob.escape(path.name)}.life*"))


def told(error: sqlite3.Error) -> StoreAway | Locked:
    """Return what an error of SQLite means to a store."""
    if _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Locked()
    return StoreAway(str(error))


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def refuse_no_file(path: Path) -> None:
    """Refuse a directory, a device or a pipe; a path that can't be examined may still become a file.

    Raises:
        BudgetError: it is one.
    """
    with contextlib.suppress(OSError):
        if path.is_dir():
            raise BudgetError(f"{path} is a directory; name a file in it")
        if path.exists() and not path.is_file():
            raise BudgetError(f"{path} is not a regular file; name one, or a file that does not exist yet")


def refuse_network(path: Path) -> None:
    """Refuse a file that lies on a network file system, whose locks cannot be trusted.

    Raises:
        BudgetError: it does. Only Linux says so.
    """
    try:
        mounts = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    try:
        folder = path.resolve().parent
    except (OSError, RuntimeError):  # a loop of links, which opening it will tell
        return
    system = max(
        (len(point.parts), kind)
        for point, kind in map(_mount, mounts)
        if folder == point or point in folder.parents
    )[1]
    if system in _NETWORK:
        raise BudgetError(
            f"{path} is on a network file system ({system}), where locks between machines cannot be "
            "trusted: keep the budget on a local disk, or use RedisBudget for several machines"
        )


def _mount(line: str) -> tuple[Path, str]:
    """Return where a line of mountinfo says that a file system is mounted, and its kind."""
    before, _, after = line.partition(" - ")
    point = before.split(" ")[4].encode().decode("unicode_escape")
    return Path(point), after.split(" ")[0]
