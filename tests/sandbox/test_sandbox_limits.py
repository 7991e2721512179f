import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import JumpLoop
from toggl_async.sandbox.limits import QuotaState, QuotaWindow, ServerLimits


class Bucket:
    """The bucket of one account, on a loop whose clock is set by hand."""

    def __init__(self, *, interval: float, burst: int) -> None:
        self.loop = JumpLoop()
        self.limits = ServerLimits(interval=interval, burst=burst, user_quota=1, organization_quota=2)

    def admit(self, now: float, user_id: int | None = 1) -> bool:
        self.loop.now = 1000.0 + now
        return self.loop.run_until_complete(self.limits.admit(user_id))


@pytest.fixture
def bucket() -> Iterator[Callable[..., Bucket]]:
    made = []

    def make(**options: Any) -> Bucket:
        made.append(Bucket(**options))
        return made[-1]

    yield make
    for one in made:
        one.loop.close()


def test_a_bucket_of_one_insists_on_the_interval(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=1.0, burst=1)
    assert [one.admit(at) for at in (100.0, 100.9, 101.0, 101.5, 102.0)] == [True, False, True, False, True]


def test_a_bucket_takes_a_burst_and_leaks_one_an_interval(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=2.0, burst=3)
    assert [one.admit(0.0) for _ in range(4)] == [True, True, True, False]
    assert [one.admit(at) for at in (1.9, 2.0, 3.9)] == [False, True, False]
    assert [one.admit(100.0) for _ in range(4)] == [True, True, True, False]


def test_refusals_prolong_nothing(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=1.0, burst=1)
    assert one.admit(0.0)
    assert not any(one.admit(tenth / 10) for tenth in range(1, 10))
    assert one.admit(1.0)


def test_a_bucket_without_an_interval_takes_everything(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=0.0, burst=1)
    assert all(one.admit(0.0) for _ in range(1000))


def test_a_bucket_is_empty_when_the_time_was_moved(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=60.0, burst=1)
    assert [one.admit(0.0), one.admit(0.0)] == [True, False]
    one.limits.empty_buckets()
    assert one.admit(0.0)


@given(
    burst=st.integers(1, 10),
    gaps=st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_than_the_burst_and_the_rate(burst: int, gaps: list[float]) -> None:
    one = Bucket(interval=1.0, burst=burst)
    now, admitted = 0.0, []
    for gap in gaps:
        now += gap
        if one.admit(now):
            admitted.append(now)
    one.loop.close()
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            assert last - first + 1 <= admitted[last] - admitted[first] + burst + 1e-3


@given(burst=st.integers(1, 10), gaps=st.lists(st.floats(1.0, 5, allow_nan=False), max_size=60))
def test_who_keeps_the_interval_is_never_refused(burst: int, gaps: list[float]) -> None:
    one = Bucket(interval=1.0, burst=burst)
    moments = list(itertools.accumulate(gaps))
    assert all(one.admit(now) for now in moments)
    one.loop.close()


def test_the_first_request_opens_a_window_of_an_hour() -> None:
    window = QuotaWindow(2)
    assert window.state(500.0) == QuotaState(remaining=2, resets_in=3600, total=2)
    assert window.spend(1000.0)
    assert window.state(1000.0) == QuotaState(remaining=1, resets_in=3600, total=2)
    assert window.spend(1000.5)
    assert window.state(1000.5) == QuotaState(remaining=0, resets_in=3600, total=2)
    assert not window.spend(4599.0)
    assert window.state(4599.5) == QuotaState(remaining=0, resets_in=1, total=2)
    assert window.spend(4600.0)
    assert window.state(4600.0) == QuotaState(remaining=1, resets_in=3600, total=2)


def test_a_window_does_not_open_by_itself() -> None:
    window = QuotaWindow(1)
    assert window.spend(0.0)
    assert window.state(9000.0) == QuotaState(remaining=1, resets_in=3600, total=1)


def test_an_endless_window_tells_nothing() -> None:
    window = QuotaWindow(math.inf)
    assert all(window.spend(0.0) for _ in range(100))
    assert window.state(0.0) is None


def test_a_window_of_nothing_refuses_at_once() -> None:
    window = QuotaWindow(0)
    assert not window.spend(0.0)
    assert window.state(0.0) == QuotaState(remaining=0, resets_in=3600, total=0)


def test_accounts_and_organizations_do_not_share(bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=1.0, burst=1)
    assert [one.admit(0.0, user_id) for user_id in (1, 2, None, 1)] == [True, True, True, False]
    limits = one.limits
    assert limits.window(1, None).spend(0.0)
    assert not limits.window(1, None).spend(0.0)
    assert limits.window(2, None).spend(0.0)
    assert [limits.window(1, 7).spend(0.0) for _ in range(3)] == [True, True, False]
    assert limits.window(1, 8).spend(0.0)


@pytest.mark.parametrize("early", [1e-9, 1e-7])
def test_rounding_of_the_clock_is_forgiven(early: float, bucket: Callable[..., Bucket]) -> None:
    one = bucket(interval=1.0, burst=1)
    assert one.admit(0.0)
    assert one.admit(1.0 - early)
    window = QuotaWindow(1)
    assert window.spend(0.0)
    assert window.spend(3600.0 - early)
