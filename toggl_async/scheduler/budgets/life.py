"""Signs of life: a lock that a holder keeps while its process lives, and that is released however it ends.

A dead process's place is filled in time by the holder that takes the turn before. On Linux, a holder locks
one byte of a file, at an offset derived from its name, with a lock that belongs to the open file and not to
the process, so that two holders in one process are told apart. On other systems it locks a file of its own.
On Windows there is no sign of life, and only leases decide.
"""

import contextlib
import hashlib
import os
import struct
import sys
from pathlib import Path
from typing import Final, Protocol

if sys.platform != "win32":  # pragma: no branch - Windows has none
    import fcntl

__all__ = ["Life", "begin_life"]

_MODE: Final = 0o600


class Life(Protocol):
    """One holder's sign of life."""

    def alive(self, name: str) -> bool:
        """Say whether a holder lives, as far as is known."""
        ...

    def end(self) -> None:
        """Stop giving it. A forked child has to do so, too, or it would keep its parent's lock alive."""
        ...


def begin_life(path: Path, name: str) -> Life:
    """Give a sign of life for a holder, beside the file that it holds.

    Raises:
        OSError: the folder cannot be written to.
    """
    if sys.platform == "win32":
        return _Silent()
    if hasattr(fcntl, "F_OFD_SETLK"):  # the struct is Linux's, the only system for which Python has them
        return _Byte(path.with_name(f"{path.name}.life"), name)
    return _File(path, name)


class _Byte:
    """A lock on one byte of a file that all holders share."""

    __slots__ = ("_file",)

    def __init__(self, path: Path, name: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK, name))
        except OSError:
            os.close(self._file)
            raise

    def alive(self, name: str) -> bool:
        found = fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, name))
        kind: int = struct.unpack_from("h", found)[0]
        return kind != fcntl.F_UNLCK

    def end(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _File:
    """A lock on a file of the holder's own."""

    __slots__ = ("_file", "_path", "_stem")

    def __init__(self, path: Path, name: str) -> None:
        self._stem = path.with_name(f"{path.name}.life-")
        self._path = self._path_of(name)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def alive(self, name: str) -> bool:
        try:
            file = os.open(self._path_of(name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            with contextlib.suppress(OSError):
                self._path_of(name).unlink()
            return False
        finally:
            os.close(file)

    def end(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _path_of(self, name: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}{_offset(name):x}")


class _Silent:
    """No sign."""

    __slots__ = ()

    def alive(self, name: str) -> bool:  # noqa: ARG002 - the protocol has it
        return True

    def end(self) -> None:
        """Do nothing."""


def _offset(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "little")


def _lock(kind: int, name: str) -> bytes:
    """Return Linux's struct flock for one byte; a lock of the open file has process 0."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, _offset(name), 1, 0)
