"""Time entries that an odd answer left without an id and a day, and how an update gets rid of them.

They are in no range of days, so no report that is read again shows that they are missing. They are deleted
once all time entries of their workspace have been read correctly: no row came without an id, and either
everything was read again, or Toggl's totals of all ranges agree without them.
"""

import datetime as dt

from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.store import Scope
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.plan.plan import EARLIEST, DateRange
from toggl_async.export.read.reading import Reader

__all__ = ["delete_stand_ins"]

_EVER = DateRange(dt.date.min, dt.date.max)


async def delete_stand_ins(reader: Reader) -> None:
    """Delete time entries without an id and a day, once an update has shown that Toggl has none."""
    run, books = reader.books.run, reader.books
    if run.previous is None or not run.older or run.read_from is None:
        return
    failed = books.missing()
    for workspace in reader.account.workspaces:
        stand_ins = {
            number
            for number in await books.known(Scope(dataset=ENTRIES, workspace_id=workspace.id))
            if number < 0
        }
        if not stand_ins or (ENTRIES.name, workspace.id) in failed:
            continue
        agree = {check.agrees for check in books.checks if check.workspace_id == workspace.id}
        if agree == {True} or run.read_from <= EARLIEST:
            stand_ins -= await books.known(Scope(dataset=ENTRIES, workspace_id=workspace.id, days=_EVER))
            piece = Piece(ENTRIES.name, workspace.id, purpose="stand-ins")
            await books.commit(piece, Progress(done=True), dataset=ENTRIES, deleted=stand_ins)
