"""Exports and updates that are killed at random, in every format and in both stores."""

from pathlib import Path

import attrs
import pytest

from support.killed_exports import KINDS, TARGETS, kill_all
from support.postgres_server import PostgresServer

KILLS = 8


@pytest.mark.slow
def test_what_was_killed_at_random_ends_like_what_was_left_alone(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Three hundred kills of a larger company are measured by benchmarks/export_kills.py."""
    tallies = kill_all(KILLS, 1, tmp_path, postgres, entries=600, days=300)
    found = [tallies[kind][target] for kind in KINDS for target in TARGETS]
    assert sum(tally.kills for tally in found) == KILLS
    assert sum(tally.midway for tally in found) > KILLS / 2
    assert not [attrs.asdict(tally) for tally in found if tally.differing or tally.again]
