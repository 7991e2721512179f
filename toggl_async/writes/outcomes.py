"""The outcome of a row."""

import enum
from typing import Final, Generic, TypeVar

import attrs

from toggl_async.errors import TogglError

__all__ = ["How", "Written"]

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")


class How(enum.StrEnum):
    """How a row came to be written, or not."""

    WRITTEN = "written"
    """It was sent, and Toggl confirmed it."""
    FOUND = "found"
    """It may have been written, and `find` found it: nothing was sent again."""
    WRITTEN_AGAIN = "written again"
    """It may have been written, but `find` didn't find it: it was sent again, and Toggl confirmed it."""
    EARLIER = "earlier"
    """An earlier run wrote it, according to the journal."""
    REFUSED = "refused"
    """It was not written: the error says why. The next run tries it again."""
    IN_DOUBT = "in doubt"
    """It may have been written, and that could not be determined. The next run looks for it first."""


_NOT_THERE: Final = frozenset({How.REFUSED, How.IN_DOUBT})


@attrs.frozen(kw_only=True)
class Written(Generic[RowT, ResultT]):
    """What became of a row.

    Attributes:
        row: the row.
        how: how it came to be written, or not.
        result: what the write returned, or what was found; None if this run did neither.
        error: why it was not written, or what left it in doubt; None if neither happened.
        done: how many rows have an outcome now, this one included.
        total: how many rows there are; None if that isn't known.
    """

    row: RowT
    how: How
    result: ResultT | None = None
    error: TogglError | None = None
    done: int
    total: int | None

    @property
    def is_there(self) -> bool:
        """Whether Toggl has the row."""
        return self.how not in _NOT_THERE
