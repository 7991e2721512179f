"""A budget in a file, from outside: what processes find in it, and what its accidents come to."""

import asyncio
import contextlib
import errno
import itertools
import logging
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from budgets.conftest import Machine
from support.budget_steps import asked, looked, process_of, result_of, seen
from toggl_async.errors import BudgetError, WrongEventLoop
from toggl_async.scheduler.budgets import database, file
from toggl_async.scheduler.budgets.boot_clock import ahead_after_boot
from toggl_async.scheduler.budgets.file import FileBudget
from toggl_async.scheduler.budgets.life import begin_life
from toggl_async.scheduler.budgets.shared import SharedHolder
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Belongs, Lesson, RefusalMet
from toggl_async.scheduler.core.notes import AnswerTold, Learned, QuotaTold, Throttled
from toggl_async.scheduler.core.outcome import OutcomeKind
from toggl_async.scheduler.core.waiters import Want

USER = Want(1, "user")
OPEN = 4
"""Seconds after which a new file is open."""

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "budget.sqlite"


def nobody(_account: str) -> None:
    pass


async def test_a_second_run_knows_what_the_first_one_learned(path: Path, machine: Machine) -> None:
    first = FileBudget(path, _clock=machine.clock).open(nobody)
    me = process_of(first)
    await asked(first, me, USER)
    await asyncio.sleep(OPEN)
    turn = await asked(first, me, USER)
    assert turn.number
    await asked(first, me, notes=[AnswerTold(turn.number, "user", 17, 600 * SECOND)])
    await first.aclose()

    second = FileBudget(path, _clock=machine.clock).open(nobody)
    found = await seen(second, process_of(second))
    assert found.windows["user"].left == 17
    assert found.opens_in == 1 * SECOND
    await second.aclose()


