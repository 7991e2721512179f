"""``/workspaces/{workspace_id}/tags``."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from toggl_async.sandbox import answers, shapes
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Handler
from toggl_async.sandbox.entities import TagRow

__all__ = ["HANDLERS", "tag_by_name"]

_PAGE: Final = 50


def listing(call: ApiRequest) -> Response:
    """List the tags by name, page by page."""
    space = call.workspace()
    text = call.query.get("search", "").casefold()
    rows = [row for row in call.company.tags_of(space.id) if text in row.name.casefold()]
    return answers.json([shapes.tag(row) for row in call.page(rows, _PAGE)])


def create(call: ApiRequest) -> Response:
    """Create a tag; the answer is the tag, though the documents promise a list."""
    name = call.body().text("name")
    _check(call, name)
    return answers.json(shapes.tag(tag_by_name(call, name or "")))


def update(call: ApiRequest) -> Response:
    """Rename a tag."""
    row, name = _tag(call), call.body().text("name")
    if name != row.name:
        _check(call, name)
    row.name = name or ""
    row.at = int(call.now)
    call.happened("tag", "updated", shapes.tag(row))
    return answers.json(shapes.tag(row))


def delete(call: ApiRequest) -> Response:
    """Delete a tag, from its time entries too."""
    row = _tag(call)
    call.company.remove_tag(row)
    call.happened("tag", "deleted", shapes.tag(row))
    return answers.json("OK")


def delete_several(call: ApiRequest) -> Response:
    """Delete several tags, all of them or none; the answer is empty."""
    known = {row.id: row for row in call.company.tags_of(call.path["workspace_id"])}
    ids = call.body().numbers("delete")
    if not ids or not known.keys() >= set(ids):
        raise ApiError(400, "Tag not found")
    for tag_id in set(ids):
        row = known[tag_id or 0]
        call.company.remove_tag(row)
        call.happened("tag", "deleted", shapes.tag(row))
    return answers.empty()


def tag_by_name(call: ApiRequest, name: str) -> TagRow:
    """Return the tag of the path's workspace that has this name, created if there is none."""
    space = call.workspace()
    known = call.company.tag_named(space.id, name)
    if known is not None:
        return known
    if space.only_admins_may_create_tags and not call.person.admin:
        raise ApiError(403, "Only admins can create tags in this workspace")
    row = TagRow(
        id=call.company.new_id("tag", 3),
        workspace_id=space.id,
        name=name,
        creator_id=call.person.id,
        at=int(call.now),
    )
    call.company.tags[row.id] = row
    call.happened("tag", "created", shapes.tag(row))
    return row


def _tag(call: ApiRequest) -> TagRow:
    return call.one(call.company.tags, call.path["tag_id"], "Tag not found")


def _check(call: ApiRequest, name: str | None) -> None:
    if not name:
        raise ApiError(400, "Tag name can't be blank")
    if call.company.tag_named(call.path["workspace_id"], name) is not None:
        raise ApiError(400, "Tag already exists: " + name)


HANDLERS: Final[Mapping[str, Handler]] = {
    "GET /api/v9/workspaces/{workspace_id}/tags": listing,
    "POST /api/v9/workspaces/{workspace_id}/tags": create,
    "PUT /api/v9/workspaces/{workspace_id}/tags/{tag_id}": update,
    "DELETE /api/v9/workspaces/{workspace_id}/tags/{tag_id}": delete,
    "PATCH /api/v9/workspaces/{workspace_id}/tags": delete_several,
}
