"""Graphs of time and money over a range: of projects, clients and people, compared and as profit."""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs
from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, client_id, read
from toggl_async.sandbox.routes.summaries import named
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.state import State
from toggl_async.sandbox.sums import Sums, add_up, beginnings, begins, resolution, total

__all__ = ["HANDLERS"]

_IDS: Final[Mapping[str, Callable[[State, TimeEntryRow], int | None]]] = {
    "clients": client_id,
    "projects": lambda _, entry: entry.project_id,
    "users": lambda _, entry: entry.user_id,
}


def trends(kind: str, call: ApiRequest) -> Response:
    """Add up each point of the graph by project, client or person; by all of them if none is named."""
    body, company, zone = call.body(), call.company, call.company.zone(call.person)
    query, wanted = read(call, body, all_optional=True), body.numbers("ids")
    length = resolution(query, body.text("resolution"))
    points: dict[dt.date, list[JsonObject]] = {day: [] for day in beginnings(query, length)}
    sums = add_up(company, query, zone, lambda entry, day: (begins(day, length), _IDS[kind](company, entry)))
    for (day, one), each in sums.items():
        if not wanted or one in wanted:
            points[day].append(_trend(company, kind, one, each))
    data = [{"date": day.isoformat(), kind: rows} for day, rows in points.items()]
    return answers.json({"currency": "EUR", "graph": {"resolution": length, "data": data}})


def _trend(state: State, kind: str, one: int | None, sums: Sums) -> JsonObject:
    shape: JsonObject = {
        f"{kind.removesuffix('s')}_id": one,
        "name": named(state, kind, one),
        "total_seconds": sums.seconds,
        "billable_seconds": sums.billable,
        "earnings": sums.cents,
    }
    if kind == "projects":
        project = state.projects.get(one or 0)
        shape |= {"color": None if project is None else project.color, "currency": "EUR"}
    return shape


def comparative(call: ApiRequest) -> Response:
    """Add up all time, point by point."""
    query, length, points = _points(call)
    data = [
        {"date": day.isoformat(), "total_seconds": points.get(day, Sums()).seconds}
        for day in beginnings(query, length)
    ]
    return answers.json({"graph": {"resolution": length, "data": data}}, headers=query.headers)


def profitability(call: ApiRequest) -> Response:
    """Add up what is earned and what it costs, point by point and project by project."""
    query, length, points = _points(call)
    company, zone = call.company, call.company.zone(call.person)
    data = [
        {"date": day.isoformat(), "earnings": sums.cents, "labour_cost": sums.cost}
        for day, sums in ((day, points.get(day, Sums())) for day in beginnings(query, length))
    ]
    projects = add_up(company, query, zone, lambda entry, _: entry.project_id)
    table = [
        _trend(company, "projects", one, sums) | {"labour_cost": sums.cost} for one, sums in projects.items()
    ]
    shape = {"currency": "EUR", "graph": {"resolution": length, "data": data}, "table": table}
    return answers.json(shape, headers=query.headers)


def _points(call: ApiRequest) -> tuple[ReportQuery, str, Mapping[dt.date, Sums]]:
    body = call.body()
    query = read(call, body, all_optional=True)
    length = resolution(query, body.text("resolution"))
    zone = call.company.zone(call.person)
    return query, length, add_up(call.company, query, zone, lambda _, day: begins(day, length))


def compared(call: ApiRequest) -> Response:
    """Compare the days of each project with those of an earlier period as long."""
    body, company = call.body(), call.company
    query = read(call, body, all_optional=True)
    length = (query.last - query.first).days + 1
    try:
        earlier = body.day("previous_period_start") or query.first - dt.timedelta(days=length)
        until = earlier + dt.timedelta(days=length - 1)
        dates = {"start_date": earlier.isoformat(), "end_date": until.isoformat()}
        before = read(call, attrs.evolve(body, fields={**body.fields, **dates}))
    except (OverflowError, ValueError) as error:
        raise ApiError(400, "the previous period is out of range") from error
    wanted = body.numbers("project_ids") or list(dict.fromkeys(one.project_id for one in query.entries))
    rows = []
    for project_id in wanted:
        now, then = (_of_project(one, project_id) for one in (query, before))
        rows.append(
            {
                "project_id": project_id,
                "user_ids": sorted({entry.user_id for entry in (*now.entries, *then.entries)}),
                "start": query.first.isoformat(),
                "end": query.last.isoformat(),
                "previousStart": earlier.isoformat(),
                "current_period_seconds": _by_day(company, call, now),
                "previous_period_seconds": _by_day(company, call, then),
            }
        )
    return answers.json(rows)


def _of_project(query: ReportQuery, project_id: int | None) -> ReportQuery:
    return attrs.evolve(query, entries=[one for one in query.entries if one.project_id == project_id])


def _by_day(state: State, call: ApiRequest, query: ReportQuery) -> list[int]:
    days = add_up(state, query, state.zone(call.person), lambda _, day: day)
    return [days.get(day, Sums()).seconds for day in beginnings(query, "day")]


def project_status(call: ApiRequest) -> Response:
    """Return what was ever tracked in projects."""
    ids, company = call.body().numbers("ids"), call.company
    space = call.workspace()
    everything = company.reported_to(call.person, space.id)
    rows = []
    for project in company.projects_of(space.id):
        if not ids or project.id in ids:
            entries = [entry for entry in everything if entry.project_id == project.id]
            rows.append(status(company, call, project.id, project.estimated_seconds, entries))
    return answers.json(rows)


def status(
    state: State, call: ApiRequest, one: int, estimated: int | None, entries: list[TimeEntryRow]
) -> JsonObject:
    """Write how far a project or a task has come."""
    day = dt.date.min
    exact = ReportQuery(entries=entries, first=day, last=day, rounding=0, rounding_minutes=0)
    sums = total(state, exact, state.zone(call.person))
    return {
        "id": one,
        "tracked_seconds": sums.seconds,
        "billable_seconds": sums.billable,
        "estimated_seconds": estimated,
        "billable_amount": sums.cents if state.paid else None,
        "currency": "EUR",
    }


_REPORTS: Final = "POST /reports/api/v3/workspace/{workspace_id}"

HANDLERS: Final[Mapping[str, Handler]] = {
    **{f"{_REPORTS}/data_trends/{kind}": partial(trends, kind) for kind in _IDS},
    f"{_REPORTS}/comparative": comparative,
    f"{_REPORTS}/profitability/projects": profitability,
    f"{_REPORTS}/filters/projects/status": project_status,
    "POST /insights/api/v1/workspace/{workspace_id}/data_trends/projects": compared,
}
