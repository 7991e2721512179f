"""What the sandbox never does: odd rows, entries that move, refusals, errors midway."""

import asyncio
import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import TOKEN_REFUSED
from support.export_scripted import OTHER, SEARCH, TOTALS, WORKSPACE, Scripted, entry, once, page
from toggl_async import ApiToken, DecodeError, InvalidInput, LoginRefused, Priority, Scheduler, TogglClient
from toggl_async.export import (
    DatasetFinished,
    ExportEvent,
    ExportPlan,
    ExportStarted,
    Manifest,
    PieceRefused,
    RangeChecked,
    RowsWritten,
    export,
    survey,
)
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.scheduler.events import Queued, SchedulerEvent

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

ENTRIES = ExportPlan(
    datasets=("time_entries",),
    since=dt.date(2026, 1, 1),
    until=dt.date(2026, 12, 31),
    workspaces=(WORKSPACE,),
)
RUNNING = {
    "id": 99, "workspace_id": WORKSPACE, "user_id": 7, "start": "2026-11-20T08:00:00+00:00", "stop": None,
    "duration": -1_780_000_000, "tags": None,
}  # fmt: skip


async def run(
    server: Scripted, plan: ExportPlan, directory: Path, events: list[ExportEvent] | None = None
) -> Manifest:
    """Export from a scripted Toggl."""
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        return await export(client, plan, directory, on_event=None if events is None else events.append)


