"""An event loop on which time runs faster: minutes of waiting pass in milliseconds of real time.

A client and a sandbox that share such a loop live in the same fast time: pace, cool-downs, quota
windows and timeouts keep their proportions, and nothing in either of them knows. The real work
(sockets, decoding, writing files) takes as long as ever, so in the loop's seconds it looks slow:
at a speed of 600 a tenth of a second of work is a minute, and timeouts want to be that long.

The module imports nothing of the package.
"""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["FastLoop", "run"]

ResultT = TypeVar("ResultT")


class _FastSelector(selectors.SelectSelector):
    """Waits only for a `speed`-th of the time.

    select(2) keeps microseconds where epoll rounds up to whole milliseconds, which at a speed of
    600 would be more than half a second of the loop's time. Its price: file numbers under 1024.
    """

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the timeout, in the loop's seconds, or until a socket is ready."""
        return super().select(None if timeout is None else timeout / self._speed)


class FastLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock, `time()`, runs `speed` times as fast as the real one.

    Args:
        speed: seconds of this loop per real second; over 0.

    Raises:
        ValueError: the speed isn't a finite number over 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        super().__init__(_FastSelector(speed))
        if not (0 < speed < math.inf):
            self.close()
            raise ValueError(f"speed must be a finite number over 0, not {speed!r}")
        self._speed = speed
        self._origin = super().time()
        # Debug mode reports callbacks that took long; it measures them with time().
        self.slow_callback_duration: float = self.slow_callback_duration * speed

    @property
    def speed(self) -> float:
        """Seconds of this loop per real second."""
        return self._speed

    def time(self) -> float:
        """Return the loop's time in seconds, which runs `speed` times as fast as real time."""
        return self._origin + (super().time() - self._origin) * self._speed


def run(main: Coroutine[Any, Any, ResultT], *, speed: float = 1.0) -> ResultT:
    """Run a coroutine on a `FastLoop` of its own and return its result, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        return runner.run(main)
