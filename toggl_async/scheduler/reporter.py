"""Reports what happens to one account: counters for `stats()`, events for listeners, the log.

Events and log records are made only if somebody listens. The log names a request by method and path template,
and an account by its number: it contains no ids from a path, no query, no header and no body.

Nothing here decides anything. A listener can do anything, because it is called when the scheduler's own state
is consistent again; whatever it raises is logged, and goes no further.
"""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Final, TypedDict

from toggl_async.errors import figure
from toggl_async.options import Priority
from toggl_async.scheduler import events
from toggl_async.scheduler.core.ask import View
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call
from toggl_async.scheduler.core.route import quota_of
from toggl_async.scheduler.stats import Counters

__all__ = ["LONG", "Reporter", "tell"]

LONG: Final = 10.0
"""Seconds from which on a wait is logged, at INFO."""
VERY_LONG: Final = 60.0
"""Seconds from which on it is logged at WARNING."""
_MILLISECOND: Final = SECOND // 1000
_SAME_RESET: Final = SECOND
"""By how many microseconds two views of one reset may differ."""

_logger = logging.getLogger("toggl_async.scheduler")


class _Of(TypedDict):
    account: int
    call: int
    route: str


def tell(listeners: Sequence[events.OnEvent], event: events.SchedulerEvent) -> None:
    """Pass an event to all listeners, and log what they raise."""
    for listener in tuple(listeners):
        try:
            listener(event)
        except (Exception, asyncio.CancelledError):
            _logger.exception("on_event raised an error for %s", type(event).__name__)


