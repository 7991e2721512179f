"""The one task of an account that gives turns; it exists only while calls wait.

It asks for a barrier, then for a call whose window is open, then takes a turn from the pace, and
then asks again, because the world may have changed while it waited: the turn is kept, the choice is
not. Between the last question and the grant nothing is awaited, so nobody can have left meanwhile.
It sleeps on a timer or until `wake`, and never polls.

A turn that is due waits up to one interval more for the request before it to leave (a new connection
may take that long), because what has its turn can no longer be overtaken: whoever is urgent finds one
request before him, not two. More time nobody gets: one connection that hangs must not stop the others.

It must not die while somebody waits. If it is cancelled by a stranger, the next one takes over at
once; if it fails (which would be a fault of ours), those who wait are told instead of hanging, and
the next call starts anew.
"""

import asyncio
import contextvars
import logging
import math
from typing import Protocol

from toggl_async.scheduler.events import Reason
from toggl_async.scheduler.gates import Gates
from toggl_async.scheduler.queue import Call

__all__ = ["Dispatcher"]

_logger = logging.getLogger("toggl_async.scheduler")


class Host(Protocol):
    """Whose turns a dispatcher gives."""

    def grant(self, call: Call, now: float) -> None:
        """Give a turn to a call that waits."""

    def paused(self, reason: Reason, until: float) -> None:
        """Hear what everybody waits for, and until when, each time that it changes."""

    def fail_all(self, error: BaseException) -> None:
        """End all waiting calls with an error."""


class Dispatcher:
    """Gives the turns of one account."""

    __slots__ = ("_gates", "_host", "_number", "_sleeper", "_task", "_waits", "pause")

    def __init__(self, number: int, gates: Gates, host: Host, waits: dict[Reason, float]) -> None:
        """Start without a task.

        Args:
            number: the account's, for the log.
            gates: what can be in the way.
            host: the account.
            waits: where the seconds that everybody waited are added up, by reason.
        """
        self._number = number
        self._gates = gates
        self._host = host
        self._waits = waits
        self._task: asyncio.Task[None] | None = None
        self._sleeper: asyncio.Future[None] | None = None
        self.pause: tuple[Reason, float] | None = None
        """What everybody waits for, and the loop's time at which it ends; None while turns are given."""

    @property
    def is_running(self) -> bool:
        """Whether the task exists."""
        return self._task is not None

    def rouse(self) -> None:
        """Have the gates asked again even while the next turn is waited for: one has come back."""
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def wake(self) -> None:
        """Have the gates asked again, because something has changed; start if there is need to."""
        if self._sleeper is not None:
            # Who waits for the next turn has nothing to decide before it comes.
            if self.pause is None or self.pause[0] is not Reason.PACE:
                self.rouse()
        elif self._task is None and self._gates.queue:
            # In a context of its own: it must not keep alive what the first caller had in his.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
            self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End the task; nobody must be waiting any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        gates, pacer = self._gates, self._gates.pacer
        late: Call | None = None
        while gates.queue:
            now = loop.time()
            barrier = gates.barrier(now)
            call = None if barrier else gates.next_call(now)
            if call is None:
                await self._sleep(*(barrier or (Reason.QUOTA, gates.windows_open_at(now))), now)
            elif pacer.ready:
                self.pause = None
                self._host.grant(call, now)
            elif (turn_at := pacer.next_at(now)) > now:
                self.pause = Reason.PACE, turn_at
                await self._doze(Reason.PACE, turn_at, now)
            elif gates.leaving is not None and gates.leaving is not late:
                late = gates.leaving
                self.pause = Reason.PACE, now + pacer.interval
                await self._doze(Reason.PACE, now + pacer.interval, now)
            else:
                await pacer.turn()

    async def _sleep(self, reason: Reason, until: float, now: float) -> None:
        """Sleep until a time, or until woken."""
        if self.pause != (reason, until):
            self.pause = reason, until
            self._host.paused(reason, until)
        await self._doze(reason, until, now)

    async def _doze(self, reason: Reason, until: float, now: float) -> None:
        """Do nothing until a time, or until woken; count the seconds."""
        loop = asyncio.get_running_loop()
        self._sleeper = loop.create_future()
        timer = loop.call_at(until, self.rouse) if until < math.inf else None
        try:
            await self._sleeper
        finally:
            self._sleeper = None
            if timer is not None:
                timer.cancel()
            # By this loop, which may be running no more: then the wait ends with its coroutine.
            self._waits[reason] = self._waits.get(reason, 0.0) + loop.time() - now

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Take leave of a task; nobody is left hanging, whatever it ended with."""
        self._task = None
        self.pause = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _logger.error("account %d: the dispatcher failed", self._number, exc_info=error)
            self._host.fail_all(error)
        elif self._gates.queue and not task.get_loop().is_closed():
            self.wake()
