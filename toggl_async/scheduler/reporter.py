"""Tells what happens to one account: counters for `stats()`, events for `on_event`, the log.

Events are only made where somebody listens. Nothing here decides anything.
"""

import logging
from collections.abc import Callable
from typing import Final, TypedDict

from toggl_async.scheduler import events
from toggl_async.scheduler.events import Reason
from toggl_async.scheduler.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.queue import Call
from toggl_async.scheduler.quota import Window
from toggl_async.scheduler.stats import Counters

__all__ = ["LONG", "Reporter"]

LONG: Final = 10.0
"""Seconds from which on a wait is logged."""

_logger = logging.getLogger("toggl_async.scheduler")


class _Of(TypedDict):
    account: int
    call: int
    route: str


class Reporter:
    """The voice of one account."""

    __slots__ = ("_noted", "_number", "_tell", "counters")

    def __init__(
        self, number: int, counters: Counters, tell: Callable[[events.SchedulerEvent], None] | None
    ) -> None:
        self._number = number
        self._tell = tell
        self._noted = False
        self.counters: Counters = counters

    def queued(self, call: Call, now: float, *, wait: float, reason: Reason, waiting: int) -> None:
        """A call joins the queue; the first that has to queue for long is logged."""
        if waiting == 1:
            self._noted = False
        if reason is Reason.QUEUE and wait > LONG and not self._noted:
            self._noted = True
            _logger.info(
                "account %d: %d calls wait, the last at least %.0f s: queue", self._number, waiting, wait
            )
        if self._tell:
            priority = call.facts.priority
            self._tell(
                events.Queued(
                    at=now, priority=priority, wait=wait, reason=reason, waiting=waiting, **self._of(call)
                )
            )

    def granted(self, call: Call, now: float) -> None:
        """A call has its turn."""
        self.counters.granted += 1
        if self._tell:
            self._tell(events.Granted(at=now, waited=now - call.since, **self._of(call)))

    def sent(self, call: Call, now: float) -> None:
        """A request leaves."""
        self.counters.sent += 1
        if self._tell:
            self._tell(events.Sent(at=now, attempt=call.attempts, **self._of(call)))

    def answered(self, call: Call, now: float, status: int, outcome: Outcome) -> None:
        """An answer is there."""
        self.counters.answered += 1
        self.counters.throttled += outcome.kind is OutcomeKind.THROTTLED
        self.counters.over_quota += outcome.kind is OutcomeKind.QUOTA
        if self._tell:
            elapsed = now - call.left_at
            self._tell(events.Answered(at=now, status=status, elapsed=elapsed, **self._of(call)))

    def lost(self, call: Call, now: float, error: str, *, sent: bool) -> None:
        """No answer will come."""
        self.counters.lost += 1
        if self._tell:
            self._tell(events.Lost(at=now, error=error, sent=sent, **self._of(call)))

    def retried(self, call: Call, now: float, reason: Reason) -> None:
        """A request goes back to the queue."""
        self.counters.retried += 1
        if self._tell:
            self._tell(events.Retried(at=now, reason=reason, attempt=call.attempts, **self._of(call)))

    def refused(self, call: Call, now: float, error: Exception, reason: Reason) -> None:
        """A call cannot go in time."""
        self.counters.refused += 1
        if self._tell:
            self._tell(events.Refused(at=now, error=type(error).__name__, reason=reason, **self._of(call)))

    def cancelled(self, call: Call, now: float) -> None:
        """The caller has given up."""
        self.counters.cancelled += 1
        if self._tell:
            self._tell(events.Cancelled(at=now, **self._of(call)))

    def cooled_down(self, now: float, *, until: float, interval: float) -> None:
        """A 429 stops the account."""
        if self._tell:
            self._tell(events.CooledDown(at=now, account=self._number, until=until, interval=interval))

    def paused(self, now: float, reason: Reason, *, until: float, waiting: int) -> None:
        """Everybody waits for the same thing; a long wait is logged."""
        if LONG < until - now < float("inf"):
            _logger.info(
                "account %d: %d calls wait %.0f s: %s", self._number, waiting, until - now, reason.value
            )
        if self._tell:
            self._tell(
                events.Paused(at=now, account=self._number, reason=reason, until=until, waiting=waiting)
            )

    def quota_changed(self, window: Window, now: float) -> None:
        """Something has been learned of a quota window."""
        if self._tell:
            self._tell(
                events.QuotaChanged(
                    at=now,
                    account=self._number,
                    lane=window.lane,
                    organization_id=window.organization_id,
                    workspace_id=window.workspace_id,
                    remaining=window.remaining,
                    total=window.total,
                    until=window.reset_at,
                )
            )

    def _of(self, call: Call) -> _Of:
        return {"account": self._number, "call": call.number, "route": call.facts.route}
