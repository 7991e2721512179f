"""A budget in Redis, over real sockets to a server that the tests start and stop."""

import asyncio
import inspect
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from support.budget_steps import asked, looked, process_of, result_of, seen
from support.loopback import listening
from support.redis_server import REASON, RedisServer, free_port, is_missing, redis_server
from support.tls_redis import tls_redis_server
from toggl_async.errors import BudgetError, InvalidInput, WrongEventLoop
from toggl_async.scheduler.budgets import shared
from toggl_async.scheduler.budgets.redis import RedisBudget
from toggl_async.scheduler.budgets.scripts import StoredValue, expiry
from toggl_async.scheduler.core.limits import SECOND, Limits, Window
from toggl_async.scheduler.core.memory import Belongs
from toggl_async.scheduler.core.notes import QuotaTold
from toggl_async.scheduler.core.waiters import Wake, Want

USER = Want(1, "user")
INTERACTIVE = Want(0, "user")

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(is_missing(), reason=REASON)]


LIMITS, MEMORIES = (f"toggl_async:{{account}}:{part}" for part in ("limits", "memories"))
TAKE_KEY = "redis.call('DEL', KEYS[1]); redis.call('RPUSH', KEYS[1], 'of another program')"


def nobody(_account: str) -> None:
    pass


async def until(true: Callable[[], Any], *, seconds: float = 30) -> None:
    """Wait until something is so; it is only a net that this ends."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


async def opened(client: Any, prefix: str) -> None:
    """Let a memory be old enough to be open."""
    await client.set(f"{prefix}:mark", 1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(shared_redis: RedisServer) -> AsyncIterator[Any]:
    found = Redis.from_url(shared_redis.url)
    yield found
    await found.aclose()


async def test_two_processes_keep_one_pace(
    shared_redis: RedisServer, client: Any, request: pytest.FixtureRequest
) -> None:
    prefix = request.node.name
    await opened(client, prefix)
    one = RedisBudget(shared_redis.url, prefix).open(nobody)
    two = RedisBudget(client, prefix).open(nobody)
    mine, other = process_of(one, 60), process_of(two, 60)
    assert (await asked(one, mine, USER)).number
    later = await asked(two, other, USER)
    assert later.number == 0
    assert later.sleep is not None
    assert 0 < later.sleep <= 60 * SECOND
    assert [(other.level, other.count) for other in (await seen(one, mine)).others] == [(1, 1)]
    await one.aclose()
    await two.aclose()


async def test_a_new_memory_begins_closed(
    shared_redis: RedisServer, client: Any, request: pytest.FixtureRequest
) -> None:
    prefix = request.node.name
    holder = RedisBudget(shared_redis.url, prefix).open(nobody)
    answer = await asked(holder, process_of(holder), USER)
    assert answer.number == 0
    assert answer.sleep is not None
    assert answer.sleep > 3 * SECOND
    assert await client.ttl(f"{prefix}:mark") == -1
    await holder.aclose()


async def test_transactions_at_once_each_see_what_the_others_wrote(
    shared_redis: RedisServer, request: pytest.FixtureRequest
) -> None:
    holders = [RedisBudget(shared_redis.url, request.node.name).open(nobody) for _ in range(4)]
    runs = 0

    def step(limits: Limits, now: int) -> tuple[Limits, int, tuple[()]]:
        nonlocal runs
        runs += 1
        limits.calm += 1
        return limits, limits.calm, ()

    found = await asyncio.gather(
        *(result_of(holder.transact("account", step)) for holder in holders for _ in range(5))
    )
    assert sorted(found) == list(range(1, 21))
    assert runs >= 20
    for holder in holders:
        await holder.aclose()


async def test_a_sleeper_is_woken_by_a_message(
    shared_redis: RedisServer, client: Any, request: pytest.FixtureRequest
) -> None:
    woken: list[str] = []
    budget = RedisBudget(shared_redis.url, request.node.name)
    sleeper, other = budget.open(woken.append), budget.open(nobody)
    await seen(sleeper, process_of(sleeper))
    # Anybody can publish anything.
    await client.publish(f"{request.node.name}:wake:{sleeper.name}", b"\xc1")

    def step(limits: Limits, now: int) -> tuple[Limits, None, list[Wake]]:
        return limits, None, [Wake(sleeper.name, 20_000), Wake("nobody", 0)]

    await result_of(other.transact("account", step))
    await until(lambda: woken)
    assert woken == ["account"]
    await sleeper.aclose()
    await other.aclose()


async def test_who_does_not_listen_any_more_is_dead(
    shared_redis: RedisServer, request: pytest.FixtureRequest
) -> None:
    budget = RedisBudget(shared_redis.url, request.node.name)
    one, two = budget.open(nobody), budget.open(nobody)
    mine = process_of(one)
    await asked(two, process_of(two), USER)
    await asked(one, mine, USER)
    assert await looked(one, lambda limits, now: (two.name in limits.waiters, one.alive(two.name))) == (
        True,
        True,
    )
    await two.aclose()

    async def is_dead() -> bool:
        return not await looked(one, lambda limits, now: one.alive(two.name))

    await until(is_dead)
    await one.aclose()


async def test_what_was_learned_is_kept_with_the_limits(
    shared_redis: RedisServer, request: pytest.FixtureRequest
) -> None:
    budget = RedisBudget(shared_redis.url, request.node.name)
    one, two = budget.open(nobody), budget.open(nobody)

    def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
        return limits, None, ()

    await result_of(one.transact("account", step, [Belongs(1, 2)]))
    await result_of(two.transact("account", step, [Belongs(3, 4)]))
    assert (await result_of(one.recall("account"))).organizations == {1: 2, 3: 4}
    await one.aclose()
    await two.aclose()


async def test_all_keys_of_an_account_have_one_hash_tag_and_end(
    shared_redis: RedisServer, client: Any, request: pytest.FixtureRequest
) -> None:
    prefix = request.node.name
    holder = RedisBudget(shared_redis.url, prefix).open(nobody)

    def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
        return limits, None, ()

    await result_of(holder.transact("key", step, [Belongs(1, 2)]))
    names = {name.decode() for name in await client.keys(f"{prefix}*")}
    assert names == {f"{prefix}:{{key}}:limits", f"{prefix}:{{key}}:memories", f"{prefix}:mark"}
    assert await client.ttl(f"{prefix}:{{key}}:limits") > 24 * 3600
    await holder.aclose()


def test_a_value_is_never_forgotten_before_the_end_of_what_it_says() -> None:
    limits = Limits.new(0)
    limits.windows["user"] = Window(remaining=0, reset_at=90 * 3600 * SECOND)
    assert expiry(limits, 0) > 90 * 3600 * 1000


def test_the_value_names_those_whose_life_matters() -> None:
    limits = Limits.new(0)
    limits.gate.probe, limits.gate.prober = 7, "prober"
    line, _, rest = StoredValue.made("0123456789abcdef", limits, ask=True).partition(b"\n")
    assert line == b"0123456789abcdef prober"
    assert rest == limits.to_bytes()
    assert StoredValue.made("0123456789abcdef", limits, ask=False).startswith(b"0123456789abcdef\n")


async def test_scripts_that_redis_forgot_are_sent_again(
    shared_redis: RedisServer, client: Any, request: pytest.FixtureRequest
) -> None:
    holder = RedisBudget(shared_redis.url, request.node.name).open(nobody)
    await client.script_flush()
    await seen(holder, process_of(holder))
    assert not holder.away
    await holder.aclose()


async def test_a_server_that_was_emptied_is_told_what_is_still_known(own_redis: RedisServer) -> None:
    holder = RedisBudget(own_redis.url).open(nobody)
    me = process_of(holder)
    await asked(holder, me, notes=[QuotaTold("user", 3, 3000 * SECOND, 30)])
    client: Any = Redis.from_url(own_redis.url)
    await client.flushall()
    await client.aclose()
    answer = await asked(holder, me, USER)
    assert answer.view is not None
    assert answer.view.windows["user"].left == 3
    assert answer.view.opens_in > 3 * SECOND
    await holder.aclose()


async def test_a_damaged_mark_is_set_anew(own_redis: RedisServer) -> None:
    client: Any = Redis.from_url(own_redis.url)
    await client.set("toggl_async:mark", "yesterday")
    holder = RedisBudget(own_redis.url).open(nobody)
    sleep = (await asked(holder, process_of(holder), USER)).sleep
    assert sleep is not None
    assert sleep > 3 * SECOND  # a memory that begins is closed
    assert (await client.get("toggl_async:mark")).isdigit()
    await client.aclose()
    await holder.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"OK",
        b"",
        [b"1"],
        [b"now", b"then"],
        7,
        None,
        [1, 2, 3],
        [1, 2, b"tag", 4],
        [1, 2, b"tag", [b"a channel"]],
        [1, 2, b"tag", [b"\xff", 0]],
        [10**30, 0],
        [-1, 0],
    ],
)
async def test_what_does_not_answer_as_redis_does_leaves_a_process_alone(
    own_redis: RedisServer, answer: Any
) -> None:
    holder = RedisBudget(own_redis.url).open(nobody)
    store: Any = holder._store

    async def evalsha(*_arguments: object) -> Any:
        return answer

    store._client.evalsha = evalsha
    await seen(holder, process_of(holder))
    assert holder.away
    await holder.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["stopped", "hanging"])
async def test_without_a_server_a_process_goes_on_alone_and_comes_back(
    own_redis: RedisServer, loss: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BOUND", 1.0)
    troubles: list[str | None] = []
    holder = RedisBudget(own_redis.url).open(nobody, on_trouble=troubles.append)
    me = process_of(holder, 0.001)
    await asked(holder, me, notes=[QuotaTold("user", 300, 3000 * SECOND, 300)])
    if loss == "stopped":
        own_redis.stop()
    else:
        own_redis.hang()
    began = asyncio.get_running_loop().time()
    await asked(holder, me, USER)
    assert asyncio.get_running_loop().time() - began >= 0.9
    assert holder.away
    assert (await seen(holder, me)).windows["user"].total == 300
    assert isinstance(await result_of(holder.recall("account")), object)
    if loss == "stopped":
        own_redis.start()
    else:
        own_redis.go_on()
    await until(lambda: not holder.away)
    assert troubles[1:] == [None]

    async def with_the_store() -> bool:
        await asked(holder, me, USER)
        return holder._accounts["account"].round is None

    await until(with_the_store)
    assert (await seen(holder, me)).windows["user"].total == 300
    assert [record.levelname for record in caplog.records if record.name == "toggl_async.budget"] == [
        "WARNING"
    ]
    await holder.aclose()


@pytest.mark.parametrize(
    ("refuse", "accept"),
    [
        (("config", "set", "maxmemory", "1"), ("config", "set", "maxmemory", "0")),
        (("replicaof", "127.0.0.1", "1"), ("replicaof", "no", "one")),
        (("acl", "setuser", "default", "-get"), ("acl", "setuser", "default", "+get")),
        *((("eval", TAKE_KEY, "1", key), ("del", key)) for key in (LIMITS, MEMORIES)),
    ],
    ids=["out of memory", "a replica", "forbidden", "limits of another type", "memories of another type"],
)
async def test_a_server_that_answers_and_cannot_be_written_to_is_told_once(
    own_redis: RedisServer, refuse: tuple[str, ...], accept: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be lost and found again all the time, with a second's wait for each."""

    async def used() -> None:
        await asked(holder, me, USER)
        await result_of(holder.recall("account"))

    monkeypatch.setattr(shared, "BOUND", 0.2)
    monkeypatch.setattr(shared, "TRIES", (0.01, 0.01))
    troubles: list[str | None] = []
    tries: list[None] = []
    holder = RedisBudget(own_redis.url).open(nobody, on_trouble=troubles.append)
    me = process_of(holder, 0.001)
    await asked(holder, me, USER)
    client: Any = Redis.from_url(own_redis.url)
    await client.execute_command(*refuse)
    ping = holder._store.ping

    async def counted() -> None:
        tries.append(None)
        await ping()

    monkeypatch.setattr(holder._store, "ping", counted)
    await used()
    await until(lambda: len(tries) > 2)
    await used()
    assert holder.away
    assert len(troubles) == 1
    await client.execute_command(*accept)
    await client.aclose()
    await until(lambda: not holder.away)
    await used()
    assert troubles[1:] == [None]
    await holder.aclose()


