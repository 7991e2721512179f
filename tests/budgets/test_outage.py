"""What many processes do together while their store is away, and when it comes back; in virtual time.

Each is a holder of its own on one file, with a driver's loop; whoever looks at all of them sees when
requests leave. The file is taken away as it happens: it is locked by a process that was stopped, it is
deleted, or the folder can't be written to.
"""

import asyncio
import contextlib
import itertools
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.conftest import Machine
from support.budget_worker import Worker
from support.clock import JumpLoop
from toggl_async.options import Pace
from toggl_async.scheduler.budgets.file import FileBudget

INTERVAL, MARGIN = 0.1, 0.05

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


class Fleet:
    """Processes on one file, and when each of them sent."""

    def __init__(self, path: Path, machine: Machine, count: int, interval: float = INTERVAL) -> None:
        self.path = path
        self.sent: list[tuple[float, bool]] = []
        self.troubles: list[str | None] = []
        self.pace = Pace(interval=interval, margin=MARGIN)
        self.budget = FileBudget(path, _clock=machine.clock)
        self.workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        for _ in range(count):
            self.start()

    def start(self, calls: int = 10_000) -> Worker:
        """Start a process with calls that wait."""
        holder = self.budget.open(lambda _: worker.poked.set(), on_trouble=self.troubles.append)
        worker = Worker(holder, "account", self.pace, self._told)
        worker.waiting[2] = calls
        self.workers.append(worker)
        self._tasks.append(asyncio.get_running_loop().create_task(worker.work()))
        return worker

    def share(self, worker: Worker) -> None:
        """Let a process have calls of another account as well."""
        other = Worker(worker.holder, "another account", self.pace, lambda *_: None)
        other.waiting[2] = 10_000
        self._tasks.append(asyncio.get_running_loop().create_task(other.work()))

    def kill(self, number: int) -> None:
        """Kill a process: nothing is said, and its lock ends."""
        self._tasks.pop(number).cancel()
        self.workers.pop(number).holder._store.close()  # type: ignore[attr-defined]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for worker in self.workers:
            await worker.holder.aclose()

    def between(self, start: float, end: float) -> list[float]:
        return [at for at, _ in self.sent if start <= at < end]

    def refused(self) -> int:
        """Return how many a strict bucket of one would have refused."""
        level, last, refused = 0.0, self.sent[0][0], 0
        for at, _ in self.sent:
            level, last = max(0.0, level - (at - last) / self.pace.interval), at
            if level > 1e-6:
                refused += 1
            else:
                level += 1
        return refused

    def _told(self, line: dict[str, Any]) -> None:
        if "sent" in line:
            self.sent.append((line["sent"], line["away"]))


def now() -> float:
    return asyncio.get_running_loop().time()


def pace_of(moments: list[float]) -> float:
    return (len(moments) - 1) / (moments[-1] - moments[0])


