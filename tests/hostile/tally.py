"""What the nightly runs found, by kind and outcome, where the other figures stand."""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["record"]

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "hostile.json"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep the other processes of a parallel run out."""
    with RESULTS.parent.open("rb", opener=_directory) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield


def _directory(path: str, flags: int) -> int:
    import os

    return os.open(path, flags | os.O_DIRECTORY)


def record(area: str, kind: str, outcomes: Mapping[str, int]) -> None:
    """Write down how often a kind came out how, in place of what an earlier run wrote."""
    with _alone():
        found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        found.setdefault(area, {})[kind] = dict(sorted(outcomes.items()))
        RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", "utf-8")
