"""What imports and first touches cost: `python benchmarks/imports.py`.

Each import runs in a fresh interpreter. What is compared takes turns, so that a drift of the machine's
speed touches all, and CPU time is what counts, so that its other work does not. The budget of
``import toggl_async`` is 20 ms over its dependencies. A first client is what a program pays before its
first request, over what httpx takes for one of its own.

The first touch of a resource loads its coroutines and its records; the budget is 40 ms for the worst of
all. Each is touched as the first one, several times in one interpreter, and its median counts.
"""

import importlib
import resource
import statistics
import subprocess
import sys
import time
from typing import Final

import toggl_async
import toggl_async._client.client
from toggl_async import scopes

RUNS: Final = 15
TOUCHES: Final = 5
FLOOR: Final = "import httpx, attrs, cattrs, msgspec, aiolimiter"
HTTPX_CLIENT: Final = "httpx.AsyncClient()"
PACKAGE: Final = "import toggl_async"
CLIENT: Final = "from toggl_async import TogglClient"
FIRST_CLIENT: Final = f"{CLIENT}, ApiToken; TogglClient(ApiToken('a' * 32))"
GENERATED: Final = tuple(f"{toggl_async.__name__}.{part}." for part in ("records", "scopes"))


def milliseconds(code: str) -> float:
    """The CPU time of one interpreter that runs `code`, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def first_touch(module: str) -> float:
    """The time that a resource takes to load when none is loaded yet but its scope, in ms of CPU."""
    for name in [name for name in sys.modules if name.startswith(GENERATED)]:
        del sys.modules[name]
    importlib.import_module(module.rpartition(".")[0])
    start = time.process_time()
    importlib.import_module(module)
    return (time.process_time() - start) * 1000


def report_imports() -> None:
    codes = {
        "pass": "pass",
        FLOOR: FLOOR,
        PACKAGE: f"{FLOOR}; {PACKAGE}",
        CLIENT: f"{FLOOR}; {CLIENT}",
        HTTPX_CLIENT: f"{FLOOR}; {HTTPX_CLIENT}",
        FIRST_CLIENT: f"{FLOOR}; {HTTPX_CLIENT}; {FIRST_CLIENT}",
    }
    floors = {PACKAGE: FLOOR, CLIENT: FLOOR, FIRST_CLIENT: HTTPX_CLIENT}
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(RUNS):
        for name, code in codes.items():
            times[name].append(milliseconds(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print("| what | median ms of CPU | more than | by |\n|---|---|---|---|")
    for name, median in medians.items():
        floor = floors.get(name)
        more = f"`{floor}` | {median - medians[floor]:+.0f}" if floor else " | "
        print(f"| `{name}` | {median:.0f} | {more} |")
    over = medians[PACKAGE] - medians[FLOOR]
    print(f"\n`{PACKAGE}` adds {over:+.0f} ms; the budget of 20 ms is {'met' if over <= 20 else 'missed'}.")


def report_touches() -> None:
    touches = {
        module: statistics.median(first_touch(module) for _ in range(TOUCHES))
        for module in scopes.RESOURCE_MODULES
    }
    worst = max(touches, key=lambda module: touches[module])
    print(f"\n| first touch, of {len(touches)} resources | ms |\n|---|---|")
    print(f"| median | {statistics.median(touches.values()):.0f} |")
    print(f"| worst: {worst.removeprefix(GENERATED[1])} | {touches[worst]:.0f} |")
    print(f"\nThe budget of 40 ms is {'met' if touches[worst] <= 40 else 'missed'}.")


if __name__ == "__main__":
    report_imports()
    report_touches()
