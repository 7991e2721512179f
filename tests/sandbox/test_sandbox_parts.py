import asyncio
import datetime as dt
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from toggl_async.sandbox import CompanySize, Counts, FastLoop, Fault, FaultPlan, SandboxOptions, Spacing, run
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.faults import Faults
from toggl_async.sandbox.timestamps import Zone, at_fraction, day_of, offset_utc, parse, parse_day, zulu

MOMENT = 1734313082  # 2024-12-16 01:38:02 UTC


def test_moments_are_written_in_all_of_toggls_ways() -> None:
    assert offset_utc(MOMENT) == "2024-12-16T01:38:02+00:00"
    assert zulu(MOMENT) == "2024-12-16T01:38:02Z"
    assert at_fraction(MOMENT * 1_000_000 + 123_456) == "2024-12-16T01:38:02.123456Z"
    assert at_fraction(MOMENT * 1_000_000 + 123_400) == "2024-12-16T01:38:02.1234Z"
    assert at_fraction(MOMENT * 1_000_000) == "2024-12-16T01:38:02Z"


@pytest.mark.parametrize("name", ["Europe/Tallinn", "America/St_Johns", "Asia/Kathmandu", "UTC"])
def test_zones_write_what_datetime_writes(name: str) -> None:
    zone = Zone(name)
    rng = random.Random(3)
    info = zone._info
    for _ in range(500):
        moment = rng.randrange(1_100_000_000, 1_900_000_000)
        local = dt.datetime.fromtimestamp(moment, info)
        assert zone.text(moment) == local.isoformat()
        assert zone.day(moment) == local.date()
    assert zone.text(zone.midnight(dt.date(2026, 3, 29)))[:19] == "2026-03-29T00:00:00"


def test_zones_follow_the_hour_in_which_clocks_change() -> None:
    zone = Zone("Europe/Tallinn")
    change = int(dt.datetime(2026, 3, 29, 1, 0, tzinfo=dt.UTC).timestamp())
    assert zone.text(change - 1) == "2026-03-29T02:59:59+02:00"
    assert zone.text(change) == "2026-03-29T04:00:00+03:00"


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd"])
def test_an_unknown_zone_counts_as_utc(name: str) -> None:
    assert Zone(name).text(MOMENT) == offset_utc(MOMENT)


def test_moments_are_read_with_an_offset_or_as_dates() -> None:
    assert parse("2024-12-16T04:38:02.9+03:00") == MOMENT
    assert parse("2024-12-16T01:38:02Z") == MOMENT
    assert parse("2024-12-16") == MOMENT - MOMENT % 86_400
    assert parse_day("2024-12-16") == day_of(MOMENT) == dt.date(2024, 12, 16)


@pytest.mark.parametrize("text", ["2024-12-16T01:38:02", "yesterday", "2024-13-01"])
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize("text", ["20241216", "2024-W51-1", "2024-12-16T01:38:02Z"])
def test_other_days_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_day(text)


def test_counts_by_route_status_and_account() -> None:
    counts = Counts()
    for moment in (10.0, 11.0, 13.5):
        counts.arrived("GET /a", 1, moment)
    counts.arrived("GET /b", None, 12.0)
    counts.answered("GET /a", 200)
    counts.answered("GET /a", 200)
    counts.answered("GET /a", 429)
    counts.answered("GET /b", 402)
    counts.refuse(429)
    assert counts.requests == 4
    assert counts.asked == {"GET /a": 3, "GET /b": 1}
    assert counts.answers("GET /a") == {200: 2, 429: 1}
    assert counts.statuses == {200: 2, 429: 1, 402: 1}
    assert counts.refused == {402: 0, 429: 1}
    assert counts.arrivals(1) == [10.0, 11.0, 13.5]
    assert counts.spacing(1) == Spacing(minimum=1.0, mean=1.75, requests=3)
    assert counts.spacing(None) == Spacing(minimum=0.0, mean=0.0, requests=1)
    assert counts.spacing(2) == Spacing(minimum=0.0, mean=0.0, requests=0)
    counts.reset()
    assert (counts.requests, counts.statuses, counts.refused, counts.arrivals(1)) == (
        0,
        {},
        {402: 0, 429: 0},
        [],
    )


def test_without_a_plan_nothing_goes_wrong() -> None:
    faults = Faults(FaultPlan(), random.Random(1))
    assert {faults.decide("GET /a") for _ in range(100)} == {Fault()}


