"""One run at a time: a lock on the destination, which the system lets go of when the process is gone."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from toggl_async.errors import InvalidInput

__all__ = ["LOCK", "locked"]

LOCK = "export.lock"
"""The file that is locked where a directory itself can't be: on Windows."""


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory, which is made if need be, against other runs.

    Raises:
        InvalidInput: it cannot be made, or another run holds it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        number = _open(directory)
    except OSError as error:
        raise InvalidInput(f"cannot write to {directory}: {error.strerror}") from error
    try:
        try:
            _take(number)
        except OSError as error:
            raise InvalidInput(f"another export is writing to {directory}") from error
        yield
    finally:
        os.close(number)


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _open(directory: Path) -> int:
        return os.open(directory / LOCK, os.O_RDWR | os.O_CREAT)

    def _take(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _open(directory: Path) -> int:
        return os.open(directory, os.O_RDONLY)

    def _take(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
