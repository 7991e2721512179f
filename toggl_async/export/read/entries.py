"""The time entries of an export: the detailed report, range by range, and the entry that is running.

Ranges of at most 366 days are read concurrently. When answers come slowly, the rest of a long range is split
in two, and both halves are read at once.

A time entry that is edited during the export can move to another page or range. If it is read twice, it is
written once, as it was last read. If it is missed, the totals differ, and its month is read again
(`toggl_async.export.read.verify`).
"""

import asyncio
import datetime as dt
from collections.abc import Iterable
from contextlib import aclosing

import attrs

from toggl_async._operations.paging import PageStep
from toggl_async._operations.record import Json
from toggl_async.export.intake import reading
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.store import Scope
from toggl_async.export.plan.datasets import ENTRIES, EXACT
from toggl_async.export.plan.plan import EARLIEST, LATEST, LONGEST_RANGE, DateRange
from toggl_async.export.read.own_changes import shown
from toggl_async.export.read.reading import SET_ASIDE, Reader, identified
from toggl_async.export.read.running import refuse_without_place, running_line
from toggl_async.export.read.totals import ask_total
from toggl_async.export.read.unreadable import note_unreadable
from toggl_async.export.rows import Line, entry_lines, known_of

__all__ = [
    "RECENT",
    "REPORT_ROWS",
    "SHIFTED",
    "read_again",
    "read_range",
    "read_running",
    "write_running",
]


REPORT_ROWS: dict[str, Json] = {
    **EXACT,
    "enrich_response": True,  # names beside ids
    "grouped": False,  # a group has one amount for all its entries
    "order_by": "date",
    "order_dir": "ASC",  # entries tracked in the meantime come last, so they shift no page
}
"""How rows of the detailed report are asked for."""

RECENT = "recent"
"""The purpose for which an update reads the recent days again."""

SHIFTED = "rows moved between pages while they were being read"
"""The failure of a report that lacked an announced row in two readings."""

_CURRENT = "me.time_entries.current"

_RUNNING = Piece("running")
_STOPPED = Piece("running", purpose="written")

_HALVES = 2

_DAY = dt.timedelta(days=1)

_WORTH_CUTTING = 20
"""The fewest pages left for which a range is cut in two. That may cost an extra page, at most 5 % of them."""


async def read_running(reader: Reader) -> None:
    """Ask for the running time entry before any report, so that a report has it if it is stopped later."""
    if reader.books.progress(_RUNNING).done:
        return
    reader.forecast.expect(_CURRENT, None)
    try:
        answer = await reader.fetch(_CURRENT, {})
        with reading(_CURRENT, answer.body):
            running = running_line(
                answer.body,
                username=reader.account.username,
                email=reader.account.email,
                timezone=reader.account.timezone,
            )
            if running is not None:
                refuse_without_place(running)
    except SET_ASIDE as error:
        await reader.set_aside(_RUNNING, error)
        return
    finally:
        reader.forecast.end(_CURRENT, None)
    mine = {workspace.id for workspace in reader.account.workspaces}
    taken = (
        running is not None
        and running.workspace_id in mine
        and reader.plan.takes(running.line.start)
        and reader.plan.takes_entry(
            user_id=running.user_id,
            project_id=running.project_id,
            client_id=running.client_id,
            tag_ids=running.tag_ids,
            billable=running.billable,
        )
    )
    line = None
    if taken and running is not None:
        line = running.line.data.decode()
        # If a report contains it, it has been stopped, and is no longer awaited.
        await reader.books.commit(_STOPPED, Progress(), dataset=ENTRIES, awaited=[running.line.id])
    await reader.books.commit(_RUNNING, Progress(done=True, line=line))


async def write_running(reader: Reader) -> None:
    """Write the running time entry, unless a report had it because it was stopped in between."""
    saved = reader.books.progress(_RUNNING).line
    if saved is None or reader.books.progress(_STOPPED).done:
        return
    workspace_id = known_of(saved.encode()).workspace_id
    lines = entry_lines(saved.encode(), workspace_id=workspace_id or 0)
    fresh = [line for line in lines if await reader.books.awaits(_STOPPED, line.id)]
    await reader.write(_STOPPED, ENTRIES, fresh, Progress(done=True, rows=len(fresh)))


