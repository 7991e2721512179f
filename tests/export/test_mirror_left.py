"""A `Mirror` that is left, or whose caller is cancelled, while it is read: all is closed, nothing hidden."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from support.export_company import Company
from support.stores import TAGS, commit
from toggl_async import ApiToken, ClientClosed, ClientOptions, InvalidInput, Pace, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror
from toggl_async.export.mirror import postgres
from toggl_async.export.mirror.open_snapshot import OpenSnapshot
from toggl_async.export.mirror.sql_snapshot import SqlSnapshot
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.rows import Line

pytestmark = pytest.mark.anyio

ROWS = 2500

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT SUM(i) AS total FROM n"

READS: dict[str, Callable[[Mirror], AsyncIterator[Any]]] = {
    "feed": lambda mirror: mirror.feed(),
    "records": lambda mirror: mirror.records("tags"),
}


@pytest.fixture
def url(mirror_url: str) -> str:
    """A mirror with more rows than are read at once."""
    store = store_of(mirror_url)
    store.open()
    store.commit(commit(TAGS, [Line(number, b'{"id":%d}' % number) for number in range(1, ROWS + 1)]))
    store.close()
    return mirror_url


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Is set when the thread of a mirror begins with a statement."""
    event = threading.Event()

    def telling(query: Callable[..., Any]) -> Callable[..., Any]:
        def told(*arguments: Any) -> Any:
            event.set()
            return query(*arguments)

        return told

    for kind in SqlSnapshot.__subclasses__():
        monkeypatch.setattr(kind, "query", telling(kind.query))
    return event


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("toggl_async-mirror")}


@pytest.mark.parametrize("read", READS)
async def test_the_programs_own_error_survives_leaving(url: str, read: str) -> None:
    mirror = Mirror(url)

    async def fails() -> None:
        async with mirror:
            async for _ in READS[read](mirror):
                raise LookupError

    with pytest.raises(LookupError):
        await fails()
    async with mirror:  # it was closed whole
        assert len(await mirror.feed()) == ROWS


@pytest.mark.parametrize("read", READS)
@pytest.mark.sampled(1)
async def test_several_reads_may_be_left_unfinished(url: str, read: str) -> None:
    async with Mirror(url) as mirror:
        left = [READS[read](mirror) for _ in range(3)]
        for one in left:
            await anext(one)
        async for _ in READS[read](mirror):
            break
    for one in left:
        with pytest.raises(ClientClosed, match="the mirror is not open"):
            await read_to_the_end(one)
    begun = anyio.Event()
    async with Mirror(url) as mirror:
        reading = asyncio.ensure_future(read_to_the_end(READS[read](mirror), begun))
        await begun.wait()
    with pytest.raises(ClientClosed):
        await reading


async def read_to_the_end(rows: AsyncIterator[Any], begun: anyio.Event | None = None) -> None:
    async for _ in rows:
        if begun is not None:
            begun.set()
        await anyio.lowlevel.checkpoint()


async def test_whatever_fails_while_it_is_closed_the_rest_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(store: SqliteStore) -> None:
        close(store)
        raise OSError(5, "Input/output error")

    close = SqliteStore.close
    others = threads()
    mirror = Mirror(tmp_path / "mirror.sqlite")
    await mirror.__aenter__()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "close", fails)
        with pytest.raises(OSError, match="Input/output error"):
            await mirror.__aexit__(None, None, None)

    async def hides_nothing() -> None:
        async with mirror:
            monkeypatch.setattr(SqliteStore, "close", fails)
            raise LookupError

    with pytest.raises(LookupError) as caught:
        await hides_nothing()
    assert caught.value.__notes__ == [f"{mirror!r} could not be closed: [Errno 5] Input/output error"]
    for thread in threads() - others:
        await asyncio.to_thread(thread.join)  # it was told to end, and does


async def test_a_cancelled_statement_is_interrupted_and_the_mirror_goes_on(
    url: str, asked: threading.Event
) -> None:
    async with Mirror(url) as mirror:
        asking = [asyncio.ensure_future(mirror.sql(ENDLESS)) for _ in range(3)]
        await asyncio.to_thread(asked.wait)
        for one in reversed(asking):  # two of them wait for the first
            one.cancel()
        for one in asking:
            with pytest.raises(asyncio.CancelledError):
                await one
        asked.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mirror.sql, ENDLESS)
            await asyncio.to_thread(asked.wait)
            tasks.cancel_scope.cancel()
        assert await mirror.sql("SELECT COUNT(*) AS rows FROM tags") == [{"rows": ROWS}]


