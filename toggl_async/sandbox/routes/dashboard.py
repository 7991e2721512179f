"""The dashboard of a workspace: what its people did last, and who does the most."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["HANDLERS"]

_WEEK: Final = 7 * 86_400
_MOST: Final = 20
_FEW: Final = 5


def all_activity(call: ApiRequest) -> Response:
    """List the last time entries of everybody, newest first."""
    return answers.json([_shape(entry) for entry in reversed(_recent(call)[-_MOST:])])


def top_activity(call: ApiRequest) -> Response:
    """List the longest of the last time entries."""
    longest = sorted(_recent(call), key=lambda entry: (-(entry.seconds or 0), entry.id))
    return answers.json([_shape(entry) for entry in longest[:_FEW]])


def most_active(call: ApiRequest) -> Response:
    """List those who have tracked the most time."""
    seconds: Counter[int] = Counter()
    for entry in _recent(call):
        seconds[entry.user_id] += entry.seconds or 0
    people = call.company.people
    return answers.json(
        [
            {
                "user_id": user_id,
                "fullname": people[user_id].name,
                "email": people[user_id].email,
                "avatar_file_name": None,
                "duration": duration,
            }
            for user_id, duration in seconds.most_common(_FEW)
        ]
    )


def _recent(call: ApiRequest) -> list[TimeEntryRow]:
    """Return what was done in the last seven days, or since a moment."""
    since = call.since() or int(call.now) - _WEEK
    return [
        entry for entry in call.company.reported_to(call.person, call.workspace().id) if entry.start >= since
    ]


def _shape(entry: TimeEntryRow) -> JsonObject:
    return {
        "user_id": entry.user_id,
        "project_id": entry.project_id or 0,
        "tid": entry.task_id,
        "description": entry.description,
        "duration": entry.seconds,
        "stop": offset_utc(entry.stop or 0),
    }


_DASHBOARD: Final = "GET /api/v9/workspaces/{workspace_id}/dashboard"

HANDLERS: Final[Mapping[str, Handler]] = {
    f"{_DASHBOARD}/all_activity": all_activity,
    f"{_DASHBOARD}/top_activity": top_activity,
    f"{_DASHBOARD}/most_active": most_active,
}