@contextlib.contextmanager
def locked(path: Path) -> Any:
    """Hold the file as a process does that was stopped in a transaction."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    yield
    raw.execute("ROLLBACK")
    raw.close()


async def test_whose_store_hangs_go_on_in_turn_and_come_back_without_a_429(
    tmp_path: Path, machine: Machine
) -> None:
    fleet = Fleet(tmp_path / "budget.sqlite", machine, 8)
    await asyncio.sleep(10)
    lost = now()
    with locked(fleet.path):
        await asyncio.sleep(4)
    back = now()
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    assert pace_of(fleet.between(lost + 2, back)) > 8
    assert pace_of(fleet.between(back + 5, back + 10)) > 9.4
    gaps = [later - earlier for earlier, later in itertools.pairwise(fleet.between(lost - 1, back + 10))]
    # A second until it is known that the store is away, and a round until each comes to its own place.
    assert max(gaps) < 1 + 10 * INTERVAL * (1 + MARGIN)


async def test_whose_store_cannot_be_written_to_go_on_in_turn(tmp_path: Path, machine: Machine) -> None:
    folder = tmp_path / "state"
    fleet = Fleet(folder / "budget.sqlite", machine, 4)
    await asyncio.sleep(10)
    lost = now()
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file where the folder was")
    await asyncio.sleep(4)
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    back = now()
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(fleet.between(lost - 1, back + 10))]
    assert max(gaps) < 1 + 6 * INTERVAL * (1 + MARGIN)
    assert sum(trouble is None for trouble in fleet.troubles) == len(fleet.troubles) / 2 == 4
    assert pace_of(fleet.between(back + 5, back + 10)) > 9.4


async def test_a_store_that_comes_back_empty_stays_closed_while_others_are_alone(
    tmp_path: Path, machine: Machine
) -> None:
    folder = tmp_path / "state"
    fleet = Fleet(folder / "budget.sqlite", machine, 8)
    await asyncio.sleep(10)
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file where the folder was")
    await asyncio.sleep(4)
    folder.unlink()
    back = now()
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    gaps = [later - earlier for earlier, later in itertools.pairwise(fleet.between(back - 2, back + 10))]
    assert max(gaps) < 0.4
    assert pace_of(fleet.between(back + 6, back + 10)) > 9.4


def forget(path: Path) -> None:
    """Delete the file."""
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


@pytest.mark.parametrize(("count", "interval"), [(1, 0.1), (4, 0.1), (8, 0.1), (4, 1.0)])
async def test_whose_store_forgets_go_on_in_their_places(
    tmp_path: Path, machine: Machine, count: int, interval: float, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(tmp_path / "budget.sqlite", machine, count, interval)
    await asyncio.sleep(10 + 20 * interval)
    lost = now()
    forget(fleet.path)
    await asyncio.sleep(10 + 20 * interval)
    ended = now()
    await fleet.end()
    pace = interval * (1 + MARGIN)
    gaps = [later - earlier for earlier, later in itertools.pairwise(fleet.between(lost - 2, ended))]
    assert fleet.refused() == 0
    assert max(gaps) < 3 * pace
    assert pace_of(fleet.between(lost - 0.1, lost + 4)) > 0.8 / pace
    assert pace_of(fleet.between(lost + 5, ended)) > 0.98 / pace
    told = fleet.troubles.count("it has lost its data")
    assert fleet.troubles.count(None) == told == len(fleet.troubles) / 2
    assert told == sum("it has lost its data" in record.getMessage() for record in caplog.records)
    assert count - 1 <= told <= count  # one's place may come just when it opens


async def test_one_that_comes_while_a_store_that_forgot_is_closed_waits_for_its_opening(
    tmp_path: Path, machine: Machine
) -> None:
    fleet = Fleet(tmp_path / "budget.sqlite", machine, 4)
    await asyncio.sleep(10)
    forget(fleet.path)
    await asyncio.sleep(1)
    fleet.start()
    lost = now()
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    assert pace_of(fleet.between(lost, lost + 2)) < 9  # those of four alone


async def test_a_store_that_forgot_is_told_once_for_all_accounts_of_a_process(
    tmp_path: Path, machine: Machine
) -> None:
    fleet = Fleet(tmp_path / "budget.sqlite", machine, 4)
    for worker in fleet.workers:
        fleet.share(worker)
    await asyncio.sleep(10)
    forget(fleet.path)
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    assert fleet.troubles.count("it has lost its data") == fleet.troubles.count(None) <= 4


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_store_that_is_lost_before_it_has_opened_again(
    tmp_path: Path, machine: Machine, *, at_once: bool
) -> None:
    folder = tmp_path / "state"
    fleet = Fleet(folder / "budget.sqlite", machine, 4)
    await asyncio.sleep(10)
    forget(fleet.path)
    await asyncio.sleep(1)
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file where the folder was")
    if at_once:  # by another account: this one doesn't ask the store before it opens
        for worker in fleet.workers:
            fleet.share(worker)
    await asyncio.sleep(5)
    assert None not in fleet.troubles[-4:], "the store is not back yet"
    folder.unlink()
    (tmp_path / "elsewhere").rename(folder)
    back = now()
    await asyncio.sleep(10)
    assert fleet.troubles[-4:] == [None] * 4
    await fleet.end()
    assert fleet.refused() == 0
    assert pace_of(fleet.between(back + 5, back + 10)) > 9.4


async def test_who_closes_before_a_store_that_forgot_opens_leaves_nothing_behind(
    tmp_path: Path, machine: Machine
) -> None:
    fleet = Fleet(tmp_path / "budget.sqlite", machine, 4)
    await asyncio.sleep(10)
    forget(fleet.path)
    await asyncio.sleep(1)
    await fleet.end()
    assert fleet.troubles
    await asyncio.sleep(10)
    assert None not in fleet.troubles


@pytest.mark.slow
@given(st.data())
@settings(max_examples=5)
def test_no_accident_of_the_store_draws_a_429(data: st.DataObject) -> None:
    """However many processes wait, however long the store is away, however it is lost."""
    seed = data.draw(st.integers(0, 10_000))
    chance = random.Random(seed)
    count = chance.randint(1, 8)

    async def story(folder: Path) -> None:
        machine = Machine()
        fleet = Fleet(folder / "state" / "budget.sqlite", machine, count)
        await asyncio.sleep(8 + chance.random())
        for _ in range(2):
            how = chance.choice(["locked", "deleted", "unwritable"])
            away = chance.uniform(0.2, 6)
            if how == "locked":
                with locked(fleet.path):
                    await asyncio.sleep(away)
            elif how == "deleted":
                forget(fleet.path)
            else:
                fleet.path.parent.rename(folder / "elsewhere")
                fleet.path.parent.write_text("")
                await asyncio.sleep(away)
                fleet.path.parent.unlink()
                (folder / "elsewhere").rename(fleet.path.parent)
            await asyncio.sleep(8 + chance.random())
        before, ended = now() - 3, now()
        await fleet.end()
        assert fleet.refused() == 0
        assert pace_of(fleet.between(before, ended)) > 9.2

    in_virtual_time(story)


async def test_the_dead_leave_no_gap(tmp_path: Path, machine: Machine) -> None:
    chance = random.Random(5)
    fleet = Fleet(tmp_path / "budget.sqlite", machine, 8)
    await asyncio.sleep(8)
    began = now()
    for _ in range(40):
        await asyncio.sleep(chance.expovariate(2))
        fleet.kill(chance.randrange(len(fleet.workers)))
        fleet.start()
    ended = now()
    await fleet.end()
    moments = fleet.between(began, ended)
    assert fleet.refused() == 0
    assert pace_of(moments) > 0.97 * 1 / (INTERVAL * (1 + MARGIN))
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(gaps) < 2.5 * INTERVAL * (1 + MARGIN)


async def test_one_that_never_met_its_store_keeps_its_own_pace(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / "file").write_text("")
    fleet = Fleet(tmp_path / "file" / "budget.sqlite", machine, 1)
    await asyncio.sleep(10)
    await fleet.end()
    assert fleet.refused() == 0
    assert pace_of([at for at, _ in fleet.sent]) > 9.4


async def test_those_that_never_met_their_store_are_no_herd_and_find_one_pace_when_it_comes(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows how many they are: each draws its phase, and keeps its own pace until then."""
    (tmp_path / "state").write_text("a file where the folder will be")
    fleet = Fleet(tmp_path / "state" / "budget.sqlite", machine, 8)
    for number, worker in enumerate(fleet.workers):
        worker.holder._chance = random.Random(number).random  # type: ignore[attr-defined]
    await asyncio.sleep(10)
    firsts = sorted(at for at, _ in fleet.sent[:8])
    assert 0.5 * INTERVAL < firsts[-1] - firsts[0] <= INTERVAL * (1 + MARGIN)
    (tmp_path / "state").unlink()
    await asyncio.sleep(10)
    came = now()
    await asyncio.sleep(10)
    await fleet.end()
    moments = fleet.between(came, now())
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) >= INTERVAL
    assert pace_of(moments) > 9.4
    assert len(fleet.troubles) == 16
    assert fleet.troubles[8:] == [None] * 8
    assert [record.levelname for record in caplog.records].count("WARNING") == 8


def in_virtual_time(story: Callable[[Path], Any]) -> None:
    """Run a story in a loop of its own."""
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=JumpLoop) as runner:
        runner.run(story(Path(folder)))
