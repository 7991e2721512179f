"""The step of an account: one function by which a process enters, takes, leaves, tells and withdraws.

::

            ┌────────────────────── sleep, or woken ───────────────────┐
            ▼                                                          │
    ask(wants, notes) ──▶ a turn: its number, how long to wait ──▶ leaving ──▶ first byte
                     └──▶ no turn: a promised place, how long to sleep

A step does everything at once, so that one transaction of a store takes the turn, reports the news and
promises the next place. Its results are only durations.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from toggl_async.scheduler.core import windows
from toggl_async.scheduler.core.gate import shuts_out
from toggl_async.scheduler.core.limits import LEVELS, SECOND, Demand, Limits
from toggl_async.scheduler.core.notes import Note, apply
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.turns import LATE, give_back, interval_of, near_enough, opening, take
from toggl_async.scheduler.core.waiters import (
    SHUT,
    Rival,
    Wake,
    Want,
    enter,
    fill_next_place,
    forget,
    free_place,
    rank,
    rivals,
)

__all__ = ["Departure", "Elsewhere", "Grant", "View", "WindowView", "ask", "leaving", "view"]

LONGEST_SLEEP: Final = 60 * SECOND
"""How long a process sleeps at most before a shut window: other programs, too, learn of resets."""


class WindowView(msgspec.Struct, gc=False, frozen=True):
    """A quota window as a process sees it; durations in microseconds, None when unknown.

    Attributes:
        left: requests that may go now: those under way and the reserve are taken off.
        hope: requests that may go before the reset, as far as can be hoped.
        resets_in: microseconds to the reset.
        total: requests that a whole window allows.
        remaining: requests left by Toggl's last word.
    """

    left: int | None
    hope: int | None
    resets_in: int | None
    total: int | None
    remaining: int | None = None


class Elsewhere(msgspec.Struct, gc=False, frozen=True):
    """The calls of another process that wait at one level for one window.

    Attributes:
        process: its name.
        level: their priority.
        window: the name of the quota window that they spend from.
        count: how many they are.
        age: microseconds since the first of them began to wait, or their level was last served.
    """

    process: str
    level: int
    window: str
    count: int
    age: int


class View(msgspec.Struct, gc=False, frozen=True):
    """An account as a process sees it: durations in microseconds, never instants.

    Attributes:
        opens_in: until the next slot.
        interval: between two slots.
        rest: of the rest after a 429 that is still to come; 0 when the gate is open.
        probing: whether a probe is under way, whose answer decides.
        windows: the quota windows that are known.
        others: what other processes have waiting, as far as they are known to live.
        ages: level, window and age of this process's lines; rests and shut windows don't age them.
        unserved: since each level had its latest turn.
        cold: the generation of what is kept beside the limits.
    """

    opens_in: int
    interval: int
    rest: int
    probing: bool
    windows: dict[str, WindowView]
    others: list[Elsewhere]
    ages: list[tuple[int, str, int]]
    unserved: list[int]
    cold: int


class Grant(msgspec.Struct, gc=False):
    """What a step gave.

    Attributes:
        number: the turn; 0 for none.
        level: whose turn it is, of the wants.
        window: the quota window that the turn spends from.
        probe: whether it is the one that tries whether a rest is over.
        wait: microseconds to wait before leaving.
        sleep: microseconds to sleep before asking again; None when nothing more is wanted.
        cold: the generation of what is kept beside the limits.
        view: the account, where something still waits.
    """

    number: int = 0
    level: int = 0
    window: str = ""
    probe: bool = False
    wait: int = 0
    sleep: int | None = None
    cold: int = 0
    view: View | None = None


class Departure(msgspec.Struct, gc=False, frozen=True):
    """The answer to a last look: `number` 0 sends the call back to its queue; `wait` in microseconds."""

    number: int
    wait: int = 0


_NO_WAKES: Final[tuple[Wake, ...]] = ()


def ask(
    limits: Limits, now: int, me: Process, wants: Sequence[Want], notes: Sequence[Note] = ()
) -> tuple[Grant, Sequence[Wake]]:
    """Apply notes, give a turn if it is this process's, and promise a place for what is still wanted.

    Args:
        limits: changed in place.
        now: the store's clock, in microseconds.
        me: the process.
        wants: its lines of waiting calls, the one first whose first call came first; none withdraws it.
        notes: what it has to tell.
    """
    now = limits.advance(now)
    wakes: Sequence[Wake] = _NO_WAKES
    for note in notes:
        if (wake := apply(limits, now, me, note)) is not None:
            wakes = (*wakes, wake)
    windows.sweep(limits, now)
    if not limits.waiters and not limits.gate.probe:
        if not wants:
            return Grant(cold=limits.cold), wakes
        if len(wants) == 1 and wants[0].count == 1:
            answer = _alone(limits, now, me, wants[0])
            if answer is not None:
                return answer, wakes
    return _among_others(limits, now, me, wants, wakes)


def _alone(limits: Limits, now: int, me: Process, want: Want) -> Grant | None:
    """Give a turn by the short way: one call, nobody who waits, nothing in its way.

    It gives what `_among_others` would give, which the tests show, and costs a fifth.
    """
    if not windows.is_open(limits, want.window, me.reserve):
        return None
    interval = interval_of(limits, me)
    opens = opening(limits, now, me, interval)
    if not near_enough(want.level, opens - now, interval, me.lag):
        return None
    number = take(limits, now, me, want.level, want.window, opens)
    return Grant(number, want.level, want.window, limits.gate.probing, opens - now, None, limits.cold)


def _among_others(
    limits: Limits, now: int, me: Process, wants: Sequence[Want], wakes: Sequence[Wake]
) -> tuple[Grant, Sequence[Wake]]:
    """Give a turn by the long way."""
    interval = interval_of(limits, me)
    opens = opening(limits, now, me, interval)
    forget(limits, now, me, opens, interval)
    mine = limits.waiters.pop(me.name, None)
    lines = _lines(limits, now, wants, mine.lines if mine else ())
    others = rivals(limits, now, me)
    answer = Grant(cold=limits.cold)
    chosen = _choose(limits, now, me, lines)
    if chosen is not None and not limits.gate.probe:
        standing = rank(now, chosen.level, chosen.since)
        # A process that comes after its lease has lost its place, but keeps its age.
        comes = mine is not None and mine.until >= now
        wanted = mine.wakes if mine and comes else free_place(others, standing, opens, interval)
        if near_enough(chosen.level, opens - now, interval, me.lag) and not _outranked(
            others, Rival(standing, wanted, me.name, 0), opens, interval, me
        ):
            answer.probe = limits.gate.probing
            answer.number = take(limits, now, me, chosen.level, chosen.window, opens)
            answer.level, answer.window, answer.wait = chosen.level, chosen.window, opens - now
            opens = opening(limits, now, me, interval)
            chosen.count -= 1
            for line in lines:
                if line.level == chosen.level:
                    line.since = max(line.since, limits.slot)
            lines = [line for line in lines if line.count]
            others = rivals(limits, now, me) if others else others
    look = now
    if lines:
        look = _promise(limits, now, me, lines, others, opens, interval)
    if others and not limits.gate.probe:
        wake = fill_next_place(limits, now, me, opens, interval)
        if wake is not None:
            wakes = (*wakes, wake)
    if lines:
        answer.sleep = max(0, look - now - me.lag)
        answer.view = view(limits, now, me)
    return answer, wakes


def _lines(limits: Limits, now: int, wants: Sequence[Want], known: Sequence[Demand]) -> list[Demand]:
    """Return what a process wants as lines of the calendar.

    A line that stands there already keeps its age, from which rests and shut windows were taken off;
    one that comes during a rest does not age before its end.
    """
    ages = {(line.level, line.window): line.since for line in known}
    lines = []
    for want in wants:
        since = ages.get((want.level, want.window))
        if since is None:
            since = max(now, limits.gate.until) - max(0, want.waited)
        lines.append(Demand(want.level, want.window, want.count, max(since, limits.served[want.level])))
    return lines


def _choose(limits: Limits, now: int, me: Process, lines: Sequence[Demand]) -> Demand | None:
    """Return this process's best line whose window is open; among equals, the first in its own order."""
    best, found = SHUT, None
    for line in lines:
        if windows.is_open(limits, line.window, me.reserve):
            standing = rank(now, line.level, line.since)
            if standing < best:
                best, found = standing, line
    return found


