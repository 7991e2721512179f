"""The lists of an export: those of the account, which the first requests returned, and each workspace's.

In an update, a list that fits on one page is read again in full: that takes one request, like asking for
changes, and shows deletions. For a longer list, the update asks for what changed since, if Toggl offers that;
deleted rows are marked there. But a row may have moved to an earlier page while the list was read, and a row
that becomes visible does not count as changed. So a longer list is read in full until two readings in a row
return the same, apart from new rows; then once a week, and whenever it lacks a row that the first requests
returned.

If a list lacks a row that the first requests returned, or most of the rows that it had in the run before, it
is read once more before anything is removed, and compared with a fresh answer to the first request. If that
shows a row that the list lacks, the list is wrong, and nothing is removed.
"""

import asyncio
import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import attrs

from toggl_async._operations.paging import PageStep
from toggl_async.errors import TogglError
from toggl_async.export.mirror.manifest import WholeList
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.store import Scope
from toggl_async.export.plan.datasets import REFUSALS, Dataset, operation, raise_for_account
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.reading import SET_ASIDE, Reader, identified
from toggl_async.export.rows import Line, changed_at, is_deleted, list_line

__all__ = ["ids_now", "list_piece", "listed", "read_account_list", "read_workspace_lists"]

_OVERLAP = 60
"""Seconds by which requests for changes overlap with the last reading, because clocks differ a little."""

_WHOLE_FOR = dt.timedelta(days=7)
"""How long a list counts as whole. A row that becomes visible, or hidden, does not count as a change."""

_EMPTY = "an empty list"
"""How the failure of an empty list begins that nothing else confirms. The next run believes it."""

_MOVED = "rows moved between pages while they were being read, or the list is shorter than its total says"
"""The failure of a list that may lack rows after two readings."""


def list_piece(dataset: Dataset, workspace: SurveyedWorkspace) -> Piece:
    """The piece for a list of a workspace."""
    return Piece(dataset.name, workspace.id)


async def read_account_list(reader: Reader, dataset: Dataset) -> None:
    """Write what the first requests returned, and delete what they no longer contain."""
    piece = Piece(dataset.name)
    if reader.books.progress(piece).done:
        return
    lines = [list_line(row, workspace_id=None) for row in reader.account.rows(dataset.name)]
    came = {line.id for line in lines}
    lacking: set[int] = set()
    gone: set[int] = set()  # a workspace that the token no longer sees keeps its row, like all others
    if dataset.name == "organizations":
        owners = {workspace.organization_id for workspace in reader.account.workspaces}
        lacking = {owner for owner in owners if owner is not None and owner not in came}
        if not lacking:  # a list that lacks one may lack others
            gone = await reader.books.known(Scope(dataset=dataset)) - came
    progress = Progress(done=True, rows=len(lines))
    await reader.write(piece, dataset, lines, progress, deleted=gone)
    if lacking:
        await reader.failed(
            piece, f"the list lacks {listed(lacking)}, which have workspaces", progress=progress
        )


async def read_workspace_lists(reader: Reader, dataset: Dataset) -> None:
    """Read a list of every workspace. Missing rows are deleted at the end of the run; see `settle_lists`."""
    pieces = {
        workspace: list_piece(dataset, workspace)
        for workspace in reader.account.workspaces
        if not reader.books.progress(list_piece(dataset, workspace)).done
    }
    if reader.books.run.previous is not None:
        for workspace, piece in pieces.items():
            if not reader.books.progress(piece).begun:
                await _begin(reader, dataset, workspace, piece)
    async with asyncio.TaskGroup() as tasks:
        for workspace, piece in pieces.items():
            tasks.create_task(_read(reader, dataset, workspace), name=piece.name)


async def _begin(reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace, piece: Piece) -> None:
    """Decide how a list is read again: in full, or only what changed."""
    scope = Scope(dataset=dataset, workspace_id=workspace.id)
    changes = _changes(reader, dataset, workspace, len(await reader.books.known(scope)))
    if changes is None:
        await reader.books.begin(piece, scope, Progress())
    else:
        await reader.books.commit(piece, changes)


async def _read(reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace) -> None:
    """Read one list of a workspace."""
    piece = list_piece(dataset, workspace)
    async with reader.gate:
        error = await _read_pages(reader, dataset, workspace, piece)
    if error is not None:
        await reader.set_aside(piece, error)
    reader.forecast.end(dataset.name, piece.workspace_id)


async def _read_pages(
    reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace, piece: Piece
) -> TogglError | None:
    """Read a list to its end, twice if the first reading is doubtful; return the error that stopped it."""
    while True:
        saved = reader.books.progress(piece)
        if saved.since is not None and saved.readings:  # changes are not all it lacks
            await reader.books.begin(piece, Scope(dataset=dataset, workspace_id=workspace.id), Progress())
        error = await _walk(reader, dataset, workspace, piece)
        if error is not None or reader.books.progress(piece).done:
            return error


