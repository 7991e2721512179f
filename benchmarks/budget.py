"""What a shared budget costs and keeps, with real processes: ``python benchmarks/budget.py [SCENARIO …]``.

Each process is a whole client, or with ``--bare`` a loop on the budget alone. Each writes down when it
sends; all share the machine's monotonic clock. The figures of one run say how many transactions a grant
took, how even the pace was, and how many 429s a strict bucket of one request would have given.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.redis_server import RedisServer, redis_server  # noqa: E402

CLIENT = ROOT / "tests" / "support" / "budget_caller.py"
BARE = ROOT / "tests" / "support" / "budget_worker.py"


class Fleet:
    """Worker processes on one budget."""

    worker = CLIENT

    def __init__(self, budget: str) -> None:
        self.budget = budget
        self.lines: list[dict[str, Any]] = []
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def start(self, count: int, **given: Any) -> list[subprocess.Popen[str]]:
        """Start processes, which wait for `go`."""
        started = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, str(self.worker), json.dumps({"budget": self.budget, **given})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.append(process)
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
            reader = threading.Thread(target=self._read, args=(process,), daemon=True)
            reader.start()
            self._running.append((process, reader))
        return started

    @staticmethod
    def go(processes: Sequence[subprocess.Popen[str]]) -> None:
        """Let them begin."""
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def end(self, *, kill: bool = False) -> None:
        """Wait for all of them."""
        for process, reader in self._running:
            if kill:
                process.kill()
            process.wait()
            reader.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append({"process": process.pid, **json.loads(line)})


def figures(fleet: Fleet, interval: float, *, bucket: float = 1.0) -> dict[str, Any]:
    """Return what the lines of a fleet say."""
    sent = sorted(line["sent"] for line in fleet.lines if "sent" in line)
    level, last, refused = 0.0, sent[0], 0
    for at in sent:
        level = max(0.0, level - (at - last) / interval)
        last = at
        if level + 1 > bucket + 1e-6:
            refused += 1
        else:
            level += 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    transactions = sum(line.get("transactions", 0) for line in fleet.lines)
    seconds = sent[-1] - sent[0]
    return {
        "sent": len(sent),
        "seconds": round(seconds, 2),
        "pace": round((len(sent) - 1) / seconds, 2),
        "429": refused,
        "shortest gap": round(min(gaps), 4),
        "longest gap": round(max(gaps), 3),
        **({"transactions a grant": round(transactions / len(sent), 2)} if transactions else {}),
        "cpu": round(sum(line.get("cpu", 0.0) for line in fleet.lines), 2),
    }


def waiting(budget: str, interval: float = 0.05, margin: float = 0.0) -> dict[str, Any]:
    """Eight processes of five waiting calls each."""
    fleet = Fleet(budget)
    started = fleet.start(8, calls=25, interval=interval, margin=margin)
    fleet.go(started)
    fleet.end()
    return figures(fleet, interval)


def even(count: int, interval: float, margin: float, calls: int = 200) -> Callable[[str], dict[str, Any]]:
    """Return a scenario in which so many processes share some calls, on a strict bucket and on one of 5."""

    def scenario(budget: str) -> dict[str, Any]:
        fleet = Fleet(budget)
        started = fleet.start(count, calls=calls // count, interval=interval, margin=margin)
        time.sleep(3)  # a new file is closed for as long
        fleet.go(started)
        fleet.end()
        found = figures(fleet, interval)
        ideal = (found["sent"] - 1) * interval * (1 + margin)
        return {
            **found,
            "of the ideal": round(found["seconds"] / ideal, 3),
            "429 with a bucket of 5": figures(fleet, interval, bucket=5)["429"],
        }

    return scenario


def urgent(budget: str) -> dict[str, Any]:
    """Four processes of bulk calls, and the urgent ones of a fifth, one by one."""
    fleet = Fleet(budget)
    told = {"at once": True, "interval": 0.05}
    bulk = fleet.start(4, calls=1250, **told)
    one = fleet.start(1, calls=0, levels=[0], again=100, pause=0.15, **told)
    fleet.go(bulk)
    time.sleep(4)
    fleet.go(one)
    one[0].wait()
    fleet.end(kill=True)
    lower = sorted(line["sent"] for line in fleet.lines if line.get("level") == 2)
    sent = iter(sorted(line["sent"] for line in fleet.lines if line.get("level") == 0))
    before = [0, 0, 0, 0]
    for asked in sorted(line["urgent"] for line in fleet.lines if "urgent" in line):
        at = next(sent)
        before[min(3, sum(asked < other < at for other in lower))] += 1
    return {**figures(fleet, 0.05), "bulk calls before an urgent one (0, 1, 2, more)": before}


def both(budget: str) -> dict[str, Any]:
    """Eight processes, each with bulk calls, and now and then two urgent ones."""
    fleet = Fleet(budget)
    started = fleet.start(8, calls=15, interval=0.05, levels=[0, 2], again=10, burst=2, pause=0.5)
    fleet.go(started)
    fleet.end()
    return figures(fleet, 0.05)


def single(budget: str) -> dict[str, Any]:
    """One process, one call at a time, back to back."""
    fleet = Fleet(budget)
    started = fleet.start(1, calls=0, levels=[1], again=100, pause=0.0, interval=0.02)
    fleet.go(started)
    fleet.end()
    return figures(fleet, 0.02)


def kills(budget: str, interval: float = 0.1, seconds: float = 30, count: int = 60) -> dict[str, Any]:
    """Eight processes, one of which is killed now and then, and another starts in its place."""
    chance = random.Random(7)
    fleet = Fleet(budget)
    given: dict[str, Any] = {"calls": 10_000, "interval": interval, "margin": 0.05, "at once": True}
    living = fleet.start(8, **given)
    spare = fleet.start(count, **given)
    fleet.go(living)
    time.sleep(3 + 4 * interval)
    began = time.monotonic()
    for end in sorted(chance.uniform(0, seconds) for _ in range(count)):
        time.sleep(max(0.0, began + end - time.monotonic()))
        living.pop(chance.randrange(len(living))).kill()
        living.append(spare.pop())
        fleet.go(living[-1:])
    ended = time.monotonic()
    fleet.end(kill=True)
    fleet.lines = [line for line in fleet.lines if began <= line.get("sent", 0) <= ended]
    return figures(fleet, interval)


def dense_kills(budget: str) -> dict[str, Any]:
    """The same, denser than places."""
    return kills(budget, 1.0, 60, 60)


def trouble(act: Callable[[RedisServer], None]) -> Callable[[str], dict[str, Any]]:
    """Return a scenario in which Redis is lost in the middle of a run of eight processes."""

    def scenario(_budget: str, interval: float = 0.1) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            fleet = Fleet(server.url)
            started = fleet.start(8, calls=25, interval=interval, margin=0.05)
            fleet.go(started)
            time.sleep(7)
            act(server)
            fleet.end()
        found = figures(fleet, interval)
        alone = sorted(line["sent"] for line in fleet.lines if line.get("away"))
        if len(alone) > 1:
            found["sent alone"] = len(alone)
            found["pace alone"] = round((len(alone) - 1) / (alone[-1] - alone[0]), 2)
        return found

    return scenario


def _hang(server: RedisServer) -> None:
    server.hang()
    time.sleep(4)
    server.go_on()


def _restart(server: RedisServer) -> None:
    server.stop()
    time.sleep(4)
    server.start()


def _empty(server: RedisServer) -> None:
    subprocess.run(["redis-cli", "-p", str(server.port), "flushall"], check=True, stdout=subprocess.DEVNULL)


SCENARIOS: dict[str, Callable[[str], dict[str, Any]]] = {
    "waiting": waiting,
    "4 processes": even(4, 0.1, 0.05, 400),
    "8 processes": even(8, 0.1, 0.05, 400),
    "4 processes, real pace": even(4, 1.0, 0.02),
    "8 processes, real pace": even(8, 1.0, 0.02),
    "urgent": urgent,
    "both": both,
    "single": single,
    "kills": kills,
    "dense kills": dense_kills,
}
LOSSES = {"hangs": trouble(_hang), "restarts": trouble(_restart), "is emptied": trouble(_empty)}


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """Run a Redis; return the budgets by store."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        yield {"file": f"file:{folder}/budget.sqlite", "redis": server.url}


def main() -> None:
    """Run scenarios, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=[*SCENARIOS, *LOSSES])
    parser.add_argument("--store", choices=["file", "redis"])
    parser.add_argument("--bare", action="store_true", help="without the client")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.bare:
        Fleet.worker = BARE
    found: dict[str, Any] = {}
    for name in given.scenarios:
        if name in LOSSES:
            found[f"Redis {name}"] = LOSSES[name]("")
            print(f"Redis {name}", found[f"Redis {name}"], flush=True)
            continue
        with places() as budgets:
            for store, budget in budgets.items():
                if given.store in {None, store}:
                    found[f"{name}, {store}"] = SCENARIOS[name](budget)
                    print(f"{name}, {store}", found[f"{name}, {store}"], flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
