"""A snapshot that a mirror reads in its thread, until it is closed or no longer needed."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from toggl_async.errors import ClientClosed
from toggl_async.export.mirror.storage import CLOSED
from toggl_async.export.mirror.store import RowStore, Snapshot
from toggl_async.export.mirror.worker import Worker, interrupted

__all__ = ["OpenSnapshot"]

T = TypeVar("T")


class OpenSnapshot:
    """One snapshot, which is open for as long as it is read.

    Args:
        store: the store.
        worker: the thread that reads it.
    """

    def __init__(self, store: RowStore, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._stack = ExitStack()
        self._snapshot: Snapshot | None = None
        self._is_busy = False
        self._is_closed = False

    async def run(self, work: Callable[[Snapshot], T]) -> T:
        """Read in the thread; a caller that is cancelled continues as soon as the database has stopped.

        Raises:
            ClientClosed: it is closed, or was closed meanwhile.
            InvalidInput: the database refuses the statement.
            OSError: the database can't be read.
        """
        self._check()
        self._is_busy = True
        try:
            snapshot = self._snapshot
            if snapshot is None:
                entering = self._store.snapshot()
                self._snapshot = snapshot = await self._worker.run(self._stack.enter_context, entering)
                self._check()
            return await self._worker.read(lambda: work(snapshot), self._interrupt)
        except Exception:
            self._check()  # an interrupted statement fails with an error of the database
            raise
        finally:
            self._is_busy = False

    async def close(self) -> None:
        """Release the snapshot, and interrupt what still reads it; closing twice does no harm."""
        if self._is_closed:
            return
        self._is_closed = True
        closing = asyncio.ensure_future(self._worker.run(self._stack.close))
        if self._is_busy:
            await interrupted(closing, self._interrupt)
        await closing

    def _check(self) -> None:
        if self._is_closed:
            raise ClientClosed(CLOSED) from None

    def _interrupt(self) -> None:
        if self._snapshot is not None:
            self._snapshot.interrupt()
