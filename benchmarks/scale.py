"""100,000 waiting calls and 10,000 accounts in one process: what a grant, a wait and an account cost.

Run it with ``nox -s bench -- scale``. It is a simulation: the loop's clock jumps to the next timer
and the inner transport answers at once, so hours of schedule take seconds and all that is measured is
the scheduler's own work. Calls that were answered are made again, so that the same number waits
throughout; a cost is CPU (`time.process_time`), memory is what `tracemalloc` counts.

So many grants are measured that the garbage collector takes its full share: where 100,000 calls wait,
one of its complete rounds takes more than a second, every 50,000 grants or so.

Accounts start one after the other within the first interval. Else the jumping clock, which stands
still while ten thousand accounts take their turns, would keep them in step for ever; on a real one the
work itself pulls them apart. What it costs in step is measured, too, and shown.
"""

import asyncio
import gc
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import httpx
from rig.report import machine, mark, publish, save, table

from toggl_async import ClientOptions
from toggl_async.scheduler import ScheduledTransport

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.clock import JumpLoop

GRANTS: Final = 50_000
ROUNDS: Final = 3
MAX_WAIT: Final = 1e8
"""Seconds; finite, so that every waiting call has its deadline and its timer."""

FEW: Final = 100
MANY: Final = 100_000
ACCOUNTS: Final = 10_000
TRACED: Final = 20_000
"""Calls whose memory is counted: `tracemalloc` makes everything several times slower."""

ACCOUNT_LIMIT: Final = 2048
WAIT_LIMIT: Final = 4096
COST_LIMIT: Final = 2.0

Handle = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Answering(httpx.AsyncBaseTransport):
    """Answers at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return an empty answer."""
        return httpx.Response(200, content=b"{}", request=request)


class Waiting(httpx.AsyncBaseTransport):
    """Never answers, and knows nothing of limits: what a wait costs without a scheduler."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002
        """Wait."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError


def request_of(account: int, number: int) -> httpx.Request:
    """Make a request that no other can share its answer with."""
    url = f"https://api.track.toggl.com/api/v9/me/time_entries/{number}"
    return httpx.Request("GET", url, headers={"Authorization": f"Basic {account:032x}"})


def scheduled() -> ScheduledTransport:
    """Make a scheduled transport with default options, but for how long a call may wait."""
    return ScheduledTransport(Answering(), options=ClientOptions(max_wait=MAX_WAIT))


async def cost_of_a_grant(waiting: int, accounts: int, *, in_step: bool = False) -> float:
    """Return the microseconds of CPU a grant takes while so many calls wait, spread over accounts."""
    transport = scheduled()
    granted = 0
    marks: list[float] = []
    over = asyncio.Event()

    async def caller(number: int) -> None:
        nonlocal granted
        account = number % accounts
        request = request_of(account, number)
        await asyncio.sleep(0 if in_step else account / accounts)
        while True:
            await transport.handle_async_request(request)
            granted += 1
            if granted in {GRANTS, 2 * GRANTS}:  # the first ones warm up
                marks.append(time.process_time())
                if len(marks) == 2:
                    over.set()

    tasks = [asyncio.create_task(caller(number)) for number in range(waiting)]
    await asyncio.sleep(1.5)  # by then all of them wait, and what began at once is not counted
    granted = 0
    marks.clear()
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await transport.aclose()
    return (marks[1] - marks[0]) / GRANTS * 1e6


async def memory_of_waits(handle: Handle, requests: Sequence[httpx.Request]) -> float:
    """Return the bytes that each of many waiting calls takes, its task included, its request not."""
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = [asyncio.ensure_future(handle(request)) for request in requests]
    await asyncio.sleep(0.5)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return (after - before) / len(requests)


async def memory_of_idle_accounts() -> float:
    """Return the bytes that an account takes which has made its calls."""
    transport = scheduled()
    await transport.handle_async_request(request_of(ACCOUNTS, 0))
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for account in range(ACCOUNTS):
        await transport.handle_async_request(request_of(account, account))
    await asyncio.sleep(0)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = len(transport.scheduler.stats().accounts)
    assert held == ACCOUNTS + 1, f"{held} accounts are held"
    await transport.aclose()
    return (after - before) / ACCOUNTS


def run(main: Coroutine[object, object, float]) -> float:
    """Run a measurement on a loop whose clock jumps."""
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(main)


@attrs.frozen
class Figure:
    """One measurement, its unit, and its limit."""

    what: str
    value: float
    shown: str
    target: str = ""
    met: bool = True


def costs_of_grants() -> Iterator[Figure]:
    """Measure in rounds, so that a busy moment touches every contender."""
    situations = {
        f"a grant while {FEW} calls of one account wait": (FEW, 1, False),
        f"a grant while {MANY:,} calls of one account wait": (MANY, 1, False),
        f"a grant while {MANY:,} calls of {ACCOUNTS:,} accounts wait": (MANY, ACCOUNTS, False),
        "the same, all accounts in step": (MANY, ACCOUNTS, True),
    }
    costs: dict[str, list[float]] = {what: [] for what in situations}
    for _ in range(ROUNDS):
        for what, (waiting, accounts, in_step) in situations.items():
            costs[what].append(run(cost_of_a_grant(waiting, accounts, in_step=in_step)))
    few, *others = ((what, statistics.median(values)) for what, values in costs.items())
    yield Figure(few[0], few[1], f"{few[1]:.0f} µs")
    for what, cost in others:
        ratio = cost / few[1]
        judged = not situations[what][2]
        target = f"at most {COST_LIMIT:g} x" if judged else ""
        yield Figure(what, cost, f"{cost:.0f} µs, {ratio:.2f} x", target, ratio <= COST_LIMIT or not judged)


def measure() -> list[Figure]:
    """Take all measurements."""
    figures = list(costs_of_grants())
    requests = [request_of(0, number) for number in range(TRACED)]
    bare = run(memory_of_waits(Waiting().handle_async_request, requests))
    wait = run(memory_of_waits(scheduled().handle_async_request, requests))
    figures.append(
        Figure(
            "a waiting call, its task and timer included, its request not",
            wait,
            f"{wait:,.0f} B ({bare:,.0f} B without a scheduler)",
            f"under {WAIT_LIMIT:,} B",
            wait < WAIT_LIMIT,
        )
    )
    idle = run(memory_of_idle_accounts())
    limit = f"under {ACCOUNT_LIMIT:,} B"
    figures.append(Figure("an idle account", idle, f"{idle:,.0f} B", limit, idle < ACCOUNT_LIMIT))
    return figures


def main() -> int:
    """Measure, print, and write the results; return the exit code."""
    figures = measure()
    rows = [
        (figure.what, figure.shown, figure.target, mark(met=figure.met) if figure.target else "")
        for figure in figures
    ]
    text = table(("what", "measured", "target", ""), rows)
    print(text)
    publish("scale", text)
    save("scale", {"machine": machine(), "figures": [attrs.asdict(figure) for figure in figures]})
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
