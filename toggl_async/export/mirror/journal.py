"""An append-only file of committed entries: what is in it happened, whatever became of the process.

An entry is a line of JSON behind its checksum, brought to the disk before `append` returns. A line
that was cut off by a crash or a full disk has no valid checksum; it, and what follows, is dropped when
the journal is opened.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

__all__ = ["Appender", "Journal"]

EntryT = TypeVar("EntryT")


class Appender:
    """A file that only grows, written without a buffer so that no data is left in one after an error."""

    def __init__(self, path: Path, size: int) -> None:
        """Open a file and cut it off at a size; it is made when it is not there."""
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        os.ftruncate(self._number, size)
        os.lseek(self._number, size, os.SEEK_SET)
        self.size: int = size

    def append(self, data: bytes) -> None:
        """Write data and bring it to the disk.

        Raises:
            OSError: it could not be written; the file is as it was before, if that can be had.
        """
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._number, left) :]
            os.fsync(self._number)
        except OSError:
            os.ftruncate(self._number, self.size)
            os.lseek(self._number, self.size, os.SEEK_SET)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file."""
        os.close(self._number)


class Journal(Generic[EntryT]):
    """A journal of entries of one type.

    Args:
        path: its file.
        kind: the type of its entries, which msgspec can read and write.
    """

    def __init__(self, path: Path, kind: type[EntryT]) -> None:
        self.path = path
        self._decode = msgspec.json.Decoder(kind).decode
        self._encode = msgspec.json.Encoder().encode
        self._file: Appender | None = None

    def open(self) -> list[EntryT]:
        """Read what was committed, drop what was not, and be ready to append."""
        entries: list[EntryT] = []
        size = 0
        if self.path.exists():
            for line in _lines(self.path):
                entry = _checked(line)
                if entry is None:
                    break
                entries.append(self._decode(entry))
                size += len(line)
        self._file = Appender(self.path, size)
        return entries

    def append(self, entry: EntryT) -> None:
        """Commit an entry.

        Raises:
            OSError: it could not be written.
            RuntimeError: the journal is not open.
        """
        if self._file is None:
            raise RuntimeError("the journal is not open")
        data = self._encode(entry)
        self._file.append(b"%08x %b\n" % (zlib.crc32(data), data))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream


def _checked(line: bytes) -> bytes | None:
    """What stands behind a valid checksum; None for a line that was cut off."""
    checksum, _, data = line.partition(b" ")
    if not data.endswith(b"\n"):
        return None
    entry = data[:-1]
    return entry if checksum == b"%08x" % zlib.crc32(entry) else None
