"""The strict tier: msgspec straight from bytes into the attrs records, one cached decoder a type.

msgspec reads attrs classes natively, with two gaps: it knows no other name for an attribute than
its own, and it takes datetimes without a zone unless their type says otherwise (`Moment`). Records
that touch a gap, or hold records that do, are read into a *twin*: a subclass without storage of its
own, whose fields carry the names on the wire and whose datetimes are Moments. A twin's fields are
the very slots of the record, and the last thing that happens while one is read is that it becomes
the record, so nothing is copied: that adds about a tenth to the time that msgspec takes.
"""

import datetime as dt
import functools
import operator
import threading
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from toggl_async.record import Moment, Record

__all__ = ["Field", "TypeForm", "decoder", "fields_of", "holds_records", "is_record"]

TypeForm: TypeAlias = Any
"""A type as it stands in an annotation: a class, ``list[X]``, ``X | None``."""

_twins: Final[dict[TypeForm, TypeForm]] = {}
_building: Final = threading.RLock()


@attrs.frozen(kw_only=True)
class Field:
    """A field of a record.

    Attributes:
        name: the attribute, which is also the argument of the constructor.
        wire: its name in JSON.
        form: its type.
        required: whether the record cannot do without it.
    """

    name: str
    wire: str
    form: TypeForm
    required: bool


@functools.cache
def decoder(form: TypeForm) -> msgspec.json.Decoder[Any]:
    """Make the strict decoder of a type; the first use of a record costs a fraction of a millisecond."""
    with _building:
        return msgspec.json.Decoder(_strict(form))


def is_record(form: TypeForm) -> bool:
    """Whether a type is a record class."""
    return isinstance(form, type) and not get_args(form) and issubclass(form, Record)


@functools.cache
def fields_of(record: TypeForm) -> tuple[Field, ...]:
    """Describe the fields of a record class."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        Field(
            name=attribute.name,
            wire=record.wire_names.get(attribute.name, attribute.name),
            form=hints[attribute.name],
            required=attribute.default is attrs.NOTHING,
        )
        for attribute in attrs.fields(record)
    )


@functools.cache
def holds_records(form: TypeForm) -> bool:
    """Whether a type is a record class or has one among its arguments."""
    return is_record(form) or any(holds_records(argument) for argument in get_args(form))


def _strict(form: TypeForm) -> TypeForm:
    """Replace records by their twins, and datetimes by aware ones, inside of a type."""
    if is_record(form):
        return form if _is_plain(form) else _twin(form)
    if form is dt.datetime:
        return Moment
    arguments = get_args(form)
    if not arguments:
        return form
    origin: TypeForm = get_origin(form)
    if origin in {list, dict, tuple}:
        return origin[tuple(_strict(argument) for argument in arguments)]
    if origin in {Union, types.UnionType}:
        return functools.reduce(lambda left, right: left | right, map(_strict, arguments))
    return form


@functools.cache
def _is_plain(record: TypeForm) -> bool:
    """Whether msgspec reads a record, and all records inside of it, as they are meant."""
    seen: set[TypeForm] = set()
    waiting = {record}
    while waiting:
        fields = fields_of(waiting.pop())
        parts = {part for field in fields for part in _parts(field.form)}
        if dt.datetime in parts or any(field.wire != field.name for field in fields):
            return False
        held = {part for part in parts if is_record(part)}
        waiting |= held - seen
        seen |= held
    return True


def _parts(form: TypeForm) -> Iterator[TypeForm]:
    """Take a type apart; what is annotated stays whole."""
    yield form
    origin: TypeForm = get_origin(form)
    if origin is not Annotated:
        for argument in get_args(form):
            yield from _parts(argument)


def _twin(record: TypeForm) -> TypeForm:
    """Make the class that msgspec reads a record into; see the module's docstring."""
    if record in _twins:
        return _twins[record]

    fields = fields_of(record)
    namespace: Mapping[str, object] = {
        "__slots__": (),
        # Run for each record: kept out of Python, which would double what a twin costs.
        "__attrs_post_init__": operator.methodcaller("__setattr__", "__class__", record),
        "__setattr__": object.__setattr__,
        "__attrs_attrs__": tuple(
            attribute.evolve(name=field.wire)
            for attribute, field in zip(attrs.fields(record), fields, strict=True)
        ),
        # A slot is a descriptor and can be reached by a second name.
        **{field.wire: vars(record)[field.name] for field in fields if field.wire != field.name},
    }
    twin = type(record.__name__, (record,), dict(namespace))
    # Entered before its fields are known: a record may hold records that hold it.
    _twins[record] = twin
    twin.__annotations__ = {field.wire: _strict(field.form) for field in fields}
    return twin
