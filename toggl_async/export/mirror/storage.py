"""Small things about files: checksums, and writing so that a file is there whole or not at all."""

import hashlib
import os
from pathlib import Path

__all__ = ["PARTIAL", "digest", "sync_directory", "write_atomically"]

PARTIAL = ".partial"
"""The suffix of a file that is not whole."""


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


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    sync_directory(path.parent)
