"""What an export reports while it runs: typed events, and the forecast of what is left. Pure.

The events don't depend on a terminal: the command turns them into bars or lines, and a program can do what it
likes with them.
"""

from collections.abc import Callable, Hashable
from typing import TypeAlias

import attrs

from toggl_async.export.mirror.manifest import Check, Failure, FileFacts, Refusal

__all__ = [
    "DatasetFinished",
    "ExportEvent",
    "ExportStarted",
    "Forecast",
    "OnExportEvent",
    "PieceRefused",
    "RangeChecked",
    "RowsWritten",
]


@attrs.frozen(kw_only=True)
class ExportStarted:
    """The destination is ready, and the work begins.

    Attributes:
        datasets: the names of the datasets to export.
        workspaces: how many workspaces to export.
    """

    datasets: tuple[str, ...]
    workspaces: int


@attrs.frozen(kw_only=True)
class RowsWritten:
    """A page was written.

    Attributes:
        dataset: its name.
        workspace_id: the workspace of the page; None for lists of the account.
        rows: rows of this page.
        total: rows of the dataset so far.
        requests_left: how many more requests the whole export will take, as far as is known.
        share: how much of the dataset has been read, as far as is known: 0.0 to 1.0.
    """

    dataset: str
    workspace_id: int | None
    rows: int
    total: int
    requests_left: int
    share: float = 0.0


@attrs.frozen(kw_only=True)
class RangeChecked:
    """A range of time entries was compared with Toggl's own total."""

    check: Check


@attrs.frozen(kw_only=True)
class PieceRefused:
    """Toggl refused a dataset of a workspace; the rest continues."""

    refusal: Refusal


@attrs.frozen(kw_only=True)
class PieceFailed:
    """A part of a dataset could not be read or trusted; the rest continues."""

    failure: Failure


@attrs.frozen(kw_only=True)
class DatasetFinished:
    """A dataset was read to its end.

    Attributes:
        dataset: its name.
        facts: where its rows are: in the mirror, from which files are written once all datasets are read.
    """

    dataset: str
    facts: FileFacts


ExportEvent: TypeAlias = (
    ExportStarted | RowsWritten | RangeChecked | PieceRefused | PieceFailed | DatasetFinished
)
"""Every event of an export."""

OnExportEvent: TypeAlias = Callable[[ExportEvent], None]
"""A function that takes the events; it is called from the event loop, so it must not block."""


@attrs.define
class _List:
    """A list that is being read: its kind, the requests so far, and how much they covered."""

    kind: str
    sent: int = 0
    share: float = 0.0
    ended: bool = False

    def expected(self, usual: float) -> float:
        """Requests that it takes in total; `usual` is what others of its kind take."""
        if self.ended:
            return self.sent
        if self.sent and self.share:
            return max(self.sent, self.sent / self.share)
        return max(self.sent + 1.0, usual)


class Forecast:
    """How many requests an export still takes.

    Lists don't tell their length. But a report is sorted by date, so the day that a page has reached tells
    how much of the range is done. A list that has not begun is assumed to be like the others of its kind.
    """

    def __init__(self) -> None:
        self._lists: dict[Hashable, _List] = {}

    def expect(self, kind: str, what: Hashable) -> None:
        """Add a list that will be read; adding it twice does no harm."""
        self._lists.setdefault((kind, what), _List(kind))

    def read(self, kind: str, what: Hashable, share: float = 0.0) -> None:
        """Note a page, and how much of the list is done: 0.0, if unknown, to 1.0."""
        known = self._lists[kind, what]
        known.sent += 1
        known.share = share

    def end(self, kind: str, what: Hashable) -> None:
        """Note that a list is done, or will not be read further."""
        self._lists[kind, what].ended = True

    def left(self) -> int:
        """Requests left, rounded."""
        usual = {kind: self._usual(kind) for kind in {known.kind for known in self._lists.values()}}
        return round(sum(known.expected(usual[known.kind]) - known.sent for known in self._lists.values()))

    def share(self, kind: str) -> float:
        """How much of the lists of a kind is done: 0.0 to 1.0."""
        usual = self._usual(kind)
        lists = [known for known in self._lists.values() if known.kind == kind]
        expected = sum(known.expected(usual) for known in lists)
        return sum(known.sent for known in lists) / expected if expected else 0.0

    def _usual(self, kind: str) -> float:
        """Requests that a list of this kind takes, judging by those that have begun."""
        begun = [known.expected(1.0) for known in self._lists.values() if known.kind == kind and known.sent]
        return sum(begun) / len(begun) if begun else 1.0
