"""What a client wrote, compared with what the server has: time entry by time entry."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

__all__ = ["Found", "compare"]

Fact: TypeAlias = tuple[int, int | None, str, dt.datetime, int | None]
"""User, project, description, start and seconds of a time entry, which runs when these are None."""


@attrs.frozen(kw_only=True)
class Found:
    """How the time entries that a client wrote compare with those that are there.

    Attributes:
        there: how many are there.
        right: how many of them the client has as they are.
        wrong: how many it has otherwise, or should not have.
        twice: rows that it wrote more than once.
    """

    there: int
    right: int
    wrong: int
    twice: int


def compare(client: str, directory: Path, truth: Path) -> Found:
    """Compare what a client left in a directory, whole or not, with the file that the server wrote."""
    there = dict(_facts(_lines(truth), seconds="seconds"))
    right = wrong = twice = 0
    met: set[int] = set()
    for number, fact in READERS[client](directory):
        if number in met:
            twice += 1
        elif there.get(number) == fact:
            right += 1
        else:
            wrong += 1
        met.add(number)
    return Found(there=len(there), right=right, wrong=wrong, twice=twice)


def _of_toggl_async(directory: Path) -> Iterator[tuple[int, Fact]]:
    """Read what ``toggl_async`` wrote: what is in its mirror, if it did not come to its end."""
    whole = directory / "time_entries.jsonl"
    if whole.exists():
        return _facts(_lines(whole), seconds="seconds")
    with closing(sqlite3.connect(directory / "mirror.sqlite")) as database:
        rows = database.execute("SELECT raw FROM time_entries WHERE deleted_at IS NULL").fetchall()
    return _facts([json.loads(row) for (row,) in rows], seconds="seconds")


def _of_tap_toggl(directory: Path) -> Iterator[tuple[int, Fact]]:
    for row in _lines(directory / "time_entries.jsonl"):
        start = dt.datetime.fromisoformat(row["start"])
        yield row["id"], (row["uid"], row["pid"], row["description"], start, row["dur"] // 1000)


def _of_toggl_to_sqlite(directory: Path) -> Iterator[tuple[int, Fact]]:
    with closing(sqlite3.connect(directory / "toggl.db")) as database:
        database.row_factory = sqlite3.Row
        tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'time_entries'").fetchall()
        rows = [dict(row) for row in database.execute("SELECT * FROM time_entries")] if tables else []
    return _facts(rows, seconds="duration")


READERS: Final[dict[str, Callable[[Path], Iterator[tuple[int, Fact]]]]] = {
    "toggl_async": _of_toggl_async,
    "tap-toggl": _of_tap_toggl,
    "toggl-to-sqlite": _of_toggl_to_sqlite,
}


def _facts(rows: Iterable[dict[str, Any]], *, seconds: str) -> Iterator[tuple[int, Fact]]:
    for row in rows:
        length = row[seconds]
        if length is not None and length < 0:  # how Track says that it runs
            length = None
        start = dt.datetime.fromisoformat(row["start"])
        yield row["id"], (row["user_id"], row["project_id"], row["description"], start, length)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read JSON Lines; of a file that is not there, nothing; a last line that was cut off is left out."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)
