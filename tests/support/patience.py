"""A loop whose clock moves only when a timer was waited for, so that no stall of the machine reaches one.

The clock of an ordinary loop goes on while the machine is busy elsewhere: an answer that is there is
then late, a bucket has leaked, a quota window is over, another attempt has begun. Here work takes none
of the loop's time. Right wherever both ends of a connection are on this loop; a server in another thread
or process can still be late.
"""

import selectors
from collections.abc import Callable
from typing import Any

from toggl_async.sandbox import FastLoop

NANOSECOND = 1e-9


class _PatientSelector:
    """A selector that moves its loop's clock on by the waits in which nothing happened."""

    def __init__(self, inner: selectors.BaseSelector, loop: "PatientLoop") -> None:
        self._inner = inner
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(timeout)
        # A limiter that waits for the last 1e-16 of its bucket needs a clock that never quite stands still.
        self._loop.now += timeout if timeout and not ready else NANOSECOND
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class PatientLoop(FastLoop):
    """An event loop whose waits are `speed` times shorter; its time is the attribute `now`, in seconds."""

    now = 1000.0
    _selector: Any

    def __init__(self, speed: float = 1.0) -> None:
        super().__init__(speed)
        self._selector = _PatientSelector(self._selector, self)

    def time(self) -> float:
        return self.now


def patient(speed: float) -> tuple[str, dict[str, Callable[[], PatientLoop]]]:
    """What an `anyio_backend` fixture returns for tests whose waits are to be so many times shorter."""
    return "asyncio", {"loop_factory": lambda: PatientLoop(speed)}
