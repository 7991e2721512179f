"""The detailed report as a file: a CSV of its rows, and an XLSX or PDF in form only."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, files
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, amount, read

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
    query, kind = read(call, call.body()), call.path["extension"]
    if kind not in {"csv", "xlsx"}:
        raise ApiError(400, "Invalid 'extension' value, allowed values are csv, xlsx")
    if kind == "xlsx":
        return answers.file(files.sheet(), files.XLSX)
    rows = [_row(call, query, entry) for entry in query.entries]
    return answers.file(files.table([_HEADER, *rows]), files.CSV)


def document(call: ApiRequest) -> Response:
    """Return the detailed report as a PDF of one empty page."""
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
        f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
        ", ".join(company.tags[tag_id].name for tag_id in entry.tag_ids),
        "" if cents is None else f"{cents // 100}.{cents % 100:02}",
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries.{extension}": table,
    "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries.pdf": document,
}
