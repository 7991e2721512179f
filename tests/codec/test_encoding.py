import datetime as dt
import enum
import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from support.codec_records import Change, Entry, Price, Profile
from toggl_async.codec import Codec
from toggl_async.errors import InvalidInput

NOON = dt.datetime(2024, 3, 12, 12, tzinfo=dt.UTC)
NAIVE = dt.datetime(2024, 3, 12, 12)  # noqa: DTZ001 - that is the point


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def encode(body: object) -> Any:
    return json.loads(Codec().encode(body))


def test_unset_is_left_out_at_every_depth_and_none_is_kept() -> None:
    body = {"a": UNSET, "b": None, "c": {"d": UNSET, "e": None}, "f": [UNSET, None, {"g": UNSET}]}
    assert encode(body) == {"b": None, "c": {"e": None}, "f": [None, {}]}
    assert encode(Change(name=None, profile=UNSET)) == {"name": None}
    assert encode(Change()) == {}
    assert Codec().encode(UNSET) == b""
    assert Codec().encode(None) == b"null"


def test_records_go_by_their_names_on_the_wire() -> None:
    change = Change(end_time=NOON, labels=["a"], profile=Profile(id=1, two_factor_enabled=True))
    body = encode(change)
    assert body["endTime"] == "2024-03-12T12:00:00Z"
    assert body["labels"] == ["a"]
    assert body["profile"]["2fa_enabled"] is True
    assert body["profile"]["levels"] == []
    assert "two_factor_enabled" not in body["profile"]


def test_kept_unknown_fields_are_not_sent_back() -> None:
    price = Codec(keep_unknown=True).decode(Price, b'{"perMonth":1,"new":2}', operation="a")
    assert price.unknown == {"new": 2}
    assert encode(price) == {"perMonth": 1, "plan": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (12, 12),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        ("Zoë ✓", "Zoë ✓"),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (NOON, "2024-03-12T12:00:00Z"),
        (NOON.replace(microsecond=5), "2024-03-12T12:00:00.000005Z"),
        (NOON.astimezone(dt.timezone(dt.timedelta(hours=-3))), "2024-03-12T09:00:00-03:00"),
        (dt.date(2024, 3, 12), "2024-03-12"),
        ((1, 2), [1, 2]),
        (frozenset({1}), [1]),
        (range(2), [0, 1]),
        (msgspec.Raw(b'{"a":1}'), {"a": 1}),
        ({}, {}),
        ([Entry(id=1, workspace_id=2).id], [1]),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert encode({"value": value}) == {"value": expected}
    assert encode(value) == expected


def test_a_time_before_all_times_is_refused() -> None:
    beyond = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1, seconds=1)))
    with pytest.raises(InvalidInput, match=r"start: the datetime .* cannot be sent"):
        encode({"start": beyond})


def test_offsets_with_seconds_become_utc() -> None:
    odd = dt.datetime(1900, 1, 1, tzinfo=dt.timezone(dt.timedelta(minutes=53, seconds=28)))
    assert encode(odd) == "1899-12-31T23:06:32Z"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"start": NAIVE}, "start: the datetime 2024-03-12 12:00:00 needs a time zone"),
        ([{"entry": {"stop": NAIVE}}], r"\[0\]\.entry\.stop: the datetime"),
        (NAIVE, "body: the datetime"),
        (Change(end_time=NAIVE), "end_time: the datetime"),
        ({"rate": float("nan")}, "rate: the number nan cannot be sent"),
        ({"rates": [1.0, float("-inf")]}, r"rates\[1\]: the number -inf"),
        ({"id": 2**63}, "id: the number 9223372036854775808"),
        (float("inf"), "body: the number inf"),
        ({"logo": b"png"}, "logo: a value of type bytes cannot be sent"),
        ({"x": object()}, "x: a value of type object cannot be sent"),
        ({"x": dt.timedelta(1)}, "x: pass whole seconds, not a timedelta"),
        ({"x": {1: 2}}, "x: keys must be str, not 1"),
        ({1: 2}, "body: keys must be str, not 1"),
        ({"x": "\ud800"}, "not valid Unicode"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(body: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Codec().encode(body)


def test_a_body_that_holds_itself_is_refused() -> None:
    body: list[object] = []
    body.append(body)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        Codec().encode(body)
