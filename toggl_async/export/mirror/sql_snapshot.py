"""A snapshot of a store in an SQL database, except for running statements."""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import abc
import heapq
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.schema import COUNTER, STATE
from toggl_async.export.mirror.sql import ID, Cursor, SqlStore, schema_of
from toggl_async.export.mirror.store import Change, Values
from toggl_async.export.plan.datasets import DATASETS, Dataset
from toggl_async.export.rows import Stored

__all__ = ["SqlSnapshot", "no_mirror"]

_only = operator.itemgetter(0)

_CHUNK = 1000
"""Rows that are fetched at once."""


class SqlSnapshot(abc.ABC):
    """See `Snapshot`; a kind of database derives from it.

    Args:
        store: the store.
    """

    def __init__(self, store: SqlStore) -> None:
        self.id: str = ""
        self.name: str = store.name
        self._statements = store.statements
        self._dialect = store.dialect
        self.failing: Callable[[], AbstractContextManager[None]] = store.failing

    @abc.abstractmethod
    def select(self, statement: str, parameters: Sequence[Stored] = ()) -> Cursor:
        """Run a statement in the transaction of the snapshot; its rows are read as they are fetched."""

    @abc.abstractmethod
    def query(self, statement: str, parameters: Values) -> tuple[Sequence[str], Iterator[tuple[Stored, ...]]]:
        """See `Snapshot.query`."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """See `Snapshot.interrupt`."""

    @abc.abstractmethod
    def has_books(self) -> bool:
        """Whether the books exist."""

    def begin(self, hint: str = "") -> None:
        """Read the state of the mirror. The snapshot is of this moment.

        Args:
            hint: added to the error if it isn't a mirror.

        Raises:
            InvalidInput: it isn't a mirror, or a newer version made it.
            OSError: it can't be read.
        """
        with self.failing():
            if not self.has_books():
                raise no_mirror(self.name, hint)
            state = dict(self.select(f"SELECT name, value FROM {STATE}").fetchall())
        schema_of(self.name, state)
        self.id = state.get(ID, "")

    def count(self, dataset: Dataset) -> int:
        """See `Snapshot.count`."""
        with self.failing():
            number: int = self.select(self._statements[dataset.name].count).fetchone()[0]
            return number

    def rows(self, dataset: Dataset) -> Iterator[bytes]:
        """See `Snapshot.rows`."""
        statement = (
            f"SELECT raw FROM {dataset.name} WHERE deleted_at IS NULL ORDER BY {', '.join(dataset.key)}"
        )
        # Every row of a file comes through here, so this is a chain in C, and not a generator.
        return map(str.encode, map(_only, itertools.chain.from_iterable(self._chunks(statement))))

    def changes(self, after: int, dataset: Dataset | None = None) -> Iterator[Change]:
        """See `Snapshot.changes`."""
        with self.failing():
            (latest,) = self.select(f"SELECT revision FROM {COUNTER}").fetchone()
        if after > latest:
            raise InvalidInput(
                f"the mirror's latest revision is {latest}, so {after} belongs to another mirror"
            )
        datasets = DATASETS.values() if dataset is None else (dataset,)
        return heapq.merge(*(self._changes(one, after) for one in datasets), key=_revision)

    def count_changes(self, after: int, dataset: Dataset) -> tuple[int, int]:
        """See `Snapshot.count_changes`; the index of revisions has all that it takes."""
        statement = (
            f"SELECT COUNT(*), COUNT(deleted_at) FROM {dataset.name} WHERE revision > {self._dialect.mark}"
        )
        with self.failing():
            changed, deleted = self.select(statement, (after,)).fetchone()
        return changed - deleted, deleted

    def _changes(self, dataset: Dataset, after: int) -> Iterator[Change]:
        statement = (
            f"SELECT {', '.join(dataset.key)}, revision, deleted_at, raw FROM {dataset.name} "
            f"WHERE revision > {self._dialect.mark} ORDER BY revision"
        )
        for *key, revision, deleted_at, raw in self.fetched(statement, (after,)):
            deleted = deleted_at is not None
            yield Change(dataset.name, tuple(key), revision, deleted, None if deleted else raw.encode())

    def fetched(self, statement: str, parameters: Sequence[Stored] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement, fetched in portions."""
        for rows in self._chunks(statement, parameters):
            yield from rows

    def _chunks(
        self, statement: str, parameters: Sequence[Stored] = ()
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        with self.failing():
            found = self.select(statement, parameters)
            while rows := found.fetchmany(_CHUNK):
                yield rows


def no_mirror(name: str, hint: str = "") -> InvalidInput:
    """The error for reading a mirror that doesn't exist.

    Args:
        name: where it should be.
        hint: says where there is one; empty to say how to make one.
    """
    hint = hint or "; `toggl-async export` and Mirror.refresh make one"
    return InvalidInput(f"there is no mirror at {name}{hint}")


def _revision(row: Change) -> int:
    return row.revision
