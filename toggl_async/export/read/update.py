"""What an update reads of the time entries, so that it applies what others did since the last run.

Toggl lists changes, including deletions, only for the caller's own entries, and for three months. For other
people's entries there is only a report, which shows neither. So an update does this, in order:

1. It asks for the caller's own changes, to see deletions. 2. It reads the recent days again in full, because
nearly all changes are there. 3. It reads all other days of a first export, sorted by last change, newest
first, back to the last run: mostly one page of a thousand for each range. That returns every edit and
addition, whoever made it, and rows that the mirror lacks for any reason. It continues beyond these days until
a whole range returns nothing. 4. It compares all months of these days with Toggl's totals, as after any
export, even if the mirror has nothing there. A month that differs has lost or gained an entry, and is read
again.

An update misses what Toggl doesn't count as a change of an entry, such as a new name of its project, client,
task or tag, and the deletion of an entry without a duration by somebody else. The manifest says from which
day on even that is fresh, and whether Toggl did not sort as requested.
"""

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping

from toggl_async.export.mirror.pieces import Piece, Range
from toggl_async.export.mirror.run import Previous, Run
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, LATEST, LONGEST_RANGE, DateRange, ranges_between
from toggl_async.export.plan.survey import Survey, SurveyedWorkspace
from toggl_async.export.read.edits import read_edits
from toggl_async.export.read.entries import RECENT, read_again
from toggl_async.export.read.extent import look_on, read_history
from toggl_async.export.read.own_changes import OwnChanges, keep_shown, pieces_around, read_own_changes
from toggl_async.export.read.reading import Reader

__all__ = ["RECHECK_DAYS", "first_day", "read_changes"]

RECHECK_DAYS = 31
"""Days before the last run that are read again by default."""

_DAY = dt.timedelta(days=1)


def first_day(previous: Previous, account: Survey, recheck: int | None) -> dt.date:
    """The first of the days whose time entries are all read again.

    That is every day if the profile's time zone has changed, because Toggl then writes times, and assigns
    entries to days, differently.

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
    known: dict[SurveyedWorkspace, list[DateRange]] = {}
    rows = await _rows(reader)
    for workspace in reader.account.workspaces:
        if previous.read_at(ENTRIES.name, workspace.id) is None:
            ranges += await read_history(reader, workspace)
        else:
            held = rows.get(workspace.id)
            known[workspace] = reader.plan.ranges(workspace.created, reader.account.today, rows=held)
    recent = {space: _recent(reader, found, first) for space, found in known.items()}
    # Deletions first: an entry that a report still has is met later, and stays.
    own = await read_own_changes(reader, _own_since(reader))
    again = [Range(space.id, part) for space, parts in recent.items() for part in parts]
    pieces = [Piece(ENTRIES.name, one.workspace_id, one.days, RECENT) for one in again]
    await read_again(reader, pieces)
    # An entry that is gone from the recent days, or that the last run deleted, may begin on another day now.
    gone = any(reader.books.progress(piece).deletes for piece in pieces)
    await keep_shown(reader.books)
    lately = previous.changes.get(ENTRIES.name)
    beyond: list[Range] = []
    if reader.books.run.older or gone or (lately is not None and lately.deleted):
        async with asyncio.TaskGroup() as tasks:
            found = [
                tasks.create_task(_read_rest(reader, space, known[space], recent[space])) for space in known
            ]
        beyond = [one for task in found for one in task.result()]
        await read_again(reader, _own_pieces(reader, own, known, first))
    if not reader.books.run.older:
        return ranges + again
    return ranges + [Range(space.id, part) for space, parts in known.items() for part in parts] + beyond


async def _read_rest(
    reader: Reader, workspace: SurveyedWorkspace, ranges: list[DateRange], recent: list[DateRange]
) -> list[Range]:
    """Read what changed before and after the recent days, and beyond the ranges; return the ranges beyond."""
    first, last = ranges[-1].first, ranges[0].last
    begin = recent[-1].first if recent else last + _DAY
    end = recent[0].last if recent else last

    async def read(days: DateRange) -> None:
        await read_edits(reader, workspace, days)

    async with asyncio.TaskGroup() as tasks:
        for days in (*ranges_between(first, begin - _DAY), *ranges_between(end + _DAY, last)):
            tasks.create_task(read_edits(reader, workspace, days))
    return [Range(workspace.id, days) for days in await look_on(reader, workspace, ranges, read)]


def _recent(reader: Reader, ranges: list[DateRange], first: dt.date) -> list[DateRange]:
    """The days of a workspace that are all read again, in ranges.

    They reach as far past today as the last range that is needed for today, which costs no extra request. But
    they leave room for another day at each end, because the offset of a row may name another day than the one
    that Toggl counts it on.
    """
    begin, last = max(first, ranges[-1].first), ranges[0].last
    if first > EARLIEST:
        days = (reader.account.today + _DAY - begin).days + 3
        needed = max(1, -(-days // LONGEST_RANGE))
        last = min(last, begin + dt.timedelta(days=needed * LONGEST_RANGE - 3))
    return list(ranges_between(begin, last))


def _of_update(run: Run) -> tuple[Previous, dt.date]:
    """The previous export, and the first of the days that are read again in full."""
    assert run.previous is not None  # noqa: S101 - this is an update
    assert run.read_from is not None  # noqa: S101
    return run.previous, run.read_from


def _read_at(previous: Previous, account: Survey) -> dt.datetime:
    """When the time entries of the account's workspaces were last read: the earliest of these times."""
    found = [previous.read_at(ENTRIES.name, workspace.id) for workspace in account.workspaces]
    return min([moment for moment in found if moment is not None], default=account.asked_at)


async def _rows(reader: Reader) -> dict[int | None, DateRange]:
    """The oldest and the newest day of each workspace in the mirror, among the days that Toggl can hold."""
    days: dict[int | None, DateRange] = {}
    for one in await reader.books.sums():
        if one.day in DateRange(EARLIEST, LATEST):
            so_far = days.get(one.workspace_id, DateRange(one.day, one.day))
            days[one.workspace_id] = DateRange(min(one.day, so_far.first), max(one.day, so_far.last))
    return days


def _own_since(reader: Reader) -> dt.datetime:
    """The moment from which the caller's own changes are requested."""
    previous, _ = _of_update(reader.books.run)
    looked = _read_at(previous, reader.account)
    if reader.books.run.older:  # including those that were left out since
        looked = min(looked, previous.datasets[ENTRIES.name].older_edits_as_of or looked)
    return looked


def _own_pieces(
    reader: Reader, own: OwnChanges, known: Mapping[SurveyedWorkspace, list[DateRange]], first: dt.date
) -> Iterator[Piece]:
    """Pieces to read again for own entries that changed on uncovered days, or where Toggl did not sort."""
    for workspace, ranges in known.items():
        looked = DateRange(ranges[-1].first, ranges[0].last)
        days = own.days.get(workspace.id, ())
        yield from pieces_around(reader, workspace.id, [day for day in days if day not in looked])
        if not reader.books.is_ordered:
            inside = [day for day in days if day in looked and day < first]
            yield from pieces_around(reader, workspace.id, inside, first - _DAY)
