"""What a run changed in a mirror: rows added, edited and deleted, by dataset."""

from collections.abc import Iterable, Mapping

from toggl_async.export.mirror.manifest import Changes
from toggl_async.export.mirror.store import RowStore
from toggl_async.export.plan.datasets import Dataset

__all__ = ["count_changes", "count_rows", "latest_revision"]


def count_rows(store: RowStore, datasets: Iterable[Dataset]) -> dict[str, int]:
    """Count the rows of each dataset."""
    with store.snapshot() as snapshot:
        return {dataset.name: snapshot.count(dataset) for dataset in datasets}


def count_changes(
    store: RowStore, datasets: Iterable[Dataset], before: Mapping[str, int], after: int
) -> dict[str, Changes]:
    """Count what has changed since a revision; datasets without a change are left out.

    Args:
        store: the mirror.
        datasets: the datasets to look at.
        before: how many rows each had at that revision.
        after: the revision.
    """
    found: dict[str, Changes] = {}
    with store.snapshot() as snapshot:
        for dataset in datasets:
            changed, deleted = snapshot.count_changes(after, dataset)
            if changed or deleted:
                added = snapshot.count(dataset) - before.get(dataset.name, 0) + deleted
                found[dataset.name] = Changes(
                    # A row that came and went within the run was not there before, nor is it now.
                    added=max(0, added),
                    edited=max(0, changed - added),
                    deleted=deleted,
                )
    return found


def latest_revision(store: RowStore) -> int:
    """The latest revision of the mirror."""
    from toggl_async.export.mirror.schema import COUNTER  # noqa: PLC0415 - it loads every record

    with store.snapshot() as snapshot:
        _, rows = snapshot.query(f"SELECT revision FROM {COUNTER}", ())  # noqa: S608 - a name of our own
        ((revision,),) = rows
    assert isinstance(revision, int)  # noqa: S101 - the column's type
    return revision
