"""Groups, as the organization and as a workspace sees them."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import GroupRow
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["HANDLERS"]

_LONGEST_NAME: Final = 200
_MOST: Final = 100


def create(call: ApiRequest) -> Response:
    """Create a group of the organization, with its people and workspaces."""
    organization = call.organization()
    row = _new(call, organization.id, _name(call, call.body(), None), [])
    _fill(call, row, call.body())
    call.company.groups[row.id] = row
    return answers.json(account_shapes.organization_group(call.company, row))


def update(call: ApiRequest) -> Response:
    """Change a group: the fields that are given; lists take the place of those it has."""
    row, body = _group(call), call.body()
    name = _name(call, body, row) if body.given("name") else row.name
    _fill(call, row, body)
    row.name, row.at = name, int(call.now)
    return answers.json(account_shapes.organization_group(call.company, row))


def patch(call: ApiRequest) -> Response:
    """Add people and workspaces to a group, or take them from it; each patch succeeds or fails for itself."""
    row, patches = _group(call), call.json()
    if len(patches) > _MOST:
        raise ApiError(400, f"The number of patches must not exceed {_MOST}")
    done: list[JsonObject] = []
    failed: list[JsonObject] = []
    for operation in patches:
        try:
            _patch(call, row, Body(fields=operation))
        except ApiError as refused:
            failed.append({"patch": operation, "message": refused.text})
        else:
            done.append(operation)
    row.at = int(call.now)
    return answers.json({"success": done or None, "failure": failed or None})


def delete(call: ApiRequest) -> Response:
    """Delete a group; the answer is empty."""
    del call.company.groups[_group(call).id]
    return answers.empty()


def create_in_workspace(call: ApiRequest) -> Response:
    """Create a group of a workspace, without people."""
    space = call.workspace()
    call.administer()
    row = _new(call, space.organization_id, _name(call, call.body(), None), [space.id])
    call.company.groups[row.id] = row
    return answers.json(account_shapes.group(row, space.id))


def rename_in_workspace(call: ApiRequest) -> Response:
    """Rename a group of a workspace."""
    row = _group(call)
    row.name, row.at = _name(call, call.body(), row), int(call.now)
    return answers.json(account_shapes.group(row, call.path["workspace_id"]))


def _group(call: ApiRequest) -> GroupRow:
    """Return the group of the path, of an organization or of a workspace."""
    row = call.company.groups.get(call.path["group_id"])
    if "workspace_id" in call.path:
        found = row is not None and call.workspace().id in row.workspaces
    else:
        found = row is not None and call.organization().id == row.organization_id
    call.administer()
    if row is None or not found:
        raise ApiError(404, "Group not found")
    return row


def _new(call: ApiRequest, organization_id: int, name: str, workspaces: list[int]) -> GroupRow:
    call.administer()
    return GroupRow(
        id=call.company.new_id("group", 3),
        organization_id=organization_id,
        name=name,
        members=[],
        workspaces=workspaces,
        at=int(call.now),
    )


def _name(call: ApiRequest, body: Body, row: GroupRow | None) -> str:
    name = body.text("name")
    if not name:
        raise ApiError(400, "Group name can't be blank")
    if len(name) > _LONGEST_NAME:
        raise ApiError(400, f"Group name can't be longer than {_LONGEST_NAME} characters")
    if any(known.name == name and known is not row for known in call.company.groups.values()):
        raise ApiError(400, "Name has already been taken")
    return name


def _fill(call: ApiRequest, row: GroupRow, body: Body) -> None:
    """Check lists of people and workspaces; then give those that are there to a group."""
    users, workspaces = body.numbers("users"), body.numbers("workspaces")
    members = row.members if users is None else _known(call, "users", users)
    row.workspaces = row.workspaces if workspaces is None else _known(call, "workspaces", workspaces)
    row.members = members


def _patch(call: ApiRequest, row: GroupRow, operation: Body) -> None:
    """Carry out one patch."""
    name, table = operation.text("op") or "", (operation.text("path") or "").removeprefix("/")
    if name not in {"add", "remove"} or table not in {"users", "workspaces"}:
        raise ApiError(400, f"Operation {name} is not allowed for path /{table}")
    ids = _known(call, table, operation.numbers("value") or [])
    held = row.members if table == "users" else row.workspaces
    kept = [one for one in held if one not in ids] + (ids if name == "add" else [])
    if table == "users":
        row.members = kept
    else:
        row.workspaces = kept


def _known(call: ApiRequest, table: str, ids: list[int | None]) -> list[int]:
    """Return ids of people or workspaces, each once; refuse one that the organization has not."""
    known = {person.id for person in call.company.members} if table == "users" else call.company.workspaces
    found = [one for one in dict.fromkeys(ids) if one is not None and one in known]
    if len(found) < len(set(ids)):
        raise ApiError(400, f"Some {table} do not belong to the organization")
    return found


HANDLERS: Final[Mapping[str, Handler]] = {
    "POST /api/v9/organizations/{organization_id}/groups": create,
    "PUT /api/v9/organizations/{organization_id}/groups/{group_id}": update,
    "PATCH /api/v9/organizations/{organization_id}/groups/{group_id}": patch,
    "DELETE /api/v9/organizations/{organization_id}/groups/{group_id}": delete,
    "POST /api/v9/workspaces/{workspace_id}/groups": create_in_workspace,
    "PUT /api/v9/workspaces/{workspace_id}/groups/{group_id}": rename_in_workspace,
    "DELETE /api/v9/workspaces/{workspace_id}/groups/{group_id}": delete,
}
