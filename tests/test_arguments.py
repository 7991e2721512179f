import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from msgspec import UNSET

from toggl_async._operations.arguments import (
    any_number,
    date_range,
    day,
    day_or_moment,
    each,
    each_of,
    each_or_null,
    entry_seconds,
    from_one,
    id_list,
    moment,
    one_flag,
    one_id,
    one_text,
    text_list,
    unix_seconds,
    whole_number,
)
from toggl_async._operations.typed import patch_list
from toggl_async.errors import InvalidInput
from toggl_async.records import Patch

TODAY = dt.date(2026, 3, 4)
NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
PATCH: Any = Patch(op="replace", path="/name", value="x")
NAIVE = NOON.replace(tzinfo=None)
CHECKS: list[Callable[[Any, str], object]] = [
    any_number, day, day_or_moment, entry_seconds, from_one, id_list, moment, one_flag, one_id, one_text,
    text_list, whole_number,
]  # fmt: skip


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
        (any_number, 1.5),
        (entry_seconds, 0),
        (entry_seconds, -1),
        (entry_seconds, -1_772_625_601),
        (from_one, 1),
        (one_flag, False),
        (one_text, ""),
        (whole_number, -3),
        (patch_list, [PATCH]),
    ],
)
def test_what_fits_passes(check: Callable[[Any, str], object], value: object) -> None:
    assert check(value, "it") == value


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", [UNSET, None])
def test_what_is_left_out_or_null_passes(check: Callable[[Any, str], object], value: object) -> None:
    assert check(value, "it") is value


@pytest.mark.parametrize("values", [{3}, (3,), {3: "x"}.keys(), {"x": 3}.values(), range(3, 4)])
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
        (text_list, ["a", 1], "pass a sequence of str, without a value of type int"),
        (text_list, 5, "pass a sequence of str, not a value of type int"),
        (any_number, "1", "pass an int or a float, not a value of type str"),
        (any_number, True, "pass an int or a float, not a value of type bool"),
        (any_number, float("inf"), "pass a finite number, not inf"),
        (entry_seconds, -5, "pass 0 or more seconds, or -1 to let the entry run, not -5"),
        (entry_seconds, "1", "pass an int, not a value of type str"),
        (from_one, 0, "pass 1 or more, not 0"),
        (one_flag, 1, "pass a bool, not a value of type int"),
        (one_text, 5, "pass a str, not a value of type int"),
        (whole_number, 1.5, "pass an int, not a value of type float"),
        (patch_list, [], "pass at least one Patch, in a list"),
        (patch_list, "x", "pass at least one Patch, in a list"),
        (patch_list, [{"op": "add"}], "pass Patch(op=…, path=…, value=…), not a value of type dict"),
        (patch_list, [attrs.evolve(PATCH, op="zap")], "op is 'add', 'remove' or 'replace', not 'zap'"),
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


def test_a_choice_is_one_of_its_values() -> None:
    assert each_of(("a", "b"), mode="a", other=UNSET) == {"mode": "a", "other": UNSET}
    assert each_of(("a", None), mode=None) == {"mode": None}
    with pytest.raises(InvalidInput, match=r"^mode: pass 'a' or 'b', not 'c'$"):
        each_of(("a", "b"), mode="c")


def test_null_passes_only_where_it_is_allowed() -> None:
    assert each_or_null(one_text, name=None) == {"name": None}
    with pytest.raises(InvalidInput, match=r"^name: None is not allowed here; leave it out, or pass UNSET$"):
        each(one_text, name=None)


def test_the_days_of_a_report_are_held_against_each_other() -> None:
    last = TODAY + dt.timedelta(days=366)
    for days in ({"start_date": TODAY, "end_date": last}, {"start_date": UNSET, "end_date": TODAY}):
        given: dict[str, Any] = days
        assert date_range(366, **given) == days
    with pytest.raises(InvalidInput, match=r"^end_date: 2026-03-03 is before start_date, 2026-03-04$"):
        date_range(366, start_date=TODAY, end_date=TODAY - dt.timedelta(days=1))
    with pytest.raises(InvalidInput, match=r"^end_date: .* is more than 366 days after start_date"):
        date_range(366, start_date=TODAY, end_date=last + dt.timedelta(days=1))
    with pytest.raises(InvalidInput, match=r"^start_date: pass a date"):
        date_range(366, start_date=NOON, end_date=NOON)


def test_moments_become_unix_seconds() -> None:
    assert unix_seconds(NOON) == 1_772_625_600
    assert unix_seconds(1_772_625_600) == 1_772_625_600
    assert unix_seconds(UNSET) is UNSET


def test_several_are_held_against_one_type() -> None:
    assert each(one_id, project_id=1, task_id=UNSET) == {"project_id": 1, "task_id": UNSET}
    with pytest.raises(InvalidInput, match=r"^task_id: "):
        each(one_id, project_id=1, task_id="2")