def test_faults_come_in_the_planned_shares() -> None:
    plan = FaultPlan(
        error_before=0.1,
        error_after=0.1,
        reset_before=0.1,
        reset_after=0.1,
        statuses=(503,),
        latency=2.0,
        jitter=1.0,
        slow_bodies=0.5,
        slow_seconds=7.0,
    )
    faults = Faults(plan, random.Random(1))
    met = [faults.decide("GET /a") for _ in range(4000)]
    for wanted in ((503, False, False), (503, False, True), (None, True, False), (None, True, True)):
        share = sum((fault.status, fault.reset, fault.applied) == wanted for fault in met) / len(met)
        assert 0.08 < share < 0.12
    assert sum(fault.fails for fault in met) / len(met) == pytest.approx(0.4, abs=0.03)
    assert all(2.0 <= fault.latency <= 3.0 for fault in met)
    assert {fault.slow_body for fault in met} == {0.0, 7.0}


def test_the_body_of_a_fault_is_text() -> None:
    assert Fault(body="[]").body == "[]"
    odd: Any = []
    with pytest.raises(TypeError, match=r"^body must be the text to send, a str .* of type list$"):
        Fault(status=200, body=odd)


def test_ordered_faults_go_first_and_to_their_route() -> None:
    faults = Faults(FaultPlan(), random.Random(1))
    faults.order(Fault(status=500), route="GET /b", times=2)
    faults.order(Fault(reset=True))
    assert [faults.decide("GET /a").reset, faults.decide("GET /a").fails] == [True, False]
    assert [faults.decide("GET /b").status for _ in range(3)] == [500, 500, None]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SandboxOptions(speed=0),
        lambda: SandboxOptions(speed=math.inf),
        lambda: SandboxOptions(interval=-1),
        lambda: SandboxOptions(burst=0),
        lambda: SandboxOptions(plan="enterprise"),  # type: ignore[arg-type]
        lambda: SandboxOptions(org_quota=-1),
        lambda: SandboxOptions(user_quota=math.nan),
        lambda: SandboxOptions(port=65_536),
        lambda: SandboxOptions(now=dt.datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda: SandboxOptions(role="guest"),  # type: ignore[arg-type]
        lambda: Fault(status=99),
        lambda: FaultPlan(error_before=1.5),
        lambda: FaultPlan(latency=-1),
        lambda: FaultPlan(statuses=()),
        lambda: CompanySize(people=0),
    ],
)
def test_senseless_options_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


@pytest.mark.parametrize(("plan", "quota"), [("free", 30), ("starter", 240), ("premium", 600)])
def test_plans_bring_their_quota(plan: Any, quota: int) -> None:
    assert SandboxOptions(plan=plan).organization_quota == quota
    assert SandboxOptions(plan=plan).personal_quota == 30
    assert SandboxOptions(plan=plan, org_quota=7, user_quota=math.inf).organization_quota == 7
    assert SandboxOptions(plan=plan, org_quota=7, user_quota=math.inf).personal_quota == math.inf


def test_options_are_frozen_records() -> None:
    assert SandboxOptions(gone=["GET /a"]) == SandboxOptions(gone=frozenset({"GET /a"}))
    with pytest.raises(AttributeError):
        SandboxOptions().seed = 3  # type: ignore[misc]


def test_a_fast_loop_passes_an_hour_in_no_time() -> None:
    async def hour() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        assert loop.speed == 360_000
        start = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - start

    assert run(hour(), speed=360_000) >= 3600


def test_timeouts_on_a_fast_loop_are_as_fast() -> None:
    async def wait() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 600)

    with pytest.raises(TimeoutError):
        run(wait(), speed=100_000)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.inf, math.nan])
def test_a_fast_loop_needs_a_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="finite number over 0"):
        FastLoop(speed)


@pytest.mark.anyio
@pytest.mark.jump
async def test_the_clock_runs_with_the_loop_but_faster() -> None:
    clock = Clock(5000.0, speed=60.0)
    closing = asyncio.Event()
    assert clock.now() == 5000.0
    assert await clock.wait(120.0, closing)
    assert clock.now() == pytest.approx(5120.0)
    assert await clock.wait(0.0, closing)
    clock.advance(3600.0)
    assert clock.now() == pytest.approx(8720.0)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1.0)
    closing.set()
    assert not await clock.wait(120.0, closing)
    assert clock.now() == pytest.approx(8720.0)
