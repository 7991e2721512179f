"""``/workspaces/{workspace_id}/projects``."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import ProjectRow, TimeEntryRow
from toggl_async.sandbox.routes import bulk
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["HANDLERS"]

_PAGE: Final = 151
_COLOR: Final = "#0b83d9"
_GATED: Final = (
    "auto_estimates",
    "billable",
    "currency",
    "estimated_hours",
    "fixed_fee",
    "rate",
    "recurring",
    "template",
)
"""Fields of a project that the free plan does not have."""

_PATCHED: Final = frozenset(
    {"name", "client_id", "color", "active", "is_private", "billable", "rate", "estimated_hours"}
)
"""Fields that a bulk edit may replace."""

_UPDATE: Final = "PUT /api/v9/workspaces/{workspace_id}/projects/{project_id}"

_ORDERS: Final[dict[str, Callable[[ProjectRow], Any]]] = {
    "name": lambda row: (row.name.casefold(), row.id),
    "created_at": lambda row: (row.created, row.id),
}


def listing(call: ApiRequest) -> Response:
    """List the projects, archived ones included, page by page; nothing tells how many pages there are."""
    space = call.workspace()
    rows = [row for row in call.company.projects_of(space.id) if _wanted(call, row)]
    order = call.query.get("sort_field") or "name"
    if order not in _ORDERS:
        raise ApiError(400, "Invalid 'sort_field' value, allowed values are created_at, name")
    rows.sort(key=_ORDERS[order], reverse=call.query.get("sort_order", "").upper() == "DESC")
    return answers.json([shapes.project(call.company, row) for row in call.page(rows, _PAGE)])


def _wanted(call: ApiRequest, row: ProjectRow) -> bool:
    """Tell whether a project passes the filters of the query."""
    query = call.query
    active, billable = query.get("active") or "both", query.get("billable")
    client_ids, project_ids, since = call.ids("client_ids"), call.ids("project_ids"), call.since()
    statuses = query.get("statuses")
    return (
        (active == "both" or row.active == (active == "true"))
        and (not billable or row.billable == (billable == "true"))
        and (client_ids is None or row.client_id in client_ids)
        and (project_ids is None or row.id in project_ids)
        and (since is None or row.at >= since)
        and (not statuses or ("active" if row.active else "archived") in statuses.split(","))
        and query.get("name", "").casefold() in row.name.casefold()
        and query.get("search", "").casefold() in row.name.casefold()
    )


def get(call: ApiRequest) -> Response:
    """Return a project."""
    return answers.json(shapes.project(call.company, project_of(call)))


def create(call: ApiRequest) -> Response:
    """Create a project; its name must be new to its client."""
    space, body = call.workspace(), call.body()
    name = body.text("name")
    if not name:
        raise ApiError(400, "Project name can't be blank")
    row = ProjectRow(
        id=call.company.new_id("project", 7),
        workspace_id=space.id,
        color=_COLOR,
        created=int(call.now),
        at=int(call.now),
        billable=call.company.paid,
    )
    _apply(call, row, body)
    call.company.projects[row.id] = row
    return _told(call, row, "created")


def update(call: ApiRequest) -> Response:
    """Change a project: the fields that are given."""
    row = project_of(call)
    _apply(call, row, call.body())
    return _told(call, row, "updated")


def patch(call: ApiRequest) -> Response:
    """Change up to a hundred projects by JSON Patch."""
    return bulk.edit(
        call,
        "projects",
        lambda project_id: _project(call, project_id),
        lambda row, operation: _apply(call, row, bulk.replaced(operation, _PATCHED, _UPDATE)),
        lambda row: call.happened("project", "updated", shapes.project(call.company, row)),
    )


def _told(call: ApiRequest, row: ProjectRow, action: str) -> Response:
    """Answer with a project, and note what was done to it."""
    shape = shapes.project(call.company, row)
    call.happened("project", action, shape)
    return answers.json(shape)


def _apply(call: ApiRequest, row: ProjectRow, body: Body) -> None:
    """Check the fields of a body; then write them into a project."""
    for gated in _GATED:
        if body.fields.get(gated) is not None and not call.company.paid:
            raise ApiError(402, f"Project {gated} is a premium feature")
    name = body.text("name")
    if body.given("name") and not name:
        raise ApiError(400, "Project name can't be blank")
    client_id = body.number("client_id")
    client = call.company.clients.get(client_id or 0)
    if client_id is not None and (client is None or client.workspace_id != row.workspace_id):
        raise ApiError(400, "Client not found in workspace")
    home = client_id if body.given("client_id") else row.client_id
    named = name or row.name
    if any(
        known.name == named and known.client_id == home and known is not row
        for known in call.company.projects_of(row.workspace_id)
    ):
        raise ApiError(400, "Name has already been taken")
    body.write(row, "name", "client_id", "color", "active", "is_private", "billable", "rate")
    if body.given("estimated_hours"):
        hours = body.number("estimated_hours")
        row.estimated_seconds = None if hours is None else hours * 3600
    row.at = int(call.now)


def delete(call: ApiRequest) -> Response:
    """Delete a project; its time entries are kept unless ``teDeletionMode=delete``. The answer is its id."""
    row = project_of(call)
    call.happened("project", "deleted", shapes.project(call.company, row))
    call.company.remove_project(row, call.now, with_entries=call.query.get("teDeletionMode") == "delete")
    return answers.json(row.id)


def project_of(call: ApiRequest) -> ProjectRow:
    """Return the project of the path."""
    return _project(call, call.path["project_id"])


def _project(call: ApiRequest, project_id: int) -> ProjectRow:
    """Return a project of the path's workspace."""
    return call.one(call.company.projects, project_id, "Project not found")


