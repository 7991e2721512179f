"""Where the shared part of the core's state is kept.

A budget stores the `Limits` of accounts, and what was learned about each (`Memories`). It contains no rules:
it runs the core's own step functions on the value that it stores, by its own clock, and passes on wakes. So
the arithmetic is the same, whatever the store::

    driver ──step──▶ holder ──▶ store: value, clock
           ◀─result──        ──wakes──▶ other holders
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.memory import Lesson, Memories
from toggl_async.scheduler.core.waiters import Wake

__all__ = ["Budget", "Holder", "OnTrouble", "Step"]

T = TypeVar("T")

Step: TypeAlias = Callable[[Limits, int], tuple[Limits, T, Sequence[Wake]]]
"""What is done to an account's limits in one transaction, given the store's clock in microseconds: it
returns the limits, a result, and whom to wake. It may run twice, so it changes nothing else."""

OnTrouble: TypeAlias = Callable[[str | None], None]
"""Called with the reason if a store was lost, and with None when it is back."""


class Holder(Protocol):
    """One process's, and one event loop's, hold on a budget."""

    @property
    def name(self) -> str:
        """What it is called among the waiters: unlike any other holder's."""
        ...

    @property
    def away(self) -> bool:
        """Whether its store cannot be used now, and the process goes on alone."""
        ...

    @property
    def read_at(self) -> int:
        """When the clock was read that the latest step was given, in microseconds of the running loop's.

        The durations of its result count from then. It is looked at within the step.
        """
        ...

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson] = ()) -> T | Awaitable[T]:
        """Apply a step to the limits of an account, and keep what was learned, all or nothing.

        Args:
            account: the account's key.
            step: applied to the stored value, or to `Limits.new` where there is none.
            lessons: what the account's memories take in (`Memories.take`), in the same transaction.

        Returns:
            The step's result; a store that has to wait for it returns an awaitable.
        """
        ...

    def recall(self, account: str) -> Memories | Awaitable[Memories]:
        """Return what was learned of an account, asked when `Limits.cold` has grown.

        Its instants are those of the running loop's clock.
        """
        ...

    def alive(self, name: str) -> bool:
        """Say whether another holder still lives, as far as is known; asked within a step."""
        ...

    async def aclose(self) -> None:
        """Let go of the store. What the holder promised to come for is free."""
        ...


class Budget(Protocol):
    """Keeps the limits of accounts for all who use them."""

    def open(self, on_wake: Callable[[str], None], *, on_trouble: OnTrouble | None = None) -> Holder:
        """Join the budget from the running event loop.

        Args:
            on_wake: called in that loop with the key of an account about which this holder should ask again.
            on_trouble: called in that loop with the reason when the store can no longer be used, and with
                None when it can be used again.

        Raises:
            BudgetError: it cannot be used as it is configured.
            WrongEventLoop: it belongs to another event loop.
        """
        ...
