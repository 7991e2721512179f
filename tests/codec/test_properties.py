"""What holds for every record and every answer, shown with generated ones."""

import json
import warnings
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.codec_records import Change, Entry, Node, Plan, Price, Profile
from support.codec_values import json_values, records
from toggl_async._operations.record import Json
from toggl_async.codec import Codec, DriftWarning
from toggl_async.codec.strict import fields_of
from toggl_async.errors import DecodeError

EXAMPLES = settings().max_examples


def outcome(codec: Codec, form: Any, body: bytes) -> Any:
    """Read an answer that may be anything; a DecodeError is an outcome, everything else an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DriftWarning)
        try:
            return codec.decode(form, body, operation="x")
        except DecodeError as error:
            return error


@pytest.mark.parametrize("record", [Entry, Profile, Plan, Price, Node, Change])
@pytest.mark.parametrize("keep_unknown", [False, True])
@settings(max_examples=EXAMPLES // 4)
@given(data=st.data())
def test_what_is_written_is_read_as_it_was(record: Any, keep_unknown: bool, data: st.DataObject) -> None:
    codec = Codec(keep_unknown=keep_unknown)
    values = data.draw(st.lists(records(record), max_size=3))
    assert codec.decode(list[record], codec.encode(values), operation="x") == values


FIELDS = [(record, field) for record in (Entry, Profile, Price) for field in fields_of(record)]


@pytest.mark.parametrize(("record", "field"), FIELDS, ids=lambda value: getattr(value, "name", ""))
@settings(max_examples=EXAMPLES // 3)
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
        # Of a list that cannot be None, the items that could be read stay.
        some = field.form == list[int] and isinstance(value, list) and len(kept_as) < len(value)
        assert kept_as is None or kept_as == [] or some
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


@settings(max_examples=EXAMPLES * 3 // 2)
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


@settings(max_examples=EXAMPLES * 2)
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
