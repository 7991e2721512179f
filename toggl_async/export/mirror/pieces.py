"""The pieces in which an export is read, and the progress of each: small records, saved as JSON."""

import datetime as dt

import attrs

from toggl_async._operations.paging import Bookmark
from toggl_async.export.mirror.manifest import Check, Refusal, WholeList
from toggl_async.export.plan.plan import DateRange

__all__ = ["Piece", "Progress", "Range", "ServerTotals", "months_of"]


@attrs.frozen
class Piece:
    """One list, one range of a report, or one total: what is asked for with one walk through pages.

    Attributes:
        dataset: the dataset that it belongs to.
        workspace_id: the workspace; None for what belongs to the account.
        days: the range, for time entries.
        purpose: what it is read for, when not for the first time.
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
        seconds: of the whole range; None when Toggl says nothing.
        months: of each calendar month that the range touches; empty when Toggl's graph has another
            resolution.
    """

    seconds: int | None
    months: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class Progress:
    """How far a piece has come.

    Attributes:
        done: whether it is whole, or will not be read on.
        rows: rows that it has brought.
        bookmark: where it goes on; None at its beginning.
        begun: whether the rows that it is to meet are known, for a piece that is read again. What nobody has
            met at the end was deleted, if something else agrees.
        before: how many these were at first.
        deletes: whether what nobody has met is to be deleted when all of its dataset was read: until then
            another piece may meet it elsewhere, where it was moved to.
        readings: how often it was read already, because what it brought was doubtful.
        wide: whether a day more is read at both ends, because a row that did not come again stands there:
            its own offset may name another day than Toggl counts it on.
        odd: whether a row came without an id, which may be any that did not come.
        blank: whether an answer came without even an empty list, which says nothing about rows.
        shifted: whether a page lacked the row that was announced as its first, so that others may be missing.
        nameless: whether it has brought rows without an id, by which nobody can find them again.
        seconds: of the time entries that it has brought, for a piece that is read again.
        since: the moment from which on it is asked for changes, in seconds since 1970; None where
            everything is read.
        late: whether a row came that the mirror lacked, though changes would not have told of it: so the
            reading before was not whole, and this one, which was no better, may not be.
        whole: what says that the next update may ask a list only for what changed; None if it may not.
        absent: the ids of users whom Toggl doesn't list, although they have time entries.
        failed: why the piece is not whole, though it was asked for; None when it is, or was not.
        refusal: what Toggl said when it refused the piece.
        totals: what Toggl said, for a piece that is a total.
        check: the comparison, for a piece that is one.
        line: the running time entry, which is asked for first and written last.
        again: further days that must be read, found by this piece.
        unordered: whether Toggl did not sort a report by its last changes, so that there may be more.
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
    """The calendar months that a range touches, oldest first, cut off at its ends."""
    months = []
    first = days.first
    while first <= days.last:
        following = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
        last = min(days.last, following - dt.timedelta(days=1))
        months.append(DateRange(first, last))
        first = following
    return months