def _outranked(others: Sequence[Rival], mine: Rival, opens: int, interval: int, me: Process) -> bool:
    """Say whether another process goes first: it comes by then and is ahead, or it can be woken."""
    if not interval:
        return False
    return any(
        other.rank < SHUT
        and (
            (other.wakes <= opens + interval // 2 and other[:3] < mine[:3])
            or (me.tells and other.rank < mine.rank)
        )
        for other in others
    )


def _promise(
    limits: Limits,
    now: int,
    me: Process,
    lines: list[Demand],
    others: Sequence[Rival],
    opens: int,
    interval: int,
) -> int:
    """Enter the calendar; return when to look again."""
    chosen = _choose(limits, now, me, lines)
    if chosen is None:
        resets = [reset for line in lines if (reset := limits.windows[line.window].reset_at) is not None]
        # Without a reset it is an answer that decides, and its note wakes us.
        opens = max(opens, min(resets, default=now + LONGEST_SLEEP))
        standing = SHUT
    else:
        standing = rank(now, chosen.level, chosen.since)
    place = free_place(others, standing, opens, interval)
    look = place if chosen else min(place, now + LONGEST_SLEEP)
    gate = limits.gate
    if gate.probe:
        # Look again after as long as the probe has been out, which doubles each time, until its lease
        # ends. Then, too, each process comes at a place of its own.
        doubled = now + max(interval, now - gate.probe_at)
        look = min(max(place, doubled), max(now, gate.probe_until) + place - opens)
    # It counts among the others by when it looks, not by a place that it won't come for: else they
    # would wait for it in vain.
    enter(limits, me.name, lines, look, interval)
    return look


def leaving(
    limits: Limits, now: int, me: Process, number: int, level: int, window: str
) -> tuple[Departure, Sequence[Wake]]:
    """Look a last time before the first byte of a turn that is late, was given ahead, or met a 429.

    The latest turn moves its slot to now, so that spacing counts from the send; or to when it will have
    heard so, where a store takes time to answer. One that others have passed gets a new number behind
    them; it goes back to its queue where that would be too far ahead, or if somebody better is due, or
    to wait for its next own place where this process is alone. So it does while the gate is shut to it,
    and when its window has nothing left.
    """
    now = limits.advance(now)
    windows.sweep(limits, now)
    if shuts_out(limits.gate, now, number) or windows.overdrawn(limits, window, me.reserve, number):
        return _back(limits, now, me, number, window)
    interval = interval_of(limits, me)
    if number == limits.number:
        if limits.slot <= now + me.lag:
            if limits.closed and now - limits.slot > LATE and limits.closed + interval > now + me.lag:
                # A store closed meanwhile, or this process is alone: what leaves late meets another's.
                return _back(limits, now, me, number, window)
            limits.slot = limits.served[level] = now + me.lag
        return Departure(number, limits.slot - now), _NO_WAKES
    if number == limits.number - 1 and now - limits.before <= min(LATE, interval // 100):
        # The next turn was given ahead, but this one is in time: nobody has passed it.
        return Departure(number, max(0, limits.before - now)), _NO_WAKES
    opens = opening(limits, now, me, interval)
    due = opens + interval // 2
    better = any(other.rank < LEVELS + level and other.wakes <= due for other in rivals(limits, now, me))
    if better or opens - now > interval:
        return _back(limits, now, me, number, window)
    windows.withdraw(limits, window, number)
    if windows.overdrawn(limits, window, me.reserve, limits.number + 1):
        return _back(limits, now, me, number, window)  # who passed it has taken what was left
    return Departure(take(limits, now, me, level, window, opens), opens - now), _NO_WAKES


def _back(
    limits: Limits, now: int, me: Process, number: int, window: str
) -> tuple[Departure, Sequence[Wake]]:
    """Send a turn back to its queue, and let the best sleeper have its place."""
    windows.withdraw(limits, window, number)
    give_back(limits, number)
    if number == limits.gate.probe:
        limits.gate.probe = 0
    if limits.waiters and not limits.gate.probe:
        interval = interval_of(limits, me)
        wake = fill_next_place(limits, now, me, opening(limits, now, me, interval), interval)
        if wake is not None:
            return Departure(0), (wake,)
    return Departure(0), _NO_WAKES


def view(limits: Limits, now: int, me: Process) -> View:
    """Return the account as a process sees it; `now` is the time of the limits."""
    interval = interval_of(limits, me)
    return View(
        opens_in=max(0, opening(limits, now, me, interval) - now),
        interval=interval,
        rest=max(0, limits.gate.until - now),
        probing=bool(limits.gate.probe),
        windows={
            name: WindowView(
                windows.left(window, me.reserve),
                windows.hope(window, me.reserve),
                None if window.reset_at is None else window.reset_at - now,
                window.total,
                window.remaining,
            )
            for name, window in limits.windows.items()
        },
        others=[
            Elsewhere(name, line.level, line.window, line.count, now - line.since)
            for name, waiter in limits.waiters.items()
            if name != me.name and me.alive(name)
            for line in waiter.lines
        ],
        ages=[
            (line.level, line.window, now - line.since)
            for line in (limits.waiters[me.name].lines if me.name in limits.waiters else ())
        ],
        unserved=[now - at for at in limits.served],
        cold=limits.cold,
    )