async def test_a_server_that_never_was_there_leaves_a_process_alone() -> None:
    holder = RedisBudget(f"redis://127.0.0.1:{free_port()}").open(nobody)
    assert isinstance((await result_of(holder.recall("account"))).organizations, dict)
    me = process_of(holder, 0.001)
    await until(lambda: holder.away)

    async def goes() -> bool:
        return bool((await asked(holder, me, INTERACTIVE)).number)

    await until(goes)
    await holder.aclose()


async def test_a_wrong_password_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "s3cret-password") as server:
        for url in (f"redis://:wr0ng-password@127.0.0.1:{server.port}", server.url):
            holder = RedisBudget(url).open(nobody)
            with pytest.raises(BudgetError, match="password") as caught:
                await seen(holder, process_of(holder))
            assert "wr0ng" not in str(caught.value) + repr(holder)
            await holder.aclose()
        holder = RedisBudget(f"redis://:s3cret-password@127.0.0.1:{server.port}").open(nobody)
        await seen(holder, process_of(holder))
        assert not holder.away
        assert "s3cret" not in repr(holder)
        await holder.aclose()


async def test_a_certificate_that_cannot_be_verified_is_said(tmp_path: Path) -> None:
    with tls_redis_server(tmp_path) as (server, authority):
        holder = RedisBudget(f"rediss://127.0.0.1:{server.port}").open(nobody)
        with pytest.raises(BudgetError, match="certificate cannot be verified"):
            await seen(holder, process_of(holder))
        await holder.aclose()
        holder = RedisBudget(f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={authority}").open(nobody)
        await seen(holder, process_of(holder))
        assert not holder.away
        await holder.aclose()


def unresolved(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Have no name server be asked, and each name answered with an error."""

    async def getaddrinfo(*_arguments: Any, **_options: Any) -> NoReturn:
        raise socket.gaierror(code, "no address")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_NONAME])
async def test_a_host_that_no_name_server_can_tell_of_now_is_a_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As on a machine that starts before its network does: resolvers disagree on how to say that."""
    unresolved(monkeypatch, code)
    holder = RedisBudget("redis://no-such-host.invalid:6379").open(nobody)
    await seen(holder, process_of(holder))
    assert holder.away
    await holder.aclose()


async def test_a_user_who_may_not_ask_who_listens_takes_everybody_for_alive(own_redis: RedisServer) -> None:
    client: Any = Redis.from_url(own_redis.url)
    await client.execute_command(
        "ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all", "-pubsub|numsub"
    )
    await client.aclose()
    budget = RedisBudget(f"redis://app:word@127.0.0.1:{own_redis.port}")
    one, two = budget.open(nobody), budget.open(nobody)
    await asked(two, process_of(two), USER)
    await two.aclose()
    await asked(one, process_of(one), USER)
    assert one.alive(two.name)
    assert not one.away
    await one.aclose()


async def test_a_user_without_rights_is_told_so(own_redis: RedisServer) -> None:
    client: Any = Redis.from_url(own_redis.url)
    await client.execute_command("ACL", "SETUSER", "app", "on", ">word", "~other:*", "&*", "+@all")
    await client.aclose()
    holder = RedisBudget(f"redis://app:word@127.0.0.1:{own_redis.port}").open(nobody)
    with pytest.raises(BudgetError, match="lacks a permission that a budget needs"):
        await seen(holder, process_of(holder))
    await holder.aclose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost", "must begin with redis://"),
        ("redis://localhost:port", "has a port that is not a number"),
        ("redis://localhost:99999", "has a port that is not a number from 0 to 65535"),
        ("redis://localhost:6379/0?socket_timeout=abc", "is not valid"),
        ("redis://localhost:6379/0?timeout=1", "is not valid: .*timeout"),
        ("redis://localhost:6379/0?decode_responses=true", "decodes answers to text"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        RedisBudget(url)


async def test_a_client_that_decodes_answers_is_refused() -> None:
    with pytest.raises(InvalidInput, match="decode_responses=False"):
        RedisBudget(Redis(decode_responses=True))


async def test_without_redis_py_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(BudgetError, match=r"pip install 'toggl_async\[redis\]'"):
        RedisBudget("redis://localhost")


async def test_it_shows_where_it_is_and_nothing_secret() -> None:
    assert repr(RedisBudget("rediss://me:s3cret@cache:6380/2")) == "<RedisBudget at rediss://cache:6380/2>"
    assert repr(RedisBudget(Redis())) == "<RedisBudget at Redis>"


async def test_a_client_of_another_loop_is_refused(shared_redis: RedisServer) -> None:
    client = Redis.from_url(shared_redis.url)
    budget = RedisBudget(client)
    await budget.open(nobody).aclose()
    await budget.open(nobody).aclose()

    async def elsewhere() -> None:
        with pytest.raises(WrongEventLoop, match="make a RedisBudget from a URL"):
            budget.open(nobody)

    await asyncio.to_thread(asyncio.run, elsewhere())
    await client.aclose()


async def test_a_connection_that_a_loop_has_closed_is_a_store_that_is_away(
    shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = RedisBudget(shared_redis.url).open(nobody)

    async def fail(*_: object) -> None:
        raise RuntimeError("the handler is closed")

    store: Any = holder._store
    monkeypatch.setattr(store._client, "evalsha", fail)
    await seen(holder, process_of(holder))
    assert holder.away
    await holder.aclose()


@pytest.mark.parametrize("given", [None, 5, b"", SyncRedis()])
async def test_what_is_no_client_of_asyncio_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"a client of redis.asyncio, not a value of type \w+\.\w+"):
        RedisBudget(given)


def test_a_prefix_that_is_no_text_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match="prefix must be text without spaces, braces and control characters, not 5"
    ):
        RedisBudget("redis://localhost", prefix=5)  # type: ignore[arg-type]


async def test_a_plain_server_that_is_asked_for_tls_is_told(shared_redis: RedisServer) -> None:
    holder = RedisBudget(shared_redis.url.replace("redis://", "rediss://")).open(nobody)
    with pytest.raises(BudgetError, match="the server does not encrypt: use redis://"):
        await seen(holder, process_of(holder))
    await holder.aclose()


async def test_a_server_that_hangs_when_asked_for_tls_is_a_server_that_is_away() -> None:
    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(talk) as port:
        holder = RedisBudget(f"rediss://127.0.0.1:{port}").open(nobody)
        await seen(holder, process_of(holder))
        assert holder.away
        await holder.aclose()


async def test_a_database_that_the_server_does_not_have_is_told(shared_redis: RedisServer) -> None:
    holder = RedisBudget(f"redis://127.0.0.1:{shared_redis.port}/99").open(nobody)
    with pytest.raises(BudgetError, match="it has no database with this number"):
        await seen(holder, process_of(holder))
    await holder.aclose()


async def test_a_server_that_speaks_no_tls_is_told() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR what is that?\r\n")
        await writer.drain()

    async with listening(talk) as port:
        holder = RedisBudget(f"rediss://127.0.0.1:{port}").open(nobody)
        with pytest.raises(BudgetError, match="it does not speak TLS"):
            await seen(holder, process_of(holder))
        await holder.aclose()
