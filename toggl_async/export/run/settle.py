"""The end of a run's lists: what rows of this run refer to has to be in them.

A list may be cut short twice, and in a first run as well. A user whose time entry is in a report of the same
run exists, whatever the list of users says. A list that is wrong about one row proves nothing about the
others, so it has failed, and nothing of it is deleted. Where nothing refers to what a list lacks, that is
deleted.

Only rows that this run has read count, because older ones may refer to rows that were deleted since. These
are the time entries that were read again or have changed, the rows of lists that were read in full, and those
that changes brought. Nothing refers to groups.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

from collections.abc import Iterable, Iterator

import attrs
import msgspec

from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.progress import DatasetFinished
from toggl_async.export.mirror.store import RowStore, Scope
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.datasets import DATASETS, ENTRIES, Dataset, Source
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.lists import list_piece, listed
from toggl_async.export.read.reading import Reader

__all__ = ["settle_lists"]

_REFERENCES = {
    "users": [(ENTRIES.name, "user_id")],
    "clients": [("projects", "client_id")],
    "projects": [(ENTRIES.name, "project_id"), ("tasks", "project_id")],
    "tags": [(ENTRIES.name, "tag_ids")],
    "tasks": [(ENTRIES.name, "task_id")],
}
"""Which column of which dataset refers to a row of a dataset."""

_MENTIONS = {"users": [("groups", "raw"), ("tasks", "user_id")]}
"""Likewise, but perhaps to somebody who isn't in the workspace yet, so it only keeps a row that was there."""


class _Member(msgspec.Struct):
    user_id: int | None = None


class _Group(msgspec.Struct):
    users: list[_Member] | None = None


async def settle_lists(reader: Reader, store: RowStore, worker: Worker) -> None:
    """Say which lists lack what rows refer to, delete what the others lacked, and finish their datasets.

    Args:
        reader: has read everything.
        store: the mirror.
        worker: calls it.
    """
    for dataset in reader.plan.chosen():
        if dataset.source is not Source.WORKSPACE or not reader.books.run.reads(dataset.name):
            continue
        for workspace in reader.account.workspaces:
            piece = list_piece(dataset, workspace)
            progress = reader.books.progress(piece)
            lacking = await _lacking(reader.books, dataset, workspace, store, worker)
            if lacking:
                doubt = f"the list lacks {listed(lacking)}, which rows of this run refer to"
                await reader.failed(piece, doubt, progress=attrs.evolve(progress, deletes=False))
        if reader.books.is_deleting(dataset):
            await reader.books.delete(dataset)
        if not reader.books.is_finished(dataset):
            facts = await reader.books.finish(dataset)
            reader.tell(DatasetFinished(dataset=dataset.name, facts=facts))


async def _lacking(
    books: Books, dataset: Dataset, workspace: SurveyedWorkspace, store: RowStore, worker: Worker
) -> set[int]:
    """The ids to which rows of this run refer, and which a list of a workspace lacks although it was read."""
    piece = list_piece(dataset, workspace)
    progress = books.progress(piece)
    if not progress.done or progress.failed is not None or progress.refusal is not None:
        return set()
    space = workspace.id if dataset.key_has_workspace else None
    unmet = await books.unmet(piece) if progress.deletes else set()
    referred = await worker.run(
        _ids_of, store, list(_statements(books, _REFERENCES.get(dataset.name, ()), workspace))
    )
    lacking = referred - (await books.known(Scope(dataset=dataset, workspace_id=space)) - unmet)
    mentioned = set[int]()
    if unmet:
        mentions = list(_statements(books, _MENTIONS.get(dataset.name, ()), workspace))
        mentioned = await worker.run(_ids_of, store, mentions)
    return {number for number in lacking | (mentioned & unmet) if number > 0}


def _statements(
    books: Books, references: Iterable[tuple[str, str]], workspace: SurveyedWorkspace
) -> Iterator[str]:
    """The statements for references of a workspace's rows that this run has read."""
    from toggl_async.export.mirror.schema import UNMET  # noqa: PLC0415 - it loads every record

    run = books.run
    failed = books.missing()
    for name, column in references:
        if name not in run.plan or not run.reads(name) or (name, workspace.id) in failed:
            continue
        where = f"workspace_id = {workspace.id} AND deleted_at IS NULL AND {column} IS NOT NULL"
        if name == ENTRIES.name:
            recent = "" if run.read_from is None else f"day >= '{run.read_from}' OR "
            where += f" AND ({recent}revision > {run.revision})"
        elif _was_read_whole(books.progress(list_piece(DATASETS[name], workspace))):
            where += f" AND id NOT IN (SELECT id FROM {UNMET} WHERE dataset = '{name}')"
        else:
            where += f" AND revision > {run.revision}"
        yield f"SELECT DISTINCT {column} FROM {name} WHERE {where}"


def _was_read_whole(progress: Progress) -> bool:
    return progress.done and progress.since is None


def _ids_of(store: RowStore, statements: Iterable[str]) -> set[int]:
    """The ids in the cells that statements bring: numbers, lists of them, or groups with members."""
    found: set[int] = set()
    with store.snapshot() as snapshot:
        for statement in statements:
            _, rows = snapshot.query(statement, ())
            for (cell,) in rows:
                found.update([cell] if isinstance(cell, int) else _ids_in(str(cell)))
    return found


def _ids_in(cell: str) -> Iterator[int]:
    try:
        read = msgspec.json.decode(cell, type=list[int] | _Group)
    except (msgspec.DecodeError, ValueError):  # a group of another shape
        return
    if isinstance(read, list):
        yield from read
    else:
        yield from (one.user_id for one in read.users or () if one.user_id is not None)
