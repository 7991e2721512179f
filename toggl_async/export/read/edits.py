"""Time entries by when they last changed: how an update finds what others edited, added or imported.

A report sorted by its last changes, newest first, is read up to where the last run had come. That costs a
request for each range, where nothing or little changed; to read the range again would cost a page for
every thousand entries.
"""

import asyncio
import datetime as dt
from collections.abc import Mapping
from contextlib import aclosing
from itertools import pairwise

import attrs

from toggl_async._operations.paging import PageStep
from toggl_async._operations.record import Json
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import DateRange, ranges_between
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.entries import REPORT_ROWS, SHIFTED
from toggl_async.export.read.reading import SET_ASIDE, Reader, identified
from toggl_async.export.rows import changed_at, entry_lines

__all__ = ["read_edits"]

_OVERLAP = dt.timedelta(days=1)
"""How much further back edits are asked for: reports may lag behind, and it costs no request."""


async def read_edits(
    reader: Reader, known: Mapping[SurveyedWorkspace, DateRange], before: dt.date
) -> dict[SurveyedWorkspace, list[DateRange]]:
    """Read what changed since the last run, of the entries that began before a day.

    Args:
        reader: asks and writes.
        known: the days of each workspace that the destination covers.
        before: the day.

    Returns:
        Days older than those of `known` that were looked at, by workspace.
    """
    older: dict[SurveyedWorkspace, list[DateRange]] = {}
    async with asyncio.TaskGroup() as tasks:
        for workspace, days in known.items():
            last = min(days.last, before - dt.timedelta(days=1))
            for part in ranges_between(days.first, last):
                tasks.create_task(_read(reader, workspace, part))
            if reader.plan.open_ended:
                older[workspace] = []
                tasks.create_task(_read_older(reader, workspace, days, older[workspace]))
    return older


async def _read_older(
    reader: Reader, workspace: SurveyedWorkspace, days: DateRange, looked_at: list[DateRange]
) -> None:
    """Look for entries that were made older than all others, range by range, until one brings nothing."""
    older = days.older()
    while older is not None:
        looked_at.append(older)  # also where it brings nothing: an entry can be moved there right after
        older = older.older() if await _read(reader, workspace, older) else None


async def _read(reader: Reader, workspace: SurveyedWorkspace, days: DateRange) -> int:
    """Read a range by its last changes, from where it stands; return how many rows had changed."""
    piece = Piece(ENTRIES.name, workspace.id, days, "edits")
    saved = attrs.evolve(reader.books.progress(piece), failed=None)
    if saved.bookmark is None:
        saved = attrs.evolve(saved, shifted=False)
    if saved.done:
        return saved.rows
    reader.forecast.expect(ENTRIES.name, piece.name)
    body = {
        "start_date": days.first,
        "end_date": days.last,
        **REPORT_ROWS,
        "order_by": "last_update",
        "order_dir": "DESC",
        **reader.plan.filters,
    }
    since = _since(reader, workspace)
    async with reader.gate:
        try:
            while not saved.done:
                saved = await _walk(reader, piece, saved, body, since)
        except SET_ASIDE as error:
            await reader.set_aside(piece, error)
    reader.forecast.end(ENTRIES.name, piece.name)
    return saved.rows


async def _walk(
    reader: Reader, piece: Piece, saved: Progress, body: Mapping[str, Json], since: dt.datetime
) -> Progress:
    """Read pages from a bookmark on, up to the end or to where the range is to be read anew."""
    path = {"workspace_id": piece.workspace_id or 0}
    steps = reader.steps(ENTRIES.operation, path, body=body, start=saved.bookmark)
    async with aclosing(steps):
        while not saved.done:
            saved = await _take(reader, piece, saved, await anext(steps), since)
            if not saved.done and saved.bookmark is None:
                break
    return saved


async def _take(
    reader: Reader, piece: Piece, saved: Progress, step: PageStep[bytes], since: dt.datetime
) -> Progress:
    """Commit what changed of a page."""
    reader.forecast.read(ENTRIES.name, piece.name)
    lines = identified(
        [line for row in step.items for line in entry_lines(row, workspace_id=piece.workspace_id or 0)],
        ENTRIES.operation,
    )
    moments = [changed_at(line.data) for line in lines]
    told = [moment for moment in moments if moment is not None]
    # An answer that holds the whole range needs no order.
    whole = step.following is None and saved.bookmark is None
    ordered = whole or (len(told) == len(moments) and all(one >= next_ for one, next_ in pairwise(told)))
    changed = [line for line, moment in zip(lines, moments, strict=True) if moment is None or moment >= since]
    behind = bool(told) and told[-1] < since
    done = step.following is None or behind or not ordered
    saved = attrs.evolve(
        saved,
        done=done,
        bookmark=None if done else step.following,
        shifted=saved.shifted or step.has_shifted,
        rows=saved.rows + len(changed),
        unordered=not ordered,
        nameless=saved.nameless or step.nulls > 0,
    )
    doubt = done and saved.shifted and saved.readings > 0
    if done and saved.shifted and not doubt:
        saved = attrs.evolve(saved, done=False, readings=1, shifted=False)
    await reader.write(piece, ENTRIES, changed, saved)
    if doubt:
        await reader.failed(piece, SHIFTED, progress=saved)
    return saved


def _since(reader: Reader, workspace: SurveyedWorkspace) -> dt.datetime:
    """The moment up to which the destination has the edits of a workspace, and a little before."""
    previous = reader.books.run.previous
    assert previous is not None  # noqa: S101 - this is an update
    read_at = previous.read_at(ENTRIES.name, workspace.id)
    assert read_at is not None  # noqa: S101 - else it would be read whole
    return min(read_at, previous.datasets[ENTRIES.name].older_edits_as_of or read_at) - _OVERLAP
