"""What a shared budget costs and keeps, with real processes: ``python benchmarks/budget.py [SCENARIO …]``.

Each process is a whole client, or with ``--bare`` a loop on the budget alone. Each writes down when it
sends; all share the machine's monotonic clock. The figures of one run say how many transactions a grant
took, how even the pace was, and how many 429s a strict bucket of one request would have given.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from budget_accidents import ACCIDENTS
from budget_fleet import BARE, ROOT, Fleet, figures, judged, refused_by

from support.redis_server import redis_server

RESULTS = ROOT / "benchmarks" / "results" / "budget.json"
NONE_REFUSED = {"429": ("at most", 0.0)}
Targets = Mapping[str, tuple[str, float]]


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
    return {
        **figures(fleet, 0.05),
        "bulk calls before an urgent one (0, 1, 2, more)": before,
        "most bulk calls before an urgent one": max(number for number, times in enumerate(before) if times),
    }


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
    started = fleet.start(1, calls=0, levels=[1], again=100, pause=0.0, interval=0.05)
    fleet.go(started)
    fleet.end()
    return figures(fleet, 0.05)


def kills(interval: float, seconds: float, count: int = 200) -> Callable[[str], dict[str, Any]]:
    """Return a scenario in which one of eight processes is killed now and then, and another follows it."""

    def scenario(budget: str) -> dict[str, Any]:
        chance = random.Random(7)
        fleet = Fleet(budget)
        given: dict[str, Any] = {"calls": 10_000, "interval": interval, "margin": 0.05, "at once": True}
        living = fleet.fork(8, **given)
        spare = fleet.fork(count, **given)
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
        found = figures(fleet, interval)
        full = 1 / (interval * 1.05)
        return {
            **found,
            "kills": count,
            "of the full pace": round(found["pace"] / full, 3),
            "longest gap in intervals": round(found["longest gap"] * full, 2),
        }

    return scenario


def steady(budget: str) -> dict[str, Any]:
    """Four processes that call every eight seconds for an hour, twenty times as fast."""
    fleet = Fleet(budget)
    started = fleet.start(4, calls=0, levels=[1], again=450, every=0.4, interval=0.05, margin=0.02)
    time.sleep(3)
    fleet.go(started)
    fleet.end()
    return {**figures(fleet, 0.05), "failed": sum("failed" in line for line in fleet.lines)}


def accounts(budget: str, count: int, *, calls: int = 15) -> dict[str, Any]:
    """So many accounts, each in one of four processes, at the real pace of each."""
    fleet = Fleet(budget)
    names = [f"{number:032x}" for number in range(count)]
    started = []
    for number in range(4):
        started += fleet.start(
            1, calls=calls, interval=1.0, margin=0.02, accounts=names[number::4], waiting=1
        )
    time.sleep(3)
    fleet.go(started)
    fleet.end()
    sent: dict[str, list[float]] = {}
    for line in fleet.lines:
        if "sent" in line:
            sent.setdefault(line["account"], []).append(line["sent"])
    paces = [(len(moments) - 1) / (max(moments) - min(moments)) for moments in sent.values()]
    seconds = max(map(max, sent.values())) - min(map(min, sent.values()))
    cpu = sum(line.get("cpu", 0.0) for line in fleet.lines)
    return {
        "accounts": len(sent),
        "429": sum(refused_by(sorted(moments), 1.0, 1.0) for moments in sent.values()),
        "worst share of its full pace": round(min(paces) * 1.02, 3),
        "CPU of all clients, of a core": round(cpu / seconds, 2),
        "transactions": sum(line.get("transactions", 0) for line in fleet.lines),
    }


def many(budget: str) -> dict[str, Any]:
    """250 accounts of whole clients."""
    return accounts(budget, 250)


def bare_many(budget: str) -> dict[str, Any]:
    """A thousand accounts whose requests are answered at once, without the client."""
    worker, Fleet.worker = Fleet.worker, BARE
    try:
        return accounts(budget, 1000)
    finally:
        Fleet.worker = worker


EVEN: Targets = {**NONE_REFUSED, "429 with a bucket of 5": ("at most", 0), "of the ideal": ("at most", 1.05)}
KILLED: Targets = {
    **NONE_REFUSED,
    "of the full pace": ("at least", 0.97),
    "longest gap in intervals": ("at most", 2.5),
}
CROWD: Targets = {**NONE_REFUSED, "worst share of its full pace": ("at least", 0.97)}


def grants(most: float) -> Targets:
    return {"transactions a grant": ("at most", most)}


SCENARIOS: dict[str, tuple[Callable[[str], dict[str, Any]], Targets]] = {
    "waiting": (waiting, grants(1.2)),
    "4 processes": (even(4, 0.1, 0.05), EVEN),
    "8 processes": (even(8, 0.1, 0.05), EVEN),
    "4 processes, real pace": (even(4, 1.0, 0.02), EVEN),
    "8 processes, real pace": (even(8, 1.0, 0.02), EVEN),
    "urgent": (urgent, {**grants(1.5), "most bulk calls before an urgent one": ("at most", 1)}),
    "both": (both, grants(2)),
    "single": (single, grants(2.2)),
    "200 kills, rarer than places": (kills(0.1, 60), KILLED),
    "200 kills, denser than places": (kills(0.5, 60), KILLED),
    "a call every 8 s, 20 times as fast": (steady, {**NONE_REFUSED, "failed": ("at most", 0)}),
    "250 accounts": (many, CROWD),
    "1,000 accounts, bare": (bare_many, CROWD),
}


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """Run a Redis; return the budgets by store."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        yield {"file": f"file:{folder}/budget.sqlite", "redis": server.url}


def main() -> None:
    """Run scenarios, print what was seen beside its targets, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=[*SCENARIOS, *ACCIDENTS])
    parser.add_argument("--store", choices=["file", "redis"])
    parser.add_argument("--bare", action="store_true", help="without the client")
    parser.add_argument("--out", type=Path, help=f"figures are added to it, as to {RESULTS.name}")
    given = parser.parse_args()
    known_scenarios = [*ACCIDENTS, *SCENARIOS]
    if unknown := [name for name in given.scenarios if name not in known_scenarios]:
        parser.error(
            f"there is no scenario {unknown[0]!r}; there are {', '.join(map(repr, known_scenarios))}"
        )
    if given.bare:
        Fleet.worker = BARE

    def keep(name: str, found: dict[str, Any], targets: Targets) -> None:
        found = judged(found, targets)
        print("met   " if found["met"] else "MISSED", name, found, flush=True)
        if given.out:
            known = json.loads(given.out.read_text()) if given.out.exists() else {}
            given.out.write_text(json.dumps({**known, name: found}, indent=1) + "\n")

    for name in given.scenarios:
        if name in ACCIDENTS:
            accident, targets = ACCIDENTS[name]
            keep(name, accident(), targets)
            continue
        scenario, targets = SCENARIOS[name]
        with places() as budgets:
            for store, budget in budgets.items():
                if given.store in {None, store}:
                    keep(f"{name}, {store}", scenario(budget), targets)


if __name__ == "__main__":
    main()
