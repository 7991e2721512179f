"""Files that are none, paths that lead nowhere, and forks: what a budget in a file makes of each."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from budgets.conftest import Machine
from support.budget_steps import asked, process_of, result_of, seen
from toggl_async.errors import BudgetError, InvalidInput
from toggl_async.scheduler.budgets import file
from toggl_async.scheduler.budgets.file import FileBudget
from toggl_async.scheduler.budgets.named import budget_from_env
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.waiters import Want

USER = Want(1, "user")
FORKED = Path(__file__).parents[1] / "support" / "budget_forked.py"

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


def nobody(_account: str) -> None:
    pass


async def left_behind(path: Path, machine: Machine, *changes: str) -> None:
    """Let a process use a file and end, and change it then."""
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    await asked(holder, process_of(holder), USER)
    await holder.aclose()
    raw = sqlite3.connect(path)
    for change in changes:
        raw.execute(change)
    raw.commit()
    raw.close()


async def test_an_empty_file_makes_room_for_a_new_one(
    tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "budget.sqlite"
    path.touch()
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    assert (await asked(holder, process_of(holder), USER)).sleep == pytest.approx(4 * SECOND, abs=5000)
    assert not holder.away
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the file is empty" in caplog.text
    await holder.aclose()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM clock",
        "UPDATE clock SET ahead = 'soon'",
        "UPDATE clock SET began = x'00'",
        "UPDATE accounts SET at = 'now'",
    ],
)
async def test_a_file_whose_times_are_none_is_set_aside(
    tmp_path: Path, machine: Machine, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "budget.sqlite"
    await left_behind(path, machine, change)
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    assert (await asked(holder, process_of(holder), USER)).sleep == pytest.approx(4 * SECOND, abs=5000)
    assert not holder.away
    assert "was set aside" in caplog.text
    await holder.aclose()


@pytest.mark.parametrize("value", ["'text'", "7", "1.5"])
async def test_limits_and_memories_that_are_not_bytes_begin_anew(
    tmp_path: Path, machine: Machine, value: str
) -> None:
    path = tmp_path / "budget.sqlite"
    await left_behind(path, machine, f"UPDATE accounts SET limits = {value}, memories = {value}")
    holder = FileBudget(path, _clock=machine.clock).open(nobody)
    assert (await result_of(holder.recall("account"))).login is None
    assert (await asked(holder, process_of(holder), USER)).sleep == pytest.approx(4 * SECOND, abs=5000)
    await holder.aclose()


@pytest.mark.parametrize("path", [7, b"budget.sqlite", "nul\0.sqlite"])
async def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput, match="the path of a budget"):
        FileBudget(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows a home by other means")
def test_a_user_without_a_home_is_told_what_to_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container's user has no line in /etc/passwd, and often no HOME."""

    def unknown(_user: int) -> None:
        raise KeyError

    for variable in ("HOME", "XDG_STATE_HOME", "TOGGL_BUDGET"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(BudgetError, match="TOGGL_BUDGET=file:/a/path"):
        FileBudget()
    with pytest.raises(BudgetError, match="no home directory"):
        budget_from_env({"TOGGL_BUDGET": "file"})
    assert budget_from_env({}, unset="file") is None
    assert "no home directory" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_keeps_its_budget_when_its_parent_closes(tmp_path: Path) -> None:
    """SQLite's locks belong to a process; a child that inherits a connection takes its parent's for its."""
    path = tmp_path / "budget.sqlite"
    done = subprocess.run(
        [sys.executable, str(FORKED), str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    first, last = map(int, done.stdout.split())
    # Of the parent, the child twice, the parent again, the third process, and the child: none is lost.
    assert last - first == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
async def test_a_fork_waits_for_a_transaction_of_another_thread_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "_FORK_WAITS", 0.001)
    holder = FileBudget(tmp_path / "budget.sqlite").open(nobody)
    me = process_of(holder)
    await seen(holder, me)

    def fork_meanwhile(limits: Limits, _now: int) -> tuple[Limits, None, tuple[()]]:
        def fork() -> None:
            file._before_fork()
            file._after_fork_in_parent()

        forker = threading.Thread(target=fork)
        forker.start()
        forker.join()
        return limits, None, ()

    await result_of(holder.transact("account", fork_meanwhile))
    file._before_fork()
    file._after_fork_in_parent()
    await asyncio.sleep(0)
    await seen(holder, me)
    assert not holder.away
    await holder.aclose()
