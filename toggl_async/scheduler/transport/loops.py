"""The end of an event loop: what belongs to one is let go while the loop can still do it.

A program may end its loop without having closed its clients, as one does that calls `asyncio.run` for each of
its calls. In the next loop nothing can be done any more for the connections of the first: to close them takes
the loop that they were made in. asyncio announces the end of a loop to nobody but asynchronous generators:
`asyncio.run`, and whatever else ends a loop properly, calls ``loop.shutdown_asyncgens()``, which closes each
one that was begun in the loop and has not finished. So a generator waits for that, and does nothing else.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import anyio

from toggl_async.errors import WrongEventLoop

__all__ = ["EndOfLoop", "refuse_to_close_elsewhere"]

_BOUND: Final = 5.0
"""Seconds that a loop is held up at most."""


class EndOfLoop:
    """Calls a function when the running event loop is about to end.

    Args:
        let_go: what is called, once; what it raises is dropped.
    """

    __slots__ = ("_generator", "_let_go")

    def __init__(self, let_go: Callable[[], Awaitable[None]]) -> None:
        self._let_go: Callable[[], Awaitable[None]] | None = let_go
        self._generator = self._wait()
        # Its first step awaits nothing, so that it can be taken here; with it the loop gets to know the
        # generator. One that has told its generators already would warn that it won't tell this one.
        with contextlib.suppress(StopIteration, ResourceWarning):
            self._generator.__anext__().send(None)

    def forget(self) -> None:
        """Call the function no more."""
        self._let_go = None
        # With nothing to call, its last step awaits nothing either. The loop may be taking it at this moment.
        with contextlib.suppress(StopIteration, RuntimeError):
            self._generator.aclose().send(None)

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            let_go, self._let_go = self._let_go, None
            if let_go is not None:
                with anyio.move_on_after(_BOUND, shield=True), contextlib.suppress(Exception):
                    await let_go()


def refuse_to_close_elsewhere(what: str, loop: asyncio.AbstractEventLoop | None, process: int) -> None:
    """Refuse to close what another event loop may still be using.

    Args:
        what: what is to be closed, as an error names it.
        loop: the loop that it belongs to, if any.
        process: the process that it belongs to; another one has nothing to do with the loop.

    Raises:
        WrongEventLoop: that loop is neither the running one nor closed.
    """
    if loop is None or loop.is_closed() or process != os.getpid() or loop is asyncio.get_running_loop():
        return
    how = (
        "asyncio.run_coroutine_threadsafe(….aclose(), loop)"
        if loop.is_running()
        else "loop.run_until_complete(….aclose())"
    )
    raise WrongEventLoop(
        f"{what} is in use by another event loop, which is still open: close it there, with {how}"
    )