async def test_leaving_interrupts_a_statement(url: str, asked: threading.Event) -> None:
    async with Mirror(url) as mirror:
        asking = asyncio.ensure_future(mirror.sql(ENDLESS))
        await asyncio.to_thread(asked.wait)
    with pytest.raises(ClientClosed):
        await asking


async def test_a_mirror_that_is_not_open_says_so(url: str, tmp_path: Path) -> None:
    mirror = Mirror(url)

    async def refuses() -> None:
        async with TogglClient(ApiToken("x"), options=ClientOptions(pace=Pace(interval=0))) as client:
            for work in (
                mirror.feed(),
                mirror.records("tags"),
                mirror.sql("SELECT 1 AS one"),
                mirror.forget(user=1),
                mirror.refresh(client, ExportPlan()),
            ):
                with pytest.raises(ClientClosed, match="the mirror is not open: use it within `async with`"):
                    await work

    await refuses()
    async with mirror:
        with pytest.raises(InvalidInput, match="is already open"):
            await mirror.__aenter__()
        assert len(await mirror.feed()) == ROWS
    await refuses()
    with pytest.raises(ClientClosed):
        await mirror.__aexit__(None, None, None)


async def test_a_mirror_whose_opening_is_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, going = threading.Event(), threading.Event()
    opened = SqliteStore.open

    def slow(store: SqliteStore) -> Any:
        standing = opened(store)
        going.set()
        held.wait()
        return standing

    monkeypatch.setattr(SqliteStore, "open", slow)
    path = tmp_path / "mirror.sqlite"
    entering = asyncio.ensure_future(Mirror(path).__aenter__())
    await asyncio.to_thread(going.wait)
    entering.cancel()
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert [one.name for one in tmp_path.iterdir()] == ["mirror.sqlite"]  # its log went with the connection


async def test_a_run_that_goes_on_when_the_mirror_is_left_ends_typed_and_can_go_on(mirror_url: str) -> None:
    company = Company(6)
    going = anyio.Event()

    async def refresh(mirror: Mirror) -> Manifest:
        options = ClientOptions(pace=Pace(interval=0))
        async with TogglClient(ApiToken("made-up"), transport=company, options=options) as client:
            return await mirror.refresh(client, ExportPlan(), on_event=lambda _: going.set())

    async with Mirror(mirror_url) as mirror:
        running = asyncio.ensure_future(refresh(mirror))
        await going.wait()
    with pytest.raises(ClientClosed, match="the mirror is not open"):
        await running
    async with mirror:
        assert (await refresh(mirror)).complete
    assert len(company.asked("/organizations")) == 1


async def test_a_read_that_has_only_begun_when_the_mirror_is_left_ends_typed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, held = threading.Event(), threading.Event()
    interrupt = OpenSnapshot._interrupt

    def begun(snapshot: SqlSnapshot, hint: str = "") -> None:
        begin(snapshot, hint)
        going.set()
        held.wait()

    def interrupted(opened: OpenSnapshot) -> None:
        interrupt(opened)
        held.set()

    begin = SqlSnapshot.begin
    monkeypatch.setattr(SqlSnapshot, "begin", begun)
    monkeypatch.setattr(OpenSnapshot, "_interrupt", interrupted)
    async with Mirror(url) as mirror:
        asking = asyncio.ensure_future(mirror.sql(ENDLESS))
        await asyncio.to_thread(going.wait)
    with pytest.raises(ClientClosed):
        await asking


@pytest.mark.parametrize("mirror_url", ["postgres"], indirect=True)
async def test_a_table_that_is_locked_is_waited_for_and_then_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_LOCK_TIMEOUT", "10ms")
    async with Mirror(url) as mirror:
        with psycopg.connect(url.partition("?")[0]) as other:
            other.execute(f"LOCK TABLE {url.partition('=')[2]}.tags IN ACCESS EXCLUSIVE MODE".encode())
            for read in (mirror.feed(), mirror.records("tags"), mirror.sql("SELECT id FROM tags")):
                with pytest.raises(OSError, match="another program has locked the database") as caught:
                    await read
                assert caught.value.errno == errno.EBUSY
        assert len(await mirror.feed()) == ROWS
