"""What only other systems take: signs of life without locks of open files, clocks without a boot id."""

import sys
import time
from pathlib import Path

import pytest

from toggl_async.scheduler.budgets import boot_clock
from toggl_async.scheduler.budgets.boot_clock import BootClock, Reading, ahead_after_boot
from toggl_async.scheduler.budgets.life import _File, _Silent, begin_life


@pytest.mark.linux
def test_a_lock_on_a_file_of_ones_own_tells_who_lives(tmp_path: Path) -> None:
    path = tmp_path / "budget.sqlite"
    one, two = _File(path, "one"), _File(path, "two")
    assert one.alive("two")
    assert not one.alive("nobody")
    two.end()
    two.end()
    assert not one.alive("two")
    assert [file.name for file in tmp_path.iterdir()] == [one._path.name]  # the dead one's is gone
    one.end()


@pytest.mark.linux
def test_without_any_lock_everybody_counts_as_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    life = begin_life(tmp_path / "budget.sqlite", "one")
    assert isinstance(life, _Silent)
    assert life.alive("anybody")
    life.end()


@pytest.mark.linux
def test_a_system_without_locks_of_open_files_locks_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("fcntl.F_OFD_SETLK")
    life = begin_life(tmp_path / "budget.sqlite", "one")
    assert isinstance(life, _File)
    life.end()


def test_a_system_that_does_not_tell_its_starts_apart_has_a_monotonic_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_clock, "_BOOT_ID", tmp_path / "not there")
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    clock = BootClock()
    before = time.monotonic_ns() // 1000
    reading = clock.read()
    assert reading.boot == ""
    assert before <= reading.uptime <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("wall", "now"),
    [
        (1_000 + 500, 10_500),  # the machine was off for a while
        (1_000 + 20, 10_100),  # the wall clock says less than it has been up
        (0, 10_100),  # it was set back
    ],
)
def test_the_time_of_a_file_goes_on_by_the_wall_clock_and_never_by_less_than_the_uptime(
    wall: int, now: int
) -> None:
    reading = Reading("new", uptime=100, wall=wall)
    assert reading.uptime + ahead_after_boot(reading, last=10_000, wall=1_000) == now
