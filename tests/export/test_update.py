"""Updates of a finished export: edits and deletions are applied, and little is asked for."""

import asyncio
import contextlib
import datetime as dt
import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, TOKEN_REFUSED, ZONE, Company, Entry
from support.export_updates import equals_a_fresh_export, run
from support.export_written import everything, ids, in_each_format, rows
from support.pairs import first_of
from toggl_async import LoginRefused
from toggl_async.export import ExportPlan, Manifest, RowsWritten

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)


@in_each_format
async def test_edits_and_deletions_are_applied(tmp_path: Path, form: str) -> None:
    directory = tmp_path / "export"
    company = Company()
    first = await run(company, directory, form)
    assert not first.update
    company.now = NOW + 2 * DAY

    def entry(number: int) -> Entry:
        return company.entries[number - 1]

    # Recent ones, of whomever.
    company.entries.append(Entry(100, FIRST, NOW + DAY, 99))
    entry(1).description = "an edit that changes no sum"
    company.entries.append(Entry(101, SECOND, NOW - 40 * DAY, 7, at=NOW + DAY))
    # Old ones: a deletion and a move of the caller's own, and somebody else's new length.
    entry(10).deleted, entry(10).at = True, NOW + DAY
    entry(11).start, entry(11).at = entry(11).start - 45 * DAY, NOW + DAY
    entry(20).seconds += 1000
    company.lists["tags"][0]["name"] = "renamed"
    del company.lists["clients"][2]
    company.lists["projects"].append({"id": 9, "workspace_id": FIRST, "name": "new"})
    company.log.clear()

    manifest = await run(company, directory, form)
    await equals_a_fresh_export(company, directory, form)
    assert manifest.update
    assert manifest.totals_agree is True
    assert {100, 101, 11, 20} < {*ids(directory, form)}
    assert 10 not in ids(directory, form)
    assert manifest.datasets["time_entries"].read_from == NOW.date() - 31 * DAY
    assert manifest.datasets["tags"].as_of == company.now
    assert manifest.datasets["time_entries"].rows == len(ids(directory, form))

    again = await run(company, directory, form)
    await equals_a_fresh_export(company, directory, form)
    assert again.rows == manifest.rows


@pytest.mark.linux
async def test_nothing_new_costs_few_requests(tmp_path: Path) -> None:
    company = Company(60, days=10)
    plan = ExportPlan(datasets=("time_entries",))
    before = await run(company, tmp_path, plan=plan)
    data = sorted((tmp_path / "time_entries.jsonl").read_bytes().splitlines())
    after = await run(company, tmp_path, plan=plan)
    assert sorted((tmp_path / "time_entries.jsonl").read_bytes().splitlines()) == data
    assert after.requests < before.requests
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "manifest.json",
        "mirror.sqlite",
        "time_entries.jsonl",
    ]


@in_each_format
async def test_a_file_that_is_gone_or_was_edited_is_written_again(tmp_path: Path, form: str) -> None:
    """The mirror has the rows: nothing but what changed is asked for."""
    directory = tmp_path / "export"
    company = Company(60, days=10)
    first = await run(company, directory, form)
    for number, path in enumerate(directory.glob(f"*.{form}")):
        if path.name != "mirror.sqlite":
            path.unlink()
            if number % 2:
                path.write_bytes(b"edited by hand")
    company.now = NOW + DAY
    manifest = await run(company, directory, form)
    await equals_a_fresh_export(company, directory, form)
    assert manifest.datasets["time_entries"].rows == 60
    assert manifest.requests < first.requests


