"""Time entries by when they last changed: how an update finds what others edited, added or imported.

A report sorted by last change, newest first, is read back to the last run. That costs one request for each
range, if nothing or little changed; reading the range again would cost a page for every thousand entries. If
it shows rows that the mirror lacks, although they changed long ago, reading continues, to the end if
necessary.
"""

import datetime as dt
from collections.abc import Mapping
from contextlib import aclosing
from itertools import pairwise

import attrs

from toggl_async._operations.paging import PageStep
from toggl_async._operations.record import Json
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.store import Scope
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.entries import REPORT_ROWS, SHIFTED
from toggl_async.export.read.reading import SET_ASIDE, Reader, identified
from toggl_async.export.read.unreadable import note_unreadable
from toggl_async.export.rows import Line, changed_at

__all__ = ["read_edits"]

_OVERLAP = dt.timedelta(days=1)
"""How much further back edits are asked for: reports may lag behind, and it costs no extra request."""


async def read_edits(reader: Reader, workspace: SurveyedWorkspace, days: DateRange) -> None:
    """Read what changed in a range since the last run, and what the mirror lacks; resume if begun."""
    piece = Piece(ENTRIES.name, workspace.id, days, "edits")
    saved = attrs.evolve(reader.books.progress(piece), failed=None)
    if saved.bookmark is None:
        saved = attrs.evolve(saved, shifted=False)
    if saved.done:
        return
    reader.forecast.expect(ENTRIES.name, piece.name)
    body = {
        "start_date": days.first,
        "end_date": days.last,
        **REPORT_ROWS,
        "order_by": "last_update",
        "order_dir": "DESC",
        **reader.plan.filters,
    }
    known = await reader.books.known(Scope(dataset=ENTRIES, workspace_id=workspace.id, days=_wider(days)))
    there = _There(since=_since(reader, workspace), days=_wider(days), known=known)
    async with reader.gate:
        try:
            while not saved.done:
                saved = await _walk(reader, piece, saved, body, there)
        except SET_ASIDE as error:
            await reader.set_aside(piece, error)
    reader.forecast.end(ENTRIES.name, piece.name)


async def _walk(
    reader: Reader, piece: Piece, saved: Progress, body: Mapping[str, Json], there: "_There"
) -> Progress:
    """Read pages from the bookmark to the end, or until the range has to be read from the start."""
    steps = reader.report(piece.workspace_id or 0, body=body, start=saved.bookmark)
    async with aclosing(steps):
        while not saved.done:
            saved = await _take(reader, piece, saved, await anext(steps), there)
            if not saved.done and saved.bookmark is None:
                break
    return saved


async def _take(
    reader: Reader, piece: Piece, saved: Progress, step: PageStep[Line], there: "_There"
) -> Progress:
    """Commit the rows of a page that changed, and those that the mirror lacks, however old."""
    reader.forecast.read(ENTRIES.name, piece.name)
    lines = identified(step.items, ENTRIES.operation)
    await note_unreadable(reader, piece.workspace_id, lines)
    moments = [changed_at(line.data) for line in lines]
    told = [moment for moment in moments if moment is not None]
    # If one answer holds the whole range, its order does not matter.
    whole = step.following is None and saved.bookmark is None
    ordered = whole or (len(told) == len(moments) and all(one >= next_ for one, next_ in pairwise(told)))
    changed = [
        line
        for line, moment in zip(lines, moments, strict=True)
        if moment is None or moment >= there.since or line.id not in there.known
    ]
    # Older rows that the mirror lacks mean that the token sees more than before, or that rows were lost.
    # Either way there may be more of them, so reading goes on.
    behind = bool(told) and told[-1] < there.since and not any(map(there.lacks, lines))
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
    await reader.write(piece, ENTRIES, changed, saved, met=[line.id for line in lines])
    if doubt:
        await reader.failed(piece, SHIFTED, progress=saved)
    return saved


@attrs.frozen(kw_only=True)
class _There:
    """What the mirror holds for a range.

    Attributes:
        since: the moment up to which it has all edits, less an overlap.
        days: the days of the range, plus one at each end because of time zones.
        known: the ids of the entries of these days.
    """

    since: dt.datetime
    days: DateRange
    known: set[int] = attrs.field(repr=False)

    def lacks(self, line: Line) -> bool:
        """Whether it lacks a row. A row dated outside the range proves nothing."""
        return line.id not in self.known and line.start is not None and line.start in self.days


def _wider(days: DateRange) -> DateRange:
    """The same days, plus one at each end."""
    return DateRange(days.first - _OVERLAP, days.last + _OVERLAP)


def _since(reader: Reader, workspace: SurveyedWorkspace) -> dt.datetime:
    """The moment up to which the mirror has all edits of a workspace, less an overlap."""
    previous = reader.books.run.previous
    assert previous is not None  # noqa: S101 - this is an update
    read_at = previous.read_at(ENTRIES.name, workspace.id)
    assert read_at is not None  # noqa: S101 - else it would be read whole
    return min(read_at, previous.datasets[ENTRIES.name].older_edits_as_of or read_at) - _OVERLAP
