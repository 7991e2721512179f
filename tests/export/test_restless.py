"""Truth under change: whoever works while an export or an update runs loses nothing by it.

Three kinds of changes once had a row marked as deleted that Toggl still had: one that moved to where the run
looked later, one that moved to where it had looked before, and one that moved to where it compared no totals.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from support.export_company import FIRST, NOW, SECOND, Company, Entry
from support.export_updates import run
from support.export_written import ids
from support.pairs import first_of
from support.restless import marked_as_deleted, trial
from toggl_async.export import ExportPlan

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
ENTRIES = ExportPlan(datasets=("time_entries",))
NIGHTS = 20
"""Parts that the nightly seeds are dealt out in."""


async def try_seeds(seeds: range, folder: Path) -> None:
    wrong = {seed: found for seed in seeds if (found := (await trial(seed, folder / str(seed)))[0])}
    assert not wrong, wrong


@pytest.mark.parametrize("part", first_of(range(4)))
async def test_what_changes_meanwhile_is_true_after_the_next_update(tmp_path: Path, part: int) -> None:
    await try_seeds(range(5 * part, 5 * part + 5), tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(NIGHTS))
async def test_a_thousand_seeds_of_changes(
    tmp_path: Path, part: int, record_property: Callable[[str, int], None]
) -> None:
    count = max(1, settings().max_examples // 5 // NIGHTS)
    await try_seeds(range(1_000 + part * count, 1_000 + (part + 1) * count), tmp_path)
    record_property("seeds", count)


def watched(company: Company, folder: Path, dataset: str = "time_entries") -> list[set[int]]:
    """What the mirror has marked as deleted, before each request that the company is asked from now on."""
    seen: list[set[int]] = []
    before = company.before

    def look(path: str, body: Any) -> Any:
        seen.append(marked_as_deleted(folder / "mirror.sqlite", dataset))
        return before(path, body)

    company.before = look
    return seen


async def test_an_entry_moves_behind_the_days_that_are_read_again(tmp_path: Path) -> None:
    company = Company(24)
    await run(company, tmp_path, plan=ENTRIES)
    moved = company.entries[0]
    company.now += DAY
    moved.start, moved.at = NOW - 300 * DAY, company.now
    seen = watched(company, tmp_path)
    await run(company, tmp_path, plan=ENTRIES)
    assert not any(seen)
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_a_project_moves_to_a_workspace_that_is_read_later(tmp_path: Path) -> None:
    company, plan = Company(3), ExportPlan(datasets=("projects",))
    company.lists["projects"].append({"id": 77, "workspace_id": FIRST, "name": "moves"})
    await run(company, tmp_path, plan=plan)
    company.lists["projects"][-1]["workspace_id"] = SECOND
    seen = watched(company, tmp_path, "projects")
    await run(company, tmp_path, plan=plan)
    assert not any(seen)
    assert 77 in ids(tmp_path, "jsonl", "projects")


async def test_an_entry_moves_to_a_month_that_agreed(tmp_path: Path) -> None:
    """It moves after all was compared and before its own month, of which a row was edited, is read again."""
    company = Company(24)
    edited, moved = company.entries[6], company.entries[7]
    assert edited.workspace_id == moved.workspace_id == FIRST
    moved.start = edited.start + dt.timedelta(hours=1)
    reads = 0

    def meanwhile(path: str, body: Any) -> None:
        nonlocal reads
        if path.endswith("totals"):
            edited.seconds = 72
        if path.endswith("search/time_entries") and edited.seconds == 72:
            reads += 1
            moved.start = NOW - 30 * DAY

    company.before = meanwhile
    seen = watched(company, tmp_path)
    manifest = await run(company, tmp_path, plan=ENTRIES)
    assert reads > 1  # its new month, too
    assert not any(seen)
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]
    assert manifest.totals_agree is True


async def test_an_entry_moves_again_and_again(tmp_path: Path) -> None:
    """Always to where nobody looks any more: it is kept, and the next update finds it."""
    company = Company(24)
    edited, moved = company.entries[6], company.entries[7]
    moved.start = edited.start + dt.timedelta(hours=1)

    def meanwhile(path: str, body: Any) -> None:
        if path.endswith("totals"):
            edited.seconds = 72
        elif path.endswith("search/time_entries") and edited.seconds == 72:
            moved.start -= 64 * DAY

    company.before = meanwhile
    seen = watched(company, tmp_path)
    manifest = await run(company, tmp_path, plan=ENTRIES)
    assert manifest.totals_agree is False
    company.before = lambda path, body: None
    assert (await run(company, tmp_path, plan=ENTRIES, recheck=None)).totals_agree is True
    assert not any(seen)
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_an_entry_moves_to_the_empty_range_that_was_the_last_to_be_read(tmp_path: Path) -> None:
    company = Company(0)
    company.entries = [Entry(n, FIRST, NOW - 10 * n * DAY, 60 + n) for n in range(1, 13)]
    await run(company, tmp_path, plan=ENTRIES)
    company.now += DAY
    moved = company.entries[0]

    def meanwhile(path: str, body: Any) -> None:
        if path.endswith("totals"):
            moved.start, moved.at = NOW - 500 * DAY, company.now

    company.before = meanwhile
    seen = watched(company, tmp_path)
    manifest = await run(company, tmp_path, plan=ENTRIES)
    assert not any(seen)
    assert manifest.totals_agree is True
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]
