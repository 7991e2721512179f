"""Whether an entry runs and for how long, whatever its fields say; and seconds that are whole floats."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.answers import Answers
from toggl_async import InvalidInput, timer
from toggl_async.records import TimeEntry

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
NEVER = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


def entry(**fields: object) -> TimeEntry:
    return TimeEntry(id=1, workspace_id=3, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("duration", [-1, -1734049107, None])
def test_an_entry_with_a_stop_does_not_run(duration: int | None) -> None:
    stopped = entry(start=NOW - HOUR, stop=NOW, duration=duration)
    assert not timer.is_running(stopped)
    assert timer.elapsed(stopped, NOW + HOUR) == HOUR


@pytest.mark.parametrize("duration", [-1, None])
def test_a_stop_in_the_year_1_is_none(duration: int | None) -> None:
    running = entry(start=NOW - HOUR, stop=NEVER, duration=duration)
    assert timer.is_running(running)
    assert timer.elapsed(running, NOW + HOUR) == 2 * HOUR


MOMENTS = st.none() | st.datetimes(timezones=st.just(dt.UTC) | st.just(dt.timezone(HOUR * 14)))


@given(start=MOMENTS, stop=MOMENTS, duration=st.none() | st.integers())
def test_elapsed_is_a_duration_or_a_typed_error(
    start: dt.datetime | None, stop: dt.datetime | None, duration: int | None
) -> None:
    try:
        found = timer.elapsed(entry(start=start, stop=stop, duration=duration), NOW)
    except InvalidInput:
        found = dt.timedelta()
    assert found >= dt.timedelta()


@pytest.mark.parametrize(("duration", "sent"), [(1800.0, b"1800"), (-1.0, b"-1"), (1800, b"1800")])
async def test_a_whole_float_goes_as_a_whole_number(duration: float, sent: bytes) -> None:
    server = Answers({"id": 1, "workspace_id": 3})
    async with server.client() as toggl:
        await toggl.workspace(3).time_entries.create(start=NOW, duration=duration, created_with="x")  # type: ignore[arg-type]
        await toggl.request("GET", "/api/v9/x", params={"since": duration})
    body = server.asked[0].content
    assert b'"duration":%s,' % sent in body or body.endswith(b'"duration":%s}' % sent)
    assert json.loads(body)["duration"] == duration
    assert server.asked[1].url.query == b"since=%s" % sent


async def test_a_part_of_a_second_is_refused() -> None:
    server = Answers({"id": 1, "workspace_id": 3})
    async with server.client() as toggl:
        with pytest.raises(InvalidInput, match="duration: pass an int"):
            await toggl.workspace(3).time_entries.create(start=NOW, duration=1.5, created_with="x")  # type: ignore[arg-type]
    assert not server.asked
