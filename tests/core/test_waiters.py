"""The calendar: one wakes for each place, better levels first, none starves, the dead are passed over."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.driven import process
from core.test_limits import TIME
from toggl_async.options import Priority
from toggl_async.scheduler.core.ask import Grant, ask, leaving
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import AnswerTold, LossTold, Note, QuotaTold, Throttled, Unused
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.waiters import PATIENCE, Rival, Wake, Want, free_place, rank

NORMAL, INTERACTIVE, BULK = Priority.NORMAL, Priority.INTERACTIVE, Priority.BULK


class Calendar:
    """Several processes on one account, each with what it has waiting."""

    def __init__(self, *names: str, **changes: object) -> None:
        self.limits = Limits.new(TIME)
        self.now = TIME
        self.processes: dict[str, Process] = {name: process(name, **changes) for name in names}
        self.waiting: dict[str, Counter[int]] = {name: Counter() for name in names}
        self.since: dict[tuple[str, int], int] = {}
        self.comes: dict[str, int] = {}
        self.turns: list[tuple[float, str, int]] = []
        self.steps = 0

    def want(self, name: str, *levels: int) -> Grant:
        for level in levels:
            self.waiting[name][level] += 1
            self.since.setdefault((name, level), self.now)
        return self.ask(name)

    def ask(self, name: str, *notes: Note) -> Grant:
        wants = [
            Want(level, "user", count, self.now - self.since[name, level])
            for level, count in self.waiting[name].items()
            if count
        ]
        answer, wakes = ask(self.limits, self.now, self.processes[name], wants, notes)
        self.steps += 1
        self.heed(wakes)
        self.comes.pop(name, None)
        if answer.sleep is not None:
            self.comes[name] = self.now + answer.sleep
        if answer.number:
            self.waiting[name][answer.level] -= 1
            self.since[name, answer.level] = self.now
            if not self.waiting[name][answer.level]:
                del self.since[name, answer.level]
            self.turns.append(((self.now + answer.wait - TIME) / SECOND, name, answer.level))
        return answer

    def heed(self, wakes: Sequence[Wake]) -> None:
        for wake in wakes:
            self.comes[wake.name] = min(self.comes[wake.name], self.now + wake.after)

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * SECOND)
        while self.comes and min(self.comes.values()) <= end:
            name = min(self.comes, key=self.comes.__getitem__)
            self.now = max(self.now, self.comes[name])
            self.ask(name)
        self.now = end


@given(st.integers(0, 2), st.integers(0, 400 * SECOND))
def test_an_aged_level_goes_before_all_others(level: int, age: int) -> None:
    standing = rank(TIME, level, TIME - age)
    assert (standing < 3) == (age >= PATIENCE)
    assert standing % 3 == level


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 9), st.integers(1, 9)), max_size=6),
    st.integers(0, 5),
)
def test_a_free_place_is_nobodys_of_the_same_or_a_better_rank(
    others: list[tuple[int, int, int]], mine: int
) -> None:
    rivals = [
        Rival(rank, TIME + place * SECOND, str(n), calls) for n, (rank, place, calls) in enumerate(others)
    ]
    place = free_place(rivals, mine, TIME, SECOND)
    taken = [max(TIME, rival.wakes) for rival in rivals if rival.rank <= mine]
    assert all(abs(place - other) >= SECOND // 2 for other in taken)
    better = sum(rival.calls for rival in rivals if rival.rank < mine)
    assert place >= TIME + min(3, better) * SECOND
    assert place <= TIME + (min(3, better) + len(rivals)) * SECOND
    assert free_place(rivals, mine, TIME, 0) == TIME


def test_one_process_wakes_for_each_place() -> None:
    calendar = Calendar("a", "b", "c")
    for name in "abc":
        calendar.want(name, *[NORMAL] * 10)
    entered = calendar.steps
    calendar.run(60)
    assert [at for at, _, _ in calendar.turns] == list(range(30))
    assert calendar.steps - entered == 29, "one step a turn"
    assert Counter(name for _, name, _ in calendar.turns) == {"a": 10, "b": 10, "c": 10}
    assert not calendar.limits.waiters


def test_the_urgent_call_of_another_process_goes_next() -> None:
    calendar = Calendar("a", "b", "c")
    calendar.want("a", *[BULK] * 20)
    calendar.want("b", *[BULK] * 20)
    calendar.run(5.3)
    before = len(calendar.turns)
    calendar.want("c", INTERACTIVE, INTERACTIVE, INTERACTIVE)
    calendar.run(5)
    assert [level for _, _, level in calendar.turns[before : before + 4]] == [INTERACTIVE] * 3 + [BULK]


def test_a_level_is_served_once_in_its_patience_while_better_ones_wait() -> None:
    calendar = Calendar("a", "b")
    calendar.want("a", *[INTERACTIVE] * 900)
    calendar.want("b", *[BULK] * 5, NORMAL, NORMAL)
    calendar.run(800)
    served = [at for at, _, level in calendar.turns if level == BULK]
    assert served == [pytest.approx(n * 180, abs=3 * n) for n in range(1, 5)]
    assert [level for _, _, level in calendar.turns].count(NORMAL) == 2


def test_rests_do_not_count_as_starving() -> None:
    calendar = Calendar("a", rest_minimum=300 * SECOND, rest_maximum=300 * SECOND)
    first = calendar.want("a", NORMAL)
    calendar.want("a", NORMAL, BULK)
    calendar.ask("a", Throttled(first.number, "user"))
    calendar.run(299)
    calendar.want("a", NORMAL)
    calendar.run(5)
    assert [level for _, _, level in calendar.turns] == [NORMAL, NORMAL]
    assert calendar.turns[-1][0] == pytest.approx(300)


def test_what_comes_during_a_rest_ages_from_its_end() -> None:
    calendar = Calendar("a", "b", rest_minimum=300 * SECOND, rest_maximum=300 * SECOND)
    first = calendar.want("a", NORMAL)
    calendar.ask("a", Throttled(first.number, "user"))
    calendar.run(10)
    calendar.want("b", BULK)
    calendar.run(10)
    calendar.want("a", NORMAL)
    calendar.run(280.5)
    assert [level for _, _, level in calendar.turns] == [NORMAL, NORMAL]


def test_a_shut_window_does_not_count_as_starving() -> None:
    calendar = Calendar("a", "b")
    first = calendar.want("a", NORMAL)
    calendar.ask("a", AnswerTold(first.number, "user", 0, 1000 * SECOND))
    calendar.want("b", BULK)
    calendar.run(900)
    calendar.want("a", NORMAL)
    assert len(calendar.turns) == 1
    calendar.run(110)
    assert [level for _, _, level in calendar.turns] == [NORMAL, NORMAL, BULK]


def test_a_window_that_opens_wakes_one_sleeper() -> None:
    calendar = Calendar("a", "b", "c")
    first = calendar.want("a", NORMAL)
    calendar.ask("a", AnswerTold(first.number, "user", 0, 1000 * SECOND))
    calendar.want("b", NORMAL)
    calendar.want("c", NORMAL)
    assert calendar.comes["b"] == calendar.now + 60 * SECOND, "a look each minute"
    calendar.now += 5 * SECOND
    calendar.ask("a", QuotaTold("user", 7, 900 * SECOND, 30))
    assert calendar.comes["b"] == calendar.now
    assert calendar.comes["c"] > calendar.now


def test_without_a_reset_a_window_that_is_flown_out_is_looked_at_in_a_minute() -> None:
    calendar = Calendar("a")
    calendar.ask("a", QuotaTold("user", 1, 5 * SECOND, 1))
    calendar.limits.windows["user"].reset_at = None
    calendar.want("a", NORMAL, NORMAL)
    calendar.limits.windows["user"].reset_at = None
    calendar.ask("a")
    assert calendar.comes["a"] == calendar.now + 60 * SECOND


def test_a_place_given_back_goes_to_the_best_sleeper() -> None:
    calendar = Calendar("a", "b", "c")
    calendar.want("a", NORMAL)
    calendar.now += SECOND // 2
    turn = calendar.want("a", NORMAL)
    assert turn.wait == SECOND // 2
    calendar.want("b", BULK)
    calendar.want("c", NORMAL)
    assert calendar.comes == {"b": TIME + 2 * SECOND, "c": TIME + 2 * SECOND}
    calendar.ask("a", Unused(turn.number, "user"))
    assert calendar.comes["c"] == TIME + SECOND
    calendar.run(9)
    assert [name for _, name, _ in calendar.turns[2:]] == ["c", "b"]


def test_who_gives_up_leaves_its_place_to_others() -> None:
    calendar = Calendar("a", "b", "c")
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.want("c", NORMAL)
    calendar.waiting["b"].clear()
    calendar.ask("b")
    calendar.run(5)
    assert [(at, name) for at, name, _ in calendar.turns] == [(0, "a"), (1, "c")]


def test_nobody_is_moved_where_sleepers_cannot_be_told() -> None:
    calendar = Calendar("a", "b", "c", tells=False)
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.want("c", INTERACTIVE)
    calendar.waiting["b"].clear()
    calendar.ask("b")
    calendar.run(9)
    assert [(at, name) for at, name, _ in calendar.turns] == [(0, "a"), (1, "c")]
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.want("c", NORMAL)
    calendar.waiting["b"].clear()
    calendar.ask("b")
    calendar.run(9)
    assert [name for _, name, _ in calendar.turns[2:]] == ["a", "c"]


def test_a_better_sleeper_who_cannot_be_told_does_not_hold_up_others() -> None:
    for tells, first in ((True, False), (False, True)):
        calendar = Calendar("a", "b", tells=tells)
        calendar.want("a", NORMAL)
        calendar.want("b", INTERACTIVE, INTERACTIVE)
        calendar.limits.waiters["b"].wakes += 5 * SECOND
        calendar.limits.waiters["b"].until += 5 * SECOND
        calendar.now += 2 * SECOND
        assert bool(calendar.want("a", NORMAL).number) is first


def test_a_lease_that_is_over_is_forgotten() -> None:
    calendar = Calendar("a", "b")
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.now += 3 * SECOND
    assert calendar.want("a", NORMAL).number
    assert "b" not in calendar.limits.waiters


def test_a_dead_process_costs_nothing() -> None:
    calendar = Calendar("a", "b", "c", alive=lambda name: name != "b")
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL, NORMAL)
    calendar.want("c", NORMAL)
    del calendar.comes["b"]
    calendar.want("a", NORMAL)
    calendar.run(5)
    assert [at for at, _, _ in calendar.turns] == [0, 1, 2]


def test_a_late_process_still_has_its_place() -> None:
    calendar = Calendar("a", "b")
    calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.now = calendar.comes["b"] + SECOND // 4
    other = calendar.want("a", NORMAL)
    assert not other.number
    assert calendar.comes["a"] == calendar.now + SECOND
    assert calendar.ask("b").number


def test_a_lost_probe_wakes_the_best_sleeper() -> None:
    calendar = Calendar("a", "b")
    first = calendar.want("a", NORMAL)
    calendar.ask("a", Throttled(first.number, "user"))
    calendar.now += 5 * SECOND
    probe = calendar.want("a", NORMAL)
    calendar.want("b", NORMAL)
    calendar.now += SECOND // 2
    calendar.ask("a", LossTold(probe.number, "user"))
    assert calendar.comes["b"] == calendar.now + SECOND // 2 + SECOND // 10


def test_a_turn_sent_back_wakes_another_process_and_not_oneself() -> None:
    calendar = Calendar("a", "b")
    first = calendar.want("a", NORMAL)
    calendar.ask("a", Throttled(first.number, "user"))
    calendar.want("a", NORMAL)
    calendar.limits.waiters["a"].wakes += 50 * SECOND
    calendar.limits.waiters["a"].until += 50 * SECOND
    departure, wakes = leaving(calendar.limits, calendar.now, calendar.processes["a"], 7, NORMAL, "user")
    assert (departure.number, list(wakes)) == (0, [])


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=30)
)
def test_all_get_their_turn_an_interval_apart(calls: list[tuple[str, int, int]]) -> None:
    calendar = Calendar("a", "b", "c")
    for name, level, pause in calls:
        calendar.want(name, level)
        calendar.run(pause / 3)
    calendar.run(120)
    assert len(calendar.turns) == len(calls)
    assert not calendar.limits.waiters
    times = [at for at, _, _ in calendar.turns]
    assert all(later - earlier > 1 - 1e-6 for earlier, later in itertools.pairwise(times))
