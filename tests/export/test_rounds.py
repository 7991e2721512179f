"""What a round reads: by age, within its share of the quota, and nothing is left out for good."""

import datetime as dt
from collections.abc import Mapping
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async.export.run.rounds import (
    HOUR,
    OLDER,
    Cost,
    Ledger,
    Portion,
    Room,
    parts_that_fit,
    seconds_to_wait,
)
from toggl_async.scheduler import Lane, Scheduler
from toggl_async.scheduler.stats import AccountStats, SchedulerStats, WindowStats

BEGINNING = dt.datetime(2026, 5, 20, tzinfo=dt.UTC)
Rooms: TypeAlias = Mapping[int | None, Room]
NAMES = ("users", "groups", "clients", "projects", "tags", "tasks", OLDER)


def part(name: str, minutes: float | None, cost: int) -> Portion:
    """A part that was read so many minutes after the beginning."""
    as_of = None if minutes is None else BEGINNING + dt.timedelta(minutes=minutes)
    return Portion(name=name, as_of=as_of, cost=Cost({1: cost}))


def chosen(parts: list[Portion], rooms: Rooms, always: int, **options: object) -> list[str]:
    settings = {"every": 600.0, "is_overdue": False, **options}
    found = parts_that_fit(parts, rooms, Cost({1: always}), **settings)  # type: ignore[arg-type]
    return [one.name for one in found]


def test_the_one_that_waits_longest_goes_first() -> None:
    parts = [part("tags", 3, 1), part("users", 1, 1), part("groups", None, 1), part("clients", 2, 1)]
    rooms: Rooms = {
        1: Room(left=24, full=30, resets_in=6 * 600)
    }  # six rounds share it, and each takes two anyway
    assert chosen(parts, rooms, 2) == ["groups", "users"]


def test_older_time_entries_wait_a_day_longer() -> None:
    day = 24 * 60
    rooms: Rooms = {1: Room(left=1, full=30, resets_in=600)}
    assert chosen([part(OLDER, 1, 1), part("tags", day, 1)], rooms, 0) == ["tags"]
    assert chosen([part(OLDER, 1, 1), part("tags", day + 2, 1)], rooms, 0) == [OLDER]


def test_a_window_of_which_nothing_is_known_is_no_room() -> None:
    def stats(total: int | None, remaining: int | None) -> SchedulerStats:
        window = WindowStats(
            lane=Lane.USER,
            organization_id=None,
            workspace_id=None,
            remaining=remaining,
            total=total,
            resets_in=None,
        )
        account = AccountStats(
            account=1, waiting=0, in_flight=0, interval=1.0, reason=None, wait=None, windows=(window,)
        )
        return attrs.evolve(Scheduler().stats(), accounts=(account,))

    ledger = Ledger(600.0)
    assert ledger.rooms(stats(None, None), 0) == {}
    assert ledger.rooms(stats(None, 20), 0) == {None: Room(left=20, full=20, resets_in=HOUR)}
    # What a window once had is remembered.
    assert ledger.rooms(stats(None, None), 0) == {None: Room(left=20, full=20, resets_in=HOUR)}


def test_nobody_passes_the_one_whose_turn_it_is() -> None:
    rooms: Rooms = {1: Room(left=6, full=30, resets_in=600)}
    assert chosen([part(OLDER, None, 16), part("tags", 0, 2)], rooms, 4) == []


def test_without_a_quota_everything_is_read() -> None:
    assert chosen([part(name, 0, 100) for name in NAMES], {}, 100) == list(NAMES)


def test_what_is_overdue_waits_for_a_window_that_has_room_for_it_if_one_can() -> None:
    parts = [part(OLDER, 0, 16), part("tags", day := 25 * 60, 2)]
    assert day > 24 * 60
    half, full = Room(left=15, full=30, resets_in=1800), Room(left=30, full=30, resets_in=3600)
    assert chosen(parts, {1: half}, 4, is_overdue=True) == []
    assert chosen(parts, {1: full}, 4, is_overdue=True) == [OLDER]
    assert chosen([part(OLDER, 0, 300)], {1: half}, 4, is_overdue=True) == [OLDER]  # none ever has


def test_a_round_waits_only_for_what_a_window_can_hold() -> None:
    def wait(left: int, cost: int) -> float:
        rooms = {None: Room(left=9, full=30, resets_in=7), 1: Room(left=left, full=30, resets_in=1800)}
        return seconds_to_wait(rooms, Cost({1: cost}))

    assert wait(4, 4) == 0
    assert wait(3, 4) == 1800
    assert wait(30, 400) == 0
    assert wait(29, 400) == 1800
    assert seconds_to_wait({}, Cost({1: 4})) == 0


@pytest.mark.slow
@given(
    full=st.integers(1, 300),
    always=st.integers(0, 40),
    every=st.sampled_from([60.0, 600.0, 1800.0, 3600.0]),
    costs=st.lists(st.integers(1, 40), min_size=1, max_size=len(NAMES)),
)
def test_each_part_is_read_again_and_again_and_no_window_is_overspent(
    full: int, always: int, every: float, costs: list[int]
) -> None:
    """A day of rounds, reckoned: each window is spent as planned unless a round alone is too much for one."""
    parts = [part(name, 0, cost) for name, cost in zip(NAMES, costs, strict=False)]
    read_at = dict.fromkeys([one.name for one in parts], 0.0)
    now, left, resets_at, last = 0.0, full, HOUR, 0.0
    days = 2 + len(parts)
    while now < days * 24 * HOUR:
        room = Room(left=left, full=full, resets_in=resets_at - now)
        wait = seconds_to_wait({1: room}, Cost({1: always}))
        if wait:
            now, left, resets_at = resets_at, full, resets_at + HOUR
            continue
        found = parts_that_fit(
            parts, {1: room}, Cost({1: always}), every=every, is_overdue=now - last >= HOUR
        )
        spent = always + sum(one.cost[1] for one in found)
        for one in found:
            read_at[one.name] = last = now
            moment = BEGINNING + dt.timedelta(seconds=now)
            parts = [attrs.evolve(same, as_of=moment) if same.name == one.name else same for same in parts]
        if spent > left:  # the scheduler waits for the windows that it takes
            assert always > full or always + found[0].cost[1] > full
        while spent > left:
            spent -= left
            now, left, resets_at = resets_at, full, resets_at + HOUR
        left -= spent
        now += every
        while now >= resets_at:
            left, resets_at = full, resets_at + HOUR
    oldest = min(read_at.values())
    assert now - oldest <= 26 * HOUR + (2 + len(parts)) * max(
        2 * HOUR, (max(costs) + always) / full * 2 * HOUR
    )
