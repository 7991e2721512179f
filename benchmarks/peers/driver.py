"""What every driver does: read a job, make the calls, and print what became of each.

A driver runs in the environment of its own client, so this needs nothing but the standard library
(Python 3.11). Time inside the client runs `speed` times as fast: asynchronous clients live on the
project's own `FastLoop`, loaded from its file; a client that sleeps or reads clocks by itself is
patched by its driver.
"""

import asyncio
import concurrent.futures
import dataclasses
import importlib.util
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

THREADS: Final = 20
"""Calls that a synchronous client makes at once."""

_FAST_LOOP: Final = Path(__file__).parents[2] / "toggl_async" / "sandbox" / "fast_loop.py"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What to do: `action` is "read", "create", "refusals" or "urgent"."""

    url: str
    token: str
    workspace: int
    speed: float
    action: str
    calls: int
    max_wait: float | None = None
    """Seconds that a call may wait; None for as long as it takes. Only toggl_async knows that."""
    waiting: int = 0
    """Bulk calls that wait while urgent ones are made."""


@dataclasses.dataclass(frozen=True)
class Call:
    """What became of one call: its number, when it began and ended (`time.monotonic`), its error."""

    number: int
    began: float
    ended: float
    error: str | None = None
    maybe_applied: bool | None = None
    """What the error says about a write whose outcome is unknown; None if it says nothing."""


def read_job() -> Job:
    """Read the job from the command line."""
    return Job(**json.loads(sys.argv[1]))


def report(calls: Iterable[Call]) -> None:
    """Print what became of the calls, on the last line of the output."""
    print("\n" + json.dumps([dataclasses.asdict(call) for call in calls]), flush=True)


def description(number: int) -> str:
    """Return what a created time entry is called, so that the server can count it."""
    return f"entry {number}"


async def attempt(number: int, call: Callable[[int], Awaitable[object]]) -> Call:
    """Make one call, and note how it ended."""
    began = time.monotonic()
    try:
        await call(number)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is its answer
        return _failed(number, began, error)
    return Call(number, began, time.monotonic())


async def together(calls: int, call: Callable[[int], Awaitable[object]]) -> list[Call]:
    """Make numbered calls all at once."""
    return await asyncio.gather(*(attempt(number, call) for number in range(1, calls + 1)))


def in_threads(calls: int, call: Callable[[int], object]) -> list[Call]:
    """Make numbered calls from a pool of threads."""

    def one(number: int) -> Call:
        began = time.monotonic()
        try:
            call(number)
        except Exception as error:  # noqa: BLE001 - whatever a client raises is its answer
            return _failed(number, began, error)
        return Call(number, began, time.monotonic())

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(1, calls + 1)))


def run(main: Coroutine[Any, Any, list[Call]], speed: float) -> None:
    """Run an asynchronous client on a loop whose time is `speed` times as fast, and report."""
    spec = importlib.util.spec_from_file_location("fast_loop", _FAST_LOOP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    report(module.run(main, speed=speed))


def fast_clock(speed: float) -> SimpleNamespace:
    """Return a stand-in for the module `time`, for clients that read clocks or sleep by themselves."""
    return SimpleNamespace(
        monotonic=lambda: time.monotonic() * speed,
        time=lambda: time.time() * speed,
        sleep=lambda seconds: time.sleep(seconds / speed),
    )


def _failed(number: int, began: float, error: Exception) -> Call:
    return Call(number, began, time.monotonic(), type(error).__name__, getattr(error, "maybe_applied", None))
