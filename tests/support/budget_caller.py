"""A whole client that calls by a shared budget, and writes down when its requests left.

It takes what `budget_worker` takes and prints what that prints, so that benchmarks run with either. Answers
come at once: nothing but the budget keeps its calls apart.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.budget_named import budget_named
from toggl_async import ApiToken, ClientOptions, Pace, Priority, Scheduler, TogglClient, TogglError
from toggl_async.scheduler import SchedulerEvent, events
from toggl_async.scheduler.budgets import Budget, Holder, OnTrouble

IN_FLIGHT = 8


class Counted:
    """A budget that counts the transactions that its store answers."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.transactions = 0
        self.holder: Any = None

    def open(self, on_wake: Any, *, on_trouble: OnTrouble | None = None) -> Holder:
        """Open it."""
        holder: Any = self.budget.open(on_wake, on_trouble=on_trouble)
        self.holder = holder
        transact = holder.transact

        def counted(*given: Any) -> Any:
            self.transactions += not holder.away
            return transact(*given)

        holder.transact = counted
        return holder  # type: ignore[no-any-return]


class Caller:
    """Makes the calls that a command line describes, and tells of them by lines of JSON."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.budget = Counted(budget_named(given["budget"]))
        self.lines: list[dict[str, Any]] = []
        self.levels: dict[int, int] = {}

    def told(self, line: dict[str, Any]) -> None:
        """Tell something, now or at the end."""
        if self.given.get("at once"):
            print(json.dumps(line), flush=True)  # noqa: T201
        else:
            self.lines.append(line)

    def heard(self, event: SchedulerEvent) -> None:
        """Tell of a request that leaves."""
        if isinstance(event, events.Queued):
            self.levels[event.call] = event.priority
        elif isinstance(event, events.Sent):
            self.told(
                {
                    "sent": event.at,
                    "level": self.levels.pop(event.call, self.given.get("levels", [2])[0]),
                    "away": self.budget.holder.away,
                    "account": f"{os.getpid()}.{event.account}",
                    "so far": self.budget.transactions,
                }
            )

    async def call(self, toggl: TogglClient, level: int, count: int) -> None:
        """Make calls, so many of which wait at once."""
        tags = toggl.with_options(priority=Priority(level)).workspace(1).tags
        left = iter(range(count))

        async def one() -> None:
            for _ in left:
                try:
                    await tags.list()
                except TogglError as error:
                    self.told({"failed": type(error).__name__})

        await asyncio.gather(*(one() for _ in range(self.given.get("waiting", 5))))

    async def call_again(self, toggl: TogglClient) -> None:
        """Make calls time and again, after pauses."""
        given = self.given
        for _ in range(given.get("again", 0)):
            await asyncio.sleep(given.get("every") or given.get("pause", 0.0) * random.random() * 2)
            asked = asyncio.get_running_loop().time()
            await self.call(toggl, given.get("levels", [2])[0], given.get("burst", 1))
            self.told({"urgent": asked})

    async def open(self, stack: contextlib.AsyncExitStack) -> list[TogglClient]:
        """Return a client for each account."""
        given = self.given
        options = ClientOptions(
            pace=Pace(interval=given["interval"], margin=given.get("margin", 0.0)),
            max_in_flight=IN_FLIGHT,
            max_wait=None,
            coalesce=False,
        )
        scheduler = Scheduler(options, budget=self.budget, on_event=self.heard)
        await stack.enter_async_context(scheduler)
        inner = httpx.MockTransport(lambda _: httpx.Response(200, json=[])) if "url" not in given else None
        served = {"base_url": given["url"]} if "url" in given else {}
        return [
            await stack.enter_async_context(
                TogglClient(ApiToken(token), transport=inner, scheduler=scheduler, **served)
            )
            for token in given.get("accounts", ["a" * 32])
        ]


async def run(given: dict[str, Any]) -> None:
    """Do what the command line says, once whoever started this says so."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    caller = Caller(given)
    async with contextlib.AsyncExitStack() as stack:
        clients = await caller.open(stack)
        print("ready", flush=True)  # noqa: T201
        if not await asyncio.to_thread(sys.stdin.readline):
            return  # who started it is gone
        cpu = time.process_time()
        bulk = [
            asyncio.ensure_future(caller.call(toggl, level, given["calls"]))
            for toggl in clients
            for level in given.get("levels", [2])
        ]
        await caller.call_again(clients[0])
        await asyncio.gather(*bulk)
        caller.told(
            {
                "transactions": caller.budget.transactions,
                "cpu": time.process_time() - cpu,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    for line in caller.lines:
        print(json.dumps(line))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
