"""The scheduler: everything between a request and the network that keeps Toggl's limits.

A request passes through it in this order: `scheduled` finds its account (`scheduler`), checks whether it is
hopeless or already under way (`coalesce`), and makes its `attempts`. For each attempt, the `driver` asks the
`core` for a turn, on limits that a budget keeps (`budgets`), and `exchange` sends the request through an
inner `transport`. The core then judges the answer, and says whether and when to send the request again.
`events` and `stats` report all of this.
"""

from toggl_async.scheduler import events
from toggl_async.scheduler.adapter import EXTENSION, error_of, facts_of
from toggl_async.scheduler.budgets import Budget
from toggl_async.scheduler.budgets.memory import MemoryBudget
from toggl_async.scheduler.core.outcome import Attempted, Outcome, OutcomeKind, classify, message_of
from toggl_async.scheduler.core.route import Lane, RequestFacts
from toggl_async.scheduler.events import Reason, SchedulerEvent
from toggl_async.scheduler.scheduled import ScheduledTransport
from toggl_async.scheduler.scheduler import Scheduler
from toggl_async.scheduler.stats import AccountStats, ProcessStats, SchedulerStats, WindowStats

__all__ = [
    "EXTENSION",
    "AccountStats",
    "Attempted",
    "Budget",
    "Lane",
    "MemoryBudget",
    "Outcome",
    "OutcomeKind",
    "ProcessStats",
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
