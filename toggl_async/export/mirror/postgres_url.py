"""Where a mirror in PostgreSQL is: a URL as libpq reads it, plus the schema of the account."""

import re
from itertools import zip_longest
from urllib.parse import quote, unquote

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict

from toggl_async.errors import InvalidInput

__all__ = ["PostgresUrl", "parse_url"]

# As in libpq, credentials end at the first "@" before any "/", and may contain a "?".
_PARTS = re.compile(r"(?P<address>postgres(?:ql)?://(?:[^@/]*@)?[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)

_SECRETS = ("password", "sslpassword")

_LONGEST_NAME = 63
"""The most bytes of a name: PostgreSQL cuts off the rest, and two schemas would become one."""

_EXPECTED = "write it as postgresql://USER@HOST:PORT/DATABASE?schema=NAME, special characters percent-encoded"


@attrs.frozen(kw_only=True)
class PostgresUrl:
    """A parsed URL.

    Attributes:
        conninfo: libpq's connection string; it may contain a password.
        parameters: the names of the parameters in it.
        schema: the schema of the tables; None for the first of the connection's search path.
        shown: the URL for messages, with nothing secret in it.
    """

    conninfo: str = attrs.field(repr=False)
    parameters: frozenset[str]
    schema: str | None
    shown: str

    @property
    def has_password(self) -> bool:
        """Whether the URL itself contains a password."""
        return not self.parameters.isdisjoint(_SECRETS)


def parse_url(url: str) -> PostgresUrl:
    """Parse a URL.

    Raises:
        InvalidInput: it is not a URL of PostgreSQL. The message never repeats it, as it may hold a password.
    """
    parts = _PARTS.fullmatch(url)
    if parts is None:
        raise InvalidInput(f"this is not a PostgreSQL URL; {_EXPECTED}")
    schemas: list[str] = []
    others: list[str] = []
    try:
        for part in (parts["query"] or "").split("&"):
            name, _, value = part.partition("=")
            if name == "schema":
                schemas.append(unquote(value, errors="strict"))
            elif part:
                others.append(part)
        conninfo = parts["address"] + ("?" + "&".join(others) if others else "")
        said = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    except (psycopg.Error, ValueError):  # their messages may repeat a password
        raise InvalidInput(f"PostgreSQL cannot read this URL; {_EXPECTED}") from None
    if "@" in said.get("dbname", ""):  # the rest of a password that contains a slash
        raise InvalidInput(f"PostgreSQL cannot read this URL; {_EXPECTED}")
    schema = schemas[-1] if schemas else None
    if schema is not None and not _is_name(schema):
        raise InvalidInput(f"schema must be a name of 1 to {_LONGEST_NAME} bytes, not {schema!r}")
    return PostgresUrl(
        conninfo=conninfo, parameters=frozenset(said), schema=schema, shown=_shown(said, schema)
    )


def _is_name(text: str) -> bool:
    return text.isprintable() and 0 < len(text.encode()) <= _LONGEST_NAME


def _shown(said: dict[str, str], schema: str | None) -> str:
    """Build the URL for messages."""
    user = f"{quote(said['user'])}@" if "user" in said else ""
    pairs = zip_longest(said.get("host", "").split(","), said.get("port", "").split(","), fillvalue="")
    hosts = ",".join(f"{host}:{port}" if port else host for host, port in pairs)
    query = [
        f"{name}={quote(value)}"
        for name, value in (("service", said.get("service")), ("schema", schema))
        if value
    ]
    return f"postgresql://{user}{hosts}/{quote(said.get('dbname', ''))}" + (
        f"?{'&'.join(query)}" if query else ""
    )
