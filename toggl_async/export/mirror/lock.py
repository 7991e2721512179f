"""One run at a time: a lock beside a file, which the system releases when the process is gone.

It is a file of its own: SQLite loses its locks when a process closes another descriptor of the database.
"""

import os
import sys
from pathlib import Path

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.storage import is_of_the_machine

__all__ = ["LOCK", "Lock"]

LOCK = ".lock"
"""The suffix of the lock file, which exists during a run, and after one that was killed."""

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _take(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

    def _remove(_: Path, number: int) -> None:
        os.close(number)  # an open file can't be removed, and once closed, another process may have it

else:
    import fcntl

    def _take(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _remove(path: Path, number: int) -> None:
        path.unlink(missing_ok=True)
        os.close(number)


class Lock:
    """A lock that at most one process holds, and only once.

    Args:
        path: the file to lock; the lock file is next to it.
    """

    def __init__(self, path: Path) -> None:
        self._of = path
        self._path = path.with_name(path.name + LOCK)
        self._number: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            InvalidInput: it is held by another run, or the lock file may not be created.
            OSError: the lock file can't be created, because the disk is full, for instance.
        """
        busy = InvalidInput(f"another run is writing to {self._of}; wait until it has ended")
        if self._number is not None:
            raise busy
        while self._number is None:
            try:
                number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                if is_of_the_machine(error):
                    raise
                raise InvalidInput(f"cannot write to {self._path.parent}: {error.strerror}") from error
            try:
                _take(number)
                # The last holder may have removed the file, so that this lock is on a file without a name.
                if self._path.exists() and os.path.samestat(os.fstat(number), self._path.stat()):
                    self._number = number
            except OSError as error:
                raise busy from error
            finally:
                if self._number is None:
                    os.close(number)

    def let_go(self) -> None:
        """Let go of the lock, if it is held."""
        if self._number is not None:
            _remove(self._path, self._number)
            self._number = None
