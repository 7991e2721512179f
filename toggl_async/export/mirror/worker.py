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
"""Seconds after which work is interrupted again, because it may not have reached the database before."""


class Worker:
    """A thread of its own, for an ``async with``.

    It uses asyncio, not anyio, whose worker threads are many: any of them may take the next call, and some
    databases require the same thread.
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
        """Accept no more work; finish what was accepted."""
        self._is_closed = True
        self._thread.shutdown(wait=False)

    async def run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do work in the thread; a caller that is cancelled continues once the work is done.

        Raises:
            ClientClosed: it is closed.
        """
        working = self._begin(lambda: work(*args, **options))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([working])  # work that has begun is finished
            working.exception()  # a cancelled caller doesn't get its error
            raise

    async def read(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Do work that need not be finished in the thread; a caller that is cancelled interrupts it.

        Args:
            work: what is done.
            interrupt: ends it early. It is called in another thread, and must be harmless before and after
                the work.

        Raises:
            ClientClosed: it is closed.
        """
        begun = unwanted = False

        def wanted() -> T | None:
            nonlocal begun
            begun = True  # before checking for a waiter, or neither side would see the other
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
    """Interrupt work until it has ended; ignore how it ends."""
    with anyio.CancelScope(shield=True):
        while not working.done():
            await asyncio.to_thread(interrupt)
            await asyncio.wait([working], timeout=_AGAIN)
    working.exception()
