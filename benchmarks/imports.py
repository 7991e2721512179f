"""What `import toggl_async` costs beyond its dependencies: `python benchmarks/imports.py`.

Each import runs in a fresh interpreter; floor and package take turns, so that a drift of the machine's
speed touches both. The budget is 30 ms over the floor.
"""

import statistics
import subprocess
import sys
import time
from typing import Final

RUNS: Final = 21
FLOOR: Final = "import httpx, attrs, cattrs, msgspec, aiolimiter"
PACKAGE: Final = "import toggl_async"
CLIENT: Final = "from toggl_async import TogglClient"


def milliseconds(code: str) -> float:
    """The time of one interpreter that runs `code`, in milliseconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    codes = {
        "bare Python": "pass",
        FLOOR: FLOOR,
        PACKAGE: f"{FLOOR}; {PACKAGE}",
        CLIENT: f"{FLOOR}; {CLIENT}",
    }
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(RUNS):
        for name, code in codes.items():
            times[name].append(milliseconds(code))
    print("| what | median ms | over the floor |\n|---|---|---|")
    floor = statistics.median(times[FLOOR])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.0f} | {median - floor:+.0f} |")


if __name__ == "__main__":
    main()
