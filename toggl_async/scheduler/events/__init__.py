"""The events of a scheduler: one frozen record for each kind of event.

`Scheduler(on_event=…)` passes them to one function, synchronously and in order; progress displays, tracing
and tests are built on them. Times (`at`, `until`) are those of the running loop's clock, in seconds. Accounts
and calls are small numbers that are valid as long as their scheduler. No event contains a credential, a
header, a query or a body.

The kinds are in the module `kinds`, which is loaded when the first of them is needed.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from toggl_async.scheduler.core.foresight import Reason

if TYPE_CHECKING:
    from toggl_async.scheduler.events.kinds import (
        Answered,
        BudgetBack,
        BudgetLost,
        Cancelled,
        CooledDown,
        Granted,
        Lost,
        Paused,
        Queued,
        QuotaChanged,
        Refused,
        Retried,
        Sent,
        Shared,
    )

__all__ = [
    "Answered",
    "BudgetBack",
    "BudgetLost",
    "Cancelled",
    "CooledDown",
    "Granted",
    "Lost",
    "OnEvent",
    "Paused",
    "Queued",
    "QuotaChanged",
    "Reason",
    "Refused",
    "Retried",
    "SchedulerEvent",
    "Sent",
    "Shared",
]


@attrs.frozen(kw_only=True)
class SchedulerEvent:
    """The base of all events.

    Attributes:
        at: the loop's time, in seconds.
        account: the number of the account in its scheduler; 0 if the event concerns all accounts.
    """

    at: float
    account: int


OnEvent: TypeAlias = Callable[[SchedulerEvent], None]
"""A function that is called with every event; whatever it raises is logged, and goes no further."""


def __getattr__(name: str) -> object:
    """Load the kinds of events with the first that is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module("toggl_async.scheduler.events.kinds"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