async def _walk(
    reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace, piece: Piece
) -> TogglError | None:
    """Read the remaining pages of a list; return the error that stopped it."""
    saved = attrs.evolve(reader.books.progress(piece), failed=None)
    if saved.bookmark is None:
        saved = attrs.evolve(saved, blank=False, shifted=False)
    query: Mapping[str, Any] = dataset.query
    if saved.since is not None:
        query = {**query, "since": saved.since}
    failure: TogglError | None = None
    for name, path in _sources(dataset, workspace):
        steps = reader.steps(name, path, query=query, start=saved.bookmark)
        async with aclosing(steps):
            try:
                async for step in steps:
                    saved = await _take(reader, dataset, piece, saved, step)
            except REFUSALS as error:
                failure = error
            except SET_ASIDE as error:
                return error
            else:
                return None
    return failure


async def ids_now(reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace) -> set[int] | None:
    """Request a list of one page again, and return its ids; None if it can't be read."""
    path = {"workspace_id": workspace.id}
    found: set[int] = set()
    async with aclosing(reader.steps(dataset.operation, path, query=dataset.query)) as steps:
        try:
            async for step in steps:
                lines = [list_line(row, workspace_id=workspace.id) for row in step.items]
                found.update(line.id for line in identified(lines, dataset.operation))
        except SET_ASIDE as error:
            raise_for_account(error)
            return None
    return found


def _sources(dataset: Dataset, workspace: SurveyedWorkspace) -> Iterator[tuple[str, dict[str, int]]]:
    """The operations that list a dataset, and their paths; the second is used if Toggl refuses the first."""
    path = {"workspace_id": workspace.id}
    if dataset.for_admins and workspace.admin and workspace.organization_id is not None:
        yield dataset.for_admins, {**path, "organization_id": workspace.organization_id}
    yield dataset.operation, path


async def _take(
    reader: Reader, dataset: Dataset, piece: Piece, saved: Progress, step: PageStep[bytes]
) -> Progress:
    """Commit one page of a list."""
    reader.forecast.read(dataset.name, piece.workspace_id)
    paged = saved.bookmark is not None
    lines = identified(
        [list_line(row, workspace_id=piece.workspace_id) for row in step.items], dataset.operation
    )
    met = {line.id for line in lines}
    new_stand_in = await reader.books.has_new_stand_in(dataset, met)
    deleted: set[int] = set()
    if reader.books.run.previous is not None:
        deleted = {line.id for line, row in zip(lines, step.items, strict=True) if is_deleted(row)}
        lines = [line for line in lines if line.id not in deleted]
    saved = attrs.evolve(
        saved,
        rows=saved.rows + len(lines),
        odd=saved.odd or step.nulls > 0 or new_stand_in,
        nameless=saved.nameless or step.nulls > 0,
        # Toggl also writes null for an empty list, but then related data has to agree; silence doesn't.
        blank=saved.blank or step.is_blank or (step.is_null and dataset.name not in reader.account.seen),
        shifted=saved.shifted or step.has_shifted,
        late=saved.late or await _brings_late(reader, dataset, piece, saved, lines),
    )
    verdict = _Verdict()
    if step.following is None:
        verdict = await _judge(reader, dataset, piece, saved, met, paged=paged)
    saved = attrs.evolve(
        saved,
        done=step.following is None and not verdict.again,
        bookmark=step.following,
        readings=saved.readings + verdict.again,
        failed=verdict.doubt,
        deletes=bool(verdict.gone),
        whole=verdict.whole,
    )
    await reader.write(piece, dataset, lines, saved, met=met | verdict.kept, deleted=deleted)
    if verdict.doubt is not None:
        await reader.failed(piece, verdict.doubt, progress=saved)
    return saved


@attrs.frozen(kw_only=True)
class _Verdict:
    """What follows from a list that was read to its end.

    Attributes:
        again: whether it is to be read once more.
        gone: ids of rows that were deleted, unless another workspace's list has them.
        kept: ids of rows that the list lacks and Toggl shows elsewhere.
        doubt: what is wrong with the list; None if nothing is.
        whole: set if the next update may ask only for what changed.
    """

    again: bool = False
    gone: set[int] = attrs.field(factory=set)
    kept: set[int] = attrs.field(factory=set)
    doubt: str | None = None
    whole: WholeList | None = None