async def read_again(reader: Reader, pieces: Iterable[Piece]) -> None:
    """Read days that the mirror already has once more, and delete what Toggl has deleted."""
    left = [piece for piece in pieces if not reader.books.progress(piece).done]
    running = reader.books.progress(_RUNNING).line
    spared: set[int] = set()
    if running is not None:  # no report has it; it is written at the end
        spared.add(known_of(running.encode()).id)
    for piece in left:
        if not reader.books.progress(piece).begun:
            scope = Scope(dataset=ENTRIES, workspace_id=piece.workspace_id, days=piece.days)
            # What Toggl listed as existing in this run stays; `read_changes` looks for where it moved.
            kept = spared if piece.purpose == RECENT else spared.union(shown(reader.books))
            await reader.books.begin(piece, scope, Progress(), spared=kept)
    async with asyncio.TaskGroup() as tasks:
        for piece in left:
            tasks.create_task(_read_piece(reader, piece))


async def read_range(reader: Reader, piece: Piece) -> int:
    """Read a range for the first time, including the parts it is cut into; return how many rows it has."""
    await _read_piece(reader, piece)
    saved = reader.books.progress(piece)
    rows = saved.rows
    if saved.again:
        parts = [attrs.evolve(piece, days=days) for days in saved.again]
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(read_range(reader, part)) for part in parts]
        rows += sum(task.result() for task in found)
    return rows


async def _read_piece(reader: Reader, piece: Piece) -> None:
    """Read the rest of a piece's report; a second reading that is doubtful is repeated once."""
    if reader.books.progress(piece).done:
        return
    reader.forecast.expect(ENTRIES.name, piece.name)
    try:
        await _walk(reader, piece)
        if not reader.books.progress(piece).done:
            await _walk(reader, piece)
    except SET_ASIDE as error:
        await reader.set_aside(piece, error)
    reader.forecast.end(ENTRIES.name, piece.name)


async def _walk(reader: Reader, piece: Piece) -> None:
    """Read the remaining pages of a piece."""
    saved = attrs.evolve(reader.books.progress(piece), failed=None)
    if saved.bookmark is None:
        saved = attrs.evolve(saved, seconds=0, blank=False, shifted=False)
    days = _days_asked(reader, piece, saved)
    body = {
        "start_date": days.first,
        "end_date": days.last,
        **REPORT_ROWS,
        **reader.plan.filters,
    }
    async with reader.gate:
        steps = reader.report(piece.workspace_id or 0, body=body, start=saved.bookmark)
        async with aclosing(steps):
            async for step in steps:
                take = _take_again if piece.purpose else _take
                saved = await take(reader, piece, saved, step)
                if saved.again:  # the rest was cut in two
                    break


async def _lines(reader: Reader, piece: Piece, step: PageStep[Line]) -> list[Line]:
    """Return the lines of a page, note which of their fields can't be read, and tell the forecast of it."""
    lines = identified(step.items, ENTRIES.operation)
    await note_unreadable(reader, piece.workspace_id, lines)
    assert piece.days is not None  # noqa: S101 - it is a piece of a report
    reader.forecast.read(ENTRIES.name, piece.name, _share(piece.days, lines))
    return lines


async def _take(reader: Reader, piece: Piece, saved: Progress, step: PageStep[Line]) -> Progress:
    """Commit one page of a report that is read for the first time."""
    lines = await _lines(reader, piece, step)
    saved = attrs.evolve(
        saved,
        done=step.following is None,
        bookmark=step.following,
        rows=saved.rows + len(lines),
        shifted=saved.shifted or step.has_shifted,
        nameless=saved.nameless or step.nulls > 0,
    )
    assert piece.days is not None  # noqa: S101 - it is a piece of a report
    parts = _cut(reader, piece.days, saved, lines)
    if parts:
        saved = attrs.evolve(saved, done=True, bookmark=None, again=parts)
    doubt = None
    if saved.done and saved.shifted:
        if saved.readings:
            doubt = SHIFTED
        else:
            saved = attrs.evolve(saved, done=False, bookmark=None, readings=1, again=())
    await reader.write(piece, ENTRIES, lines, saved)
    if doubt:
        await reader.failed(piece, doubt, progress=saved)
    return saved


