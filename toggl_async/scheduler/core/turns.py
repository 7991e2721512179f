"""How far apart the requests of one account leave, and who has a turn.

What Toggl does: one leaky bucket a token, emptied at about one request a second, with a burst that
it does not promise. Overflowing it costs a 429 and minutes; a margin costs milliseconds.

What we do: a turn has a number and a slot, the instant at which its request leaves. The next slot is
never nearer to it than the interval. A turn may be given a little before its slot, which spares a
store a transaction; but what has been given can no longer be overtaken, so only as early as leaves
one given turn, at most, before somebody more urgent.

The interval learns. A 429 widens it: first by a tenth (what network jitter of 5 % needs on a strict
bucket; a smaller step only costs another rest of minutes), then by doubling (another program may
take a third of the bucket). It narrows back only after a calm stretch and slowly: what a refusal
taught must not be forgotten before it has paid for itself.

`take` alone writes a turn, and `near_enough` alone says how early: whatever way leads to them, the
spacing is theirs.
"""

from typing import Final

from toggl_async.options import Priority
from toggl_async.scheduler.core import windows
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.process import Process

__all__ = [
    "LATE",
    "PROBE_LEASE",
    "give_back",
    "interval_of",
    "narrow",
    "near_enough",
    "opening",
    "take",
    "widen",
]

FIRST_STEP: Final = 0.1
"""Least share of the interval that a 429 adds."""
GROWTH: Final = 2.0
"""What a 429 multiplies the added share by."""
WIDEST: Final = 4.0
"""The most that is ever added, as a share of the interval."""
CALM: Final = 50
"""Answers without a 429 before the interval begins to narrow."""
DECAY: Final = 0.998
"""What each further answer multiplies the added share by."""
NOTHING: Final = 0.001
"""An added share that is not worth remembering."""

LATE: Final = SECOND // 200
"""How much later than its slot a turn may leave without being passed by the next; the pace's margin,
by default 20 ms, is there for this."""

PROBE_LEASE: Final = 5 * SECOND
"""How long a probe may give no sign of life. Its process renews it every 2 s (`gate.keep_probe`): were
the lease as long as a request may take, one kill would stop everybody for a minute."""


def interval_of(limits: Limits, me: Process) -> int:
    """Return the microseconds between two requests, as things stand."""
    if not limits.added:
        return me.interval
    return me.interval + int(me.base * limits.added)


def opening(limits: Limits, now: int, me: Process, interval: int) -> int:
    """Return the next slot: the first instant at which one more request may leave."""
    opens = max(limits.slot + interval, limits.gate.until, now + me.lag)
    if limits.closed:
        # An interval after the opening: whoever is alone may send its last just before it.
        opens = max(opens, limits.closed + interval)
    return opens


def near_enough(level: int, ahead: int, interval: int, lag: int) -> bool:
    """Say whether a turn whose slot is so far ahead may be given now."""
    # Nothing outranks INTERACTIVE, so a whole interval early takes nobody's place.
    return ahead <= max(lag, interval if level == Priority.INTERACTIVE else interval // 2)


def take(limits: Limits, now: int, me: Process, level: int, window: str, slot: int) -> int:
    """Give a turn; return its number. After a rest it is the probe."""
    limits.number = number = limits.number + 1
    limits.before, limits.slot = limits.slot, slot
    limits.holder = me.name
    limits.served[level] = slot
    for waiter in limits.waiters.values():
        for line in waiter.lines:
            if line.level == level:
                line.since = max(line.since, slot)  # the level has been served, whoever it was
    windows.spend(limits, now, me, window, number)
    gate = limits.gate
    if gate.probing:
        gate.probe, gate.prober = number, me.name
        gate.probe_at, gate.probe_until = slot, slot + PROBE_LEASE
    return number


def give_back(limits: Limits, number: int) -> None:
    """Free the slot of a turn that won't be used. Only the latest can be: others have built on it."""
    if number == limits.number:
        limits.slot = limits.before
        limits.holder = ""


def widen(limits: Limits) -> None:
    """Learn from a 429 that the pace was too fast."""
    limits.added = min(WIDEST, max(limits.added * GROWTH, FIRST_STEP))


def narrow(limits: Limits) -> None:
    """Learn from an answer that the pace is slow enough."""
    if limits.calm < CALM:
        limits.calm += 1
    elif limits.added:
        limits.added = limits.added * DECAY if limits.added > NOTHING else 0.0
