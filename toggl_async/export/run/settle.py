"""The end of an update's lists: rows that they lack are deleted, unless rows of this run refer to them.

A list may be cut short twice. A user whose time entry is in a report of the same run exists, whatever the
list of users says, and a list that is wrong about one row proves nothing about the others.

Only rows that this run has read count, because older ones may refer to rows that were deleted since. These
are the time entries that were read again or have changed, and the rows of lists that were read in full.
Nothing refers to groups.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

from collections.abc import Iterable, Iterator

import attrs
import msgspec

from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.progress import DatasetFinished
from toggl_async.export.mirror.store import RowStore
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.datasets import DATASETS, ENTRIES, Dataset, Source
from toggl_async.export.plan.survey import SurveyedWorkspace
from toggl_async.export.read.lists import list_piece, listed
from toggl_async.export.read.reading import Reader

__all__ = ["settle_lists"]

_REFERENCES = {
    "users": [(ENTRIES.name, "user_id"), ("groups", "raw"), ("tasks", "user_id")],
    "clients": [("projects", "client_id")],
    "projects": [(ENTRIES.name, "project_id"), ("tasks", "project_id")],
    "tags": [(ENTRIES.name, "tag_ids")],
    "tasks": [(ENTRIES.name, "task_id")],
}
"""Which column of which dataset refers to a row of a dataset."""


class _Member(msgspec.Struct):
    user_id: int | None = None


class _Group(msgspec.Struct):
    users: list[_Member] | None = None


async def settle_lists(reader: Reader, store: RowStore, worker: Worker) -> None:
    """Delete what lists lacked and nothing refers to, and finish their datasets.

    Args:
        reader: has read everything.
        store: the mirror.
        worker: calls it.
    """
    for dataset in reader.plan.chosen():
        if dataset.source is not Source.WORKSPACE or not reader.books.is_deleting(dataset):
            continue
        for workspace in reader.account.workspaces:
            piece = list_piece(dataset, workspace)
            progress = reader.books.progress(piece)
            if not progress.deletes:
                continue
            statements = list(_statements(reader.books, dataset, workspace))
            shown = await worker.run(_ids_of, store, statements)
            lacking = shown & await reader.books.unmet(piece)
            if lacking:
                doubt = f"the list lacks {listed(lacking)}, to which rows of this run refer"
                await reader.failed(piece, doubt, progress=attrs.evolve(progress, deletes=False))
        await reader.books.delete(dataset)
        facts = await reader.books.finish(dataset)
        reader.tell(DatasetFinished(dataset=dataset.name, facts=facts))


def _statements(books: Books, dataset: Dataset, workspace: SurveyedWorkspace) -> Iterator[str]:
    """The statements for the references of a workspace to a dataset, in rows that this run has read."""
    from toggl_async.export.mirror.schema import UNMET  # noqa: PLC0415 - it loads every record

    run = books.run
    failed = books.missing()
    for name, column in _REFERENCES.get(dataset.name, ()):
        if name not in run.plan or not run.reads(name) or (name, workspace.id) in failed:
            continue
        where = f"workspace_id = {workspace.id} AND deleted_at IS NULL AND {column} IS NOT NULL"
        if name == ENTRIES.name:
            where += f" AND (day >= '{run.read_from}' OR revision > {run.revision})"
        elif _was_read_whole(books.progress(list_piece(DATASETS[name], workspace))):
            where += f" AND id NOT IN (SELECT id FROM {UNMET} WHERE dataset = '{name}')"
        else:
            continue
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
