import datetime as dt
import json
import threading
import warnings
from typing import Any

import pytest

from support.codec_records import Bounded, EntriesPage, Entry, Node, Plan, Price, Profile
from toggl_async.codec import Codec, DriftWarning
from toggl_async.errors import DecodeError


def entry_of(field: str, value: object, *, keep_unknown: bool = False) -> Any:
    body = json.dumps({"id": 1, "workspace_id": 2, field: value}).encode()
    return Codec(keep_unknown=keep_unknown).decode(Entry, body, operation="thing.get")


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("duration", "12", 12),
        ("duration", "-12", -12),
        ("duration", 3600.0, 3600),
        ("rate", "1.5", 1.5),
        ("rate", "12", 12.0),
        ("description", 12, "12"),
        ("description", 1.50, "1.5"),
        ("billable", 0, False),
        ("billable", 1, True),
        ("billable", 1.0, True),
        ("billable", "true", True),
        ("billable", "0", False),
        ("start", "2024-03-12", dt.datetime(2024, 3, 12, tzinfo=dt.UTC)),
        ("start", "2024-03-12T10:00:00", dt.datetime(2024, 3, 12, 10, tzinfo=dt.UTC)),
        (
            "start",
            "2024-03-12T10:00+03:00",
            dt.datetime(2024, 3, 12, 10, tzinfo=dt.timezone(dt.timedelta(hours=3))),
        ),
        ("day", "2024-03-12T00:00:00Z", dt.date(2024, 3, 12)),
        ("tag_ids", ["1", 2.0, 3], [1, 2, 3]),
        ("tags", ["a", 5], ["a", "5"]),
        ("counts", {"a": "1"}, {"a": 1}),
    ],
)
def test_harmless_shapes_are_coerced_and_told(field: str, value: object, expected: object) -> None:
    with pytest.warns(DriftWarning, match=rf"thing\.get: \$\.{field}.*; converted"):
        entry = entry_of(field, value)
    found = getattr(entry, field)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", 3600.5),
        ("duration", True),
        ("duration", "12x"),
        ("duration", "9" * 40),
        ("duration", 1e300),
        ("duration", {"seconds": 1}),
        ("rate", "nan"),
        ("rate", False),
        ("description", True),
        ("description", ["a"]),
        ("billable", 2),
        ("billable", "yes"),
        ("billable", []),
        ("start", ""),
        ("start", "2024-13-45"),
        ("start", "yesterday"),
        ("start", 1_700_000_000),
        ("day", "2024-03-12T10:00:00Z"),
        ("day", "2024-99-12"),
        ("day", "soon"),
        ("day", 5),
        ("tags", "a,b"),
        ("tags", {"a": 1}),
        ("tag_ids", [1, None]),
        ("counts", [1]),
        ("counts", {"a": "b"}),
        ("amount", [1]),
    ],
)
def test_what_cannot_be_read_becomes_none_and_is_kept(field: str, value: object) -> None:
    with pytest.warns(DriftWarning, match=rf"thing\.get: \$\.{field}.*left out"):
        entry = entry_of(field, value, keep_unknown=True)
    assert getattr(entry, field) is None
    assert entry.unknown == {field: value}


def test_a_union_takes_the_first_member_that_fits() -> None:
    with pytest.warns(DriftWarning, match="; converted"):
        assert entry_of("amount", 1.5).amount == "1.5"


def test_null_is_none_for_every_optional_field_without_a_word() -> None:
    for field in ("description", "start", "tags", "counts", "extra"):
        assert entry_of(field, None) == Entry(id=1, workspace_id=2)


def test_only_the_odd_record_of_a_page_is_read_tolerantly() -> None:
    rows: list[dict[str, object]] = [
        {"id": number, "workspace_id": 2, "duration": number} for number in range(300)
    ]
    rows[7]["duration"], rows[299]["duration"] = "7", 299.0
    with pytest.warns(DriftWarning) as caught:
        entries = Codec().decode(list[Entry], json.dumps(rows).encode(), operation="me.list")
    assert [entry.duration for entry in entries] == list(range(300))
    assert {type(entry) for entry in entries} == {Entry}
    assert len(caught) == 1