async def test_two_processes_keep_one_pace_and_one_gate(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    one, two = budget.open(nobody), budget.open(nobody)
    mine, other = process_of(one), process_of(two)
    await asked(one, mine, USER)
    await asyncio.sleep(OPEN)
    turn = await asked(one, mine, USER)
    assert turn.number
    assert not turn.wait
    later = await asked(two, other, USER)
    assert later.number == 0
    assert later.sleep == pytest.approx(1 * SECOND, abs=1000)
    await asked(one, mine, notes=[Throttled(turn.number, "user", 30 * SECOND)])
    assert (await seen(two, other)).rest >= 30 * SECOND
    await one.aclose()
    await two.aclose()


@pytest.mark.linux
async def test_the_file_is_the_users_alone(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in path.parent.iterdir()} == {
        f"{path.name}{end}": "0o600" for end in ("", "-wal", "-shm", ".life")
    }
    await holder.aclose()


async def test_a_new_file_begins_closed_since_others_may_still_be_alone(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    me = process_of(holder)
    assert (await asked(holder, me, USER)).sleep == 4 * SECOND  # 3 s closed, and an interval
    assert (await asked(holder, me, USER, account="another")).sleep == pytest.approx(4 * SECOND, abs=1000)
    await asyncio.sleep(OPEN)
    # A file that kept its memory opens at once for an account that is new to it.
    assert (await asked(holder, me, USER, account="new")).number
    await holder.aclose()


async def test_what_was_learned_is_kept_beside_by_the_loops_own_clock(path: Path, machine: Machine) -> None:
    machine.started = -500 * SECOND  # the machine's clock isn't the loop's
    budget = FileBudget(path, _clock=machine.clock)
    one, two = budget.open(nobody), budget.open(nobody)
    me = process_of(one)
    assert not (await result_of(one.recall("account"))).refusals
    lessons: list[Lesson] = [
        RefusalMet(OutcomeKind.GONE, b"key", 410, "gone"),
        RefusalMet(OutcomeKind.LOGIN, b"", 401, "no"),
        Belongs(1, 2),
    ]

    def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
        limits.cold += 1
        return limits, None, ()

    await result_of(one.transact("account", step, lessons))
    now = asyncio.get_running_loop().time() * SECOND
    found = await result_of(two.recall("account"))
    assert found.organizations == {1: 2}
    assert found.refusals[b"key"].until == pytest.approx(now + 24 * 3600 * SECOND, abs=SECOND)
    assert found.login is not None
    assert found.login.until == pytest.approx(now + 900 * SECOND, abs=SECOND)
    assert (await seen(two, me)).cold == 1
    await one.aclose()
    await two.aclose()


@pytest.mark.linux
async def test_a_dead_process_is_known_by_its_lock(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    one, two = budget.open(nobody), budget.open(nobody)
    assert one.alive(two.name)  # nothing is known yet
    await seen(one, process_of(one))
    await seen(two, process_of(two))
    assert one.alive(two.name)
    assert two.alive(one.name)
    await two.aclose()
    assert not one.alive(two.name)
    await one.aclose()


async def test_the_time_of_a_file_goes_on_over_a_restart_of_the_machine(path: Path, machine: Machine) -> None:
    first = FileBudget(path, _clock=machine.clock).open(nobody)
    await asked(first, process_of(first), notes=[QuotaTold("user", 0, 3000 * SECOND, 30)])
    await first.aclose()
    await asyncio.sleep(1000)
    machine.boot, machine.started = "second", int(asyncio.get_running_loop().time() * SECOND) - 10 * SECOND
    second = FileBudget(path, _clock=machine.clock).open(nobody)
    window = (await seen(second, process_of(second))).windows["user"]
    assert window.resets_in is not None
    assert 2000 * SECOND <= window.resets_in <= 2012 * SECOND
    await second.aclose()


async def test_a_wall_clock_that_was_set_back_over_a_restart_costs_no_more_than_the_uptime(
    path: Path, machine: Machine
) -> None:
    first = FileBudget(path, _clock=machine.clock).open(nobody)
    before = await looked(first, lambda limits, now: now)
    await first.aclose()
    machine.boot, machine.started = "second", machine.uptime() - 60 * SECOND
    machine.wall -= 7200 * SECOND
    second = FileBudget(path, _clock=machine.clock).open(nobody)
    assert await looked(second, lambda limits, now: now) == pytest.approx(before + 60 * SECOND, abs=SECOND)
    await second.aclose()


async def test_a_wall_clock_that_jumps_while_the_machine_runs_moves_nothing(
    path: Path, machine: Machine
) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    me = process_of(holder)
    await asked(holder, me, USER)
    for jump in (3600, -7200):
        machine.wall += jump * SECOND
        assert (await seen(holder, me)).opens_in == pytest.approx(4 * SECOND, abs=1000)
    await holder.aclose()


async def test_a_damaged_file_is_set_aside_and_a_new_one_begins_closed(
    path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    first = budget.open(nobody)
    await seen(first, process_of(first))
    await first.aclose()
    path.write_bytes(b"no database" * 1000)
    await asyncio.sleep(100)
    second, third = budget.open(nobody), budget.open(nobody)
    with caplog.at_level(logging.WARNING):
        assert (await asked(second, process_of(second), USER)).sleep == pytest.approx(4 * SECOND, abs=5000)
    assert (await seen(third, process_of(third))).others  # one new file for all
    assert [record.levelname for record in caplog.records if "set aside" in record.message] == ["WARNING"]
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"no database")
    await second.aclose()
    await third.aclose()


async def test_damaged_limits_begin_anew_and_closed(
    path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    me = process_of(holder)
    await seen(holder, me)
    await asyncio.sleep(OPEN)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE accounts SET limits = x'00', memories = x'00'")
    raw.close()
    assert (await asked(holder, me, USER)).sleep == pytest.approx(4 * SECOND, abs=1000)
    assert (await result_of(holder.recall("account"))).login is None
    assert "damaged" in caplog.text
    await holder.aclose()


async def test_a_newer_value_is_left_alone(
    path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    troubles: list[str | None] = []
    holder = FileBudget(path, _clock=machine.clock).open(nobody, on_trouble=troubles.append)
    me = process_of(holder)
    await seen(holder, me)
    newer = b"\x92\x09\x01"
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE accounts SET limits = ?", (newer,))
    for _ in range(3):
        await asyncio.sleep(10)
        turn = await asked(holder, me, USER, notes=[Learned()])
        assert turn.number or (await asked(holder, me, USER)).number or turn.sleep
    assert raw.execute("SELECT limits FROM accounts").fetchone() == (newer,)
    raw.close()
    assert not holder.away
    (told,) = troubles
    assert told is not None
    assert "format 9" in told
    assert (await result_of(holder.recall("account"))).login is None
    assert caplog.text.count("format 9") == 1
    await holder.aclose()


async def test_a_newer_file_is_left_alone_until_it_can_be_read(path: Path, machine: Machine) -> None:
    troubles: list[str | None] = []
    budget = FileBudget(path, _clock=machine.clock)
    first = budget.open(nobody)
    await seen(first, process_of(first))
    await first.aclose()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 7")
    holder = budget.open(nobody, on_trouble=troubles.append)
    await seen(holder, process_of(holder))
    assert holder.away
    assert troubles == [
        "the file has format 7, and this version of toggl_async reads up to 1: update toggl_async here, too"
    ]
    raw.execute("PRAGMA user_version = 1")
    raw.close()
    await asyncio.sleep(2.1)
    assert troubles[1:] == [None]
    await holder.aclose()


async def test_another_programs_file_is_refused(path: Path, machine: Machine) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    with pytest.raises(BudgetError, match="is not a budget of toggl_async"):
        await seen(holder, process_of(holder))
    with pytest.raises(BudgetError, match="is not a budget of toggl_async"):
        await result_of(holder.recall("account"))
    await holder.aclose()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="is a directory"):
        FileBudget(tmp_path).open(nobody)


@pytest.mark.parametrize("system", ["nfs4", "9p", "fuse.sshfs"])
async def test_a_network_file_system_is_refused(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"26 25 0:44 / {tmp_path}/a\\040share rw shared:1 - {system} server:/home rw\n"
    )
    monkeypatch.setattr(database, "_MOUNTS", mounts)
    (tmp_path / "a share").mkdir()
    FileBudget(tmp_path / "budget.sqlite").open(nobody)._store.close()  # type: ignore[attr-defined]
    with pytest.raises(BudgetError, match=f"is on a network file system \\({system}\\)"):
        FileBudget(tmp_path / "a share" / "budget.sqlite").open(nobody)
    monkeypatch.setattr(database, "_MOUNTS", tmp_path / "not there")
    FileBudget(tmp_path / "a share" / "budget.sqlite").open(nobody)._store.close()  # type: ignore[attr-defined]


async def test_a_home_that_cannot_be_written_to_leaves_a_process_alone(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, **_options: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "mkdir", refuse)
    troubles: list[str | None] = []
    path = tmp_path / "home" / "state" / "budget.sqlite"
    holder = FileBudget(path, _clock=machine.clock).open(nobody, on_trouble=troubles.append)
    me = process_of(holder)
    turns = 0
    for _ in range(20):
        turns += bool((await asked(holder, me, USER)).number)
        await asyncio.sleep(0.5)
    assert 9 <= turns <= 11  # its own pace: one a second
    (told,) = troubles
    assert told is not None
    assert told.startswith("Permission denied")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    monkeypatch.undo()
    await asyncio.sleep(2.1)
    assert troubles[1:] == [None]
    assert not holder.away
    await holder.aclose()


async def test_a_full_disk_leaves_a_process_alone(path: Path, machine: Machine) -> None:
    troubles: list[str | None] = []
    holder = FileBudget(path, _clock=machine.clock).open(nobody, on_trouble=troubles.append)
    me = process_of(holder)
    await seen(holder, me)
    connection = holder._store._database.connection  # type: ignore[attr-defined]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(200):
        await asked(holder, me, USER, account=f"account {number}")
    assert troubles == ["database or disk is full"]
    connection.execute("PRAGMA max_page_count = 100000")
    await asyncio.sleep(2.1)
    assert troubles[1:] == [None]
    await holder.aclose()


@pytest.mark.linux
async def test_a_file_that_was_deleted_is_made_anew_for_all(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    one, two = budget.open(nobody), budget.open(nobody)
    mine, other = process_of(one), process_of(two)
    await asked(one, mine, notes=[QuotaTold("user", 3, 3000 * SECOND, 30)])
    await seen(two, other)
    await asyncio.sleep(100)
    for part in path.parent.glob("budget.sqlite*"):
        if part.suffix != ".life":
            part.unlink()
    assert (await asked(two, other, USER)).sleep == pytest.approx(4 * SECOND, abs=1000)
    # What somebody still knows of the quota is told to the new file.
    assert (await seen(one, mine)).windows["user"].left == 3
    assert [(other.level, other.count) for other in (await seen(one, mine)).others] == [(1, 1)]
    await one.aclose()
    await two.aclose()


async def test_a_holder_belongs_to_its_loop(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)

    def elsewhere() -> None:
        with pytest.raises(WrongEventLoop, match="open one in each"):
            asyncio.run(seen(holder, process_of(holder)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    await holder.aclose()


async def test_nothing_secret_and_no_more_than_the_path_is_shown(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    assert repr(budget) == f"FileBudget({str(path)!r})"
    holder = budget.open(nobody)
    assert repr(holder) == f"<holder {holder.name} of the shared budget {path}>"
    await holder.aclose()


async def test_by_default_it_lies_where_the_system_keeps_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert FileBudget().path.name == "budget.sqlite"
    assert FileBudget("~/b.sqlite").path == Path.home() / "b.sqlite"


async def test_a_path_that_has_become_a_folder_is_a_store_that_is_away(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    path.mkdir(parents=True)
    await asked(holder, process_of(holder), USER)
    assert holder.away
    await holder.aclose()


async def test_a_file_without_its_tables_is_set_aside(path: Path, machine: Machine) -> None:
    path.parent.mkdir()
    raw = sqlite3.connect(path)
    raw.executescript(f"PRAGMA application_id = {database.APPLICATION}; PRAGMA user_version = 1")
    raw.close()
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await asked(holder, process_of(holder), USER)
    assert not holder.away
    assert list(path.parent.glob("*.damaged-*"))
    await holder.aclose()


def corrupt() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


async def damaged_once(holder: SharedHolder, before: Callable[[], None] = lambda: None) -> None:
    """Run a transaction that meets damage the first time."""
    faults = [corrupt()]

    def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
        if faults:
            before()
            raise faults.pop()
        return limits, None, ()

    await result_of(holder.transact("account", step))


@pytest.mark.linux
async def test_damage_that_shows_in_the_midst_sets_the_file_aside(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    holder = budget.open(nobody)
    await seen(holder, process_of(holder))
    await damaged_once(holder)
    aside = set(path.parent.glob("*.damaged-*"))
    assert aside

    def another_has_seen_to_it() -> None:
        for former in path.parent.glob("budget.sqlite*"):
            former.unlink()

    await damaged_once(holder, another_has_seen_to_it)
    assert not list(path.parent.glob("*.damaged-*"))
    await holder.aclose()


@pytest.mark.linux
async def test_whoever_is_about_to_set_it_aside_is_not_disturbed(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))
    with database._nobody_else(path):
        await damaged_once(holder)
    assert not list(path.parent.glob("*.damaged-*"))
    await holder.aclose()


async def test_damage_that_cannot_be_set_aside_is_a_store_that_is_away(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    faults = itertools.repeat(corrupt())

    def step(limits: Limits, now: int) -> tuple[Limits, None, tuple[()]]:
        if not holder.away:
            raise next(faults)
        return limits, None, ()

    await result_of(holder.transact("account", step))
    assert holder.away
    await holder.aclose()


async def test_of_two_after_a_start_of_the_machine_one_moves_the_clock(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    holder = budget.open(nobody)
    await seen(holder, process_of(holder))
    await holder.aclose()
    machine.boot = "second"

    def beaten(*given: Any) -> int:
        monkeypatch.setattr(database, "ahead_after_boot", ahead_after_boot)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("UPDATE clock SET boot = 'second'")
        return ahead_after_boot(*given)

    monkeypatch.setattr(database, "ahead_after_boot", beaten)
    later = budget.open(nobody)
    await seen(later, process_of(later))
    assert not later.away
    await later.aclose()


async def test_a_file_that_another_program_keeps_to_itself_is_waited_for(
    path: Path, machine: Machine
) -> None:
    """As some tools for backups do, which then let not even a reader in."""
    budget = FileBudget(path, _clock=machine.clock)
    first = budget.open(nobody)
    await seen(first, process_of(first))
    await first.aclose()
    second = budget.open(nobody)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.ensure_future(seen(second, process_of(second)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    await waiting
    assert not second.away
    await second.aclose()


async def test_what_is_learned_is_waited_for_where_the_file_is_about_to_be_opened(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))
    store: Any = holder._store
    faults: list[Exception] = [database.Locked()]
    opened = type(store)._open
    monkeypatch.setattr(type(store), "_open", lambda one: throw(faults.pop()) if faults else opened(one))
    assert await result_of(holder.recall("account")) is not None
    assert not holder.away
    await holder.aclose()


def throw(error: Exception) -> NoReturn:
    raise error


async def test_memories_whose_table_is_gone_are_set_aside_with_the_rest(path: Path, machine: Machine) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE accounts")
    await result_of(holder.recall("account"))
    assert not holder.away
    assert list(path.parent.glob("*.damaged-*"))
    await holder.aclose()


async def test_without_a_sign_of_life_all_count_as_alive(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await seen(holder, process_of(holder))
    store: Any = holder._store
    monkeypatch.setattr(type(store._life), "alive", lambda *_: throw(OSError(5, "Input/output error")))
    assert holder.alive("anybody")
    await holder.aclose()


@pytest.mark.linux
async def test_a_lock_that_cannot_be_had_is_a_store_that_is_away(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.fcntl", lambda *_: throw(OSError(37, "No locks available", "life")))
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await asked(holder, process_of(holder), USER)
    assert holder.away
    await holder.aclose()


@pytest.mark.linux
async def test_a_child_lets_go_of_what_its_parent_holds(path: Path, machine: Machine) -> None:
    budget = FileBudget(path, _clock=machine.clock)
    used, new = budget.open(nobody), budget.open(nobody)
    await seen(used, process_of(used))
    loop = asyncio.get_running_loop()
    for holder in (used, new):
        store: Any = holder._store
        loop.remove_reader(store._loopback._socket)
    file._after_fork()
    assert not file._stores
    other = budget.open(nobody)
    await seen(other, process_of(other))
    assert not other.alive(used.name)
    await other.aclose()


@pytest.mark.linux
def test_who_never_closed_is_no_longer_alive_when_its_loop_is_over(path: Path) -> None:
    budget = FileBudget(path)

    async def use() -> SharedHolder:
        holder = budget.open(nobody)
        await seen(holder, process_of(holder))
        return holder

    first = asyncio.run(use())

    async def look() -> bool:
        holder = await use()
        known = holder.alive(first.name)
        await holder.aclose()
        return known

    assert not asyncio.run(look())


async def test_where_there_are_no_locks_a_damaged_file_is_set_aside_all_the_same(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toggl_async.scheduler.budgets.database.sys.platform", "win32")
    path.parent.mkdir()
    with database._nobody_else(path):
        assert not list(path.parent.iterdir())


@pytest.mark.linux
async def test_a_sign_of_life_ends_once(tmp_path: Path) -> None:
    mine, other = (begin_life(tmp_path / "budget.sqlite", name) for name in ("me", "other"))
    assert other.alive("me")
    for _ in range(2):
        mine.end()
        assert not other.alive("me")
    other.end()
