"""``/organizations``: the organization, its people and its groups."""

import secrets
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import PersonRow, WorkspaceRow
from toggl_async.sandbox.routes.workspaces import workspace_users
from toggl_async.sandbox.timestamps import offset_utc

__all__ = ["HANDLERS"]

_PAGE: Final = 50


def get(call: ApiRequest) -> Response:
    """Return the organization."""
    return answers.json(account_shapes.organization(call.company, call.organization(), call.person))


def update(call: ApiRequest) -> Response:
    """Rename the organization; the answer is a bare string."""
    organization = call.organization()
    call.administer()
    name = call.body().text("name")
    if not name:
        raise ApiError(400, "Organization name can't be blank")
    organization.name = name
    return answers.json("OK")


def users(call: ApiRequest) -> Response:
    """List the organization's people by name, page by page; the headers tell how many there are."""
    call.administer()
    rows = [person for person in call.company.members if _wanted(call, person)]
    direction = call.query.get("sort_dir") or "asc"
    rows.sort(key=lambda person: (person.name, person.id), reverse=direction == "desc")
    size = call.page_size(_PAGE)
    return answers.json(
        [account_shapes.organization_user(call.company, person) for person in call.page(rows, _PAGE)],
        headers={
            "X-Page": str(call.number("page", 1)),
            "X-Page-Size": str(size),
            "X-Pages": str(-(-len(rows) // size)),
            "X-Records": str(len(rows)),
            "X-Sort-Order": direction,
        },
    )


def _wanted(call: ApiRequest, person: PersonRow) -> bool:
    """Tell whether a person passes the filters of the query."""
    text = call.query.get("filter", "").casefold()
    status = call.query.get("active_status", "")
    groups, spaces = call.ids("groups"), call.ids("workspaces")
    company = call.company
    return (
        (text in person.name.casefold() or text in person.email)
        and not (status == "active" and person.inactive)
        and not (status == "inactive" and not person.inactive)
        and not (call.flag("only_admins") and not person.admin)
        and (
            groups is None
            or any(row.id in groups and person.id in row.members for row in company.groups.values())
        )
        and (spaces is None or any(space.id in spaces for space in company.workspaces_of(person)))
    )


def groups(call: ApiRequest) -> Response:
    """List the organization's groups, with their people and workspaces."""
    name, space = call.query.get("name", "").casefold(), call.query.get("workspace", "")
    return answers.json(
        [
            account_shapes.organization_group(call.company, row)
            for row in call.company.groups.values()
            if name in row.name.casefold() and (not space or space in map(str, row.workspaces))
        ]
    )


def workspace_groups(call: ApiRequest) -> Response:
    """List the groups of one of the organization's workspaces, with their people, to administrators."""
    space = call.workspace()
    call.administer()
    return answers.json(
        [account_shapes.organization_group(call.company, row) for row in call.company.groups_of(space.id)]
    )


def statistics(call: ApiRequest) -> Response:
    """Count the people and groups of all workspaces, and name their administrators."""
    spaces = call.company.workspaces.values()
    return answers.json(
        {str(row.id): account_shapes.workspace_statistics(call.company, row) for row in spaces}
    )


def owner(call: ApiRequest) -> Response:
    """Return the owner of the organization."""
    organization, person = call.organization(), call.company.owner
    return answers.json(
        {
            "id": person.membership_id,
            "user_id": person.id,
            "organization_id": organization.id,
            "organization_user_id": person.membership_id,
            "name": person.name,
            "email": person.email,
            "avatar_url": "",
            "toggl_accounts_id": f"ta{person.id:x}",
            "organization_user_created_at": offset_utc(person.created),
            "organization_user_updated_at": offset_utc(person.modified),
        }
    )


def create_workspace(call: ApiRequest) -> Response:
    """Create a workspace of the organization; several are for the Premium plan."""
    organization, body, company = call.organization(), call.body(), call.company
    call.administer()
    name = body.text("name")
    if not name:
        raise ApiError(400, "Workspace name can't be blank")
    if company.plan != "premium":
        raise ApiError(402, "Must be a premium user to create several workspaces")
    row = WorkspaceRow(
        id=company.new_id("workspace", 113),
        organization_id=organization.id,
        name=name,
        modified=int(call.now),
        default_hourly_rate=body.money("default_hourly_rate") or 0.0,
        members=[call.person.id],
        api_token=secrets.token_hex(16),
        only_admins_may_create_tags=bool(body.flag("only_admins_may_create_tags")),
    )
    company.workspaces[row.id] = row
    return answers.json(account_shapes.workspace(company, row, call.person))


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/organizations/{organization_id}": get,
    "PUT /api/v9/organizations/{organization_id}": update,
    "GET /api/v9/organizations/{organization_id}/users": users,
    "GET /api/v9/organizations/{organization_id}/groups": groups,
    "GET /api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups": workspace_groups,
    "GET /api/v9/organizations/{organization_id}/workspaces/{workspace_id}/workspace_users": workspace_users,
    "GET /api/v9/organizations/{organization_id}/workspaces/statistics": statistics,
    "GET /api/v9/organizations/{organization_id}/owner": owner,
    "GET /api/v9/organizations/{organization_id}/users/detailed": users,
    "POST /api/v9/organizations/{organization_id}/workspaces": create_workspace,
}
