"""Many writes: outcomes, doubt, going on; by a client over a transport, and against the sandbox."""

import asyncio
import contextlib
import datetime as dt
import functools
import json
import math
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from support.support_wire import TOKEN
from toggl_async import (
    ApiToken,
    BadRequest,
    ClientOptions,
    ConnectionFailed,
    DecodeError,
    InvalidInput,
    Pace,
    QuotaExceeded,
    Retry,
    ServerError,
    Tag,
    TogglClient,
)
from toggl_async.sandbox import SMALL, Fault, SandboxOptions, serve
from toggl_async.writes import How, Written, write_all

pytestmark = pytest.mark.anyio
jump = pytest.mark.jump

OPTIONS = ClientOptions(pace=Pace(interval=0), retry=Retry(attempts=1, minimum=0, maximum=0), max_wait=5)


class Tags:
    """A Toggl that has tags, and troubles by name: before it keeps one, or after."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.sent: list[str] = []
        self.looked = 0
        self.before: dict[str, list[httpx.Response | Exception]] = {}
        self.after: dict[str, list[httpx.Response | Exception]] = {}
        self.on_look: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.looked += 1
            if self.on_look:
                return self.on_look.pop(0)
            return httpx.Response(200, json=[self.tag(name) for name in self.kept])
        name = json.loads(request.content)["name"]
        self.sent.append(name)
        self.trouble(self.before, name)
        self.kept.append(name)
        return self.trouble(self.after, name) or httpx.Response(200, json=self.tag(name))

    def trouble(
        self, troubles: dict[str, list[httpx.Response | Exception]], name: str
    ) -> httpx.Response | None:
        if not troubles.get(name):
            return None
        trouble = troubles[name].pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        if troubles is self.before:
            raise Answered(trouble)
        return trouble

    def tag(self, name: str) -> dict[str, Any]:
        return {"id": 1 + self.kept.index(name), "workspace_id": 3, "name": name}

    async def respond(self, request: httpx.Request) -> httpx.Response:
        try:
            return self(request)
        except Answered as answered:
            return answered.response


class Answered(Exception):
    def __init__(self, response: httpx.Response) -> None:
        self.response = response


class Importer:
    """Writes names as tags, and finds them."""

    def __init__(self, toggl: TogglClient) -> None:
        self.tags = toggl.workspace(3).tags

    async def write(self, name: str) -> Tag:
        return await self.tags.create(name=name)

    async def find(self, name: str) -> Tag | None:
        return next((tag for tag in await self.tags.list() if tag.name == name), None)


@pytest.fixture
def server() -> Tags:
    return Tags()


@pytest.fixture
async def importer(server: Tags) -> AsyncIterator[Importer]:
    transport = httpx.MockTransport(server.respond)
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=OPTIONS) as toggl:
        yield Importer(toggl)


async def run(importer: Importer, rows: Any, **given: Any) -> list[Written[str, Tag]]:
    given = {"find": importer.find, "settle": 0, **given}
    return [written async for written in write_all(rows, importer.write, **given)]


def hows(written: list[Written[str, Tag]]) -> list[tuple[str, How]]:
    return [(one.row, one.how) for one in written]


def lost() -> Exception:
    return httpx.ReadError("gone")


@jump
async def test_each_row_is_written_in_its_order_and_counted(importer: Importer, server: Tags) -> None:
    written = await run(importer, ["a", "b", "c"])
    assert hows(written) == [("a", How.WRITTEN), ("b", How.WRITTEN), ("c", How.WRITTEN)]
    assert [(one.done, one.total) for one in written] == [(1, 3), (2, 3), (3, 3)]
    assert [one.result.name for one in written if one.result] == server.kept == ["a", "b", "c"]
    assert all(one.is_there for one in written)
    assert server.looked == 0


@jump
async def test_rows_may_come_as_they_are_made(importer: Importer) -> None:
    async def rows() -> AsyncIterator[str]:
        for name in "ab":
            yield name

    for given in (rows(), iter("cd")):
        assert [(one.done, one.total) for one in await run(importer, given)] == [(1, None), (2, None)]


@jump
async def test_a_row_that_is_refused_stops_nobody(importer: Importer, server: Tags) -> None:
    server.before = {"b": [httpx.Response(400, json="Tag already exists")]}
    written = await run(importer, ["a", "b", "c"])
    assert hows(written) == [("a", How.WRITTEN), ("b", How.REFUSED), ("c", How.WRITTEN)]
    assert isinstance(written[1].error, BadRequest)
    assert not written[1].is_there
    assert server.looked == 0


@jump
@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (lost(), ConnectionFailed),
        (httpx.Response(502), ServerError),
        (httpx.Response(200, text="<html>odd</html>"), DecodeError),
    ],
)
async def test_what_may_have_been_written_is_looked_for(
    trouble: Any, error: type[Exception], importer: Importer, server: Tags
) -> None:
    server.after = {"a": [trouble]}
    (written,) = await run(importer, ["a"])
    assert (written.how, written.is_there, server.sent, server.looked) == (How.FOUND, True, ["a"], 1)
    assert written.result is not None
    assert written.result.name == "a"
    assert isinstance(written.error, error)


@jump
async def test_what_is_not_there_is_sent_once_more(importer: Importer, server: Tags) -> None:
    server.before = {"a": [lost()], "b": [lost(), lost()], "c": [lost(), httpx.Response(400)]}
    server.after = {"d": []}
    written = await run(importer, ["a", "b", "c", "d"])
    assert hows(written) == [
        ("a", How.WRITTEN_AGAIN),
        ("b", How.IN_DOUBT),
        ("c", How.REFUSED),
        ("d", How.WRITTEN),
    ]
    assert server.sent == ["a", "a", "b", "b", "c", "c", "d"]


@jump
async def test_a_second_try_that_is_lost_is_looked_for_as_well(importer: Importer, server: Tags) -> None:
    server.before, server.after = {"a": [lost()]}, {"a": [lost()]}
    (written,) = await run(importer, ["a"])
    assert (written.how, server.kept, server.looked) == (How.FOUND, ["a"], 2)


@jump
async def test_looking_waits_until_what_is_new_can_be_seen(importer: Importer, server: Tags) -> None:
    server.before = {"a": [lost()]}
    began = anyio.current_time()
    await run(importer, ["a"], settle=10)
    assert math.isclose(anyio.current_time() - began, 10, abs_tol=0.01)


@jump
async def test_what_cannot_be_looked_for_stays_in_doubt(importer: Importer, server: Tags) -> None:
    server.before = {"a": [lost()], "b": [lost()]}
    server.on_look = [httpx.Response(500)]
    (a,) = await run(importer, ["a"])
    (b,) = await run(importer, ["b"], find=None)
    assert (a.how, type(a.error), b.how, type(b.error)) == (
        *(How.IN_DOUBT, ServerError),
        *(How.IN_DOUBT, ConnectionFailed),
    )
    assert server.sent == ["a", "b"]


async def test_the_next_run_goes_on_after_the_last(importer: Importer, server: Tags, tmp_path: Path) -> None:
    """What is written is not sent again, what was refused is, and what is in doubt is looked for first."""
    journal = tmp_path / "import.sqlite"
    rows = ["done", "refused", "there", "not there", "refused", "done"]
    server.before = {"refused": [httpx.Response(400)] * 3, "not there": [lost()]}
    server.after = {"there": [lost()]}
    await run(importer, rows, journal=journal, find=None)
    server.sent.clear()
    written = await run(importer, rows, journal=journal)
    assert hows(written) == [
        ("done", How.EARLIER),
        ("refused", How.REFUSED),
        ("there", How.FOUND),
        ("not there", How.WRITTEN_AGAIN),
        ("refused", How.WRITTEN),
        ("done", How.EARLIER),
    ]
    assert server.sent == ["refused", "not there", "refused"]
    third = await run(importer, rows, journal=journal)
    assert {one.how for one in third} == {How.EARLIER, How.WRITTEN}


async def test_what_a_process_died_with_is_looked_for(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    async def write(name: str) -> Tag:
        await importer.write(name)
        raise KeyboardInterrupt

    journal = tmp_path / "import.sqlite"
    with pytest.raises(KeyboardInterrupt):
        async for _ in write_all(["a"], write, journal=journal):
            pass
    (written,) = await run(importer, ["a"], journal=journal)
    assert (written.how, written.error, server.sent) == (How.FOUND, None, ["a"])


async def test_what_concerns_all_rows_ends_the_run_and_the_next_goes_on(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    journal = tmp_path / "import.sqlite"
    quota = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "600"}
    refusal = httpx.Response(402, json="hourly limit; quota will reset in 600 seconds", headers=quota)
    server.before = {"b": [refusal]}
    met: list[str] = []

    async def go() -> None:
        async for written in write_all(["a", "b", "c"], importer.write, journal=journal):
            met.append(written.row)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(QuotaExceeded):
        await go()
    assert (met, server.sent) == (["a"], ["a", "b"])
    transport = httpx.MockTransport(server.respond)
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=OPTIONS) as toggl:
        written = await run(Importer(toggl), ["a", "b", "c"], journal=journal)
    assert [one.how for one in written] == [How.EARLIER, How.WRITTEN, How.WRITTEN]


async def test_a_row_in_doubt_stays_so_when_a_run_ends_over_it(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    async def write(name: str) -> Tag:
        raise QuotaExceeded(
            "used up",
            reset_at=dt.datetime.now(dt.UTC),
            remaining=0,
            total=30,
            organization_id=None,
            method="POST",
            path="/",
        )

    journal = tmp_path / "import.sqlite"
    server.before = {"a": [lost()]}
    await run(importer, ["a"], journal=journal, find=None)
    with pytest.raises(QuotaExceeded):
        async for _ in write_all(["a"], write, find=importer.find, journal=journal, settle=0):
            pass
    server.kept.append("a")
    assert hows(await run(importer, ["a"], journal=journal)) == [("a", How.FOUND)]


async def test_rows_that_are_alike_are_rows_of_their_own(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    journal = tmp_path / "import.sqlite"
    assert len(await run(importer, ["a", "a"], journal=journal)) == 2
    assert hows(await run(importer, ["a", "a", "a"], journal=journal)) == [
        ("a", How.EARLIER),
        ("a", How.EARLIER),
        ("a", How.WRITTEN),
    ]
    (named,) = await run(importer, ["b"], journal=journal, key=lambda row: f"row {row}")
    assert named.how is How.WRITTEN
    assert (await run(importer, ["b"], journal=journal, key=lambda row: f"row {row}"))[0].how is How.EARLIER


async def test_rows_without_a_key_are_refused_before_anything_is_sent(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    journal = tmp_path / "import.sqlite"
    with pytest.raises(InvalidInput, match="cannot derive a key from a row of type object: pass key="):
        await run(importer, [object()], journal=journal)
    with pytest.raises(InvalidInput, match="key must return text, not int"):
        await run(importer, ["a"], journal=journal, key=len)
    assert server.sent == []


@pytest.mark.linux
@pytest.mark.parametrize("name", [":memory:", "file:j?mode=memory", "file:j"])
async def test_a_journal_is_kept_in_the_file_of_that_name(
    importer: Importer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hows(await run(importer, ["a"], journal=name)) == [("a", How.WRITTEN)]
    assert hows(await run(importer, ["a"], journal=name)) == [("a", How.EARLIER)]
    assert [path.name for path in tmp_path.iterdir()] == [name]


async def test_a_journal_that_cannot_be_used_is_refused(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidInput, match=r"the journal .* can't be used: it is not a regular file"):
            await run(importer, ["a"], journal=special)
    other = tmp_path / "other"
    other.write_bytes(b"not a journal, but a file of somebody's that is long enough" * 99)
    with pytest.raises(InvalidInput, match=r"the journal .* can't be used: file is not a database"):
        await run(importer, ["a"], journal=other)
    assert server.sent == []
    journal = tmp_path / "import.sqlite"
    async with aclosing(write_all(["a", "b"], importer.write, journal=journal)) as writing:
        await anext(writing)
        with pytest.raises(InvalidInput, match=r"another run is using the journal '.*import.sqlite'"):
            await run(importer, ["a"], journal=journal)
    assert hows(await run(importer, ["a"], journal=journal)) == [("a", How.EARLIER)]


@pytest.mark.parametrize("journal", [None, "import.sqlite"])
@pytest.mark.parametrize("kept", [False, True])
async def test_one_thing_is_not_found_for_two_rows(
    kept: bool, journal: str | None, importer: Importer, server: Tags, tmp_path: Path
) -> None:
    """The second of two rows that are alike is lost, and what is there is the first one's, or may be."""
    file = tmp_path / journal if journal else None
    rows = ["a", "b", "a"]
    server.before["a"] = []

    async def write(name: str) -> Tag:
        tag = await importer.write(name)
        if server.sent.count("a") == 1:  # the next one is lost on its way, or on its way back
            (server.after if kept else server.before)["a"] = [lost()]
        return tag

    written = [one async for one in write_all(rows, write, find=importer.find, settle=0, journal=file)]
    assert hows(written) == [("a", How.WRITTEN), ("b", How.WRITTEN), ("a", How.IN_DOUBT)]
    assert "may belong to another row" in str(written[2].error)
    assert written[2].error is not None
    assert isinstance(written[2].error.__cause__, ConnectionFailed)
    if journal:
        again = await run(importer, rows, journal=file)
        assert hows(again) == [("a", How.EARLIER), ("b", How.EARLIER), ("a", How.IN_DOUBT)]
    assert server.sent == ["a", "b", "a"]


