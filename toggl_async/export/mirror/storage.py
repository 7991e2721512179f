"""Helpers for files: checksums, writing a file whole or not at all, and the errors if that fails."""

import errno
import hashlib
import os
import stat
from pathlib import Path

__all__ = [
    "CLOSED",
    "DAMAGED",
    "MIRROR",
    "PARTIAL",
    "MirrorDamaged",
    "digest",
    "is_special",
    "make_private",
    "replace",
    "sync_directory",
    "write_atomically",
]

PARTIAL = ".partial"
"""The suffix of a file that is not whole."""

CLOSED = "the mirror is not open: use it within `async with`"
"""The error of a mirror that is used before it is entered, or after it is left."""

DAMAGED = "it is damaged: restore a copy, or remove it, and the next run reads everything again"
"""The end of errors about a mirror that can no longer be read."""


MIRROR = "mirror.sqlite"
"""The mirror's name in a destination: its rows, of which files are made, and how far a run is."""


class MirrorDamaged(OSError):
    """A mirror lacks what it was made with, or its database can't be read; running again does not help."""


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_directory(directory: Path) -> None:
    """Bring the names of a directory to the disk, where the system can."""
    if os.name == "posix":  # pragma: no branch
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def make_private(path: Path) -> None:
    """Make a file that nobody but its owner may read; one that is there stays as it is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def is_special(path: Path) -> bool:
    """Whether something else than a file has this name, such as a device or a pipe.

    A pipe lets its readers and writers wait forever, and a device that is replaced is gone for everybody.
    """
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _refuse_special(path: Path) -> None:
    if is_special(path):
        raise FileExistsError(errno.EEXIST, "it is not a regular file", str(path))


def replace(partial: Path, path: Path) -> None:
    """Bring a file that was written to the disk, then give it its name in place of the file that had it.

    Raises:
        OSError: it can't be written, or something else than a file has the name.
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
    """Write a file so that it is there whole or not at all, for nobody but its owner to read.

    Raises:
        OSError: it can't be written, or something else than a file has the name.
    """
    partial = path.with_name(path.name + PARTIAL)
    _refuse_special(path)
    _refuse_special(partial)
    make_private(partial)
    partial.write_bytes(data)
    replace(partial, path)
