"""Nothing depends on what a clock shows: that of a machine that was just started begins at zero."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.driven import process
from toggl_async.options import Priority
from toggl_async.scheduler.core.ask import Departure, ask, leaving
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import AnswerTold, LossTold, Note, QuotaTold, Throttled, Unused
from toggl_async.scheduler.core.waiters import PATIENCE, Want

HOUR = 3600 * SECOND
LONGEST = 5 * 101 * HOUR
"""The widest interval that options, their margin and 429s can add up to."""
LATER = 1_800_000_000 * SECOND
"""What the clock of a server shows."""

clocks = st.integers(0, 10) | st.integers(0, 48 * HOUR) | st.just(LATER)
levels = st.sampled_from(Priority)


@given(now=clocks, interval=st.integers(0, LONGEST), level=levels, late=st.integers(0, 60 * SECOND))
@example(now=0, interval=LONGEST, level=Priority.NORMAL, late=SECOND)
def test_the_first_turn_of_an_account_is_now(now: int, interval: int, level: int, late: int) -> None:
    limits, me = Limits.new(now), process("a", interval=interval)
    answer, _ = ask(limits, now, me, [Want(level, "user")])
    assert answer.number
    assert answer.wait == 0
    limits = Limits.from_bytes(limits.to_bytes())
    departure, _ = leaving(limits, now + late, me, answer.number, level, "user")
    assert departure == Departure(answer.number)


@given(now=clocks, waited=st.integers(0, 2 * PATIENCE))
def test_a_call_is_as_old_as_it_says_though_the_machine_is_younger(now: int, waited: int) -> None:
    limits = Limits.new(now)
    limits.closed = now + SECOND
    answer, _ = ask(limits, now, process("a"), [Want(Priority.BULK, "user", 1, waited)])
    assert answer.view is not None
    assert answer.view.ages == [(Priority.BULK, "user", waited)]


class Story:
    """Two processes on one account, on a clock that begins where it is told."""

    def __init__(self, begin: int, interval: int) -> None:
        self.now = begin
        self.limits = Limits.new(begin)
        self.first = self.limits.number
        self.processes = [process(name, interval=interval, chance=0.5) for name in "ab"]
        self.turns: list[tuple[int, int]] = []

    def tell(self, step: tuple[int, int, str, int, int]) -> tuple[list[Any], list[int]]:
        """Let time go by and do something; return what came of it, and the ages, without an instant."""
        after, who, what, level, amount = step
        self.now += after
        me = self.processes[who]
        turn = self.turns[-1] if self.turns else (0, level)  # older than any
        if what == "leave":
            departure, _ = leaving(self.limits, self.now, me, turn[0], turn[1], "user")
            return [departure.number and departure.number - self.first, departure.wait], []
        notes: dict[str, Note] = {
            "answered": AnswerTold(turn[0], "user", amount % 4, amount),
            "refused": Throttled(turn[0], "user", amount),
            "lost": LossTold(turn[0], "user"),
            "unused": Unused(turn[0], "user"),
            "quota": QuotaTold("user", amount % 4, amount, 4),
        }
        wants = [Want(level, "user", 2, amount)] if what in {"ask", "quota", "answered"} else []
        answer, wakes = ask(self.limits, self.now, me, wants, [notes[what]] if what in notes else [])
        if answer.number:
            self.turns.append((answer.number, answer.level))
        told: list[Any] = [
            answer.number and answer.number - self.first,
            answer.level,
            answer.wait,
            answer.sleep,
            wakes,
        ]
        if (seen := answer.view) is None:
            return told, []
        told += [answer.probe, seen.opens_in, seen.rest, seen.probing, seen.windows]
        return told, [age for _, _, age in seen.ages]


steps = st.tuples(
    st.integers(0, 3) | st.integers(0, 2 * HOUR),
    st.integers(0, 1),
    st.sampled_from(["ask", "leave", "answered", "refused", "lost", "unused", "quota"]),
    levels,
    st.integers(0, HOUR),
)


@given(
    begin=st.integers(0, 3) | st.integers(0, 48 * HOUR),
    interval=st.integers(0, LONGEST) | st.just(SECOND),
    script=st.lists(steps, max_size=12),
)
def test_what_a_step_says_does_not_depend_on_where_its_clock_began(
    begin: int, interval: int, script: list[tuple[int, int, str, int, int]]
) -> None:
    early, late = Story(begin, interval), Story(LATER, interval)
    for step in script:
        (told, ages), (expected, expected_ages) = early.tell(step), late.tell(step)
        assert told == expected
        # Windows note since when they are shut, where 0 says that they aren't.
        assert ages == pytest.approx(expected_ages, abs=1)
