"""When a server read its clock, of exchanges that took longer on one way than on the other."""

from hypothesis import given
from hypothesis import strategies as st

from toggl_async.scheduler.budgets.server_clock import ServerClock

HOUR = 3600_000_000
delays = st.integers(0, 500_000)


@given(st.integers(-HOUR, HOUR), st.integers(0, 300), st.lists(st.tuples(delays, delays)))
def test_a_quick_exchange_tells_when_the_slow_ones_were_read(
    difference: int, quick: int, slow: list[tuple[int, int]]
) -> None:
    clock, now = ServerClock(), HOUR
    clock.moment(now, now + quick // 2 + difference, now + quick)
    for there, back in slow:
        now += 1_000_000
        read = now + there
        assert abs(clock.moment(now, read + difference, read + back) - read) <= quick // 2 + 1


@given(st.lists(st.tuples(st.integers(-HOUR, HOUR), delays, delays), min_size=1))
def test_it_was_read_between_question_and_answer_though_clocks_are_set(
    exchanges: list[tuple[int, int, int]],
) -> None:
    clock, now = ServerClock(), HOUR
    for difference, there, back in exchanges:
        now += 1_000_000
        read = now + there
        assert now <= clock.moment(now, read + difference, read + back) + 1 <= read + back + 1
