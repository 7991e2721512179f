"""The rules of a process that can't reach the store: it continues alone, in its own place of the round.

The store had promised a place to each process that waited, and no two had the same. So each continues from
there, with one turn in as many intervals as there were processes::

    place   0   1   2   3   4   5   6   7
    p0      ●           ●           ●
    p1          ●           ●           ●
    p2              ●           ●

A slower pace alone would not do: processes collide by phase. A late turn, too, has to wait for the
next place of its own, or it would move the phase, and two would collide on and on.

The limits that were last seen stay in use, on the process's own clock, but without the calendar of the other
processes.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from toggl_async.scheduler.core.limits import SECOND, Limits, Window
from toggl_async.scheduler.core.turns import LATE
from toggl_async.scheduler.core.waiters import Wake

__all__ = [
    "CLOSED",
    "Round",
    "bring_back",
    "draw",
    "forgot",
    "go_alone",
    "interval_by",
    "is_on_its_way",
    "make_place",
    "place_after",
    "places_in",
]

CLOSED: Final = 3 * SECOND
"""How long a store stays closed that lost its memory, or that hung foreverybody: those who went on
alone have noticed by then that it is back."""

_FAR: Final = 1000 * 3600 * SECOND
_LATE: Final = 20
"""A turn that is later than this part of an interval has missed its place, and so has one that is later
than the pace's margin may be used up."""
_SLACK: Final = 2
"""By what part of an interval a round is longer than its places. A late process moves what is promised after
it, by half an interval at most, so the last of a round may have been promised that much later."""
_EARLY: Final = 4
"""By what part of an interval to come before one's place: a timer can be late, and a turn that is given
a little ahead still leaves in time."""


class Round(msgspec.Struct, gc=False):
    """Whose places a process that is alone keeps to.

    Attributes:
        anchor: one of them, in the time of the limits; None until it is drawn (`draw`).
        others: how many other processes go on alone at the same time.
    """

    anchor: int | None
    others: int


def go_alone(limits: Limits, name: str, departed: int | None) -> Round:
    """Take the others out of the limits that were seen last; return this process's own places.

    Args:
        limits: changed in place.
        name: that of this process.
        departed: the slot of its latest turn, if it was promised no place; None if it never had a turn.
    """
    limits.skew = 0  # what this process's clock reads from now on is the time of the limits itself
    places = places_in(limits, name, departed)
    mine = limits.waiters.get(name)
    limits.waiters.clear()
    if mine is not None:
        limits.waiters[name] = mine
    if limits.gate.prober != name:
        limits.gate.probe = 0
    return places


def places_in(limits: Limits, name: str, departed: int | None) -> Round:
    """Return a process's own places by the limits; `departed` as for `go_alone`."""
    mine = limits.waiters.get(name)
    others = len(limits.waiters) - (mine is not None)
    return Round(mine.wakes if mine is not None else departed, others)


def is_on_its_way(round_: Round, now: int, interval: int) -> bool:
    """Say whether a process is still in the round, or comes only now: then it has no place in it."""
    return round_.anchor is not None and now <= round_.anchor + _length(round_, interval)


def draw(round_: Round, limits: Limits, now: int, interval: int, chance: float) -> None:
    """Draw the places of a process that never had a turn, and was promised no place."""
    if round_.anchor is None:
        round_.anchor = now + int(interval * (round_.others + 1) * chance)
        limits.slot = max(limits.slot, round_.anchor - interval)


def interval_by(
    step: Callable[[Limits, int], tuple[Limits, object, Sequence[Wake]]], added: float, now: int, name: str
) -> int | None:
    """Return the interval that a step keeps; None if it wants nothing.

    The interval is an option of the process, so it stands in no stored value. But a step is pure and
    may run twice: on limits that open in the far future it promises the first place after them.
    """
    limits = Limits.new(now)
    limits.added = added
    limits.closed = opens = now + _FAR
    limits, _, _ = step(limits, now)
    mine = limits.waiters.get(name)
    return mine.wakes - opens if mine is not None and mine.wakes >= opens else None


def place_after(round_: Round, limits: Limits, now: int, interval: int) -> int:
    """Return the process's next place, in the time of the limits."""
    earliest = max(now - min(interval // _LATE, LATE), limits.slot + interval // 2, limits.gate.until)
    if not interval or not round_.others or round_.anchor is None:
        return max(earliest, now)
    length = _length(round_, interval)
    return round_.anchor + max(0, -((round_.anchor - earliest) // length)) * length


def _length(round_: Round, interval: int) -> int:
    return interval * (round_.others + 1) + interval // _SLACK


def make_place(round_: Round, limits: Limits, now: int, interval: int) -> None:
    """Prepare the limits for a step, so that the next slot that it sees is the process's own next place."""
    missed = limits.slot + (interval // _LATE if round_.others else interval) < now
    if missed:
        # Turns taken alone must not have the numbers of turns that the store gives to others. Times
        # are greater: it counted from the time at which its memory began.
        limits.number = max(limits.number, now)
    if not interval or not round_.others:
        limits.closed = 0
        return
    place = place_after(round_, limits, now, interval)
    early = interval // _EARLY
    closed = place - interval - (early if place - now > interval + early else 0)
    limits.closed = closed or -1  # 0 says that nothing is closed, and clocks begin there


def forgot(limits: Limits, before: int, time: int) -> bool:
    """Say whether a store has just lost what it knew, or the newest of it.

    Args:
        limits: what it knows.
        before: the last slot but one that it told of; a turn that is given back leads there, and no further.
        time: that of the limits. A memory that begins now has the number of this moment.
    """
    return limits.slot < before or limits.number == time


def is_another(limits: Limits, highest: int) -> bool:
    """Say whether limits may be of another memory than those in which turn `highest` was the latest.

    Each memory counts from its own beginning, in microseconds, which no turns catch up with.
    """
    return limits.number - highest > SECOND


def bring_back(limits: Limits, mine: Limits, ahead: int) -> None:
    """Tell stored limits what was learned while they could not be reached, or what they have lost.

    Args:
        limits: those of the store, changed in place.
        mine: those that were kept meanwhile.
        ahead: what to add to an instant of theirs.
    """
    # Later words must have later numbers, for those whose turns were given alone, too.
    limits.number = max(limits.number, mine.number)
    limits.added = max(limits.added, mine.added)
    gate = limits.gate
    if mine.gate.probing and mine.gate.until + ahead > gate.until:
        gate.until = mine.gate.until + ahead
        gate.probing, gate.number = True, limits.number
    for name, window in mine.windows.items():
        known = limits.windows.get(name)
        if known is None or window.word > known.word:
            limits.windows[name] = Window(
                remaining=window.remaining,
                reset_at=None if window.reset_at is None else window.reset_at + ahead,
                word=window.word,
                total=window.total if window.total is not None or known is None else known.total,
                flying={} if known is None else known.flying,
                settled=[] if known is None else known.settled,
                spread=window.spread,
            )
