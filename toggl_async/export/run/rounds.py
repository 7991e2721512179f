"""What each round of keeping a mirror fresh reads, so that an hour's quota is spent well. Pure.

Each round reads the recent time entries. The rest of its share of the quota goes to the parts that have
waited longest, one after the other: lists, and changes of older time entries, which take the most requests,
and count as if they had been read a day later than they were. The first of them is read after an hour at the
latest, however little is left, so that none is left out for good.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from toggl_async.export.mirror.manifest import Check, Manifest
from toggl_async.export.plan.datasets import ENTRIES, Source
from toggl_async.export.plan.estimate import list_requests
from toggl_async.export.plan.survey import Survey
from toggl_async.scheduler.core.route import Lane
from toggl_async.scheduler.stats import SchedulerStats, WindowStats

__all__ = ["HOUR", "OLDER", "Cost", "Ledger", "Portion", "Room", "parts_that_fit", "seconds_to_wait"]

HOUR = 3600.0
"""The window of Toggl's quotas, in seconds."""

OLDER = "older time entries"
"""The part that looks for changes of time entries older than those that each round reads."""

_LATER = {OLDER: dt.timedelta(days=1)}
"""Time added to when a part was last read, so that expensive parts have their turn less often."""

_PAGE = 1000

_CLOSE = 30.0
"""Seconds before a reset that no round counts on, because resets are told in whole seconds, and spread."""

_AN_OWN_ROUND = 4
"""Requests of a round that spend the user's quota: the first two, own changes, and the running entry."""

Cost = Counter[int | None]
"""Requests by the organization whose quota they spend; None for the user's own."""


@attrs.frozen(kw_only=True)
class Room:
    """What is left of a quota's window.

    Attributes:
        left: requests that may still be sent, less the reserve.
        full: requests that a whole window allows, less the reserve; if Toggl didn't say, the most that was
            ever left.
        total: the same; None if Toggl didn't say.
        resets_in: seconds until it is full again.
    """

    left: int
    full: int
    total: int | None = None
    resets_in: float


@attrs.frozen(kw_only=True)
class Portion:
    """A part of the plan that not every round has to read.

    Attributes:
        name: a dataset, or `OLDER`.
        as_of: when it was last read; None if never.
        cost: the requests that it takes.
    """

    name: str
    as_of: dt.datetime | None
    cost: Cost

    @property
    def due(self) -> dt.datetime:
        """When it is due, which decides its place in line."""
        first = dt.datetime.min.replace(tzinfo=dt.UTC)
        return first if self.as_of is None else self.as_of + _LATER.get(self.name, dt.timedelta())


def parts_that_fit(
    parts: Iterable[Portion],
    rooms: Mapping[int | None, Room],
    always: Cost,
    *,
    every: float,
    is_overdue: bool,
) -> list[Portion]:
    """Choose the parts that a round reads, starting with the one that has waited longest.

    Args:
        parts: all parts.
        rooms: what is left of each quota that is known.
        always: the requests that the round takes without them.
        every: seconds between two rounds.
        is_overdue: whether none has been read for an hour. Then the first is read in any case, unless the
            next window has room for it.
    """
    spent, chosen = Cost(always), list[Portion]()
    to_come = _rounds_to_come(rooms, always, every)
    known = rooms.items()
    for part in sorted(parts, key=lambda one: one.due):
        after = spent + part.cost
        fits = all(after[lane] * to_come <= room.left for lane, room in known)
        at_last = is_overdue and not chosen and all(_suits(after[lane], room) for lane, room in known)
        if not fits and not at_last:
            break
        chosen.append(part)
        spent = after
    return chosen


def _rounds_to_come(rooms: Mapping[int | None, Room], always: Cost, every: float) -> int:
    """How many rounds share what is left: those before the reset, as far as it lasts."""
    counts = [
        min(
            math.ceil((room.resets_in - _CLOSE) / every),
            room.left // always[lane] if always[lane] else math.inf,
        )
        for lane, room in rooms.items()
    ]
    return max(1, int(min(counts, default=1)))


def _suits(cost: int, room: Room) -> bool:
    """Whether this window has room for a part, or no window ever has."""
    return cost <= room.left or cost > room.full


