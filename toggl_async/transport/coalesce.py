"""Identical GETs under way share one answer.

Thirty requests an hour do not allow two widgets to fetch the same thing. The first of them starts
the work in a task of its own, and everybody, the first included, waits for that task. So nobody is
hurt by a neighbour who gives up: the task is cancelled only when the last of them has.

A write breaks the sharing, when it is made and again when it has ended: whoever asks after a write
must see it, so he joins no GET that may have been answered before.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, TypeVar

__all__ = ["Coalescer"]

T = TypeVar("T")


class _Work(Generic[T]):
    __slots__ = ("sharers", "task")

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.sharers = 0


class Coalescer(Generic[T]):
    """Work under way, by what was asked for."""

    __slots__ = ("_under_way",)

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Work[T]] = {}

    def joins(self, key: Hashable) -> bool:
        """Say whether somebody is at work on `key` whose answer can be shared."""
        return key in self._under_way

    async def share(self, key: Hashable, start: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return the result of the work on `key`, starting it unless it is under way.

        Args:
            key: what is asked for.
            start: makes the coroutine that does the work.
        """
        work = self._under_way.get(key)
        if work is None:
            work = _Work(asyncio.get_running_loop().create_task(start()))
            self._under_way[key] = work
            work.task.add_done_callback(functools.partial(self._ended, key, work))
        work.sharers += 1
        try:
            return await asyncio.shield(work.task)
        except asyncio.CancelledError:
            if work.sharers == 1 and not work.task.done():
                self._leave(key, work)
                await _cancelled(work.task)
            raise
        finally:
            work.sharers -= 1

    def break_up(self) -> None:
        """Let nobody join the work under way any more; it goes on for those who wait for it."""
        self._under_way.clear()

    def _ended(self, key: Hashable, work: _Work[T], task: "asyncio.Task[T]") -> None:
        self._leave(key, work)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain when nobody waits any more

    def _leave(self, key: Hashable, work: _Work[T]) -> None:
        if self._under_way.get(key) is work:
            del self._under_way[key]


async def _cancelled(task: "asyncio.Task[T]") -> None:
    """Cancel a task and wait until it has cleaned up after itself."""
    task.cancel()
    await asyncio.wait([task])
