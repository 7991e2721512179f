"""Programs with a client each, in processes of their own, on one budget and one server.

The server answers what the test says, and the test says who does what next: nothing here depends on how
long anything takes.
"""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.budget_program import Program, Programs, file_that_is_open, programs, redis_that_is_open
from support.redis_server import RedisServer, redis_server
from support.servers import Asked, Server, http_server

pytestmark = pytest.mark.anyio

OK, GONE, SPENT, TOO_FAST, REFUSED, SILENT = 1, 2, 3, 4, 5, 6
"""Workspaces by what becomes of requests to them."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with programs(tmp_path_factory.mktemp("programs")) as found:
        yield found


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    def handle(asked: Asked) -> None:
        match int(asked.target.split("/")[4]):
            case 2:
                asked.answer(410, b'"Gone"')
            case 3:
                headers = {"X_Toggl_Quota_Remaining": "0", "X_Toggl_Quota_Resets_In": "1800"}
                asked.answer(200, b"[]", **headers)
            case 4:
                asked.answer(429, b"")
            case 5:
                asked.answer(403, b'"no"', X_Remaining_Login_Attempts="3")
            case 6:
                pass
            case _:
                asked.answer(200, b"[]")

    async with http_server(handle) as serving:
        yield serving


@pytest.fixture(params=["file", "redis"])
def budget(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return file_that_is_open(tmp_path / "budget.sqlite")
    server: RedisServer = request.getfixturevalue("shared_redis")
    return redis_that_is_open(server.url)


async def test_what_one_is_told_all_know(program: Programs, server: Server, budget: str) -> None:
    async with program(server.url, budget) as one, program(server.url, budget) as other:

        async def has_told() -> None:
            """Have one make a call: when that goes, the store knows all that was answered before."""
            assert (await one.call(OK)) == {"error": None}

        assert (await one.call(GONE))["error"] == "EndpointGone"
        await has_told()
        assert (await other.call(OK)) == {"error": None}
        gone = await other.call(GONE)
        assert (gone["error"], gone["from_memory"]) == ("EndpointGone", True)

        assert (await one.call(SPENT)) == {"error": None}
        await has_told()
        spent = await other.call(SPENT, max_wait=60)
        assert (spent["error"], spent["from_memory"]) == ("QuotaExceeded", True)

        await one.ask("forget")
        await has_told()
        assert (await other.call(OK)) == {"error": None}
        assert (await other.call(GONE))["from_memory"] is False
        asked = [int(asked.target.split("/")[4]) for asked in server.asked]
        assert asked == [GONE, OK, OK, SPENT, OK, OK, OK, GONE]

        assert (await one.call(TOO_FAST, max_wait=60))["error"] == "RateLimited"
        while (rests := await other.call(OK, max_wait=60))["error"] is None:
            pass
        assert rests["error"] == "MaxWaitExceeded"
        assert "cool-down" in rests["message"]


async def test_refused_credentials_are_tried_once_for_all(
    program: Programs, server: Server, budget: str
) -> None:
    async with program(server.url, budget) as one:
        assert (await one.call(REFUSED))["error"] == "LoginRefused"
    sent = len(server.asked)
    async with program(server.url, budget) as later:
        refused = await later.call(OK)
        assert (refused["error"], refused["from_memory"]) == ("LoginRefused", True)
    assert len(server.asked) == sent


async def test_who_waits_is_told_and_a_killed_one_holds_nobody_up(
    program: Programs, server: Server, budget: str
) -> None:
    async with program(server.url, budget, 3600) as slow, program(server.url, budget) as quick:
        await slow.call(OK)
        slow.tell("call", workspace=OK)
        while not (found := await waiting(quick)):
            pass
        assert str(slow.process) in found[0]
        await slow.kill()
        assert (await quick.call(OK)) == {"error": None}


async def waiting(quick: Program) -> list[str]:
    """Make a call, and return whom that has seen."""
    assert (await quick.call(OK)) == {"error": None}
    found: list[str] = (await quick.ask("stats"))["waiting"]
    return found


@pytest.mark.slow
async def test_a_stopped_one_is_passed_over_and_goes_on_when_it_wakes(
    program: Programs, server: Server, budget: str
) -> None:
    async with program(server.url, budget, 0.02) as one, program(server.url, budget, 0.02) as other:
        assert (await one.call(OK)) == {"error": None}
        for _ in range(50):
            one.tell("call", workspace=OK)
        await one.answer()  # it is in the midst of them
        one.signal(signal.SIGSTOP)
        for _ in range(10):
            assert (await other.call(OK)) == {"error": None}
        one.signal(signal.SIGCONT)
        for _ in range(49):
            assert (await one.answer()) == {"error": None}


async def test_a_request_that_a_killed_one_had_under_way_holds_nobody_up(
    program: Programs, server: Server, budget: str
) -> None:
    async with program(server.url, budget) as one, program(server.url, budget) as other:
        one.tell("call", workspace=SILENT)
        while not server.asked:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0)
        await one.kill()
        assert (await other.call(OK)) == {"error": None}


FORKING = """
import asyncio, os, sys
from toggl_async import ApiToken, ClientOptions, FileBudget, Pace, TogglClient

