"""The promises of the scheduler, watched while it works: each is broken in the moment when it is."""

import asyncio
import contextvars
import math
from collections import defaultdict

import attrs

from support.model import Arrival, Model
from toggl_async.options import ClientOptions, Priority
from toggl_async.scheduler import Lane, SchedulerEvent, events
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.waiters import PATIENCE

NOT_PROCESSED = frozenset({400, 402, 429})
"""Statuses after which even a write may be sent again; a 400 of the model's is nginx's."""


@attrs.define(eq=False, kw_only=True)
class Asked:
    """A call that somebody makes."""

    name: str
    account: str
    client: int
    writes: bool
    path: str
    priority: Priority
    max_wait: float
    streams: bool
    at: float
    task: "asyncio.Task[object]" = attrs.field(init=False)
    ended_at: float = math.inf
    cancelled: bool = False
    closed: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.ORGANIZATION if "/workspaces/" in self.path else Lane.USER

    @property
    def workspace_id(self) -> int | None:
        return int(self.path.split("/")[4]) if self.lane is Lane.ORGANIZATION else None

    @property
    def route(self) -> str:
        return f"{'POST' if self.writes else 'GET'} {self.path}"


CALLER: contextvars.ContextVar[Asked] = contextvars.ContextVar("CALLER")
"""Whose call it is; the scheduler knows nothing of it."""


@attrs.define(eq=False)
class _Account:
    """What the promises have to remember of one account."""

    last_at: float = -math.inf
    quiet_until: float = -math.inf
    probing: bool = False
    probe: Arrival | None = None
    under_way: set[int] = attrs.Factory(set)
    waiting: dict[int, tuple[Asked, float]] = attrs.Factory(dict)
    served: dict[Priority, float] = attrs.Factory(dict)


