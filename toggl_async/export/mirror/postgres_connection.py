"""Connections to PostgreSQL: opening them, the types of cells, and errors."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg
from psycopg import sql
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.string import TextLoader

from toggl_async.export.mirror.postgres_url import PostgresUrl
from toggl_async.export.mirror.storage import DAMAGED, MirrorDamaged

__all__ = ["connected", "failing", "one", "os_error", "quoted", "said"]

_ALIVE = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""Give up a server that has vanished after a minute; by default, that takes hours."""


class _NumberLoader(Loader):
    """Loads the type numeric, which sums have in PostgreSQL."""

    def load(self, data: Any) -> int | float:
        """Read a number."""
        text = bytes(data).decode()
        return float(text) if text.strip("-0123456789") else int(text)


class _AsStored:
    """How cells are loaded: types that `Stored` doesn't include become text."""

    connection = None
    own: ClassVar[frozenset[str]] = frozenset(
        {"bool", "int2", "int4", "int8", "oid", "float4", "float8", "text", "varchar", "bpchar", "name"}
    )

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        for kind in psycopg.adapters.types:
            if kind.name not in self.own:
                self.adapters.register_loader(kind.oid, TextLoader)
            self.adapters.register_loader(kind.array_oid, TextLoader)
        self.adapters.register_loader("numeric", _NumberLoader)


_AS_STORED = _AsStored()


def connected(url: PostgresUrl) -> "psycopg.Connection[Any]":
    """Connect, with the schema of the URL as the only one in the search path."""
    defaults: dict[str, Any] = {name: value for name, value in _ALIVE.items() if name not in url.parameters}
    connection: psycopg.Connection[Any] = psycopg.connect(
        url.conninfo,
        context=_AS_STORED,
        client_encoding="UTF8",
        fallback_application_name="toggl_async",
        **defaults,
    )
    try:
        schema = url.schema or one(connection, "SELECT current_schema()")
        if schema is not None:
            connection.execute(f"SET search_path TO {quoted(schema)}".encode())
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


def one(connection: "psycopg.Connection[Any]", statement: str, *parameters: Any) -> Any:
    """The first cell of a statement's result."""
    row = connection.execute(statement.encode(), parameters or None).fetchone()
    return row[0] if row is not None else None


def quoted(name: str) -> str:
    """Quote a name for a statement."""
    return sql.Identifier(name).as_string(None)


def said(error: BaseException) -> str:
    """The message of an error, in one line."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if primary:
        return primary
    # libpq puts advice on a line of its own, without a full stop before it.
    sentences = re.split(r"(?<=[^\s.:;?])\s*\n\s*(?=[A-Z])", str(error).strip())
    return " ".join(". ".join(sentences).removesuffix(".").split())


def os_error(error: BaseException, name: str) -> OSError:
    """Convert an error of the database to one of the system."""
    what = said(error)
    if isinstance(error, psycopg.errors.DiskFull):
        number = errno.ENOSPC
    elif isinstance(error, psycopg.errors.LockNotAvailable):
        number, what = (
            errno.EBUSY,
            f"another program has locked the database ({what}); stop it, then try again",
        )
    elif isinstance(error, psycopg.errors.OperationalError | psycopg.errors.InterfaceError):
        number = errno.ECONNRESET
    else:
        number = errno.EIO
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return MirrorDamaged(number, f"{what}; {DAMAGED}", name)
    return OSError(number, what, name)


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Raise errors of the database as errors of the system.

    Raises:
        OSError: in place of the library's own error.
    """
    try:
        yield
    except psycopg.Error as error:
        raise os_error(error, name) from error
