"""The client that a `RedisBudget` uses: checked before use; and why one cannot work."""

import asyncio
import re
import ssl
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from urllib.parse import urlsplit

import anyio

from toggl_async.errors import InvalidInput, printable
from toggl_async.scheduler.budgets.shared import BOUND

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

    Client: TypeAlias = Redis | RedisCluster

__all__ = ["client_of", "misconfigured", "refuse_others", "refuse_text", "shown_url", "speaks_in_the_clear"]

_SCHEMES: Final = ("redis", "rediss", "unix")
_NO_DATABASE: Final = re.compile(r"DB index|SELECT is not allowed")
_PLAIN_BOUND: Final = 0.3 * BOUND
"""Seconds that a server may take to answer when it is asked without TLS."""


def client_of(url: str) -> "Redis":
    """Return a client whose reads don't time out by themselves, since each transaction is bounded."""
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    try:
        # Only a request shows that the server closed an idle connection, so each is tried once more.
        client = Redis.from_url(
            url, socket_connect_timeout=BOUND, socket_timeout=None, retry=Retry(NoBackoff(), 1)
        )
        pool: Any = client.connection_pool  # its types know nothing of this
        pool.make_connection()  # this only checks the options; it connects later
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the URL of the budget at {shown_url(url)} is not valid: {error}") from None
    refuse_text(client)
    return client


def refuse_others(client: object) -> None:
    """Refuse anything that isn't a client for asyncio, such as redis-py's synchronous ones.

    Raises:
        InvalidInput: it isn't.
    """
    from redis.asyncio import Redis, RedisCluster  # noqa: PLC0415 - an extra

    if not isinstance(client, Redis | RedisCluster):
        kind = type(client)
        raise InvalidInput(
            "RedisBudget takes a URL such as redis://localhost:6379/0, or a client of redis.asyncio, not a "
            f"value of type {kind.__module__}.{kind.__qualname__}"
        )


def refuse_text(client: "Client") -> None:
    """Refuse a client that decodes answers.

    Raises:
        InvalidInput: it does.
    """
    if client.get_encoder().decode_responses:
        raise InvalidInput(
            "the client decodes answers to text, but the budget stores bytes: pass a client with "
            "decode_responses=False"
        )


def shown_url(url: str) -> str:
    """Return a URL without its secrets.

    Raises:
        InvalidInput: it is not a URL of Redis.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise InvalidInput("the URL of the budget has a port that is not a number from 0 to 65535") from None
    if parts.scheme not in _SCHEMES:
        raise InvalidInput(
            "the URL of the budget must begin with redis://, rediss:// or unix://, for instance "
            "redis://localhost:6379/0"
        )
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


async def speaks_in_the_clear(client: "Client") -> bool:
    """Say whether a server answers without TLS; a plain Redis that is greeted in TLS waits for more."""
    settings = cast(Any, client).connection_pool.connection_kwargs

    async def greet() -> bytes:
        stream = await anyio.connect_tcp(settings.get("host", "localhost"), settings.get("port", 6379))
        async with stream:
            await stream.send(b"PING\r\n")
            return await stream.receive(64)

    try:
        return (await asyncio.wait_for(greet(), _PLAIN_BOUND)).startswith((b"+PONG", b"-"))
    except (OSError, anyio.EndOfStream):
        return False


def misconfigured(error: BaseException) -> str:
    """Return what is wrong with the configuration, if that is why an error came; else nothing."""
    from redis import exceptions  # noqa: PLC0415 - an extra

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, exceptions.AuthenticationError | exceptions.AuthenticationWrongNumberOfArgsError):
            return "the user name or the password is wrong"
        if isinstance(seen, exceptions.NoPermissionError):
            return f"this user lacks a permission that a budget needs ({seen})"
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate cannot be verified ({seen.verify_message})"
        if isinstance(seen, ssl.SSLError):
            return f"it does not speak TLS ({seen.reason})"
        if isinstance(seen, exceptions.ResponseError) and _NO_DATABASE.search(str(seen)):
            return f"it has no database with this number ({printable(str(seen))})"
        seen = seen.__cause__ or seen.__context__
    return "a password is needed" if "NOAUTH" in str(error) else ""