@jump
async def test_a_thing_is_found_for_the_row_that_it_belongs_to(importer: Importer, server: Tags) -> None:
    """A find that can tell rows apart is believed, whatever is alike."""

    async def find(name: str) -> dict[str, int] | None:
        return {"id": len(server.kept)} if name in server.kept else None

    server.after = {"a": [lost(), lost()], "b": [lost()]}
    written = [one async for one in write_all(["a", "a", "b"], importer.write, find=find, settle=0)]
    assert [one.how for one in written] == [How.FOUND, How.FOUND, How.FOUND]


@jump
@pytest.mark.parametrize(
    ("rows", "last"),
    [
        (["a", "b"], How.FOUND),
        (["a", "a"], How.IN_DOUBT),
        ([object(), object()], How.IN_DOUBT),  # which of them are alike can't be told
    ],
)
async def test_what_has_no_id_is_found_once_for_rows_that_are_alike(rows: list[Any], last: How) -> None:
    async def write(row: object) -> None:
        raise ConnectionFailed("gone", method="POST", path="/", maybe_applied=True)

    async def find(row: object) -> bool:
        return True

    written = [one async for one in write_all(rows, write, find=find, settle=0)]
    assert [one.how for one in written] == [How.FOUND, last]


@jump
async def test_a_thing_with_an_id_may_be_a_rows_whose_thing_is_not_known(
    importer: Importer, server: Tags
) -> None:
    async def write(name: str) -> None:
        await importer.write(name)
        server.before["a"] = [lost()]

    written = [one async for one in write_all(["a", "a"], write, find=importer.find, settle=0)]
    assert [one.how for one in written] == [How.WRITTEN, How.IN_DOUBT]


