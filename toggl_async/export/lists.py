"""The lists of an export: those of the account, which the first contact brought, and each workspace's.

In an update a list that fits one page is read again as a whole: that takes the one request that asking
for changes would take, and shows surely what was deleted. A longer one is asked for what changed since,
where Toggl offers that; deleted rows come marked.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any

import attrs

from toggl_async.errors import ResponseError
from toggl_async.export.datasets import Dataset, operation
from toggl_async.export.pieces import Piece, Progress
from toggl_async.export.reading import REFUSALS, Reader
from toggl_async.export.rows import Line, is_deleted, list_line
from toggl_async.export.survey import Workspace

__all__ = ["list_piece", "read_account_list", "read_workspace_lists", "unseen"]

_OVERLAP = 60
"""Seconds before the last reading from which on changes are asked for: clocks differ a little."""


def list_piece(dataset: Dataset, workspace: Workspace) -> Piece:
    """The piece that a list of a workspace is."""
    return Piece(dataset.name, workspace.id)


def unseen(lines: list[Line], known: Any) -> list[Line]:
    """The lines that were not there before."""
    return [line for line in lines if known.add(line.id)]


def read_account_list(reader: Reader, dataset: Dataset) -> None:
    """Write what the first contact brought; in an update, in place of what is there."""
    piece = Piece(dataset.name)
    if reader.books.progress(piece).done:
        return
    lines = [list_line(row, workspace_id=None) for row in reader.account.rows(dataset.name)]
    before = reader.books.known_ids(dataset, {piece: None})[piece] if reader.books.header.previous else set()
    reader.write(piece, dataset, lines, Progress(done=True, rows=len(lines)), removed=sorted(before))


async def read_workspace_lists(reader: Reader, dataset: Dataset) -> None:
    """Read a list of every workspace."""
    pieces = {
        workspace: list_piece(dataset, workspace)
        for workspace in reader.account.workspaces
        if not reader.books.progress(list_piece(dataset, workspace)).done
    }
    before: dict[Piece, set[int]] = {}
    if reader.books.header.previous is not None:
        fresh = [piece for piece in pieces.values() if reader.books.progress(piece).bookmark is None]
        before = reader.books.known_ids(dataset, dict.fromkeys(fresh))
    async with asyncio.TaskGroup() as tasks:
        for workspace, piece in pieces.items():
            walk = _read(reader, dataset, workspace, before.get(piece, set()))
            tasks.create_task(walk, name=piece.name)


async def _read(reader: Reader, dataset: Dataset, workspace: Workspace, before: set[int]) -> None:
    """Read one list of a workspace, page by page."""
    piece = list_piece(dataset, workspace)
    saved = reader.books.progress(piece)
    if saved.bookmark is None:
        since = _since(reader, dataset, workspace, before)
        saved = Progress(since=since, unseen=tuple(sorted(before)) if since is None else ())
    query: Mapping[str, Any] = dataset.query
    if saved.since is not None:
        query = {**query, "since": saved.since}
    refusal: ResponseError | None = None
    async with reader.gate:
        for name, path in _sources(dataset, workspace):
            steps = reader.steps(name, path, query=query, start=saved.bookmark)
            async with aclosing(steps):
                try:
                    async for step in steps:
                        rows = [bytes(row) for row in step.items]
                        saved = _take(reader, dataset, piece, saved, rows, step.following)
                except REFUSALS as error:
                    refusal = error
                else:
                    refusal = None
                    break
    if refusal is not None:
        reader.refused(piece, refusal)
    reader.forecast.end(dataset.name, piece.workspace_id)


def _sources(dataset: Dataset, workspace: Workspace) -> Iterator[tuple[str, dict[str, int]]]:
    """The operations that list a dataset of a workspace, and where; the next one where one is refused."""
    path = {"workspace_id": workspace.id}
    if dataset.for_admins and workspace.admin and workspace.organization_id is not None:
        yield dataset.for_admins, {**path, "organization_id": workspace.organization_id}
    yield dataset.operation, path


def _take(
    reader: Reader, dataset: Dataset, piece: Piece, saved: Progress, rows: list[bytes], following: Any
) -> Progress:
    """Commit one page of a list."""
    reader.forecast.read(dataset.name, piece.workspace_id)
    updating = reader.books.header.previous is not None
    lines = [list_line(row, workspace_id=piece.workspace_id) for row in rows]
    removed: list[int] = []
    unmet = set(saved.unseen)
    if updating:
        met = {line.id for line in lines}
        gone = {line.id for line, row in zip(lines, rows, strict=True) if is_deleted(row)}
        lines = [line for line in lines if line.id not in gone]
        unmet -= met
        removed = sorted(met | (unmet if following is None else set()))
    fresh = unseen(lines, reader.books.ids(dataset, piece.workspace_id))
    saved = attrs.evolve(
        saved,
        done=following is None,
        bookmark=following,
        rows=saved.rows + len(fresh),
        unseen=tuple(sorted(unmet)) if following is not None else (),
    )
    reader.write(piece, dataset, fresh, saved, removed=removed)
    return saved


def _since(reader: Reader, dataset: Dataset, workspace: Workspace, before: set[int]) -> int | None:
    """The moment from which on changes are asked for, in seconds since 1970; None to read everything."""
    previous = reader.books.header.previous
    as_of = previous.read_at(dataset.name, workspace.id) if previous is not None else None
    paging = operation(dataset.operation).paging
    if as_of is None or not dataset.since or paging is None or len(before) < (paging.largest or 0):
        return None
    return int(as_of.timestamp()) - _OVERLAP
