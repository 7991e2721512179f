"""Reports that add up: the summary and the weekly report."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol

from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, amount, client_id, read
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.state import State

__all__ = ["HANDLERS"]

_GROUPINGS: Final = ("projects", "clients", "users")
_SUB_GROUPINGS: Final = ("time_entries", "projects", "clients", "users", "tasks")
_WEEK: Final = 7


class _Named(Protocol):
    name: str


def summary(call: ApiRequest) -> Response:
    """Add up time by one thing and by another within it: projects and descriptions if none is named."""
    body = call.body()
    query = read(call, body)
    grouping, below = body.text("grouping") or "projects", body.text("sub_grouping") or "time_entries"
    if grouping not in _GROUPINGS:
        raise ApiError(400, f"Invalid 'grouping' value, allowed values are {', '.join(_GROUPINGS)}")
    if below not in _SUB_GROUPINGS or below == grouping:
        raise ApiError(400, f"Invalid 'sub_grouping' value, allowed values are {', '.join(_SUB_GROUPINGS)}")
    groups: dict[int | None, dict[int | str | None, list[TimeEntryRow]]] = {}
    for entry in query.entries:
        outer = groups.setdefault(_id(call.company, entry, grouping), {})
        inner = entry.description if below == "time_entries" else _id(call.company, entry, below)
        outer.setdefault(inner, []).append(entry)
    with_ids = body.flag("include_time_entry_ids")
    return answers.json(
        {
            "groups": [
                {
                    "id": outer,
                    "sub_groups": [
                        _sub_group(call.company, query, below, key, entries, with_ids=bool(with_ids))
                        for key, entries in inner.items()
                    ],
                }
                for outer, inner in groups.items()
            ]
        },
        headers={**query.headers, "X-Grouping": grouping, "X-Sub-Grouping": below},
    )


def _sub_group(
    state: State,
    query: ReportQuery,
    below: str,
    key: int | str | None,
    entries: list[TimeEntryRow],
    *,
    with_ids: bool,
) -> JsonObject:
    rates: Counter[int] = Counter()
    for entry in entries:
        _, rate = amount(state, entry, 0)
        if rate is not None:
            rates[rate] += query.seconds(entry)
    return {
        "id": None if isinstance(key, str) else key,
        "title": key if isinstance(key, str) else _title(state, below, key),
        "seconds": sum(query.seconds(entry) for entry in entries),
        "rates": [
            {"billable_seconds": seconds, "hourly_rate_in_cents": rate, "currency": "EUR"}
            for rate, seconds in sorted(rates.items())
        ]
        or None,
        **({"ids": [entry.id for entry in entries]} if with_ids else {}),
    }


def _id(state: State, entry: TimeEntryRow, grouping: str) -> int | None:
    """Return the id of what a time entry is grouped by."""
    if grouping == "clients":
        return client_id(state, entry)
    return {"projects": entry.project_id, "users": entry.user_id, "tasks": entry.task_id}[grouping]


def _title(state: State, grouping: str, key: int | None) -> str | None:
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
    query = read(call, call.body())
    company, zone = call.company, call.company.zone(call.person)
    weeks: dict[tuple[int, int | None], list[int]] = {}
    for entry in query.entries:
        day = (zone.day(entry.start) - query.first).days
        if day < _WEEK:
            weeks.setdefault((entry.user_id, entry.project_id), [0] * _WEEK)[day] += query.seconds(entry)
    shapes: list[JsonObject] = []
    for (user_id, project_id), seconds in weeks.items():
        project = company.projects.get(project_id or 0)
        shapes.append(
            {
                "user_id": user_id,
                "project_id": project_id,
                "client_id": None if project is None else project.client_id,
                "title": None if project is None else project.name,
                "seconds": seconds,
            }
        )
    return answers.json(shapes, headers=query.headers)


HANDLERS: Final[Mapping[str, Handler]] = {
    "POST /reports/api/v3/workspace/{workspace_id}/summary/time_entries": summary,
    "POST /reports/api/v3/workspace/{workspace_id}/weekly/time_entries": weekly,
}
