"""Rows that move while an export reads, or between two runs, are never deleted for it."""

import datetime as dt
from pathlib import Path
from typing import Any

import attrs
import pytest

from support.export_company import FIRST, NOW, SECOND, Company, Entry
from support.export_updates import equals_a_fresh_export, run
from support.export_written import ids, in_each_format, rows
from toggl_async.export import ExportPlan

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)


def of_the_first(**choices: Any) -> ExportPlan:
    return ExportPlan(datasets=("time_entries",), workspaces=(FIRST,), **choices)


@in_each_format
@pytest.mark.parametrize("slow", ["2026-03", "2026-05"])
async def test_an_entry_gets_another_date_between_reading_and_comparing(
    tmp_path: Path, form: str, slow: str
) -> None:
    """Two months are read again; whichever ends last, the entry stays."""
    company = Company(0)
    company.entries = [Entry(n, FIRST, NOW - dt.timedelta(days=10 * n), 60 + n) for n in range(1, 13)]
    moved = company.entries[2]  # 16 May

    def meanwhile(path: str, body: Any) -> None:
        if path.endswith("totals"):
            moved.start = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)

    company.before = meanwhile
    company.page = 1 if slow == "2026-03" else 4
    plan = of_the_first(since=dt.date(2026, 1, 1), until=NOW.date())
    manifest = await run(company, tmp_path, form, plan, update=False)
    assert ids(tmp_path, form) == [entry.id for entry in company.entries]
    assert manifest.totals_agree is True


@attrs.define
class EntryOfAnotherZone(Entry):
    """One that Toggl counts by the day in UTC, though its offset names another."""

    @property
    def day(self) -> dt.date:
        return self.start.date()


@pytest.mark.parametrize("seconds", [0, 60])
@in_each_format
async def test_an_entry_stands_on_another_day_by_its_own_offset(
    tmp_path: Path, form: str, seconds: int
) -> None:
    company = Company(12)
    first = NOW.date() - dt.timedelta(days=31)  # the first of the days that the update reads again
    start = dt.datetime.combine(first - DAY, dt.time(23, 30), dt.UTC)
    company.entries.append(EntryOfAnotherZone(99, FIRST, start, seconds))
    await run(company, tmp_path, form, of_the_first())
    assert 99 in ids(tmp_path, form)
    await run(company, tmp_path, form, of_the_first())
    assert 99 in ids(tmp_path, form)


@in_each_format
async def test_an_entry_of_no_length_moves_to_another_workspace(tmp_path: Path, form: str) -> None:
    company = Company(12)
    company.entries.append(Entry(99, FIRST, NOW - DAY, 0))
    await run(company, tmp_path / "x", form)
    company.now = NOW + DAY
    company.entries[-1].workspace_id = SECOND
    await run(company, tmp_path / "x", form)
    assert 99 in ids(tmp_path / "x", form)
    await equals_a_fresh_export(company, tmp_path / "x", form)


@in_each_format
@pytest.mark.parametrize(("before", "after"), [(FIRST, SECOND), (SECOND, FIRST)])
@pytest.mark.sampled(1)
async def test_a_project_moves_to_another_workspace(
    tmp_path: Path, form: str, before: int, after: int
) -> None:
    company = Company(3)
    company.lists["projects"].append({"id": 77, "workspace_id": before, "name": "moves"})
    await run(company, tmp_path / "x", form)
    company.lists["projects"][-1]["workspace_id"] = after
    await run(company, tmp_path / "x", form)
    found = {int(row["id"]): int(row["workspace_id"]) for row in rows(tmp_path / "x", form, "projects")}
    assert found[77] == after


async def test_what_was_deleted_on_the_first_day_of_a_whole_range_goes(tmp_path: Path) -> None:
    """The range is as long as a report may be, so that no day more can be asked for beside it."""
    company = Company(60)
    ranges = (await run(company, tmp_path / "x")).ranges
    longest = max(ranges, key=lambda days: days.last - days.first)
    start = dt.datetime.combine(longest.first, dt.time(9), dt.UTC)
    company.entries.append(Entry(99, longest.workspace_id, start))
    await run(company, tmp_path / "x", recheck=None)
    assert 99 in ids(tmp_path / "x", "jsonl")
    company.entries[-1].deleted = True
    manifest = await run(company, tmp_path / "x", recheck=None)
    assert manifest.complete
    assert 99 not in ids(tmp_path / "x", "jsonl")


@in_each_format
async def test_what_was_deleted_goes(tmp_path: Path, form: str) -> None:
    company = Company(24)
    company.entries.append(Entry(99, FIRST, NOW - DAY, 0))
    await run(company, tmp_path / "x", form)
    company.now = NOW + DAY
    for number in (0, 1, 24):
        company.entries[number].deleted = True
        company.entries[number].at = company.now
    company.lists["tags"].pop()
    await run(company, tmp_path / "x", form)
    assert {1, 2, 99}.isdisjoint(ids(tmp_path / "x", form))
    await equals_a_fresh_export(company, tmp_path / "x", form)
