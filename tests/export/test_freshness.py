"""How fresh an update is: old edits by others, what is odd, and what it could not read."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, Company, Entry
from support.export_updates import equals_a_fresh_export, run
from support.export_written import everything, ids, in_each_format, rows
from toggl_async import InvalidInput
from toggl_async.export import ExportPlan, Manifest, RowsWritten, Stale

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)


def old_edit(company: Company) -> Entry:
    """Somebody edits an entry of long ago, and no sum changes."""
    edited = company.entries[16]
    assert edited.day < NOW.date() - 300 * DAY
    edited.description, edited.at = "edited by somebody else", company.now
    return edited


@in_each_format
async def test_an_old_edit_by_somebody_else_that_changes_no_sum(tmp_path: Path, form: str) -> None:
    directory = tmp_path / "export"
    company = Company(60, page=1000)
    before = await run(company, directory, form)
    company.now = NOW + 40 * DAY
    edited = old_edit(company)
    company.log.clear()
    manifest = await run(company, directory, form)
    (row,) = (row for row in rows(directory, form, "time_entries") if int(row["id"]) == edited.id)
    assert row["description"] == edited.description
    await equals_a_fresh_export(company, directory, form)
    # A request for each range that is looked at; nothing else of these days is read.
    asked = [body for body in company.asked("search/time_entries") if body["order_by"] == "last_update"]
    assert len(asked) == len(before.ranges)
    facts = manifest.datasets["time_entries"]
    assert (facts.as_of, facts.older_edits_as_of, facts.older_read_at) == (company.now, company.now, NOW)


async def test_edits_that_fill_pages_are_read_to_where_the_last_run_had_come(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company(60)
    await run(company, directory)
    company.now = NOW + DAY
    mine = [entry for entry in company.entries if entry.workspace_id == FIRST and entry.day.year == 2025]
    for place, entry in enumerate(mine[:6]):
        entry.description, entry.at = "edited", NOW + place * dt.timedelta(hours=1)
    task: asyncio.Task[Manifest]

    def stop(event: object) -> None:
        if isinstance(event, RowsWritten) and event.rows == 4 and event.workspace_id == FIRST:
            task.cancel()

    task = asyncio.ensure_future(run(company, directory, on_event=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    company.log.clear()
    await run(company, directory)
    edits = [body for body in company.asked("search/time_entries") if body["order_by"] == "last_update"]
    assert [body["first_row_number"] for body in edits if "first_row_number" in body].count(5) == 1
    await equals_a_fresh_export(company, directory)


async def test_a_report_that_is_not_sorted_as_it_was_asked_to(tmp_path: Path) -> None:
    company = Company(60)
    company.sorts = False
    for number, entry in enumerate(company.entries):
        entry.at -= number * DAY
    await run(company, tmp_path)
    company.now = NOW + 40 * DAY
    theirs, own = old_edit(company), company.entries[17]
    own.description, own.at = "edited by the caller", company.now
    company.before = lambda path, body: (
        httpx.Response(200, json=[company._track(own)]) if path.endswith("/me/time_entries") else None
    )
    manifest = await run(company, tmp_path)
    found = {row["id"]: row["description"] for row in rows(tmp_path, "jsonl", "time_entries")}
    assert found[own.id] == own.description
    assert found[theirs.id] == ""
    facts = manifest.datasets["time_entries"]
    assert (facts.as_of, facts.older_edits_as_of) == (company.now, NOW)
    # Once it is sorted, what was missed is asked for, too.
    company.sorts, company.now = True, NOW + 50 * DAY
    manifest = await run(company, tmp_path)
    found = {row["id"]: row["description"] for row in rows(tmp_path, "jsonl", "time_entries")}
    assert found[theirs.id] == theirs.description
    assert manifest.datasets["time_entries"].older_edits_as_of == company.now
    assert manifest.datasets["time_entries"].older_read_at == NOW


async def test_how_much_is_read_again_is_a_choice(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company(60, page=1000)
    await run(company, directory)
    company.now = NOW + DAY
    company.entries[30].description = "a change that Toggl does not count as one"
    company.entries[1].description = "another one"
    company.log.clear()
    little = await run(company, directory, recheck=0)
    asked = [body for body in company.asked("search/time_entries") if body["order_by"] == "date"]
    assert {body["start_date"] for body in asked} == {str(NOW.date())}
    facts = little.datasets["time_entries"]
    assert (facts.read_from, facts.older_read_at) == (NOW.date(), NOW)
    some = await run(company, directory, recheck=60)
    assert some.datasets["time_entries"].read_from == company.now.date() - 60 * DAY
    assert some.datasets["time_entries"].older_read_at == NOW
    found = {row["id"]: row["description"] for row in rows(directory, "jsonl", "time_entries")}
    assert (found[2], found[31]) == ("another one", "")
    whole = await run(company, directory, recheck=None)
    await equals_a_fresh_export(company, directory)
    facts = whole.datasets["time_entries"]
    assert (facts.read_from, facts.older_read_at, facts.older_edits_as_of) == (None, None, None)
    company.now = NOW + 2 * DAY
    after = await run(company, directory)
    assert after.datasets["time_entries"].older_read_at == NOW + DAY
    with pytest.raises(InvalidInput, match="recheck must be a number of days, 0 or more"):
        await run(company, directory, recheck=-1)


async def test_entries_that_are_made_older_than_all_others(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company(12)
    await run(company, directory)
    company.now = NOW + DAY
    for number, days in ((100, 500), (101, 860)):
        company.entries.append(Entry(number, SECOND, NOW - days * DAY, 50, at=company.now))
    manifest = await run(company, directory)
    assert {100, 101} < {*ids(directory, "jsonl")}
    assert manifest.totals_agree is True
    assert sum(check.rows for check in manifest.ranges) == 14
    await equals_a_fresh_export(company, directory)


@in_each_format
async def test_entries_are_kept_where_one_of_them_may_have_come_without_its_id(
    tmp_path: Path, form: str
) -> None:
    company = Company(6)
    company.entries.append(Entry(100, FIRST, NOW - 2 * DAY, 50, at=company.now))
    plan = ExportPlan(datasets=("time_entries",), since=dt.date(2026, 6, 1), until=dt.date(2026, 7, 16))
    await run(company, tmp_path, form, plan)
    before = {str(row["id"]) for row in rows(tmp_path, form, "time_entries")}

    def strange(path: str, body: Any) -> httpx.Response | None:
        if path.endswith(f"{FIRST}/search/time_entries"):
            entry = {"seconds": 60, "start": f"{body['end_date']}T10:00:00+01:00"}
            return httpx.Response(200, json=[{"row_number": 1, "time_entries": [entry]}])
        return None

    company.before = strange
    manifest = await run(company, tmp_path, form, plan)
    assert "got rows without an id, while other rows were missing" in {one.message for one in manifest.failed}
    assert not manifest.complete
    assert before < {str(row.get("id")) for row in rows(tmp_path, form, "time_entries")}


@in_each_format
async def test_rows_without_an_id_are_not_doubled(tmp_path: Path, form: str) -> None:
    company = Company(6)
    odd: list[Any] = [{"name": "no id"}, {"id": "x", "workspace_id": FIRST}, {"id": None}, {}]
    numbers = iter(range(1, 1000))

    def strange(path: str, body: Any) -> httpx.Response | None:
        if path.endswith((f"/{FIRST}/tags", f"/{FIRST}/users")):
            return httpx.Response(200, json=[*odd, {"id": 1, "workspace_id": FIRST}])
        if path.endswith(f"{FIRST}/search/time_entries"):
            start = f"{body['end_date'][:8]}01T10:00:00+01:00"
            entry = {"seconds": 60, "start": start}
            return httpx.Response(200, json=[{"row_number": next(numbers), "time_entries": [entry]}, {}])
        return None

    company.before = strange
    plan = ExportPlan(datasets=("users", "tags", "time_entries"), since=dt.date(2026, 6, 1))
    manifest = await run(company, tmp_path, form, plan)
    assert {(one.dataset, one.workspace_id) for one in manifest.failed} == {
        (name, FIRST) for name in plan.datasets
    }
    assert {one.message for one in manifest.failed} == {"got rows without an id"}
    assert not manifest.complete
    before = everything(tmp_path, form, plan.datasets)
    assert [len(before[name]) for name in ("users", "tags")] == [len(odd) + 4, len(odd) + 3]
    await run(company, tmp_path, form, plan)
    after = everything(tmp_path, form, plan.datasets)
    assert (after["users"], after["tags"]) == (before["users"], before["tags"])
    assert len(after["time_entries"]) == len(before["time_entries"])
    odd.pop(0)
    await run(company, tmp_path, form, plan)
    assert [len(rows(tmp_path, form, name)) for name in ("users", "tags")] == [len(odd) + 4, len(odd) + 3]


@in_each_format
async def test_what_an_update_cannot_read_stays_and_is_named(tmp_path: Path, form: str) -> None:
    directory = tmp_path / "export"
    company = Company(30)
    await run(company, directory, form)
    before = everything(directory, form)
    company.now = NOW + 40 * DAY
    old_edit(company)
    company.lists["tags"][0]["name"] = "renamed"

    def refuse(path: str, body: Any) -> httpx.Response | None:
        refused = path in {f"/api/v9/workspaces/{FIRST}/tags", f"/api/v9/workspaces/{FIRST}/groups"}
        return httpx.Response(403, json="no access") if refused or f"e/{FIRST}/search" in path else None

    company.before = refuse
    manifest = await run(company, directory, form)
    assert everything(directory, form) == before
    names = ("groups", "tags", "time_entries")
    stale = [Stale(dataset=name, workspace_id=FIRST, as_of=NOW) for name in names]
    assert list(manifest.stale) == stale
    assert {refusal.dataset for refusal in manifest.refused} == {*names}
    assert manifest.datasets["tags"].as_of == company.now
    # Now the token does not see that workspace at all.
    hidden = {"id": SECOND, "name": "W20", "organization_id": 1}
    me = {"id": 7, "fullname": "Zoë", "email": "z@example.com", "workspaces": [hidden]}
    date = {"Date": (NOW + 50 * DAY).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    company.before = lambda path, body: (
        httpx.Response(200, json=me, headers=date) if path == "/api/v9/me" else None
    )
    manifest = await run(company, directory, form)
    assert [one for one in manifest.stale if one.dataset in names] == stale
    assert {one.as_of for one in manifest.stale if one.dataset not in names} == {NOW + 40 * DAY}
    assert everything(directory, form)["time_entries"] == before["time_entries"]
    # It is back, and what happened since it was read is asked for.
    company.before, company.now = lambda path, body: None, NOW + 60 * DAY
    manifest = await run(company, directory, form)
    assert manifest.stale == ()
    await equals_a_fresh_export(company, directory, form)


async def test_what_was_never_readable_is_read_whole_once_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company(60)
    company.before = lambda path, body: (
        httpx.Response(403, json="no access") if f"e/{FIRST}/search" in path else None
    )
    manifest = await run(company, directory)
    assert (manifest.stale, len(manifest.refused)) == ((), 1)
    company.before, company.now = lambda path, body: None, NOW + DAY
    manifest = await run(company, directory)
    assert manifest.totals_agree is True
    await equals_a_fresh_export(company, directory)
