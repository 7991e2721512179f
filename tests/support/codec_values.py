"""Hypothesis strategies for what the codec writes and reads: values of a type, records, free JSON."""

import datetime as dt
import functools
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from toggl_async._operations.record import Json, Moment
from toggl_async.codec.strict import fields_of, is_record

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
_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
_moments = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=_zones)  # noqa: DTZ001
_scalars: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: text,
    bool: st.booleans(),
    Moment: _moments,
    dt.datetime: _moments,
    dt.date: st.dates(),
    types.NoneType: st.none(),
    UnsetType: st.just(UNSET),
    Json: json_values,
}


@functools.cache
def values_of(form: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Draw values of a field's type, records inside of each other no deeper than `depth`."""
    if is_record(form):
        return records(form, depth - 1)
    arguments, origin = get_args(form), get_origin(form)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in {list, Collection, Sequence}:
        return st.lists(values_of(arguments[0], depth), max_size=2)
    if origin in {dict, Mapping}:
        return st.dictionaries(text, values_of(arguments[1], depth), max_size=2)
    if origin in {Union, types.UnionType}:
        members = [member for member in arguments if depth > 0 or not _holds_records(member)]
        return st.one_of([values_of(member, depth) for member in members])
    return _scalars[form]


@functools.cache
def records(record: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Draw records of a class, with any of the fields that can be left out."""
    fields = {field.name: values_of(field.form, depth) for field in fields_of(record)}
    required = {field.name for field in fields_of(record) if field.required}
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    ).map(lambda values: record(**values))


def _holds_records(form: Any) -> bool:
    return is_record(form) or any(_holds_records(argument) for argument in get_args(form))
