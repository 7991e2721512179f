"""A bound on how long a run waits for Toggl's limits.

The `max_wait` of a call won't do: a run has many calls in line, and the last one would fail because of its
place in that line before the first was sent. So the run ends when all of its calls have to wait for too long;
by then, whatever could be sent was sent, and is committed.
"""

import asyncio
import datetime as dt
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Final

from toggl_async.errors import MaxWaitExceeded
from toggl_async.scheduler import Scheduler
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.outcome import FIRST_REFUSAL
from toggl_async.scheduler.events import Answered, Lost, Queued, SchedulerEvent, Sent

__all__ = ["waiting_at_most"]

_LIMITS: Final = frozenset({Reason.BACKOFF, Reason.COOLDOWN, Reason.QUOTA})
"""Reasons to wait other than the run's own pace and answers."""

_COMMITTING: Final = 5.0
"""Seconds to decode and commit the latest answers; a page that isn't committed is requested again."""

_run: ContextVar[object] = ContextVar("run", default=None)


@asynccontextmanager
async def waiting_at_most(max_wait: float | None, scheduler: Scheduler) -> AsyncIterator[None]:
    """End the block when all its requests have to wait longer: for a quota, a cool-down, or a failing Toggl.

    Args:
        max_wait: seconds; None for no bound.
        scheduler: sends the requests, and may send those of other accounts.

    Raises:
        InvalidInput: `max_wait` is negative, or not a number.
        MaxWaitExceeded: they would have to wait longer.
    """
    if max_wait is None:
        yield
        return
    # asyncio's timeout, because it cancels only once: what a thread has begun with the mirror may finish.
    ending = asyncio.timeout(None)
    watch = _Watch(max_wait, scheduler, ending)
    token = _run.set(watch)
    end = scheduler.listen(watch.on_event)
    try:
        async with ending:
            yield
    except TimeoutError:
        if watch.exceeded is None or not ending.expired():
            raise
        raise watch.exceeded from None
    finally:
        end()
        watch.close()
        _run.reset(token)


class _Watch:
    """Notices when a run waits for too long.

    Args:
        max_wait: seconds that it may.
        scheduler: sends its requests.
        ending: the timeout that ends it.
    """

    def __init__(self, max_wait: float, scheduler: Scheduler, ending: asyncio.Timeout) -> None:
        self.exceeded: MaxWaitExceeded | None = None
        self._max_wait = max_wait
        self._scheduler = scheduler
        self._ending = ending
        self._loop = asyncio.get_running_loop()
        self._account: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._throttled_at: float | None = None
        self._trouble = ""

    def on_event(self, event: SchedulerEvent) -> None:
        """Look again once nothing has happened for a moment."""
        if self._account is None and isinstance(event, Queued | Sent) and _run.get() is self:
            self._account = event.account  # a run has one account
        if event.account == self._account:
            if isinstance(event, Answered | Lost):
                self._trouble = _trouble_in(event)
                self._note_throttling(event)
            self.close()
            self._timer = self._loop.call_later(_COMMITTING, self._look)

    def _note_throttling(self, event: Answered | Lost) -> None:
        """Keep the time of the first 429 in a row: cool-downs with only a 429 in between are one wait."""
        if not isinstance(event, Answered) or event.status != HTTPStatus.TOO_MANY_REQUESTS:
            self._throttled_at = None
        elif self._throttled_at is None:
            self._throttled_at = self._loop.time()

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        for account in self._scheduler.stats().accounts:
            if account.account != self._account or account.in_flight:
                continue
            reason, left, waited = account.reason, account.wait, 0.0
            if reason is Reason.COOLDOWN and self._throttled_at is not None:
                waited = self._loop.time() - self._throttled_at
            if reason in _LIMITS and left is not None and self._max_wait < waited + left < math.inf:
                self.exceeded = MaxWaitExceeded(
                    reason=str(reason),
                    wait=waited + left,
                    max_wait=self._max_wait,
                    available_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=left),
                    cause=self._trouble,
                )
                self._ending.reschedule(self._loop.time())


def _trouble_in(event: Answered | Lost) -> str:
    """What went wrong with a request, in words; "" if nothing did."""
    if isinstance(event, Lost):
        return f"{event.error} from {event.route}"
    return f"{event.status} from {event.route}" if event.status >= FIRST_REFUSAL else ""
