"""The strict tier: msgspec decodes bytes directly into the attrs records, with one cached decoder per type.

msgspec reads attrs classes natively, with three gaps: it knows no other name for an attribute than
its own, it takes datetimes without a zone unless their type says otherwise (`Moment`), and it finds
out that an answer lacks a field by catching an AttributeError, which costs more than reading five.

So it reads each record into a *twin*: a subclass without storage of its own, whose fields carry the
names on the wire, whose datetimes are Moments, and which starts with its defaults in place. A
twin's fields are the very slots of the record, and it becomes the record while it is read, so
nothing is copied: that adds a tenth to the time of an answer that has every field, and takes half
off that of a time entry, which usually lacks a dozen.
"""

import datetime as dt
import functools
import threading
import types
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from toggl_async._operations.record import Moment, Record

__all__ = ["Field", "TypeForm", "decoder", "fields_of", "holds_records", "is_record"]

TypeForm: TypeAlias = Any
"""A type as in an annotation: a class, ``list[X]``, ``X | None``."""

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
        return _twin(form)
    if form is dt.datetime:
        return Moment
    arguments = get_args(form)
    if not arguments:
        return form
    origin: TypeForm = get_origin(form)
    if origin in {Union, types.UnionType}:
        return functools.reduce(lambda left, right: left | right, map(_strict, arguments))
    if origin in {Annotated, Literal}:
        return form
    return origin[tuple(_strict(argument) for argument in arguments)]


def _twin(record: TypeForm) -> TypeForm:
    """Make the class that msgspec reads a record into; see the module's docstring."""
    if record in _twins:
        return _twins[record]

    fields = fields_of(record)
    renamed = [field for field in fields if field.wire != field.name]
    namespace: dict[str, object] = {
        "__slots__": (),
        "__setattr__": object.__setattr__,
        # Without it the assignments of `_beginning` take the slow path that Python has for overridden ones.
        "__delattr__": object.__delattr__,
        "__attrs_attrs__": tuple(
            attribute.evolve(name=field.wire)
            for attribute, field in zip(attrs.fields(record), fields, strict=True)
        ),
        # Only the twin knows other names on the wire, so it has to last until they are read.
        "__attrs_pre_init__": _beginning(record, becomes=not renamed),
        # A slot is a descriptor and can be reached by a second name.
        **{field.wire: vars(record)[field.name] for field in renamed},
    }
    if renamed or _may_say_nothing(record):
        namespace["__attrs_post_init__"] = _ending(record, becomes=bool(renamed))
    twin = type(record.__name__, (record,), namespace)
    # Entered before its fields are known: a record may hold records that hold it.
    _twins[record] = twin
    twin.__annotations__ = {field.wire: _strict(field.form) for field in fields}
    return twin


def _beginning(record: TypeForm, *, becomes: bool) -> Callable[[Any], None]:
    """Compile what starts a twin: its defaults, and where nothing speaks against it, becoming the record.

    It runs for each record: assignments that Python can see take a tenth of what a loop takes.
    """
    lines = [
        f"    twin.{field.name} = None\n"
        for attribute, field in zip(attrs.fields(record), fields_of(record), strict=True)
        if attribute.default is None and field.wire == field.name
    ]
    if becomes:
        lines.append("    twin.__class__ = record\n")
    namespace: dict[str, Any] = {"record": record}
    exec("def begin(twin):\n    pass\n" + "".join(lines), namespace)  # noqa: S102 - as attrs itself does
    begin: Callable[[Any], None] = namespace["begin"]
    return begin


def _ending(record: TypeForm, *, becomes: bool) -> Callable[[Any], None]:
    """Compile what ends a twin: becoming the record, and for one that can do without every field a look.

    An answer that has none of its fields would be read as a record that says nothing. It is left to
    the tolerant tier, which sees what came.
    """
    lines = ["    twin.__class__ = record\n"] if becomes else []
    if _may_say_nothing(record):
        nothing = " and ".join(f"not twin.{field.name}" for field in fields_of(record))
        lines.append(f"    if {nothing}:\n        raise ValueError\n")
    namespace: dict[str, Any] = {"record": record}
    exec("def end(twin):\n" + "".join(lines), namespace)  # noqa: S102 - as attrs itself does
    end: Callable[[Any], None] = namespace["end"]
    return end


def _may_say_nothing(record: TypeForm) -> bool:
    """Whether a record that Toggl sends can do without every field."""
    defaults = [attribute.default for attribute in attrs.fields(record)]
    return bool(defaults) and not any(one in (attrs.NOTHING, msgspec.UNSET) for one in defaults)
