"""The protocol `Keeper`, which takes the rows that are read, and its implementation by a store."""

from collections.abc import Sequence
from typing import Protocol

from toggl_async.export.mirror.store import Commit, DaySum, RowStore, Scope
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.datasets import Dataset

__all__ = ["Keeper", "StoreKeeper"]


class Keeper(Protocol):
    """Takes what is read, and tells what it has; see `RowStore` for each method."""

    @property
    def name(self) -> str:
        """The name of the place where the rows are."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Write a commit, whole or not at all."""
        ...

    async def known(self, scope: Scope) -> set[int]:
        """The ids of rows that it has."""
        ...

    async def unmet(self, piece: str) -> set[int]:
        """The ids of rows that a piece has not met yet."""
        ...

    async def stand_ins(self, dataset: Dataset) -> set[int]:
        """The substitutes for ids."""
        ...

    async def sums(self, without: Sequence[str] = ()) -> Sequence[DaySum]:
        """The time entries, added up by workspace and day, without those that pieces have not met yet."""
        ...

    async def count(self, dataset: Dataset) -> int:
        """How many rows it has."""
        ...


class StoreKeeper:
    """A store, called in the thread of its mirror."""

    def __init__(self, store: RowStore, worker: Worker) -> None:
        self._store = store
        self._worker = worker

    @property
    def name(self) -> str:
        """See `Keeper.name`."""
        return self._store.name.rpartition("/")[2]

    async def commit(self, commit: Commit) -> None:
        """See `Keeper.commit`."""
        await self._worker.run(self._store.commit, commit)

    async def known(self, scope: Scope) -> set[int]:
        """See `Keeper.known`."""
        return await self._worker.run(self._store.known, scope)

    async def unmet(self, piece: str) -> set[int]:
        """See `Keeper.unmet`."""
        return await self._worker.run(self._store.unmet, piece)

    async def stand_ins(self, dataset: Dataset) -> set[int]:
        """See `Keeper.stand_ins`."""
        return await self._worker.run(self._store.stand_ins, dataset)

    async def sums(self, without: Sequence[str] = ()) -> Sequence[DaySum]:
        """See `Keeper.sums`."""
        return await self._worker.run(self._store.sums, without)

    async def count(self, dataset: Dataset) -> int:
        """See `Keeper.count`."""

        def count() -> int:
            with self._store.snapshot() as snapshot:
                return snapshot.count(dataset)

        return await self._worker.run(count)
