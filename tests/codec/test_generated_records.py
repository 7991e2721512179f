"""Every generated record, by table: written and read again, and each of its fields in every odd shape."""

import datetime as dt
import functools
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.codec_values import records as drawn
from toggl_async import records as front
from toggl_async._client.catalog import operations
from toggl_async._operations.record import Json, Moment, Record
from toggl_async.codec import Codec
from toggl_async.codec.strict import Field, fields_of, is_record
from toggl_async.errors import DecodeError

pytestmark = pytest.mark.filterwarnings("ignore::toggl_async.codec.DriftWarning")

CODEC: Final = Codec()
KEEPING: Final = Codec(keep_unknown=True)

NOTHING: Final[Mapping[str, Any]] = {}
NEW: Final = {"a new field": {"a": [1, None]}, "_unknown": True, "__class__": "x", "number": 2**70}
PLAIN: Final[Mapping[Any, Any]] = {
    int: 2**40,
    float: 1.5,
    str: "word",
    bool: True,
    dt.date: "2026-03-04",
    Moment: "2026-03-04T05:06:07+03:00",
    Json: {"a": [None, 1]},
}
SHAPES: Final[Sequence[Any]] = (
    *(None, True, False),
    *(0, 1, 2, -7, 2**63 - 1, 1.0, 1.5, 1e300),
    *("", "0", "12", "-1.5", "true", "word", "é\u0000\U0001f600"),
    *("2024-03-12", "2024-03-12T00:00:00Z", "2024-03-12T10:00:00", "2024-03-12T10:00+03:00"),
    *("0001-01-01T00:00:00Z", "2024-13-45", "2024-03-12T23:59:60Z"),
    *([], {}, [[]], [{}], ["1"], ["a", None], [1, "x", {"a": 1}]),
    *({"a": 1}, {"a": None}, {"id": "5", "name": 7, "new": [1]}, [{"id": 5}], [{"id": 5}] * 2),
)
"""What may stand where something else is expected: harmless, doubtful and plainly wrong."""


def parts(form: Any) -> Iterator[Any]:
    """Take a type apart."""
    yield form
    for argument in typing.get_args(form):
        yield from parts(argument)


def held(forms: Iterable[Any]) -> set[Any]:
    """Name the records among types, and those that stand inside of them."""
    found: set[Any] = set()
    waiting = {part for form in forms for part in parts(form) if is_record(part)}
    while waiting:
        found |= waiting
        inner = {part for record in waiting for field in fields_of(record) for part in parts(field.form)}
        waiting = {part for part in inner if is_record(part)} - found
    return found


RECORDS: Final = [found for name in front.__all__ if is_record(found := getattr(front, name))]
RECEIVED: Final = sorted(held(one.result for one in operations()), key=lambda record: record.__name__)


def answer_of(form: Any, *, new: Mapping[str, Any] = NOTHING, depth: int = 3) -> Any:
    """Make plain JSON that fits a type.

    Records have all their fields, down to a depth at which those that hold records are left out,
    and beside them whatever is `new`.
    """
    deeper = functools.partial(answer_of, new=new, depth=depth)
    if is_record(form):
        fields = [one for one in fields_of(form) if one.required or depth > 0 or not held([one.form])]
        return {**new, **{one.wire: deeper(one.form, depth=depth - 1) for one in fields}}
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin is list:
        return [deeper(arguments[0])]
    if origin is dict:
        return {"key": deeper(arguments[1])}
    if origin in {typing.Union, types.UnionType}:
        return deeper(next(one for one in reversed(arguments) if one is not types.NoneType))
    return PLAIN[form]


@functools.cache
def smallest(record: Any) -> Mapping[str, Any]:
    """Make the smallest answer that a record is read from."""
    return {field.wire: answer_of(field.form) for field in fields_of(record) if field.required}


def outcome(codec: Codec, record: Any, answer: object) -> Any:
    """Read an answer; a DecodeError is an outcome, everything else an error."""
    try:
        return codec.decode(record, msgspec.json.encode(answer), operation="x")
    except DecodeError as error:
        return error


# What an answer says, and what became of it


