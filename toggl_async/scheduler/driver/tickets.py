"""What the driver keeps for a call, and what continues without its caller."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import msgspec

from toggl_async.errors import ClientClosed, TogglError
from toggl_async.scheduler.core.queue import Call

__all__ = ["Background", "Ticket", "closed", "deliver", "ticket_of"]

T = TypeVar("T")


class Ticket(msgspec.Struct, kw_only=True, eq=False):
    """What the driver keeps with a call."""

    method: str
    """The HTTP method, for errors."""
    path: Callable[[], str]
    """Returns the path as errors may show it."""
    owner: object
    """Whose call it is, for `Driver.close`."""
    refusal: Callable[[], TogglError | None]
    """Returns the error of a refusal that is remembered by now."""
    future: asyncio.Future[None] | None = None
    timer: asyncio.TimerHandle | None = None
    queued_at: int = 0
    news: int = 0
    """What the driver had learned when the turn was given."""


class Background(Generic[T]):
    """Something that continues in a task of its own, even if its caller gives up."""

    __slots__ = ("_task",)

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    async def wait(self) -> T:
        """Wait for its result, and leave it alone if cancelled."""
        if not self._task.done():
            await asyncio.wait([self._task])
        return self._task.result()

    def stop(self, ended: Callable[[], None]) -> None:
        """Cancel it; `ended` is called when it is over, even if the caller is gone."""

        def over(task: "asyncio.Task[T]") -> None:
            if not task.cancelled():
                task.exception()  # asyncio logs what nobody retrieves
            ended()

        self._task.cancel()
        self._task.add_done_callback(over)


def closed() -> ClientClosed:
    """Return the error of calls that wait when their client is closed."""
    return ClientClosed("the client was closed before the call could be sent")


def deliver(ticket: Ticket) -> None:
    """Give a turn to the call that waits for it, at the time of its slot."""
    future = ticket.future
    if future is not None and not future.done():  # else its caller has just given up, and gives the turn back
        future.set_result(None)


def ticket_of(call: Call) -> Ticket:
    """Return what the driver keeps with a call."""
    ticket = call.load
    assert isinstance(ticket, Ticket)  # noqa: S101 - `Driver.call` put it there
    return ticket
