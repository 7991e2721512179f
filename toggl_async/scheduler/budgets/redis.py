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
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import anyio
import msgspec

from toggl_async.errors import BudgetError, InvalidInput, WrongEventLoop, printable, shown
from toggl_async.scheduler.budgets import OnTrouble, Step
from toggl_async.scheduler.budgets.loopback import call_in_time
from toggl_async.scheduler.budgets.redis_client import (
    client_of,
    misconfigured,
    refuse_others,
    refuse_text,
    shown_url,
    speaks_in_the_clear,
)
from toggl_async.scheduler.budgets.scripts import MARK, READ, WRITE, Script, StoredValue, expiry
from toggl_async.scheduler.budgets.server_clock import ServerClock
from toggl_async.scheduler.budgets.shared import BOUND, SharedHolder
from toggl_async.scheduler.budgets.store import StoreAway, opened
from toggl_async.scheduler.budgets.stored import decoded, learned, recalled
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Lesson, Memories

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    from toggl_async.scheduler.budgets.redis_client import Client

__all__ = ["RedisBudget"]

T = TypeVar("T")

_NO_REDIS: Final = "it does not answer like Redis"
_TLS_BOUND: Final = 0.6 * BOUND
"""Seconds that a server may take to answer in TLS before it is asked whether it knows TLS."""
_GOODBYE: Final = 0.5 * BOUND
"""Seconds to stop listening in; the connections have the rest of `BOUND` to close in."""
_LATEST: Final = 2**62
"""A time in microseconds that no clock shows, and that still fits into what is stored."""
_UNREADABLE: Final[tuple[type[Exception], ...]] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What redis-py, and our own reading, raise if what answers is not Redis."""
_AT_ONCE: Final = 8
"""How many transactions of a holder may be under way at once; each takes a connection."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


