"""What an export wrote, read back from every format in a shape that can be compared."""

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from support.pairs import first_of
from toggl_async.export import DATASETS

FORMATS = ("jsonl", "csv", "parquet", "sqlite", "duckdb")

in_each_format = pytest.mark.parametrize("form", first_of(FORMATS))
"""For what a mirror does to its files in any format; what a format does is tried in all of them."""


def rows(directory: Path, form: str, name: str) -> list[dict[str, Any]]:
    """The rows of a dataset, in the order in which they stand."""
    match form:
        case "jsonl":
            return [json.loads(line) for line in (directory / f"{name}.jsonl").read_bytes().splitlines()]
        case "csv":
            with (directory / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        case "parquet":
            with (directory / f"{name}.parquet").open("rb") as stored:
                return list(pq.read_table(stored).to_pylist())
        case "sqlite":
            with closing(sqlite3.connect(directory / "toggl.sqlite")) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
        case _:
            with duckdb.connect(str(directory / "toggl.duckdb"), read_only=True) as database:
                return list(database.query(f"SELECT * FROM {name}").to_arrow_table().to_pylist())


def ids(directory: Path, form: str, name: str = "time_entries") -> list[int]:
    """The ids of a dataset, sorted."""
    return sorted(int(row["id"]) for row in rows(directory, form, name))


def everything(directory: Path, form: str, datasets: Sequence[str] = tuple(DATASETS)) -> dict[str, list[str]]:
    """All rows, sorted."""
    if form == "jsonl":
        return {
            name: sorted((directory / f"{name}.jsonl").read_text("utf-8").splitlines()) for name in datasets
        }
    return {name: sorted(map(repr, rows(directory, form, name))) for name in datasets}
