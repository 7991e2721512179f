"""One thread for what blocks: a store's calls come one after the other, and the event loop goes on."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

__all__ = ["Worker"]

P = ParamSpec("P")
T = TypeVar("T")

_CHUNK = 1000


class Worker:
    """A thread of its own, for an ``async with``.

    It is asyncio's and not anyio's: that has many threads, of which any may take the next call, and
    databases mind which one it is.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="toggl_async-mirror")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False)

    async def run(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do work in the thread; a caller that is cancelled meanwhile goes on when it is done."""
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(self._thread, lambda: work(*args, **options))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])  # what is begun is finished, never torn
            working.exception()  # who was cancelled doesn't hear of it
            raise

    async def next_of(self, items: Iterator[T]) -> list[T]:
        """The next items of an iterator that blocks; none at its end."""
        return await self.run(lambda: list(islice(items, _CHUNK)))
