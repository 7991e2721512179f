"""How files are opened, and what is said when one cannot be written."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BUFFER", "READABLE", "create", "failing"]

READABLE = 0o600
"""For their owner alone: names, addresses, and what people did at which hour."""

BUFFER = 1 << 18
"""Bytes of a file that are written at once: the usual 8 KB are a dozen rows."""

_CAUSES = {
    errno.ENOSPC: ("full", "no space", "too large"),
    errno.EROFS: ("readonly", "read-only"),
    errno.EACCES: ("permission denied",),
}
"""What databases say in words."""


def create(path: Path) -> None:
    """Make a file empty, and one that is new readable by its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, READABLE))


@contextmanager
def failing(failures: type[Exception], path: Path) -> Iterator[None]:
    """Say what a library could not write as the system would.

    Args:
        failures: the library's own errors.
        path: the file that is written.

    Raises:
        OSError: in place of them.
    """
    try:
        yield
    except failures as error:
        text = str(error)
        causes = (number for number, words in _CAUSES.items() if any(word in text.lower() for word in words))
        raise OSError(next(causes, errno.EIO), text, os.fspath(path)) from error
