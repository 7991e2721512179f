"""A process that sends by a shared budget, without the client: it asks, waits and writes down when it would
have sent. ``python tests/support/budget_worker.py '{"budget": "file:…", …}'`` prints one line of JSON for
what happened; it begins with the line that comes on its standard input.
"""

import asyncio
import contextlib
import json
import logging
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.budget_named import budget_named
from support.budget_steps import result_of
from toggl_async.options import ClientOptions, Pace
from toggl_async.scheduler.budgets import Holder
from toggl_async.scheduler.core.ask import Departure, Grant, ask, leaving
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import AnswerTold, Note
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.waiters import Wake, Want

T = TypeVar("T")

LATE = 0.005


class Worker:
    """A process's calls at one account.

    Args:
        holder: its hold on the budget.
        account: the account's key.
        pace: the interval and its margin.
        told: is given what happens.
    """

    def __init__(
        self, holder: Holder, account: str, pace: Pace, told: Callable[[dict[str, Any]], None]
    ) -> None:
        self.holder = holder
        self.account = account
        self.me = Process.of(holder.name, ClientOptions(pace=pace))
        self.me.alive = holder.alive
        self.waiting: dict[int, int] = {}
        """Calls that wait, by level."""
        self.transactions = 0
        self.poked = asyncio.Event()
        self._told = told
        self._now = asyncio.get_running_loop().time
        self._notes: list[Note] = []
        self._asked = 0.0
        self._mean, self._deviation = 0.0, 0.0
        self._chance = random.Random(holder.name)

    async def transact(self, step: Callable[[Limits, int], tuple[Limits, T, Sequence[Wake]]]) -> T:
        """Run one transaction, and learn how long they take."""
        began = self._now()
        result = await result_of(self.holder.transact(self.account, step))
        if not getattr(self.holder, "away", False):
            self.transactions += 1
            # A store that hung for a moment must not make everybody come early for a minute.
            took = min(self._now() - began, self.me.interval / SECOND / 4)
            self._mean += (took - self._mean) / 8
            self._deviation += (abs(took - self._mean) - self._deviation) / 8
            self.me.lag = int((self._mean + 2 * self._deviation) * SECOND)
        return result

    async def ask(self) -> Grant:
        """Ask for a turn."""
        notes, self._notes = self._notes, []
        wants = tuple(Want(level, "user", count) for level, count in self.waiting.items() if count)
        self.me.chance = self._chance.random()

        def step(limits: Limits, now: int) -> tuple[Limits, Grant, Sequence[Wake]]:
            self._asked = self.holder.read_at / SECOND
            answer, wakes = ask(limits, now, self.me, wants, notes)
            return limits, answer, wakes

        return await self.transact(step)

    async def leave(self, answer: Grant, lag: int) -> Departure:
        """Look a last time."""
        me = msgspec.structs.replace(self.me, lag=max(self.me.lag, lag))

        def step(limits: Limits, now: int) -> tuple[Limits, Departure, Sequence[Wake]]:
            self._asked = self.holder.read_at / SECOND
            departure, wakes = leaving(limits, now, me, answer.number, answer.level, answer.window)
            return limits, departure, wakes

        return await self.transact(step)

    async def work(self) -> None:
        """Send all that waits."""
        while any(self.waiting.values()):
            self.poked.clear()
            answer = await self.ask()
            comes = self._asked + (answer.sleep or 0) / SECOND
            if answer.number and not await self.send(answer):
                continue
            while (left := comes - self._now()) > 0 and not self.poked.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self.poked.wait()

    async def send(self, answer: Grant) -> bool:
        """Send a turn at its slot; say whether it left."""
        slot = self._asked + answer.wait / SECOND
        number, lag = answer.number, 0
        while True:
            if (wait := slot - self._now()) > 0:
                await asyncio.sleep(wait)
            if self._now() - slot < LATE and not self.poked.is_set():
                break
            self.poked.clear()
            departure = await self.leave(answer, lag)
            if not departure.number:
                return False
            lag = 2 * int((self._now() - self._asked) * SECOND)
            number = departure.number
            slot = self._asked + departure.wait / SECOND
        self._told(
            {
                "account": self.account,
                "sent": self._now(),
                "level": answer.level,
                "away": getattr(self.holder, "away", False),
            }
        )
        self.waiting[answer.level] -= 1
        self._notes.append(AnswerTold(number, "user"))
        return True


async def run(given: dict[str, Any]) -> None:
    """Do what the command line says."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    lines: list[dict[str, Any]] = []

    def told(line: dict[str, Any]) -> None:
        if given.get("at once"):
            print(json.dumps(line), flush=True)  # noqa: T201
        else:
            lines.append(line)

    budget = budget_named(given["budget"])
    workers: dict[str, Worker] = {}
    holder = budget.open(lambda account: workers[account].poked.set() if account in workers else None)
    pace = Pace(interval=given["interval"], margin=given.get("margin", 0.0))
    for account in given.get("accounts", ["account"]):
        workers[account] = Worker(holder, account, pace, told)
    print("ready", flush=True)  # noqa: T201
    if not await asyncio.to_thread(sys.stdin.readline):
        return  # who started it is gone
    cpu = time.process_time()

    async def one(worker: Worker, levels: Sequence[int], count: int, pause: float) -> None:
        for level in levels:
            worker.waiting[level] = worker.waiting.get(level, 0) + count
        await worker.work()
        for _ in range(given.get("again", 0)):
            await asyncio.sleep(pause * random.random() * 2)
            asked = worker._now()
            worker.waiting[levels[0]] += given.get("burst", 1)
            await worker.work()
            told({"urgent": asked})

    async with asyncio.TaskGroup() as group:
        for worker in workers.values():
            levels = given.get("levels", [2])
            group.create_task(one(worker, levels, given["calls"], given.get("pause", 0.0)))
    told(
        {
            "transactions": sum(worker.transactions for worker in workers.values()),
            "cpu": time.process_time() - cpu,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
    )
    for line in lines:
        print(json.dumps(line))  # noqa: T201
    await holder.aclose()


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
