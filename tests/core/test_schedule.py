"""What one process decides alone: order, states, `max_wait`, back-off, withdrawals, doubt."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.driven import Driver, Store, process
from toggl_async.options import Priority, Retry
from toggl_async.scheduler.core import queue
from toggl_async.scheduler.core.ask import Departure, Elsewhere, Grant, View, WindowView, view
from toggl_async.scheduler.core.foresight import Reason, TooLong
from toggl_async.scheduler.core.limits import SECOND, Limits
from toggl_async.scheduler.core.notes import (
    AnswerTold,
    LossTold,
    OrganizationFound,
    QuotaTold,
    Slept,
    Throttled,
    Unused,
)
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call, CallState
from toggl_async.scheduler.core.retry import Loss
from toggl_async.scheduler.core.schedule import CLOCK_MARGIN, Schedule
from toggl_async.scheduler.core.waiters import PATIENCE, Want
from toggl_async.scheduler.core.windows import HOUR

NORMAL, INTERACTIVE, BULK = Priority.NORMAL, Priority.INTERACTIVE, Priority.BULK
DONE = Outcome(OutcomeKind.DONE)


def elsewhere(level: int, window: str, count: int) -> Elsewhere:
    """Say what another process has waiting."""
    return Elsewhere("other", level, window, count, 0)


def seen(**changes: object) -> View:
    values: dict[str, object] = {
        "opens_in": 0,
        "interval": SECOND,
        "rest": 0,
        "probing": False,
        "windows": {},
        "others": [],
        "ages": [],
        "unserved": [0, 0, 0],
        "cold": 0,
    }
    return View(**(values | changes))  # type: ignore[arg-type]


class Calls:
    """A schedule, and calls by number."""

    def __init__(self, *, in_flight: int = 8, attempts: int = 5) -> None:
        self.schedule = Schedule(Retry(attempts=attempts), max_in_flight=in_flight)
        self.made = 0
        self.now = 1000 * SECOND

    def call(self, level: Priority = NORMAL, window: str = "user", **changes: object) -> Call:
        self.made += 1
        values: dict[str, object] = {"reads": True} | changes
        return Call(self.made, level, window, **values)  # type: ignore[arg-type]

    def waiting(self, level: Priority = NORMAL, window: str = "user", **changes: object) -> Call:
        call = self.call(level, window, **changes)
        assert self.schedule.submit(call, self.now) is None
        return call

    def turn(self, level: Priority = NORMAL, window: str = "user", number: int = 7) -> Call | None:
        return self.schedule.grant(Grant(number, level, window, wait=5), self.now)

    def sent(self, **changes: object) -> Call:
        call = self.waiting(**changes)  # type: ignore[arg-type]
        assert self.turn(call.level, call.window) is call
        self.schedule.begin(call, self.now)
        self.schedule.sent(call, self.now)
        return call


def test_first_come_first_served_within_a_line() -> None:
    calls = Calls()
    first, second = calls.waiting(), calls.waiting()
    urgent, elsewhere = calls.waiting(INTERACTIVE), calls.waiting(NORMAL, "organization:1")
    calls.now += 3 * SECOND
    assert set(calls.schedule.wants(calls.now)) == {
        Want(NORMAL, "user", 2, 3 * SECOND),
        Want(INTERACTIVE, "user", 1, 3 * SECOND),
        Want(NORMAL, "organization:1", 1, 3 * SECOND),
    }
    assert [calls.turn(), calls.turn(INTERACTIVE), calls.turn(), calls.turn(NORMAL, "organization:1")] == [
        first,
        urgent,
        second,
        elsewhere,
    ]
    assert first.waited == 3 * SECOND
    assert first.leaves_at == calls.now + 5
    assert calls.schedule.wants(calls.now) == ()


def test_a_turn_for_which_nobody_waits_any_more_is_given_back() -> None:
    calls = Calls()
    call = calls.waiting()
    calls.schedule.withdraw(call)
    assert calls.turn() is None
    assert calls.schedule.notes == [Unused(7, "user")]
    calls.schedule.withdraw(call)
    assert len(calls.schedule.notes) == 1, "it is done"


@pytest.mark.parametrize(
    ("state", "notes"),
    [
        (CallState.WAITING, []),
        (CallState.GRANTED, [Unused(7, "user")]),
        (CallState.LEAVING, [Unused(7, "user")]),
        (CallState.UNDER_WAY, [LossTold(7, "user")]),
        (CallState.ANSWERED, [AnswerTold(7, "user")]),
        (CallState.DONE, [AnswerTold(7, "user")]),
    ],
)
def test_a_call_can_be_withdrawn_wherever_it_is(state: CallState, notes: list[object]) -> None:
    calls = Calls()
    call, other = calls.waiting(), calls.waiting()
    steps: dict[CallState, Callable[[], object]] = {
        CallState.GRANTED: calls.turn,
        CallState.LEAVING: lambda: calls.schedule.begin(call, calls.now),
        CallState.UNDER_WAY: lambda: calls.schedule.sent(call, calls.now),
        CallState.ANSWERED: lambda: calls.schedule.answered(call, DONE, calls.now, 0.5),
        CallState.DONE: lambda: calls.schedule.finish(call),
    }
    for reached, step in steps.items():
        if call.state is state:
            break
        step()
        assert call.state is reached
    calls.schedule.withdraw(call)
    assert call.state is CallState.DONE
    assert (calls.schedule.in_flight, len(calls.schedule.queue)) == (0, 1)
    assert calls.schedule.notes == notes
    assert calls.turn() is other


def test_a_lone_call_needs_no_line() -> None:
    calls = Calls(in_flight=1)
    assert calls.schedule.is_clear(calls.now)
    call = calls.call()
    calls.schedule.give(call, Grant(7, NORMAL, "user", wait=5), calls.now)
    assert (call.state, call.turn, call.leaves_at, call.attempts) == (CallState.GRANTED, 7, calls.now + 5, 1)
    assert not calls.schedule.is_clear(calls.now), "all slots are taken"
    calls.schedule.begin(call, calls.now)
    calls.schedule.lost(call, Loss.NEVER_LEFT, calls.now, 0.5)
    calls.schedule.finish(call)
    assert not calls.schedule.is_clear(calls.now), "it holds back"
    calls.now += 60 * SECOND
    assert calls.schedule.is_clear(calls.now)
    calls.waiting()
    assert not calls.schedule.is_clear(calls.now)


def test_no_more_are_under_way_than_allowed() -> None:
    calls = Calls(in_flight=2)
    first = calls.sent()
    calls.waiting()
    calls.waiting()
    assert [want.count for want in calls.schedule.wants(calls.now)] == [1]
    assert calls.schedule.held(calls.now) is None
    calls.turn()
    assert calls.schedule.wants(calls.now) == ()
    assert calls.schedule.held(calls.now) == (Reason.IN_FLIGHT, None)
    calls.schedule.answered(first, DONE, calls.now, 0.5)
    calls.schedule.finish(first)
    assert [want.count for want in calls.schedule.wants(calls.now)] == [1]


@pytest.mark.parametrize(
    ("outcome", "again", "note"),
    [
        (Outcome(OutcomeKind.DONE, 5, 6), None, AnswerTold(7, "user", 5, 6)),
        (Outcome(OutcomeKind.DENIED), None, AnswerTold(7, "user")),
        (Outcome(OutcomeKind.FEATURE, 5, 6), None, AnswerTold(7, "user", 5, 6)),
        (Outcome(OutcomeKind.GONE), None, AnswerTold(7, "user")),
        (Outcome(OutcomeKind.UNSUPPORTED), None, AnswerTold(7, "user")),
        (Outcome(OutcomeKind.THROTTLED, retry_after=9), Reason.COOLDOWN, Throttled(7, "user", 9)),
        (Outcome(OutcomeKind.QUOTA, 0, 6), Reason.QUOTA, AnswerTold(7, "user", 0, 6, exhausted=True)),
        (Outcome(OutcomeKind.FAILED), Reason.BACKOFF, AnswerTold(7, "user", calm=False)),
        (Outcome(OutcomeKind.LOGIN), None, AnswerTold(7, "user")),
    ],
)
def test_what_follows_an_answer(outcome: Outcome, again: Reason | None, note: object) -> None:
    calls = Calls()
    call = calls.sent()
    result = calls.schedule.answered(call, outcome, calls.now, 0.5)
    assert result.again is again
    assert result.login_refused == (outcome.kind is OutcomeKind.LOGIN)
    assert calls.schedule.notes == [note]
    if again is None:
        calls.schedule.finish(call)
    else:
        later = calls.waiting()
        assert calls.schedule.again(call, calls.now) is None
        assert call.state is CallState.WAITING
        assert calls.turn() is call, "it goes before what came later"
        assert later.state is CallState.WAITING
        stream = calls.sent(window="stream", replayable=False)
        assert calls.schedule.answered(stream, outcome, calls.now, 0.5).again is None


def test_a_write_is_sent_again_only_if_it_was_not_carried_out() -> None:
    for outcome, again in (
        (OutcomeKind.FAILED, None),
        (OutcomeKind.THROTTLED, Reason.COOLDOWN),
        (OutcomeKind.QUOTA, Reason.QUOTA),
    ):
        calls = Calls()
        call = calls.sent(reads=False)
        assert calls.schedule.answered(call, Outcome(outcome), calls.now, 0.5).again is again
    for loss, again in ((Loss.NEVER_LEFT, Reason.BACKOFF), (Loss.MAY_HAVE_LEFT, None), (Loss.HOPELESS, None)):
        calls = Calls()
        call = calls.sent(reads=False)
        assert calls.schedule.lost(call, loss, calls.now, 0.5).again is again
        left = loss is Loss.MAY_HAVE_LEFT
        assert calls.schedule.notes == [(LossTold if left else Unused)(7, "user")]
        assert (calls.schedule.backoff.until > calls.now) == (loss is not Loss.HOPELESS)


def test_an_answer_that_breaks_off_is_a_loss_without_a_turn() -> None:
    calls = Calls()
    call = calls.sent()
    calls.schedule.answered(call, DONE, calls.now, 0.5)
    assert calls.schedule.lost(call, Loss.MAY_HAVE_LEFT, calls.now, 0.5).again is Reason.BACKOFF
    assert calls.schedule.notes == [AnswerTold(7, "user")]


def test_attempts_come_to_an_end() -> None:
    calls = Calls(attempts=3)
    call = calls.sent()
    for left in (True, True, False):
        assert (
            calls.schedule.answered(call, Outcome(OutcomeKind.FAILED), calls.now, 0.5).again is not None
        ) is left
    assert call.failures == 3


def test_a_failure_holds_the_whole_account_back() -> None:
    calls = Calls()
    call = calls.sent()
    calls.schedule.answered(call, Outcome(OutcomeKind.FAILED, retry_after=9 * SECOND), calls.now, 0.5)
    calls.schedule.again(call, calls.now)
    assert calls.schedule.held(calls.now) == (Reason.BACKOFF, calls.now + 9 * SECOND)
    assert calls.schedule.wants(calls.now) == ()
    assert calls.schedule.foresight.expected(calls.call(), calls.now)[1] is Reason.BACKOFF
    calls.now += 9 * SECOND
    assert calls.turn() is call
    calls.schedule.answered(call, Outcome(OutcomeKind.DENIED), calls.now, 0.5)
    assert calls.schedule.backoff.incidents == 0


def test_eight_failures_of_one_moment_are_one() -> None:
    calls = Calls()
    eight = [calls.sent() for _ in range(8)]
    calls.now += SECOND
    for call in eight:
        calls.schedule.answered(call, Outcome(OutcomeKind.FAILED), calls.now, 0.999)
    assert calls.schedule.backoff.until <= calls.now + SECOND


def test_a_last_look_sends_on_renumbers_or_sends_back() -> None:
    calls = Calls()
    call = calls.waiting()
    calls.turn()
    calls.schedule.begin(call, calls.now)
    assert calls.schedule.depart(call, Departure(9, 300), calls.now)
    assert (call.turn, call.leaves_at) == (9, calls.now + 300)
    assert not calls.schedule.depart(call, Departure(0), calls.now)
    calls.schedule.send_back(call, calls.now)
    assert (call.state, call.attempts, calls.schedule.in_flight) == (CallState.WAITING, 0, 0)
    assert calls.schedule.notes == [], "the limits know"
    calls.turn(number=11)
    calls.schedule.send_back(call, calls.now)
    assert calls.schedule.notes == [Unused(11, "user")]


# max_wait


def test_without_a_view_nothing_is_foreseen() -> None:
    calls = Calls()
    assert calls.schedule.foresight.expected(calls.call(), calls.now) == (calls.now, Reason.PACE)
    assert calls.schedule.submit(calls.call(max_wait=0), calls.now) is None


@pytest.mark.parametrize(
    ("view", "wait", "reason"),
    [
        (seen(opens_in=700_000), 700_000, Reason.PACE),
        (seen(opens_in=9 * SECOND, rest=9 * SECOND), 9 * SECOND, Reason.COOLDOWN),
        (seen(others=[elsewhere(0, "user", 4), elsewhere(2, "user", 9)]), 4 * SECOND, Reason.QUEUE),
        (seen(others=[elsewhere(1, "user", 4), elsewhere(1, "user", 9)]), 2 * SECOND, Reason.QUEUE),
        (seen(windows={"user": WindowView(0, 0, 99 * SECOND, 30)}), 99 * SECOND, Reason.QUOTA),
        (seen(windows={"user": WindowView(0, 1, 99 * SECOND, 30)}), 0, Reason.PACE),
        (seen(windows={"user": WindowView(0, 0, None, 30)}), 0, Reason.PACE),
        (
            seen(windows={"user": WindowView(1, 1, 99 * SECOND, 2)}, others=[elsewhere(0, "user", 4)]),
            99 * SECOND + HOUR,
            Reason.QUOTA,
        ),
        (
            seen(windows={"user": WindowView(1, 1, 99 * SECOND, None)}, others=[elsewhere(0, "user", 4)]),
            99 * SECOND,
            Reason.QUOTA,
        ),
        (
            seen(
                windows={"organization:1": WindowView(2, 2, 99 * SECOND, 9)},
                others=[elsewhere(0, "organization:1", 4)],
            ),
            2 * SECOND,
            Reason.QUEUE,
        ),
        (seen(others=[elsewhere(0, "organization:1", 4)]), 4 * SECOND, Reason.QUEUE),
    ],
)
def test_how_long_a_call_will_wait_at_least(view: View, wait: int, reason: Reason) -> None:
    calls = Calls()
    calls.schedule.see(view, calls.now)
    assert calls.schedule.foresight.expected(calls.call(), calls.now) == (calls.now + wait, reason)
    refused = calls.schedule.submit(calls.call(max_wait=wait - 1), calls.now) if wait else None
    assert refused == (TooLong(reason, calls.now + wait) if wait else None)
    assert calls.schedule.submit(calls.call(max_wait=wait), calls.now) is None


def test_ageing_counts_in_the_bound() -> None:
    calls = Calls()
    for _ in range(400):
        calls.waiting(INTERACTIVE)
    calls.schedule.see(seen(unserved=[0, 0, 10 * SECOND]), calls.now)
    assert calls.schedule.foresight.expected(calls.call(BULK), calls.now) == (
        calls.now + PATIENCE,
        Reason.QUEUE,
    )
    calls.waiting(BULK, max_wait=300 * SECOND)
    calls.now += 50 * SECOND
    at, _ = calls.schedule.foresight.expected(calls.call(BULK), calls.now)
    assert at == calls.now + PATIENCE - 50 * SECOND + PATIENCE
    calls.schedule.see(seen(unserved=[0, 0, 50 * SECOND], others=[elsewhere(2, "user", 1)]), calls.now)
    at, _ = calls.schedule.foresight.expected(calls.call(BULK), calls.now)
    assert at == calls.now + 402 * SECOND, "by then the urgent ones are through"


def test_what_was_sent_before_goes_to_the_head() -> None:
    calls = Calls()
    call = calls.sent(max_wait=2 * SECOND)
    for _ in range(9):
        calls.waiting()
    calls.schedule.see(seen(), calls.now)
    calls.schedule.answered(call, Outcome(OutcomeKind.THROTTLED), calls.now, 0.5)
    assert calls.schedule.again(call, calls.now) is None
    assert calls.turn() is call
    calls.schedule.see(seen(opens_in=3 * SECOND, rest=3 * SECOND), calls.now)
    assert calls.schedule.again(call, calls.now) == TooLong(Reason.COOLDOWN, calls.now + 3 * SECOND)
    assert (call.state, calls.schedule.in_flight) == (CallState.DONE, 0)


def test_all_waits_of_a_call_count_together() -> None:
    calls = Calls()
    call = calls.waiting(max_wait=10 * SECOND)
    calls.now += 4 * SECOND
    calls.turn()
    assert call.waited == 4 * SECOND
    calls.schedule.begin(call, calls.now)
    calls.schedule.sent(call, calls.now)
    calls.schedule.answered(call, Outcome(OutcomeKind.THROTTLED), calls.now, 0.5)
    assert calls.schedule.again(call, calls.now) is None
    assert call.deadline == calls.now + 6 * SECOND


def test_who_cannot_make_it_any_more_is_told_at_once() -> None:
    calls = Calls()
    patient, forever = calls.waiting(max_wait=400 * SECOND), calls.waiting()
    hasty, elsewhere = calls.waiting(max_wait=100 * SECOND), calls.waiting(BULK, "organization:1")
    calls.schedule.see(seen(opens_in=200 * SECOND, rest=200 * SECOND), calls.now)
    assert list(calls.schedule.doomed(calls.now)) == [
        (hasty, TooLong(Reason.COOLDOWN, calls.now + 200 * SECOND))
    ]
    assert hasty.state is CallState.DONE
    calls.schedule.see(seen(windows={"user": WindowView(0, 0, 900 * SECOND, 30)}), calls.now)
    assert list(calls.schedule.doomed(calls.now)) == [
        (patient, TooLong(Reason.QUOTA, calls.now + 900 * SECOND))
    ]
    assert {forever.state, elsewhere.state} == {CallState.WAITING}
    calls.waiting(max_wait=950 * SECOND)
    assert list(calls.schedule.doomed(calls.now)) == []


def test_a_deadline_that_comes_says_what_was_waited_for() -> None:
    calls = Calls()
    call = calls.waiting(max_wait=SECOND)
    assert calls.schedule.foresight.too_long(call, calls.now) == TooLong(Reason.PACE, calls.now)
    calls.waiting()
    assert calls.schedule.foresight.too_long(call, calls.now).reason is Reason.QUEUE
    calls.schedule.see(seen(windows={"user": WindowView(0, 0, 5 * SECOND, 30)}), calls.now)
    assert calls.schedule.foresight.too_long(call, calls.now) == TooLong(Reason.QUOTA, calls.now + 5 * SECOND)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["user", "organization:1"])), max_size=12),
    st.integers(0, 2),
    st.sampled_from([None, 0, 1, 3]),
)
def test_the_bound_is_a_lower_one(others: list[tuple[int, str]], level: int, remaining: int | None) -> None:
    """Whoever fails by it could not have gone: alone in the world, nobody goes earlier."""
    store = Store()
    driver = Driver("a", process("a"), Retry(), 100)
    if remaining is not None:
        limits = Limits.from_bytes(store.value)
        driver.schedule.told_quota("user", remaining, 30 * SECOND, 3)
        driver.ask(store)
        limits = Limits.from_bytes(store.value)
        driver.schedule.see(view(limits, limits.at, driver.me), store.now)
    for number, (other, window) in enumerate(others):
        driver.submit(store, Call(number, Priority(other), window, reads=True))
    if others:
        driver.ask(store)
    call = Call(99, Priority(level), "user", reads=True)
    at, _ = driver.schedule.foresight.expected(call, store.now)
    driver.submit(store, call)
    for _ in range(200):
        driver.ask(store)
        if call.state is not CallState.WAITING:
            break
        assert driver.wakes_at is not None
        store.now = max(store.now, driver.wakes_at)
    assert call.leaves_at >= at - SECOND, "a turn can be given an interval ahead"


# Clocks, windows


def test_a_clock_that_stood_still_is_noticed_by_the_wall() -> None:
    calls = Calls()
    wall = 7 * HOUR
    calls.schedule.look(calls.now, wall)
    calls.schedule.look(calls.now + SECOND, wall + SECOND + CLOCK_MARGIN)
    assert calls.schedule.notes == [], "it may drift"
    calls.schedule.look(calls.now, wall - HOUR)
    assert calls.schedule.notes == [], "it was set back"
    calls.schedule.look(calls.now + SECOND, wall + SECOND)
    assert calls.schedule.notes == [Slept(HOUR - CLOCK_MARGIN)]
    calls.schedule.look(calls.now + 2 * SECOND, wall + 2 * SECOND)
    assert len(calls.schedule.notes) == 1


def test_what_is_learned_of_quotas_is_told() -> None:
    calls = Calls()
    call, other = (
        calls.waiting(NORMAL, "workspace:7"),
        calls.waiting(NORMAL, "organization:5", max_wait=SECOND),
    )
    calls.schedule.merge("workspace:7", "organization:5")
    calls.schedule.told_quota("user", 3, 4, 30)
    assert calls.schedule.notes == [
        OrganizationFound("workspace:7", "organization:5"),
        QuotaTold("user", 3, 4, 30),
    ]
    assert call.window == "organization:5"
    assert [want.count for want in calls.schedule.wants(calls.now)] == [2]
    assert [calls.turn(NORMAL, "organization:5"), calls.turn(NORMAL, "organization:5")] == [call, other]


def test_within_a_priority_first_come_is_first_served_whatever_their_windows() -> None:
    store, driver = Store(), Driver("a", process("a"), Retry(), 100)
    for number, window in enumerate(["user", "user", "organization:1", "organization:1", "user"]):
        driver.submit(store, Call(number, NORMAL, window, reads=True))
    order: list[int] = []
    while len(order) < 5:
        driver.ask(store)
        order += [
            call.number
            for call in driver.calls
            if call.state is CallState.LEAVING and call.number not in order
        ]
        store.now = max(store.now, driver.wakes_at or 0)
    assert order == [0, 1, 2, 3, 4]


def test_ages_are_those_of_the_shared_limits() -> None:
    calls = Calls()
    calls.waiting()
    calls.now += 100 * SECOND
    calls.schedule.see(seen(ages=[(NORMAL, "user", 3 * SECOND), (BULK, "user", SECOND)]), calls.now)
    calls.now += SECOND
    assert [want.waited for want in calls.schedule.wants(calls.now)] == [3 * SECOND], "it held back by itself"


def test_marked_calls_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_SWEEP", 4)
    calls = Calls()
    many = [calls.waiting() for _ in range(12)]
    for call in many[1:11]:
        calls.schedule.withdraw(call)
    assert len(calls.schedule.queue.lines[NORMAL, "user"]._heap) < 12
    assert list(calls.schedule.queue) == [many[0], many[11]]
    calls.schedule.withdraw(many[0])
    assert calls.turn() is many[11]