def test_drift_is_told_once_an_operation_and_field() -> None:
    codec = Codec()
    body = b'[{"id":"1","workspace_id":2,"rate":"x"},{"id":"2","workspace_id":2,"rate":"y"}]'
    with pytest.warns(DriftWarning) as caught:
        found = [codec.decode(list[Entry], body, operation=name) for name in ("a.list", "a.list", "b.list")]
    assert found[0] == found[1] == found[2]
    told = [warning.message for warning in caught if isinstance(warning.message, DriftWarning)]
    assert [(warning.operation, warning.field) for warning in told] == [
        ("a.list", "$[].id"),
        ("a.list", "$[].rate"),
        ("b.list", "$[].id"),
        ("b.list", "$[].rate"),
    ]
    assert str(told[0]) == "a.list: $[].id: expected a whole number, got a string; converted"


def test_drift_is_told_once_by_however_many_threads() -> None:
    codec = Codec()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [
            threading.Thread(
                target=codec.decode, args=(Entry, b'{"id":"1","workspace_id":2}'), kwargs={"operation": "x"}
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(caught) == 1


def test_warnings_never_show_values() -> None:
    with pytest.warns(DriftWarning) as caught:
        entry_of("duration", "top-secret")
    assert "top-secret" not in str(caught[0].message)


@pytest.mark.parametrize(
    ("form", "body", "field", "message"),
    [
        (list[Entry], b'[{"id":1,"workspace_id":2},{"workspace_id":2}]', "$[1].id", "is missing"),
        (list[Entry], b'[{"id":null,"workspace_id":2}]', "$[0].id", "expected a whole number, got null"),
        (list[Entry], b'[{"id":"x","workspace_id":2}]', "$[0].id", "expected a whole number, got a string"),
        (
            list[Entry],
            b'[{"id":1e999,"workspace_id":2}]',
            "$[0].id",
            "expected a whole number, got a number out of range",
        ),
        (list[Entry], b"[null]", "$[0]", "expected an object, got null"),
        (list[Entry], b'"abc"', "$", "expected a list, got a string"),
        (list[int], b'{"a":1}', "$", "expected a list, got an object"),
        (list[list[Entry]], b'[[{"id":1}]]', "$[0][0].workspace_id", "is missing"),
        (Entry, b"", "$", "expected an object, got an empty answer"),
        (Entry, b"[]", "$", "expected an object, got a list"),
        (Entry | None, b'{"id":1}', "$.workspace_id", "is missing"),
        (Entry | None, b"5", "$", "expected an object, got a number"),
        (dict[str, Entry], b'{"a":{"id":1}}', "$.a.workspace_id", "is missing"),
        (dict[str, int], b'"x"', "$", "expected an object, got a string"),
        (Profile, b'{"id":true}', "$.id", "expected a whole number, got a boolean"),
        (int | str, b"[]", "$", "expected a whole number, got a list"),
    ],
)
@pytest.mark.parametrize("keep_unknown", [False, True])
def test_what_no_record_can_do_without(
    form: object, body: bytes, field: str, message: str, keep_unknown: bool
) -> None:
    with pytest.raises(DecodeError) as caught:
        Codec(keep_unknown=keep_unknown).decode(form, body, operation="thing.get")
    assert (caught.value.field, caught.value.body) == (field, body)
    assert str(caught.value) == f"thing.get: {message if field == '$' else f'{field}: {message}'}"


def test_an_answer_that_fails_is_not_warned_of() -> None:
    with warnings.catch_warnings(record=True) as caught, pytest.raises(DecodeError):
        Codec().decode(list[Entry], b'[{"id":"1","workspace_id":2},{"id":1}]', operation="a")
    assert caught == []


def test_a_warning_is_charged_to_the_caller() -> None:
    with pytest.warns(DriftWarning) as caught:
        entry_of("duration", "1")
    assert caught[0].filename == __file__


@pytest.mark.parametrize("keep_unknown", [False, True])
def test_one_object_for_a_list_and_a_list_for_one_object(keep_unknown: bool) -> None:
    codec = Codec(keep_unknown=keep_unknown)
    with pytest.warns(DriftWarning, match="expected a list, got an object"):
        assert codec.decode(list[Entry], b'{"id":1,"workspace_id":2}', operation="a") == [
            Entry(id=1, workspace_id=2)
        ]
    with pytest.warns(DriftWarning, match="expected one object, got a list"):
        assert codec.decode(Entry, b'[{"id":1,"workspace_id":2}]', operation="b") == Entry(
            id=1, workspace_id=2
        )


@pytest.mark.parametrize("body", [b"{}", b'{"0":{"perMonth":1}}', b'{"data":[],"total":0}'])
def test_an_object_that_is_something_else_is_no_list_of_one(body: bytes) -> None:
    with pytest.raises(DecodeError, match="expected a list, got an object"):
        Codec().decode(list[Price], body, operation="a")


def test_an_empty_list_for_a_mapping_is_an_empty_one_however_it_is_written() -> None:
    with pytest.warns(DriftWarning, match=r"\$\.id"):
        entry = Codec().decode(Entry, b'{"id":"1","workspace_id":2,"counts":[ ]}', operation="a")
    assert entry.counts == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"1e999", "1e999"),
        (b"9" * 5000, "9" * 5000),
        (b'{"a":1e999}', '{"a":1e999}'),
    ],
)
def test_numbers_beyond_python_are_kept_as_they_were_written(sent: bytes, kept: str) -> None:
    for field in ("duration", "rate", "description", "billable", "start", "day", "extra", "new"):
        body = b'{"id":1,"workspace_id":2,"%s":%s}' % (field.encode(), sent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DriftWarning)
            entry = Codec(keep_unknown=True).decode(Entry, body, operation="a")
            (listed,) = Codec(keep_unknown=True).decode(list[Entry], b"[%s]" % body, operation="a")
        assert entry.unknown == listed.unknown
        assert entry == listed
        if field == "description" and sent[:1] != b"{":
            assert entry.description == kept
        else:
            assert entry.unknown == {field: kept}
            assert entry == Entry(id=1, workspace_id=2)


