"""Errors of SQLite, as errors of the system."""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toggl_async.export.mirror.storage import DAMAGED, MirrorDamaged

__all__ = ["code_of", "failing", "is_busy", "is_of_the_file"]

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""Codes of errors that another program causes."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Codes of errors of a damaged file."""

_UNNAMED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
"""Codes of errors of the system whose cause SQLite doesn't tell."""

_OF_THE_FILE = _BUSY | _DAMAGED | _UNNAMED | {sqlite3.SQLITE_FULL}
"""Codes of errors that no statement causes."""

_LACKING = ("no such table", "no such column", "has no column named")
"""What errors say if a table or a column is missing; their code is that of any error in a statement."""

_ROOM = 64 * 1024
"""Bytes that SQLite needs at least to open a file with a log; the index of the log alone takes 32 KB."""


def code_of(error: Exception) -> int | None:
    """The primary code of an error; None if the module itself raised it."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(error: Exception) -> bool:
    """Whether another connection is using what this one needs."""
    return code_of(error) in _BUSY


def is_of_the_file(error: Exception) -> bool:
    """Whether the file, and not the statement, is at fault."""
    return code_of(error) in _OF_THE_FILE


@contextmanager
def failing(path: Path, patience: float) -> Iterator[None]:
    """Raise errors of the database as errors of the system.

    Args:
        path: the file.
        patience: seconds that a connection waits for another program.

    Raises:
        OSError: in place of the library's own error.
    """
    try:
        yield
    except sqlite3.Error as error:
        number, said, code = errno.EIO, str(error), code_of(error)
        if "full" in said.lower():
            number = errno.ENOSPC
        elif code in _BUSY:
            number = errno.EBUSY
            said = f"another program has locked the database for {patience:g} s; stop it, then try again"
        elif code in _UNNAMED:
            number, said = _cause(path, said)
        elif code in _DAMAGED or any(words in said for words in _LACKING):
            raise MirrorDamaged(number, f"{said}; {DAMAGED}", str(path)) from error
        raise OSError(number, said, str(path)) from error


def _cause(path: Path, said: str) -> tuple[int, str]:
    """Find out why SQLite can't write: writing as much beside the file meets the same error of the system.

    Returns:
        Its number, and what to say of it.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(_ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as cause:
        if cause.errno == errno.ENOSPC:
            return errno.ENOSPC, "the disk is full"
        return cause.errno or errno.EIO, f"{said}: {cause.strerror}"
    return errno.EIO, said