def rows(directory: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a dataset."""
    return [json.loads(line) for line in (directory / f"{name}.jsonl").read_bytes().splitlines()]


def names(directory: Path) -> list[str]:
    """The names of the files."""
    return sorted(path.name for path in directory.iterdir())


async def test_an_entry_that_moves_between_pages_is_written_once(tmp_path: Path) -> None:
    first = page([entry(1), entry(2)], following=2)
    server = Scripted({SEARCH: once(first, page([entry(2, seconds=90), entry(3)])), TOTALS: {"seconds": 210}})
    manifest = await run(server, ENTRIES, tmp_path)
    assert [row["id"] for row in rows(tmp_path, "time_entries")] == [1, 2, 3]
    assert (manifest.rows, manifest.totals_agree) == (3, True)


async def test_the_report_is_asked_for_exact_seconds_in_a_stable_order(tmp_path: Path) -> None:
    server = Scripted({SEARCH: once(page([entry(1)])), TOTALS: {"seconds": 60}})
    await run(server, ENTRIES, tmp_path)
    search, totals = (body for body in server.bodies if body)
    assert search["page_size"] == 1000
    assert (search["start_date"], search["end_date"]) == ("2026-01-01", "2026-12-31")
    assert (search["order_by"], search["order_dir"]) == ("date", "ASC")
    assert (search["rounding"], search["rounding_minutes"]) == (0, 0)
    assert (search["enrich_response"], search["grouped"]) == (True, False)
    assert (totals["start_date"], totals["rounding"], totals["rounding_minutes"]) == ("2026-01-01", 0, 0)


async def test_a_difference_of_the_totals_is_reported(tmp_path: Path) -> None:
    events: list[ExportEvent] = []
    server = Scripted({SEARCH: once(page([entry(1)])), TOTALS: {"seconds": 61}})
    manifest = await run(server, ENTRIES, tmp_path, events)
    assert manifest.totals_agree is False
    (check,) = manifest.ranges
    assert (check.seconds, check.server_seconds, check.agrees) == (60, 61, False)
    assert [event.check for event in events if isinstance(event, RangeChecked)] == [check]
    written = json.loads((tmp_path / "manifest.json").read_bytes())
    assert written["ranges"][0]["agrees"] is False
    assert written["complete"] is False


async def test_an_empty_range_is_held_against_its_total(tmp_path: Path) -> None:
    server = Scripted()
    manifest = await run(server, ENTRIES, tmp_path)
    assert manifest.totals_agree is True
    assert server.asked[TOTALS] == 1
    assert (tmp_path / "time_entries.jsonl").read_bytes() == b""


async def test_history_is_read_until_a_whole_range_brings_nothing(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(body: dict[str, str]) -> object:
        asked.append(body["end_date"])
        start = f"{body['start_date']}T09:00:00+01:00"
        return [entry(len(asked), start=start)] if body["end_date"] > "2024-06-01" else []

    def total(body: dict[str, str]) -> object:
        return {"seconds": 60 if body["end_date"] > "2024-06-01" else 0}

    server = Scripted({SEARCH: answer, TOTALS: total})
    plan = ExportPlan(datasets=("time_entries",), until=dt.date(2026, 10, 1))
    manifest = await run(server, plan, tmp_path)
    assert asked == ["2026-10-01", "2025-09-30", "2024-09-29", "2023-09-29"]
    assert [check.rows for check in manifest.ranges] == [1, 1, 1, 0]
    assert manifest.totals_agree is True


async def test_history_ends_where_toggls_time_begins(tmp_path: Path) -> None:
    server = Scripted({SEARCH: lambda body: [entry(1)], TOTALS: {"seconds": 60}})
    manifest = await run(
        server, ExportPlan(datasets=("time_entries",), until=dt.date(2006, 12, 31)), tmp_path
    )
    (check,) = manifest.ranges
    assert (check.first, check.last) == (dt.date(2006, 1, 1), dt.date(2006, 12, 31))


async def test_a_running_entry_is_written_once_and_has_no_end(tmp_path: Path) -> None:
    server = Scripted(
        {
            "/api/v9/me/time_entries/current": RUNNING,
            SEARCH: once(page([entry(1)])),
            TOTALS: {"seconds": 60},
        }
    )
    manifest = await run(server, ENTRIES, tmp_path)
    finished, running = rows(tmp_path, "time_entries")
    assert finished["id"] == 1
    assert running["id"] == 99
    assert running["username"] == "Zoë"
    assert running["stop"] is None
    assert running["seconds"] is None
    assert finished.keys() <= running.keys()
    assert manifest.totals_agree is True


async def test_an_entry_stopped_meanwhile_is_written_as_the_report_has_it(tmp_path: Path) -> None:
    server = Scripted(
        {
            "/api/v9/me/time_entries/current": RUNNING,
            SEARCH: once(page([entry(99, seconds=5)])),
            TOTALS: {"seconds": 5},
        }
    )
    await run(server, ENTRIES, tmp_path)
    (row,) = rows(tmp_path, "time_entries")
    assert row["seconds"] == 5


@pytest.mark.parametrize(
    "change", [{"workspace_id": OTHER}, {"start": "2025-12-31T08:00:00Z"}, {"start": "2027-01-01T08:00:00Z"}]
)
async def test_a_running_entry_outside_the_plan_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    server = Scripted({"/api/v9/me/time_entries/current": {**RUNNING, **change}})
    await run(server, ENTRIES, tmp_path)
    assert rows(tmp_path, "time_entries") == []


async def test_lists_get_their_workspace_and_lose_doubles_and_what_is_no_row(tmp_path: Path) -> None:
    users = [{"id": 1}, "odd", {"id": 2}, {"id": 1}, None]
    server = Scripted({f"/api/v9/workspaces/{WORKSPACE}/users": users})
    manifest = await run(server, ExportPlan(datasets=("users",)), tmp_path)
    lines = (tmp_path / "users.jsonl").read_bytes().splitlines()
    assert lines == [b'{"id": 1,"workspace_id":10}', b'{"id": 2,"workspace_id":10}']
    (failure,) = manifest.failed
    assert (failure.dataset, failure.message) == ("users", "got rows without an id")
    assert not manifest.complete
    assert server.asked["/api/v9/me/organizations"] == 0  # nobody needs them


@pytest.mark.parametrize(
    ("status", "message"), [(402, "Tasks are a premium feature"), (403, "no access"), (404, "gone")]
)
async def test_what_is_refused_is_named_and_the_rest_goes_on(
    tmp_path: Path, status: int, message: str
) -> None:
    events: list[ExportEvent] = []
    server = Scripted(
        {
            f"/api/v9/workspaces/{WORKSPACE}/tasks": httpx.Response(status, json=message),
            f"/api/v9/workspaces/{WORKSPACE}/tags": [{"id": 1, "workspace_id": WORKSPACE}],
        }
    )
    manifest = await run(server, ExportPlan(datasets=("tasks", "tags")), tmp_path, events)
    (refusal,) = manifest.refused
    assert (refusal.dataset, refusal.workspace_id, refusal.status) == ("tasks", WORKSPACE, status)
    assert message in refusal.message
    assert [event.refusal for event in events if isinstance(event, PieceRefused)] == [refusal]
    assert (manifest.finished, manifest.complete, manifest.not_in_plan) == (True, False, ())  # it was named
    assert [row["id"] for row in rows(tmp_path, "tags")] == [1]
    assert rows(tmp_path, "tasks") == []


async def test_refused_reports_are_named_once(tmp_path: Path) -> None:
    server = Scripted({SEARCH: lambda body: httpx.Response(403, json="no access")})
    manifest = await run(server, ExportPlan(datasets=("time_entries",), since=dt.date(2020, 1, 1)), tmp_path)
    assert len(manifest.refused) == 1
    assert server.asked[SEARCH] > 1
    assert manifest.totals_agree is None


async def test_a_refused_total_leaves_the_range_unchecked(tmp_path: Path) -> None:
    server = Scripted({SEARCH: once(page([entry(1)])), TOTALS: httpx.Response(402, json="a premium feature")})
    manifest = await run(server, ENTRIES, tmp_path)
    assert (manifest.rows, manifest.totals_agree) == (1, None)
    assert manifest.ranges[0].agrees is None


@pytest.mark.linux
async def test_a_refused_token_ends_the_export_and_the_manifest_says_so(tmp_path: Path) -> None:
    server = Scripted(
        {
            f"/api/v9/workspaces/{WORKSPACE}/users": [{"id": 1}],
            f"/api/v9/workspaces/{WORKSPACE}/projects": httpx.Response(403, json=TOKEN_REFUSED),
        }
    )
    with pytest.raises(LoginRefused):
        await run(server, ExportPlan(datasets=("users", "projects")), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["complete"] is False
    assert manifest["error"].startswith("LoginRefused: ")
    assert manifest["datasets"]["users"]["complete"] is True
    assert manifest["datasets"]["projects"] == {
        "complete": False, "key": ["id"], "file": None, "rows": 0, "bytes": None, "sha256": None,
        "as_of": None, "read_from": None, "older_read_at": None, "older_edits_as_of": None,
    }  # fmt: skip
    assert names(tmp_path) == ["manifest.json", "mirror.sqlite"]


@pytest.mark.linux
async def test_a_cancelled_export_leaves_a_clear_state(tmp_path: Path) -> None:
    task: asyncio.Task[Manifest]

    def stop(event: ExportEvent) -> None:
        if isinstance(event, RowsWritten):
            task.cancel()

    async with TogglClient(
        ApiToken("made-up"), transport=Scripted({SEARCH: once(page([entry(1)], following=1))})
    ) as client:
        task = asyncio.ensure_future(export(client, ENTRIES, tmp_path, on_event=stop))
        with pytest.raises(asyncio.CancelledError):
            await task
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (manifest["complete"], manifest["error"]) == (False, "interrupted")
    assert manifest["datasets"]["time_entries"]["file"] is None
    assert manifest["datasets"]["time_entries"]["rows"] == 1
    assert names(tmp_path) == ["manifest.json", "mirror.sqlite"]


async def test_a_full_disk_ends_the_export_with_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        (tmp_path / "manifest.json").unlink()
        (tmp_path / "manifest.json.partial").mkdir()  # the manifest finds no room either
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SqliteStore, "commit", full)
    async with TogglClient(ApiToken("made-up"), transport=Scripted()) as client:
        with pytest.raises(OSError, match="No space left"):
            await export(client, ExportPlan(datasets=("workspaces",)), tmp_path)
    assert not (tmp_path / "manifest.json").exists()


async def test_events_tell_the_whole_story(tmp_path: Path) -> None:
    events: list[ExportEvent] = []
    server = Scripted({f"/api/v9/workspaces/{WORKSPACE}/tags": [{"id": 1}]})
    await run(server, ExportPlan(datasets=("workspaces", "tags")), tmp_path, events)
    assert events[0] == ExportStarted(datasets=("workspaces", "tags"), workspaces=1)
    written = [event for event in events if isinstance(event, RowsWritten)]
    assert {(event.dataset, event.workspace_id, event.total) for event in written} == {
        ("workspaces", None, 1),
        ("tags", WORKSPACE, 1),
    }
    assert all(event.requests_left >= 0 for event in written)
    assert {event.dataset for event in events if isinstance(event, DatasetFinished)} == {"workspaces", "tags"}


async def test_every_request_is_counted_the_repeated_ones_too(tmp_path: Path) -> None:
    server = Scripted({f"/api/v9/workspaces/{WORKSPACE}/clients": once(httpx.Response(503, text=""))})
    manifest = await run(server, ExportPlan(), tmp_path)
    assert manifest.requests == server.asked.total()
    assert server.asked[f"/api/v9/workspaces/{WORKSPACE}/clients"] == 2
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in manifest.waits.values())


async def test_an_export_lets_other_work_go_first_and_waits_without_limit(tmp_path: Path) -> None:
    told: list[SchedulerEvent] = []
    server = Scripted()
    scheduler = Scheduler(on_event=told.append)
    async with TogglClient(ApiToken("made-up"), transport=server, scheduler=scheduler) as client:
        await export(client.with_options(max_wait=0.5), ExportPlan(), tmp_path)
    queued = [event for event in told if isinstance(event, Queued)]
    assert {event.priority for event in queued} == {Priority.BULK}
    assert max(event.wait for event in queued) > 0.5
    await scheduler.aclose()


async def test_an_unknown_workspace_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown workspace 5; the token sees 10"):
        await run(Scripted(), ExportPlan(workspaces=(WORKSPACE, 5)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_token_without_workspaces_exports_empty_files(tmp_path: Path) -> None:
    server = Scripted({"/api/v9/me": {"id": 7, "workspaces": None}, "/api/v9/me/organizations": None})
    manifest = await run(server, ExportPlan(), tmp_path)
    assert (manifest.rows, manifest.workspaces) == (0, ())
    with pytest.raises(InvalidInput, match="the token sees none"):
        await run(server, ExportPlan(workspaces=(5,)), tmp_path / "new")


async def test_chosen_workspaces_limit_the_lists_of_the_account(tmp_path: Path) -> None:
    server = Scripted(
        {
            "/api/v9/me": {
                "id": 7,
                "workspaces": [
                    {"id": WORKSPACE, "organization_id": None},
                    {"id": OTHER, "organization_id": 2},
                ],
            },
            "/api/v9/me/organizations": [{"id": 1, "created_at": None}, {"id": 2, "created_at": None}],
        }
    )
    plan = ExportPlan(datasets=("organizations", "workspaces"), workspaces=(OTHER,))
    await run(server, plan, tmp_path / "one")
    assert [row["id"] for row in rows(tmp_path / "one", "organizations")] == [2]
    assert [row["id"] for row in rows(tmp_path / "one", "workspaces")] == [OTHER]
    await run(server, ExportPlan(datasets=("organizations", "time_entries")), tmp_path / "all")
    assert [row["id"] for row in rows(tmp_path / "all", "organizations")] == [1, 2]


async def test_the_server_says_what_day_it_is() -> None:
    me = {"id": 7, "workspaces": []}
    headers = {"Date": "Tue, 01 Jan 2030 05:00:00 GMT"}
    server = Scripted({"/api/v9/me": httpx.Response(200, json=me, headers=headers)})
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        assert (await survey(client, ExportPlan())).today == dt.date(2030, 1, 1)


async def test_an_answer_that_is_no_account_is_said_as_such() -> None:
    server = Scripted({"/api/v9/me": {"id": "seven"}})
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        with pytest.raises(DecodeError, match=r"me\.get: \$\.id"):
            await survey(client, ExportPlan())
    server = Scripted({"/api/v9/me": httpx.Response(200, text="<html>")})
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        with pytest.raises(DecodeError, match=r"me\.get: "):
            await survey(client, ExportPlan())


async def test_nothing_secret_shows_in_the_survey() -> None:
    workspace = {"id": WORKSPACE, "api_token": "hidden-hidden", "ical_url": "/ical/hidden-hidden"}
    server = Scripted({"/api/v9/me": {"id": 7, "api_token": "hidden-hidden", "workspaces": [workspace]}})
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        assert "hidden" not in repr(await survey(client, ExportPlan()))
