"""What the types of main results are. Read by the type checkers, never run."""

import datetime as dt
from typing import Any, assert_type

from toggl_async import (
    Answer,
    ApiToken,
    Download,
    Operation,
    Pages,
    Plan,
    Record,
    ReportFilters,
    SessionCookie,
    TogglClient,
    changes,
    operations,
    plan_of,
    timer,
    webhooks,
)
from toggl_async._operations.operation import Value
from toggl_async.export import Batch, ExportedTimeEntry
from toggl_async.records import (
    BulkEditResult,
    DetailedReportRow,
    Me,
    Project,
    Quota,
    Tag,
    TimeEntry,
    Workspace,
)

TOGGL = TogglClient(ApiToken("x"))
SESSION = TogglClient(SessionCookie("ada@example.com", "x"), accounts_url="https://accounts.example")


async def of_scopes() -> None:
    workspace = TOGGL.workspace(3)
    me = await TOGGL.me.get()
    assert_type(me, Me)
    assert_type(me.default_workspace_id, int)
    assert_type(await TOGGL.me.quota(), list[Quota])
    assert_type(await TOGGL.me.time_entries.current(), TimeEntry | None)
    assert_type(await workspace.get(), Workspace)
    assert_type(await workspace.projects.list(active="both"), list[Project])
    assert_type(await workspace.projects.create(name="Apollo", client_id=None), Project)
    assert_type(await workspace.time_entries.delete(5), None)
    assert_type(await workspace.time_entries.bulk_edit([1, 2], patches=[]), BulkEditResult)


async def of_fields(entry: TimeEntry, project: Project) -> None:
    assert_type(entry.id, int)
    assert_type(entry.start, dt.datetime | None)
    assert_type(entry.tags, list[str] | None)
    assert_type(project.name, str | None)
    assert_type(project.rate, float | None)


async def of_pages() -> None:
    pages = TOGGL.workspace(3).projects.iter()
    assert_type(pages, Pages[Project])
    assert_type(await pages.collect(limit=10), list[Project])
    assert_type(await pages, list[Project])
    async for project in pages:
        assert_type(project, Project)
    async for row in TOGGL.workspace(3).reports.detailed.iter(start_date=dt.date(2026, 3, 1)):
        assert_type(row, DetailedReportRow)


async def of_shared_filters(filters: ReportFilters) -> None:
    reports = TOGGL.workspace(3).reports
    assert_type(reports.detailed.iter(**filters, enrich_response=True), Pages[DetailedReportRow])
    assert_type(reports.summary.pdf(**filters), Download)
    assert_type(await reports.weekly.csv(**filters), bytes)


def of_batches(batch: Batch) -> None:
    assert_type(batch.records(), list[Record])
    assert_type(batch.records(ExportedTimeEntry, keep_unknown=True), list[ExportedTimeEntry])


async def of_downloads() -> None:
    file = TOGGL.workspace(3).reports.detailed.csv(start_date=dt.date(2026, 3, 1))
    assert_type(file, Download)
    assert_type(await file, bytes)
    assert_type(await file.save("report.csv"), int)


async def of_the_escape_hatch(operation: Operation[object], query: dict[str, Value]) -> None:
    assert_type(await TOGGL.request("GET", "/api/v9/new"), Any)
    assert_type(await TOGGL.request("GET", "/api/v9/new", returns=Tag), Tag)
    assert_type(await TOGGL.request("GET", "/api/v9/new", returns=list[Tag]), list[Tag])
    assert_type(await TOGGL.fetch(operation, path={"workspace_id": 3}, query=query), Answer)
    assert_type(operations(), tuple[Operation[object], ...])


def of_records_that_leave(entry: TimeEntry) -> None:
    assert_type(entry.to_dict(), dict[str, Any])
    assert_type(entry.to_json(), bytes)
    assert_type({entry: "kept"}, dict[TimeEntry, str])


async def of_helpers(entry: TimeEntry, workspace: Workspace) -> None:
    assert_type(plan_of(workspace), Plan | None)
    assert_type(changes(entry, entry), dict[str, Any])
    assert_type(await timer.start(TOGGL.workspace(3), description="Reading"), TimeEntry)
    assert_type(await timer.stop(TOGGL), TimeEntry | None)
    assert_type(timer.elapsed(entry), dt.timedelta)


def of_webhooks(body: bytes) -> None:
    delivery = webhooks.receive("sha256=…", body, "secret")
    assert_type(delivery, webhooks.Ping | webhooks.Event)
    if isinstance(delivery, webhooks.Event):
        assert_type(delivery.payload_as(TimeEntry), TimeEntry)
        assert_type(delivery.metadata.workspace_id, int | None)
