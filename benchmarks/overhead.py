"""The CPU that the scheduler adds to a request of bare httpx: both on the same socket, in one run.

Run it with ``nox -s bench -- overhead``. The server is a process of its own, so that only the client's
work is counted (`time.process_time`). The pace is set so fast that nobody waits for it: what is left
is the work. Bare and scheduled requests take turns, round after round, and each round gives one
ratio, so that a busy moment of the machine touches both; the median of the ratios counts.

Each row but the last two compares one program on both transports. Where all calls are made at once,
somebody has to keep those that wait: the scheduler, or httpx's connection pool, which looks through
all of them for each answer. What it costs to queue at all is seen by the comparison with workers.
"""

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import httpx
from rig.environments import BENCHMARKS
from rig.report import machine, mark, publish, save, table
from rig.server import ServerOptions

from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.scheduler import ScheduledTransport

REQUESTS: Final = 200
ROUNDS: Final = 40
IN_FLIGHT: Final = 8
TOKEN: Final = "0" * 32
TARGET: Final = 0.15
JUDGED: Final = 3
"""The rows that compare like with like; the others are there to be seen."""

OPTIONS: Final = ClientOptions(pace=Pace(interval=1e-6, margin=0), max_in_flight=IN_FLIGHT)

Get = Callable[[int], Awaitable[object]]
Shape = Callable[[Get], Awaitable[None]]


async def one_by_one(get: Get) -> None:
    """Make each request when the one before is answered: nobody queues."""
    for number in range(1, REQUESTS + 1):
        await get(number)


async def by_workers(get: Get) -> None:
    """Keep as many requests under way as the scheduler would."""
    numbers = iter(range(1, REQUESTS + 1))

    async def worker() -> None:
        for number in numbers:
            await get(number)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


async def all_at_once(get: Get) -> None:
    """Make all requests at once: the scheduler queues them."""
    await asyncio.gather(*(get(number) for number in range(1, REQUESTS + 1)))


async def cpu(shape: Shape, get: Get) -> float:
    """Return the microseconds of CPU that a request takes."""
    gc.collect()
    start = time.process_time()
    await shape(get)
    return (time.process_time() - start) / REQUESTS * 1e6


def http_client(url: str, *, scheduled: bool) -> httpx.AsyncClient:
    """Make an httpx client, on httpx's own transport or on that behind the scheduler."""
    inner = httpx.AsyncHTTPTransport(
        limits=httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    )
    transport = ScheduledTransport(inner, options=OPTIONS) if scheduled else inner
    auth = httpx.BasicAuth(TOKEN, "api_token")
    return httpx.AsyncClient(base_url=url, transport=transport, auth=auth)


@attrs.frozen
class Result:
    """Microseconds of CPU a request of bare httpx and of ours, and the median share that ours adds."""

    what: str
    bare: float
    ours: float
    added: float


async def measure(url: str) -> list[Result]:
    """Measure all contenders in turn."""
    async with (
        http_client(url, scheduled=False) as bare,
        http_client(url, scheduled=True) as scheduled,
        TogglClient(ApiToken(TOKEN), base_url=url, options=OPTIONS) as toggl,
    ):

        async def get_bare(number: int) -> object:
            return await bare.get(f"/api/v9/me/time_entries/{number}")

        async def get_scheduled(number: int) -> object:
            return await scheduled.get(f"/api/v9/me/time_entries/{number}")

        pairs: dict[str, tuple[Shape, Shape, Get]] = {
            "one after the other": (one_by_one, one_by_one, get_scheduled),
            f"{IN_FLIGHT} workers": (by_workers, by_workers, get_scheduled),
            f"{REQUESTS} at once": (all_at_once, all_at_once, get_scheduled),
            f"{REQUESTS} at once, against {IN_FLIGHT} workers": (by_workers, all_at_once, get_scheduled),
            "typed coroutines, one after the other": (one_by_one, one_by_one, toggl.me.time_entries.get),
        }
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in pairs}
        for number in range(ROUNDS + 1):
            for what, (bare_shape, our_shape, get) in pairs.items():
                pair = await cpu(bare_shape, get_bare), await cpu(our_shape, get)
                if number:  # the first round warms up
                    times[what].append(pair)
    return [
        Result(
            what,
            statistics.median(bare for bare, _ in values),
            statistics.median(ours for _, ours in values),
            statistics.median(ours / bare - 1 for bare, ours in values),
        )
        for what, values in times.items()
    ]


def main() -> int:
    """Measure against a server of its own, print, and write the results; return the exit code."""
    options = json.dumps(attrs.asdict(ServerOptions(speed=1.0, interval=0.0)))
    command = [sys.executable, "-m", "rig.server", options]
    with subprocess.Popen(
        command, cwd=BENCHMARKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        results = asyncio.run(measure(server.stdout.readline().strip()))
        server.communicate()
    judged, shown = results[:JUDGED], results[JUDGED:]
    rows = [
        (
            f"{result.what} (target: at most {TARGET:.0%} more)",
            f"{result.bare:.0f}",
            f"{result.ours:.0f}",
            f"{result.added:+.1%}",
            mark(met=result.added <= TARGET),
        )
        for result in judged
    ]
    rows += [
        (result.what, f"{result.bare:.0f}", f"{result.ours:.0f}", f"{result.added:+.1%}", "")
        for result in shown
    ]
    text = table(("µs of CPU a request", "bare httpx", "scheduled", "added", ""), rows)
    print(text)
    publish("overhead", text)
    save("overhead", {"machine": machine(), "results": [attrs.asdict(result) for result in results]})
    return 0 if all(result.added <= TARGET for result in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
