"""Reports as files (CSV of their rows, XLSX and PDF in form only), and saved ones by their token."""

from collections.abc import Mapping
from typing import Final

import attrs
import msgspec
from starlette.responses import Response

from toggl_async.sandbox import answers, files
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, amount, read
from toggl_async.sandbox.routes import bulk
from toggl_async.sandbox.routes.detailed import search, totals
from toggl_async.sandbox.routes.summaries import named, summary_groups, weekly_rows
from toggl_async.sandbox.routes.summaries import summary as summary_report
from toggl_async.sandbox.routes.summaries import weekly as weekly_report
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["HANDLERS"]

_HEADER: Final = (
    "User",
    "Email",
    "Client",
    "Project",
    "Task",
    "Description",
    "Billable",
    "Start date",
    "Start time",
    "End date",
    "End time",
    "Duration",
    "Tags",
    "Amount (EUR)",
)


def table(call: ApiRequest) -> Response:
    """Return the detailed report as CSV, or as XLSX without its rows."""
    query = read(call, call.body())
    return _sheet(call, [_HEADER, *(_row(call, query, entry) for entry in query.entries)])


def document(call: ApiRequest) -> Response:
    """Return a report as a PDF of one empty page."""
    read(call, call.body())
    return answers.file(files.pdf(), files.PDF)


def _row(call: ApiRequest, query: ReportQuery, entry: TimeEntryRow) -> tuple[str, ...]:
    """Return the row of a time entry, in the user's time zone."""
    company, zone = call.company, call.company.zone(call.person)
    person, seconds = company.people[entry.user_id], query.seconds(entry)
    project, task = company.projects.get(entry.project_id or 0), company.tasks.get(entry.task_id or 0)
    client = None if project is None else company.clients.get(project.client_id or 0)
    start, end = zone.text(entry.start), zone.text(entry.start + seconds)
    cents, _ = amount(company, entry, seconds)
    return (
        person.name,
        person.email,
        "" if client is None else client.name,
        "" if project is None else project.name,
        "" if task is None else task.name,
        entry.description,
        "Yes" if entry.billable else "No",
        start[:10],
        start[11:19],
        end[:10],
        end[11:19],
        _clock(seconds),
        ", ".join(company.tags[tag_id].name for tag_id in entry.tag_ids),
        "" if cents is None else f"{cents // 100}.{cents % 100:02}",
    )


def summary(call: ApiRequest) -> Response:
    """Return the summary report as CSV, or as XLSX without its rows."""
    grouping, below, groups, _ = summary_groups(call)
    names = (
        grouping.removesuffix("s"),
        "description" if below == "time_entries" else below.removesuffix("s"),
    )
    rows = [
        (named(call.company, grouping, group["id"]) or "", sub["title"] or "", _clock(sub["seconds"]))
        for group in groups
        for sub in group["sub_groups"]
    ]
    return _sheet(call, [(*map(str.capitalize, names), "Duration"), *rows])


def weekly(call: ApiRequest) -> Response:
    """Return the weekly report as CSV."""
    rows, _ = weekly_rows(call)
    days = [f"Day {day}" for day in range(1, 8)]
    lines = [(row["user_name"], row["project_name"] or "", *map(_clock, row["seconds"])) for row in rows]
    return answers.file(files.table([("User", "Project", *days), *lines]), files.CSV)


def shared(call: ApiRequest) -> Response:
    """Run a saved report by its token, whoever it belongs to, with what the body says otherwise."""
    row = next(
        (one for one in call.company.saved_reports.values() if one.token == call.path["report_token"]), None
    )
    if row is None:
        raise ApiError(404, "Report not found")
    given = call.json() if call.raw else {}
    params = {**row.params, **{name: value for name, value in given.items() if value is not None}}
    today = call.company.zone(call.person).day(int(call.now)).isoformat()
    params.setdefault("start_date", params.get("end_date") or today)
    kind = str(row.params.get("report_type") or "summary")
    bulk.checked(f"{_REPORTS}/{'search' if kind == 'detailed' else kind}/time_entries", params)
    inner = attrs.evolve(call, path={"workspace_id": row.workspace_id}, raw=msgspec.json.encode(params))
    run = {"detailed": search, "weekly": weekly_report}.get(kind, summary_report)
    results: JsonObject = {"report": msgspec.json.decode(run(inner).body)}
    if kind != "weekly":
        results["totals"] = msgspec.json.decode(totals(inner).body)
    return answers.json(
        {
            "report_name": row.name,
            "report_type": kind,
            "public": row.public,
            "fixed_daterange": row.fixed_daterange,
            "hide_amounts": False,
            "is_commenting_enabled": False,
            "workspace_logo": None,
            "saved_params": row.params,
            "input_params": params,
            "features": {},
            f"{kind}_results": results,
        }
    )


def _sheet(call: ApiRequest, rows: list[tuple[str, ...]]) -> Response:
    """Return rows as the kind of file that the path names."""
    if call.path["extension"] == "xlsx":
        return answers.file(files.sheet(), files.XLSX)
    return answers.file(files.table(rows), files.CSV)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


_REPORTS: Final = "POST /reports/api/v3/workspace/{workspace_id}"

HANDLERS: Final[Mapping[str, Handler]] = {
    f"{_REPORTS}/search/time_entries.{{extension}}": table,
    f"{_REPORTS}/search/time_entries.pdf": document,
    f"{_REPORTS}/summary/time_entries.{{extension}}": summary,
    f"{_REPORTS}/summary/time_entries.pdf": document,
    f"{_REPORTS}/weekly/time_entries.csv": weekly,
    f"{_REPORTS}/weekly/time_entries.pdf": document,
    "POST /reports/api/v3/shared/{report_token}": shared,
}
