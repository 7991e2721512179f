"""One thread for blocking calls: a store's calls run one after the other, and the event loop stays free."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

import anyio

from toggl_async.errors import ClientClosed
from toggl_async.export.mirror.storage import CLOSED

__all__ = ["Worker", "interrupted"]

P = ParamSpec("P")
T = TypeVar("T")

_AGAIN = 0.1
"""Seconds after which work that goes on is interrupted again: it may not have begun to wait before."""


class Worker:
    """A thread of its own, for an ``async with``.

    It is asyncio's and not anyio's: that has many threads, of which any may take the next call, and
    databases mind which one it is.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="toggl_async-mirror")
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take no more work; what was taken is finished."""
        self._is_closed = True
        self._thread.shutdown(wait=False)

    async def run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do work in the thread; a caller that is cancelled meanwhile goes on when it is done.

        Raises:
            ClientClosed: it is closed.
        """
        working = self._begin(lambda: work(*args, **options))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([working])  # what is begun is finished, never torn
            working.exception()  # who was cancelled doesn't hear of it
            raise

    async def read(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Do work in the thread that need not be finished; a caller that is cancelled interrupts it.

        Args:
            work: what is done.
            interrupt: ends it early; it is called in another thread, and does no harm before and after.

        Raises:
            ClientClosed: it is closed.
        """
        begun = unwanted = False

        def wanted() -> T | None:
            nonlocal begun
            begun = True  # before it is looked whether somebody waits, or neither would see the other
            return None if unwanted else work()

        working = self._begin(wanted)
        try:
            return cast(T, await asyncio.shield(working))
        except asyncio.CancelledError:
            unwanted = True
            if begun:
                await interrupted(working, interrupt)
            raise

    def _begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        if self._is_closed:
            raise ClientClosed(CLOSED)
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


async def interrupted(working: "asyncio.Future[Any]", interrupt: Callable[[], None]) -> None:
    """Interrupt work until it has ended; what it ends with is nobody's."""
    with anyio.CancelScope(shield=True):
        while not working.done():
            await asyncio.to_thread(interrupt)
            await asyncio.wait([working], timeout=_AGAIN)
    working.exception()
