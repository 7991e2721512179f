"""How long a call has to wait at least: the bounds by which `max_wait` is kept."""

import math
import random

import httpx
import pytest

from toggl_async.errors import MaxWaitExceeded, QuotaExceeded
from toggl_async.options import ClientOptions, Priority, QuotaPolicy, Retry
from toggl_async.scheduler import Lane, Reason, RequestFacts
from toggl_async.scheduler.gates import Gates, too_long
from toggl_async.scheduler.queue import Call
from toggl_async.scheduler.quota import WINDOW, Organizations, QuotaWindows

NOW = 50.0
INTERVAL = 1.02


class Highest(random.Random):
    """Chance that always draws the most."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def made_gates(**options: object) -> Gates:
    quota = QuotaWindows(QuotaPolicy(), Organizations(), lambda _old, _lasting: None)
    return Gates(ClientOptions(**options), Highest(), quota)  # type: ignore[arg-type]


def made_call(
    gates: Gates,
    number: int,
    *,
    organization: int | None = None,
    priority: Priority = Priority.NORMAL,
    deadline: float = math.inf,
) -> Call:
    lane = Lane.USER if organization is None else Lane.ORGANIZATION
    facts = RequestFacts(
        route="GET /x", lane=lane, reads=True, organization_id=organization, priority=priority, max_wait=9.0
    )
    request = httpx.Request("GET", "https://toggl.test/x")
    call = Call(number, facts, window=gates.quota.window(facts), request=request, owner=None)
    call.deadline, call.since = deadline, NOW
    return call


def put(gates: Gates, *calls: Call) -> None:
    for call in calls:
        gates.queue.push(call, call.window)


def tell(gates: Gates, organization: int | None, remaining: int, total: int | None = None) -> None:
    gates.quota.tell(NOW, organization, remaining=remaining, resets_in=99, total=total)


class TestExpected:
    def test_an_idle_account_lets_go_at_once(self) -> None:
        gates = made_gates()
        call = made_call(gates, 1)
        assert gates.expected(call, call.window, NOW) == (0.0, Reason.PACE)

    def test_a_hold_is_waited_for(self) -> None:
        gates = made_gates()
        gates.hold(NOW, 7.0)
        call = made_call(gates, 1)
        assert gates.expected(call, call.window, NOW) == (7.0, Reason.BACKOFF)

    def test_a_probe_may_be_answered_at_any_moment(self) -> None:
        gates = made_gates()
        gates.cooldown.refuse(NOW - 500, sent_at=NOW - 501, retry_after=None)
        gates.cooldown.granted("probe")
        call = made_call(gates, 1)
        assert gates.barrier(NOW) == (Reason.PROBE, math.inf)
        assert gates.expected(call, call.window, NOW) == (0.0, Reason.PACE)

    def test_the_queue_is_waited_for_as_far_as_it_is_ahead(self) -> None:
        gates = made_gates()
        put(gates, *(made_call(gates, n, priority=priority) for n, priority in enumerate([0, 1, 1, 2, 2])))  # type: ignore[arg-type]
        for priority, ahead in ((0, 1), (1, 3), (2, 5)):
            call = made_call(gates, 9, priority=Priority(priority))
            wait, reason = gates.expected(call, call.window, NOW)
            assert wait == pytest.approx(ahead * INTERVAL)
            assert reason is Reason.QUEUE

    def test_those_on_other_windows_are_ahead_as_far_as_their_windows_let_them(self) -> None:
        gates = made_gates()
        waiting = [
            made_call(gates, n, organization=5, priority=priority)
            for n, priority in enumerate([Priority.INTERACTIVE] * 3 + [Priority.NORMAL] * 2 + [Priority.BULK])
        ]
        put(gates, *waiting)
        call = made_call(gates, 9)
        assert gates.expected(call, call.window, NOW)[0] == pytest.approx(5 * INTERVAL)
        tell(gates, 5, remaining=2)
        assert gates.expected(call, call.window, NOW)[0] == pytest.approx(2 * INTERVAL)

    def test_who_comes_back_has_nobody_ahead(self) -> None:
        gates = made_gates()
        put(gates, *(made_call(gates, n, organization=5) for n in range(3)), made_call(gates, 3))
        back = made_call(gates, 1)
        back.attempts = 1
        assert gates.expected(back, back.window, NOW) == (0.0, Reason.PACE)

    @pytest.mark.parametrize(
        ("ahead", "total", "windows"), [(0, 2, 0), (1, 2, 0), (2, 2, 1), (4, 2, 2), (4, None, 0)]
    )
    def test_a_window_used_up_is_waited_for_as_often_as_needed(
        self, ahead: int, total: int | None, windows: int
    ) -> None:
        gates = made_gates()
        tell(gates, None, remaining=0, total=total)
        put(gates, *(made_call(gates, n) for n in range(ahead)))
        call = made_call(gates, 9)
        assert gates.expected(call, call.window, NOW) == (100.0 + windows * WINDOW, Reason.QUOTA)

    def test_what_is_left_of_a_window_goes_to_those_ahead_first(self) -> None:
        gates = made_gates()
        tell(gates, None, remaining=2)
        put(gates, made_call(gates, 1))
        call = made_call(gates, 9)
        assert gates.expected(call, call.window, NOW)[1] is Reason.QUEUE
        put(gates, made_call(gates, 2))
        assert gates.expected(call, call.window, NOW) == (100.0, Reason.QUOTA)


class TestDoomed:
    def test_a_window_lets_as_many_go_as_it_has_left(self) -> None:
        gates = made_gates()
        tell(gates, None, remaining=2)
        calls = [made_call(gates, n, deadline=NOW + 60) for n in range(4)]
        put(gates, *calls)
        assert list(gates.doomed(NOW)) == [(call, NOW + 100, Reason.QUOTA) for call in calls[2:]]

    def test_those_who_can_wait_do(self) -> None:
        gates = made_gates()
        tell(gates, None, remaining=0)
        patient = made_call(gates, 1, deadline=NOW + 100)
        hasty = made_call(gates, 2, deadline=NOW + 99)
        put(gates, patient, hasty, made_call(gates, 3))
        assert [call for call, _, _ in gates.doomed(NOW)] == [hasty]

    def test_a_rest_can_outlast_a_window(self) -> None:
        gates = made_gates()
        tell(gates, None, remaining=0)
        gates.cooldown.refuse(NOW, sent_at=NOW, retry_after=None)
        call = made_call(gates, 1, deadline=NOW + 200)
        put(gates, call)
        assert list(gates.doomed(NOW)) == [(call, NOW + 240, Reason.COOLDOWN)]

    def test_nobody_fails_by_a_window_that_nothing_is_known_of(self) -> None:
        gates = made_gates()
        put(gates, made_call(gates, 1, deadline=NOW), made_call(gates, 2, deadline=NOW + 1))
        assert not list(gates.doomed(NOW))


class TestHold:
    def test_each_failure_in_a_row_holds_longer(self) -> None:
        gates = made_gates(retry=Retry(minimum=1.0, maximum=6.0))
        held = []
        for _ in range(4):
            gates.hold(NOW, None)
            held.append(gates.held_until - NOW)
        assert held == [2.0, 4.0, 6.0, 6.0]
        assert gates.barrier(NOW) == (Reason.BACKOFF, NOW + 6.0)
        assert gates.barrier(NOW + 6.0) is None

    def test_a_later_failure_shortens_nothing(self) -> None:
        gates = made_gates()
        gates.hold(NOW, 90.0)
        gates.hold(NOW, None)
        assert gates.held_until == NOW + 90.0


class TestTooLong:
    def test_the_error_counts_finished_waits_too(self) -> None:
        gates = made_gates()
        call = made_call(gates, 1)
        call.waited = 4.0
        error = too_long(call, NOW + 1, NOW + 10, Reason.PACE)
        assert isinstance(error, MaxWaitExceeded)
        assert (error.wait, error.max_wait, error.reason) == (14.0, 9.0, "pace")

    def test_an_unknown_window_has_nothing_left(self) -> None:
        gates = made_gates()
        error = too_long(made_call(gates, 1, organization=5), NOW, NOW + 10, Reason.QUOTA)
        assert isinstance(error, QuotaExceeded)
        assert (error.remaining, error.total, error.organization_id) == (0, None, 5)
        assert error.from_memory