class Reporter:
    """Reports what happens to one account.

    Args:
        number: that of the account.
        counters: where everything is counted.
        listeners: those of the scheduler; they come and go.
    """

    __slots__ = ("_listeners", "_noted", "_number", "_since", "counters")

    def __init__(self, number: int, counters: Counters, listeners: Sequence[events.OnEvent]) -> None:
        self._number = number
        self._listeners = listeners
        self._noted = logging.NOTSET
        self._since: tuple[Reason, int] | None = None
        self.counters: Counters = counters

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._listeners)

    def queued(self, call: Call, now: int, *, wait: int, reason: Reason, waiting: int) -> None:
        """A call joins its line; the first that has to queue for long, or for very long, is logged."""
        seconds = wait / SECOND
        if waiting == 1:
            self._noted = logging.NOTSET
        if reason is Reason.QUEUE and seconds > LONG and (level := _level_of(seconds)) > self._noted:
            self._noted = level
            _logger.log(
                level,
                "account %d: %s, the last for at least %s s: queue",
                self._number,
                _waiting(waiting),
                figure(seconds),
            )
        if self._listeners:
            self._tell(
                events.Queued(
                    at=now / SECOND,
                    priority=Priority(call.level),
                    wait=seconds,
                    reason=reason,
                    waiting=waiting,
                    **self._of(call),
                )
            )

    def granted(self, call: Call, now: int, *, waited: int) -> None:
        """A call got its turn."""
        self.counters.granted += 1
        if self._listeners:
            self._tell(events.Granted(at=now / SECOND, waited=waited / SECOND, **self._of(call)))

    def sent(self, call: Call, now: int) -> None:
        """A request leaves."""
        self.counters.sent += 1
        if self._listeners:
            self._tell(events.Sent(at=now / SECOND, attempt=call.attempts, **self._of(call)))

    def answered(self, call: Call, now: int, status: int, outcome: Outcome, elapsed: int) -> None:
        """An answer came."""
        counters, kind = self.counters, outcome.kind
        counters.answered += 1
        if kind is OutcomeKind.THROTTLED:
            counters.throttled += 1
        elif kind is OutcomeKind.QUOTA:
            counters.over_quota += 1
        if _logger.isEnabledFor(logging.DEBUG):
            left = "quota unknown" if outcome.remaining is None else f"{outcome.remaining} left this hour"
            self._log(call, f"{status} in {elapsed / _MILLISECOND:.0f} ms", left)
        if self._listeners:
            self._tell(
                events.Answered(at=now / SECOND, status=status, elapsed=elapsed / SECOND, **self._of(call))
            )

    def lost(self, call: Call, now: int, error: str, *, sent: bool) -> None:
        """No answer will come."""
        self.counters.lost += 1
        if _logger.isEnabledFor(logging.DEBUG):
            self._log(call, error, "may have been sent" if sent else "not sent")
        if self._listeners:
            self._tell(events.Lost(at=now / SECOND, error=error, sent=sent, **self._of(call)))

    def retried(self, call: Call, now: int, reason: Reason) -> None:
        """A request goes back to its line."""
        self.counters.retried += 1
        if self._listeners:
            self._tell(
                events.Retried(at=now / SECOND, reason=reason, attempt=call.attempts, **self._of(call))
            )

    def refused(self, call: Call, now: int, error: Exception, reason: Reason | None = None) -> None:
        """A call cannot go, or not in time."""
        self.counters.refused += 1
        if self._listeners:
            self._tell(
                events.Refused(at=now / SECOND, error=type(error).__name__, reason=reason, **self._of(call))
            )

    def cancelled(self, call: Call, now: int) -> None:
        """The caller has given up."""
        self.counters.cancelled += 1
        if self._listeners:
            self._tell(events.Cancelled(at=now / SECOND, **self._of(call)))

    def refused_from_memory(self, now: int, route: str, error: Exception) -> None:
        """A call fails because an earlier answer is remembered."""
        self.counters.refused += 1
        if self._listeners:
            self._tell(
                events.Refused(
                    at=now / SECOND,
                    account=self._number,
                    call=-1,
                    route=route,
                    error=type(error).__name__,
                )
            )

    def shared(self, now: int, route: str) -> None:
        """A call joins an identical one under way."""
        self.counters.shared += 1
        if self._listeners:
            self._tell(events.Shared(at=now / SECOND, account=self._number, call=-1, route=route))

    def remembered(self, status: int, route: str, *, for_how_long: str) -> None:
        """A refusal will not be asked for again."""
        _logger.warning(
            "account %d: %s was answered %d, and is not sent again %s",
            self._number,
            route,
            status,
            for_how_long,
        )

    def paused(self, now: int, pause: tuple[Reason, float] | None, *, waiting: int) -> None:
        """Everybody waits for something else than before; a long wait is logged."""
        if self._since is not None:
            reason, since = self._since
            waits = self.counters.waits
            waits[reason] = waits.get(reason, 0.0) + (now - since) / SECOND
        self._since = None if pause is None else (pause[0], now)
        if pause is None or pause[0] is Reason.PACE:
            return
        reason, until = pause
        seconds = until - now / SECOND
        if LONG < seconds < math.inf:
            _logger.log(
                _level_of(seconds),
                "account %d: %s for %s s: %s",
                self._number,
                _waiting(waiting),
                figure(seconds),
                reason.value,
            )
        if self._listeners:
            self._tell(
                events.Paused(
                    at=now / SECOND, account=self._number, reason=reason, until=until, waiting=waiting
                )
            )

    def saw(self, before: View | None, seen: View, now: int, *, before_at: int) -> None:
        """The account was checked; report what has changed."""
        if not self._listeners:
            return
        elapsed = now - before_at
        rested = max(0, before.rest - elapsed) if before is not None else 0
        if seen.rest > rested:
            self._tell(
                events.CooledDown(
                    at=now / SECOND,
                    account=self._number,
                    until=(now + seen.rest) / SECOND,
                    interval=seen.interval / SECOND,
                )
            )
        for name, window in seen.windows.items():
            known = before.windows.get(name) if before is not None else None
            reset = None if known is None or known.resets_in is None else known.resets_in - elapsed
            is_same = (
                known is not None
                and (known.remaining, known.total) == (window.remaining, window.total)
                and (reset is None) == (window.resets_in is None)
                and abs((reset or 0) - (window.resets_in or 0)) < _SAME_RESET
            )
            if is_same or (window.remaining is None and window.total is None and known is None):
                continue
            lane, organization_id, workspace_id = quota_of(name)
            self._tell(
                events.QuotaChanged(
                    at=now / SECOND,
                    account=self._number,
                    lane=lane,
                    organization_id=organization_id,
                    workspace_id=workspace_id,
                    remaining=window.remaining,
                    total=window.total,
                    until=None if window.resets_in is None else (now + window.resets_in) / SECOND,
                )
            )

    def _log(self, call: Call, came: str, then: str) -> None:
        """Write the one line of a request, at DEBUG."""
        _logger.debug(
            "account %d: %s: %s (attempt %d, waited %.1f s, %s)",
            self._number,
            call.route,
            came,
            call.attempts,
            call.waited / SECOND,
            then,
        )

    def _tell(self, event: events.SchedulerEvent) -> None:
        tell(self._listeners, event)

    def _of(self, call: Call) -> _Of:
        return {"account": self._number, "call": call.number, "route": call.route}


def _level_of(seconds: float) -> int:
    """Return the level at which a long wait is logged."""
    return logging.WARNING if seconds > VERY_LONG else logging.INFO


def _waiting(calls: int) -> str:
    return "1 call is waiting" if calls == 1 else f"{calls} calls are waiting"
