"""Bulk edits of any number of ids: in chunks, with one result.

Toggl takes up to 100 ids in a request, and says of each whether it was changed. One request for 100
edits is the best bargain that its quotas know.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import attrs

from toggl_async.errors import BulkEditInterrupted, InvalidInput, TogglError
from toggl_async.record import Record

__all__ = ["in_chunks"]

RecordT = TypeVar("RecordT", bound=Record)


async def in_chunks(
    edit: Callable[[Sequence[int]], Awaitable[RecordT]], ids: Sequence[int], *, size: int
) -> RecordT:
    """Edit chunk after chunk, and return their results as one.

    One after the other, so that when one fails it is known which were changed and which not.

    Args:
        edit: edits one chunk, and returns a record whose fields are lists.
        ids: what to edit; each once, whatever their order.
        size: ids in a chunk, at most.

    Raises:
        InvalidInput: there are no ids.
        BulkEditInterrupted: a later chunk failed; it carries what the earlier ones brought.
        TogglError: the first chunk failed.
    """
    unique = list(dict.fromkeys(ids))
    if not unique:
        raise InvalidInput("a bulk edit needs at least one id")
    done: RecordT | None = None
    for start in range(0, len(unique), size):
        try:
            result = await edit(unique[start : start + size])
        except TogglError as error:
            if done is None:
                raise
            raise BulkEditInterrupted(
                result=done, failed=unique[start : start + size], untouched=unique[start + size :]
            ) from error
        done = result if done is None else _joined(done, result)
    return cast(RecordT, done)


def _joined(first: RecordT, second: RecordT) -> RecordT:
    """Join two records field by field; null counts as an empty list."""
    kind = type(first)
    names = [field.name for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind))]
    return kind(**{name: [*(getattr(first, name) or ()), *(getattr(second, name) or ())] for name in names})
