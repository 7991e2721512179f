"""The caller's own time entries that changed since the last run, as Toggl lists them, including deletions.

An entry that Toggl shows here is not deleted by any other part of the run: a report may lag behind, or cover
other days than the entry's current one.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

import attrs
import msgspec

from toggl_async.export.intake import reading, rows_of
from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, LATEST, DateRange, ExportPlan
from toggl_async.export.read.reading import SET_ASIDE, Reader
from toggl_async.export.rows import day_of, is_deleted, known_of

__all__ = ["OwnChanges", "keep_shown", "pieces_around", "read_own_changes", "shown"]

_CHANGES = "me.time_entries.list"

_REACH = dt.timedelta(days=85)
"""How far back changes can be requested: a little less than Toggl's limit of three months."""

_OVERLAP = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)

_PIECE = Piece("changes")
_RUNNING = Piece("running")


class _Changed(msgspec.Struct):
    """The fields of a changed entry that matter here."""

    id: int
    workspace_id: int | None = None
    wid: int | None = None
    start: str | None = None

    @property
    def place(self) -> int | None:
        """The workspace, under the current name of the field or the old one."""
        return self.wid if self.workspace_id is None else self.workspace_id


@attrs.frozen(kw_only=True)
class OwnChanges:
    """The caller's own entries that changed and that Toggl still has.

    Attributes:
        shown: the ids of those that certainly match the plan.
        days: the days on which they begin now, by workspace, if Toggl can be asked for such days.
    """

    shown: tuple[int, ...] = ()
    days: Mapping[int, tuple[dt.date, ...]] = attrs.field(factory=dict)


async def read_own_changes(reader: Reader, looked: dt.datetime) -> OwnChanges:
    """Ask which of the caller's own entries changed since a moment; delete those that were deleted."""
    if not reader.books.progress(_PIECE).done:
        since = int(max(looked - _OVERLAP, reader.account.asked_at - _REACH).timestamp())
        try:
            answer = await reader.fetch(_CHANGES, {}, query={"since": since})
            with reading(_CHANGES, answer.body):
                rows = rows_of(answer.body)
                changed = [(msgspec.json.decode(row, type=_Changed), is_deleted(row)) for row in rows]
        except SET_ASIDE as error:
            await reader.set_aside(_PIECE, error)
            return OwnChanges()
        gone = [entry.id for entry, deleted in changed if deleted]
        mine = {workspace.id for workspace in reader.account.workspaces}
        alive = [entry for entry, deleted in changed if not deleted and entry.place in {None, *mine}]
        line = msgspec.json.encode(_own_changes(alive, reader.plan)).decode()
        await reader.books.commit(_PIECE, Progress(done=True, line=line), dataset=ENTRIES, deleted=gone)
    return _saved(reader.books)


def _own_changes(alive: Iterable[_Changed], plan: ExportPlan) -> OwnChanges:
    """Summarize the entries that Toggl shows as existing."""
    ids: list[int] = []
    days: defaultdict[int, set[dt.date]] = defaultdict(set)
    for entry in alive:
        day = day_of(entry.start)
        if not plan.takes(day):
            continue
        if not plan.filters:  # only reports tell whether an entry matches the plan's filters
            ids.append(entry.id)
        if day is not None and day in DateRange(EARLIEST, LATEST) and entry.place is not None:
            days[entry.place].add(day)
    return OwnChanges(shown=tuple(ids), days={space: tuple(sorted(found)) for space, found in days.items()})


async def keep_shown(books: Books) -> None:
    """Keep pieces that have begun from deleting entries that this run has seen to exist."""
    running = books.progress(_RUNNING).line
    # The running entry is awaited from the reports: if it counted as met, it would not be written at the end.
    met = {*shown(books)} - ({known_of(running.encode()).id} if running is not None else set())
    if met:
        await books.commit(_PIECE, books.progress(_PIECE), dataset=ENTRIES, met=met)


def shown(books: Books) -> tuple[int, ...]:
    """The ids of own entries that this run has seen to exist."""
    return _saved(books).shown


def _saved(books: Books) -> OwnChanges:
    line = books.progress(_PIECE).line
    return OwnChanges() if line is None else msgspec.json.decode(line, type=OwnChanges)


def pieces_around(
    reader: Reader, workspace_id: int, days: Iterable[dt.date], last: dt.date = LATEST
) -> list[Piece]:
    """Pieces around days up to `last`, extended by a day at each end because of time zones, and merged."""
    ranges: list[DateRange] = []
    last = min(last, reader.plan.until or last)
    for day in sorted(days):
        begin, end = max(day - _DAY, reader.plan.since or EARLIEST), min(day + _DAY, last)
        if ranges and (begin - ranges[-1].last) <= _DAY:
            ranges[-1] = attrs.evolve(ranges[-1], last=max(end, ranges[-1].last))
        else:
            ranges.append(DateRange(begin, end))
    return [Piece(ENTRIES.name, workspace_id, days, "changed") for days in ranges]
