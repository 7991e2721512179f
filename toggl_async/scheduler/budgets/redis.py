"""One budget for all processes of many machines, in Redis or Valkey.

A transaction reads a value, applies the step here, and sets the result unless somebody else did meanwhile::

    READ  ──▶ value, TIME, who listens
    step
    WRITE ──▶ done, or the value that somebody else has set: the step runs again

The time is the server's. All keys of an account have one hash tag, so a cluster keeps them together.
"""

import asyncio
import contextlib
import os
import re
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import anyio
import msgspec

from toggl_async.errors import BudgetError, InvalidInput, WrongEventLoop, printable, shown
from toggl_async.scheduler.budgets import OnTrouble, Step
from toggl_async.scheduler.budgets.loopback import call_in_time
from toggl_async.scheduler.budgets.scripts import MARK, READ, WRITE, Script, StoredValue, expiry
from toggl_async.scheduler.budgets.server_clock import ServerClock
from toggl_async.scheduler.budgets.shared import BOUND, SharedHolder
from toggl_async.scheduler.budgets.store import StoreAway, opened
from toggl_async.scheduler.budgets.stored import decoded, learned, recalled
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Lesson, Memories

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.client import PubSub

    Client: TypeAlias = Redis | RedisCluster

__all__ = ["RedisBudget"]

T = TypeVar("T")

_SCHEMES: Final = ("redis", "rediss", "unix")
_NO_DATABASE: Final = re.compile(r"DB index|SELECT is not allowed")
_NO_REDIS: Final = "it does not answer like Redis"
_TLS_BOUND: Final = 0.7 * BOUND
"""Seconds that a server may take to answer in TLS before it is asked whether it knows TLS."""
_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What redis-py raises at an answer that isn't Redis', unless it notices."""
_AT_ONCE: Final = 8
"""Transactions of one holder under way at once; each takes a connection."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


def _check_prefix(prefix: object) -> None:
    """Refuse what keys can't begin with; braces would take those of an account apart in a cluster.

    Raises:
        InvalidInput: it can't be.
    """
    if not (isinstance(prefix, str) and prefix and prefix.isprintable() and not {*"{} "} & {*prefix}):
        raise InvalidInput(
            f"prefix must be text without spaces, braces and control characters, not {shown(prefix)}"
        )


class RedisBudget:
    """Keeps the limits of accounts in Redis or Valkey, for all processes that use them.

    Args:
        url_or_client: a ``redis://``, ``rediss://`` or ``unix://`` URL, as redis-py reads it; or one of
            redis-py's asyncio clients: `Redis`, `RedisCluster`, or one from a `Sentinel`. A client is not
            closed.
        prefix: the prefix of all keys and channels. They contain no credentials.

    Raises:
        InvalidInput: the URL is not a Redis URL, the client decodes answers or is not one of asyncio, or the
            prefix is not a str.
        BudgetError: redis-py is not installed.
    """

    __slots__ = ("_client", "_clock", "_home", "_prefix", "_shown", "_url")

    def __init__(
        self,
        url_or_client: "str | Client",
        prefix: str = "toggl_async",
        *,
        _clock: Callable[[], int] | None = None,
    ) -> None:
        try:
            import redis.asyncio  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise BudgetError("RedisBudget needs redis-py: pip install 'toggl_async[redis]'") from error
        _check_prefix(prefix)
        self._prefix = prefix
        self._clock = _clock
        self._client: Client | None = None
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._url = ""
        if isinstance(url_or_client, str):
            self._url = url_or_client
            self._shown = _shown(url_or_client)
            _client_of(url_or_client)  # so that a URL that can't be used is refused here
        else:
            _refuse_others(url_or_client)
            _refuse_text(url_or_client)
            self._client = url_or_client
            self._shown = type(url_or_client).__name__

    def __repr__(self) -> str:
        return f"<RedisBudget at {self._shown}>"

    def open(self, on_wake: Callable[[str], None], *, on_trouble: OnTrouble | None = None) -> SharedHolder:
        """Join the budget from the running event loop; it connects when it is needed.

        Args:
            on_wake: called in that loop with the key of an account about which this holder should ask again.
            on_trouble: called with the reason when Redis can no longer be used, and with None when it can be
                used again.

        Raises:
            WrongEventLoop: the budget was given a client, which is in use by another loop or process.
        """
        client = self._client
        if client is None:
            client = _client_of(self._url)
        else:
            home = asyncio.get_running_loop(), os.getpid()
            if self._home not in {None, home}:
                raise WrongEventLoop(
                    "the client of this RedisBudget belongs to another event loop or process: make a "
                    "RedisBudget from a URL, which connects separately in each"
                )
            self._home = home
        store = _RedisStore(client, self._prefix, self._shown, on_wake, owns=self._client is None)
        if self._clock is not None:
            store.clock = self._clock
        return SharedHolder(store, on_trouble=on_trouble)


