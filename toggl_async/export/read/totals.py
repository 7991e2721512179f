"""Toggl's own sums of time entries, with which an export compares its own."""

import attrs

from toggl_async.export.intake import reading
from toggl_async.export.mirror.pieces import Piece, Progress, Range, ServerTotals
from toggl_async.export.plan.datasets import EXACT
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.read.reading import SET_ASIDE, Reader
from toggl_async.export.rows import totals_of

__all__ = ["TOTALS", "ask_total", "total_of"]

TOTALS = "workspace.reports.detailed.totals"
"""The operation that returns Toggl's own sums."""


async def total_of(reader: Reader, one: Range, purpose: str) -> ServerTotals | None:
    """Toggl's own sums of a range, requested once per purpose; None if that was refused or failed."""
    piece = Piece("totals", one.workspace_id, one.days, purpose)
    saved = reader.books.progress(piece)
    if saved.done:
        return saved.totals
    async with reader.gate:
        totals = await ask_total(reader, piece, one.days)
    if totals is not None:
        await reader.books.commit(piece, Progress(done=True, totals=totals))
    return totals


async def ask_total(reader: Reader, piece: Piece, days: DateRange) -> ServerTotals | None:
    """Toggl's own sums of some days; None if the request was refused or failed."""
    body = {
        "start_date": days.first,
        "end_date": days.last,
        "with_graph": True,
        "resolution": "month",
        **EXACT,
        **reader.plan.filters,
    }
    try:
        answer = await reader.fetch(TOTALS, {"workspace_id": piece.workspace_id or 0}, body=body)
        with reading(TOTALS, answer.body):
            seconds, months = totals_of(answer.body)
    except SET_ASIDE as error:
        await reader.set_aside(attrs.evolve(piece, dataset="totals"), error)
        return None
    return ServerTotals(seconds=seconds, months=months)