def seconds_to_wait(rooms: Mapping[int | None, Room], cost: Cost) -> float:
    """Seconds until there is room for a round; 0 if there is room now."""
    return max(
        (room.resets_in for lane, room in rooms.items() if room.left < min(cost[lane], room.full)),
        default=0.0,
    )


class Ledger:
    """What earlier rounds have shown: costs, freshness, and how much each quota allows.

    Args:
        every: seconds between two rounds.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._last: Manifest | None = None
        self._account: Survey | None = None
        self._recent: Sequence[Check] = ()
        self._ranges: Counter[int] = Counter()
        self._full: dict[int | None, int] = {}
        self._read_at: float | None = None

    def note(self, account: Survey, manifest: Manifest, parts: Iterable[str] | None, now: float) -> None:
        """Learn from a round.

        Args:
            account: the answers to its first requests.
            manifest: its result.
            parts: the parts that it read besides recent time entries; None for everything.
            now: the loop's time.
        """
        self._last, self._account = manifest, account
        names = None if parts is None else set(parts)
        if names is None or names:
            self._read_at = now
        if names is None or OLDER in names:
            self._ranges = Counter(check.workspace_id for check in manifest.ranges)
        else:
            self._recent = manifest.ranges

    def rooms(self, stats: SchedulerStats, reserve: int) -> dict[int | None, Room]:
        """What is left of this account's quotas, as far as is known; the lowest number if there are several.

        Args:
            stats: the scheduler's.
            reserve: requests of each window to leave to other programs.
        """
        rooms: dict[int | None, Room] = {}
        for window in self._windows(stats):
            lane = window.organization_id
            total = None if window.total is None else max(0, window.total - reserve)
            if total is not None:
                self._full[lane] = total
            elif window.remaining is not None:
                self._full[lane] = max(self._full.get(lane, 0), window.remaining)
            full = self._full.get(lane)
            if full is None:
                continue
            left = full if window.remaining is None else window.remaining
            if lane not in rooms or left < rooms[lane].left:
                rooms[lane] = Room(left=left, full=full, total=total, resets_in=window.resets_in or HOUR)
        return rooms

    def _windows(self, stats: SchedulerStats) -> Iterator[WindowStats]:
        """The windows that this account's requests spend."""
        spaces = self._account.workspaces if self._account is not None else ()
        mine = {space.organization_id for space in spaces}
        for account in stats.accounts:
            for window in account.windows:
                if window.lane is Lane.USER or window.organization_id in mine:
                    yield window

    def parts(self, rooms: Mapping[int | None, Room], now: float) -> list[str] | None:
        """The parts that the next round reads besides recent time entries; None for everything."""
        if self._last is None or self._account is None:
            return None
        is_overdue = self._read_at is None or now - self._read_at >= HOUR
        parts = list(self._parts(self._last, self._account))
        chosen = parts_that_fit(parts, rooms, self.cost, every=self._every, is_overdue=is_overdue)
        return None if len(chosen) == len(parts) else [part.name for part in chosen]

    @property
    def cost(self) -> Cost:
        """The requests of a round that reads only recent time entries."""
        cost = Cost({None: _AN_OWN_ROUND})
        if self._last is None or self._account is None or ENTRIES.name not in self._last.plan:
            return cost
        rows = Counter[int]()
        for check in self._recent:
            rows[check.workspace_id] += check.rows
        for space in self._account.workspaces:
            # The report, and Toggl's total of it.
            cost[space.organization_id] += 2 + rows[space.id] // _PAGE
        return cost

    def _parts(self, last: Manifest, account: Survey) -> Iterator[Portion]:
        changes = {(one.dataset, one.workspace_id) for one in last.whole_lists}
        for dataset in last.plan.chosen():
            if dataset.source is Source.WORKSPACE:
                cost = Cost()
                for space in account.workspaces:
                    # Changes fit on one page, and so do most lists.
                    cost[space.organization_id] += (
                        1 if (dataset.name, space.id) in changes else list_requests(dataset, account, space)
                    )
                yield Portion(name=dataset.name, as_of=last.datasets[dataset.name].as_of, cost=cost)
        if ENTRIES.name in last.plan:
            entry = last.datasets[ENTRIES.name]
            cost = Cost()
            for space in account.workspaces:
                # Edits and a total of each range.
                cost[space.organization_id] += 2 * self._ranges[space.id]
            yield Portion(name=OLDER, as_of=entry.older_edits_as_of or entry.as_of, cost=cost)
