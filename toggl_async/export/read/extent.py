"""How far a workspace's history is read: the plan's ranges, and beyond while the outermost has entries.

A first export reads these ranges, and an update looks for changes in them; both continue beyond them in the
same way. Dates that Toggl cannot hold are never followed.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from toggl_async.export.mirror.pieces import Piece, Range
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.entries import read_range
from toggl_async.export.read.reading import Reader
from toggl_async.export.read.totals import total_of

__all__ = ["look_on", "read_history"]

_Read: TypeAlias = Callable[[DateRange], Awaitable[None]]

_DAY = dt.timedelta(days=1)


async def read_history(reader: Reader, workspace: SurveyedWorkspace) -> list[Range]:
    """Read all ranges of a workspace concurrently, then those beyond; return all ranges that were read."""
    ranges = reader.plan.ranges(workspace.created, reader.account.today)

    async def read(days: DateRange) -> None:
        await read_range(reader, Piece(ENTRIES.name, workspace.id, days))

    async with asyncio.TaskGroup() as tasks:
        for days in ranges:
            tasks.create_task(read(days))
    beyond = await look_on(reader, workspace, ranges, read)
    return [Range(workspace.id, days) for days in (*ranges, *beyond)]


async def look_on(
    reader: Reader, workspace: SurveyedWorkspace, ranges: list[DateRange], read: _Read
) -> list[DateRange]:
    """Read older and newer ranges one by one, until the outermost one is empty.

    Args:
        reader: asks and writes.
        workspace: whose time entries they are.
        ranges: what was read already, newest first.
        read: reads a range.

    Returns:
        The further ranges that were read, including the empty ones at both ends.
    """
    beyond: list[DateRange] = []
    last = ranges[-1]
    while reader.plan.open_ended and (older := last.older()) and await _brings(reader, workspace, last):
        await read(older)
        beyond.append(older)
        last = older
    # The first range ahead begins before today, so its rows need not be planned ones.
    first = DateRange(min(reader.account.today + 2 * _DAY, ranges[0].last), ranges[0].last)
    while reader.plan.open_ahead and (newer := first.newer()) and await _has_rows(reader, workspace, first):
        await read(newer)
        beyond.append(newer)
        first = newer
    return beyond


async def _brings(reader: Reader, workspace: SurveyedWorkspace, days: DateRange) -> bool:
    """Whether a range has time entries, in the mirror or by Toggl's total."""
    if reader.books.has_refused(ENTRIES, workspace.id):
        return False
    if await _has_rows(reader, workspace, days):
        return True
    if not reader.compares:
        return False
    totals = await total_of(reader, Range(workspace.id, days), "")
    return totals is not None and bool(totals.seconds)


async def _has_rows(reader: Reader, workspace: SurveyedWorkspace, days: DateRange) -> bool:
    """Whether the mirror has time entries for these days, which were just read."""
    return any(one.workspace_id == workspace.id and one.day in days for one in await reader.books.sums())
