"""Answers that lack what their records can't do without, for those who need something else of them."""

import datetime as dt
from collections.abc import Awaitable
from typing import Final, TypeVar

from toggl_async.codec import Codec
from toggl_async.errors import DecodeError

__all__ = ["known_id", "known_moment", "known_start", "with_gaps"]

T = TypeVar("T")

_codec: Final = Codec()

_FIRST_YEAR: Final = 2006
"""Toggl holds no time entry that began before."""

_LAST_YEAR: Final = 2200
"""Nobody plans beyond it, and a time zone cannot leave the calendar."""


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


def known_moment(value: dt.datetime | None) -> dt.datetime | None:
    """Return a moment that may be missing; servers written in Go say "never" by the year 1."""
    return None if value is None or value.year == 1 else value


def known_start(value: dt.datetime | None) -> dt.datetime | None:
    """Return when a time entry began; None if that is missing, or a moment at which none can begin."""
    return None if value is None or not _FIRST_YEAR <= value.year < _LAST_YEAR else value
