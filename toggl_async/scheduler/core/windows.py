"""The hourly quotas.

What Toggl does: it counts requests by user and organization, and those of ``/me`` by user alone. A
window opens with its first request and is full again an hour later. Every answer may say how much is
left *of the window that it was counted in*, without naming it; a 402 says that nothing is. The
user's other programs spend from the same windows.

What we do: one `Window` for each quota that an account was seen to spend. Toggl's word always
replaces the model's; between two words, requests under way count as spent, so that eight at once do
not overrun three remaining. After the reset a window is taken to be full: by its total if that is
known, else without a number.

Answers overtake each other. The answer to the request that left last counts; an earlier one counts only if it
says that less is left. So a wrong header has an effect only until the next answer.

Which organization a workspace belongs to is not in its URL. Until a record says so, its window goes
by the workspace (``"workspace:7"``); then it merges into the organization's (`merge`).
"""

from typing import Final

from toggl_async.scheduler.core.limits import SECOND, Limits, Window
from toggl_async.scheduler.core.process import Process

__all__ = [
    "HOUR",
    "RESET_MARGIN",
    "UNKNOWN_RESET",
    "exhaust",
    "hope",
    "is_open",
    "learn",
    "left",
    "merge",
    "overdrawn",
    "settle",
    "shift",
    "spend",
    "state",
    "sweep",
    "withdraw",
]

HOUR: Final = 3600 * SECOND
"""How long a window lasts."""
RESET_MARGIN: Final = SECOND
"""Added to a reset that Toggl announced in whole seconds, so as not to come a moment early."""
SPREAD: Final = 10 * SECOND
"""The most that chance adds to a reset: programs that share nothing would all come in one second."""
UNKNOWN_RESET: Final = 60 * SECOND
"""How long to wait after a quota 402 that did not say when its window resets."""

_SAME: Final = 30 * SECOND
"""By how much two announcements of one reset may differ: slow answers make them late."""


def left(window: Window, reserve: int) -> int | None:
    """Return how many more requests may be sent now; None when that is unknown."""
    if window.remaining is None:
        return None
    return max(0, window.remaining - len(window.flying) - _kept(window, reserve))


def hope(window: Window, reserve: int) -> int | None:
    """Return how many more requests may go before the reset; None when that is unknown.

    The last word may have counted what left before it and is still under way; `left` says that it
    has not, this says that it has. What lies between has to be waited for.
    """
    if window.remaining is None:
        return None
    later = sum(number > window.word for number in window.flying)
    return max(0, window.remaining - later - _kept(window, reserve))


def is_open(limits: Limits, name: str, reserve: int) -> bool:
    """Say whether one more request may be sent now."""
    window = limits.windows.get(name)
    return window is None or window.remaining is None or left(window, reserve) != 0


def overdrawn(limits: Limits, name: str, reserve: int, number: int) -> bool:
    """Say whether a turn that has not left yet finds nothing left for it."""
    window = limits.windows.get(name)
    if window is None or window.remaining is None:
        return False
    before = sum(window.word < other < number for other in window.flying)
    return before >= window.remaining - _kept(window, reserve)


def spend(limits: Limits, now: int, me: Process, name: str, number: int) -> None:
    """Count a turn as under way. The first one opens the window, for all that is known."""
    window = limits.windows.get(name)
    if window is None:
        window = limits.windows[name] = Window()
    window.flying[number] = now + me.lease
    if window.reset_at is None and window.remaining is not None:
        window.spread = int(SPREAD * me.chance)
        window.reset_at = now + HOUR + RESET_MARGIN + window.spread
        window.word = number - 1  # what left earlier was counted in the window before
    if window.remaining is not None:
        _note_shut(window, max(now, limits.gate.until))


def withdraw(limits: Limits, name: str, number: int) -> None:
    """Take back a turn that was not used."""
    window = limits.windows.get(name)
    if window is not None:
        window.flying.pop(number, None)


def settle(window: Window, number: int) -> None:
    """Count a turn as answered, or given up, and its request as spent."""
    flying, settled = window.flying, window.settled
    if flying.pop(number, None) is None:
        return  # its lease ended before its answer came: it has been counted
    if number > window.word and window.remaining:
        window.remaining -= 1
    if flying:
        # The words of what left earlier are still to come, and won't have counted this one.
        oldest = min(number, *flying)
        window.settled = [other for other in (*settled, number) if other > oldest]
    elif settled:
        window.settled = [other for other in settled if other > number]


def learn(window: Window, now: int, me: Process, number: int, remaining: int, resets_in: int) -> None:
    """Take Toggl's word from the answer to a turn that has been settled.

    Args:
        window: the window that the request was counted in.
        now: the time of the limits.
        me: whose chance spreads a new reset.
        number: the turn.
        remaining: requests left; negative while Toggl does not enforce the quota.
        resets_in: microseconds until the reset.
    """
    announced = now + resets_in + RESET_MARGIN
    known = None if window.reset_at is None else window.reset_at - window.spread
    is_later = number > window.word
    if not is_later and announced < (now + _SAME if known is None else known - _SAME):
        return  # the word of a window that is over
    if remaining < 0:
        if is_later:
            window.remaining = window.reset_at = None
            window.word = number
        return
    remaining = max(0, remaining - sum(other > number for other in window.settled))
    if _set_reset(window, announced, me) and not is_later and window.remaining is not None:
        remaining = min(remaining, window.remaining)
    window.remaining = remaining
    window.word = max(window.word, number)


