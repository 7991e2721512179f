"""How the fields of a request become those of a time entry, and what Toggl refuses."""

import datetime as dt
from typing import Final

from toggl_async.sandbox import timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.routes import bulk
from toggl_async.sandbox.routes.tags import tag_by_name

__all__ = ["created", "patched", "updated"]

_UPDATE: Final = "PUT /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}"
_LONGEST_TEXT: Final = 3000
_MOST_TAGS: Final = 50
_LONGEST: Final = 999 * 3600
_YEARS: Final = (2006, 2030)
_FIRST: Final = timestamps.UTC.midnight(dt.date(_YEARS[0], 1, 1))
_END: Final = timestamps.UTC.midnight(dt.date(_YEARS[1] + 1, 1, 1))
_NO_PROJECT: Final = "User cannot access the selected project/task"


def created(call: ApiRequest, body: Body) -> TimeEntryRow:
    """Return the time entry that a POST describes; it is not yet in the tables."""
    if not body.text("created_with"):
        raise ApiError(400, "created_with needs to be provided an a valid string")
    _same_workspace(call, body)
    if not body.text("start"):
        raise ApiError(400, "start is a mandatory field")
    seconds = body.number("duration")
    row = TimeEntryRow(
        id=call.company.new_id("entry", 11),
        workspace_id=call.path["workspace_id"],
        user_id=call.person.id,
    )
    _apply(call, row, body)
    if seconds is None and body.text("stop") is None:
        row.seconds = 0
    return row


def updated(call: ApiRequest, row: TimeEntryRow, body: Body) -> None:
    """Write the fields of a PUT into a time entry."""
    if body.given("workspace_id") or body.given("wid"):
        _same_workspace(call, body)
    _apply(call, row, body)


def patched(call: ApiRequest, row: TimeEntryRow, operation: Body) -> None:
    """Carry out one operation of a JSON Patch on a time entry."""
    name, path, value = (
        operation.text("op") or "",
        operation.text("path") or "",
        operation.fields.get("value"),
    )
    field = path.removeprefix("/")
    if name == "replace" and field in {"description", "project_id", "task_id", "billable", "start"}:
        _apply(call, row, bulk.checked(_UPDATE, {field: value}))
    elif name in {"add", "remove"} and field == "tags":
        action = "add" if name == "add" else "delete"
        _apply(call, row, bulk.checked(_UPDATE, {"tags": value, "tag_action": action}))
    elif name == "add" and field == "deleted_at":
        row.deleted = int(call.now)
    else:
        raise ApiError(400, f"Operation {name} is not allowed for path {path}")


def _same_workspace(call: ApiRequest, body: Body) -> None:
    given = body.number("workspace_id") or body.number("wid")
    if given != call.path["workspace_id"]:
        raise ApiError(400, "Workspace ID in the body must match the one in the path")


def _apply(call: ApiRequest, row: TimeEntryRow, body: Body) -> None:
    """Check all fields; then write those that are given into the time entry."""
    description, billable = body.text("description"), body.flag("billable")
    if description is not None and len(description) > _LONGEST_TEXT:
        raise ApiError(400, f"Description too long, maximum {_LONGEST_TEXT} characters allowed")
    if billable and not call.company.paid:
        raise ApiError(402, "Billable is a premium feature")
    project_id, task_id = _project_and_task(call, row, body)
    start, seconds = _times(row, body)
    tag_ids = _tags(call, row, body)
    row.description = row.description if description is None else description
    row.billable = row.billable if billable is None else billable
    row.project_id, row.task_id = project_id, task_id
    row.start, row.seconds = start, seconds
    row.tag_ids = tag_ids


def _project_and_task(call: ApiRequest, row: TimeEntryRow, body: Body) -> tuple[int | None, int | None]:
    """Return project and task: a task brings its project along, another project loses the task."""
    project_id, task_id = row.project_id, row.task_id
    for name in ("pid", "project_id"):
        if body.given(name):
            known = body.number(name)
            task_id = task_id if known == project_id else None
            project_id = known
    for name in ("tid", "task_id"):
        if body.given(name):
            task_id = body.number(name)
    task = call.company.tasks.get(task_id or 0)
    if task is not None and not body.given("project_id"):
        project_id = task.project_id
    project = call.company.projects.get(project_id or 0)
    if project_id is not None and (project is None or project.workspace_id != row.workspace_id):
        raise ApiError(400, _NO_PROJECT)
    if task_id is not None and (task is None or task.project_id != project_id):
        raise ApiError(400, _NO_PROJECT)
    return project_id, task_id


def _times(row: TimeEntryRow, body: Body) -> tuple[int, int | None]:
    """Return start and duration; stop and duration together must agree, a negative duration runs."""
    start, stop, duration = body.moment("start"), body.moment("stop"), body.number("duration")
    start = row.start if start is None else start
    day = body.day("start_date")
    if day is not None:
        start = timestamps.UTC.midnight(day) + start % 86_400
    seconds = row.seconds
    if stop is not None:
        seconds = stop - start
        if seconds < 0:
            raise ApiError(400, "Stop time must be after start time")
        if duration is not None and duration != seconds:
            raise ApiError(400, "Start, stop and duration don't match")
    elif duration is not None:
        seconds = None if duration < 0 else duration
    for name, moment in (("Start", start), ("Stop", start + (seconds or 0))):
        if not _FIRST <= moment < _END:
            raise ApiError(400, f"{name} time year must be between {_YEARS[0]} and {_YEARS[1]}")
    if seconds is not None and seconds > _LONGEST:
        raise ApiError(400, "Max allowed duration per 1 time entry is 999 hours")
    return start, seconds


def _tags(call: ApiRequest, row: TimeEntryRow, body: Body) -> tuple[int, ...]:
    """Return the tags: the given ones, or the old ones with the given ones added or taken away."""
    names, ids, action = body.texts("tags"), body.numbers("tag_ids"), body.text("tag_action")
    if names is None and ids is None:
        cleared = (body.given("tags") or body.given("tag_ids")) and action is None
        return () if cleared else row.tag_ids
    known = {tag.id for tag in call.company.tags_of(row.workspace_id)}
    wanted = [tag_id for tag_id in ids or () if tag_id is not None]
    if not known >= set(wanted):
        raise ApiError(400, "Tag not found in workspace")
    if len(wanted) + len(names or ()) > _MOST_TAGS:
        raise ApiError(400, f"Max allowed number of tags per 1 time entry is {_MOST_TAGS}")
    given = dict.fromkeys((*wanted, *(tag_by_name(call, name).id for name in names or ())))
    if action == "delete":
        return tuple(tag_id for tag_id in row.tag_ids if tag_id not in given)
    if action == "add":
        return tuple(dict.fromkeys((*row.tag_ids, *given)))
    return tuple(given)
