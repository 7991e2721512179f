"""Comparing with Toggl's totals, while entries are edited and deleted."""

import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, Company, Entry
from support.export_updates import run as updated
from support.export_written import ids, in_each_format, rows
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import ExportPlan, Manifest, MonthCheck, export
from toggl_async.export.mirror.pieces import months_of
from toggl_async.export.plan.plan import DateRange

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=0.001))
DAY = dt.timedelta(days=1)


async def run(company: Company, directory: Path, plan: ExportPlan, form: str = "jsonl") -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await export(client, plan, directory, format=form)


def plan(**choices: Any) -> ExportPlan:
    return ExportPlan(datasets=("time_entries",), workspaces=(FIRST,), **choices)


def test_months() -> None:
    days = DateRange(dt.date(2025, 12, 30), dt.date(2026, 2, 1))
    assert months_of(days) == [
        DateRange(dt.date(2025, 12, 30), dt.date(2025, 12, 31)),
        DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 31)),
        DateRange(dt.date(2026, 2, 1), dt.date(2026, 2, 1)),
    ]


async def test_rows_and_seconds_of_each_month(tmp_path: Path) -> None:
    company = Company(9, days=10)
    manifest = await run(company, tmp_path, plan(since=dt.date(2026, 4, 1), until=dt.date(2026, 6, 30)))
    (check,) = manifest.ranges
    assert check.months == tuple(
        MonthCheck(
            month=month,
            rows=sum(entry.day.replace(day=1) == month for entry in taken),
            seconds=(seconds := sum(entry.seconds for entry in taken if entry.day.replace(day=1) == month)),
            server_seconds=seconds,
        )
        for month in (dt.date(2026, 4, 1), dt.date(2026, 5, 1), dt.date(2026, 6, 1))
        for taken in [[entry for entry in company.entries if entry.workspace_id == FIRST]]
    )
    assert check.rows == 5
    assert check.agrees is True


@in_each_format
async def test_what_is_edited_deleted_and_moved_meanwhile(tmp_path: Path, form: str) -> None:
    company = Company(0)
    company.entries = [Entry(number, FIRST, NOW - number * DAY, 60 + number) for number in range(1, 31)]
    changed = False

    def meanwhile(path: str, body: Any) -> None:
        nonlocal changed
        if path.endswith("search/time_entries") and body.get("first_row_number") == 13 and not changed:
            changed = True
            first, second, third = company.entries[-1], company.entries[-2], company.entries[2]
            first.deleted = True  # on a page that was read: everything behind it moves up a row
            second.seconds = 999  # likewise
            third.start = NOW - 29 * DAY  # from a page that was not read to one that was

    company.before = meanwhile
    manifest = await run(company, tmp_path, plan(since=NOW.date() - 40 * DAY, until=NOW.date()), form)
    assert changed
    assert manifest.totals_agree is True
    assert ids(tmp_path, form) == list(range(1, 30))
    seconds = {int(row["id"]): int(row["seconds"]) for row in rows(tmp_path, form, "time_entries")}
    assert seconds == {entry.id: entry.seconds for entry in company.entries if not entry.deleted}
    # One entry that was 29th last, and a month or two again.
    assert sum("start_date" in body for body in company.asked("search/time_entries")) < 24


async def test_a_difference_that_stays_is_reported_and_tried_once(tmp_path: Path) -> None:
    company = Company(9, days=10)

    def lie(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith("totals"):
            return None
        answer, _ = company._report(path.strip("/").split("/"), body)
        answer["seconds"] += 1
        answer["graph"][1]["seconds"] += 1
        return httpx.Response(200, json=answer)

    company.before = lie
    manifest = await run(company, tmp_path, plan(since=dt.date(2026, 4, 1), until=dt.date(2026, 6, 30)))
    (check,) = manifest.ranges
    assert (manifest.totals_agree, manifest.complete) == (False, False)
    assert manifest.datasets["time_entries"].complete is False
    assert [month.server_seconds != month.seconds for month in check.months] == [False, True, False]
    asked = [(body["start_date"], body["end_date"]) for body in company.asked("search/time_entries")]
    assert asked.count(("2026-05-01", "2026-05-31")) == 1
    assert len(company.asked("totals")) == 2
    assert len(ids(tmp_path, "jsonl")) == 5


@pytest.mark.parametrize(("seconds", "complete"), [(1, False), (-1, True)])
async def test_an_export_is_incomplete_where_toggl_has_more(
    tmp_path: Path, seconds: int, complete: bool
) -> None:
    company = Company(9, days=10)

    def lie(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith("totals") or body["start_date"] > "2026-05-01":
            return None
        answer, _ = company._report(path.strip("/").split("/"), body)
        answer["seconds"] += seconds
        answer["graph"][-1]["seconds"] += seconds
        return httpx.Response(200, json=answer)

    company.before = lie
    chosen = plan(since=dt.date(2026, 4, 1), until=dt.date(2026, 6, 30))
    manifest = await updated(company, tmp_path, plan=chosen)
    assert (manifest.finished, manifest.complete, manifest.failed) == (True, complete, ())
    # What is read of it alone doesn't show that the rest is whole.
    manifest = await updated(company, tmp_path, plan=chosen, datasets=["time_entries"], older=False)
    assert (manifest.totals_agree, manifest.complete) == (True, complete)
    company.before = lambda path, body: None
    manifest = await updated(company, tmp_path, plan=chosen)
    assert (manifest.totals_agree, manifest.complete) == (True, True)


async def test_a_difference_everywhere_is_not_read_again(tmp_path: Path) -> None:
    company = Company(20, days=15)

    def lie(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith("totals"):
            return None
        answer, _ = company._report(path.strip("/").split("/"), body)
        answer["seconds"] += 1
        for point in answer["graph"]:
            point["seconds"] += 60
        return httpx.Response(200, json=answer)

    company.before = lie
    manifest = await run(company, tmp_path, plan(since=dt.date(2025, 9, 1), until=dt.date(2026, 6, 30)))
    assert manifest.totals_agree is False
    assert len(company.asked("totals")) == 1
    assert len({body["start_date"] for body in company.asked("search/time_entries")}) == 1


async def test_a_workspace_that_becomes_forbidden_midway(tmp_path: Path) -> None:
    company = Company(30)
    locked_out = False

    def lock_out(path: str, body: Any) -> httpx.Response | None:
        nonlocal locked_out
        mine = f"/workspace/{FIRST}/" in path
        locked_out = locked_out or (mine and body.get("first_row_number") == 9)
        return httpx.Response(403, json="no access") if mine and locked_out else None

    company.before = lock_out
    whole = ExportPlan(datasets=("time_entries", "tags"))
    manifest = await run(company, tmp_path, whole)
    assert (manifest.finished, manifest.complete) == (True, False)
    (refusal,) = manifest.refused
    assert (refusal.workspace_id, refusal.status) == (FIRST, 403)
    found = rows(tmp_path, "jsonl", "time_entries")
    assert {row["id"] for row in found if row["workspace_id"] != FIRST} == {
        entry.id for entry in company.entries if entry.workspace_id != FIRST
    }
    assert 0 < sum(row["workspace_id"] == FIRST for row in found) < 20
    assert len(ids(tmp_path, "jsonl", "tags")) == 5