def _check_prefix(prefix: object) -> None:
    """Refuse a prefix that doesn't work; with braces, a cluster would take the keys of an account apart.

    Raises:
        InvalidInput: it doesn't.
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
            self._shown = shown_url(url_or_client)
            client_of(url_or_client)  # so that a URL that can't be used is refused here
        else:
            refuse_others(url_or_client)
            refuse_text(url_or_client)
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
            client = client_of(self._url)
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


class _Answer(NamedTuple):
    """What a script found: the time, the stored value, and the holders that don't listen any more."""

    time: int
    value: StoredValue | None
    deaf: set[str]


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
        """Apply a step, again each time that another process writes meanwhile."""
        return self._safely(lambda: self._transact(account, step, lessons))

    def recall(self, account: str) -> Awaitable[tuple[Memories, int]]:
        """Return what was learned about an account."""
        return self._safely(lambda: self._recall(account))

    def alive(self, name: str) -> bool:
        """Say whether a holder is listening, by the latest answer."""
        return name not in self._deaf

    async def ping(self) -> None:
        """Check that Redis can be written to, and subscribe again.

        A Redis that is out of memory, or has become a replica, still answers.
        """
        await self._stop_listening()
        await self._safely(self._connect)
        await self._safely(self._mark)

    async def aclose(self) -> None:
        """Unsubscribe, and close the connections."""
        with contextlib.suppress(*self._errors):  # a timeout is an OSError
            async with asyncio.timeout(_GOODBYE):
                await self._stop_listening()
        if self._owns:
            with contextlib.suppress(*self._errors):
                await self._client.aclose()

    async def _safely(self, action: Callable[[], Awaitable[T]]) -> T:
        """Run an action, and turn Redis' errors into those of a store."""
        try:
            async with self._at_once:
                return await action()
        except self._errors as error:
            # redis-py's errors don't derive from Python's own, some of which it raises as well.
            if why := misconfigured(error):
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
            answer = self._read(found)
            now, value = answer.time, answer.value or StoredValue("", b"")
            read_at = self._server_clock.moment(asked, now, self._now()) if self.clock is None else None
            limits = None if answer.value is None else decoded(value.limits)
            if limits is None:
                limits = Limits.new(now)
                limits.closed = opened(now, now if value.tag else await self._mark())
            self._deaf = answer.deaf
            self.read_at = self._now() if read_at is None else read_at
            limits, result, wakes = step(limits, now)
            memories = b""
            if lessons:
                memories = learned(await self._get(keys[1]), lessons, now)
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
        stored = await self._get(self._keys(account)[1])
        found = await self._run(READ, self._keys(account)[:1], "")
        return recalled(stored), self._read(found).time

    def _now(self) -> int:
        return int(self._loop.time() * SECOND)

    def _read(self, found: Any) -> _Answer:
        """Take the answer of a script apart."""
        with _from_redis():
            if not isinstance(found, list):
                raise TypeError
            seconds, microseconds, *rest = found
            time = int(seconds) * SECOND + int(microseconds)
            if not 0 <= time < _LATEST:
                raise ValueError
            value = StoredValue.of(rest[0]) if rest else None
            heard = rest[1] if len(rest) > 1 else ()
            start = len(self._channels)
            deaf: set[str] = {
                channel.decode()[start:]
                for channel, count in zip(heard[::2], heard[1::2], strict=True)
                if not count
            }
        return _Answer(time if self.clock is None else self.clock(), value, deaf)

    async def _mark(self) -> int:
        """Return since when this Redis has kept its data, by its own clock."""
        found = await self._run(MARK, (f"{self._prefix}:mark",))
        with _from_redis():
            return int(found)

    async def _run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script; send it as a whole if Redis doesn't know it, as after a restart."""
        given = (*keys, *arguments)
        client: Any = self._client  # its types know no bytes
        with _from_redis():
            try:
                return await client.evalsha(script.digest, len(keys), *given)
            except self._no_script:
                return await client.eval(script.text, len(keys), *given)

    async def _get(self, key: str) -> bytes | None:
        with _from_redis():
            return cast("bytes | None", await self._client.get(key))

    def _keys(self, account: str) -> tuple[str, str]:
        tagged = f"{self._prefix}:{{{account}}}"
        return f"{tagged}:limits", f"{tagged}:memories"

    # Wakes

    async def _connect(self) -> None:
        """Subscribe to the holder's channel, first of all: a holder that doesn't listen counts as dead."""
        async with self._connecting:
            if self._listener is not None and not self._listener.done():
                return
            with _from_redis():
                await self._subscribe()
            subscription = self._subscription
            assert subscription is not None  # noqa: S101 - it has just been made
            self._deaf.clear()
            self._listener = self._loop.create_task(self._listen(subscription))

    async def _subscribe(self) -> None:
        if not self._encrypts or self._answered:
            await self._ask_to_be_woken()
            return
        try:
            async with asyncio.timeout(_TLS_BOUND):
                await self._ask_to_be_woken()
            self._answered = True
        except TimeoutError:
            if not await speaks_in_the_clear(self._client):
                raise StoreAway(f"no answer within {_TLS_BOUND:g} s") from None
            raise BudgetError(
                f"{self.place}: the server does not encrypt: use redis:// instead of rediss://, or let it "
                "use TLS"
            ) from None

    async def _ask_to_be_woken(self) -> None:
        await self._client.initialize()  # a cluster's subscription takes its nodes for known
        subscription = self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
        await subscription.subscribe(self._channels + self.name)
        await subscription.get_message(timeout=None)  # the confirmation

    async def _listen(self, subscription: "PubSub") -> None:
        """Pass on wakes for as long as there is a connection; the next transaction subscribes again."""
        with contextlib.suppress(StoreAway, *self._errors), _from_redis():
            while True:
                message = await subscription.get_message(timeout=None)
                if message is None:  # redis-py has connected again, and subscribed
                    continue
                with contextlib.suppress(msgspec.MsgspecError):  # anybody can publish
                    account, after = _decode(message["data"])
                    call_in_time(self._loop, self._on_wake, account, after)

    async def _stop_listening(self) -> None:
        task, self._listener = self._listener, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*self._errors):
                await subscription.aclose()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _from_redis() -> Iterator[None]:
    """Turn what redis-py lets through, and what can't be read, into errors of a store.

    Raises:
        StoreAway: what came isn't Redis' answer.
        ConnectionError: the connection has just been closed, as some loops say it.
    """
    try:
        yield
    except _UNREADABLE:
        raise StoreAway(_NO_REDIS) from None
    except RuntimeError as error:
        raise ConnectionError(str(error)) from error
