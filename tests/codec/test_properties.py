"""What holds for every record and every answer, shown with generated ones."""

import datetime as dt
import json
import types
import warnings
from typing import Any, Union, get_args, get_origin

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_records import Entry, Node, Plan, Price, Profile
from toggl_async.codec import Codec, DriftWarning
from toggl_async.codec.strict import fields_of, is_record
from toggl_async.errors import DecodeError
from toggl_async.record import Json, Moment

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ambiguous = st.sampled_from(
    ["12", "1.5", "true", "2024-03-12", "2024-03-12T10:00:00", "2024-03-12T10:00:00Z"]
)
numbers = st.integers(-(2**53), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text | ambiguous,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def values_of(form: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Draw values of a field's type."""
    if is_record(form):
        return records(form, depth - 1)
    arguments, origin = get_args(form), get_origin(form)
    if origin is list:
        return st.lists(values_of(arguments[0], depth), max_size=2)
    if origin is dict:
        return st.dictionaries(text, values_of(arguments[1], depth), max_size=2)
    if origin in {Union, types.UnionType}:
        members = [member for member in arguments if depth > 0 or not _deep(member)]
        return st.one_of([values_of(member, depth) for member in members])
    zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
    moments = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: text,
        bool: st.booleans(),
        Moment: moments,
        dt.datetime: moments,
        dt.date: st.dates(),
        types.NoneType: st.none(),
        Json: json_values,
    }
    return scalars[form]


def _deep(form: Any) -> bool:
    return is_record(form) or any(_deep(argument) for argument in get_args(form))


def records(record: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Draw records of a class, with any of the fields that can be left out."""
    fields = {field.name: values_of(field.form, depth) for field in fields_of(record)}
    required = {field.name for field in fields_of(record) if field.required}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: fields[name] for name in fields.keys() - required},
    ).map(lambda values: record(**values))


def outcome(codec: Codec, form: Any, body: bytes) -> Any:
    """Read an answer that may be anything; a DecodeError is an outcome, everything else an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DriftWarning)
        try:
            return codec.decode(form, body, operation="x")
        except DecodeError as error:
            return error


@pytest.mark.parametrize("record", [Entry, Profile, Plan, Price, Node])
@pytest.mark.parametrize("keep_unknown", [False, True])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_what_is_written_is_read_as_it_was(record: Any, keep_unknown: bool, data: st.DataObject) -> None:
    codec = Codec(keep_unknown=keep_unknown)
    values = data.draw(st.lists(records(record), max_size=3))
    assert codec.decode(list[record], codec.encode(values), operation="x") == values


FIELDS = [(record, field) for record in (Entry, Profile, Price) for field in fields_of(record)]


@pytest.mark.parametrize(("record", "field"), FIELDS, ids=lambda value: getattr(value, "name", ""))
@settings(deadline=None, max_examples=30)
@given(value=json_values)
def test_a_field_of_any_shape_is_read_or_kept_or_a_decode_error(record: Any, field: Any, value: Any) -> None:
    whole = {other.wire: 1 for other in fields_of(record) if other.required} | {field.wire: value}
    body = json.dumps(whole).encode()
    found = outcome(Codec(keep_unknown=True), record, body)
    if isinstance(found, DecodeError):
        assert field.required
        assert found.field == f"$.{field.wire}"
        return
    kept_as = getattr(found, field.name)
    if field.wire in found.unknown:
        assert found.unknown[field.wire] == value
        assert kept_as in (None, [])
    elif kept_as is None or kept_as == []:
        assert value in (None, [])
    assert type(found) is record


@pytest.mark.parametrize("record", [Entry, Profile, Price])
def test_a_missing_field_is_its_default_or_a_decode_error(record: Any) -> None:
    required = {field.wire for field in fields_of(record) if field.required}
    for missing in required:
        body = json.dumps(dict.fromkeys(required - {missing}, 1)).encode()
        with pytest.raises(DecodeError, match=rf"\$\.{missing}: is missing"):
            Codec().decode(record, body, operation="x")
    assert Codec().decode(record, json.dumps(dict.fromkeys(required, 1)).encode(), operation="x") == record(
        **dict.fromkeys(required, 1)
    )


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(["id", "workspace_id", "x", *attrs.fields_dict(Entry)]), json_values)
    )
)
def test_no_field_of_an_answer_is_lost(rows: list[dict[str, Any]]) -> None:
    found = outcome(Codec(keep_unknown=True), list[Entry], json.dumps(rows).encode())
    if isinstance(found, DecodeError):
        assert any(not {"id", "workspace_id"} <= row.keys() or found.field.endswith("id") for row in rows)
        return
    for row, entry in zip(rows, found, strict=True):
        for name, value in row.items():
            kept = entry.unknown.get(name, getattr(entry, name, None))
            assert kept is not None or value is None


@settings(deadline=None, max_examples=200)
@given(
    body=json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    form=st.sampled_from(
        [list[Entry], Profile, Profile | None, dict[str, Plan], str, Json, list[list[Price]]]
    ),
    keep_unknown=st.booleans(),
)
def test_no_answer_raises_anything_but_a_decode_error(body: bytes, form: Any, keep_unknown: bool) -> None:
    found = outcome(Codec(keep_unknown=keep_unknown), form, body)
    assert not isinstance(found, DecodeError) or found.body == body