async def _take_again(reader: Reader, piece: Piece, saved: Progress, step: PageStep[Line]) -> Progress:
    """Commit one page of a report that is read again, and at its end what was deleted.

    A row that did not come again counts as deleted only if Toggl's total for the same days agrees with the
    rows that did, because a report that is cut short looks just the same. It must not turn up in any other
    piece either: it may have moved to another day or workspace; see `Books.delete`.
    """
    lines = list({line.id: line for line in await _lines(reader, piece, step)}.values())
    met = {line.id for line in lines}
    new_stand_in = await reader.books.has_new_stand_in(ENTRIES, met)
    saved = attrs.evolve(
        saved,
        bookmark=step.following,
        rows=saved.rows + len(lines),
        seconds=saved.seconds + sum(line.seconds for line in lines),
        odd=saved.odd or step.nulls > 0 or new_stand_in,
        nameless=saved.nameless or step.nulls > 0,
        blank=saved.blank or step.is_blank,
        shifted=saved.shifted or step.has_shifted,
    )
    ended = step.following is None
    if ended and saved.shifted and not saved.readings:
        saved = attrs.evolve(saved, readings=1)
        ended = False
    unmet = await reader.books.unmet(piece) - met if ended else set()
    doubt: str | None = None
    if not ended or (unmet and not saved.odd and not saved.shifted):
        await reader.write(piece, ENTRIES, lines, saved)
        if not ended:
            return saved
        lines = []
        saved, doubt = await _doubted(reader, piece, saved, unmet)
        if not saved.done:
            await reader.books.commit(piece, saved)
            return saved
    elif saved.shifted:
        doubt = SHIFTED
    elif unmet:
        doubt = "got rows without an id, while other rows were missing"
    saved = attrs.evolve(saved, done=True, deletes=bool(unmet) and doubt is None)
    await reader.write(piece, ENTRIES, lines, saved)
    if doubt:
        await reader.failed(piece, doubt, progress=saved)
    return saved


async def _doubted(
    reader: Reader, piece: Piece, saved: Progress, unmet: set[int]
) -> tuple[Progress, str | None]:
    """Compare a report that was read again, and lacks rows, with Toggl's total for the same days.

    Returns:
        Its progress, either done or to be read once more; and why the missing rows are kept, if they are.
    """
    if not reader.books.progress(_RUNNING).done:  # the missing row may be the running entry
        return attrs.evolve(saved, done=True), _kept(unmet, "the running time entry could not be read")
    wide = not saved.readings and await _at_an_end(reader, piece, unmet)
    total = None if wide else await ask_total(reader, piece, _days_asked(reader, piece, saved))
    doubt: str | None = None
    if wide or saved.blank or (total is not None and total.seconds != saved.seconds):
        if not saved.readings:  # entries are edited and deleted while this goes on
            return attrs.evolve(saved, readings=1, wide=wide), None
        why = "the answer was empty" if saved.blank else "Toggl's total is more"
        doubt = _kept(unmet, why)
    elif total is None and len(unmet) * 2 > saved.before:
        doubt = _kept(unmet, "Toggl gives no total")
    return attrs.evolve(saved, done=True), doubt


def _kept(unmet: set[int], why: str) -> str:
    """The message about time entries that stay although a report lacks them."""
    what = "1 time entry that was" if len(unmet) == 1 else f"{len(unmet)} time entries that were"
    return f"kept {what} missing this time: {why}"


def _days_asked(reader: Reader, piece: Piece, saved: Progress) -> DateRange:
    """The days to request for a piece."""
    assert piece.days is not None  # noqa: S101 - it is a piece of a report
    if not saved.wide:
        return piece.days
    return DateRange(
        max(piece.days.first - _DAY, reader.plan.since or EARLIEST),
        min(piece.days.last + _DAY, reader.plan.until or LATEST),
    )


async def _at_an_end(reader: Reader, piece: Piece, unmet: set[int]) -> bool:
    """Whether one of these rows is on the first or last day of a piece that can be extended by a day."""
    assert piece.days is not None  # noqa: S101 - it is a piece of a report
    if (piece.days.last - piece.days.first).days + 3 > LONGEST_RANGE:
        return False
    for day in (piece.days.first, piece.days.last):
        scope = Scope(dataset=ENTRIES, workspace_id=piece.workspace_id, days=DateRange(day, day))
        if not unmet.isdisjoint(await reader.books.known(scope)):
            return True
    return False


def _cut(reader: Reader, days: DateRange, saved: Progress, lines: list[Line]) -> tuple[DateRange, ...]:
    """Split the rest of a range in two, if answers are so slow that both halves can be read at once.

    The last day that was reached is read again, since its rest is missing.
    """
    reached = lines[-1].start if lines else None
    if saved.bookmark is None or reached is None or not reader.has_room:
        return ()
    share = days.share_until(reached)
    pages_left = saved.rows * (1 - share) / share / max(1, len(lines)) if share else 0.0
    if pages_left < _WORTH_CUTTING or (days.last - reached).days < _HALVES:
        return ()
    middle = reached + (days.last - reached) // _HALVES
    return DateRange(reached, middle), DateRange(middle + dt.timedelta(days=1), days.last)


def _share(days: DateRange, lines: list[Line]) -> float:
    """The share of a range that is done after these lines, which are sorted by date."""
    reached = lines[-1].start if lines else None
    return days.share_until(reached) if reached else 0.0
