"""The calendar: which process comes when, and which goes first.

A process that has something to send holds one promised place: "I come at `wakes`". If it asks and isn't
served, it gets the first place that no process of the same or a better level has promised to come for, and
sleeps until then. So one process wakes for each place and takes the turn, and nobody polls.

*Order.* Better levels first. A level that has waited `PATIENCE` without a turn is aged and goes
before all others, once: then it has been served. It is the level that ages, not the single call, or
a crowd of old bulk calls could push an urgent one aside. Within a level, the process with the earlier
promised place goes first.

*Leases.* A waiter whose lease is over is forgotten, and so is one that is known to be dead, as soon as its
place comes near. Both lose only their place.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from toggl_async.scheduler.core import windows
from toggl_async.scheduler.core.limits import LEVELS, SECOND, Demand, Limits, Waiter
from toggl_async.scheduler.core.process import Process

__all__ = [
    "PATIENCE",
    "Rival",
    "Wake",
    "Want",
    "enter",
    "fill_next_place",
    "forget",
    "free_place",
    "rank",
    "rivals",
]

PATIENCE: Final = 180 * SECOND
"""How long a level waits, at most, for one turn; rests and shut windows not counted."""

GRACE: Final = SECOND // 50
"""How much later than promised a process may come at least, however short the interval is."""

SKIPPED: Final = 3
"""The most places that a newcomer leaves to the calls of better levels."""

SHUT: Final = 2 * LEVELS
"""The rank of a process all of whose windows are shut: behind all others."""


class Want(msgspec.Struct, gc=False, frozen=True):
    """The calls of one process that wait at one level for one window.

    Attributes:
        level: their priority.
        window: the name of the quota window that they spend from.
        count: how many they are.
        waited: microseconds since the first of them began to wait.
    """

    level: int
    window: str
    count: int = 1
    waited: int = 0


class Wake(msgspec.Struct, gc=False, frozen=True):
    """A message to pass on: a sleeper should ask again.

    Attributes:
        name: the process.
        after: microseconds from now at which its new place comes.
    """

    name: str
    after: int


class Rival(NamedTuple):
    """A waiting process; they compare as they go."""

    rank: int
    wakes: int
    name: str
    calls: int


def rank(now: int, level: int, since: int) -> int:
    """Return where a line stands: 0 to 2 if aged, else 3 to 5, by level; lower goes first."""
    return level if now - since >= PATIENCE else LEVELS + level


def forget(limits: Limits, now: int, me: Process, opens: int, interval: int) -> None:
    """Forget the waiters whose lease is over, and the dead ones whose place is near."""
    near = opens + interval + interval // 2
    gone = [
        name
        for name, waiter in limits.waiters.items()
        if name != me.name and (waiter.until < now or (waiter.wakes <= near and not me.alive(name)))
    ]
    for name in gone:
        del limits.waiters[name]
    gate = limits.gate
    if gate.probe and (now >= gate.probe_until or not (gate.prober == me.name or me.alive(gate.prober))):
        gate.probe = 0


def rivals(limits: Limits, now: int, me: Process) -> list[Rival]:
    """Return all waiters, each by the best of its lines whose windows are open."""
    found = []
    for name, waiter in limits.waiters.items():
        best, calls = SHUT, 0
        for line in waiter.lines:
            if windows.is_open(limits, line.window, me.reserve):
                best = min(best, rank(now, line.level, line.since))
                calls += line.count
        found.append(Rival(best, waiter.wakes, name, calls))
    return found


def free_place(others: Sequence[Rival], mine: int, opens: int, interval: int) -> int:
    """Return the first place, from `opens` on, that nobody of rank `mine` or better comes for.

    Behind better ones some more are left free, as many as they have calls: they will come again.
    """
    if not interval:
        return opens
    ahead = sum(other.calls for other in others if other.rank < mine)
    place = opens + min(ahead, SKIPPED) * interval
    half = interval // 2
    # A late process still comes: whoever took its place would find it there first.
    for wakes in sorted(max(other.wakes, opens) for other in others if other.rank <= mine):
        if wakes >= place + half:
            break
        if wakes > place - half:
            place += interval
    return place


def enter(limits: Limits, name: str, lines: list[Demand], wakes: int, interval: int) -> None:
    """Let a process wait, until it comes at `wakes`."""
    limits.waiters[name] = Waiter(lines, wakes, wakes + max(GRACE, interval // 2))


def fill_next_place(limits: Limits, now: int, me: Process, opens: int, interval: int) -> Wake | None:
    """Have the best sleeper come for the next place if only worse ones do, or nobody.

    So a place that was given back, a reset, a word that opens a window and the end of a rest wake
    one process. A wake that is lost costs nothing but order: the sleeper comes at its old time.
    """
    best = min(rivals(limits, now, me))
    if best.rank >= SHUT or best.wakes <= opens + interval // 2:
        return None
    if best.name == me.name or not me.tells:
        return None  # it asks again by itself
    waiter = limits.waiters[best.name]
    waiter.wakes = opens
    waiter.until = max(now, opens) + max(GRACE, interval // 2)
    return Wake(best.name, max(0, opens - now))
