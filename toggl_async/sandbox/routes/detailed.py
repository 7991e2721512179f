"""The detailed report, page by page, and its totals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from starlette.responses import Response

from toggl_async.sandbox import answers, timestamps
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, amount, read
from toggl_async.sandbox.routes.projects import project_of
from toggl_async.sandbox.shapes import JsonObject, same
from toggl_async.sandbox.sums import Sums, add_up, beginnings, begins, resolution, total

__all__ = ["HANDLERS"]

_PAGE: Final = 50
_LARGEST: Final = 1000


def search(call: ApiRequest) -> Response:
    """Return a page of the detailed report; the headers name the next one, if there is one.

    A row is a time entry, or with ``grouped`` all those of a day that differ in nothing but time.
    """
    body = call.body()
    query = read(call, body)
    size = body.number("page_size")
    size = _PAGE if size is None else size
    if not 0 < size <= _LARGEST:
        raise ApiError(400, f"Invalid 'page_size' value, must be between 1 and {_LARGEST}")
    entries = _ordered(call, body, query)
    groups = _grouped(call, entries) if body.flag("grouped") else None
    heads = entries if groups is None else [group[0] for group in groups]
    first = _first(body, heads)
    after = first + size
    page = [[head] for head in heads[first:after]] if groups is None else groups[first:after]
    write = _writer(call, body, query)
    headers = query.headers
    if after < len(heads):
        headers |= {
            "X-Next-ID": str(heads[after].id),
            "X-Next-Row-Number": str(after + 1),
            "X-Next-Timestamp": str(heads[after].start),
        }
    return answers.json([write(row, first + place) for place, row in enumerate(page, 1)], headers=headers)


def _ordered(call: ApiRequest, body: Body, query: ReportQuery) -> list[TimeEntryRow]:
    """Return the time entries of the whole report in the order asked for: newest first, if none is."""
    order, direction = body.text("order_by") or "date", (body.text("order_dir") or "DESC").upper()
    entries = list(query.entries)
    if order != "date":
        people = call.company.people
        keys: dict[str, Callable[[TimeEntryRow], Any]] = {
            "user": lambda entry: people[entry.user_id].name,
            "duration": query.seconds,
            "description": lambda entry: entry.description,
            "last_update": lambda entry: entry.changed,
        }
        entries.sort(key=keys[order])
    if direction == "DESC":
        entries.reverse()
    return entries


def _grouped(call: ApiRequest, entries: list[TimeEntryRow]) -> list[list[TimeEntryRow]]:
    """Return groups of what differs in nothing but time within a day."""
    zone = call.company.zone(call.person)
    groups: dict[object, list[TimeEntryRow]] = {}
    for entry in entries:
        key = (
            zone.day(entry.start),
            entry.user_id,
            entry.project_id,
            entry.task_id,
            entry.billable,
            entry.description,
            entry.tag_ids,
        )
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _first(body: Body, heads: list[TimeEntryRow]) -> int:
    """Return where the page begins: at the row of the cursor's id, or else at its row number."""
    number, entry_id, _ = (
        body.number("first_row_number"),
        body.number("first_id"),
        body.number("first_timestamp"),
    )
    place = max(0, (number or 1) - 1)
    if entry_id is None or (place < len(heads) and heads[place].id == entry_id):
        return place
    return next((index for index, head in enumerate(heads) if head.id == entry_id), place)


def _writer(
    call: ApiRequest, body: Body, query: ReportQuery
) -> Callable[[Sequence[TimeEntryRow], int], JsonObject]:
    """Return what turns a row into JSON."""
    company, zone = call.company, call.company.zone(call.person)
    enrich, hide = body.flag("enrich_response"), body.flag("hide_amounts")

    def write(row: Sequence[TimeEntryRow], number: int) -> JsonObject:
        head = row[0]
        amounts = [amount(company, entry, query.seconds(entry)) for entry in row]
        rate = None if hide else amounts[0][1]
        shape: JsonObject = {
            **same(head, "user_id", "project_id", "task_id", "billable", "description"),
            "username": company.people[head.user_id].name,
            "tag_ids": list(head.tag_ids) or (None if head.bare else []),
            "billable_amount_in_cents": None if rate is None else sum(paid or 0 for paid, _ in amounts),
            "hourly_rate_in_cents": rate,
            "currency": "EUR",
            "time_entries": [
                {
                    "id": entry.id,
                    "seconds": query.seconds(entry),
                    "start": zone.text(entry.start),
                    "stop": zone.text(entry.start + query.seconds(entry)),
                    "at": timestamps.offset_utc(entry.changed // 1_000_000),
                    "at_tz": zone.text(entry.changed // 1_000_000),
                }
                for entry in row
            ],
            "row_number": number,
        }
        return shape | _names(call, head) if enrich else shape

    return write


def _names(call: ApiRequest, entry: TimeEntryRow) -> JsonObject:
    """Return what ``enrich_response`` adds to a row; null and empty where there is nothing."""
    company = call.company
    project, task = company.projects.get(entry.project_id or 0), company.tasks.get(entry.task_id or 0)
    client = None if project is None else company.clients.get(project.client_id or 0)
    return {
        "client_name": None if client is None else client.name,
        "project_name": None if project is None else project.name,
        "project_color": None if project is None else "0",
        "project_hex": None if project is None else project.color,
        "task_name": None if task is None else task.name,
        "tag_names": [company.tags[tag_id].name for tag_id in entry.tag_ids],
        "email": company.people[entry.user_id].email,
    }


def totals(call: ApiRequest) -> Response:
    """Return the sums of the detailed report, with a graph over its range if asked for."""
    return totals_of(call, read(call, call.body()))


def project_totals(call: ApiRequest) -> Response:
    """Return the sums of one project, with a graph."""
    query, project_id = read(call, call.body(), all_optional=True), project_of(call).id
    entries = [entry for entry in query.entries if entry.project_id == project_id]
    return totals_of(call, attrs.evolve(query, entries=entries), graph=True)


def totals_of(call: ApiRequest, query: ReportQuery, *, graph: bool = False) -> Response:
    """Return the sums of a report."""
    body, company, zone = call.body(), call.company, call.company.zone(call.person)
    length = resolution(query, body.text("granularity") or body.text("resolution"))
    sums = total(company, query, zone)
    shape: JsonObject = {
        "seconds": sums.seconds,
        "tracked_days": len(sums.days),
        "resolution": length,
        "rates": sums.rate_shapes(),
        "billable_amount_in_cents": sums.cents if company.paid else None,
        "labour_cost_in_cents": None,
    }
    if graph or body.flag("with_graph"):
        points = add_up(company, query, zone, lambda _, day: begins(day, length))
        shape["graph"] = [
            {
                "seconds": point.seconds,
                "billable_amount_in_cents": point.cents,
                "labour_cost_in_cents": None,
                "by_rate": {str(rate): seconds for rate, seconds in sorted(point.rates.items())},
            }
            for point in (points.get(day, Sums()) for day in beginnings(query, length))
        ]
    return answers.json(shape, headers=query.headers)


HANDLERS: Final[Mapping[str, Handler]] = {
    "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries": search,
    "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries/totals": totals,
    "POST /reports/api/v3/workspace/{workspace_id}/projects/{project_id}/summary": project_totals,
}
