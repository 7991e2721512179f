"""Time entries: the user's own, as lists; and a workspace's, to be written."""

import calendar
import datetime as dt
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes, timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.routes import bulk, entry_writes
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["HANDLERS", "recent"]

_ROWS: Final = 1000
"""The longest list; what is older is left out without a word."""

_RECENT_DAYS: Final = 9
_MONTHS: Final = 3
_NOT_FOUND: Final = "Time entry not found"


def listing(call: ApiRequest) -> Response:
    """List the user's time entries, newest first, in one of three ways that exclude each other.

    ``since`` finds what was changed, deletions included; ``before`` what started earlier;
    ``start_date`` with ``end_date`` what started between them. Nothing reaches back over three months.
    """
    given = {name for name in ("since", "before", "start_date", "end_date") if call.query.get(name)}
    _exclude(given)
    if not given:
        return answers.json(recent(call))
    rows = call.company.personal(call.person.id)
    if "since" in given:
        since = call.number("since", 1)
        _reach("since", since, call.now)
        found = [row for row in rows if row.changed >= since * 1_000_000]
    elif "before" in given:
        before = _moment(call, "before")
        _reach("before", before, call.now)
        found = [row for row in rows if row.start < before and row.deleted is None]
    else:
        first, last = _moment(call, "start_date"), _moment(call, "end_date")
        _reach("start_date", first, call.now)
        if last < first:
            raise ApiError(400, "end_date must not be before start_date")
        found = [row for row in rows if first <= row.start < last and row.deleted is None]
    return answers.json(_shapes(call, found[:_ROWS]))


def recent(call: ApiRequest) -> list[JsonObject]:
    """Return the user's time entries of the last days, as a list without arguments has them."""
    floor = call.now - _RECENT_DAYS * 86_400
    rows = call.company.personal(call.person.id)
    return _shapes(call, [row for row in rows if row.start >= floor and row.deleted is None][:_ROWS])


def _exclude(given: set[str]) -> None:
    """Refuse arguments that do not go together."""
    for one, other in (("since", "before"), ("since", "start_date"), ("before", "start_date")):
        if {one, other} <= given:
            raise ApiError(400, f"'{one}' and '{other}' can not be present simultaneously")
    if ("start_date" in given) != ("end_date" in given):
        raise ApiError(400, "start_date and end_date must be both present")


def _moment(call: ApiRequest, name: str) -> int:
    return timestamps.parse(call.query[name])


def _reach(name: str, moment: int, now: float) -> None:
    """Refuse to look further back than three months."""
    today = timestamps.day_of(now)
    year, month = divmod(today.year * 12 + today.month - 1 - _MONTHS, 12)
    floor = dt.date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))
    if moment < timestamps.UTC.midnight(floor):
        raise ApiError(400, f"{name} must not be earlier than {floor.isoformat()}")


def _shapes(call: ApiRequest, rows: list[TimeEntryRow]) -> list[JsonObject]:
    return [_shape(call, row) for row in rows]


def _shape(call: ApiRequest, row: TimeEntryRow, *, written: bool = False) -> JsonObject:
    shape = shapes.entry(call.company, row, written=written)
    return shape | shapes.entry_meta(call.company, row) if call.flag("meta") else shape


def current(call: ApiRequest) -> Response:
    """Return the user's running time entry; null if none runs."""
    row = call.company.running(call.person.id)
    return answers.json(None if row is None else _shape(call, row))


def get(call: ApiRequest) -> Response:
    """Return one of the user's time entries."""
    row = call.company.entries.get(call.path["time_entry_id"])
    if row is None or row.user_id != call.person.id or row.deleted is not None:
        raise ApiError(404, _NOT_FOUND)
    return answers.json(_shape(call, row))


def create(call: ApiRequest) -> Response:
    """Create a time entry; a negative duration starts one, which stops whatever the user has running.

    Without duration and stop the answer says ``duration: 0, stop: null``, and what remains is a
    stopped entry of no length.
    """
    body = call.body()
    row = entry_writes.created(call, body)
    if row.running:
        running = call.company.running(call.person.id)
        if running is not None:
            call.company.stop(running, call.now)
            _tell(call, running, "updated")
    call.company.touch(row, call.now)
    _tell(call, row, "created")
    shape = _shape(call, row, written=True)
    if row.running:
        shape["duration"] = -1
    elif body.number("duration") is None and body.text("stop") is None:
        shape["stop"] = None
    return answers.json(shape)


def update(call: ApiRequest) -> Response:
    """Change a time entry: the fields that are given."""
    row = _writable(call, call.path["time_entry_id"])
    entry_writes.updated(call, row, call.body())
    call.company.touch(row, call.now)
    _tell(call, row, "updated")
    return answers.json(_shape(call, row, written=True))


def delete(call: ApiRequest) -> Response:
    """Delete a time entry; the answer is empty."""
    row = _writable(call, call.path["time_entry_id"])
    row.deleted = int(call.now)
    call.company.touch(row, call.now)
    _tell(call, row, "deleted")
    return answers.empty()


def stop(call: ApiRequest) -> Response:
    """Stop a running time entry."""
    row = _writable(call, call.path["time_entry_id"])
    if not row.running:
        raise ApiError(409, "Time entry already stopped")
    call.company.stop(row, call.now)
    _tell(call, row, "updated")
    return answers.json(_shape(call, row, written=True))


def patch(call: ApiRequest) -> Response:
    """Change up to a hundred time entries by JSON Patch; each succeeds or fails for itself."""

    def done(row: TimeEntryRow) -> None:
        call.company.touch(row, call.now)
        _tell(call, row, "updated" if row.deleted is None else "deleted")

    return bulk.edit(
        call,
        "time entries",
        lambda entry_id: _writable(call, entry_id),
        lambda row, operation: entry_writes.patched(call, row, operation),
        done,
    )


def _tell(call: ApiRequest, row: TimeEntryRow, action: str) -> None:
    """Note what was done to a time entry, for webhooks."""
    call.happened("time_entry", action, shapes.entry(call.company, row, written=True))


def _writable(call: ApiRequest, entry_id: int) -> TimeEntryRow:
    """Return a time entry of the path's workspace that the user may change: his own, or as an admin."""
    space = call.workspace()
    row = call.company.entries.get(entry_id)
    if row is None or row.workspace_id != space.id or row.deleted is not None:
        raise ApiError(404, _NOT_FOUND)
    if row.user_id != call.person.id and not call.person.admin:
        raise ApiError(403, "User cannot access the selected time entry")
    return row


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/me/time_entries": listing,
    "GET /api/v9/me/time_entries/current": current,
    "GET /api/v9/me/time_entries/{time_entry_id}": get,
    "POST /api/v9/workspaces/{workspace_id}/time_entries": create,
    "PUT /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}": delete,
    "PATCH /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}/stop": stop,
    "PATCH /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_ids}": patch,
}
