"""The scheduler: everything between a request and the network that keeps Toggl's limits.

A request passes through it in this order: `scheduled` finds its account (`scheduler`), knows whether it
is hopeless or already under way (`coalesce`), and makes its `attempts`: the `driver` asks the `core` for a
turn, on limits that a budget keeps (`budgets`); `exchange` sends it by an inner `transport`; the core
judges the answer, and says whether and when it goes again. `events` and `stats` tell of it all.
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
