"""The end of a run's lists: they have to contain everything that rows of this run refer to.

A list may be cut short twice, and in a first run as well. A user whose time entry is in a report of the same
run exists, whatever the list of users says. A list that is wrong about one row proves nothing about the
others, so it has failed, and nothing of it is deleted. Where nothing refers to what a list lacks, that is
deleted.

Users are an exception, because people leave, and their time entries stay, with their names. Where a second
answer lists the same users, that is all that Toggl offers: nothing is missing, but the manifest warns of it,
and nothing is deleted all the same.

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
from toggl_async.export.read.lists import ids_now, list_piece, listed
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
"""Likewise, but perhaps to somebody who hasn't joined yet, so this only keeps a row that was there before."""


class _Member(msgspec.Struct):
    user_id: int | None = None


class _Group(msgspec.Struct):
    users: list[_Member] | None = None


async def settle_lists(reader: Reader, store: RowStore, worker: Worker) -> None:
    """Fail the lists that lack what rows refer to, delete what the others lacked, and finish their datasets.

    Args:
        reader: the reader, which has read everything.
        store: the mirror.
        worker: the thread that calls it.
    """
    for dataset in reader.plan.chosen():
        if dataset.source is not Source.WORKSPACE or not reader.books.run.reads(dataset.name):
            continue
        for workspace in reader.account.workspaces:
            piece = list_piece(dataset, workspace)
            progress = reader.books.progress(piece)
            lacking = await _lacking(reader.books, dataset, workspace, store, worker)
            if not lacking:
                continue
            progress = attrs.evolve(progress, deletes=False)
            if await _have_left(reader, dataset, workspace, lacking):
                progress = attrs.evolve(progress, absent=tuple(sorted(lacking.referred)))
                await reader.books.commit(piece, progress)
            else:
                doubt = f"the list lacks {listed(lacking.all)}, which rows of this run refer to"
                await reader.failed(piece, doubt, progress=progress)
        if reader.books.is_deleting(dataset):
            await reader.books.delete(dataset)
        if not reader.books.is_finished(dataset):
            facts = await reader.books.finish(dataset)
            reader.tell(DatasetFinished(dataset=dataset.name, facts=facts))


@attrs.frozen
class _Lacking:
    """The ids that a list lacks although it was read, and what shows them.

    Attributes:
        listed: the ids that it has.
        referred: those to which rows of this run refer.
        mentioned: those that were there, and that something mentions.
    """

    listed: set[int] = attrs.field(factory=set)
    referred: set[int] = attrs.field(factory=set)
    mentioned: set[int] = attrs.field(factory=set)

    @property
    def all(self) -> set[int]:
        return self.referred | self.mentioned

    def __bool__(self) -> bool:
        return bool(self.all)


async def _have_left(
    reader: Reader, dataset: Dataset, workspace: SurveyedWorkspace, lacking: _Lacking
) -> bool:
    """Whether what a list lacks are users who have left: it says so twice, and has the token's own user."""
    if dataset.name != "users" or lacking.mentioned or reader.account.user_id not in lacking.listed:
        return False
    return await ids_now(reader, dataset, workspace) == lacking.listed


async def _lacking(
    books: Books, dataset: Dataset, workspace: SurveyedWorkspace, store: RowStore, worker: Worker
) -> _Lacking:
    """What a list of a workspace lacks, if it was read."""
    piece = list_piece(dataset, workspace)
    progress = books.progress(piece)
    if not progress.done or progress.failed is not None or progress.refusal is not None or progress.absent:
        return _Lacking()
    space = workspace.id if dataset.key_has_workspace else None
    unmet = await books.unmet(piece) if progress.deletes else set()
    referred = await worker.run(
        _ids_of, store, list(_statements(books, _REFERENCES.get(dataset.name, ()), workspace))
    )
    listed_ids = await books.known(Scope(dataset=dataset, workspace_id=space)) - unmet
    mentioned = set[int]()
    if unmet:
        mentions = list(_statements(books, _MENTIONS.get(dataset.name, ()), workspace))
        mentioned = await worker.run(_ids_of, store, mentions)
    return _Lacking(
        listed=listed_ids,
        referred={number for number in referred - listed_ids if number > 0},
        mentioned={number for number in mentioned & unmet if number > 0},
    )


def _statements(
    books: Books, references: Iterable[tuple[str, str]], workspace: SurveyedWorkspace
) -> Iterator[str]:
    """The statements that find the references in the rows of a workspace that this run has read."""
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
    """The ids in the cells that statements return: numbers, lists of them, or groups with members."""
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
    except (msgspec.DecodeError, ValueError):  # a group of an unknown shape
        return
    if isinstance(read, list):
        yield from read
    else:
        yield from (one.user_id for one in read.users or () if one.user_id is not None)
