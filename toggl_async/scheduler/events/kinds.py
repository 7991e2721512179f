"""The kinds of events, a frozen record each; `events` loads them if somebody listens.

No part of the scheduler imports them by itself, so that a client without a listener, which is the usual case,
starts sooner.
"""

import attrs

from toggl_async.options import Priority
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.route import Lane
from toggl_async.scheduler.events import SchedulerEvent

__all__ = [
    "Answered",
    "BudgetBack",
    "BudgetLost",
    "Cancelled",
    "CooledDown",
    "Granted",
    "Lost",
    "Paused",
    "Queued",
    "QuotaChanged",
    "Refused",
    "Retried",
    "Sent",
    "Shared",
]


@attrs.frozen(kw_only=True)
class _CallEvent(SchedulerEvent):
    """An event of one call.

    Attributes:
        call: the number of the call within its account.
        route: its method and path template.
    """

    call: int
    route: str


@attrs.frozen(kw_only=True)
class Queued(_CallEvent):
    """A call joined the queue, for the first time or again.

    Attributes:
        priority: its priority.
        wait: seconds that it will wait at least, as things stand.
        reason: what it mainly waits for.
        waiting: how many calls of the account are waiting now, including this one.
    """

    priority: Priority
    wait: float
    reason: Reason
    waiting: int


@attrs.frozen(kw_only=True)
class Granted(_CallEvent):
    """A call got its turn.

    Attributes:
        waited: seconds that the call waited for this turn.
    """

    waited: float


@attrs.frozen(kw_only=True)
class Sent(_CallEvent):
    """The first bytes of a request left.

    Attributes:
        attempt: how often it has been sent, this time included.
    """

    attempt: int


@attrs.frozen(kw_only=True)
class Answered(_CallEvent):
    """An answer came, good or bad.

    Attributes:
        status: its HTTP status.
        elapsed: seconds since the request was handed to the network.
    """

    status: int
    elapsed: float


@attrs.frozen(kw_only=True)
class Lost(_CallEvent):
    """No answer came.

    Attributes:
        error: the name of the network error, such as ``"ReadTimeout"``.
        sent: whether the request may have left.
    """

    error: str
    sent: bool


@attrs.frozen(kw_only=True)
class Retried(_CallEvent):
    """A request goes back to the head of the queue.

    Attributes:
        reason: COOLDOWN, QUOTA or BACKOFF.
        attempt: how often it has been sent so far.
    """

    reason: Reason
    attempt: int


@attrs.frozen(kw_only=True)
class Shared(_CallEvent):
    """A call joined an identical one that is under way; `call` is -1, because it takes no turn."""


@attrs.frozen(kw_only=True)
class Cancelled(_CallEvent):
    """The caller gave up while the call waited or was under way."""


@attrs.frozen(kw_only=True)
class Refused(_CallEvent):
    """A call failed without being sent, or without being sent again.

    Attributes:
        error: the name of the error that ended it.
        reason: what it would have waited for; None if an earlier answer was remembered, or its client was
            closed.
    """

    error: str
    reason: Reason | None = None


@attrs.frozen(kw_only=True)
class CooledDown(SchedulerEvent):
    """A 429 stopped the account, or stopped it for longer.

    Attributes:
        until: the loop's time at which one request may try again.
        interval: seconds between two requests from then on.
    """

    until: float
    interval: float


@attrs.frozen(kw_only=True)
class QuotaChanged(SchedulerEvent):
    """What is known about an hourly quota changed.

    Attributes:
        lane: whether it is the user's own or an organization's.
        organization_id: whose it is, where known.
        workspace_id: a workspace of it, while its organization is not known.
        remaining: requests left, as Toggl last said; None if unknown.
        total: requests that a window allows; None when unknown.
        until: the loop's time at which it resets; None when unknown.
    """

    lane: Lane
    organization_id: int | None
    workspace_id: int | None
    remaining: int | None
    total: int | None
    until: float | None


@attrs.frozen(kw_only=True)
class Paused(SchedulerEvent):
    """All calls of the account that are ready wait for the same thing.

    Attributes:
        reason: what for.
        until: the loop's time at which the wait ends; infinite if an answer has to come first.
        waiting: how many calls wait.
    """

    reason: Reason
    until: float
    waiting: int


@attrs.frozen(kw_only=True)
class BudgetLost(SchedulerEvent):
    """The shared budget can no longer be used; until it can, this process keeps its own pace.

    The event concerns all accounts: `account` is 0.

    Attributes:
        reason: why, without a secret.
    """

    reason: str


@attrs.frozen(kw_only=True)
class BudgetBack(SchedulerEvent):
    """The shared budget can be used again; `account` is 0."""
