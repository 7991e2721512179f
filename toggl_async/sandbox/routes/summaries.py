"""Reports that add up: the summary and the weekly report, and the sums of projects."""

from collections.abc import Mapping
from typing import Final, Protocol

from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import client_id, read
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.state import State
from toggl_async.sandbox.sums import Sums, add_up

__all__ = ["HANDLERS", "named", "summary_groups", "weekly_rows"]

_GROUPINGS: Final = ("projects", "clients", "users")
_SUB_GROUPINGS: Final = ("time_entries", "projects", "clients", "users", "tasks")
_WEEK: Final = 7

_Key = tuple[int | None, int | str | None]


class _Named(Protocol):
    name: str


def summary(call: ApiRequest) -> Response:
    """Add up time by one thing and by another within it: projects and descriptions if none is named."""
    grouping, below, groups, headers = summary_groups(call)
    headers |= {"X-Grouping": grouping, "X-Sub-Grouping": below}
    return answers.json({"groups": groups}, headers=headers)


def summary_groups(call: ApiRequest) -> tuple[str, str, list[JsonObject], dict[str, str]]:
    """Return what the summary groups by, and by what within that; its groups; the headers of its range."""
    body, company = call.body(), call.company
    query = read(call, body)
    grouping, below = body.text("grouping") or "projects", body.text("sub_grouping") or "time_entries"
    if grouping not in _GROUPINGS:
        raise ApiError(400, f"Invalid 'grouping' value, allowed values are {', '.join(_GROUPINGS)}")
    if below not in _SUB_GROUPINGS or below == grouping:
        raise ApiError(400, f"Invalid 'sub_grouping' value, allowed values are {', '.join(_SUB_GROUPINGS)}")

    def key(entry: TimeEntryRow, _: object) -> _Key:
        inner = entry.description if below == "time_entries" else _id(company, entry, below)
        return _id(company, entry, grouping), inner

    groups: dict[int | None, list[JsonObject]] = {}
    with_ids = bool(body.flag("include_time_entry_ids"))
    for (outer, inner), sums in add_up(company, query, company.zone(call.person), key).items():
        groups.setdefault(outer, []).append(_sub_group(company, below, inner, sums, with_ids=with_ids))
    shapes = [{"id": outer, "sub_groups": inner} for outer, inner in groups.items()]
    return grouping, below, shapes, query.headers


def _sub_group(state: State, below: str, key: int | str | None, sums: Sums, *, with_ids: bool) -> JsonObject:
    return {
        "id": None if isinstance(key, str) else key,
        "title": key if isinstance(key, str) else named(state, below, key),
        "seconds": sums.seconds,
        "rates": sums.rate_shapes() or None,
        **({"ids": sums.ids} if with_ids else {}),
    }


def _id(state: State, entry: TimeEntryRow, grouping: str) -> int | None:
    """Return the id of what a time entry is grouped by."""
    if grouping == "clients":
        return client_id(state, entry)
    return {"projects": entry.project_id, "users": entry.user_id, "tasks": entry.task_id}[grouping]


def named(state: State, grouping: str, key: int | None) -> str | None:
    """Return the name of what time entries are grouped by."""
    tables: dict[str, Mapping[int, _Named]] = {
        "projects": state.projects,
        "users": state.people,
        "tasks": state.tasks,
        "clients": state.clients,
    }
    row = tables[grouping].get(key or 0)
    return None if row is None else row.name


def weekly(call: ApiRequest) -> Response:
    """Add up the seven days from the first on, by user and project."""
    rows, headers = weekly_rows(call)
    return answers.json(rows, headers=headers)


def weekly_rows(call: ApiRequest) -> tuple[list[JsonObject], dict[str, str]]:
    """Return the rows of the weekly report, and the headers of its range."""
    query = read(call, call.body())
    company, zone = call.company, call.company.zone(call.person)
    weeks: dict[tuple[int, int | None], list[Sums]] = {}
    by_day = add_up(company, query, zone, lambda entry, day: (entry.user_id, entry.project_id, day))
    for (user_id, project_id, day), sums in by_day.items():
        place = (day - query.first).days
        if place < _WEEK:
            weeks.setdefault((user_id, project_id), [Sums() for _ in range(_WEEK)])[place] = sums
    return [_week(company, *key, days) for key, days in weeks.items()], query.headers


def _week(state: State, user_id: int, project_id: int | None, days: list[Sums]) -> JsonObject:
    project = state.projects.get(project_id or 0)
    client = None if project is None else state.clients.get(project.client_id or 0)
    rates = {rate for day in days for rate in day.rates}
    return {
        "user_id": user_id,
        "user_name": state.people[user_id].name,
        "project_id": project_id,
        "project_name": None if project is None else project.name,
        "project_color": None if project is None else "0",
        "project_hex_color": None if project is None else project.color,
        "client_name": None if client is None else client.name,
        "seconds": [day.seconds for day in days],
        "billable_seconds": [day.billable for day in days],
        "billable_amounts_in_cents": [day.cents for day in days],
        "hourly_rate_in_cents": min(rates, default=None),
        "currency": "EUR",
    }


def projects(call: ApiRequest) -> Response:
    """Add up the time of each person in each project."""
    query = read(call, call.body(), all_optional=True)
    company, zone = call.company, call.company.zone(call.person)
    sums = add_up(company, query, zone, lambda entry, _: (entry.user_id, entry.project_id))
    rows = [
        {
            "user_id": user_id,
            "project_id": project_id,
            "tracked_seconds": each.seconds,
            "billable_seconds": each.billable,
        }
        for (user_id, project_id), each in sums.items()
    ]
    return answers.json(rows, headers=query.headers)


HANDLERS: Final[Mapping[str, Handler]] = {
    "POST /reports/api/v3/workspace/{workspace_id}/summary/time_entries": summary,
    "POST /reports/api/v3/workspace/{workspace_id}/weekly/time_entries": weekly,
    "POST /reports/api/v3/workspace/{workspace_id}/projects/summary": projects,
}