def told(value: Any, sent: Any) -> bool:
    """Whether a value that was read tells all that was sent, if in the words of its own type.

    Written from the codec's promise and without its help: nothing is lost, and nothing made up.
    """
    match value:
        case None:
            return sent is None
        case Record():
            alone = sent[0] if isinstance(sent, list) and len(sent) == 1 else sent
            return isinstance(alone, dict) and untold(value, alone) == []
        case list():
            items = [sent] if isinstance(sent, dict) else sent or []
            return len(value) == len(items) and all(map(told, value, items))
        case dict():
            pairs = dict(sent or {})
            return value.keys() == pairs.keys() and all(told(value[key], pairs[key]) for key in pairs)
        case bool():
            return sent in ([True, 1, "1", "true"] if value else [False, 0, "0", "false"])
        case int():
            return not isinstance(sent, bool) and value == (int(sent) if isinstance(sent, str) else sent)
        case float():
            return not isinstance(sent, bool) and value == float(sent)
        case str() if not isinstance(sent, str):
            return not isinstance(sent, bool) and value.encode() == msgspec.json.encode(sent)
        case dt.date():
            moment = dt.datetime.fromisoformat(sent)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            if not isinstance(value, dt.datetime):
                return (moment.date(), moment.time()) == (value, dt.time.min)
            return (value, value.utcoffset()) == (moment, moment.utcoffset())
        case _:
            return bool(value == sent)


def untold(record: Any, sent: Mapping[str, Any]) -> list[str]:
    """Name the fields of an answer that a record doesn't tell in exactly one place: field or `unknown`."""
    attributes = {field.wire: field.name for field in fields_of(record.__class__)}
    faults = sorted(record.unknown.keys() - sent.keys())
    for name, value in sent.items():
        if name in record.unknown:
            left_out = getattr(record, attributes.get(name, ""), None)
            # Of a list that cannot be None, the items that could be read stay.
            some = isinstance(left_out, list) and isinstance(value, list) and len(left_out) < len(value)
            fine = record.unknown[name] == value and (left_out is None or left_out == [] or some)
        else:
            fine = name in attributes and told(getattr(record, attributes[name]), value)
        if not fine:
            faults.append(name)
    return faults


# Each record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@pytest.mark.sampled(24)
def test_each_record_is_read_as_it_was_written(record: Any) -> None:
    @settings(
        deadline=None,
        max_examples=3,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(drawn(record))
    def check(one: Any) -> None:
        body = CODEC.encode(one)
        assert CODEC.decode(record, body, operation="x") == one
        kept = KEEPING.decode(record, body, operation="x")
        assert kept == one
        assert kept.unknown == {}

    check()


def test_the_table_has_all_records_that_answers_hold() -> None:
    assert len(RECEIVED) > 150
    assert set(RECEIVED) <= set(RECORDS)


def check(record: Any, answer: Mapping[str, Any], odd: Sequence[Field]) -> None:
    """Read an answer with odd fields, and see what became of each."""
    found = outcome(KEEPING, record, answer)
    if isinstance(found, DecodeError):
        (field,) = (one for one in odd if one.required)
        assert found.field.startswith(f"$.{field.wire}")
        return
    assert type(found) is record
    assert untold(found, answer) == [], (answer, found)
    for field in odd:
        # What came out of tolerance is what the field's type says.
        value = getattr(found, field.name)
        assert value is None or CODEC.decode(field.form, CODEC.encode(value), operation="x") == value


@pytest.mark.parametrize("record", RECEIVED, ids=lambda record: record.__name__)
@pytest.mark.sampled(24)
def test_each_field_of_each_record_null_missing_and_odd(record: Any) -> None:
    for field in fields_of(record):
        fitting = answer_of(field.form)
        odd = [None, [fitting], {"0": fitting}, [fitting, fitting], str(fitting), 1, "1", 1.5, False]
        if isinstance(fitting, list):
            odd.append(fitting[0])
        others = {name: value for name, value in smallest(record).items() if name != field.wire}
        for shape in SHAPES if field.required else odd:
            check(record, {**others, field.wire: shape}, [field])
        check(record, others, [field])


@pytest.mark.parametrize("record", RECEIVED, ids=lambda record: record.__name__)
@pytest.mark.sampled(24)
def test_all_fields_of_each_record_in_every_shape(record: Any) -> None:
    odd = [field for field in fields_of(record) if not field.required]
    for shape in SHAPES:
        check(record, {**smallest(record), **{field.wire: shape for field in odd}}, odd)
    answer = {**smallest(record), **{field.wire: "2" for field in odd}}
    assert outcome(CODEC, record, answer) == outcome(KEEPING, record, answer)


@pytest.mark.parametrize("record", RECEIVED, ids=lambda record: record.__name__)
def test_what_no_record_knows_is_kept_at_every_depth(record: Any) -> None:
    plain, newer = answer_of(record), answer_of(record, new=NEW)
    found = outcome(KEEPING, list[record], [newer, plain, newer])
    assert [untold(one, sent) for one, sent in zip(found, [newer, plain, newer], strict=True)] == [[], [], []]
    assert found[0] == found[1] == found[2]
    assert (found[0].unknown, found[1].unknown) == (NEW, {})
    (without,) = outcome(CODEC, list[record], [newer])
    assert without == found[0]
    assert without.unknown == {}
