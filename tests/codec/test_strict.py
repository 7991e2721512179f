import copy
import datetime as dt
import json
import logging
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any, Optional

import msgspec
import pytest

from support.codec_records import Bounded, Change, EntriesPage, Entry, Node, Plan, Price, Profile
from toggl_async._operations.record import Json
from toggl_async.codec import Codec
from toggl_async.codec.strict import decoder, fields_of
from toggl_async.errors import DecodeError

ENTRY = b'{"id": 3000000001, "workspace_id": 7, "start": "2024-12-12T10:00:00+03:00", "tags": null}'


def decode(form: object, body: bytes) -> Any:
    return Codec().decode(form, body, operation="thing.get")


def test_fields_come_with_their_types_and_offsets() -> None:
    entry = decode(Entry, ENTRY)

    assert type(entry) is Entry
    assert entry == Entry(
        id=3_000_000_001,
        workspace_id=7,
        start=dt.datetime(2024, 12, 12, 10, tzinfo=dt.timezone(dt.timedelta(hours=3))),
    )
    assert entry.start is not None
    assert entry.start.utcoffset() == dt.timedelta(hours=3)
    assert entry.unknown == {}


def test_records_stay_frozen_and_hashable() -> None:
    entry = decode(Entry, ENTRY)
    with pytest.raises(AttributeError):
        entry.id = 5
    assert hash(decode(Plan, b'{"id": 1}')) == hash(Plan(id=1))


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        (list[Entry], b'[{"id":1,"workspace_id":2}]\n', [Entry(id=1, workspace_id=2)]),
        (list[Entry], b"[]", []),
        (list[Entry], b"null", []),
        (list[Entry], b"", []),
        (dict[str, int], b"null", {}),
        (list[list[Entry]], b'[null,[{"id":1,"workspace_id":2}]]', [[], [Entry(id=1, workspace_id=2)]]),
        (Entry | None, b"null", None),
        (Optional[Entry], b"null", None),  # noqa: UP045 - the older spelling is another type
        (Optional[Entry], b'{"id":1,"workspace_id":2}', Entry(id=1, workspace_id=2)),  # noqa: UP045
        (dict[str, Entry], b'{"a":{"id":1,"workspace_id":2}}', {"a": Entry(id=1, workspace_id=2)}),
        (dict[str, int], b'{"a":1}', {"a": 1}),
        (tuple[int, Entry], b'[1,{"id":1,"workspace_id":2}]', (1, Entry(id=1, workspace_id=2))),
        (int, b"12", 12),
        (bool, b"true", True),
        (str, b'"abc"', "abc"),
        (str, b"OK", "OK"),
        (str, b"", ""),
        (str, b"null\n", ""),
        (bytes, b"\x00\xff%PDF", b"\x00\xff%PDF"),
        (None, b"", None),
        (None, b"anything", None),
        (Json, b'{"a": [1, null]}', {"a": [1, None]}),
        (Json, b"", None),
        (dt.datetime, b'"2024-01-01T00:00:00Z"', dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_result_forms(form: object, body: bytes, expected: object) -> None:
    assert decode(form, body) == expected


@pytest.mark.parametrize("body", [b"", b" \n"])
@pytest.mark.parametrize("form", [Entry | None, list[Entry] | None])
def test_an_empty_answer_does_not_say_that_there_is_nothing(form: object, body: bytes) -> None:
    """Where Toggl has nothing to tell it says null; a body that is empty got lost."""
    with pytest.raises(DecodeError, match=r"thing\.get: expected an? \w+ or null, got an empty answer"):
        decode(form, body)


@pytest.mark.parametrize("form", [list[Entry], Entry, Json, int])
@pytest.mark.parametrize("body", [b"<html>busy</html>", b"{", b"[" * 100_000, b'{"id": "\xff'])
def test_what_is_no_json_is_a_decode_error_with_its_body(form: object, body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(form, body)
    assert caught.value.body == body
    assert caught.value.operation == "thing.get"
    assert caught.value.field == "$"


def test_text_that_is_no_text_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        decode(str, b"\xff")


def test_names_on_the_wire_even_where_they_are_swapped_or_no_identifiers() -> None:
    profile = decode(
        Profile,
        b'{"id":1,"2fa_enabled":true,"startTime":"2024-01-01T00:00:00Z","type":"user","kind":3,'
        b'"two_factor_enabled":false,"favorite":{"id":1,"workspace_id":2}}',
    )
    assert profile == Profile(
        id=1,
        two_factor_enabled=True,
        start_time=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        kind="user",
        type=3,
        favorite=Entry(id=1, workspace_id=2),
    )
    assert type(profile) is Profile
    assert type(profile.favorite) is Entry


def test_renamed_records_inside_of_others_and_cycles() -> None:
    plan = decode(Plan, b'{"id":1,"prices":[{"perMonth":9,"plan":{"id":2,"prices":[{"perMonth":8}]}}]}')
    assert plan == Plan(id=1, prices=[Price(per_month=9, plan=Plan(id=2, prices=[Price(per_month=8)]))])
    assert type(plan.prices[0].plan.prices[0]) is Price


def test_what_is_read_is_the_record_and_nothing_else() -> None:
    node = decode(Node, b'{"id":1,"at":"2024-01-01T00:00:00Z","nodes":[{"id":2}]}')
    assert node == Node(id=1, at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), nodes=[Node(id=2)])
    assert type(node) is type(node.nodes[0]) is Node
    with pytest.raises(msgspec.ValidationError):
        decoder(Node).decode(b'{"id":1,"at":"2024-01-01T00:00:00"}')


def test_each_record_has_defaults_of_its_own_and_none_for_what_it_cannot_do_without() -> None:
    first, second = decode(list[Profile], b'[{"id":1},{"id":2}]')
    assert first.levels == second.levels == []
    assert first.levels is not second.levels
    with pytest.raises(msgspec.ValidationError, match="`workspace_id`"):
        decoder(Entry).decode(b'{"id":1}')


def test_what_is_left_out_stays_left_out() -> None:
    assert decode(Change, b"{}") == Change()
    assert decode(Change, b'{"endTime":null}') == Change(end_time=None)


def test_records_inside_of_any_container_are_read_by_their_names_on_the_wire() -> None:
    for form in (Sequence[Price], tuple[Price, ...], list[Price]):
        (price,) = decode(form, b'[{"perMonth":1}]')
        assert price == Price(per_month=1)
        assert type(price) is Price


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)  # fmt: skip
@pytest.mark.parametrize("body", [b'{"id":1,"type":"a","2fa_enabled":true,"new":{"a":1}}', b'{"id":1}'])
def test_copies_of_what_was_read_keep_what_is_unknown(again: Callable[[Any], Any], body: bytes) -> None:
    (profile,) = Codec(keep_unknown=True).decode(list[Profile], b"[%s]" % body, operation="a")
    copied = again(profile)
    assert copied == profile
    assert copied is not profile
    assert type(copied) is Profile
    assert copied.unknown == profile.unknown == ({"new": {"a": 1}} if b"new" in body else {})


