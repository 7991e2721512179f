"""Favorites: the user's own of all workspaces, and those of one workspace, public ones among them."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body, Handler
from toggl_async.sandbox.entities import FavoriteRow

__all__ = ["HANDLERS"]

_MOST: Final = 10
_SUGGESTED: Final = 3
_NO_PROJECT: Final = "User cannot access the selected project/task"


def mine(call: ApiRequest) -> Response:
    """List the user's favorites of all workspaces."""
    since = call.since()
    return answers.json(
        [shapes.favorite(call.company, row) for row in _own(call) if since is None or row.created >= since]
    )


def listing(call: ApiRequest) -> Response:
    """List the favorites of the workspace: the user's own, and public ones."""
    space, since = call.workspace(), call.since()
    return answers.json(
        [
            shapes.favorite(call.company, row)
            for row in call.company.favorites.values()
            if row.workspace_id == space.id
            and (row.public or row.user_id == call.person.id)
            and (since is None or row.created >= since)
        ]
    )


def create(call: ApiRequest) -> Response:
    """Create a favorite; ten are the most that a person has."""
    body = call.body()
    row = FavoriteRow(
        id=call.company.new_id("favorite", 3),
        workspace_id=_home(call, body, call.person.default_workspace_id),
        user_id=call.person.id,
        created=int(call.now),
    )
    if len(_own(call)) >= _MOST:
        raise ApiError(400, f"You can't have more than {_MOST} favorites")
    _apply(call, row, body)
    call.company.favorites[row.id] = row
    return answers.json(shapes.favorite(call.company, row))


def update(call: ApiRequest) -> Response:
    """Change a favorite: the fields that are given."""
    body = call.body()
    row = _favorite(call, body.number("favorite_id") or 0)
    _home(call, body, row.workspace_id)
    _apply(call, row, body)
    return answers.json(shapes.favorite(call.company, row))


def delete(call: ApiRequest) -> Response:
    """Delete a favorite."""
    del call.company.favorites[_favorite(call, call.path["favorite_id"]).id]
    return answers.empty(status=204)


def suggest(call: ApiRequest) -> Response:
    """Make favorites of the user's last time entries, for who has none; else nothing comes."""
    space_id = call.workspace().id if "workspace_id" in call.path else None
    if _own(call):
        return answers.empty(status=204)
    kinds = {
        (row.workspace_id, row.project_id, row.task_id, row.description): row
        for row in call.company.personal(call.person.id)
        if row.deleted is None and (space_id is None or row.workspace_id == space_id)
    }
    made = [
        FavoriteRow(
            id=call.company.new_id("favorite", 3),
            workspace_id=row.workspace_id,
            user_id=call.person.id,
            created=int(call.now),
            description=row.description,
            project_id=row.project_id,
            task_id=row.task_id,
            tag_ids=list(row.tag_ids),
            billable=row.billable,
        )
        for row in list(kinds.values())[:_SUGGESTED]
    ]
    call.company.favorites |= {row.id: row for row in made}
    return answers.json([shapes.favorite(call.company, row) for row in made], status=201)


def _own(call: ApiRequest) -> list[FavoriteRow]:
    return [row for row in call.company.favorites.values() if row.user_id == call.person.id]


def _favorite(call: ApiRequest, favorite_id: int) -> FavoriteRow:
    row = call.company.favorites.get(favorite_id)
    if row is None or row.user_id != call.person.id:
        raise ApiError(403, "You don't have access to this favorite")
    if call.path.get("workspace_id", row.workspace_id) != row.workspace_id:
        raise ApiError(403, "You don't have access to this favorite")
    return row


def _home(call: ApiRequest, body: Body, default: int) -> int:
    """Return the workspace that the path or the body names."""
    if "workspace_id" in call.path:
        return call.workspace().id
    workspace_id = body.number("workspace_id") or default
    if workspace_id not in {space.id for space in call.company.workspaces_of(call.person)}:
        raise ApiError(403, "You don't have access to this workspace")
    return workspace_id


def _apply(call: ApiRequest, row: FavoriteRow, body: Body) -> None:
    """Check the fields of a body; then write those that are given into a favorite."""
    company = call.company
    project_id = body.number("project_id") if body.given("project_id") else row.project_id
    task_id = body.number("task_id") if body.given("task_id") else row.task_id
    given = [tag_id for tag_id in body.numbers("tag_ids") or () if tag_id is not None]
    tag_ids = given if body.given("tag_ids") else row.tag_ids
    project, task = company.projects.get(project_id or 0), company.tasks.get(task_id or 0)
    if project_id is not None and (project is None or project.workspace_id != row.workspace_id):
        raise ApiError(400, _NO_PROJECT)
    if task_id is not None and (task is None or task.project_id != project_id):
        raise ApiError(400, _NO_PROJECT)
    if not {tag.id for tag in company.tags_of(row.workspace_id)}.issuperset(tag_ids):
        raise ApiError(400, "Tag not found in workspace")
    row.project_id, row.task_id, row.tag_ids = project_id, task_id, tag_ids
    body.write(row, "description", "billable", "public", "rank")


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/me/favorites": mine,
    "POST /api/v9/me/favorites": create,
    "PUT /api/v9/me/favorites": update,
    "POST /api/v9/me/favorites/suggestions": suggest,
    "DELETE /api/v9/me/favorites/{favorite_id}": delete,
    "GET /api/v9/workspaces/{workspace_id}/favorites": listing,
    "POST /api/v9/workspaces/{workspace_id}/favorites": create,
    "PUT /api/v9/workspaces/{workspace_id}/favorites": update,
    "POST /api/v9/workspaces/{workspace_id}/favorites/suggestions": suggest,
    "DELETE /api/v9/workspaces/{workspace_id}/favorites/{favorite_id}": delete,
}
