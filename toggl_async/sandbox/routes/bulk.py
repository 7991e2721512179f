"""Bulk edits: up to a hundred things changed by JSON Patch, each succeeding or failing for itself."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from starlette.responses import Response

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body
from toggl_async.sandbox.checking import check_json
from toggl_async.sandbox.documents import operations
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["checked", "edit", "replaced"]

RowT = TypeVar("RowT")

_MOST: Final = 100


def edit(
    call: ApiRequest,
    kind: str,
    find: Callable[[int], RowT],
    change: Callable[[RowT, Body], None],
    done: Callable[[RowT], None],
) -> Response:
    """Edit the things of the path.

    Args:
        call: the request, with the operations as its body.
        kind: what the things are called.
        find: returns the one of an id, or refuses it.
        change: carries out one operation on it, or refuses.
        done: called with each that was changed.
    """
    if len(call.ids_in_path) > _MOST:
        raise ApiError(400, f"The number of {kind} must not exceed {_MOST}")
    patches = call.json()
    changed: list[int] = []
    failed: list[JsonObject] = []
    for one in call.ids_in_path:
        try:
            row = find(one)
            for operation in patches:
                change(row, Body(fields=operation))
        except ApiError as refused:
            failed.append({"id": one, "message": refused.text})
        else:
            changed.append(one)
            done(row)
    return answers.json({"success": changed or None, "failure": failed or None})


def replaced(operation: Body, allowed: frozenset[str], like: str) -> Body:
    """Read an operation that replaces a field as the body of the route that changes one thing."""
    name, path = operation.text("op") or "", operation.text("path") or ""
    field = path.removeprefix("/")
    if name != "replace" or field not in allowed:
        raise ApiError(400, f"Operation {name} is not allowed for path {path}")
    return checked(like, {field: operation.fields.get("value")})


def checked(like: str, fields: JsonObject) -> Body:
    """Return fields as a body, once they are what the body of a route may hold."""
    check_json(operations()[like].json_schema or "", fields, msgspec.json.encode(fields))
    return Body(fields=fields)
