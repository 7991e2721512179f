"""What time it is in the sandbox: the running loop's time, sped up, from a given moment on."""

import asyncio
from collections.abc import Callable

__all__ = ["Clock"]

_DAY = 86_400.0


class Clock:
    """Tells Toggl's time in seconds since the Unix epoch; belongs to the running event loop.

    Args:
        start: the time at which the sandbox begins.
        speed: Toggl seconds per second of the loop.
        on_move: called when the clock was set forward.
    """

    def __init__(self, start: float, speed: float = 1.0, *, on_move: Callable[[], object] = bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._start = start
        self._began = start
        self._speed = speed
        self._on_move = on_move

    def now(self) -> float:
        """Return the time, in seconds since 1970-01-01 UTC."""
        return self._start + (self._loop.time() - self._origin) * self._speed

    def days_after_the_beginning(self) -> float:
        """Return the beginning plus the whole days that have passed since, which is never after now."""
        return self._began + (self.now() - self._began) // _DAY * _DAY

    def advance(self, seconds: float) -> None:
        """Set the clock forward, so that a test need not wait for a quota window to end.

        Raises:
            ValueError: the seconds are negative.
        """
        if seconds < 0:
            raise ValueError(f"time cannot run backwards: {seconds!r}")
        self._start += seconds
        self._on_move()

    async def wait(self, seconds: float, interrupt: asyncio.Event) -> bool:
        """Wait for some Toggl seconds; return whether they passed without the interruption."""
        if seconds <= 0:
            return True
        try:
            await asyncio.wait_for(interrupt.wait(), seconds / self._speed)
        except TimeoutError:
            return True
        return False