def test_text_that_is_broken_and_unknown_does_not_break_the_rest() -> None:
    body = b'[{"id":1,"workspace_id":2,"new":"\xff","old":1}]'
    (entry,) = Codec(keep_unknown=True).decode(list[Entry], body, operation="a")
    assert entry.unknown == {"new": '"\N{REPLACEMENT CHARACTER}"', "old": 1}


def test_the_nearest_field_that_can_do_without_gives_way() -> None:
    body = (
        b'{"id":1,"startTime":"2024-01-01","levels":[1,null],"favorite":{"id":2},'
        b'"entries":[{"id":3,"workspace_id":4},{"workspace_id":4}],"by_name":{"a":{"id":5,"workspace_id":6}}}'
    )
    with pytest.warns(DriftWarning) as caught:
        profile = Codec(keep_unknown=True).decode(Profile, body, operation="me.get")
    assert profile == Profile(
        id=1,
        start_time=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        levels=[1],
        by_name={"a": Entry(id=5, workspace_id=6)},
    )
    assert profile.unknown == {
        "levels": [1, None],
        "favorite": {"id": 2},
        "entries": [{"id": 3, "workspace_id": 4}, {"workspace_id": 4}],
    }
    assert {str(warning.message).split(": ")[1] for warning in caught} == {
        "$.startTime",
        "$.levels[]",
        "$.favorite.workspace_id",
        "$.entries[].id",
    }


def test_renamed_and_cyclic_records_are_read_tolerantly_too() -> None:
    with pytest.warns(DriftWarning, match=r"\$\.prices\[\]\.plan\.prices\[\]\.perMonth"):
        plan = Codec().decode(
            Plan, b'{"id":1,"prices":[{"plan":{"id":2,"prices":[{"perMonth":"8"}]}}]}', operation="plans.get"
        )
    assert plan == Plan(id=1, prices=[Price(plan=Plan(id=2, prices=[Price(per_month=8)]))])


