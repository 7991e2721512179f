"""Cases drawn by hypothesis, all of one kind, and what was wrong with them."""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

__all__ = ["FAULTS", "SAMPLE", "explore", "nightly"]

T = TypeVar("T")

UNTYPED: Final = "untyped exception"
LOSS: Final = "silent loss"
HANG: Final = "no end"
FAULTS: Final = (UNTYPED, LOSS, HANG)
"""How a case goes wrong, among its outcomes."""

_ANY: Final = settings(
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
SAMPLE: Final = settings(_ANY, derandomize=True, max_examples=8)
"""The same few cases on every run and machine."""


def nightly() -> settings:
    """Other cases every night: four of each where the properties get 5,000 examples."""
    depth = max(2, settings().max_examples // 1250)
    return settings(_ANY, max_examples=depth, phases=[Phase.generate, Phase.shrink])


def explore(
    drawn: st.SearchStrategy[T],
    attempt: Callable[[T], tuple[str, tuple[str, ...]]],
    *,
    within: settings,
    outcomes: Counter[str],
) -> str:
    """Try cases until one goes wrong.

    Args:
        drawn: the cases.
        attempt: tries one; returns the name of its outcome, and what was wrong with it.
        within: how many cases, and whether always the same ones.
        outcomes: is told how often there was which outcome, repetitions of a failure left out.

    Returns:
        The smallest case that goes wrong, in words; empty where none does.
    """
    failed: list[str] = []

    @within
    @given(drawn)
    def search(one: T) -> None:
        name, wrong = attempt(one)
        if not failed:
            outcomes[name if not wrong else _fault(wrong)] += 1
        if wrong:
            failed.append(f"{one!r}\n    {'; '.join(wrong)}")
        assert not wrong

    try:
        search()
    except Unsatisfiable:
        pass  # the operation has no such answer
    except AssertionError:
        # What is tried last is the smallest.
        return failed[-1]
    return ""


def _fault(wrong: tuple[str, ...]) -> str:
    """What kind of wrong it is, for the count."""
    told = " ".join(wrong)
    if "untyped exception" in told:
        return UNTYPED
    return HANG if " requests" in told else LOSS
