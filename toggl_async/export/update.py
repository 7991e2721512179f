"""What an update reads of the time entries, so that edits and deletions since the last run are applied.

Toggl says what changed, deletions included, for the caller's own entries only, and three months back.
So three things are done. The recent days are read again: that is where nearly all changes are. The own
changes are asked for, and those outside these days are read again with their day. And all months are
compared with Toggl's totals, as after any export: one that differs is read again. What escapes is an
old edit of somebody else that changes no sum, such as a new description; the manifest says from which
day on entries are fresh.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from toggl_async.export.destination import Header
from toggl_async.export.entries import ENTRIES, read_again, read_history
from toggl_async.export.pieces import Piece, Progress, Range
from toggl_async.export.plan import DateRange, ranges_between
from toggl_async.export.reading import Reader
from toggl_async.export.rows import day_of, is_deleted, reading, rows_of

__all__ = ["SLIDING_DAYS", "read_changes", "sliding_from"]

SLIDING_DAYS = 31
"""Days before the last run that are read again."""

_CHANGES = "me.time_entries.list"
_REACH = dt.timedelta(days=85)
"""How far back changes can be asked for, a little less than Toggl's three months."""

_OVERLAP = dt.timedelta(minutes=1)
_DAY = dt.timedelta(days=1)


class _Changed(msgspec.Struct):
    """What is looked at of an entry that changed."""

    id: int
    workspace_id: int | None = None
    start: str | None = None


def sliding_from(header: Header) -> dt.date | None:
    """The first of the recent days that an update reads again; None in a first export."""
    previous = header.previous
    if previous is None:
        return None
    as_of = previous.as_of.get(ENTRIES.name, header.account.asked_at)
    return as_of.date() - dt.timedelta(days=SLIDING_DAYS)


async def read_changes(reader: Reader) -> list[Range]:
    """Read what may have changed since the last run, and return the ranges that are to be compared."""
    previous, first = reader.books.header.previous, sliding_from(reader.books.header)
    assert previous is not None  # noqa: S101 - this is an update
    assert first is not None  # noqa: S101
    ranges: list[Range] = []
    again: list[Piece] = []
    spans = _spans(reader)
    for workspace in reader.account.workspaces:
        if workspace.id not in previous.workspaces:
            ranges += await read_history(reader, workspace)
            continue
        newest, *older = reader.plan.ranges(workspace.created, reader.account.today)
        oldest = min([newest.first, *(days.first for days in older), *spans.get(workspace.id, [])])
        ranges += [Range(workspace.id, days) for days in ranges_between(oldest, newest.last)]
        begin = max(first, reader.plan.since or first)
        if begin <= newest.last:
            recent = ranges_between(begin, newest.last)
            again += [Piece(ENTRIES.name, workspace.id, days, "recent") for days in recent]
    again += await _own_changes(reader, first)
    await read_again(reader, again)
    return ranges


def _spans(reader: Reader) -> dict[int, list[dt.date]]:
    """The oldest day of each workspace in the destination."""
    days: dict[int, dt.date] = {}
    for one in reader.books.sums(ENTRIES):
        known = days.get(one.workspace_id or 0)
        days[one.workspace_id or 0] = one.day if known is None else min(known, one.day)
    return {workspace_id: [day] for workspace_id, day in days.items()}


async def _own_changes(reader: Reader, first: dt.date) -> list[Piece]:
    """Ask which of the caller's own entries changed; remove what was deleted, name the days of the rest."""
    piece = Piece("changes")
    saved = reader.books.progress(piece)
    if not saved.done:
        previous = reader.books.header.previous
        assert previous is not None  # noqa: S101 - this is an update
        asked_at = reader.account.asked_at
        as_of = previous.as_of.get(ENTRIES.name, asked_at) - _OVERLAP
        since = int(max(as_of, asked_at - _REACH).timestamp())
        answer = await reader.fetch(_CHANGES, {}, query={"since": since})
        with reading(_CHANGES, answer.body):
            rows = rows_of(answer.body)
            changed = [(msgspec.json.decode(row, type=_Changed), is_deleted(row)) for row in rows]
        gone = [entry.id for entry, deleted in changed if deleted]
        days: dict[int, set[dt.date]] = defaultdict(set)
        for entry, deleted in changed:
            day = day_of(entry.start)
            if not deleted and day is not None and entry.workspace_id is not None and day < first:
                days[entry.workspace_id].add(day)
        reader.books.commit(
            piece,
            Progress(
                done=True,
                line=msgspec.json.encode({space: sorted(found) for space, found in days.items()}).decode(),
            ),
            dataset=ENTRIES,
            removed=gone,
        )
        saved = reader.books.progress(piece)
    spaces = msgspec.json.decode(saved.line or "{}", type=dict[int, list[dt.date]])
    mine = {workspace.id for workspace in reader.account.workspaces}
    return [
        Piece(ENTRIES.name, workspace_id, days, "changed")
        for workspace_id, found in spaces.items()
        if workspace_id in mine
        for days in _around(reader, found, first - _DAY)
    ]


def _around(reader: Reader, days: Iterable[dt.date], last: dt.date) -> list[DateRange]:
    """Ranges around days, a day more at both ends for the time zone, those that meet joined."""
    ranges: list[DateRange] = []
    for day in sorted(days):
        begin, end = max(day - _DAY, reader.plan.since or day - _DAY), min(day + _DAY, last)
        if ranges and (begin - ranges[-1].last) <= _DAY:
            ranges[-1] = DateRange(ranges[-1].first, max(end, ranges[-1].last))
        elif begin <= end:
            ranges.append(DateRange(begin, end))
    return ranges