def test_moments_are_read_tolerantly_like_datetimes() -> None:
    with pytest.warns(
        DriftWarning, match=r"\$\.nodes\[\]\.at: expected a time with a time zone, got a string"
    ):
        node = Codec().decode(Node, b'{"id":1,"nodes":[{"id":2,"at":"2024-01-01"}]}', operation="a")
    assert node.nodes == [Node(id=2, at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))]


def test_types_without_tolerance_fit_or_do_not() -> None:
    body = b'{"id":"1","pair":[1,"x"],"share":150,"numbers":5,"mapping":null}'
    with pytest.warns(DriftWarning):
        record = Codec(keep_unknown=True).decode(Bounded, body, operation="a")
    assert record == Bounded(id=1)
    assert record.unknown == {"pair": [1, "x"], "share": 150, "numbers": 5}
    with pytest.warns(DriftWarning):
        assert Codec().decode(Bounded, b'{"id":"1","pair":[1,2],"share":5}', operation="a").pair == (1, 2)


def test_unknown_fields_are_kept_at_every_depth() -> None:
    body = b"""{"id":1,"new":{"a":[1]},
        "entries":[{"id":2,"workspace_id":3},{"id":4,"workspace_id":3,"old":null}],
        "favorite":{"id":5,"workspace_id":3,"x":1},"by_name":{"k":{"id":6,"workspace_id":3,"y":2}}}"""
    profile = Codec(keep_unknown=True).decode(Profile, body, operation="me.get")
    assert profile.unknown == {"new": {"a": [1]}}
    assert [dict(entry.unknown) for entry in profile.entries] == [{}, {"old": None}]
    assert profile.favorite.unknown == {"x": 1}
    assert profile.by_name["k"].unknown == {"y": 2}


def test_unknown_fields_are_read_once_and_do_not_count_in_comparisons() -> None:
    codec = Codec(keep_unknown=True)
    first, second = codec.decode(
        list[Entry], b'[{"id":1,"workspace_id":2,"new":1},{"id":1,"workspace_id":2}]', operation="a"
    )
    assert first == second
    assert first.unknown == {"new": 1}
    assert first.unknown is first.unknown
    assert second.unknown == {}
    assert "new" not in repr(first)


def test_records_are_taken_apart_only_if_they_hold_others() -> None:
    body = b'[{"id":1,"new":1},{"id":2,"new":2,"entries":[{"id":3,"workspace_id":4,"new":3}]}]'
    alone, holder = Codec(keep_unknown=True).decode(list[Profile], body, operation="a")
    assert (alone, alone.unknown) == (Profile(id=1), {"new": 1})
    assert (holder.unknown, holder.entries[0].unknown) == ({"new": 2}, {"new": 3})


def test_unknown_fields_of_renamed_records_go_by_their_names_on_the_wire() -> None:
    price = Codec(keep_unknown=True).decode(
        list[Price | None], b'[{"perMonth":1,"per_month":2}]', operation="a"
    )[0]
    assert price == Price(per_month=1)
    assert price.unknown == {"per_month": 2}


def test_without_keeping_nothing_is_kept() -> None:
    page = Codec().decode(EntriesPage, b'{"data":[{"id":1,"workspace_id":2,"new":1}],"new":1}', operation="a")
    assert page.unknown == page.data[0].unknown == {}


def test_free_json_keeps_a_number_that_python_cannot_hold_as_text() -> None:
    body = b'{"flag":true,"rate":1e999,"list":[1,2]}'
    with pytest.warns(DriftWarning, match=r"\$\.rate: a number that is out of range; kept as text"):
        flags = Codec().decode(dict[str, Any], body, operation="me.flags.get")
    assert flags == {"flag": True, "rate": "1e999", "list": [1, 2]}
