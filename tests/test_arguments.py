import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from toggl_async._operations.arguments import (
    day,
    day_or_moment,
    each,
    id_list,
    moment,
    one_id,
    text_list,
    unix_seconds,
)
from toggl_async.errors import InvalidInput

TODAY = dt.date(2026, 3, 4)
NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
NAIVE = NOON.replace(tzinfo=None)
CHECKS: list[Callable[[Any, str], object]] = [one_id, id_list, text_list, day, moment, day_or_moment]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (one_id, 7),
        (id_list, [1, 2]),
        (id_list, [None, 2]),
        (id_list, []),
        (text_list, ["a", "b"]),
        (day, TODAY),
        (moment, NOON),
        (day_or_moment, TODAY),
        (day_or_moment, NOON),
    ],
)
def test_what_fits_passes(check: Callable[[Any, str], object], value: object) -> None:
    assert check(value, "it") == value


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", [UNSET, None])
def test_what_is_left_out_or_null_passes(check: Callable[[Any, str], object], value: object) -> None:
    assert check(value, "it") is value


@pytest.mark.parametrize("values", [{3}, (3,), {3: "x"}, {"x": 3}.values(), range(3, 4)])
def test_ids_come_in_any_collection(values: Any) -> None:
    assert id_list(values, "it") == [3]


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (one_id, [1, 2], "pass one id (an int), not a value of type list"),
        (one_id, "12", "pass one id (an int), not a value of type str"),
        (one_id, True, "pass one id (an int), not a value of type bool"),
        (id_list, "123", "pass a collection of ids (int), not a value of type str"),
        (id_list, 5, "pass a collection of ids (int), not a value of type int"),
        (id_list, b"12", "pass a collection of ids (int), not a value of type bytes"),
        (id_list, ["1"], "ids are int, not a value of type str"),
        (id_list, [True], "ids are int, not a value of type bool"),
        (text_list, "word", "pass a sequence of str, not a single str"),
        (day, NOON, "pass a date, not a value of type datetime"),
        (day, "2026-03-04", "pass a date, not a value of type str"),
        (moment, TODAY, "pass a datetime, not a value of type date"),
        (moment, NAIVE, "a datetime needs a time zone"),
        (day_or_moment, NAIVE, "a datetime needs a time zone"),
        (day_or_moment, 5, "pass a datetime, not a value of type int"),
        (unix_seconds, TODAY, "pass a datetime, not a value of type date"),
        (unix_seconds, NAIVE, "a datetime needs a time zone"),
        (unix_seconds, 1.5, "pass a datetime, not a value of type float"),
        (unix_seconds, True, "pass a datetime, not a value of type bool"),
        (unix_seconds, 1_772_625_600_000, "pass UNIX seconds, not milliseconds: 1772625600000"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    check: Callable[[Any, str], object], value: object, message: str
) -> None:
    with pytest.raises(InvalidInput, match="^it: " + re.escape(message)):
        check(value, "it")


def test_moments_become_unix_seconds() -> None:
    assert unix_seconds(NOON) == 1_772_625_600
    assert unix_seconds(1_772_625_600) == 1_772_625_600
    assert unix_seconds(UNSET) is UNSET


def test_several_are_held_against_one_type() -> None:
    assert each(one_id, project_id=1, task_id=UNSET) == {"project_id": 1, "task_id": UNSET}
    with pytest.raises(InvalidInput, match=r"^task_id: "):
        each(one_id, project_id=1, task_id="2")
