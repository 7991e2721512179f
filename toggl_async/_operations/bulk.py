"""Bulk edits of any number of ids: in chunks, with one result.

Toggl takes up to 100 ids in a request, and says for each whether it was changed. With its quotas, 100 edits
for one request is the best bargain there is.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, cast, get_args, get_type_hints

import attrs

from toggl_async._operations.record import Json, Record, restored
from toggl_async.errors import BulkEditInterrupted, InvalidInput, TogglError

__all__ = ["in_chunks"]

RecordT = TypeVar("RecordT", bound=Record)

_UNMENTIONED: Final = "Toggl's answer does not mention it: check whether it was changed"
"""What a failure says of an id that Toggl left out."""


async def in_chunks(
    edit: Callable[[Sequence[int]], Awaitable[RecordT]], ids: Sequence[int], *, size: int
) -> RecordT:
    """Edit chunk after chunk, and return their results as one.

    One after the other, so that when one fails it is known which were changed and which not.

    Args:
        edit: edits one chunk, and returns a record whose fields are lists.
        ids: what to edit; each once, whatever their order.
        size: ids in a chunk, at most.

    Returns:
        The results joined. An id that the answers don't account for is among the failures: whoever finds none
        there may conclude that all were changed.

    Raises:
        InvalidInput: there are no ids.
        BulkEditInterrupted: a later chunk failed; it carries what the earlier ones brought. (A
            cancellation goes on as it is, with a note of how far the edit came.)
        TogglError: the first chunk failed.
    """
    unique = list(dict.fromkeys(ids))
    if not unique:
        raise InvalidInput("a bulk edit needs at least one id")
    results: list[RecordT] = []
    for start in range(0, len(unique), size):
        chunk, untouched = unique[start : start + size], unique[start + size :]
        try:
            results.append(_accounted(await edit(chunk), chunk))
        except TogglError as error:
            if not results:
                raise
            raise BulkEditInterrupted(result=_joined(results), failed=chunk, untouched=untouched) from error
        except BaseException as interruption:
            interruption.add_note(
                f"bulk edit: {start} of {len(unique)} ids were edited, "
                f"{chunk} may have been, {untouched} were not"
            )
            raise
    return _joined(results)


def _accounted(result: RecordT, ids: Sequence[int]) -> RecordT:
    """Count ids that an answer mentions neither as changed nor as failed among the failures."""
    told: Any = result
    mentioned = {*told.success, *(one.id for one in told.failure)}
    missing = [one for one in ids if one not in mentioned]
    if not missing:
        return result
    kind = type(result)
    (failure,) = get_args(get_type_hints(kind)["failure"])
    failures = [*told.failure, *(failure(id=one, message=_UNMENTIONED) for one in missing)]
    return restored(kind, {"success": told.success, "failure": failures}, result.unknown)


def _joined(results: Sequence[RecordT]) -> RecordT:
    """Join records field by field, those included that they have no attribute for."""
    if len(results) == 1:
        return results[0]
    kind = type(results[0])
    names = [field.name for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind))]
    values = {name: [item for one in results for item in getattr(one, name)] for name in names}
    unknown: dict[str, Json] = {}
    for one in results:
        for name, value in one.unknown.items():
            before = unknown.get(name)
            if isinstance(before, list) and isinstance(value, list):
                value = before + value  # noqa: PLW2901 - the rest of the same list
            unknown[name] = value
    return restored(kind, values, unknown)
