"""Tasks: those of a workspace, in a wrapper and page by page, and those of a project."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import TaskRow
from toggl_async.sandbox.routes import bulk
from toggl_async.sandbox.routes.projects import project_of

__all__ = ["HANDLERS"]

_PAGE: Final = 50
_FILTER_PAGE: Final = 201
_PATCHED: Final = frozenset({"name", "active", "estimated_seconds", "user_id"})
"""Fields that a bulk edit may replace."""

_UPDATE: Final = "PUT /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks/{task_id}"
_LOCKED: Final = "Tasks are a premium feature"


def listing(call: ApiRequest) -> Response:
    """List the workspace's tasks; an empty page has null for data."""
    space = call.workspace()
    field, order = call.query.get("sort_field") or "name", (call.query.get("sort_order") or "ASC").upper()
    active, text, since = (
        call.query.get("active") or "true",
        call.query.get("search", "").casefold(),
        call.since(),
    )
    names = ("project_id", "project_ids", "pid")
    pid = next((ids for ids in map(call.ids, names) if ids is not None), None)
    client_ids, task_ids = call.ids("client_ids"), call.ids("task_ids")
    rows = [
        row
        for row in call.company.tasks_of(space.id)
        if (active == "both" or row.active == (active == "true"))
        and text in row.name.casefold()
        and (pid is None or row.project_id in pid)
        and (client_ids is None or call.company.projects[row.project_id].client_id in client_ids)
        and (task_ids is None or row.id in task_ids)
        and (not call.flag("only_me") or row.user_id == call.person.id)
        and (since is None or row.at >= since)
    ]
    rows.sort(key=lambda row: (row.name if field == "name" else "", row.id), reverse=order == "DESC")
    return answers.json(
        {
            "data": [shapes.task(call.company, row) for row in call.page(rows, _PAGE)] or None,
            "page": call.number("page", 1),
            "per_page": call.page_size(_PAGE),
            "sort_field": field,
            "sort_order": order,
            "total_count": len(rows),
        }
    )


def of_project(call: ApiRequest) -> Response:
    """List a project's tasks, as a plain list: the active ones unless told otherwise."""
    project = project_of(call)
    active = call.query.get("active") or "true"
    return answers.json(
        [
            shapes.task(call.company, row)
            for row in call.company.tasks_of(project.workspace_id)
            if row.project_id == project.id and (active == "both" or row.active == (active == "true"))
        ]
    )


def get(call: ApiRequest) -> Response:
    """Return a task."""
    return answers.json(shapes.task(call.company, _task(call, call.path["task_id"])))


def create(call: ApiRequest) -> Response:
    """Create a task; its name must be new to its project."""
    project = project_of(call)
    if not call.company.paid:
        raise ApiError(402, _LOCKED)
    body = call.body()
    if not body.text("name"):
        raise ApiError(400, "Task name can't be blank")
    row = TaskRow(
        id=call.company.new_id("task", 3),
        workspace_id=project.workspace_id,
        project_id=project.id,
        at=int(call.now),
    )
    _apply(call, row, body)
    call.company.tasks[row.id] = row
    return _told(call, row, "created")


def update(call: ApiRequest) -> Response:
    """Change a task: the fields that are given."""
    row = _task(call, call.path["task_id"])
    _apply(call, row, call.body())
    return _told(call, row, "updated")


def patch(call: ApiRequest) -> Response:
    """Change up to a hundred tasks of a project by JSON Patch."""
    project_of(call)
    return bulk.edit(
        call,
        "tasks",
        lambda task_id: _task(call, task_id),
        lambda row, operation: _apply(call, row, bulk.replaced(operation, _PATCHED, _UPDATE)),
        lambda row: call.happened("task", "updated", shapes.task(call.company, row)),
    )


def _told(call: ApiRequest, row: TaskRow, action: str) -> Response:
    """Answer with a task, and note what was done to it."""
    shape = shapes.task(call.company, row)
    call.happened("task", action, shape)
    return answers.json(shape)


def _apply(call: ApiRequest, row: TaskRow, body: Body) -> None:
    """Check the fields of a body; then write them into a task."""
    name, user_id = body.text("name"), body.number("user_id")
    if body.given("name") and not name:
        raise ApiError(400, "Task name can't be blank")
    if any(
        known.name == name and known.project_id == row.project_id and known is not row
        for known in call.company.tasks.values()
    ):
        raise ApiError(400, "Name has already been taken")
    if user_id is not None and user_id not in call.workspace().members:
        raise ApiError(400, "User not found in workspace")
    body.write(row, "name", "active", "estimated_seconds", "user_id")
    row.at = int(call.now)


def delete(call: ApiRequest) -> Response:
    """Delete a task; its time entries stay."""
    row = _task(call, call.path["task_id"])
    call.happened("task", "deleted", shapes.task(call.company, row))
    call.company.remove_task(row)
    return answers.json("OK")


def _task(call: ApiRequest, task_id: int) -> TaskRow:
    project = project_of(call)
    if not call.company.paid:
        raise ApiError(402, _LOCKED)
    row = call.company.tasks.get(task_id)
    if row is None or row.project_id != project.id:
        raise ApiError(404, "Task not found")
    return row


def by_project(call: ApiRequest) -> Response:
    """Return tasks by the ids of their projects or their own, as a map from project to tasks."""
    space, body = call.workspace(), call.body()
    projects, ids, text = body.numbers("project_ids"), body.numbers("task_ids"), call.query.get("search", "")
    found: dict[str, list[shapes.JsonObject]] = {}
    for row in call.company.tasks_of(space.id):
        wanted = (not projects or row.project_id in projects) and (not ids or row.id in ids)
        if wanted and text.casefold() in row.name.casefold():
            found.setdefault(str(row.project_id), []).append(shapes.task(call.company, row))
    return answers.json(found)


def filtered(call: ApiRequest) -> Response:
    """List the tasks that a report's filter can be set to, by id from a cursor on."""
    space, body = call.workspace(), call.body()
    if not call.company.paid:
        raise ApiError(402, _LOCKED)
    name, active, owned = body.text("name") or "", body.flag("active"), body.flag("project_active")
    start, size = body.number("start") or 0, body.number("page_size") or _FILTER_PAGE
    ids = {kind: body.numbers(f"{kind}ids") for kind in ("", "project_", "user_")}
    rows = [
        row
        for row in call.company.tasks_of(space.id)
        if row.id >= start
        and name.casefold() in row.name.casefold()
        and active in {None, row.active}
        and owned in {None, call.company.projects[row.project_id].active}
        and (not ids[""] or row.id in ids[""])
        and (not ids["project_"] or row.project_id in ids["project_"])
        and (not ids["user_"] or row.user_id in ids["user_"])
    ]
    rows.sort(key=lambda row: row.id)
    return answers.json([shapes.task(call.company, row) for row in rows[:size]])


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/tasks": listing,
    "GET /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks": of_project,
    "POST /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks": create,
    "GET /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks/{task_id}": get,
    "PUT /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks/{task_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks/{task_id}": delete,
    "PATCH /api/v9/workspaces/{workspace_id}/projects/{project_id}/tasks/{task_ids}": patch,
    "GET /api/v9/workspaces/{workspace_id}/tasks/basic": listing,
    "POST /api/v9/workspaces/{workspace_id}/tasks/data": by_project,
    "POST /reports/api/v3/workspace/{workspace_id}/{action}/tasks": filtered,
}
