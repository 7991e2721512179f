"""Time entries that run, against the sandbox over a real socket and by themselves."""

import datetime as dt
from typing import Any

import httpx
import pytest

from support.sandbox_world import NOW, world
from toggl_async import ApiToken, ClientOptions, InvalidInput, Pace, TogglClient, timer
from toggl_async.records import TimeEntry
from toggl_async.sandbox import Sandbox

HOUR = dt.timedelta(hours=1)
NEVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


def entry(**fields: object) -> TimeEntry:
    return TimeEntry(id=1, workspace_id=3, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "runs"),
    [
        (entry(start=NOW, duration=-1), True),
        (entry(start=NOW, duration=-1734049107), True),
        (entry(start=NOW, duration=0), False),
        (entry(start=NOW, stop=NOW + HOUR, duration=3600), False),
        (entry(start=NOW), True),
        (entry(start=NOW, stop=NOW + HOUR), False),
        (entry(start=NOW, duration=-1, server_deleted_at=NOW + HOUR), False),
        (entry(start=NOW, duration=-1, server_deleted_at=NEVER), True),
    ],
)
def test_an_entry_runs_when_its_duration_is_negative(found: TimeEntry, runs: bool) -> None:
    assert timer.is_running(found) is runs


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (entry(start=NOW, duration=-1), 7200),
        # Toggl's own figure would give a second more.
        (entry(start=NOW, duration=-int(NOW.timestamp()) - 1), 7200),
        (entry(start=NOW + 3 * HOUR, duration=-1), 0),
        (entry(start=NOW, stop=NOW + HOUR, duration=3600), 3600),
        (entry(start=NOW, duration=0), 0),
        (entry(start=NOW, stop=NOW + HOUR), 3600),
        (entry(start=NOW), 7200),
        (entry(start=NOW, duration=-1, server_deleted_at=NOW + HOUR), 3600),
        (entry(start=NOW, duration=-1, server_deleted_at=NEVER), 7200),
    ],
)
def test_the_time_that_has_passed_is_counted_from_the_start(found: TimeEntry, seconds: int) -> None:
    assert timer.elapsed(found, NOW + 2 * HOUR) == dt.timedelta(seconds=seconds)


def test_it_is_counted_until_this_moment_unless_told_otherwise() -> None:
    began = dt.datetime.now(dt.UTC) - HOUR
    assert HOUR - dt.timedelta(seconds=2) <= timer.elapsed(entry(start=began, duration=-1)) < 2 * HOUR


@pytest.mark.anyio
async def test_something_else_than_a_workspace_a_client_or_an_entry_is_refused_before_sending() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=None)

    async with TogglClient(ApiToken("0" * 32), transport=httpx.MockTransport(answer)) as client:
        toggl: Any = client
        workspace = toggl.workspace(3)
        for wrong, kind in [(8600113, "a value of type int"), (None, "None"), (toggl, r".* TogglClient")]:
            with pytest.raises(InvalidInput, match=rf"^workspace: pass toggl.workspace\(id\), not {kind}$"):
                await timer.start(wrong)
        for ask in (timer.current, timer.stop):
            others: list[Any] = [workspace, None, toggl.me]
            for wrong in others:
                with pytest.raises(InvalidInput, match=r"^toggl: pass the TogglClient, not "):
                    await ask(wrong)
        for look in (timer.elapsed, timer.is_running):
            none: Any = None
            with pytest.raises(InvalidInput, match=r"^entry: pass a TimeEntry, not None; None from "):
                look(none)
            with pytest.raises(InvalidInput, match=r"^entry: pass a TimeEntry, not a value of type "):
                look(workspace)
    assert not sent


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="time entry 1 has no start"):
        timer.elapsed(entry(duration=-1))
    for year in (1, 1999, 2200, 9999):
        with pytest.raises(InvalidInput, match=f"time entry 1 has an impossible start: {year:04}-05-20T12"):
            timer.elapsed(entry(start=NOW.replace(year=year), duration=-1))
    with pytest.raises(InvalidInput, match="now: a datetime needs a time zone"):
        timer.elapsed(entry(start=NOW, duration=-1), NOW.replace(tzinfo=None))
    with pytest.raises(InvalidInput, match=r"time entry 1 has an impossible duration: 10+ seconds"):
        timer.elapsed(entry(start=NOW, duration=10**15))


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_start_needs_a_time_zone() -> None:
    async with TogglClient(
        ApiToken("a" * 32), transport=httpx.MockTransport(lambda _: httpx.Response(200))
    ) as toggl:
        with pytest.raises(InvalidInput, match="at: a datetime needs a time zone"):
            await timer.start(toggl.workspace(3), at=NOW.replace(tzinfo=None))
        with pytest.raises(InvalidInput, match="at: pass a datetime, not a value of type date"):
            await timer.start(toggl.workspace(3), at=NOW.date())  # type: ignore[arg-type]


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_start_is_sent_with_everything_that_toggl_demands() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(httpx.Response(200, content=request.content).json())
        return httpx.Response(200, json={"id": 1, "workspace_id": 3, "duration": -1})

    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(answer)) as toggl:
        await timer.start(toggl.workspace(3))
        await timer.start(toggl.workspace(3), at=NOW, description="Reading", project_id=5, created_with="x")
    started = dt.datetime.fromisoformat(sent[0].pop("start"))
    assert abs(dt.datetime.now(dt.UTC) - started) < dt.timedelta(seconds=5)
    assert started.microsecond == 0
    assert sent == [
        {"duration": -1, "workspace_id": 3, "created_with": "toggl_async"},
        {
            "start": "2026-05-20T12:00:00Z",
            "duration": -1,
            "description": "Reading",
            "project_id": 5,
            "workspace_id": 3,
            "created_with": "x",
        },
    ]


@pytest.mark.anyio
async def test_from_start_to_stop() -> None:
    async with world() as found, client(found.sandbox) as toggl:
        assert await stopped(toggl) is None
        workspace = toggl.workspace(found.workspace_id)
        started = await timer.start(workspace, at=NOW - HOUR, description="Reading")
        assert timer.is_running(started)
        running = await timer.current(toggl)
        assert running is not None
        assert running.id == started.id
        assert HOUR <= timer.elapsed(running, NOW) < HOUR + dt.timedelta(minutes=1)
        ended = await timer.stop(toggl)
        assert ended is not None
        assert ended.id == started.id
        assert not timer.is_running(ended)
        assert await timer.current(toggl) is None


def client(sandbox: Sandbox) -> TogglClient:
    options = ClientOptions(pace=Pace(interval=0.001))
    return TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=options)


async def stopped(toggl: TogglClient) -> TimeEntry | None:
    """Stop until nothing runs, and once more."""
    while await timer.stop(toggl):
        pass
    return await timer.stop(toggl)