async def test_keys_of_the_program_are_not_taken_for_numbers_of_rows(
    importer: Importer, tmp_path: Path
) -> None:
    rows = ["a", "a", "a#2"]
    written = await run(importer, rows, journal=tmp_path / "import.sqlite", key=str)
    assert {one.how for one in written} == {How.WRITTEN}


@pytest.mark.parametrize("settle", [-1, math.nan, "1", None, True])
async def test_a_settle_that_is_none_is_refused(settle: Any, importer: Importer, server: Tags) -> None:
    with pytest.raises(InvalidInput, match="settle must be 0 or more seconds, not"):
        await run(importer, ["a"], settle=settle)
    assert server.sent == []


@jump
async def test_functions_that_cannot_be_awaited_are_refused(importer: Importer, server: Tags) -> None:
    def synchronous(name: str) -> Any:
        return name

    said = "must be a coroutine function, or return an awaitable: it returned str"
    with pytest.raises(InvalidInput, match=f"write {said}"):
        async for _ in write_all(["a"], synchronous):
            pass
    for find in (synchronous, functools.partial(synchronous), lambda name: name, str.upper):
        with pytest.raises(InvalidInput, match=f"find {said}"):
            await run(importer, ["a"], find=find)
    assert server.sent == []


@jump
async def test_a_look_that_cannot_be_awaited_ends_all(importer: Importer, server: Tags) -> None:
    server.before["a"] = [httpx.Response(503)]
    looks: list[str] = []

    def find(name: str) -> Any:
        looks.append(name)
        return importer.find(name) if len(looks) == 1 else None

    with pytest.raises(InvalidInput, match=r"find must be a coroutine function.* it returned NoneType"):
        await run(importer, ["a", "b"], find=find)
    assert looks == ["a", "a"]
    assert len(server.sent) == 1


