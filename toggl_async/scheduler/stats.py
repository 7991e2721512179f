"""What a scheduler has done and is doing: counters, and a snapshot of them."""

from collections.abc import Mapping

import attrs

from toggl_async.options import Priority
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.route import Lane

__all__ = ["AccountStats", "Counters", "ProcessStats", "SchedulerStats", "WindowStats"]


@attrs.frozen(kw_only=True)
class WindowStats:
    """One hourly quota.

    Attributes:
        lane: whether it is the user's own or an organization's.
        organization_id: whose it is, where known.
        workspace_id: a workspace of it, while its organization is not known.
        remaining: requests that may still go, those under way and the reserve taken off; None
            when unknown.
        total: requests that a window allows; None when unknown.
        resets_in: seconds until the reset; None when unknown.
    """

    lane: Lane
    organization_id: int | None
    workspace_id: int | None
    remaining: int | None
    total: int | None
    resets_in: float | None


@attrs.frozen(kw_only=True)
class ProcessStats:
    """The calls of another process that wait, by priority.

    Attributes:
        process: its name in the budget: its process id and, where machines share one, its machine.
        priority: that of the calls.
        waiting: how many they are.
        waited: seconds since the first of them began to wait, or one of this priority last went.
    """

    process: str
    priority: Priority
    waiting: int
    waited: float


@attrs.frozen(kw_only=True)
class AccountStats:
    """One account, now.

    Attributes:
        account: its number within the scheduler, as in the events.
        waiting: calls that wait.
        in_flight: requests under way, answers that are still being read included.
        interval: seconds between two of its requests.
        reason: what all that wait wait for; None when nobody does.
        wait: seconds until that ends; None when nobody waits, infinite where an answer has to come.
        windows: its quotas.
        processes: what else waits, of all that share the budget; as it was when this process last asked.
    """

    account: int
    waiting: int
    in_flight: int
    interval: float
    reason: Reason | None
    wait: float | None
    windows: tuple[WindowStats, ...]
    processes: tuple[ProcessStats, ...] = ()


@attrs.frozen(kw_only=True)
class SchedulerStats:
    """A snapshot of a scheduler; counts are of its whole life.

    Attributes:
        accounts: those that it holds.
        granted: turns given, which are requests sent but for the few that were cancelled or lost first.
        answered: answers received.
        throttled: answers that said "too fast" (429).
        over_quota: answers that said that the hourly quota is used up (402).
        lost: requests that brought no answer.
        retried: requests that went back to the queue, for whatever reason.
        refused: calls that failed without a request.
        shared: calls answered by an identical one under way.
        cancelled: calls whose callers gave up.
        sent: requests whose first bytes left, repeated ones included.
        waited: seconds that calls spent waiting for their turns, added up.
        waits: seconds during which all calls of an account waited, by what for; accounts added up.
        alone: whether the shared budget cannot be used now, and this process keeps its own pace.
    """

    accounts: tuple[AccountStats, ...]
    granted: int
    answered: int
    throttled: int
    over_quota: int
    lost: int
    retried: int
    refused: int
    shared: int
    cancelled: int
    sent: int
    waited: float
    waits: Mapping[Reason, float]
    alone: bool = False


class Counters:
    """Counts what happens."""

    __slots__ = (
        "answered",
        "cancelled",
        "granted",
        "lost",
        "over_quota",
        "refused",
        "retried",
        "sent",
        "shared",
        "throttled",
        "waited",
        "waits",
    )

    def __init__(self) -> None:
        self.granted: int = 0
        self.answered: int = 0
        self.throttled: int = 0
        self.over_quota: int = 0
        self.lost: int = 0
        self.retried: int = 0
        self.refused: int = 0
        self.shared: int = 0
        self.cancelled: int = 0
        self.sent: int = 0
        self.waited: float = 0.0
        self.waits: dict[Reason, float] = {}

    def snapshot(self, accounts: tuple[AccountStats, ...], *, alone: bool) -> SchedulerStats:
        """Freeze the counts."""
        counts = {name: getattr(self, name) for name in self.__slots__}
        return SchedulerStats(accounts=accounts, alone=alone, **{**counts, "waits": dict(self.waits)})
