"""``/workspaces/{workspace_id}``: the workspace itself, its people and groups."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import account_shapes, answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler

__all__ = ["HANDLERS"]


def listing(call: ApiRequest) -> Response:
    """List the user's workspaces: an operation that lives, though no document names it."""
    spaces = call.company.workspaces_of(call.person)
    return answers.json([account_shapes.workspace(call.company, space, call.person) for space in spaces])


def get(call: ApiRequest) -> Response:
    """Return the workspace."""
    return answers.json(account_shapes.workspace(call.company, call.workspace(), call.person))


def update(call: ApiRequest) -> Response:
    """Change the workspace: its name, who may create tags, and, where the plan has it, its rate."""
    space, body = call.workspace(), call.body()
    call.administer()
    if body.given("name") and not body.text("name"):
        raise ApiError(400, "Workspace name can't be blank")
    if body.money("default_hourly_rate") is not None and not call.company.paid:
        raise ApiError(402, "Must be a premium user to use default_hourly_rate")
    body.write(space, "name", "default_hourly_rate", "only_admins_may_create_tags")
    space.modified = int(call.now)
    return answers.json(account_shapes.workspace(call.company, space, call.person))


def users(call: ApiRequest) -> Response:
    """List the workspace's people, in short."""
    space = call.workspace()
    return answers.json(
        [account_shapes.simple_user(call.company.people[user_id]) for user_id in space.members]
    )


def workspace_users(call: ApiRequest) -> Response:
    """List the workspace's people, with what they are in it."""
    space = call.workspace()
    return answers.json(
        [
            account_shapes.workspace_user(call.company, space, call.company.people[user_id])
            for user_id in space.members
        ]
    )


def groups(call: ApiRequest) -> Response:
    """List the workspace's groups."""
    space = call.workspace()
    return answers.json([account_shapes.group(row, space.id) for row in call.company.groups_of(space.id)])


def users_by_id(call: ApiRequest) -> Response:
    """Return several of the workspace's people by their ids."""
    space, ids = call.workspace(), call.json()
    people = [call.company.people[user_id] for user_id in space.members if user_id in ids]
    return answers.json([account_shapes.simple_user(person) for person in people])


def statistics(call: ApiRequest) -> Response:
    """Count the workspace's people and groups, and name its administrators."""
    return answers.json(account_shapes.workspace_statistics(call.company, call.workspace()))


def currencies(_: ApiRequest) -> Response:
    """List the workspace's currencies: it has one."""
    return answers.json(["EUR"])


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces": listing,
    "GET /api/v9/workspaces/{workspace_id}": get,
    "PUT /api/v9/workspaces/{workspace_id}": update,
    "GET /api/v9/workspaces/{workspace_id}/users": users,
    "GET /api/v9/workspaces/{workspace_id}/workspace_users": workspace_users,
    "GET /api/v9/workspaces/{workspace_id}/groups": groups,
    "POST /api/v9/workspaces/{workspace_id}/users/data": users_by_id,
    "GET /api/v9/workspaces/{workspace_id}/statistics": statistics,
    "GET /api/v9/workspaces/{workspace_id}/currencies": currencies,
}