def test_fields_are_described_once() -> None:
    assert fields_of(Price) is fields_of(Price)
    assert [(field.name, field.wire, field.required) for field in fields_of(Price)] == [
        ("per_month", "perMonth", False),
        ("plan", "plan", False),
    ]


def test_types_of_other_kinds_are_left_to_msgspec() -> None:
    record = decode(Bounded, b'{"id":1,"pair":[1,2],"share":50,"numbers":[1,"a"],"mapping":{"a":1}}')
    assert record == Bounded(id=1, pair=(1, 2), share=50, numbers=[1, "a"], mapping={"a": 1})
    assert decode(frozenset[int], b"[1]") == {1}


def test_the_strict_tier_takes_no_naive_time_and_no_wrong_type() -> None:
    strict = decoder(list[Entry])
    for field in (
        b'"start":"2024-12-12T10:00:00"',
        b'"start":"2024-12-12"',
        b'"duration":3600.0',
        b'"billable":0',
    ):
        with pytest.raises(msgspec.ValidationError):
            strict.decode(b'[{"id":1,"workspace_id":2,%s}]' % field)


def test_decoders_are_made_once_by_however_many_threads() -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(decode(EntriesPage, b'{"data":[]}'))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [EntriesPage(data=[])] * 8
    assert decoder(EntriesPage) is decoder(EntriesPage)


def test_unknown_fields_are_noticed_once_and_quietly(caplog: pytest.LogCaptureFixture) -> None:
    codec = Codec()
    body = b'[{"id":1,"workspace_id":2,"mystery":"secret"},{"id":2,"workspace_id":2}]'
    with caplog.at_level(logging.DEBUG, logger="toggl_async.codec"):
        for _ in range(2):
            codec.decode(list[Entry], body, operation="me.list")
        codec.decode(Entry | None, body[1:46].rstrip(b","), operation="me.get")
    assert [record.getMessage() for record in caplog.records] == [
        "me.list: Toggl sends the field 'mystery', which the record does not have",
        "me.get: Toggl sends the field 'mystery', which the record does not have",
    ]
    assert "secret" not in caplog.text


def test_legacy_fields_are_no_news_but_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="toggl_async.codec"):
        entry = Codec(keep_unknown=True).decode(Entry, b'{"id":1,"workspace_id":2,"wid":2}', operation="a")
    assert caplog.records == []
    assert entry.unknown == {"wid": 2}


def test_a_first_record_beyond_the_glance_is_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps([{"id": 1, "workspace_id": 2, "mystery": 1, "description": "x" * 100_000}]).encode()
    with caplog.at_level(logging.DEBUG, logger="toggl_async.codec"):
        assert len(decode(list[Entry], body)) == 1
        assert decode(dict[str, Entry], b'{"a":{"id":1,"workspace_id":2,"mystery":1}}')
        assert decode(list[int], b"[1]") == [1]
    assert caplog.records == []
