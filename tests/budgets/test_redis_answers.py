"""A Redis that answers late, never, or not as Redis does: no command waits for it longer than the bound."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from support.budget_steps import asked, process_of, result_of, seen
from support.loopback import listening
from support.redis_server import REASON, RedisServer, is_missing
from support.tls_redis import tls_redis_server
from toggl_async.scheduler.budgets import shared
from toggl_async.scheduler.budgets.redis import RedisBudget
from toggl_async.scheduler.budgets.scripts import MARK, READ, WRITE
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.memory import Belongs
from toggl_async.scheduler.core.waiters import Wake, Want

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(is_missing(), reason=REASON)]

USER = Want(1, "user")
NET = 30.0
"""Seconds after which a test fails that waits for what should be bounded."""

COMMANDS = {
    "hello": b"HELLO",
    "client": b"SETINFO",
    "subscribe": b"SUBSCRIBE",
    "read": READ.digest.encode(),
    "mark": MARK.digest.encode(),
    "write": WRITE.digest.encode(),
    "memories": b"$3\r\nGET\r\n",
}
ANSWERS = {
    "nothing": b"",
    "half a line": b"\0\xff",
    "half a string": b"$999999999999\r\n",
    "half an array": b"*3\r\n:1\r\n",
    "no length": b"$-5\r\n",
    "no number": b":x\r\n",
    "nested": b"*1\r\n" * 100_000,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def short_bound(a_busy_machine_is_no_absent_store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store here is away, so a short bound saves time, and a busy machine changes nothing."""
    monkeypatch.setattr(shared, "BOUND", 0.2)


@contextlib.asynccontextmanager
async def in_front_of(redis: RedisServer, command: bytes, answer: bytes) -> AsyncIterator[int]:
    """Pass on what a client and a Redis say until a command comes: it gets the answer, and nothing more."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(65536):
            writer.write(heard)
            await writer.drain()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", redis.port)
        answers = asyncio.create_task(pass_on(from_redis, writer))
        try:
            while (said := await reader.read(65536)) and command not in said:
                to_redis.write(said)
                await to_redis.drain()
            answers.cancel()
            await asyncio.wait([answers])
            if said:
                writer.write(answer)
                await reader.read()
        finally:
            answers.cancel()
            to_redis.transport.abort()

    async with listening(talk) as port:
        yield port


async def use(holder: SharedHolder) -> None:
    """Send each command that a budget has."""
    await seen(holder, process_of(holder))
    await result_of(holder.recall("account"))


async def is_left_alone(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """Use a budget that cannot be used; return what was told, once, of why."""
    troubles: list[str | None] = []
    holder = RedisBudget(url).open(lambda _: None, on_trouble=troubles.append)
    async with asyncio.timeout(NET):
        await use(holder)
        assert holder.away
        await use(holder)
        await holder.aclose()
    (record,) = caplog.records
    assert record.exc_info is None
    assert len(record.getMessage().splitlines()) == 1
    (trouble,) = troubles
    assert trouble is not None
    assert trouble in record.getMessage()
    return trouble


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_no_answer_to_any_command_keeps_a_process_waiting(
    own_redis: RedisServer, command: bytes, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_front_of(own_redis, command, answer) as port:
        await is_left_alone(f"redis://127.0.0.1:{port}", caplog)


async def test_an_answer_that_never_ends_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"*999999999\r\n")
        while True:
            writer.write(b":1\r\n" * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(talk) as port:
        assert "no answer within" in await is_left_alone(f"redis://127.0.0.1:{port}", caplog)


async def test_a_connection_that_is_never_accepted_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # more than wait in its queue: what comes then is neither taken nor refused
            caller = sockets.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        await is_left_alone(f"redis://127.0.0.1:{full.getsockname()[1]}", caplog)


async def test_a_name_server_that_does_not_answer_keeps_nobody_waiting(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert "no answer within" in await is_left_alone("redis://no-such-host.invalid", caplog)


async def test_a_server_that_hangs_keeps_nobody_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In TLS both sides say goodbye, and asyncio waits half a minute for the other's."""
    monkeypatch.setattr(shared, "BOUND", 60.0)
    with tls_redis_server(tmp_path) as (server, authority):
        url = f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={authority}"
        holder = RedisBudget(url).open(lambda _: None)
        await use(holder)
        assert not holder.away
        server.hang()
        monkeypatch.setattr(shared, "BOUND", 1.0)
        async with asyncio.timeout(20):
            await holder.aclose()


async def test_a_listener_whose_connection_was_cut_is_woken_again(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BOUND", 60.0)
    woken = asyncio.Event()
    budget = RedisBudget(own_redis.url)
    sleeper, other = budget.open(lambda _: woken.set()), budget.open(lambda _: None)
    await use(sleeper)
    client: Any = Redis.from_url(own_redis.url)
    async with asyncio.timeout(NET):
        assert await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
        channel = f"toggl_async:wake:{sleeper.name}"
        while not dict(await client.pubsub_numsub(channel))[channel.encode()]:
            pass  # redis-py has not connected again yet

        def step(limits: Limits, _now: int) -> tuple[Limits, None, list[Wake]]:
            return limits, None, [Wake(sleeper.name, 0)]

        await result_of(other.transact("account", step))
        await woken.wait()
    await client.aclose()
    for holder in (sleeper, other):
        await holder.aclose()


async def test_what_was_learned_is_told_when_a_redis_answers_again(own_redis: RedisServer) -> None:
    async with in_front_of(own_redis, COMMANDS["memories"], b":x\r\n") as port:
        holder = RedisBudget(f"redis://127.0.0.1:{port}").open(lambda _: None)
        await seen(holder, process_of(holder))
        await result_of(holder.transact("account", lambda limits, _: (limits, None, ()), [Belongs(1, 2)]))
        assert holder.away
        assert (await result_of(holder.recall("account"))).organizations == {1: 2}
        await asked(holder, process_of(holder), USER)
        await holder.aclose()
