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
        remaining: requests that may still be sent, less those under way and the reserve; None if unknown.
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
    """The waiting calls of another process, by priority.

    Attributes:
        process: its name in the budget: its process id and, if machines share the budget, its machine.
        priority: the priority of the calls.
        waiting: how many calls there are.
        waited: seconds since the first of them began to wait, or a call of this priority was last sent.
    """

    process: str
    priority: Priority
    waiting: int
    waited: float


@attrs.frozen(kw_only=True)
class AccountStats:
    """One account, now.

    Attributes:
        account: its number in the scheduler, as in the events.
        waiting: calls that wait.
        in_flight: requests under way, including answers that are still being read.
        interval: seconds between two of its requests.
        reason: what the waiting calls are waiting for; None if none is waiting.
        wait: seconds until that ends; None if no call is waiting, infinite if an answer has to come first.
        windows: its quotas.
        processes: the waiting calls of all others that share the budget, as of when this process last asked.
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
    """A snapshot of a scheduler; counts cover its whole life.

    Attributes:
        accounts: the accounts that it keeps.
        granted: turns given; slightly fewer requests were sent, because a few calls are cancelled or lost
            first.
        answered: answers received.
        throttled: answers of "too many requests" (429).
        over_quota: answers that the hourly quota is used up (402).
        lost: requests that got no answer.
        retried: requests that went back to the queue, for any reason.
        refused: calls that failed without a request.
        shared: calls answered by an identical one under way.
        cancelled: calls whose callers gave up.
        sent: requests whose first bytes left, repeated ones included.
        waited: seconds that calls spent waiting for their turns, in total.
        waits: seconds during which all calls of an account were waiting, by reason; summed over accounts.
        alone: whether the shared budget can't be used at the moment, so that this process keeps its own pace.
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
    waits: Mapping[Reason, float] = attrs.field(hash=False)
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
