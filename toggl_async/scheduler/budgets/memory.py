"""The budget of one process: the limits are plain values, and nothing has to be awaited.

Its clock is that of the running event loop. Accounts that have been idle for an hour are forgotten, because
their windows are full again by then. At most two of them are checked for each new account, so ten thousand
idle accounts cost nothing.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from toggl_async.errors import WrongEventLoop
from toggl_async.scheduler.budgets import OnTrouble, Step
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.memory import Lesson, Memories
from toggl_async.scheduler.core.waiters import Wake
from toggl_async.scheduler.core.windows import HOUR

__all__ = ["MemoryBudget", "MemoryHolder"]

T = TypeVar("T")

_LOOKED_AT = 2
"""How many accounts to check for each new one."""


class MemoryBudget:
    """Keeps the limits of accounts for the schedulers of one event loop."""

    __slots__ = ("_holders", "_limits", "_loop", "_memories", "_names", "_process")

    def __init__(self) -> None:
        self._limits: dict[str, Limits] = {}
        self._memories: dict[str, Memories] = {}
        self._holders: dict[str, MemoryHolder] = {}
        self._names = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()

    def open(
        self,
        on_wake: Callable[[str], None],
        *,
        on_trouble: OnTrouble | None = None,  # noqa: ARG002 - there is no trouble with memory
    ) -> "MemoryHolder":
        """Join the budget from the running event loop.

        Raises:
            WrongEventLoop: it is in use by another one.
        """
        loop = asyncio.get_running_loop()
        is_fork = self._process != os.getpid()
        if self._loop is not loop or is_fork:
            if self._loop is not None and self._holders and not (self._loop.is_closed() or is_fork):
                raise WrongEventLoop(
                    "this MemoryBudget is in use by another event loop; give each loop one of its own"
                )
            # The times in it are those of a loop that is over.
            self._loop, self._process = loop, os.getpid()
            self._limits.clear()
            self._memories.clear()
            self._holders.clear()
        holder = MemoryHolder(str(next(self._names)), self, loop, on_wake)
        self._holders[holder.name] = holder
        return holder

    def limits_of(self, account: str, now: int) -> Limits:
        """Return the limits of an account, or new ones if nothing is known about it."""
        limits = self._limits.get(account)
        if limits is None:
            self._forget_idle(now)
            limits = self._limits[account] = Limits.new(now)
        return limits

    def memories_of(self, account: str) -> Memories:
        """Return what was learned about an account."""
        return self._memories.get(account) or Memories()

    def take(self, account: str, lesson: Lesson, now: int) -> None:
        """Keep what was learned about an account."""
        self._memories.setdefault(account, Memories()).take(lesson, now)

    def holder(self, name: str) -> "MemoryHolder | None":
        """Return the holder with this name, if it has not been closed."""
        return self._holders.get(name)

    def let_go(self, name: str) -> None:
        """Forget a holder, and what it was waiting for."""
        self._holders.pop(name, None)
        for limits in self._limits.values():
            limits.waiters.pop(name, None)

    def _forget_idle(self, now: int) -> None:
        for account in list(itertools.islice(self._limits, _LOOKED_AT)):
            limits = self._limits.pop(account)
            memories = self._memories.get(account)
            if memories is not None:
                memories.sweep(now)
            is_idle = now - limits.at >= HOUR and not limits.waiters and limits.gate.until <= now
            if is_idle and (memories is None or not (memories.refusals or memories.login)):
                self._memories.pop(account, None)
            else:
                self._limits[account] = limits  # behind the others


class MemoryHolder:
    """A scheduler's hold on a `MemoryBudget`."""

    __slots__ = ("_budget", "_loop", "_on_wake", "name")

    away = False
    """Memory is never away."""

    def __init__(
        self,
        name: str,
        budget: MemoryBudget,
        loop: asyncio.AbstractEventLoop,
        on_wake: Callable[[str], None],
    ) -> None:
        self.name: str = name
        self._budget = budget
        self._loop = loop
        self._on_wake = on_wake

    @property
    def read_at(self) -> int:
        """The time at which a step is given the clock: now."""
        return round(self._loop.time() * SECOND)

    @property
    def is_alone(self) -> bool:
        """Whether nobody else holds the budget."""
        return len(self._budget._holders) == 1  # noqa: SLF001 - one of us; asked with every answer

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson] = ()) -> T:
        """Apply a step to the limits of an account, and keep what was learned."""
        now = self.read_at
        # A step changes the limits in place.
        _, result, wakes = step(self._budget.limits_of(account, now), now)
        for lesson in lessons:
            self._budget.take(account, lesson, now)
        if wakes:
            self._pass_on(account, wakes)
        return result

    def recall(self, account: str) -> Memories:
        """Return what was learned about an account."""
        return self._budget.memories_of(account)

    def alive(self, name: str) -> bool:
        """Say whether another holder has not been closed."""
        return self._budget.holder(name) is not None

    async def aclose(self) -> None:
        """Let go of the budget."""
        self._budget.let_go(self.name)

    def _pass_on(self, account: str, wakes: Sequence[Wake]) -> None:
        for wake in wakes:
            holder = self._budget.holder(wake.name)
            if holder is not None:
                self._loop.call_soon(holder._on_wake, account)  # noqa: SLF001 - one of us
