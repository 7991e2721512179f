"""``/workspaces/{workspace_id}/clients``."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import ClientRow, ProjectRow

__all__ = ["HANDLERS"]

_NOT_FOUND: Final = "Client not found"


def listing(call: ApiRequest) -> Response:
    """List the clients, all at once: the active ones unless told otherwise."""
    space = call.workspace()
    status, name = call.query.get("status") or "active", call.query.get("name", "").casefold()
    return answers.json(
        [
            shapes.client(row)
            for row in call.company.clients_of(space.id)
            if status in {"both", "archived" if row.archived else "active"} and name in row.name.casefold()
        ]
    )


def get(call: ApiRequest) -> Response:
    """Return a client."""
    return answers.json(shapes.client(_client(call)))


def create(call: ApiRequest) -> Response:
    """Create a client; its name must be new to the workspace."""
    space, body = call.workspace(), call.body()
    row = ClientRow(
        id=call.company.new_id("client", 3),
        workspace_id=space.id,
        name=_name(call, body.text("name")),
        creator_id=call.person.id,
        at=int(call.now),
        notes=body.text("notes"),
    )
    call.company.clients[row.id] = row
    return _told(call, row, "created")


def update(call: ApiRequest) -> Response:
    """Change a client: the fields that are given."""
    row, body = _client(call), call.body()
    if body.given("name") and body.text("name") != row.name:
        row.name = _name(call, body.text("name"))
    body.write(row, "notes")
    row.at = int(call.now)
    return _told(call, row, "updated")


def delete(call: ApiRequest) -> Response:
    """Delete a client; the answer is its id."""
    row = _client(call)
    _remove(call, row)
    return answers.json(row.id)


def data(call: ApiRequest) -> Response:
    """Return several clients by their ids."""
    return answers.json([shapes.client(row) for row in _several(call)])


def delete_several(call: ApiRequest) -> Response:
    """Delete several clients; the answer is empty."""
    for row in _several(call):
        _remove(call, row)
    return answers.empty()


def archive(call: ApiRequest) -> Response:
    """Archive a client and its projects; the answer is the projects' ids."""
    return answers.json(_archive(call, _client(call)))


def archive_several(call: ApiRequest) -> Response:
    """Archive several clients and their projects."""
    rows = _several(call)
    projects = [project_id for row in rows for project_id in _archive(call, row)]
    return answers.json([{"client_ids": [row.id for row in rows], "project_ids": projects}])


def restore(call: ApiRequest) -> Response:
    """Take a client out of the archive, and those of its projects that are named, or all."""
    row = _client(call)
    body = call.body() if call.raw else None
    wanted = set(body.numbers("projects") or ()) if body else set()
    everything = bool(body and body.flag("restore_all_projects"))
    row.archived, row.at = False, int(call.now)
    for project in _projects(call, row):
        if everything or project.id in wanted:
            project.active, project.at = True, int(call.now)
            call.happened("project", "updated", shapes.project(call.company, project))
    return _told(call, row, "updated")


def _archive(call: ApiRequest, row: ClientRow) -> list[int]:
    """Archive a client; return the ids of the projects that went with it."""
    row.archived, row.at = True, int(call.now)
    call.happened("client", "updated", shapes.client(row))
    projects = [project for project in _projects(call, row) if project.active]
    for project in projects:
        project.active, project.at = False, int(call.now)
        call.happened("project", "updated", shapes.project(call.company, project))
    return [project.id for project in projects]


def _projects(call: ApiRequest, row: ClientRow) -> list[ProjectRow]:
    return [project for project in call.company.projects_of(row.workspace_id) if project.client_id == row.id]


def _remove(call: ApiRequest, row: ClientRow) -> None:
    call.company.remove_client(row)
    call.happened("client", "deleted", shapes.client(row))


def _several(call: ApiRequest) -> list[ClientRow]:
    """Return the clients whose ids the body lists."""
    space, ids = call.workspace(), call.json()
    rows = [row for row in call.company.clients_of(space.id) if row.id in ids]
    if len(rows) < len(set(ids)):
        raise ApiError(404, _NOT_FOUND)
    return rows


def _told(call: ApiRequest, row: ClientRow, action: str) -> Response:
    """Answer with a client, and note what was done to it."""
    shape = shapes.client(row)
    call.happened("client", action, shape)
    return answers.json(shape)


def _client(call: ApiRequest) -> ClientRow:
    space = call.workspace()
    row = call.company.clients.get(call.path["client_id"])
    if row is None or row.workspace_id != space.id:
        raise ApiError(404, _NOT_FOUND)
    return row


def _name(call: ApiRequest, name: str | None) -> str:
    if not name:
        raise ApiError(400, "Client name can't be blank")
    if any(row.name == name for row in call.company.clients_of(call.path["workspace_id"])):
        raise ApiError(400, "Name has already been taken")
    return name


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/clients": listing,
    "POST /api/v9/workspaces/{workspace_id}/clients": create,
    "GET /api/v9/workspaces/{workspace_id}/clients/{client_id}": get,
    "PUT /api/v9/workspaces/{workspace_id}/clients/{client_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/clients/{client_id}": delete,
    "POST /api/v9/workspaces/{workspace_id}/clients/data": data,
    "POST /api/v9/workspaces/{workspace_id}/clients/delete": delete_several,
    "POST /api/v9/workspaces/{workspace_id}/clients/archive": archive_several,
    "POST /api/v9/workspaces/{workspace_id}/clients/{client_id}/archive": archive,
    "POST /api/v9/workspaces/{workspace_id}/clients/{client_id}/restore": restore,
}
