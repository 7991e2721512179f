"""What may be sent again, and how long an account holds back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async.options import Retry
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.retry import Backoff, Loss, may_retry


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("replayable", [True, False])
@pytest.mark.parametrize("failures", [1, 4, 5, 6])
def test_what_may_be_sent_again(reads: bool, loss: Loss, replayable: bool, failures: int) -> None:
    harmless = loss is Loss.NEVER_LEFT or (loss is Loss.MAY_HAVE_LEFT and reads)
    expected = harmless and replayable and failures < 5
    given_options = {"failures": failures, "reads": reads, "loss": loss, "replayable": replayable}
    assert may_retry(attempts=5, **given_options) is expected  # type: ignore[arg-type]


def test_failures_of_one_moment_are_one_incident() -> None:
    backoff, now = Backoff(), 100 * SECOND
    for answer in range(8):
        backoff.fail(now + answer, now - SECOND + answer, None, Retry(), 1.0)
    assert backoff.incidents == 1
    assert backoff.until == now + SECOND


def test_delays_grow_by_incidents_and_end_with_one_good_answer() -> None:
    backoff, now, delays = Backoff(), 0, []
    for _ in range(8):
        now += 60 * SECOND
        backoff.fail(now, now - 1, None, Retry(), 1.0)
        delays.append((backoff.until - now) / SECOND)
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    backoff.recover()
    backoff.fail(now + 60 * SECOND, now + 59 * SECOND, None, Retry(), 0.0)
    assert backoff.until == now + 60 * SECOND + SECOND // 2


def test_what_the_server_asks_for_is_the_least() -> None:
    backoff = Backoff()
    backoff.fail(SECOND, 0, 90 * SECOND, Retry(), 0.5)
    assert backoff.until == 91 * SECOND
    backoff.fail(2 * SECOND, 0, 120 * SECOND, Retry(), 0.5)
    assert (backoff.until, backoff.incidents) == (122 * SECOND, 1)


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_delays_stay_in_their_range(incidents: int, chance: float) -> None:
    backoff = Backoff(incidents=incidents - 1)
    backoff.fail(SECOND, 0, None, Retry(minimum=0.5, maximum=30.0), chance)
    assert SECOND + SECOND // 2 <= backoff.until <= 31 * SECOND
