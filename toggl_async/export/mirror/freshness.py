"""What a manifest says of the rows besides their number: how fresh they are, and who isn't listed. Pure."""

from collections.abc import Container, Iterator, Mapping

import attrs

from toggl_async.export.mirror.manifest import ManifestEntry, Stale, WholeList
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.run import OF_ACCOUNT, Run
from toggl_async.export.plan.datasets import Source
from toggl_async.export.plan.plan import EARLIEST

__all__ = ["absent_users", "stale_rows", "whole_lists", "with_older"]


def with_older(entry: ManifestEntry, run: Run, *, ordered: bool) -> ManifestEntry:
    """Add to the entry of the time entries how fresh those are that an update didn't read again in full.

    Args:
        entry: the rest of the entry.
        run: the run.
        ordered: whether Toggl sorted by last change, so that the update found all edits.
    """
    if run.previous is None or run.read_from is None or run.read_from <= EARLIEST:
        return entry
    before = run.previous.datasets["time_entries"]
    return attrs.evolve(
        entry,
        read_from=run.read_from,
        older_read_at=before.older_read_at or before.as_of,
        older_edits_as_of=entry.as_of if ordered and run.older else before.older_edits_as_of or before.as_of,
    )


def stale_rows(run: Run, refused: Container[tuple[str, int]]) -> Iterator[Stale]:
    """The rows of earlier runs that an update could not read again.

    Args:
        run: the run.
        refused: dataset and workspace of what Toggl refused.
    """
    previous = run.previous
    if previous is None:
        return
    seen = {workspace.id for workspace in run.account.workspaces}
    known = dict.fromkeys((*previous.workspaces, *(one.workspace_id for one in previous.stale)))
    for dataset in run.plan.chosen():
        if dataset.source is Source.ACCOUNT:
            as_of = previous.read_at(dataset.name, OF_ACCOUNT)
            if as_of is not None and (dataset.name, OF_ACCOUNT) in refused:
                yield Stale(dataset=dataset.name, workspace_id=OF_ACCOUNT, as_of=as_of)
            continue
        if not run.reads(dataset.name):
            yield from (one for one in previous.stale if one.dataset == dataset.name)
            continue
        for workspace_id in known:
            as_of = previous.read_at(dataset.name, workspace_id)
            if as_of is not None and (workspace_id not in seen or (dataset.name, workspace_id) in refused):
                yield Stale(dataset=dataset.name, workspace_id=workspace_id, as_of=as_of)


def whole_lists(run: Run, progress: Mapping[str, Progress]) -> Iterator[WholeList]:
    """The lists of several pages that the next update may ask only for what changed.

    Args:
        run: the run.
        progress: how far its pieces have come, by name.
    """
    for one in run.previous.whole_lists if run.previous is not None else ():
        if not run.reads(one.dataset):
            yield one
    for dataset in run.plan.datasets:
        for workspace in run.account.workspaces:
            read = progress.get(Piece(dataset, workspace.id).name)
            if read is not None and read.whole is not None and read.done and read.failed is None:
                yield read.whole


def absent_users(run: Run, progress: Mapping[str, Progress]) -> Iterator[str]:
    """Say which users Toggl doesn't list, although they have time entries.

    Args:
        run: the run.
        progress: how far its pieces have come, by name.
    """
    for workspace in run.account.workspaces:
        read = progress.get(Piece("users", workspace.id).name)
        if read is not None and read.absent:
            yield (
                f"Toggl doesn't list these users of workspace {workspace.id}, who have probably left: "
                f"{', '.join(map(str, read.absent))}; their time entries have their ids and names"
            )
