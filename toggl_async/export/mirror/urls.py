"""Which store a URL names. A store is loaded on first use, because it loads every record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toggl_async._extras import needed_by
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.storage import check_name
from toggl_async.export.mirror.store import RowStore

__all__ = ["refuse_password", "store_of"]

_SQLITE = "sqlite:///"
"""The prefix of the URL of a file; another slash makes its path absolute."""

_FILE = "file:"
"""The prefix of a URL as SQLite itself takes it, which could name another file than its text says."""

_POSTGRES = ("postgresql://", "postgres://")
"""The prefixes of the URL of a PostgreSQL database."""


@contextmanager
def _psycopg_needed() -> Iterator[None]:
    try:
        with needed_by("a mirror in PostgreSQL", "postgres"):
            yield
    except ModuleNotFoundError as missing:
        raise InvalidInput(str(missing)) from None


def store_of(url: str | os.PathLike[str]) -> RowStore:
    """The store that a URL or a path names; an `os.PathLike` is always a path.

    Raises:
        InvalidInput: it doesn't name a store, or has parameters that it may not have; or a package that the
            store needs is not installed.
    """
    text: object = os.fspath(url) if isinstance(url, os.PathLike) else url
    if not isinstance(text, str):
        raise InvalidInput(f"a mirror is named by a URL or a path, not by {type(url).__name__}")
    if isinstance(url, os.PathLike):
        pass
    elif text.startswith(_SQLITE):
        text, asks, query = text.removeprefix(_SQLITE).partition("?")
        if asks:
            raise InvalidInput(
                f"{_SQLITE}PATH takes no parameters, such as {asks}{query}; "
                "for a file with a question mark in its name, pass the path alone"
            )
    elif text.startswith(_POSTGRES):
        with _psycopg_needed():
            from toggl_async.export.mirror.postgres import PostgresStore  # noqa: PLC0415 - an extra

        return PostgresStore(text)
    elif "://" in text or text.startswith(_FILE):
        kind = _FILE if text.startswith(_FILE) else f"{text.partition('://')[0]}://"
        raise InvalidInput(
            f"cannot keep a mirror in {kind}…; name a file: {_SQLITE}PATH, or the path; "
            f"or a database: {_POSTGRES[0]}USER@HOST/DATABASE"
        )
    if not text or text == ":memory:":
        raise InvalidInput(f"a mirror needs a file: {_SQLITE}PATH, or the path")
    check_name(text)
    from toggl_async.export.mirror.sqlite import SqliteStore  # noqa: PLC0415 - it loads every record

    return SqliteStore(Path(text))


def refuse_password(url: str) -> None:
    """Refuse a URL with a password on the command line, where every user of the machine can read it.

    Raises:
        InvalidInput: it has one, or can't be parsed.
    """
    if url.startswith(_POSTGRES):
        with _psycopg_needed():
            from toggl_async.export.mirror.postgres_url import parse_url  # noqa: PLC0415 - an extra

        if parse_url(url).has_password:
            raise InvalidInput(
                "the URL contains a password, which every user of the machine can read on a command line; "
                "leave it out, and set PGPASSWORD, or write it to ~/.pgpass or a service file"
            )