async def test_a_long_list_is_asked_for_what_changed(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company()
    company.lists["projects"] = [
        {"id": number, "workspace_id": FIRST, "name": f"P{number}"} for number in range(1, 302)
    ]
    plan = ExportPlan(datasets=("projects",))
    await run(company, directory, plan=plan)
    await run(company, directory, plan=plan)  # all of it a second time: its pages may have moved
    assert not any("since" in query for query in company.asked("/projects"))
    company.now = NOW + DAY
    changed = int(company.now.timestamp())
    company.lists["projects"][4].update(name="renamed", at=changed)
    company.lists["projects"][5].update(at=changed, server_deleted_at=company.now.isoformat())
    company.log.clear()
    await run(company, directory, plan=plan)
    found = {row["id"]: row["name"] for row in rows(directory, "jsonl", "projects")}
    assert found[5] == "renamed"
    assert 6 not in found
    assert len(found) == 300
    asked = [query for query in company.asked("/projects") if "since" in query]
    assert [int(query["since"]) for query in asked] == [int(NOW.timestamp()) - 60]


async def test_a_list_that_spans_pages_is_read_whole_where_changes_are_not_offered(tmp_path: Path) -> None:
    company = Company()
    company.lists["tags"] = [
        {"id": number, "workspace_id": FIRST, "name": f"T{number}"} for number in range(1, 450)
    ]
    plan = ExportPlan(datasets=("tags",), workspaces=(FIRST,))
    await run(company, tmp_path, plan=plan)
    del company.lists["tags"][100]
    company.lists["tags"][5]["name"] = "renamed"
    await run(company, tmp_path, plan=plan)
    found = {row["id"]: row["name"] for row in rows(tmp_path, "jsonl", "tags")}
    assert len(found) == 448
    assert 101 not in found
    assert found[6] == "renamed"


@in_each_format
async def test_an_update_that_is_cut_off_goes_on(tmp_path: Path, form: str) -> None:
    directory = tmp_path / "export"
    company = Company(40, days=3)
    await run(company, directory, form)
    company.now = NOW + DAY
    for number in (1, 2, 3, 20):
        company.entries[number - 1].seconds += 5
    company.entries[5].deleted, company.entries[5].at = True, NOW
    company.lists["tags"][0]["name"] = "renamed"
    stops = 0
    task: asyncio.Task[Manifest]

    def stop(event: object) -> None:
        nonlocal stops
        if isinstance(event, RowsWritten) and event.dataset == "time_entries":
            stops += 1
            task.cancel()

    for _ in range(60):
        task = asyncio.ensure_future(run(company, directory, form, on_event=stop, update=stops == 0))
        try:
            await task
        except asyncio.CancelledError:
            continue
        break
    manifest = json.loads((directory / "manifest.json").read_bytes())
    assert stops > 3
    assert manifest["update"] is True
    assert manifest["complete"] is True
    assert manifest["totals_agree"] is True
    await equals_a_fresh_export(company, directory, form)


@pytest.mark.parametrize("shifts", [False, True])
async def test_an_update_that_is_cut_off_among_the_edits_goes_on_from_there(
    tmp_path: Path, shifts: bool
) -> None:
    """Nothing is read twice, unless rows had moved before the cut: the rest can't show what was missed."""
    directory, company = tmp_path / "export", Company(60, days=5)
    company.announces = True
    plan = ExportPlan(datasets=("time_entries",), workspaces=(FIRST,))
    await run(company, directory, plan=plan)
    company.now = NOW + DAY
    edited = [entry for entry in company.entries if entry.workspace_id == FIRST][10:23]
    for number, entry in enumerate(edited):
        entry.description, entry.at = "edited", NOW + dt.timedelta(minutes=number)
    asked: list[int] = []

    def cut_at(page: int) -> Any:
        def before(path: str, body: Any) -> httpx.Response | None:
            if not path.endswith("search/time_entries") or body["order_by"] != "last_update":
                return None
            if not body["start_date"] <= str(edited[0].day) <= body["end_date"]:
                return None
            asked.append(body.get("first_row_number", 1))
            if shifts and len(asked) == 2:  # the first page, which was read, loses a row
                edited[-1].deleted = True
            return httpx.Response(403, json=TOKEN_REFUSED) if len(asked) == page else None

        return before

    company.before = cut_at(4)
    with pytest.raises(LoginRefused):
        await run(company, directory, plan=plan)
    assert asked == [1, 5, 9, 13]
    asked.clear()
    company.before = cut_at(0)
    await run(company, directory, plan=plan)
    assert asked[0] == 13
    assert asked.count(1) == (1 if shifts else 0)
    shown = {row["id"]: row["description"] for row in rows(directory, "jsonl", "time_entries")}
    assert {shown.get(entry.id) for entry in edited if not entry.deleted} == {"edited"}


async def test_a_workspace_that_is_new_is_read_whole(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company()
    hidden = {"id": FIRST, "name": "W10", "organization_id": 1}

    def only_one(path: str, body: Any) -> httpx.Response | None:
        me = {"id": 7, "fullname": "Zoë", "email": "z@example.com", "workspaces": [hidden]}
        headers = {"Date": "Mon, 15 Jun 2026 12:00:00 GMT"}
        return httpx.Response(200, json=me, headers=headers) if path == "/api/v9/me" else None

    company.before = only_one
    await run(company, directory)
    company.before = lambda path, body: None
    manifest = await run(company, directory)
    assert manifest.workspaces == (FIRST, SECOND)
    await equals_a_fresh_export(company, directory)


async def test_dates_of_the_plan_hold_in_updates_too(tmp_path: Path) -> None:
    company = Company()
    old = ExportPlan(datasets=("time_entries",), until=NOW.date() - 100 * DAY)
    await run(company, tmp_path / "old", plan=old)
    company.entries[10].seconds, company.entries[10].at = 5000, NOW
    before = ids(tmp_path / "old", "jsonl")
    await run(company, tmp_path / "old", plan=old)
    assert ids(tmp_path / "old", "jsonl") == before
    (changed,) = (row for row in rows(tmp_path / "old", "jsonl", "time_entries") if row["id"] == 11)
    assert changed["seconds"] == 5000

    recent = ExportPlan(datasets=("time_entries",), since=NOW.date() - 50 * DAY)
    await run(company, tmp_path / "recent", plan=recent)
    company.entries[0].seconds = 1
    company.entries[11].at = NOW  # before the plan begins
    await run(company, tmp_path / "recent", plan=recent)
    days = {row["start"][:10] for row in rows(tmp_path / "recent", "jsonl", "time_entries")}
    assert min(days) >= str(recent.since)


async def test_a_running_entry_is_replaced_by_itself_and_by_its_end(tmp_path: Path) -> None:
    directory = tmp_path / "export"
    company = Company(6)
    company.running = {
        "id": 99, "workspace_id": FIRST, "user_id": 7, "start": (NOW - 60 * DAY).isoformat(),
        "stop": None, "duration": -1,
    }  # fmt: skip
    await run(company, directory)
    assert [row["stop"] for row in rows(directory, "jsonl", "time_entries") if row["id"] == 99] == [None]
    company.running["description"] = "still running"
    await run(company, directory)
    found = [row for row in rows(directory, "jsonl", "time_entries") if row["id"] == 99]
    assert [row["description"] for row in found] == ["still running"]
    company.running = None
    company.entries.append(Entry(99, FIRST, NOW - 60 * DAY, 3600, at=NOW))
    await run(company, directory)
    found = [row for row in rows(directory, "jsonl", "time_entries") if row["id"] == 99]
    assert [row["seconds"] for row in found] == [3600]
    assert rows(directory, "jsonl", "time_entries")[0]["start"].endswith(str(ZONE)[3:])


async def test_own_changes_that_are_odd_or_elsewhere_do_no_harm(tmp_path: Path) -> None:
    company = Company(24)
    company.sorts = False  # else they are met among the edits
    for number, entry in enumerate(company.entries):
        entry.at -= number * DAY
    plan = ExportPlan(datasets=("time_entries",), workspaces=(FIRST,))
    await run(company, tmp_path, plan=plan)
    changes = [
        {"id": 1},
        {"id": 2, "workspace_id": FIRST, "start": "odd"},
        {"id": 3, "workspace_id": SECOND, "start": "2026-01-01T00:00:00Z"},
        {"id": 4, "workspace_id": FIRST, "start": "2026-02-01T00:00:00Z"},
        {"id": 5, "workspace_id": FIRST, "start": "2026-02-03T00:00:00Z"},
        {"id": 6, "workspace_id": FIRST, "start": "2026-02-20T00:00:00Z"},
    ]
    company.before = lambda path, body: (
        httpx.Response(200, json=changes) if path.endswith("/me/time_entries") else None
    )
    company.log.clear()
    await run(company, tmp_path, plan=plan)
    asked = {(body["start_date"], body["end_date"]) for body in company.asked("search/time_entries")}
    assert ("2026-01-31", "2026-02-04") in asked
    assert ("2026-02-19", "2026-02-21") in asked
    assert not {days for days in asked if "2025-12-30" < days[0] < "2026-01-31"}


async def test_an_interrupted_update_says_so(tmp_path: Path) -> None:
    company = Company()
    await run(company, tmp_path, "sqlite")
    company.refuse_the_token_at("/tags")
    with pytest.raises(LoginRefused):
        await run(company, tmp_path, "sqlite")
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (manifest["complete"], manifest["update"]) == (False, True)
    assert (tmp_path / "toggl.sqlite").exists()  # that of the run before
    company.before = lambda path, body: None
    await run(company, tmp_path, "sqlite")
    assert (tmp_path / "toggl.sqlite").exists()


@pytest.mark.parametrize("form", first_of(["sqlite", "duckdb"]))
async def test_rows_that_are_gone_from_a_database_come_back(tmp_path: Path, form: str) -> None:
    """Toggl's totals would not tell: the entry that is lost has no length."""
    company = Company(12)
    company.entries[3].seconds = 0
    await run(company, tmp_path, form)
    before = everything(tmp_path, form)
    path = tmp_path / f"toggl.{form}"
    connection: Any = sqlite3.connect(path) if form == "sqlite" else duckdb.connect(str(path))
    with contextlib.closing(connection):
        connection.execute("DELETE FROM time_entries WHERE id = ?", (company.entries[3].id,))
        connection.commit()
    assert everything(tmp_path, form) != before
    company.now = NOW + DAY
    manifest = await run(company, tmp_path, form, recheck=0)
    assert manifest.complete
    assert everything(tmp_path, form) == before


async def test_the_manifest_claims_nothing_while_an_update_is_under_way(tmp_path: Path) -> None:
    """Whoever is killed meanwhile leaves what it says then."""
    company = Company()
    assert (await run(company, tmp_path)).complete
    said: list[tuple[Any, ...]] = []

    def looking(path: str, body: Any) -> httpx.Response | None:
        told = json.loads((tmp_path / "manifest.json").read_bytes())
        said.append((path, told["finished"], told["complete"], told["error"]))
        return httpx.Response(403, json="Incorrect username and/or password") if len(said) == 9 else None

    company.now, company.before = NOW + DAY, looking
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    at_first, *later = said
    assert at_first == ("/api/v9/me", True, True, None)  # nothing has begun
    begun = [what for what in later if what[0] != "/api/v9/me/organizations"]
    assert len(begun) >= 5
    assert {what[1:] for what in begun} == {(False, False, "under way")}
    company.before = lambda path, body: None
    assert (await run(company, tmp_path, update=False)).complete  # goes on with the update
