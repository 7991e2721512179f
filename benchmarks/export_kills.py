"""Kill exports and updates with SIGKILL at random moments, go on, and compare with one that was left alone.

    nox -s bench -- export_kills
    python benchmarks/export_kills.py [--kills 300] [--seed 1]

A sandbox runs in a process of its own; each run is another process, killed one to three times, also in
the middle of a write, and then left to finish: first runs and updates in turn, into every format, whose
store is in SQLite, and into a store in PostgreSQL. Shown is whether what there is then, in the files and
in the store, equals what an uninterrupted run leaves, row by row, and whether a page that was committed was
asked for again: the progress that stands in the store after each kill is compared with what the next
run asks for. A run of 300 kills or more writes its table in `docs/benchmarks.md`, and the figures
behind it in `benchmarks/results/`.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import pytest
from rig.report import machine, publish, save, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.killed_exports import Tally, kill_all
from support.postgres_server import PASSWORD, postgres_server

ENTRIES, DAYS = 9_000, 900
KILLS: Final = 300


def report(tallies: Mapping[str, Mapping[str, Tally]]) -> str:
    """Write the table: what is asked for, is none in the last two columns."""
    head = ("run", "to", "kills", "of these midway", "runs", "differing", "committed pages asked for again")
    lines = [
        (kind, target, *map(str, attrs.astuple(tally)))
        for kind, found in tallies.items()
        for target, tally in found.items()
    ]
    return table(head, lines)


def main() -> int:
    """Kill, print, and write the results of a whole run; return the exit code."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=KILLS)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    described = machine()
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server() as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PGPASSWORD", PASSWORD)
        tallies = kill_all(given.kills, given.seed, Path(folder), server, entries=ENTRIES, days=DAYS)
    text = report(tallies)
    print(text)
    if given.kills >= KILLS:
        publish("export kills", text)
        found = {
            kind: {target: attrs.asdict(tally) for target, tally in targets.items()}
            for kind, targets in tallies.items()
        }
        save("export_kills", {"machine": described, "seed": given.seed, "runs": found})
    return int(any(one.differing or one.again for found in tallies.values() for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
