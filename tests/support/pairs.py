"""Values for tests that cost much: enough of them for the suite, all of them for the nightly session."""

from collections.abc import Iterable

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
