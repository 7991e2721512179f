"""How files are opened, and the error if one cannot be written."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BUFFER", "READABLE", "create", "failing"]

READABLE = 0o600
"""Only the owner may read the files: they contain names, addresses, and who did what when."""

BUFFER = 1 << 18
"""The size of the write buffer; the default of 8 KB holds a dozen rows."""

_CAUSES = {
    errno.ENOSPC: ("full", "no space", "too large"),
    errno.EROFS: ("readonly", "read-only"),
    errno.EACCES: ("permission denied",),
}
"""The errors that databases only put in words."""


def create(path: Path) -> None:
    """Create or truncate a file; a new one is readable by its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, READABLE))


@contextmanager
def failing(failures: type[Exception], path: Path) -> Iterator[None]:
    """Raise a library's errors of writing as the system's.

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
