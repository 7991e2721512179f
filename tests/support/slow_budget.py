"""A budget that has to be waited for, as a store has: the one in memory, milliseconds away."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from toggl_async.scheduler import MemoryBudget
from toggl_async.scheduler.budgets import Holder
from toggl_async.scheduler.core.memory import Lesson, Memories


@attrs.define
class SlowBudget:
    """Opens holders whose transactions take `seconds`; the next ones fail with `faults`, in turn."""

    seconds: float = 0.002
    faults: list[Exception] = attrs.Factory(list)
    transactions: int = 0
    memory: MemoryBudget = attrs.Factory(MemoryBudget)

    def open(
        self, on_wake: Callable[[str], None], *, on_trouble: Callable[[str | None], None] | None = None
    ) -> Holder:
        return SlowHolder(self, self.memory.open(on_wake))


@attrs.define
class SlowHolder:
    budget: SlowBudget
    inner: Any
    away: bool = False

    @property
    def name(self) -> str:
        return self.inner.name  # type: ignore[no-any-return]

    @property
    def read_at(self) -> int:
        return self.inner.read_at  # type: ignore[no-any-return]

    async def transact(self, account: str, step: Any, lessons: Sequence[Lesson] = ()) -> Any:
        await asyncio.sleep(self.budget.seconds / 2)
        self.budget.transactions += 1
        if self.budget.faults:
            raise self.budget.faults.pop(0)
        result = self.inner.transact(account, step, lessons)
        await asyncio.sleep(self.budget.seconds / 2)
        return result

    async def recall(self, account: str) -> Memories:
        await asyncio.sleep(self.budget.seconds)
        found: Memories = self.inner.recall(account)
        return found

    def alive(self, name: str) -> bool:
        return self.inner.alive(name)  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        await self.inner.aclose()