url, path, used = sys.argv[1], sys.argv[2], sys.argv[3] == "used"
options = ClientOptions(pace=Pace(interval=0.001), coalesce=False)
toggl = TogglClient(ApiToken("a" * 32), base_url=url, options=options, budget=FileBudget(path))

async def calls():
    for _ in range(3):
        await toggl.workspace(1).tags.list()

async def main():
    await calls()
    if not used:
        await toggl.aclose()

if used:
    asyncio.run(calls())
child = os.fork()
asyncio.run(main())
if child:
    sys.exit(os.waitpid(child, 0)[1])
os._exit(0)
"""


@pytest.mark.parametrize("used", ["used", "new"])
async def test_a_client_goes_on_in_both_after_a_fork(server: Server, tmp_path: Path, used: str) -> None:
    path = file_that_is_open(tmp_path / "budget.sqlite").removeprefix("file:")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKING, server.url, path, used)
    assert await process.wait() == 0
    assert len(server.asked) == (9 if used == "used" else 6)


async def test_a_folder_that_nobody_can_write_to_costs_no_call(program: Programs, server: Server) -> None:
    async with program(server.url, "file:/proc/self/toggl_async/budget.sqlite") as one:
        for _ in range(3):
            assert (await one.call(OK)) == {"error": None}
        stats = await one.ask("stats")
        assert stats["alone"]
        assert stats["told"] == ["BudgetLost"]
        assert len(stats["logged"]) == 1
        assert "/proc/self/toggl_async" in stats["logged"][0]


async def test_a_full_disk_costs_no_call(program: Programs, server: Server, tmp_path: Path) -> None:
    budget = file_that_is_open(tmp_path / "budget.sqlite")
    async with program(server.url, budget) as one:
        assert (await one.call(OK)) == {"error": None}
        await one.ask("fill the disk")
        for _ in range(3):
            assert (await one.call(OK)) == {"error": None}
        stats = await one.ask("stats")
        assert (stats["alone"], stats["told"]) == (True, ["BudgetLost"])
        assert len(stats["logged"]) == 1


async def test_a_file_of_a_newer_version_is_left_alone(
    program: Programs, server: Server, tmp_path: Path
) -> None:
    budget = file_that_is_open(path := tmp_path / "budget.sqlite")
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    before = path.read_bytes()
    async with program(server.url, budget) as one:
        assert (await one.call(OK)) == {"error": None}
        (logged,) = (await one.ask("stats"))["logged"]
        assert "format 99" in logged
        assert "update toggl_async" in logged
    assert path.read_bytes() == before


async def test_a_redis_that_is_stopped_costs_no_call(
    program: Programs, server: Server, own_redis: RedisServer
) -> None:
    budget = redis_that_is_open(own_redis.url)
    async with program(server.url, budget) as one, program(server.url, budget) as other:
        for each in (one, other):
            assert (await each.call(OK)) == {"error": None}
        own_redis.stop()
        for answer in await asyncio.gather(one.call(OK), other.call(OK)):
            assert answer == {"error": None}
        stats = await one.ask("stats")
        assert (stats["alone"], stats["told"]) == (True, ["BudgetLost"])
        assert len(stats["logged"]) == 1


@pytest.mark.nightly
@pytest.mark.parametrize("accident", ["restarted", "stopped for a while", "emptied"])
async def test_a_redis_that_comes_back_is_used_again(
    program: Programs, server: Server, own_redis: RedisServer, accident: str
) -> None:
    budget = redis_that_is_open(own_redis.url)
    async with program(server.url, budget) as one, program(server.url, budget) as other:
        for each in (one, other):
            assert (await each.call(GONE))["error"] == "EndpointGone"
        if accident == "emptied":
            redis_that_is_open(own_redis.url)
        elif accident == "restarted":
            own_redis.stop()
        else:
            own_redis.hang()
        for answer in await asyncio.gather(one.call(OK), other.call(OK)):
            assert answer == {"error": None}
        if accident == "restarted":
            own_redis.start()
        elif accident != "emptied":
            own_redis.go_on()
        while (await one.ask("stats"))["alone"]:
            pass
        for each in (one, other, one, other):
            assert (await each.call(OK)) == {"error": None}
        # Whoever came after its places were over had not gone on alone, and waited for the opening.
        told = ["BudgetLost", "BudgetBack"] if accident != "emptied" else []
        assert (await one.ask("stats"))["told"] == told


async def test_a_wrong_password_is_told_before_anything_is_sent(
    program: Programs, server: Server, shared_redis: RedisServer, tmp_path: Path
) -> None:
    with redis_server(tmp_path, "--requirepass", "right") as guarded:
        budget = guarded.url.replace("redis://", "redis://:s3cret@")
        async with program(server.url, budget) as one:
            refused = await one.call(OK)
            assert refused["error"] == "BudgetError"
            assert "s3cret" not in refused["message"]
    assert server.asked == []


async def test_nothing_that_is_stored_shows_the_token(
    program: Programs, server: Server, tmp_path: Path
) -> None:
    budget = file_that_is_open(path := tmp_path / "budget.sqlite")
    async with program(server.url, budget) as one:
        await one.call(GONE)
        files = [file.read_bytes() for file in path.parent.iterdir()]
    for stored in files:
        assert b"a" * 32 not in stored
        assert b"/api/v9" not in stored


def test_the_budget_of_the_environment_is_shared_by_plain_transports(tmp_path: Path) -> None:
    """Zero code: a program of httpx's own client, with the variable set."""
    path = tmp_path / "budget.sqlite"
    script = """
import asyncio, httpx
from toggl_async import ScheduledTransport, TogglClient
from toggl_async.scheduler.budgets.memory import MemoryBudget

async def main():
    inner = httpx.MockTransport(lambda request: httpx.Response(200, json=[]))
    async with httpx.AsyncClient(transport=ScheduledTransport(inner)) as client:
        await client.get("https://toggl.test/api/v9/me", headers={"authorization": "Basic eDphcGlfdG9rZW4="})
    async with TogglClient.from_env(transport=inner) as toggl:
        assert (await toggl.workspace(1).tags.list()) == []

asyncio.run(main())
"""
    environ = {**os.environ, "TOGGL_BUDGET": file_that_is_open(path), "TOGGL_API_TOKEN": "b" * 32}
    subprocess.run([sys.executable, "-c", script], env=environ, check=True, timeout=120)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM accounts").fetchone() == (2,)
    raw.close()
