"""Compares the destination with Toggl: its seconds, month by month, with Toggl's own totals.

Totals are requested for each range that was read, even an empty one, because nothing else would show that all
of its entries are missing.

A month that differs is read again, because a time entry that was edited or deleted during the export may be
in the wrong place, or missing. Then the total is requested again, and what still differs is reported. If many
months differ, there is another cause, which reading again would not fix, unless an update is looking for old
edits.

Entries that were missing when their month was read again are deleted here, unless they were seen elsewhere.
An entry that meanwhile moved to a month or workspace that was read before shows there, because the difference
of that month changes. Such months are read once more; if some change yet again, nothing is deleted, and the
next update looks again.
"""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

import attrs

from toggl_async.export.mirror.books import CHECK
from toggl_async.export.mirror.manifest import Check, MonthCheck
from toggl_async.export.mirror.pieces import Piece, Progress, Range, ServerTotals, months_of
from toggl_async.export.mirror.progress import RangeChecked
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.read.entries import read_again
from toggl_async.export.read.reading import Reader
from toggl_async.export.read.totals import TOTALS, total_of
from toggl_async.export.read.unreadable import unreadable_in

__all__ = ["verify"]

_MONTHS_AGAIN = 6
"""The most months of a range that a first export reads again."""

_AGAIN, _ONCE_MORE = "again", "once more"


async def verify(reader: Reader, ranges: Iterable[Range], *, correct: bool = True) -> None:
    """Compare ranges with Toggl's totals, and note the outcome.

    Args:
        reader: asks and writes.
        ranges: what was read.
        correct: whether what differs is read again.
    """
    checked = list(ranges)
    checks = {one: Piece("check", one.workspace_id, one.days) for one in checked}
    if all(reader.books.progress(piece).done for piece in checks.values()):
        return  # by an earlier process, which may even have renamed the file already
    found = await _first_comparison(reader, checks)
    if correct:
        found = await _correct(reader, found)
    for one, check in found.items():
        await reader.books.commit(checks[one], Progress(done=True, check=check))
        reader.books.check(check)
        reader.tell(RangeChecked(check=check))
        doubt = _doubt(check, unreadable_in(reader, one.workspace_id))
        if doubt is not None:
            await reader.failed(Piece(ENTRIES.name, one.workspace_id, one.days, CHECK), doubt)


def _doubt(check: Check, unreadable: str | None) -> str | None:
    """What is wrong with a range whose rows can't be all of it; None if they may be.

    Args:
        check: the comparison of the range.
        unreadable: the fields of its workspace's time entries that couldn't be read.
    """
    days = f"{check.first} to {check.last}"
    if unreadable is not None and check.is_short:
        why = f"time entries came whose {unreadable} can't be read"
        return f"{days}: Toggl's total is more than the rows add up to; {why}"
    if not check.rows and check.server_seconds:
        return f"{days} returned no rows, but Toggl's total is not zero"
    return None


async def _first_comparison(reader: Reader, checks: Mapping[Range, Piece]) -> dict[Range, Check]:
    """Compare all ranges, unless an earlier process already has."""
    found = {
        one: check
        for one, piece in checks.items()
        if (check := reader.books.progress(piece).check) is not None
    }
    compared = await _compare(reader, [one for one in checks if one not in found], "")
    for one, check in compared.items():
        await reader.books.commit(checks[one], Progress(check=check))
    return found | compared


async def _correct(reader: Reader, first: dict[Range, Check]) -> dict[Range, Check]:
    """Read months that differ again, then delete what no piece has met; return the comparison after that.

    Args:
        reader: asks and writes.
        first: the first comparison of all ranges.
    """
    months = {one: _months_to_read(reader, check) for one, check in first.items()}
    found = first
    for purpose in (_AGAIN, _ONCE_MORE):
        pieces = [
            Piece(ENTRIES.name, one.workspace_id, days, purpose)
            for one, parts in months.items()
            for days in parts
        ]
        if not pieces:
            break
        await read_again(reader, pieces)
        # The missing entries may have moved anywhere.
        anywhere = reader.books.is_deleting(ENTRIES)
        ranges = [one for one, parts in months.items() if parts or anywhere]
        found = found | await _compare(reader, ranges, purpose)
        months = {one: _joined(_changed(first[one], check)) for one, check in found.items()}
    if any(months.values()):
        await reader.books.keep(ENTRIES)
    else:
        await reader.books.delete(ENTRIES)
    return found


