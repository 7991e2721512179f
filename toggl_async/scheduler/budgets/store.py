"""What a store has to do so that processes can share it; `shared` has what all stores have in common."""

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from toggl_async.scheduler.budgets import Step
from toggl_async.scheduler.core.alone import CLOSED
from toggl_async.scheduler.core.memory import Lesson, Memories

__all__ = ["Store", "StoreAway", "opened"]

T = TypeVar("T")


class StoreAway(Exception):
    """A store cannot be used now: it is unreachable, read-only, full, or of a newer version."""


class Store(Protocol):
    """One holder's connection to a store."""

    @property
    def name(self) -> str:
        """The holder's name among the waiters."""
        ...

    @property
    def place(self) -> str:
        """Where the store is, for messages, without a secret."""
        ...

    @property
    def read_at(self) -> int:
        """When the clock was read that the latest step was given, in microseconds of the loop's."""
        ...

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson]) -> T | Awaitable[T]:
        """Apply a step, and keep what was learned.

        Raises:
            StoreAway: it cannot now.
            BudgetError: it never could, and never will as it is configured.
            NewerFormat: a newer version wrote these limits.
        """
        ...

    def recall(self, account: str) -> tuple[Memories, int] | Awaitable[tuple[Memories, int]]:
        """Return what was learned about an account, and the store's time; raises as `transact` does."""
        ...

    def alive(self, name: str) -> bool:
        """Say whether another holder still lives, as far as is known; asked within a step."""
        ...

    async def ping(self) -> None:
        """Try whether the store can be used again; raises StoreAway if it can't."""
        ...

    async def aclose(self) -> None:
        """Let go of it."""
        ...


def opened(now: int, began: int) -> int:
    """Return until when a value that a store doesn't have is closed; 0 if it is open.

    Args:
        now: the store's time.
        began: when its memory began, by the same clock. Processes that used an older
            one may still be alone.
    """
    return began + CLOSED if now < began + CLOSED else 0
