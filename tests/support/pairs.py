"""Values for tests that cost much: enough of them for the suite, all of them for the nightly session."""

from collections.abc import Iterable
from itertools import groupby

import pytest


def by_night(values: Iterable[object], *, besides: Iterable[object]) -> list[object]:
    """Leave all values of a costly test to the nightly session, but for those that the suite tries, too."""
    tried = list(besides)
    return [pytest.param(one, marks=() if one in tried else pytest.mark.nightly) for one in values]


def first_of(values: Iterable[object]) -> list[object]:
    """Leave all values but the first to the slow tests, where each costs much and takes the same way."""
    first, *others = values
    return [first, *(pytest.param(one, marks=pytest.mark.slow) for one in others)]


def pairs(first: Iterable[object], second: Iterable[object]) -> list[object]:
    """Pair the values of two lists, for `pytest.mark.parametrize`.

    The suite tries each value of each list once. What breaks is nearly always one value, in whatever
    company; the pairs that would show the rest are tried every night.
    """
    ours, theirs = list(first), list(second)
    longest = max(len(ours), len(theirs))
    tried = {(number % len(ours), number % len(theirs)) for number in range(longest)}
    return [
        pytest.param(one, other, marks=() if (place, where) in tried else pytest.mark.nightly)
        for place, one in enumerate(ours)
        for where, other in enumerate(theirs)
    ]


def leave_to_slow_runs(items: Iterable[pytest.Item]) -> None:
    """Mark all cases of a test as slow but for as many as its mark `sampled` says, evenly spread."""
    for _, together in groupby(items, lambda item: item.nodeid.partition("[")[0]):
        cases = list(together)
        mark = cases[0].get_closest_marker("sampled")
        if mark is None:
            continue
        (count,) = mark.args
        tried = {number * len(cases) // count for number in range(count)}
        for place, case in enumerate(cases):
            if place not in tried:
                case.add_marker(pytest.mark.slow)
