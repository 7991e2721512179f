"""Answers that lack what their records can't do without, for those who need something else of them."""

from collections.abc import Awaitable
from typing import Final, TypeVar

from toggl_async.codec import Codec
from toggl_async.errors import DecodeError

__all__ = ["known_id", "with_gaps"]

T = TypeVar("T")

_codec: Final = Codec()


async def with_gaps(asking: Awaitable[T], result: object) -> T:
    """Wait for a call; None stands for what its answer lacks, even where its type knows no None.

    Args:
        asking: the call.
        result: the record class that it returns, or a list of one.

    Raises:
        DecodeError: the answer is another thing.
        TogglError: whatever else became of the call.
    """
    try:
        return await asking
    except DecodeError as error:
        found: T = _codec.decode_with_gaps(result, error)
        return found


def known_id(value: int | None) -> int | None:
    """Return an id that may be missing; servers written in Go say "none" by 0."""
    return value if value is not None and value > 0 else None
