"""The news of a process: notes that go with its next step, or on their own if there is none.

Each note names its turn. Numbers grow even if the store was emptied since, so a turn of before is older than
all that came after.
"""

from typing import Final, TypeAlias

import msgspec

from toggl_async.scheduler.core import gate, turns, windows
from toggl_async.scheduler.core.limits import Limits, Window
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.waiters import Wake

__all__ = [
    "Alive",
    "AnswerTold",
    "Learned",
    "LossTold",
    "Note",
    "OrganizationFound",
    "QuotaTold",
    "Slept",
    "Throttled",
    "Unused",
    "apply",
]


class AnswerTold(msgspec.Struct, gc=False, frozen=True):
    """An answer other than a 429.

    Attributes:
        number: the turn.
        window: the quota window that it was counted in.
        remaining: requests left by Toggl's word; None when not said.
        resets_in: microseconds to the reset; None when not said.
        exhausted: whether it is a quota 402: nothing is left, whatever else it says.
        calm: whether it shows that the pace is slow enough; a 5xx shows nothing.
    """

    number: int
    window: str
    remaining: int | None = None
    resets_in: int | None = None
    exhausted: bool = False
    calm: bool = True


class Throttled(msgspec.Struct, gc=False, frozen=True):
    """A 429; `retry_after` in microseconds, None when not said."""

    number: int
    window: str
    retry_after: int | None = None


class LossTold(msgspec.Struct, gc=False, frozen=True):
    """A request that may have left and brought no answer: Toggl may have counted it."""

    number: int
    window: str


class Unused(msgspec.Struct, gc=False, frozen=True):
    """A turn whose request never left."""

    number: int
    window: str


class Alive(msgspec.Struct, gc=False, frozen=True):
    """The process that probes is alive; sent every 2 s while the answer is awaited."""


class QuotaTold(msgspec.Struct, gc=False, frozen=True):
    """A row of ``GET /me/quota``; `resets_in` in microseconds, `total` None when not said."""

    window: str
    remaining: int
    resets_in: int
    total: int | None = None


class OrganizationFound(msgspec.Struct, gc=False, frozen=True):
    """Two windows are one: that of a workspace, and that of the organization that it belongs to."""

    old: str
    lasting: str


class Learned(msgspec.Struct, gc=False, frozen=True):
    """Something was learned that is kept beside the limits: a refusal, or an organization."""


class Slept(msgspec.Struct, gc=False, frozen=True):
    """The process's own clock stood still for so many microseconds, as that of a laptop asleep."""

    by: int


Note: TypeAlias = (
    AnswerTold | Throttled | LossTold | Unused | Alive | QuotaTold | OrganizationFound | Learned | Slept
)

_NOBODY: Final = ""


def apply(limits: Limits, now: int, me: Process, note: Note) -> Wake | None:
    """Change the limits by a note; return whom to wake because of it, if anybody."""
    if isinstance(note, AnswerTold):  # by far the most frequent; `match` would try each class in turn
        _answered(limits, now, me, note)
        return None
    match note:
        case Throttled():
            return _throttled(limits, now, me, note)
        case LossTold(number, window):
            gate.probe_gone(limits.gate, number)
            if (known := limits.windows.get(window)) is not None:
                windows.settle(known, number)
        case Unused(number, window):
            gate.probe_gone(limits.gate, number)
            windows.withdraw(limits, window, number)
            turns.give_back(limits, number)
        case Alive():
            gate.keep_probe(limits.gate, now, me.name)
        case QuotaTold(window, remaining, resets_in, total):
            windows.state(limits, now, me, window, remaining=remaining, resets_in=resets_in, total=total)
        case OrganizationFound(old, lasting):
            windows.merge(limits, old, lasting)
            limits.cold += 1
        case Learned():
            limits.cold += 1
        case _:
            windows.shift(limits, note.by)
    return None


def _answered(limits: Limits, now: int, me: Process, note: AnswerTold) -> None:
    number = note.number
    if limits.gate.probing:
        gate.probe_answered(limits.gate, number)
    window = limits.windows.get(note.window)
    if window is None and (note.remaining is not None or note.exhausted):
        window = limits.windows[note.window] = Window()  # the memory in which it was granted is lost
    if window is not None:
        windows.settle(window, number)
        if note.exhausted:
            windows.exhaust(window, now, me, number, note.resets_in)
        elif note.remaining is not None and note.resets_in is not None:
            windows.learn(window, now, me, number, note.remaining, note.resets_in)
    if note.calm:
        turns.narrow(limits)


def _throttled(limits: Limits, now: int, me: Process, note: Throttled) -> Wake | None:
    if (window := limits.windows.get(note.window)) is not None:
        windows.settle(window, note.number)
    gate.rest(limits, now, me, note.number, note.retry_after)
    # A turn that was given ahead must not be used: its process looks again before the first byte.
    if limits.slot > now and limits.holder not in {_NOBODY, me.name}:
        return Wake(limits.holder, 0)
    return None
