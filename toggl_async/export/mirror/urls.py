"""Which store a URL names. A store is loaded when it is first asked for: it loads every record."""

import os
from pathlib import Path

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.store import RowStore

__all__ = ["store_of"]

_SQLITE = "sqlite:///"
"""What the URL of a file begins with; another slash makes its path absolute."""


def store_of(url: str | os.PathLike[str]) -> RowStore:
    """The store that a URL or a path names.

    Raises:
        InvalidInput: it names none.
    """
    text = os.fspath(url)
    if text.startswith(_SQLITE):
        text = text.removeprefix(_SQLITE)
    elif "://" in text:
        raise InvalidInput(
            f"cannot keep a mirror in {text.partition('://')[0]}://…; name a file: {_SQLITE}PATH, or the path"
        )
    if not text or text == ":memory:":
        raise InvalidInput(f"a mirror needs a file: {_SQLITE}PATH, or the path")
    from toggl_async.export.mirror.sqlite import SqliteStore  # noqa: PLC0415 - it loads every record

    return SqliteStore(Path(text))
