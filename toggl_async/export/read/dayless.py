"""Time entries with an id but without a day, and how an update gets rid of them.

They are in no range of days, so no report that is read again shows that they are missing. They are deleted
once an update has read all time entries of their workspace again without finding them.
"""

import datetime as dt
from collections.abc import Iterator

from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.store import Scope
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, DateRange
from toggl_async.export.read.reading import Reader

__all__ = ["await_dayless", "delete_dayless"]

_EVER = DateRange(dt.date.min, dt.date.max)


async def await_dayless(reader: Reader) -> None:
    """Note the time entries without a day, before anything is read again."""
    for piece in _pieces(reader):
        if reader.books.progress(piece).begun:
            continue
        workspace = Scope(dataset=ENTRIES, workspace_id=piece.workspace_id)
        known = await reader.books.known(workspace)
        dated = await reader.books.known(Scope(dataset=ENTRIES, workspace_id=piece.workspace_id, days=_EVER))
        nameless = {number for number in known if number < 0}  # see `stand_ins`
        if known - dated - nameless:
            await reader.books.begin(piece, workspace, Progress(), spared=dated | nameless)


async def delete_dayless(reader: Reader) -> None:
    """Delete those that no answer contained, unless part of their workspace could not be read."""
    missing = reader.books.missing()
    for piece in _pieces(reader):
        if (ENTRIES.name, piece.workspace_id) not in missing:
            gone = await reader.books.unmet(piece)
            if gone:
                await reader.books.commit(piece, Progress(done=True), dataset=ENTRIES, deleted=gone)


def _pieces(reader: Reader) -> Iterator[Piece]:
    """One piece per workspace, if the update reads everything again."""
    run = reader.books.run
    if run.previous is not None and run.read_from is not None and run.read_from <= EARLIEST:
        for workspace in reader.account.workspaces:
            yield Piece(ENTRIES.name, workspace.id, purpose="dayless")