def exhaust(window: Window, now: int, me: Process, number: int, resets_in: int | None) -> None:
    """Take a quota 402: nothing is left until the reset."""
    if resets_in is not None:
        learn(window, now, me, number, 0, resets_in)
    elif window.reset_at is None:
        learn(window, now, me, number, 0, UNKNOWN_RESET)
    elif number > window.word:
        window.remaining, window.word = 0, number


def state(
    limits: Limits, now: int, me: Process, name: str, *, remaining: int, resets_in: int, total: int | None
) -> None:
    """Take a row of ``GET /me/quota``: it is about the present, and overrules everything."""
    window = limits.windows.setdefault(name, Window())
    window.total = total
    window.word = limits.number
    if remaining < 0:
        window.remaining = window.reset_at = None
    else:
        _set_reset(window, now + resets_in + RESET_MARGIN, me)
        window.remaining = remaining


def _set_reset(window: Window, announced: int, me: Process) -> bool:
    """Take an announced reset; say whether it is the one that is known.

    Chance is drawn once for each reset. It is part of what calls wait for, and of what `max_wait` is compared
    with: drawn again with each word, it would refuse calls that had been told that they can go.
    """
    known = None if window.reset_at is None else window.reset_at - window.spread
    if known is not None and abs(announced - known) <= _SAME:
        window.reset_at = min(announced, known) + window.spread
        return True
    window.spread = int(SPREAD * me.chance)
    window.reset_at = announced + window.spread
    return False


def merge(limits: Limits, old: str, lasting: str) -> None:
    """Make two windows one that turned out to be the same quota: the less that is left holds."""
    gone = limits.windows.pop(old, None)
    for waiter in limits.waiters.values():
        for line in waiter.lines:
            if line.window == old:
                line.window = lasting
    if gone is None:
        return
    window = limits.windows.setdefault(lasting, gone)
    if window is gone:
        return
    window.flying |= gone.flying
    window.settled = sorted({*window.settled, *gone.settled})
    window.word = min(window.word, gone.word)
    window.total = window.total if gone.total is None else gone.total
    window.shut_at = max(window.shut_at, gone.shut_at)
    if window.remaining is None or (gone.remaining is not None and gone.remaining < window.remaining):
        window.remaining = gone.remaining
    if window.reset_at is None or (gone.reset_at is not None and gone.reset_at > window.reset_at):
        window.reset_at, window.spread = gone.reset_at, gone.spread


def shift(limits: Limits, by: int) -> None:
    """Bring all resets nearer: the process's clock stood still while the world's went on."""
    for window in limits.windows.values():
        if window.reset_at is not None:
            window.reset_at -= by


def sweep(limits: Limits, now: int) -> None:
    """Start the windows over whose reset has come, and give up on requests under way for too long.

    In every step and for all of them: what expires only where it is in the way, makes the value grow.
    """
    idle = None
    for name, window in limits.windows.items():
        while window.flying:
            number = next(iter(window.flying))
            if window.flying[number] > now:
                break
            settle(window, number)
        if window.reset_at is not None:
            if now >= window.reset_at:
                window.remaining, window.reset_at = window.total, None
                window.word = limits.number
        elif window.total is None and window.remaining is None and not window.flying:
            idle = name
        if window.remaining is None and not window.shut_at:
            continue  # it has not been shut, for all that is known
        _note_shut(window, max(now, limits.gate.until))
        if window.shut_at and not _is_spent(window):
            _excuse(limits, now, name, window.shut_at)
            window.shut_at = 0
    if idle is not None:
        del limits.windows[idle]


def _is_spent(window: Window) -> bool:
    return window.remaining is not None and window.remaining <= len(window.flying)


def _note_shut(window: Window, now: int) -> None:
    if not window.shut_at and _is_spent(window):
        window.shut_at = now or 1  # 0 says that it is not shut, and clocks begin there


def _excuse(limits: Limits, now: int, name: str, shut_at: int) -> None:
    """Don't count as starving that a window was shut.

    The time is taken off, and doesn't start over: a window of 30 an hour is open for half a minute,
    and whoever is never among the first 30 would wait forever.
    """
    opens = max(now, limits.gate.until)  # a rest has been taken off already, and has moved `shut_at`
    for waiter in limits.waiters.values():
        for line in waiter.lines:
            if line.window == name:
                line.since += max(0, opens - max(shut_at, line.since))


def _kept(window: Window, reserve: int) -> int:
    """Return the reserve; never all of a window, or nothing would ever go."""
    return reserve if window.total is None else min(reserve, max(0, window.total - 1))
