"""Bulk edits: up to a hundred things changed by JSON Patch, each succeeding or failing for itself."""

from collections.abc import Callable
from typing import Final, TypeVar

from toggl_async.sandbox import answers
from toggl_async.sandbox.answers import ApiError, Reply
from toggl_async.sandbox.call import ApiRequest, Body
from toggl_async.sandbox.shapes import JsonObject

__all__ = ["edit", "replaced"]

RowT = TypeVar("RowT")

_MOST: Final = 100


def edit(
    call: ApiRequest,
    kind: str,
    find: Callable[[int], RowT],
    change: Callable[[RowT, Body], None],
    done: Callable[[RowT], None],
) -> Reply:
    """Edit the things of the path.

    Args:
        call: the request, with the operations as its body.
        kind: what the things are called.
        find: returns the one of an id, or refuses it.
        change: carries out one operation on it, or refuses.
        done: called with each that was changed.
    """
    call.workspace()
    if len(call.ids_in_path) > _MOST:
        raise ApiError(400, f"The number of {kind} must not exceed {_MOST}")
    operations = call.json()
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise ApiError(400, "JSON is not valid")
    changed: list[int] = []
    failed: list[JsonObject] = []
    for one in call.ids_in_path:
        try:
            row = find(one)
            for operation in operations:
                change(row, Body(raw=call.raw, fields=operation))
        except ApiError as refused:
            failed.append({"id": one, "message": refused.text})
        else:
            changed.append(one)
            done(row)
    return answers.json({"success": changed or None, "failure": failed or None})


def replaced(operation: Body, allowed: frozenset[str]) -> Body:
    """Read an operation that replaces a field as the body of a change of that field."""
    name, path = operation.text("op") or "", operation.text("path") or ""
    field = path.removeprefix("/")
    if name != "replace" or field not in allowed:
        raise ApiError(400, f"Operation {name} is not allowed for path {path}")
    return Body(raw=operation.raw, fields={field: operation.fields.get("value")})
