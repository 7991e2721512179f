"""What the nightly runs found, by kind and outcome, where the other figures stand."""

import contextlib
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hostile.explore import FAULTS

__all__ = ["record"]

RESULTS: Final = Path(__file__).parents[2] / "benchmarks" / "results" / "hostile.json"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep the other processes of a parallel run out."""
    folder = os.open(RESULTS.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def record(area: str, kind: str, outcomes: Mapping[str, int]) -> None:
    """Write down how often a kind came out how, in place of what an earlier run wrote."""
    with _alone():
        found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        found.setdefault(area, {})[kind] = dict(sorted(outcomes.items()))
        found["all"] = _summed(found)
        RESULTS.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", "utf-8")


def _summed(found: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """All cases, and how many of them went wrong in which way."""
    outcomes: Counter[str] = Counter()
    for area, kinds in found.items():
        for counted in kinds.values() if area != "all" else ():
            outcomes.update(counted)
    return {"cases": outcomes.total(), **{fault: outcomes[fault] for fault in FAULTS}}