class _RedisStore:
    """One holder's connection to Redis."""

    def __init__(
        self, client: "Client", prefix: str, shown: str, on_wake: Callable[[str], None], *, owns: bool
    ) -> None:
        from redis.asyncio import RedisCluster  # noqa: PLC0415 - an extra
        from redis.exceptions import NoScriptError, RedisError  # noqa: PLC0415

        self._client = client
        self._owns = owns
        self._encrypts = owns and shown.startswith("rediss:")
        self._answered = False
        self._prefix = prefix
        self._channels = f"{prefix}:wake:"
        self._on_wake = on_wake
        self._loop = asyncio.get_running_loop()
        self._errors: tuple[type[Exception], ...] = (RedisError, OSError, EOFError)
        self._no_script = NoScriptError
        # In a cluster a node knows only its own listeners.
        self._asks = not isinstance(client, RedisCluster)
        self._at_once = anyio.Semaphore(_AT_ONCE)
        self._connecting = anyio.Lock()
        self._listener: asyncio.Task[None] | None = None
        self._subscription: PubSub | None = None
        self._deaf: set[str] = set()
        self._server_clock = ServerClock()
        self.read_at: int = 0
        """When the clock was read that the latest step was given, in microseconds of the loop's."""
        self.clock: Callable[[], int] | None = None
        """Where the time comes from in tests; else it is the server's."""
        host = socket.gethostname().partition(".")[0].replace(" ", "-")[:20]
        self.name: str = f"{host}.{os.getpid()}.{secrets.token_hex(3)}"
        self.place: str = f"the shared budget in Redis at {shown}"

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson]) -> Awaitable[T]:
        """Apply a step as often as somebody else writes meanwhile."""
        return self._safely(lambda: self._transact(account, step, lessons))

    def recall(self, account: str) -> Awaitable[tuple[Memories, int]]:
        """Return what was learned of an account."""
        return self._safely(lambda: self._recall(account))

    def alive(self, name: str) -> bool:
        """Say whether a holder listens, as the latest answer told."""
        return name not in self._deaf

    async def ping(self) -> None:
        """Try whether Redis can be written to, and listen anew.

        One that is out of memory, or has become a replica, still answers.
        """
        await self._stop_listening()
        await self._safely(self._connect)
        await self._safely(self._mark)

    async def aclose(self) -> None:
        """Listen no more, and close the connections."""
        with contextlib.suppress(*self._errors):
            await self._stop_listening()
        if self._owns:
            with contextlib.suppress(*self._errors):
                await self._client.aclose()

    async def _safely(self, action: Callable[[], Awaitable[T]]) -> T:
        """Run an action, and make an error of Redis one of a store."""
        try:
            async with self._at_once:
                return await action()
        except self._errors as error:
            # redis-py's errors are none of Python's, and some of Python's are raised as they are.
            if why := _misconfigured(error):
                raise BudgetError(f"{self.place}: {why}") from error
            raise StoreAway(printable(str(error)) or type(error).__name__) from error

    async def _transact(self, account: str, step: Step[T], lessons: Sequence[Lesson]) -> T:
        if self._listener is None or self._listener.done():
            await self._connect()
        keys = self._keys(account)
        channels = self._channels if self._asks else ""
        asked = self._now()
        found = await self._run(READ, keys[:1], channels)
        while True:
            now, value = self._time_of(found), StoredValue("", b"")
            read_at = self._server_clock.moment(asked, now, self._now()) if self.clock is None else None
            limits = None
            if len(found) > 2:  # noqa: PLR2004 - there is a value
                value = StoredValue.of(found[2])
                limits = decoded(value.limits)
            if limits is None:
                limits = Limits.new(now)
                limits.closed = opened(now, now if value.tag else await self._mark())
            self._note_who_listens(found[3] if len(found) > 3 else ())  # noqa: PLR2004 - signs of life
            self.read_at = self._now() if read_at is None else read_at
            limits, result, wakes = step(limits, now)
            memories = b""
            if lessons:
                memories = learned(cast("bytes | None", await self._client.get(keys[1])), lessons, now)
            messages: list[str | bytes] = []
            for wake in wakes:
                messages += (self._channels + wake.name, _encode((account, wake.after)))
            stored = StoredValue.made(secrets.token_hex(8), limits, ask=self._asks)
            asked = self._now()
            found = await self._run(
                WRITE, keys, channels, value.tag, stored, expiry(limits, now), memories, *messages
            )
            if found == 1:
                return result

    async def _recall(self, account: str) -> tuple[Memories, int]:
        stored = cast("bytes | None", await self._client.get(self._keys(account)[1]))
        found = await self._run(READ, self._keys(account)[:1], "")
        return recalled(stored), self._time_of(found)

    def _now(self) -> int:
        return int(self._loop.time() * SECOND)

    def _time_of(self, found: Sequence[Any]) -> int:
        try:
            seconds, microseconds = map(int, found[:2])
        except (TypeError, ValueError) as error:
            raise StoreAway(_NO_REDIS) from error
        time = seconds * SECOND + microseconds
        return time if self.clock is None else self.clock()

    async def _mark(self) -> int:
        """Return when this memory of Redis' began."""
        found = await self._run(MARK, (f"{self._prefix}:mark",))
        try:
            return int(found)
        except (TypeError, ValueError) as error:
            raise StoreAway(_NO_REDIS) from error

    async def _run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script, which Redis has forgotten if it was started anew."""
        given = (*keys, *arguments)
        client: Any = self._client  # its types know no bytes
        try:
            return await client.evalsha(script.digest, len(keys), *given)
        except self._no_script:
            return await client.eval(script.text, len(keys), *given)
        except _UNREADABLE:  # pragma: no cover - nonsense comes with the first answer, seldom later
            raise StoreAway(_NO_REDIS) from None
        except RuntimeError as error:  # as some loops raise where a connection has just been closed
            raise ConnectionError(str(error)) from error

    def _keys(self, account: str) -> tuple[str, str]:
        tagged = f"{self._prefix}:{{{account}}}"
        return f"{tagged}:limits", f"{tagged}:memories"

    def _note_who_listens(self, heard: Sequence[Any]) -> None:
        """Take what the step is to know: channels, each followed by the count of its listeners."""
        start = len(self._channels)
        self._deaf = {
            channel.decode()[start:]
            for channel, count in zip(heard[::2], heard[1::2], strict=True)
            if not count
        }

    # Wakes

    async def _connect(self) -> None:
        """Listen on one's own channel; before anything else, for who doesn't listen counts as dead."""
        async with self._connecting:
            if self._listener is not None and not self._listener.done():
                return
            try:
                await self._subscribe()
            except _UNREADABLE:
                raise StoreAway(_NO_REDIS) from None
            subscription = self._subscription
            assert subscription is not None  # noqa: S101 - it has just been made
            self._deaf.clear()
            self._listener = self._loop.create_task(self._listen(subscription))

    async def _subscribe(self) -> None:
        if not self._encrypts or self._answered:
            await self._ask_to_be_woken()
            return
        with anyio.move_on_after(_TLS_BOUND) as scope:
            await self._ask_to_be_woken()
        if not scope.cancelled_caught:
            self._answered = True
        elif await _speaks_in_the_clear(self._client):
            raise BudgetError(
                f"{self.place}: the server does not encrypt: use redis:// instead of rediss://, or let it "
                "use TLS"
            )
        else:  # pragma: no cover - a server that takes TLS and is silent
            raise StoreAway(f"no answer within {_TLS_BOUND:g} s")

    async def _ask_to_be_woken(self) -> None:
        await self._client.initialize()  # a cluster's subscription takes its nodes for known
        subscription = self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
        await subscription.subscribe(self._channels + self.name)
        await subscription.get_message(timeout=BOUND)  # that it has been subscribed

    async def _listen(self, subscription: "PubSub") -> None:
        """Pass on wakes for as long as there is a connection."""
        try:
            while True:
                message = await subscription.get_message(timeout=None)
                if message is None:  # pragma: no cover - the confirmation, where it came late
                    continue
                with contextlib.suppress(msgspec.MsgspecError):  # anybody can publish
                    account, after = _decode(message["data"])
                    call_in_time(self._loop, self._on_wake, account, after)
        except self._errors + _UNREADABLE:
            return  # the next transaction listens anew

    async def _stop_listening(self) -> None:
        task, self._listener = self._listener, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*self._errors):
                await subscription.aclose()  # type: ignore[no-untyped-call]


def _client_of(url: str) -> "Redis":
    """Return a client of our own; it waits for nothing by itself, since each transaction is bounded."""
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    try:
        # A connection that the server closed while it was idle is found out by using it: once more, then.
        client = Redis.from_url(
            url, socket_connect_timeout=BOUND, socket_timeout=None, retry=Retry(NoBackoff(), 1)
        )
        pool: Any = client.connection_pool  # its types know nothing of this
        pool.make_connection()  # which connects later, and takes the options now
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"the URL of the budget at {_shown(url)} is not valid: {error}") from None
    _refuse_text(client)
    return client


def _refuse_others(client: object) -> None:
    """Refuse what is no client for asyncio, such as redis-py's other ones.

    Raises:
        InvalidInput: it is none.
    """
    from redis.asyncio import Redis, RedisCluster  # noqa: PLC0415 - an extra

    if not isinstance(client, Redis | RedisCluster):
        kind = type(client)
        raise InvalidInput(
            "RedisBudget takes a URL such as redis://localhost:6379/0, or a client of redis.asyncio, not a "
            f"value of type {kind.__module__}.{kind.__qualname__}"
        )


def _refuse_text(client: "Client") -> None:
    """Refuse a client that decodes answers.

    Raises:
        InvalidInput: it does.
    """
    if client.get_encoder().decode_responses:
        raise InvalidInput(
            "the client decodes answers to text, but the budget stores bytes: pass a client with "
            "decode_responses=False"
        )


def _shown(url: str) -> str:
    """Return a URL without what is secret in it.

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


async def _speaks_in_the_clear(client: "Client") -> bool:
    """Say whether a server answers without TLS; a plain Redis that is greeted in TLS waits for more."""
    settings = cast(Any, client).connection_pool.connection_kwargs
    with anyio.move_on_after(BOUND - _TLS_BOUND), contextlib.suppress(OSError, anyio.EndOfStream):
        stream = await anyio.connect_tcp(settings.get("host", "localhost"), settings.get("port", 6379))
        async with stream:
            await stream.send(b"PING\r\n")
            return (await stream.receive(64)).startswith((b"+PONG", b"-"))
    return False


def _misconfigured(error: BaseException) -> str:
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
