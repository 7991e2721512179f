"""The hourly quotas: later words win, what is under way counts, nothing impossible is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.driven import process
from core.test_limits import TIME
from toggl_async.scheduler.core import windows
from toggl_async.scheduler.core.ask import ask, view
from toggl_async.scheduler.core.limits import SECOND, Demand, Limits, Waiter, Window
from toggl_async.scheduler.core.notes import (
    AnswerTold,
    LossTold,
    Note,
    OrganizationFound,
    QuotaTold,
    Slept,
    Unused,
)
from toggl_async.scheduler.core.waiters import Want
from toggl_async.scheduler.core.windows import HOUR, RESET_MARGIN, SPREAD, UNKNOWN_RESET

ME = process("a")


class Account:
    """One process on one account, a turn a second."""

    def __init__(self, **changes: object) -> None:
        self.me = process("a", **changes)
        self.limits = Limits.new(TIME)
        self.now = TIME

    def turn(self, window: str = "user", *notes: Note) -> int:
        self.now += SECOND
        answer, _ = ask(self.limits, self.now, self.me, [Want(1, window)], notes)
        if not answer.number:
            ask(self.limits, self.now, self.me, ())
        return answer.number

    def tell(self, *notes: Note) -> None:
        ask(self.limits, self.now, self.me, (), notes)

    def word(self, number: int, remaining: int, seconds: int, window: str = "user") -> None:
        self.tell(AnswerTold(number, window, remaining, seconds * SECOND))

    def left(self, window: str = "user") -> int | None:
        seen = view(self.limits, self.now, self.me).windows.get(window)
        return None if seen is None else seen.left

    def hope(self, window: str = "user") -> int | None:
        return view(self.limits, self.now, self.me).windows[window].hope

    def resets_in(self, window: str = "user") -> int | None:
        reset = view(self.limits, self.now, self.me).windows[window].resets_in
        return None if reset is None else reset // SECOND


def test_requests_under_way_count_as_spent() -> None:
    account = Account()
    first = account.turn()
    assert account.left() is None
    account.word(first, 3, 3000)
    assert account.left() == 3
    turns = [account.turn() for _ in range(3)]
    assert all(turns)
    assert account.left() == 0
    assert account.turn() == 0, "eight at once don't overrun three remaining"


def test_answers_that_overtake_each_other_only_lower() -> None:
    account = Account()
    first, second, third = account.turn(), account.turn(), account.turn()
    account.word(third, 10, 3000)
    assert account.left() == 8, "the first two may not have been counted"
    assert account.hope() == 10, "or they may"
    account.word(first, 12, 3000)
    assert account.left() == 9
    account.word(second, 5, 3000)
    assert account.left() == 4, "another program has spent, and the third came after this one"


def test_one_answer_settled_before_an_earlier_one_is_taken_off_its_word() -> None:
    account = Account()
    first, second = account.turn(), account.turn()
    account.tell(AnswerTold(second, "user"))
    account.word(first, 7, 3000)
    assert account.left() == 6


@given(st.integers(61, 3600), st.integers(0, 3600))
def test_the_later_request_wins_whatever_came_before(wrong: int, right: int) -> None:
    account = Account()
    account.word(account.turn(), 0, wrong)
    account.limits.windows["user"].remaining = 5  # a request has left all the same
    account.word(account.turn(), 20, right)
    assert account.left() == 20
    assert account.resets_in() == pytest.approx(right + RESET_MARGIN // SECOND, abs=30)


def test_the_word_of_a_window_that_is_over_is_not_believed() -> None:
    account = Account()
    late = account.turn()
    account.word(account.turn(), 1, 10)
    account.now += 30 * SECOND
    account.tell()
    assert account.left() is None
    account.word(late, 0, 1)
    assert account.left() is None
    other = account.turn()
    account.word(other, 29, 3600)
    assert account.left() == 29


def test_a_request_sent_before_the_reset_may_be_the_first_of_the_new_window() -> None:
    account = Account()
    late = account.turn()
    account.word(account.turn(), 1, 10)
    account.now += 30 * SECOND
    account.word(late, 29, 3600)
    assert account.left() == 28, "the one answered meanwhile may have been the second"


def test_a_full_window_opens_with_its_first_request() -> None:
    account = Account()
    early = account.turn()
    account.tell(QuotaTold("user", 1, 5 * SECOND, total=30))
    account.now += 10 * SECOND
    first = account.turn()
    assert account.left() == 28, "two are under way"
    assert account.resets_in() == HOUR // SECOND + 1
    account.word(early, 0, 0)
    assert account.resets_in() == HOUR // SECOND + 1, "the word of the window before"
    account.word(first, 29, 3599)
    assert account.left() == 29


@given(
    resets_in=st.integers(120, 3600),
    words=st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 20),
            st.integers(0, 3),
            st.floats(0, 1, exclude_max=True),
            st.integers(0, 9),
        ),
        max_size=8,
    ),
)
def test_a_reset_that_is_told_again_never_moves_on(
    resets_in: int, words: list[tuple[bool, int, int, float, int]]
) -> None:
    """Else chance would refuse calls that had been told that they can wait for it."""
    account = Account(chance=words[0][3] if words else 0.0)
    reset = account.now + resets_in * SECOND
    number = account.turn()
    account.word(number, 9, (reset - account.now) // SECOND)
    told = view(account.limits, account.now, account.me).windows["user"].resets_in
    assert told is not None
    opens = account.now + told
    assert reset - SECOND <= opens - RESET_MARGIN <= reset + SPREAD
    for is_row, after, late, chance, remaining in words:
        account.now += after * SECOND // 4
        account.me.chance = chance
        left = -(-(reset - account.now) // SECOND) + late  # an answer that is late tells a later reset
        if is_row:
            account.tell(QuotaTold("user", remaining, left * SECOND, total=30))
        else:
            account.word(number, remaining, left)
        told = view(account.limits, account.now, account.me).windows["user"].resets_in
        assert told is not None
        assert account.now + told <= opens


def test_a_quota_that_is_not_enforced_holds_nobody() -> None:
    account = Account()
    account.tell(QuotaTold("user", 0, 5 * SECOND, total=30))
    assert account.left() == 0
    account.tell(QuotaTold("user", -3, 5 * SECOND, total=30))
    assert account.left() is None
    first, second = account.turn(), account.turn()
    account.word(second, -1, 3000)
    account.word(first, -1, 3000)
    assert account.left() is None


@pytest.mark.parametrize(("told", "waits"), [(1000, 1000), (None, UNKNOWN_RESET // SECOND)])
def test_a_402_shuts_the_window_until_its_reset(told: int | None, waits: int) -> None:
    account = Account()
    number = account.turn()
    account.tell(AnswerTold(number, "user", None, None if told is None else told * SECOND, exhausted=True))
    assert account.left() == 0
    assert account.resets_in() == waits + 1
    assert account.turn("organization:1"), "another window is another quota"
    assert account.turn() == 0
    account.now += (waits + 1) * SECOND
    assert account.turn()


def test_a_402_without_a_time_keeps_the_reset_that_is_known() -> None:
    account = Account()
    first, second = account.turn(), account.turn()
    account.word(second, 5, 500)
    account.tell(AnswerTold(first, "user", exhausted=True))
    assert account.left() == 5, "a later request got through"
    account.tell(AnswerTold(account.turn(), "user", exhausted=True))
    assert account.left() == 0
    assert account.resets_in() in range(495, 503)


def test_the_reserve_is_left_to_others() -> None:
    account = Account(reserve=2)
    account.word(account.turn(), 3, 3000)
    assert account.left() == 1
    assert account.turn()
    assert account.turn() == 0
    account.tell(QuotaTold("user", 1, SECOND, total=1))
    assert account.left() == 0, "one is under way"
    account.tell(LossTold(account.limits.number, "user"), QuotaTold("user", 1, SECOND, total=1))
    assert account.left() == 1, "never all of a window"


def test_what_never_left_is_given_back_and_what_was_lost_is_spent() -> None:
    account = Account()
    account.word(account.turn(), 3, 3000)
    account.tell(Unused(account.turn(), "user"))
    assert account.left() == 3
    account.tell(LossTold(account.turn(), "user"))
    assert account.left() == 2
    account.tell(LossTold(7, "user"), Unused(7, "nowhere"), LossTold(7, "nowhere"))
    assert account.left() == 2


def test_a_request_that_died_is_spent_when_its_lease_ends() -> None:
    account = Account()
    account.word(account.turn(), 3, 3000)
    number = account.turn()
    account.now += account.me.lease + SECOND
    account.tell()
    assert account.left() == account.hope() == 2
    account.word(number, 1, 2000)
    assert account.left() == 1, "its answer is still worth something"
    account.tell(AnswerTold(number, "user"))
    assert account.left() == 1, "it isn't counted twice"


def test_an_answer_to_a_turn_of_a_lost_memory_is_believed() -> None:
    account = Account()
    account.word(0, 4, 3000)
    assert account.left() == 4
    account.tell(AnswerTold(0, "organization:1"), AnswerTold(0, "organization:2", exhausted=True))
    assert "organization:1" not in account.limits.windows
    assert account.left("organization:2") == 0


@given(st.floats(0, 1, exclude_max=True))
def test_programs_that_share_nothing_do_not_return_together(chance: float) -> None:
    account = Account(chance=chance)
    account.word(account.turn(), 0, 1000)
    assert account.limits.windows["user"].spread == int(SPREAD * chance)
    account.word(account.turn("user") or account.limits.number, 0, 999)
    assert account.resets_in() in range(999, 1012), "drawn once for a reset"


def test_a_clock_that_stood_still_ends_windows_too() -> None:
    account = Account()
    account.word(account.turn(), 0, 1000)
    account.tell(Slept(900 * SECOND), AnswerTold(account.limits.number, "organization:9", 3, 0))
    assert account.resets_in() == 101
    account.tell(Slept(200 * SECOND))
    assert account.left() is None


def test_windows_that_turn_out_to_be_one_merge() -> None:
    account = Account()
    first, second = account.turn("workspace:7"), account.turn("organization:1")
    third = account.turn("workspace:7")
    account.word(first, 9, 3000, "workspace:7")
    account.word(second, 20, 2000, "organization:1")
    account.limits.waiters["b"] = Waiter([Demand(1, "workspace:7", 1, TIME)], TIME + HOUR, TIME + HOUR)
    cold = account.limits.cold
    account.tell(OrganizationFound("workspace:7", "organization:1"))
    assert account.limits.cold == cold + 1
    assert account.limits.waiters["b"].lines[0].window == "organization:1"
    assert account.left("organization:1") == 8, "the less of both, and one under way"
    assert account.resets_in("organization:1") in range(2990, 3012)
    assert third in account.limits.windows["organization:1"].flying
    account.tell(
        OrganizationFound("workspace:8", "organization:1"), OrganizationFound("workspace:9", "organization:2")
    )
    assert set(account.limits.windows) == {"organization:1"}
    number = account.turn("workspace:10")
    account.word(number, 2, 3000, "workspace:10")
    account.tell(OrganizationFound("workspace:10", "organization:3"))
    assert account.left("organization:3") == 2


def test_merging_keeps_what_only_one_of_them_knows() -> None:
    limits = Limits.new(TIME)
    limits.windows = {"workspace:7": Window(total=240), "organization:1": Window(3, TIME + HOUR, 5)}
    windows.merge(limits, "workspace:7", "organization:1")
    assert limits.windows["organization:1"] == Window(3, TIME + HOUR, -1, total=240)
    limits.windows["workspace:8"] = Window(5, TIME + 2 * HOUR, 9)
    windows.merge(limits, "workspace:8", "organization:1")
    assert limits.windows["organization:1"] == Window(3, TIME + 2 * HOUR, -1, total=240)


def test_windows_of_which_nothing_is_known_are_dropped() -> None:
    account = Account()
    for number in range(20):
        account.tell(AnswerTold(account.turn(f"workspace:{number}"), f"workspace:{number}"))
    for _ in range(20):
        account.tell()
    assert not account.limits.windows


@given(
    st.lists(
        st.tuples(st.sampled_from(["turn", "answer", "lost", "unused", "402"]), st.integers(0, 9)),
        max_size=40,
    )
)
def test_no_more_is_sent_than_is_left(steps: list[tuple[str, int]]) -> None:
    """Against a server that counts; whatever order answers come in, it never has to refuse."""
    account, quota, spent = Account(), 5, 0
    account.tell(QuotaTold("user", quota, HOUR - SECOND, quota))
    flying: list[tuple[int, int]] = []
    for step, which in steps:
        if step == "turn":
            if number := account.turn():
                spent += 1
                assert spent <= quota
                flying.append((number, quota - spent))
        elif flying:
            number, remaining = flying.pop(which % len(flying))
            if step == "lost":
                account.tell(LossTold(number, "user"))
            else:
                account.tell(AnswerTold(number, "user", remaining, HOUR - account.now + TIME - SECOND))
    if not flying:
        assert account.left() == quota - spent, "nothing is left unused"
