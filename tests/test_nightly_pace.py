"""The pace in real time, with the options that a program gets: minutes, so at night only."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from toggl_async import ApiToken, TogglClient
from toggl_async.sandbox import SMALL, SandboxOptions, serve
from toggl_async.scheduler import Scheduler, SchedulerEvent, events

CALLS = 120


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.nightly
async def test_a_crowd_of_calls_keeps_the_pace_in_real_time(
    record_property: Callable[[str, object], None],
) -> None:
    happened: list[SchedulerEvent] = []
    scheduler = Scheduler(on_event=happened.append)
    async with serve(SandboxOptions(size=SMALL, plan="premium", user_quota=CALLS)) as sandbox:
        auth = ApiToken(sandbox.api_token)
        async with TogglClient(auth, base_url=sandbox.base_url, scheduler=scheduler) as toggl:
            await asyncio.gather(*(toggl.request("GET", f"/api/v9/me?n={n}") for n in range(CALLS)))
        assert sandbox.counts.refused == {402: 0, 429: 0}
        assert sandbox.counts.requests == CALLS
        record_property("mean spacing of arrivals (s)", round(sandbox.spacing.mean, 4))
    sent = [event.at for event in happened if isinstance(event, events.Sent)]
    shortest = min(later - earlier for earlier, later in itertools.pairwise(sent))
    assert shortest >= 1.02 - 1e-6
    record_property("calls", CALLS)
    record_property("shortest spacing of sends (s)", round(shortest, 4))
