"""The pieces in which an export is read, and the progress of each: small records, saved as JSON."""

import datetime as dt

import attrs

from toggl_async._operations.paging import Bookmark
from toggl_async.export.mirror.manifest import Check, Refusal, WholeList
from toggl_async.export.plan.plan import DateRange

__all__ = ["Piece", "Progress", "Range", "ServerTotals", "months_of"]


@attrs.frozen
class Piece:
    """One list, one range of a report, or one total: everything that one walk through pages returns.

    Attributes:
        dataset: the dataset that it belongs to.
        workspace_id: the workspace; None for what belongs to the account.
        days: the range, for time entries.
        purpose: why it is read again; "" the first time.
    """

    dataset: str
    workspace_id: int | None = None
    days: DateRange | None = None
    purpose: str = ""

    @property
    def name(self) -> str:
        """The name under which its progress is saved."""
        parts = [self.dataset]
        if self.workspace_id is not None:
            parts.append(str(self.workspace_id))
        if self.days is not None:
            parts.append(f"{self.days.first}..{self.days.last}")
        if self.purpose:
            parts.append(self.purpose)
        return "/".join(parts)


@attrs.frozen
class Range:
    """Days of a workspace whose time entries are compared with Toggl's totals."""

    workspace_id: int
    days: DateRange


@attrs.frozen(kw_only=True)
class ServerTotals:
    """Toggl's own sums of a range, unrounded.

    Attributes:
        seconds: of the whole range; None if Toggl didn't say.
        months: of each calendar month that the range overlaps; empty if Toggl's graph has another
            resolution.
    """

    seconds: int | None
    months: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class Progress:
    """How far a piece has come.

    Attributes:
        done: whether it is complete, or will not be read further.
        rows: how many rows it has returned.
        bookmark: where to resume; None at the beginning.
        begun: for a piece that is read again, whether the rows that it should meet have been noted. Those
            that no piece has met at the end were deleted, if something else confirms it.
        before: how many these were at first.
        deletes: whether to delete rows that no piece has met, once all of the dataset has been read. Until
            then, another piece may meet them where they moved to.
        readings: how often it has been read before, because the result was doubtful.
        wide: whether it is extended by a day at each end, because a row that is missing was there: its own
            offset may name another day than the one that Toggl counts it on.
        odd: whether a row came without an id, which may be any of the missing ones.
        blank: whether an answer came without even an empty list, which says nothing about rows.
        shifted: whether a page lacked the row that was announced as its first, so that others may be missing.
        nameless: whether it returned rows without an id, which can't be found again.
        seconds: the sum of the time entries that it returned, for a piece that is read again.
        since: the moment, in seconds since 1970, from which changes are requested; None if everything is
            read.
        late: whether a row came that the mirror lacked, although it isn't new: so the previous reading was
            incomplete, and this one may be, too.
        whole: set if the next update may ask a list only for what changed.
        absent: the ids of users whom Toggl doesn't list, although they have time entries.
        failed: why the piece is incomplete; None if it isn't, or hasn't been requested.
        refusal: Toggl's refusal of the piece.
        totals: Toggl's sums, for a piece that is a total.
        check: the comparison, for a piece that is one.
        line: the running time entry, which is requested first and written last.
        again: further days that must be read because of this piece.
        unordered: whether Toggl did not sort a report by last change, so that edits may be missing.
    """

    done: bool = False
    rows: int = 0
    bookmark: Bookmark | None = None
    begun: bool = False
    before: int = 0
    deletes: bool = False
    readings: int = 0
    wide: bool = False
    odd: bool = False
    blank: bool = False
    shifted: bool = False
    nameless: bool = False
    seconds: int = 0
    since: int | None = None
    late: bool = False
    whole: WholeList | None = None
    absent: tuple[int, ...] = ()
    failed: str | None = None
    refusal: Refusal | None = None
    totals: ServerTotals | None = None
    check: Check | None = None
    line: str | None = None
    again: tuple[DateRange, ...] = ()
    unordered: bool = False


def months_of(days: DateRange) -> list[DateRange]:
    """The calendar months that a range overlaps, oldest first, cut off at its ends."""
    months = []
    first = days.first
    while first <= days.last:
        following = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        last = min(days.last, following - dt.timedelta(days=1))
        months.append(DateRange(first, last))
        first = following
    return months