@attrs.define(eq=False)
class Promises:
    """Watches a model server and the events of a scheduler; `broken` should stay empty."""

    options: ClientOptions
    model: Model
    broken: list[str] = attrs.Factory(list)
    gone: set[tuple[str, str]] = attrs.Factory(set)
    shared_windows: set[int] = attrs.Factory(set)
    """Those of which another program has spent, or a workspace that is not known to."""
    _accounts: defaultdict[str, _Account] = attrs.Factory(lambda: defaultdict(_Account))
    _numbers: dict[int, str] = attrs.Factory(dict)
    _attempts: defaultdict[str, list[Arrival]] = attrs.Factory(lambda: defaultdict(list))
    _spenders: dict[int, str] = attrs.Factory(dict)
    _words: dict[int, float] = attrs.Factory(dict)
    _learned: dict[str, str] = attrs.Factory(dict)

    def arrived(self, arrival: Arrival) -> None:
        """Look at a request in the moment at which the server sees it."""
        account = self._accounts[arrival.account]
        self._keeps_the_pace(account, arrival)
        self._rests(account, arrival)
        account.under_way.add(id(arrival))
        if len(account.under_way) > self.options.max_in_flight:
            self._break("more under way than allowed", arrival)
        attempts = self._attempts[arrival.call]
        if arrival.method == "POST" and not all(before.status in NOT_PROCESSED for before in attempts):
            self._break("a write that may have been applied was sent again", arrival)
        attempts.append(arrival)
        _, _, _, place, which, *_ = arrival.route.split("/")
        whose = self._learned.get(which, which) if place == "workspaces" else place
        if self._spenders.setdefault(arrival.window, whose) != whose:
            self.shared_windows.add(arrival.window)
        if (arrival.account, arrival.route) in self.gone:
            self._break("sent in spite of a remembered 410", arrival)

    def answered(self, arrival: Arrival) -> None:
        """Look at an answer, or at the end of the wait for one."""
        account = self._accounts[arrival.account]
        account.under_way.discard(id(arrival))
        self._spends_the_window(arrival)
        if arrival.status in {400, 429}:
            rest = max(self.options.cooldown.minimum, self.model.retry_after or 0)
            account.quiet_until = max(account.quiet_until, arrival.answered_at + rest)
            account.probing, account.probe = True, None
        elif arrival is account.probe:
            account.probing, account.probe = arrival.status is None, None
        if arrival.status == 410:
            self.gone.add((arrival.account, arrival.route))

    def happened(self, event: SchedulerEvent) -> None:
        """Look at the order in which turns are given."""
        if isinstance(event, events.Queued):
            asked = CALLER.get()
            self._numbers[event.account] = asked.account
            self._accounts[asked.account].waiting[event.call] = asked, event.at
        elif isinstance(event, events.Granted):
            account = self._accounts[self._numbers.setdefault(event.account, CALLER.get(_NOBODY).account)]
            self._takes_turns(account, event)
        elif isinstance(event, events.Cancelled | events.Refused) and event.account in self._numbers:
            self._accounts[self._numbers[event.account]].waiting.pop(event.call, None)

    def learned(self, workspace: str, organization: str) -> None:
        """Take note that the scheduler was told whose quota a workspace spends."""
        self._learned[workspace] = organization

    def left_waiting(self) -> list[int]:
        """Return the calls that joined a queue, and of which nothing was told since."""
        return sorted(number for account in self._accounts.values() for number in account.waiting)

    def _keeps_the_pace(self, account: _Account, arrival: Arrival) -> None:
        least = self.options.pace.interval * (1 + self.options.pace.margin) * (1 - 1e-5)
        if arrival.at - account.last_at < least:
            self._break(f"{arrival.at - account.last_at} s after the one before", arrival)
        account.last_at = arrival.at

    def _rests(self, account: _Account, arrival: Arrival) -> None:
        if arrival.at < account.quiet_until:
            self._break("sent while cooling down", arrival)
        if account.probing:
            if account.probe is not None:
                self._break("sent beside the probe", arrival)
            account.probe = arrival

    def _spends_the_window(self, arrival: Arrival) -> None:
        """Only who was sent before the first word on a window may have been one too many."""
        number = arrival.window
        if number < 0:
            return
        if arrival.spent_too_much and number not in self.shared_windows:
            known = self._words.get(number, math.inf)
            if arrival.at > known:
                self._break(f"the end of its window was known since {known}", arrival)
        if (
            arrival.status is not None
            and arrival.status < 500
            and (self.model.headers or arrival.spent_too_much)
        ):
            self._words.setdefault(number, arrival.answered_at)

    def _takes_turns(self, account: _Account, event: events.Granted) -> None:
        """First come first served within a priority; a less urgent one only by ageing."""
        mine, since = account.waiting.pop(event.call, (None, 0.0))
        others = {
            number: (asked, at) for number, (asked, at) in account.waiting.items() if not asked.cancelled
        }
        if mine is None:
            if others:
                self.broken.append(f"{event}: took its turn although {sorted(others)} wait")
            return
        for number, (asked, _) in others.items():
            same_window = (asked.lane, asked.workspace_id) == (mine.lane, mine.workspace_id)
            if self.model.quota is not None and not same_window:
                continue  # theirs may be shut
            if asked.priority == mine.priority and number < event.call:
                self.broken.append(f"{event}: overtook {number}")
            old = event.at - max(since, account.served.get(mine.priority, -math.inf)) >= PATIENCE / SECOND
            if asked.priority < mine.priority and not old:
                self.broken.append(f"{event}: went before the more urgent {number}")
        account.served[mine.priority] = event.at

    def _break(self, words: str, arrival: Arrival) -> None:
        self.broken.append(f"{words}: {arrival}")


_NOBODY = Asked(
    name="",
    account="",
    client=-1,
    writes=False,
    path="",
    priority=Priority.NORMAL,
    max_wait=0.0,
    streams=False,
    at=0.0,
)