@jump
async def test_whatever_returns_an_awaitable_can_look(importer: Importer, server: Tags) -> None:
    class Looking:
        async def __call__(self, name: str) -> Tag | None:
            return await importer.find(name)

    def wrapped(name: str) -> Any:
        return importer.find(name)

    def begun(name: str) -> Any:
        return asyncio.ensure_future(importer.find(name))

    class Later:
        def __init__(self, name: str) -> None:
            self.name = name

        def __await__(self) -> Any:
            return importer.find(self.name).__await__()

    finds = [lambda name: importer.find(name), Looking(), wrapped, begun, Later, functools.partial(wrapped)]  # noqa: PLW0108
    for number, find in enumerate(finds):
        name = str(number)
        server.after = {name: [lost()]}
        looked = server.looked
        assert hows(await run(importer, [name], find=find)) == [(name, How.FOUND)]
        assert server.looked == looked + 1


@jump
async def test_what_cannot_look_for_the_first_row_may_be_needed_for_none(importer: Importer) -> None:
    def find(name: str) -> Any:
        raise KeyError(name)

    assert hows(await run(importer, ["a"], find=find)) == [("a", How.WRITTEN)]


async def test_an_error_of_the_programs_own_ends_the_run_and_the_next_looks_first(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    async def write(name: str) -> Tag:
        await importer.write(name)
        raise ZeroDivisionError

    async def find(name: str) -> Tag | None:
        raise ZeroDivisionError

    journal = tmp_path / "import.sqlite"
    with pytest.raises(ZeroDivisionError):
        async for _ in write_all(["a"], write, journal=journal):
            pass
    with pytest.raises(ZeroDivisionError):
        await run(importer, ["a"], journal=journal, find=find)
    assert hows(await run(importer, ["a"], journal=journal)) == [("a", How.FOUND)]


async def test_a_journal_that_is_short_of_a_byte_is_refused(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    journal = tmp_path / "import.sqlite"
    rows = [f"row {n}" for n in range(200)]
    await run(importer, rows, journal=journal)
    whole = journal.read_bytes()
    server.sent.clear()
    for lost_bytes in (1, 100, 4096, len(whole) // 2):
        journal.write_bytes(whole[:-lost_bytes])
        with pytest.raises(InvalidInput, match=r"can't be used: .*(damaged|malformed)"):
            await run(importer, rows, journal=journal)
    assert server.sent == []
    journal.write_bytes(whole)
    assert {one.how for one in await run(importer, rows, journal=journal)} == {How.EARLIER}


async def test_a_database_of_another_program_is_left_alone(
    importer: Importer, server: Tags, tmp_path: Path
) -> None:
    other = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE writes (key TEXT PRIMARY KEY, state TEXT NOT NULL)")
    before = other.read_bytes()
    with pytest.raises(InvalidInput, match="can't be used: it is another program's database"):
        await run(importer, ["a"], journal=other)
    assert (other.read_bytes(), server.sent) == (before, [])
    assert not list(tmp_path.glob("other.sqlite-*"))


@pytest.mark.slow
async def test_a_killed_process_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    journal = tmp_path / "import.sqlite"
    killed = await anyio.run_process([sys.executable, "-c", KILLED, str(journal)], check=False)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, b"written\nwritten\n")

    async def write(row: str) -> None:
        raise AssertionError(row)

    written = [one async for one in write_all(["a", "b", "c"], write, journal=journal)]
    assert [one.how for one in written] == [How.EARLIER, How.EARLIER, How.IN_DOUBT]


KILLED = """
import asyncio, os, signal, sys
from toggl_async import writes

async def write(row):
    if row == "c":
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async for written in writes.write_all(["a", "b", "c"], write, journal=sys.argv[1]):
        print(written.how, flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_what_the_sandbox_loses_is_found_there() -> None:
    """Over a socket: one tag is made although the answer says 502, one is not made."""
    async with (
        serve(SandboxOptions(size=SMALL, interval=0.0)) as sandbox,
        TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=OPTIONS) as toggl,
    ):
        me = await toggl.me.get()
        tags = toggl.workspace(me.default_workspace_id or 0).tags

        async def find(name: str) -> Tag | None:
            return next((tag for tag in await tags.iter() if tag.name == name), None)

        route = "POST /api/v9/workspaces/{workspace_id}/tags"
        for applied in (True, False):
            sandbox.order(Fault(status=502, applied=applied), route=route)
        rows = ["one", "two", "three"]
        found = [
            (written.row, written.how)
            async for written in write_all(rows, lambda name: tags.create(name=name), find=find, settle=0)
        ]
    assert found == [("one", How.FOUND), ("two", How.WRITTEN_AGAIN), ("three", How.WRITTEN)]
