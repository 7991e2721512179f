"""What an update reads of the time entries, so that what others did since the last run is applied.

Toggl says what changed, deletions included, for the caller's own entries only, and three months back.
For those of others there is a report, which knows neither. So, in this order:

1. The own changes are asked for, for what was deleted.
2. The recent days are read again as a whole: that is where nearly all changes are.
3. The rest is asked for sorted by the last change, newest first, up to where the last run had come: a
   page of a thousand for each range, mostly. That brings every edit and addition, of whomever, whatever
   it changed. It goes on before the oldest entry until a whole range brings nothing.
4. All months are compared with Toggl's totals, as after any export: one that differs has lost an entry,
   and is read again.

What escapes is what Toggl does not count as a change of an entry: a new name of its project, client, task
or tag; and the deletion of an entry of no length by somebody else. The manifest says from which day on
even that is fresh. Should Toggl not sort as it was asked to, the manifest says so.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs
import msgspec

from toggl_async.export.intake import reading, rows_of
from toggl_async.export.mirror.pieces import Piece, Progress, Range
from toggl_async.export.mirror.run import Previous, Run
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, DateRange, ranges_between
from toggl_async.export.plan.survey import Survey, SurveyedWorkspace
from toggl_async.export.read.edits import read_edits
from toggl_async.export.read.entries import read_again, read_history
from toggl_async.export.read.reading import SET_ASIDE, Reader
from toggl_async.export.rows import day_of, is_deleted

__all__ = ["RECHECK_DAYS", "first_day", "read_changes"]

RECHECK_DAYS = 31
"""Days before the last run that are read again, unless told otherwise."""

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


def first_day(previous: Previous, account: Survey, recheck: int | None) -> dt.date:
    """The first of the days whose time entries are all read again.

    These are all days where the profile has another time zone now: Toggl writes times otherwise, and counts
    days otherwise.

    Args:
        previous: the export that is brought up to date.
        account: whose it is.
        recheck: days before the last run; None for all.
    """
    if recheck is None or previous.timezone != account.timezone:
        return EARLIEST
    since = _read_at(previous, account).date()
    return since - dt.timedelta(days=min(recheck, (since - EARLIEST).days))


async def read_changes(reader: Reader) -> list[Range]:
    """Read what may have changed since the last run, and return the ranges that are to be compared."""
    previous, first = _of_update(reader.books.run)
    ranges: list[Range] = []
    known: dict[SurveyedWorkspace, DateRange] = {}
    oldest = await _oldest(reader)
    for workspace in reader.account.workspaces:
        if previous.read_at(ENTRIES.name, workspace.id) is None:
            ranges += await read_history(reader, workspace)
        else:
            known[workspace] = _days(reader, workspace, oldest.get(workspace.id))
    recent = [Piece(ENTRIES.name, workspace.id, part, "recent") for workspace, part in _recent(known, first)]
    # First what was deleted: whatever the reports still have is met later, and stays.
    own = await _own_changes(reader, first)
    await read_again(reader, recent)
    older: Mapping[SurveyedWorkspace, Iterable[DateRange]] = {}
    # What is gone from the recent days may begin on an older one now, as may what the last run deleted.
    gone = any(reader.books.progress(piece).deletes for piece in recent)
    lately = previous.changes.get(ENTRIES.name)
    if reader.books.run.older or gone or (lately is not None and lately.deleted):
        older = await read_edits(reader, known, first)
        if not reader.books.is_ordered:
            await read_again(reader, own)
    if not reader.books.run.older:
        return ranges + [Range(workspace.id, days) for workspace, days in _recent(known, first)]
    for workspace, days in known.items():
        begin = min([days.first, *(part.first for part in older.get(workspace, []))])
        ranges += [Range(workspace.id, part) for part in ranges_between(begin, days.last)]
    return ranges


def _recent(
    known: Mapping[SurveyedWorkspace, DateRange], first: dt.date
) -> Iterator[tuple[SurveyedWorkspace, DateRange]]:
    """The days of each workspace that are all read again, in ranges."""
    for workspace, days in known.items():
        for part in ranges_between(max(first, days.first), days.last):
            yield workspace, part


def _of_update(run: Run) -> tuple[Previous, dt.date]:
    """The export before, and the first of the days that are all read again."""
    assert run.previous is not None  # noqa: S101 - this is an update
    assert run.read_from is not None  # noqa: S101
    return run.previous, run.read_from


def _read_at(previous: Previous, account: Survey) -> dt.datetime:
    """When the time entries of the account's workspaces were last read, the longest ago of them."""
    found = [previous.read_at(ENTRIES.name, workspace.id) for workspace in account.workspaces]
    return min([moment for moment in found if moment is not None], default=account.asked_at)


async def _oldest(reader: Reader) -> dict[int | None, dt.date]:
    """The oldest day of each workspace in the destination."""
    days: dict[int | None, dt.date] = {}
    for one in await reader.books.sums():
        days[one.workspace_id] = min(one.day, days.get(one.workspace_id, one.day))
    return days


def _days(reader: Reader, workspace: SurveyedWorkspace, oldest: dt.date | None) -> DateRange:
    """The days of a workspace that are in the destination, or that the plan names."""
    newest, *others = reader.plan.ranges(workspace.created, reader.account.today)
    first = min(part.first for part in (newest, *others))
    return DateRange(first if oldest is None else min(first, oldest), newest.last)


async def _own_changes(reader: Reader, first: dt.date) -> list[Piece]:
    """Ask which of the caller's own entries changed; remove what was deleted, name the days of the rest."""
    piece = Piece("changes")
    saved = reader.books.progress(piece)
    if not saved.done:
        previous, _ = _of_update(reader.books.run)
        asked_at = reader.account.asked_at
        looked = _read_at(previous, reader.account)
        if reader.books.run.older:  # those that were left out since
            looked = min(looked, previous.datasets[ENTRIES.name].older_edits_as_of or looked)
        since = int(max(looked - _OVERLAP, asked_at - _REACH).timestamp())
        try:
            answer = await reader.fetch(_CHANGES, {}, query={"since": since})
            with reading(_CHANGES, answer.body):
                rows = rows_of(answer.body)
                changed = [(msgspec.json.decode(row, type=_Changed), is_deleted(row)) for row in rows]
        except SET_ASIDE as error:
            await reader.set_aside(piece, error)
            return []
        gone = [entry.id for entry, deleted in changed if deleted]
        days: dict[int, set[dt.date]] = defaultdict(set)
        for entry, deleted in changed:
            day = day_of(entry.start)
            if not deleted and day is not None and entry.workspace_id is not None and day < first:
                days[entry.workspace_id].add(day)
        line = msgspec.json.encode({space: sorted(found) for space, found in days.items()}).decode()
        await reader.books.commit(piece, Progress(done=True, line=line), dataset=ENTRIES, deleted=gone)
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
            ranges[-1] = attrs.evolve(ranges[-1], last=max(end, ranges[-1].last))
        elif begin <= end:
            ranges.append(DateRange(begin, end))
    return ranges
