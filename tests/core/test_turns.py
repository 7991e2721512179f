"""Pace, rest and probe: each rule on plain numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.driven import process
from core.test_limits import TIME
from core.test_windows import Account
from toggl_async.options import Priority
from toggl_async.scheduler.core import gate, turns
from toggl_async.scheduler.core.ask import ask, leaving, view
from toggl_async.scheduler.core.limits import SECOND, Demand, Limits, Waiter
from toggl_async.scheduler.core.notes import Alive, AnswerTold, Learned, LossTold, Throttled, Unused
from toggl_async.scheduler.core.turns import CALM, FIRST_STEP, PROBE_LEASE, WIDEST, interval_of, near_enough
from toggl_async.scheduler.core.waiters import Want

ME = process("a")
NORMAL, INTERACTIVE, BULK = Priority.NORMAL, Priority.INTERACTIVE, Priority.BULK


@given(st.integers(0, 2), st.integers(0, 3 * SECOND), st.integers(0, 2 * SECOND), st.integers(0, SECOND))
def test_a_turn_is_given_at_most_so_early(level: int, ahead: int, interval: int, lag: int) -> None:
    most = interval if level == INTERACTIVE else interval // 2
    assert near_enough(level, ahead, interval, lag) == (ahead <= most or ahead <= lag)


def test_the_first_429_widens_by_a_tenth_then_it_doubles() -> None:
    limits, added = Limits.new(TIME), []
    for _ in range(8):
        turns.widen(limits)
        added.append(limits.added)
    assert added == [FIRST_STEP, 0.2, 0.4, 0.8, 1.6, 3.2, WIDEST, WIDEST]
    assert interval_of(limits, process("a", interval=1_020_000)) == 5_020_000


def test_it_narrows_after_a_calm_stretch_slowly_and_to_nothing() -> None:
    limits = Limits.new(TIME)
    turns.widen(limits)
    for _ in range(CALM):
        turns.narrow(limits)
    assert limits.added == FIRST_STEP
    turns.narrow(limits)
    assert FIRST_STEP * 0.99 < limits.added < FIRST_STEP
    for _ in range(5000):
        turns.narrow(limits)
    assert limits.added == 0.0
    assert interval_of(limits, ME) == SECOND


def test_a_5xx_says_nothing_of_the_pace() -> None:
    account = Account()
    account.tell(AnswerTold(account.turn(), "user", calm=False))
    assert account.limits.calm == 0
    account.tell(AnswerTold(account.turn(), "user"), Learned())
    assert (account.limits.calm, account.limits.cold) == (1, 1)


@given(st.floats(0, 1, exclude_max=True), st.none() | st.integers(0, 300 * SECOND))
def test_a_429_begins_a_rest_of_random_length(chance: float, retry_after: int | None) -> None:
    me = process("a", rest_minimum=120 * SECOND, rest_maximum=240 * SECOND, chance=chance)
    limits = Limits.new(TIME)
    ask(limits, TIME, me, (), [Throttled(5, "user", retry_after)])
    rest = view(limits, TIME, me).rest
    assert 120 * SECOND <= rest <= 330 * SECOND
    assert rest >= (retry_after or 0)
    ask(limits, TIME, me, (), [Throttled(5, "user", 1)])
    assert view(limits, TIME, me).rest >= rest, "its end only moves away"


def test_requests_under_way_when_the_429_comes_are_one_incident() -> None:
    account = Account()
    numbers = [account.turn() for _ in range(4)]
    for number in numbers:
        account.tell(Throttled(number, "user"))
    assert account.limits.added == FIRST_STEP
    account.now += 300 * SECOND
    probe = account.turn()
    account.tell(Throttled(probe, "user"))
    assert account.limits.added == 2 * FIRST_STEP


def rested() -> Account:
    account = Account()
    account.tell(Throttled(account.turn(), "user"))
    account.now += 4 * SECOND
    return account


def test_one_request_probes_and_its_answer_opens_the_gate() -> None:
    account = rested()
    probe = account.turn()
    assert probe
    assert account.turn() == 0
    account.tell(AnswerTold(probe - 1, "user"))
    assert account.turn() == 0, "the answer to what left before the rest shows nothing"
    account.tell(AnswerTold(probe, "user", calm=False))
    assert account.turn()
    assert account.turn()


@pytest.mark.parametrize("note", [LossTold, Unused])
def test_a_probe_that_brings_no_answer_is_followed_by_another(note: type) -> None:
    account = rested()
    probe = account.turn()
    account.tell(note(probe, "user"))
    assert account.limits.gate.probing
    assert account.turn()
    assert account.turn() == 0


def test_a_probe_lives_as_long_as_its_process_gives_signs() -> None:
    account = rested()
    account.turn()
    for _ in range(5):
        account.now += 2 * SECOND
        account.tell(Alive())
        assert account.turn() == 0
    ask(account.limits, account.now, process("b"), (), [Alive()])
    account.now += PROBE_LEASE
    assert account.turn()


def test_a_sign_of_life_is_only_the_probers() -> None:
    account = rested()
    account.tell(Alive())
    account.turn()
    until = account.limits.gate.probe_until
    ask(account.limits, account.now + SECOND, process("b"), (), [Alive()])
    assert account.limits.gate.probe_until == until


def test_a_dead_probe_is_followed_at_once() -> None:
    account = rested()
    account.turn()
    other = process("b", alive=lambda name: name != "a")
    answer, _ = ask(account.limits, account.now + 2 * SECOND, other, [Want(NORMAL, "user")])
    assert answer.probe


def test_looks_at_a_probe_double() -> None:
    account = rested()
    account.turn()
    other, now, sleeps = process("b"), account.now, []
    answer, _ = ask(account.limits, now, other, [Want(NORMAL, "user")])
    while not answer.number:
        assert answer.sleep is not None
        sleeps.append(answer.sleep / SECOND)
        now += answer.sleep
        answer, _ = ask(account.limits, now, other, [Want(NORMAL, "user")])
    assert sleeps == [1.1, 1.1, 2.2, 0.6]
    assert now - account.now == PROBE_LEASE
    assert answer.probe


def test_a_turn_given_ahead_does_not_leave_into_a_rest() -> None:
    limits = Limits.new(TIME)
    first, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    ahead, _ = ask(limits, TIME + 600_000, process("b"), [Want(NORMAL, "user")])
    assert ahead.wait == 400_000
    _, wakes = ask(limits, TIME + 700_000, ME, (), [Throttled(first.number, "user")])
    assert [(wake.name, wake.after) for wake in wakes] == [("b", 0)]
    departure, _ = leaving(limits, TIME + SECOND, process("b"), ahead.number, NORMAL, "user")
    assert departure.number == 0
    assert limits.windows["user"].flying == {}
    own, _ = ask(limits, TIME + 5 * SECOND, ME, [Want(NORMAL, "user")], [Throttled(ahead.number, "user")])
    assert not own.number


def test_spacing_counts_from_the_send() -> None:
    limits = Limits.new(TIME)
    first, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    departure, _ = leaving(limits, TIME + 300_000, ME, first.number, NORMAL, "user")
    assert departure == type(departure)(first.number, 0)
    assert view(limits, TIME + 300_000, ME).opens_in == SECOND
    early, _ = ask(limits, TIME + 1_000_000, ME, [Want(NORMAL, "user")])
    departure, _ = leaving(limits, TIME + 1_100_000, ME, early.number, NORMAL, "user")
    assert departure.wait == 200_000


def test_a_turn_that_others_passed_leaves_behind_them() -> None:
    limits = Limits.new(TIME)
    slow, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    other, _ = ask(limits, TIME + SECOND, ME, [Want(NORMAL, "user")])
    departure, _ = leaving(limits, TIME + 1_500_000, ME, slow.number, NORMAL, "user")
    assert (departure.number, departure.wait) == (other.number + 1, 500_000)
    assert set(limits.windows["user"].flying) == {other.number, other.number + 1}


def test_a_passed_turn_goes_back_where_those_who_passed_it_take_all_that_is_left() -> None:
    account = Account()
    late, first, second = account.turn(), account.turn(), account.turn()
    account.word(account.turn(), 2, 3000)
    account.limits.windows["user"].word = late - 1
    departure, _ = leaving(account.limits, account.now, account.me, late, NORMAL, "user")
    assert departure.number == 0
    assert list(account.limits.windows["user"].flying) == [first, second]


def test_a_turn_in_time_leaves_though_the_next_was_given_ahead() -> None:
    limits = Limits.new(TIME)
    first, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    second, _ = ask(limits, TIME + 1000, ME, [Want(INTERACTIVE, "user")])
    assert second.wait == 999_000
    departure, _ = leaving(limits, TIME + 5000, ME, first.number, NORMAL, "user")
    assert (departure.number, departure.wait) == (first.number, 0)
    third, _ = ask(limits, TIME + 1_000_000, ME, [Want(INTERACTIVE, "user")])
    departure, _ = leaving(limits, TIME + 1_001_000, ME, first.number, NORMAL, "user")
    assert third.number
    assert departure.number == 0, "a whole interval and more behind the others"


def test_a_passed_turn_goes_back_if_somebody_better_is_due() -> None:
    limits = Limits.new(TIME)
    slow, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    ask(limits, TIME + SECOND, ME, [Want(NORMAL, "user")])
    limits.waiters["b"] = Waiter([Demand(INTERACTIVE, "user", 1, TIME)], TIME + 2 * SECOND, TIME + 9 * SECOND)
    departure, wakes = leaving(limits, TIME + 1_500_000, ME, slow.number, NORMAL, "user")
    assert departure.number == 0
    assert not wakes, "it comes anyway"


def test_a_place_sent_back_wakes_the_best_sleeper() -> None:
    account = Account()
    account.word(account.turn(), 2, 3000)
    late = account.turn()
    account.word(account.turn("organization:1"), 5, 3000, "organization:1")
    account.limits.windows["user"].remaining = 0
    account.limits.waiters["b"] = Waiter(
        [Demand(BULK, "organization:1", 1, TIME)], account.now + 9 * SECOND, account.now + 10 * SECOND
    )
    departure, wakes = leaving(account.limits, account.now, account.me, late, NORMAL, "user")
    assert departure.number == 0
    assert [(wake.name, wake.after) for wake in wakes] == [("b", SECOND)]


def test_the_probe_that_goes_back_lets_another_probe() -> None:
    account = rested()
    probe = account.turn()
    account.limits.windows["user"].remaining = 0
    departure, _ = leaving(account.limits, account.now, account.me, probe, NORMAL, "user")
    assert departure.number == 0
    assert account.limits.gate.probe == 0


def test_the_latest_slot_can_be_given_back_and_no_other() -> None:
    limits = Limits.new(TIME)
    first, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    second, _ = ask(limits, TIME + SECOND, ME, [Want(NORMAL, "user")])
    ask(limits, TIME + SECOND, ME, (), [Unused(first.number, "user")])
    assert view(limits, TIME + SECOND, ME).opens_in == SECOND
    ask(limits, TIME + SECOND, ME, (), [Unused(second.number, "user")])
    assert view(limits, TIME + SECOND, ME).opens_in == 0


def test_a_store_that_came_back_stays_closed_for_those_who_were_alone() -> None:
    limits = Limits.new(TIME)
    limits.closed = TIME + 3 * SECOND
    answer, _ = ask(limits, TIME, ME, [Want(NORMAL, "user")])
    assert (answer.number, answer.sleep) == (0, 4 * SECOND)
    answer, _ = ask(limits, TIME + 4 * SECOND, ME, [Want(NORMAL, "user")])
    assert answer.number


def test_without_an_interval_everything_open_goes_at_once() -> None:
    me, limits = process("a", base=0, interval=0), Limits.new(TIME)
    waiting, _ = ask(limits, TIME, process("b"), [Want(INTERACTIVE, "user", 3)])
    assert waiting.number
    for left in range(5, 0, -1):
        answer, _ = ask(limits, TIME, me, [Want(BULK, "user", left)])
        assert answer.number
        assert answer.wait == 0
        assert answer.sleep == (0 if left > 1 else None)


def test_a_process_asks_earlier_by_what_a_transaction_takes() -> None:
    me, limits = process("a", lag=3000), Limits.new(TIME)
    ask(limits, TIME, me, [Want(NORMAL, "user")])
    answer, _ = ask(limits, TIME + 100, me, [Want(NORMAL, "user")])
    assert answer.sleep == SECOND + 3000 - 100 - 3000
    assert gate.shuts_out(limits.gate, TIME, 1) is False