def _changed(first: Check, now: Check) -> list[DateRange]:
    """The months whose difference has changed."""
    days = DateRange(now.first, now.last)
    if all(month.server_seconds is not None for month in (*first.months, *now.months)):
        pairs = zip(months_of(days), map(_surplus, first.months), map(_surplus, now.months), strict=True)
    else:
        pairs = zip([days], [_surplus(first)], [_surplus(now)], strict=True)
    return [part for part, before, after in pairs if after not in {0, before}]


def _surplus(one: Check | MonthCheck) -> int:
    """How many seconds more Toggl has; 0 if it gives no total."""
    return 0 if one.server_seconds is None else one.server_seconds - one.seconds


def _months_to_read(reader: Reader, check: Check) -> list[DateRange]:
    """The months of a range that differ, if reading them again may help."""
    months = [
        days
        for days, month in zip(months_of(DateRange(check.first, check.last)), check.months, strict=False)
        if month.server_seconds is not None and month.server_seconds != month.seconds
    ]
    if check.rows and reader.books.run.previous is None and len(months) > _MONTHS_AGAIN:
        return []
    update = reader.books.run.previous is not None
    if not months and check.agrees is False and (update or not check.rows):  # Toggl's graph isn't by month
        return [DateRange(check.first, check.last)]
    return _joined(months)


def _joined(months: Iterable[DateRange]) -> list[DateRange]:
    """Merge consecutive months, which takes fewer requests."""
    ranges: list[DateRange] = []
    for month in months:
        if ranges and ranges[-1].last + dt.timedelta(days=1) == month.first:
            ranges[-1] = attrs.evolve(ranges[-1], last=month.last)
        else:
            ranges.append(month)
    return ranges


async def _compare(reader: Reader, ranges: list[Range], purpose: str) -> dict[Range, Check]:
    """Add up what the mirror has, then ask Toggl for its totals of the same days."""
    for one in ranges:
        reader.forecast.expect(TOTALS, one)
    sums: dict[int | None, list[tuple[int, int, int]]] = defaultdict(list)
    for day in await reader.books.sums():
        sums[day.workspace_id].append((day.day.toordinal(), day.rows, day.seconds))
    ours = {one: _months(sums.get(one.workspace_id, []), one.days) for one in ranges}
    totals: Mapping[Range, ServerTotals | None]
    async with asyncio.TaskGroup() as tasks:
        asked = {
            one: tasks.create_task(total_of(reader, one, purpose))
            for one in ours
            if not reader.books.has_refused(ENTRIES, one.workspace_id)
        }
    totals = {one: task.result() for one, task in asked.items()}
    for one in ranges:
        reader.forecast.end(TOTALS, one)
    return {one: _check(one, ours[one], totals.get(one)) for one in ranges}


def _months(sums: Iterable[tuple[int, int, int]], days: DateRange) -> list[MonthCheck]:
    """Rows and seconds of each month that a range touches."""
    months = months_of(days)
    first = [month.first.toordinal() for month in months]
    last = [month.last.toordinal() for month in months]
    rows, seconds = [0] * len(months), [0] * len(months)
    for day, count, length in sums:
        for index in range(len(months)):
            if first[index] <= day <= last[index]:
                rows[index] += count
                seconds[index] += length
                break
    return [
        MonthCheck(month=month.first.replace(day=1), rows=rows[index], seconds=seconds[index])
        for index, month in enumerate(months)
    ]


def _check(one: Range, months: list[MonthCheck], totals: ServerTotals | None) -> Check:
    """The comparison of a range."""
    if totals is not None and len(totals.months) == len(months):
        months = [
            attrs.evolve(month, server_seconds=seconds)
            for month, seconds in zip(months, totals.months, strict=True)
        ]
    return Check(
        workspace_id=one.workspace_id,
        first=one.days.first,
        last=one.days.last,
        rows=sum(month.rows for month in months),
        seconds=sum(month.seconds for month in months),
        server_seconds=None if totals is None else totals.seconds,
        months=tuple(months),
    )