def templates(_: ApiRequest) -> Response:
    """List the templates: the company has none."""
    return answers.json([])


def billable_amounts(call: ApiRequest) -> Response:
    """Return several projects by their ids, or all."""
    return answers.json([shapes.project(call.company, row) for row in _named(call)])


def task_count(call: ApiRequest) -> Response:
    """Count the tasks of projects."""
    tasks = call.company.tasks_of(call.path["workspace_id"])
    return answers.json(
        [{str(row.id): sum(task.project_id == row.id for task in tasks)} for row in _named(call)]
    )


def user_count(call: ApiRequest) -> Response:
    """Count the people who have tracked time in projects."""
    return answers.json(
        [{str(row.id): len({entry.user_id for entry in _entries(call, row)})} for row in _named(call)]
    )


def statistics(call: ApiRequest) -> Response:
    """Tell when the first and the last time entry of a project start; running ones don't count."""
    starts = [entry.start for entry in _entries(call, project_of(call))]
    return answers.json(
        {
            "earliest_time_entry": offset_utc(min(starts)) if starts else None,
            "latest_time_entry": offset_utc(max(starts)) if starts else None,
        }
    )


def _named(call: ApiRequest) -> list[ProjectRow]:
    """Return the projects whose ids the body lists, or all."""
    ids = call.body().numbers("project_ids") if call.raw else None
    return [row for row in call.company.projects_of(call.workspace().id) if not ids or row.id in ids]


def _entries(call: ApiRequest, row: ProjectRow) -> list[TimeEntryRow]:
    return [
        entry
        for entry in call.company.reported_to(call.person, row.workspace_id)
        if entry.project_id == row.id
    ]


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/projects": listing,
    "POST /api/v9/workspaces/{workspace_id}/projects": create,
    "GET /api/v9/workspaces/{workspace_id}/projects/{project_id}": get,
    "PUT /api/v9/workspaces/{workspace_id}/projects/{project_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/projects/{project_id}": delete,
    "PATCH /api/v9/workspaces/{workspace_id}/projects/{project_ids}": patch,
    "GET /api/v9/workspaces/{workspace_id}/projects/templates": templates,
    "POST /api/v9/workspaces/{workspace_id}/projects/billable-amounts": billable_amounts,
    "POST /api/v9/workspaces/{workspace_id}/projects/task_count": task_count,
    "POST /api/v9/workspaces/{workspace_id}/projects/user_count": user_count,
    "GET /api/v9/workspaces/{workspace_id}/projects/{project_id}/statistics": statistics,
}
