"""A loop whose clock jumps to the next timer as soon as nothing is ready: hours pass in milliseconds.

Only for tests without sockets; while a thread works for the loop, its time stands still. A deadlock raises
instead of hanging.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

NANOSECOND = 1e-9

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpSelector:
    """A selector that moves its loop's clock on instead of waiting."""

    def __init__(self, inner: selectors.BaseSelector, loop: "JumpLoop") -> None:
        self._inner = inner
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(None if self._loop.working and timeout != 0 else 0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is ready and no timer runs: deadlock")
        # Work takes time, here as elsewhere: on a clock that stood still while callbacks follow each
        # other, a limiter that waits for the last 1e-16 of its bucket would never see it leak.
        self._loop.now += timeout if timeout and not ready else NANOSECOND
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class JumpLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the attribute `now`, in seconds."""

    now = 1000.0
    working = 0
    """Calls that threads are busy with."""
    _selector: Any
    _clock_resolution: float

    def __init__(self) -> None:
        super().__init__()
        self._selector = _JumpSelector(self._selector, self)

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        self.working += 1
        working = super().run_in_executor(executor, func, *args)
        working.add_done_callback(self._worked)
        return working

    def _worked(self, _: object) -> None:
        self.working -= 1


JUMP: tuple[str, dict[str, Callable[[], asyncio.AbstractEventLoop]]] = ("asyncio", {"loop_factory": JumpLoop})
"""What the `anyio_backend` fixture returns for tests marked `jump`."""
