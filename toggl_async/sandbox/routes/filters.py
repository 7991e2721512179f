"""What the filters of reports can be set to: clients, projects and users, by id from a cursor on; tasks."""

from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.routes.trends import status
from toggl_async.sandbox.shapes import same

__all__ = ["HANDLERS"]

_PAGE: Final = 201


class _Named(Protocol):
    id: int
    name: str


NamedT = TypeVar("NamedT", bound=_Named)


def clients(call: ApiRequest) -> Response:
    """List the workspace's clients."""
    space, body = call.workspace(), call.body()
    rows = _page(body, call.company.clients_of(space.id))
    return answers.json([{"id": row.id, "name": row.name} for row in rows])


def projects(call: ApiRequest) -> Response:
    """List the workspace's projects."""
    space, body = call.workspace(), call.body()
    active, client_ids = body.flag("is_active"), body.numbers("client_ids")
    rows = [
        row
        for row in call.company.projects_of(space.id)
        if active in {None, row.active} and (not client_ids or row.client_id in client_ids)
    ]
    return answers.json(
        [
            {
                **same(row, "id", "name", "color", "active", "billable", "client_id"),
                "currency": "EUR",
            }
            for row in _page(body, rows)
        ]
    )


def users(call: ApiRequest) -> Response:
    """List the workspace's people."""
    space, body = call.workspace(), call.body()
    rows = [call.company.people[user_id] for user_id in space.members]
    return answers.json([{"id": row.id, "name": row.name, "deleted_at": None} for row in _page(body, rows)])


def task_status(call: ApiRequest) -> Response:
    """Return what was tracked for tasks; Starter plans and above have it."""
    space, body = call.workspace(), call.body()
    if not call.company.paid:
        raise ApiError(402, "Tasks are a premium feature")
    ids, company = body.numbers("ids") or [], call.company
    rows, reported = [], company.reported_to(call.person, space.id)
    for row in company.tasks_of(space.id):
        if row.id in ids:
            entries = [entry for entry in reported if entry.task_id == row.id]
            rows.append(status(company, call, row.id, row.estimated_seconds, entries))
    return answers.json(rows)


def _page(body: Body, rows: list[NamedT]) -> list[NamedT]:
    """Return the rows from the cursor on, by id, that pass the filters by id and name."""
    start, size = body.number("start") or 0, body.number("page_size") or _PAGE
    ids, name = body.numbers("ids"), (body.text("name") or "").casefold()
    wanted = (
        row for row in rows if row.id >= start and (not ids or row.id in ids) and name in row.name.casefold()
    )
    return sorted(wanted, key=lambda row: row.id)[:size]


HANDLERS: Final[Mapping[str, Handler]] = {
    **{
        f"POST /reports/api/v3/workspace/{{workspace_id}}/{way}/{what}": handler
        for way in ("filters", "search")
        for what, handler in (("clients", clients), ("projects", projects), ("users", users))
    },
    "POST /reports/api/v3/workspace/{workspace_id}/filters/tasks/status": task_status,
}
