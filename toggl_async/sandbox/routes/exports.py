"""Exports: whole tables as JSON in a ZIP archive, of a workspace or of a person."""

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers, files, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import ExportRow
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["HANDLERS"]

_TAKES: Final = 10.0
"""Toggl seconds that an archive takes."""


def listing(call: ApiRequest) -> Response:
    """List the exports that the user asked for, each with its state."""
    return answers.json(
        [
            {
                "token": row.token,
                "state": "done" if row.ready <= call.now else "pending",
                "error_message": None,
            }
            for row in _exports(call)
        ]
    )


def create(call: ApiRequest) -> Response:
    """Ask for an export of the workspace; the body lists the tables."""
    names = call.json()
    if not names:
        raise ApiError(400, "At least one parameter must be set")
    return _begin(call, tuple(dict.fromkeys(names)))


def create_own(call: ApiRequest) -> Response:
    """Ask for an export of the user's own data."""
    body = call.body()
    names = tuple(name for name in ("profile", "timeline") if body.flag(name))
    if not names:
        raise ApiError(400, "At least one parameter must be set")
    return _begin(call, names)


def download(call: ApiRequest) -> Response:
    """Return the archive, when it is there."""
    for row in _exports(call):
        if row.token == call.path["uuid"] and row.ready <= call.now:
            tables = _tables(call, row)
            content = {
                f"{name}.json": msgspec.json.encode(tables[name]()) for name in row.tables if name in tables
            }
            return answers.file(files.archive(content), files.ZIP)
    raise ApiError(400, "Export not found")


def _begin(call: ApiRequest, names: tuple[str, ...]) -> Response:
    if any(row.ready > call.now for row in _exports(call)):
        raise ApiError(400, "Cannot start another export until current one is complete")
    row = ExportRow(
        token=str(uuid.uuid4()),
        user_id=call.person.id,
        workspace_id=call.path.get("workspace_id"),
        tables=names,
        ready=call.now + _TAKES,
    )
    call.company.exports[row.token] = row
    return answers.json(row.token)


def _exports(call: ApiRequest) -> list[ExportRow]:
    workspace_id = call.workspace().id if "workspace_id" in call.path else None
    return [
        row
        for row in call.company.exports.values()
        if row.workspace_id == workspace_id and row.user_id == call.person.id
    ]


def _tables(call: ApiRequest, row: ExportRow) -> Mapping[str, Callable[[], JsonObject | list[JsonObject]]]:
    """Return what makes each table of an export."""
    company = call.company
    if row.workspace_id is None:
        return {"profile": lambda: account_shapes.me(call.person), "timeline": list}
    space = company.workspaces[row.workspace_id]
    return {
        **{
            kind: partial(shapes.rows, company, kind, space.id)
            for kind in ("clients", "projects", "tags", "tasks")
        },
        "workspace_users": lambda: [
            account_shapes.workspace_user(company, space, company.people[one]) for one in space.members
        ],
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/exports": listing,
    "POST /api/v9/workspaces/{workspace_id}/exports": create,
    "GET /api/v9/workspaces/{workspace_id}/exports/data/{uuid}.zip": download,
    "GET /api/v9/me/export": listing,
    "POST /api/v9/me/export": create_own,
    "GET /api/v9/me/export/data/{uuid}.zip": download,
}