async def _judge(
    reader: Reader, dataset: Dataset, piece: Piece, saved: Progress, met: set[int], *, paged: bool
) -> _Verdict:
    """Compare a list that was read to its end with everything else that is known.

    If it had several pages, a missing row may have moved to an earlier one while the list was read.

    Args:
        reader: asks.
        dataset: the dataset.
        piece: the list.
        saved: its progress.
        met: the ids on its last page, which isn't committed yet.
        paged: whether it had several pages.
    """
    if saved.shifted:
        doubt = _MOVED if saved.readings else None
        return _Verdict(again=not saved.readings, doubt=doubt)
    if saved.since is not None:
        held = await reader.books.known(Scope(dataset=dataset, workspace_id=piece.workspace_id)) | met
        shown = reader.account.seen.get(dataset.name, {}).get(piece.workspace_id or 0, ())
        whole = None
        if saved.whole is not None and not paged:  # rows move between pages of changes as well
            whole = attrs.evolve(saved.whole, changes_from=reader.account.asked_at)
        return _Verdict(again=not held.issuperset(shown), whole=whole)
    unmet = await reader.books.unmet(piece) - met
    space = piece.workspace_id if dataset.key_has_workspace else None
    there = await reader.books.known(Scope(dataset=dataset, workspace_id=space)) | met
    lacking = [
        number
        for number in _seen_elsewhere(reader, dataset, piece, reader.account.seen, unmet, there)
        # If the mirror never had it, it may be the row that came without an id.
        if (number in unmet or number not in there) and not saved.odd
    ]
    shrunk = len(unmet) * 2 > saved.before
    if not saved.readings and (lacking or shrunk or (unmet and paged)):
        return _Verdict(again=True)
    if lacking:
        now = _seen_elsewhere(reader, dataset, piece, await reader.seen_now(), unmet, there)
        lacking = [number for number in lacking if number in now]
    if unmet and (saved.odd or saved.blank):
        came = "rows without an id" if saved.odd else "an answer without a list"
        return _Verdict(doubt=f"got {came}; no longer there: {listed(unmet)}")
    if unmet and not saved.rows and _has_no_witness(reader, dataset, piece):
        return _Verdict(doubt=f"{_EMPTY}; no longer there: {listed(unmet)}")
    if lacking:  # a list that is wrong about one row proves nothing about the others
        doubt = f"the list lacks {listed(lacking)}, which Toggl shows elsewhere"
        return _Verdict(kept=set(lacking), doubt=doubt)
    proven = paged and not (unmet or saved.late or saved.odd)
    return _Verdict(gone=unmet, whole=_whole(reader, dataset, piece) if proven else None)


def _whole(reader: Reader, dataset: Dataset, piece: Piece) -> WholeList | None:
    """What lets the next update ask only for changes, now that two readings returned the same."""
    previous, number = reader.books.run.previous, piece.workspace_id or 0
    before = previous.read_at(dataset.name, number) if previous is not None else None
    if before is None or not dataset.since:
        return None
    as_of = reader.account.asked_at
    return WholeList(dataset=dataset.name, workspace_id=number, as_of=as_of, changes_from=before)


async def _brings_late(
    reader: Reader, dataset: Dataset, piece: Piece, saved: Progress, lines: Iterable[Line]
) -> bool:
    """Whether a page shows that the previous full reading of its list was incomplete.

    That is so if it has a row that the mirror lacks and that has not changed since, so it isn't new.
    """
    previous = reader.books.run.previous
    if previous is None or not dataset.since or saved.since is not None:
        return False
    as_of = previous.read_at(dataset.name, piece.workspace_id or 0)
    known = await reader.books.known(Scope(dataset=dataset, workspace_id=piece.workspace_id))
    changes = [changed_at(line.data) for line in lines if line.id not in known]
    return any(
        as_of is None or changed is None or changed.timestamp() < _changes_from(as_of) for changed in changes
    )


def _seen_elsewhere(
    reader: Reader,
    dataset: Dataset,
    piece: Piece,
    seen: Mapping[str, Mapping[int, Collection[int]]],
    unmet: Collection[int],
    there: Collection[int],
) -> Collection[int]:
    """The ids that the first request shows for a list.

    For users, that is the caller's own id, if the mirror had it before or if no other user came: a workspace
    that the caller sees has at least that user.
    """
    if dataset.name == "users":
        me = reader.account.user_id
        return [me] if me in unmet or there == unmet else []
    return seen.get(dataset.name, {}).get(piece.workspace_id or 0, ())


def _has_no_witness(reader: Reader, dataset: Dataset, piece: Piece) -> bool:
    """Whether neither the first request nor an earlier run shows what a list contains."""
    if dataset.name in reader.account.seen:
        return False
    previous = reader.books.run.previous
    told = previous.failed if previous is not None else ()
    return not any(
        (one.dataset, one.workspace_id) == (dataset.name, piece.workspace_id)
        and one.message.startswith(_EMPTY)
        for one in told
    )


def listed(ids: Collection[int]) -> str:
    """A few ids, for messages."""
    first = sorted(ids)[:3]
    more = f" and {len(ids) - len(first)} more" if len(ids) > len(first) else ""
    return ", ".join(map(str, first)) + more


def _changes(reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace, before: int) -> Progress | None:
    """The progress with which to begin asking a list for changes; None to read it in full."""
    run = reader.books.run
    paging = operation(dataset.operation).paging
    if run.previous is None or run.all_lists or not dataset.since or paging is None:
        return None
    whole, read_at = run.previous.whole_list(dataset.name, workspace.id), run.previous.read_at
    if whole is None or read_at(dataset.name, workspace.id) is None or before < (paging.largest or 0):
        return None
    if not dt.timedelta() <= run.account.asked_at - whole.as_of < _WHOLE_FOR:
        return None
    return Progress(begun=True, since=_changes_from(whole.changes_from), whole=whole)


def _changes_from(as_of: dt.datetime) -> int:
    """The moment, in seconds since 1970, from which to ask for changes to a list that was read at `as_of`."""
    return int(as_of.timestamp()) - _OVERLAP
