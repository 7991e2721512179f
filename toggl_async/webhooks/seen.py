"""Remembers which events were handled, so that an event that is delivered twice is handled once."""

from collections.abc import Awaitable
from typing import Final, Protocol

import anyio

from toggl_async.errors import InvalidInput, shown

__all__ = ["SeenEvents", "SeenInMemory"]

_WEEK: Final = 7 * 24 * 3600.0


class SeenEvents(Protocol):
    """Remembers events by a key, for at least a week, because Toggl may deliver one again for that long.

    To share one between several processes, keep it in a database. If it raises, the event is delivered again.
    """

    def has(self, key: str) -> Awaitable[bool]:
        """Say whether an event was handled."""
        ...

    def add(self, key: str) -> Awaitable[object]:
        """Remember that an event was handled."""
        ...


class SeenInMemory:
    """Remembers events for as long as its process runs, by the clock of the event loop.

    Args:
        seconds: how long.
        limit: how many at most; beyond that, the oldest are forgotten.

    Raises:
        InvalidInput: one of them isn't positive.
    """

    def __init__(self, *, seconds: float = _WEEK, limit: int = 100_000) -> None:
        if not (seconds > 0 and limit > 0):
            raise InvalidInput(f"seconds and limit must be over 0, not {shown(seconds)} and {shown(limit)}")
        self._seconds = seconds
        self._limit = limit
        self._until: dict[str, float] = {}  # in the order in which they are to be forgotten

    async def has(self, key: str) -> bool:
        """Say whether an event was handled."""
        self._forget()
        return key in self._until

    async def add(self, key: str) -> None:
        """Remember that an event was handled."""
        self._until.pop(key, None)
        self._until[key] = anyio.current_time() + self._seconds
        self._forget()

    def _forget(self) -> None:
        now = anyio.current_time()
        while self._until:
            oldest = next(iter(self._until))
            if len(self._until) <= self._limit and self._until[oldest] > now:
                return
            del self._until[oldest]
