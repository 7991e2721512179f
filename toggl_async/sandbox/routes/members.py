"""What people are in the organization and in its workspaces: changed, and ended."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import PersonRow

__all__ = ["HANDLERS"]

_ADMIN_ROLE: Final = 1
_PAID: Final = ("rate", "labor_cost", "working_hours_in_minutes")
_NOT_FOUND: Final = "User not found"


def update(call: ApiRequest) -> Response:
    """Change a member of the workspace: the fields that are given; the answer is empty."""
    person, body = _member(call, call.path["workspace_user_id"]), call.body()
    role = body.text("role")
    if not call.company.paid and any(body.fields.get(name) is not None for name in _PAID):
        raise ApiError(402, "Billable rates are available for Starter and higher plans.")
    admin = _admin(body) if role is None else role == "admin"
    _change(call, person, admin, body.flag("inactive"))
    body.write(person, *_PAID)
    return answers.empty()


def delete(call: ApiRequest) -> Response:
    """Remove a person from the workspace; the answer is empty."""
    _leave(call, [_member(call, call.path["workspace_user_id"])])
    return answers.empty()


def delete_several(call: ApiRequest) -> Response:
    """Remove several people from the workspace: all, or none."""
    _leave(call, [_member(call, one) for one in _wanted(call)])
    return answers.empty()


def update_in_organization(call: ApiRequest) -> Response:
    """Change a person of the organization: the fields that are given; the answer is empty."""
    person, body = _organization_user(call, call.path["organization_user_id"]), call.body()
    email = body.text("email")
    if email is not None and any(
        known.email == email and known is not person for known in call.company.people.values()
    ):
        raise ApiError(400, "Email address has already been taken")
    admin, role_id = body.flag("organization_admin"), body.number("role_id")
    if admin is not None and role_id is not None:
        raise ApiError(400, "Role and admin flag can not be present simultaneously")
    groups = body.numbers("groups")
    if groups is not None and not call.company.groups.keys() >= set(groups):
        raise ApiError(400, "Group not found")
    _change(call, person, role_id == _ADMIN_ROLE if role_id is not None else admin, body.flag("inactive"))
    body.write(person, "name", "email")
    for group in call.company.groups.values() if groups is not None else ():
        others = [known for known in group.members if known != person.id]
        group.members = [*others, person.id] if group.id in (groups or ()) else others
    return answers.empty()


def remove_from_organization(call: ApiRequest) -> Response:
    """Remove several people from the organization: all, or none."""
    people = [_organization_user(call, one) for one in _wanted(call)]
    if any(person.owner for person in people):
        raise ApiError(400, "Organization owner can not be removed")
    for person in people:
        call.company.remove_person(person)
    return answers.empty()


def _wanted(call: ApiRequest) -> list[int]:
    """Return the ids that are to go; each may be there once."""
    ids = [one for one in call.body().numbers("delete") or () if one is not None]
    if not ids or len(set(ids)) < len(ids):
        raise ApiError(400, "Invalid 'delete' value")
    return ids


def _member(call: ApiRequest, workspace_user_id: int) -> PersonRow:
    """Return a person of the path's workspace by the id of the membership."""
    space = call.workspace()
    call.administer()
    for user_id in space.members:
        person = call.company.people[user_id]
        if account_shapes.workspace_user_id(person, space) == workspace_user_id:
            return person
    raise ApiError(404, _NOT_FOUND)


def _organization_user(call: ApiRequest, organization_user_id: int) -> PersonRow:
    """Return a person of the path's organization by the id of the membership."""
    call.administer()
    for person in call.company.members:
        if person.membership_id == organization_user_id:
            return person
    raise ApiError(400, _NOT_FOUND)


def _admin(body: Body) -> bool | None:
    role_id = body.number("role_id")
    return body.flag("admin") if role_id is None else role_id == _ADMIN_ROLE


def _change(call: ApiRequest, person: PersonRow, admin: bool | None, inactive: bool | None) -> None:
    """Change rights; the owner keeps them."""
    if person.owner and (admin is False or inactive):
        raise ApiError(400, "Organization owner can not lose rights")
    person.admin = person.admin if admin is None else admin
    person.inactive = person.inactive if inactive is None else inactive
    person.modified = int(call.now)


def _leave(call: ApiRequest, people: list[PersonRow]) -> None:
    if any(person.owner for person in people):
        raise ApiError(400, "Organization owner can not be removed")
    space = call.workspace()
    gone = {person.id for person in people}
    space.members = [user_id for user_id in space.members if user_id not in gone]


HANDLERS: Final[Mapping[str, Handler]] = {
    "PUT /api/v9/workspaces/{workspace_id}/workspace_users/{workspace_user_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/workspace_users/{workspace_user_id}": delete,
    "PATCH /api/v9/organizations/{organization_id}/workspaces/{workspace_id}/workspace_users": delete_several,
    "PUT /api/v9/organizations/{organization_id}/users/{organization_user_id}": update_in_organization,
    "PATCH /api/v9/organizations/{organization_id}/users": remove_from_organization,
}
