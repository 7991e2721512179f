import math
import re
from collections.abc import Callable

import attrs
import pytest

from toggl_async import ClientOptions, Cooldown, InvalidInput, Pace, Priority, QuotaPolicy, Retry


def test_the_defaults_are_those_that_toggl_asks_for() -> None:
    options = ClientOptions()
    assert options.pace == Pace(interval=1.0, margin=0.02)
    assert options.retry == Retry(attempts=5, minimum=0.5, maximum=30.0)
    assert options.cooldown == Cooldown(minimum=120.0, maximum=240.0)
    assert options.quota == QuotaPolicy(reserve=0)
    assert (options.max_in_flight, options.max_wait, options.keep_unknown) == (8, 600.0, False)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pace(interval=-1), "Pace.interval must be at least 0, not -1"),
        (lambda: Pace(margin=-0.1), "Pace.margin must be at least 0, not -0.1"),
        (lambda: Pace(interval=math.nan), "Pace.interval must be a number, not nan"),
        (lambda: Pace(interval=True), "Pace.interval must be a number, not True"),
        (lambda: Pace(interval="1"), "Pace.interval must be a number, not '1'"),  # type: ignore[arg-type]
        (lambda: Retry(attempts=0), "Retry.attempts must be at least 1, not 0"),
        (lambda: Retry(attempts=1.5), "Retry.attempts must be a whole number, not 1.5"),  # type: ignore[arg-type]
        (lambda: Retry(minimum=3, maximum=2), r"Retry.maximum \(2\) is less than its minimum \(3\)"),
        (lambda: Cooldown(minimum=300), r"Cooldown.maximum \(240\) is less than its minimum \(300\)"),
        (lambda: QuotaPolicy(reserve=-1), "QuotaPolicy.reserve must be at least 0, not -1"),
        (lambda: ClientOptions(max_in_flight=0), "ClientOptions.max_in_flight must be at least 1, not 0"),
        (lambda: ClientOptions(max_wait=-1), "ClientOptions.max_wait must be at least 0, not -1"),
        (lambda: ClientOptions(timeout=0), "ClientOptions.timeout must be greater than 0, not 0"),
        (lambda: ClientOptions(timeout=math.inf), "ClientOptions.timeout must be finite, not inf"),
        (lambda: Pace(interval=math.inf), "Pace.interval must be finite, not inf"),
        (lambda: Pace(interval=-math.inf), "Pace.interval must be at least 0, not -inf"),
        (lambda: Cooldown(maximum=math.inf), "Cooldown.maximum must be finite, not inf"),
        (lambda: ClientOptions(pace=1.0), "ClientOptions.pace must be a Pace, not 1.0"),  # type: ignore[arg-type]
        (lambda: ClientOptions(quota=None), "ClientOptions.quota must be a QuotaPolicy, not None"),  # type: ignore[arg-type]
        (
            lambda: ClientOptions(keep_unknown="no"),  # type: ignore[arg-type]
            "ClientOptions.keep_unknown must be a bool, not 'no'",
        ),
        (
            lambda: ClientOptions(user_agent=None),  # type: ignore[arg-type]
            "ClientOptions.user_agent must be printable ASCII text, not None",
        ),
        *(
            (
                lambda name=name: ClientOptions(user_agent=name),
                f"ClientOptions.user_agent must be printable ASCII text, not {re.escape(repr(name))}",
            )
            for name in ("ü", "", " ", "a\r\nX-Evil: 1")
        ),
    ],
)
def test_an_option_out_of_range_is_refused_when_built(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}$"):
        build()


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Pace().interval = 2.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        Pace(2.0)  # type: ignore[call-arg]


def test_waiting_without_limit_is_allowed() -> None:
    assert ClientOptions(max_wait=math.inf).max_wait == math.inf
    assert ClientOptions(max_wait=None, timeout=None) == ClientOptions(timeout=None, max_wait=None)


def test_interactive_calls_come_first() -> None:
    assert sorted([Priority.BULK, Priority.INTERACTIVE, Priority.NORMAL]) == [
        Priority.INTERACTIVE,
        Priority.NORMAL,
        Priority.BULK,
    ]
