"""Helpers for files: checksums, writing a file whole or not at all, and the errors if that fails."""

import errno
import hashlib
import os
import stat
from pathlib import Path

from toggl_async.errors import InvalidInput

__all__ = [
    "CLOSED",
    "DAMAGED",
    "MIRROR",
    "PARTIAL",
    "MirrorDamaged",
    "check_name",
    "digest",
    "is_of_the_machine",
    "is_special",
    "make_private",
    "replace",
    "sync_directory",
    "write_atomically",
]

PARTIAL = ".partial"
"""The suffix of an unfinished file."""

CLOSED = "the mirror is not open: use it within `async with`"
"""The error of a mirror that is used before it is entered, or after it is left."""

DAMAGED = "it is damaged: restore a copy, or remove it, and the next run reads everything again"
"""The end of errors about a mirror that can no longer be read."""


MIRROR = "mirror.sqlite"
"""The name of the mirror in a destination."""


class MirrorDamaged(OSError):
    """A mirror lacks tables or columns, or can't be read; running again doesn't help."""


_OF_THE_MACHINE = frozenset(
    {
        errno.EBUSY,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
    }
)
"""Numbers of errors that say nothing of the path that was given: another time, it can be written to."""


def is_of_the_machine(error: OSError) -> bool:
    """Whether an error is the machine's, such as a full disk, and not that of a path that can't be used."""
    return error.errno in _OF_THE_MACHINE and not isinstance(error, MirrorDamaged)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_directory(directory: Path) -> None:
    """Flush the entries of a directory to the disk, if the system can."""
    if os.name == "posix":  # pragma: no branch
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def make_private(path: Path) -> None:
    """Create a file that only its owner may read; an existing one stays as it is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse what no file can be named, which the system would answer with errors of Python's own.

    Raises:
        InvalidInput: it contains a null character, or one that the file system can't encode.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise InvalidInput(f"{name!r} cannot be a path: it contains a null character")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name!r} cannot be a path: the file system cannot encode it") from error


def is_special(path: Path) -> bool:
    """Whether something other than a file has this name, such as a device or a pipe.

    Opening a pipe can wait forever, and a device that is replaced is gone for everybody.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _refuse_special(path: Path) -> None:
    if is_special(path):
        raise FileExistsError(errno.EEXIST, "it is not a regular file", str(path))


def replace(partial: Path, path: Path) -> None:
    """Flush a file to the disk, then rename it, in place of the file that had the name.

    Raises:
        OSError: it can't be written, or something other than a file has the name.
    """
    _refuse_special(path)
    number = os.open(partial, os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)
    partial.replace(path)
    sync_directory(path.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable only by its owner.

    Raises:
        OSError: it can't be written, or something other than a file has the name.
    """
    partial = path.with_name(path.name + PARTIAL)
    _refuse_special(path)
    _refuse_special(partial)
    make_private(partial)
    partial.write_bytes(data)
    replace(partial, path)
