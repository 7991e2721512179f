"""Steps as the driver makes them, for tests that drive a budget by hand."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from toggl_async.options import ClientOptions, Pace
from toggl_async.scheduler.budgets import Holder, Step
from toggl_async.scheduler.core.ask import Grant, View, ask, view
from toggl_async.scheduler.core.limits import Limits
from toggl_async.scheduler.core.notes import Note
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.waiters import Wake, Want

T = TypeVar("T")


async def result_of(given: T | Awaitable[T]) -> T:
    """Await what has to be awaited."""
    return cast("T", await given) if inspect.isawaitable(given) else given


def process_of(holder: Holder, interval: float = 1.0, margin: float = 0.0) -> Process:
    """Return who asks."""
    me = Process.of(holder.name, ClientOptions(pace=Pace(interval=interval, margin=margin)))
    me.alive = holder.alive
    return me


def asking(me: Process, wants: Sequence[Want], *notes: Note) -> Step[Grant]:
    """Return a step that asks."""

    def step(limits: Limits, now: int) -> tuple[Limits, Grant, Sequence[Wake]]:
        answer, wakes = ask(limits, now, me, wants, notes)
        return limits, answer, wakes

    return step


async def asked(
    holder: Holder, me: Process, *wants: Want, notes: Sequence[Note] = (), account: str = "account"
) -> Grant:
    """Ask."""
    return await result_of(holder.transact(account, asking(me, wants, *notes)))


async def seen(holder: Holder, me: Process, account: str = "account") -> View:
    """Look, and change nothing."""
    return await looked(holder, lambda limits, now: view(limits, limits.advance(now), me), account)


async def looked(holder: Holder, look: Callable[[Limits, int], T], account: str = "account") -> T:
    """Return what a function finds in the stored limits."""

    def step(limits: Limits, now: int) -> tuple[Limits, T, Sequence[Wake]]:
        return limits, look(limits, now), ()

    return await result_of(holder.transact(account, step))
