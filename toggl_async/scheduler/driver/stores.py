"""What a driver does differently if its budget is a store: transactions take time, and add up.

So notes travel with the next step, unless others would go wrong without them; and a step is taken early, by
the time that the store needs to answer.
"""

from typing import Final

from toggl_async.scheduler.core.ask import View
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.notes import AnswerTold, LossTold, Note

__all__ = ["TELL_AFTER", "Lag", "is_urgent"]

TELL_AFTER: Final = 4 * SECOND
"""Microseconds that a note waits for a step to go with. It must come before the lease of its request is
over, which is five seconds longer than the request may take."""

_WEIGHT: Final = 1 / 8
_MOST: Final = 4
"""The part of the interval that a transaction counts for at most."""


class Lag:
    """How long the transactions of a store take: the mean of the latest ones and two deviations."""

    __slots__ = ("_deviation", "_mean")

    def __init__(self) -> None:
        self._mean = -1.0
        self._deviation = 0.0

    def learn(self, took: int, interval: int) -> int:
        """Learn from one more; return how long to allow for the next. All are microseconds.

        A store that hung for a moment must not make everybody come early for a minute.
        """
        seen = min(took, interval // _MOST)
        if self._mean < 0:
            self._mean, self._deviation = seen, seen / 2
        self._mean += (seen - self._mean) * _WEIGHT
        self._deviation += (abs(seen - self._mean) - self._deviation) * _WEIGHT
        return int(self._mean + 2 * self._deviation)


def is_urgent(note: Note, seen: View | None, reserve: int) -> bool:
    """Say whether others would go wrong if they heard of a note only with this process's next step.

    Args:
        note: what there is to tell.
        seen: the account at this process's latest step, which gave the turn that the note is about.
        reserve: requests of each window that are left for other programs.
    """
    if isinstance(note, LossTold):
        return seen is None or seen.probing
    if not isinstance(note, AnswerTold):
        return True
    if seen is None or seen.probing or note.exhausted:
        return True
    if note.remaining is None or note.resets_in is None:
        return False
    window = seen.windows.get(note.window)
    if window is None or window.left is None or window.resets_in is None:
        return True  # the first word of this window
    # What is under way was taken off already: it is news if more is gone, or if a shut window opens.
    return not window.left or note.remaining < window.left + reserve
