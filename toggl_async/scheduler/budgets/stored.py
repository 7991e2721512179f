"""The content of a store: limits and memories as bytes, and what happens to damaged ones."""

import logging
from collections.abc import Sequence

import msgspec

from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.memory import Lesson, Memories

__all__ = ["decoded", "learned", "recalled"]

_memories = msgspec.msgpack.Decoder(Memories)
_encode = msgspec.msgpack.Encoder().encode

_logger = logging.getLogger("toggl_async.budget")


def decoded(stored: bytes) -> Limits | None:
    """Return stored limits; None if they are damaged, which is said.

    Raises:
        NewerFormat: a newer version wrote them.
    """
    try:
        return Limits.from_bytes(stored)
    except (msgspec.MsgspecError, TypeError):  # SQLite may give a text, or a number
        _logger.warning("the stored limits of an account are damaged; starting afresh")
        return None


def recalled(stored: bytes | None) -> Memories:
    """Return stored memories; none if they are damaged, since asking once more does no harm."""
    if stored is None:
        return Memories()
    try:
        return _memories.decode(stored)
    except (msgspec.MsgspecError, TypeError):
        return Memories()


def learned(stored: bytes | None, lessons: Sequence[Lesson], now: int) -> bytes:
    """Return stored memories that have taken in what was learned; `now` is the store's time."""
    memories = recalled(stored)
    for lesson in lessons:
        memories.take(lesson, now, shared=True)
    memories.sweep(now)
    return _encode(memories)
