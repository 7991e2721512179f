"""Records for pydantic: one core schema for a record and everything in it.

pydantic asks each class for its schema. Only pydantic loads this module, so it need not be installed
otherwise. The schema is made from the annotations, not by pydantic's handler. So each record occurs in it
once, however many others contain it, and a record that contains itself needs no name made up by pydantic.
"""

import datetime as dt
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

import attrs
from msgspec import UNSET, UnsetType
from pydantic_core import CoreSchema, core_schema

from toggl_async._operations.plain import by_wire_name
from toggl_async._operations.record import Record, restored

__all__ = ["schema_of"]

_SCALARS: Final[Mapping[Any, Callable[[], CoreSchema]]] = {
    Any: core_schema.any_schema,
    bool: core_schema.bool_schema,
    int: core_schema.int_schema,
    float: lambda: core_schema.float_schema(allow_inf_nan=False),
    str: core_schema.str_schema,
    dt.date: core_schema.date_schema,
    dt.datetime: lambda: core_schema.datetime_schema(tz_constraint="aware"),
}


def schema_of(record: type[Record]) -> CoreSchema:
    """Describe a record: read from a mapping by Toggl's own names, or taken as it is; written as a mapping.

    Fields that the record doesn't know are kept in `Record.unknown`.
    """
    waiting, found = [record], dict[type[Record], CoreSchema]()
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = _schema(one)
            waiting += [held for _, form in _forms(one) for held in _held(form)]
    return core_schema.definitions_schema(_reference(record), list(found.values()))


def _schema(record: type[Record]) -> CoreSchema:
    """Describe one record, and those that it holds by reference."""
    attributes = {record.wire_names.get(field.name, field.name): field.name for field, _ in _forms(record)}

    def validated(value: object, read: core_schema.ValidatorFunctionWrapHandler) -> Record:
        if isinstance(value, record):
            return value
        fields: dict[str, Any] = read(value)
        known = {name: fields.pop(wire) for wire, name in attributes.items() if wire in fields}
        return restored(record, known, unknown=fields)

    return core_schema.no_info_wrap_validator_function(
        validated,
        _mapping(record, complete=False),
        ref=_name(record),
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value: dict(by_wire_name(value)), return_schema=_mapping(record, complete=True)
        ),
    )


def _mapping(record: type[Record], *, complete: bool) -> CoreSchema:
    """Describe the mapping that a record is written as; a complete one has every field that can be there."""
    fields = {
        record.wire_names.get(field.name, field.name): core_schema.typed_dict_field(
            _form(form),
            required=field.default is attrs.NOTHING or (complete and field.default is not UNSET),
        )
        for field, form in _forms(record)
    }
    return core_schema.typed_dict_schema(fields, cls=record, extra_behavior="allow")


def _forms(record: type[Record]) -> "tuple[tuple[attrs.Attribute[Any], Any], ...]":
    """List the fields of a record with their types."""
    hints, fields = get_type_hints(record), attrs.fields(cast("type[attrs.AttrsInstance]", record))
    return tuple((field, hints[field.name]) for field in fields)


def _held(form: Any) -> Iterator[type[Record]]:
    """Name the records in a type."""
    if isinstance(form, type) and not get_args(form) and issubclass(form, Record):
        yield form
    for argument in get_args(form):
        yield from _held(argument)


def _form(form: Any) -> CoreSchema:
    """Describe a type."""
    if form in _SCALARS:
        return _SCALARS[form]()
    origin: Any = get_origin(form)
    arguments = get_args(form)
    if origin in {Union, types.UnionType}:
        members: list[CoreSchema | tuple[CoreSchema, str]] = [
            _form(one) for one in arguments if one not in {types.NoneType, UnsetType}
        ]
        schema = core_schema.union_schema(members)
        return core_schema.nullable_schema(schema) if types.NoneType in arguments else schema
    if origin is Literal:
        return core_schema.literal_schema(list(arguments))
    if origin in {list, Collection, Sequence}:
        return core_schema.list_schema(_form(arguments[0]))
    if origin in {dict, Mapping}:
        return core_schema.dict_schema(core_schema.str_schema(), _form(arguments[1]))
    return _reference(form)


def _reference(record: type[Record]) -> CoreSchema:
    return core_schema.definition_reference_schema(_name(record))


def _name(record: type[Record]) -> str:
    """Name a definition; pydantic takes what stands behind the last dot into OpenAPI documents."""
    return f"{record.__module__}.{record.__qualname__}:{id(record)}"
