"""The scheduler: everything between a request and the network that keeps Toggl's limits.

A request passes through it in this order: `route` says what it is, `scheduler` finds its account,
`memory` knows whether it is hopeless, `coalesce` whether it is already under way, `account` queues
it (`queue`, `gates`, `dispatcher`, `pace`, `cooldown`, `quota`), `exchange` sends it, `outcome`
judges the answer, `retry` says whether and when it goes again. `events` and `stats` tell of it all.
"""

from toggl_async.scheduler import events
from toggl_async.scheduler.events import Reason, SchedulerEvent
from toggl_async.scheduler.outcome import Attempted, Outcome, OutcomeKind, classify, error_of, message_of
from toggl_async.scheduler.route import EXTENSION, Lane, RequestFacts, facts_of
from toggl_async.scheduler.scheduler import Scheduler
from toggl_async.scheduler.stats import AccountStats, SchedulerStats, WindowStats
from toggl_async.scheduler.transport import ScheduledTransport

__all__ = [
    "EXTENSION",
    "AccountStats",
    "Attempted",
    "Lane",
    "Outcome",
    "OutcomeKind",
    "Reason",
    "RequestFacts",
    "ScheduledTransport",
    "Scheduler",
    "SchedulerEvent",
    "SchedulerStats",
    "WindowStats",
    "classify",
    "error_of",
    "events",
    "facts_of",
    "message_of",
]
