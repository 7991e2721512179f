"""The time that middleware may take for itself, around an attempt."""

import math
from collections.abc import AsyncIterator

import anyio

from toggl_async.scheduler.transport import httpx

__all__ = ["Allowance", "Unhurried"]


class Allowance:
    """What middleware may take of time for itself: sending and reading have limits of their own.

    Args:
        seconds: how much; None for any.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._ended = False
        self._paused = False
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self.begin()

    @property
    def error(self) -> OSError:
        """Why it was cut short."""
        if self._ended:
            return ConnectionAbortedError("the client was closed while middleware was busy with an attempt")
        return TimeoutError(f"middleware took longer than {self._seconds:g} s")

    def begin(self) -> None:
        """Count from here."""
        self._paused = False
        self.scope.deadline = anyio.current_time() + self._seconds
        if self._ended:
            self.scope.cancel()

    def pause(self) -> None:
        """Don't count until it begins anew."""
        self._paused = True
        self.scope.deadline = math.inf

    def end(self) -> None:
        """Use it up."""
        self._ended = True
        if not self._paused:
            self.scope.cancel()


class Unhurried(httpx.AsyncByteStream):
    """A body whose chunks middleware waits for without losing time of its own."""

    def __init__(self, stream: httpx.AsyncByteStream, allowance: Allowance) -> None:
        self.stream = stream
        self._allowance = allowance

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._allowance.pause()
        try:
            async for chunk in self.stream:
                self._allowance.begin()
                yield chunk
                self._allowance.pause()
        finally:
            self._allowance.begin()

    async def aclose(self) -> None:
        """Close the body."""
        await self.stream.aclose()
