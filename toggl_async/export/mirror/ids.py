"""A compact set of ids, so that a row which moves between pages is written once."""

from array import array
from bisect import bisect_left

__all__ = ["IdSet"]

_RUN = 32_768


class IdSet:
    """A growing set of 64-bit ids at eight bytes each.

    A million ids in a `set` take 90 MB, here 8 MB: full runs are kept as sorted arrays, only the
    latest few thousand ids as a set. Pages come sorted by time, so the runs hardly overlap and most
    are passed over by their ends.
    """

    __slots__ = ("_recent", "_runs")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._runs: list[array[int]] = []

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._runs))

    def __contains__(self, number: int) -> bool:
        return number in self._recent or any(_holds(run, number) for run in self._runs)

    def add(self, number: int) -> bool:
        """Add an id and say whether it was new."""
        if number in self:
            return False
        self._recent.add(number)
        if len(self._recent) == _RUN:
            self._runs.append(array("q", sorted(self._recent)))
            self._recent = set()
        return True


def _holds(run: "array[int]", number: int) -> bool:
    """Whether a sorted, non-empty run has the id."""
    return run[0] <= number <= run[-1] and run[bisect_left(run, number)] == number
