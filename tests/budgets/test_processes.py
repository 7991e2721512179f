"""Real processes on one file: first starts at once, forks, kills; however long each step takes."""

# ruff: noqa: ASYNC220, ASYNC221 - what these tests start, they wait for

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.budget_program import file_that_is_open
from support.budget_steps import asked, looked, process_of, result_of, seen
from toggl_async.scheduler.budgets.file import FileBudget
from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.waiters import Wake, Want

WORKER = Path(__file__).parents[1] / "support" / "budget_worker.py"
COUNTER = """
import asyncio, sys
from toggl_async.scheduler.budgets.file import FileBudget

async def main():
    holder = FileBudget(sys.argv[1]).open(lambda account: None)

    def step(limits, now):
        limits.calm += 1
        return limits, None, ()

    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        result = holder.transact("account", step)
        if result is not None:
            await result
    assert not holder.away
    await holder.aclose()

asyncio.run(main())
"""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nobody(_account: str) -> None:
    pass


async def test_processes_that_begin_at_once_make_one_file_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "budget.sqlite"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        process.communicate("go\n")
    assert [process.returncode for process in processes] == [0] * 3
    holder = FileBudget(path).open(nobody)
    assert await looked(holder, lambda limits, now: limits.calm) == 300
    await holder.aclose()


async def test_a_sleeper_is_woken_by_a_datagram(tmp_path: Path) -> None:
    woken = asyncio.Event()
    accounts: list[str] = []

    def on_wake(account: str) -> None:
        accounts.append(account)
        woken.set()

    budget = FileBudget(tmp_path / "budget.sqlite")
    sleeper, other = budget.open(on_wake), budget.open(nobody)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
        anybody.sendto(b"\xc1", ("127.0.0.1", int(sleeper.name.rpartition("@")[2])))

    def step(limits: Limits, now: int) -> tuple[Limits, None, list[Wake]]:
        return limits, None, [Wake(sleeper.name, 0), Wake("no port", 0), Wake("far@99999", 0)]

    await result_of(other.transact("account", step))
    await asyncio.wait_for(woken.wait(), 30)
    assert accounts == ["account"]
    woken.clear()

    def later(limits: Limits, now: int) -> tuple[Limits, None, list[Wake]]:
        return limits, None, [Wake(sleeper.name, 10_000)]

    await result_of(other.transact("account", later))
    await asyncio.wait_for(woken.wait(), 30)
    await sleeper.aclose()
    await other.aclose()


async def test_a_killed_process_is_known_to_be_dead_and_its_place_is_free(tmp_path: Path) -> None:
    path = tmp_path / "budget.sqlite"
    given = {"budget": file_that_is_open(path), "calls": 1000, "interval": 0.5, "at once": True}
    process = subprocess.Popen(
        [sys.executable, str(WORKER), json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdout.readline()  # it has sent
    holder = FileBudget(path).open(nobody)
    me = process_of(holder, 0.5)
    names = await looked(holder, lambda limits, now: list(limits.waiters))
    assert len(names) == 1
    assert holder.alive(names[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert not holder.alive(names[0])
    answer = await asked(holder, me, Want(1, "user"))
    assert answer.view is None or answer.view.others == []
    await holder.aclose()


async def test_a_forked_child_opens_its_own_and_keeps_nothing_of_its_parent_alive(tmp_path: Path) -> None:
    budget = FileBudget(tmp_path / "budget.sqlite")
    holder, other = budget.open(nobody), budget.open(nobody)
    await seen(holder, process_of(holder))
    await seen(other, process_of(other))
    script = """
import asyncio, os, sys
from pathlib import Path
from support.budget_steps import looked, process_of, seen
from toggl_async.errors import WrongEventLoop
from toggl_async.scheduler.budgets.file import FileBudget

async def main():
    budget = FileBudget(sys.argv[1])
    holder, watcher = budget.open(lambda account: None), budget.open(lambda account: None)
    await seen(holder, process_of(holder))
    await seen(watcher, process_of(watcher))
    ours, theirs = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.set_event_loop(None)
        asyncio.events._set_running_loop(None)

        async def in_child():
            try:
                await seen(holder, process_of(holder))
            except WrongEventLoop:
                own = budget.open(lambda account: None)
                await seen(own, process_of(own))
                os.write(theirs[1], b"1")
                os.read(ours[0], 1)

        asyncio.run(in_child())
        os._exit(0)
    assert os.read(theirs[0], 1) == b"1"
    await holder.aclose()
    assert not watcher.alive(holder.name)  # though the child still runs
    os.write(ours[1], b"1")
    assert os.waitpid(child, 0)[1] == 0
    await seen(watcher, process_of(watcher))
    await watcher.aclose()

asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other.sqlite")], env=environ, check=False, timeout=120
    )
    assert done.returncode == 0
    await holder.aclose()
    await other.aclose()
