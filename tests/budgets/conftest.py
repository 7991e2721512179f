import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis_server import REASON, RedisServer, is_missing, redis_server
from toggl_async.scheduler.budgets import shared
from toggl_async.scheduler.budgets.boot_clock import Reading
from toggl_async.scheduler.budgets.file import ClockSource
from toggl_async.scheduler.core.limits import SECOND


class Machine:
    """A machine's clocks, by the running loop's: nothing moves them but the test and its loop."""

    def __init__(self) -> None:
        self.boot = "first"
        self.started = 0
        self.wall = 1_800_000_000 * SECOND

    def uptime(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND) - self.started

    def read(self) -> Reading:
        now = int(asyncio.get_running_loop().time() * SECOND)
        return Reading(self.boot, now - self.started, self.wall + now)

    @property
    def clock(self) -> ClockSource:
        return ClockSource(self.read, self.uptime)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if is_missing():
        pytest.skip(REASON)
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    if is_missing():
        pytest.skip(REASON)
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def a_busy_machine_is_no_absent_store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bound transactions in real time so far off that only what is really away is taken for it."""
    if not request.node.get_closest_marker("jump"):
        monkeypatch.setattr(shared, "BOUND", 60.0)
