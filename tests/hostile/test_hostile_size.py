"""A million rows in one answer, where Toggl promises a page: all of them arrive, in every dataset."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from hostile.answers import Answer
from hostile.server import Reply, Request
from hostile.tally import record
from hostile.test_hostile_exports import Toggl
from toggl_async.export import DATASETS
from toggl_async.export.plan.datasets import Source

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

MILLION = 1_000_000
LISTS = [name for name, dataset in DATASETS.items() if dataset.source is Source.WORKSPACE]
DAY = "2026-06-01"
"""When the time entries among them began."""
FIRST = 1_000
"""The ids of the many begin here, behind those of the company."""


def row(name: str, number: int) -> dict[str, Any]:
    """One of the many rows of a dataset."""
    if name != "time_entries":
        return {"id": number, "workspace_id": 10, "name": f"{name} {number}"}
    moment = f"{DAY}T10:00:00+01:00"
    entry = {"id": number, "seconds": 0, "start": moment, "stop": moment, "at": moment}
    return {"user_id": 7, "description": "", "tag_ids": [1], "time_entries": [entry]}


def body(name: str) -> bytes:
    """A million rows as JSON."""
    rows = ", ".join(json.dumps(row(name, FIRST + number)) for number in range(MILLION))
    return (f'{{"data": [{rows}]}}' if name == "tasks" else f"[{rows}]").encode()


class Crowded(Toggl):
    """A company one list of which brings a million rows at once, whatever was asked."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._path = re.compile(
            r".*/workspace/10/search/time_entries" if name == "time_entries" else rf".*/workspaces/10/{name}"
        )
        self._reply = Answer(body=body(name)).reply()

    async def _answer(self, request: Request) -> Reply:
        asked = json.loads(request.body or b"{}")
        # A report shows what began in its range; the many are the first page of whatever brings them.
        in_range = asked.get("start_date", DAY) <= DAY <= asked.get("end_date", DAY)
        page = parse_qs(request.query).get("page", ["1"])
        first = in_range and page == ["1"] and "first_row_number" not in asked
        if self._path.fullmatch(request.path) and first:
            return self._reply
        return await super()._answer(request)


def ids_in(file: Path) -> Iterator[int]:
    with file.open("rb") as lines:
        yield from (json.loads(line)["id"] for line in lines)


@pytest.mark.parametrize("name", [*LISTS, "time_entries"])
def test_a_million_rows_in_one_answer_arrive(name: str, tmp_path: Path) -> None:
    with Crowded(name) as toggl:
        manifest = toggl.export(tmp_path, "jsonl")
        assert manifest.datasets[name].rows >= MILLION
        found = Counter(ids_in(tmp_path / f"{name}.jsonl"))
        assert all(found[number] == 1 for number in itertools.chain(range(FIRST, FIRST + MILLION)))
        updated = toggl.export(tmp_path, "jsonl")
        assert updated.datasets[name].rows >= MILLION
        assert Counter(ids_in(tmp_path / f"{name}.jsonl")) == found
    record("a million rows", name, {"all there, and after an update": 1})


def test_a_million_records_are_read(tmp_path: Path) -> None:
    with Crowded("tags") as toggl:
        tags = toggl.run(lambda client: client.workspace(10).tags.list())
    assert [tag.id for tag in tags] == list(range(FIRST, FIRST + MILLION))
    record("a million rows", "tags.list", {"all there": 1})
