"""Arguments of operations, from the text of a command line, by the types that their coroutines declare."""

import contextlib
import datetime as dt
import math
import os
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs
import msgspec

from toggl_async._hints import nearest, quoted
from toggl_async._operations.record import Record
from toggl_async.cli.dates import SpokenDay
from toggl_async.cli.texts import text_of
from toggl_async.errors import InvalidInput

__all__ = ["described", "from_json", "from_text"]

_NULL: Final = "null"
_TRUTH: Final = {"true": True, "false": False}
_COLLECTIONS: Final = (Collection, Sequence)
_UNFIT: Final = (ValueError, msgspec.MsgspecError)
"""What is raised where a value is of another kind; those of msgspec 0.19 are not ValueErrors yet."""


def from_text(text: str, form: object, name: str) -> object:
    """Read an argument as a person writes it: ``7``, ``1,2,3``, ``yesterday``; JSON for what has a structure.

    Args:
        text: what was written.
        form: the type of the argument.
        name: its name.

    Returns:
        The value; a day that depends on what day it is, as a `SpokenDay`.

    Raises:
        InvalidInput: it is nothing of that type.
    """
    members = _members(form)
    if Path not in members:  # the name of a file is bytes
        text = text_of(text, name)
    if text == _NULL and types.NoneType in members and str not in members:
        return None
    wrong = InvalidInput(f"{name} takes {described(form)}")
    for member in sorted(
        (one for one in members if one is not types.NoneType), key=lambda one: one in {str, Path}
    ):  # any text is a str
        try:
            return _read(text, member, name)
        except InvalidInput as error:
            # What is JSON has an inside, of which the error tells more.
            begins = "[" if get_origin(member) in _COLLECTIONS else "{"
            wrong = error if text.startswith(begins) else wrong
        except _UNFIT:
            continue
    raise wrong


def from_json(text: str, form: object, name: str) -> object:
    """Read an argument that was written as JSON.

    Raises:
        InvalidInput: it is not JSON, or not of that type.
    """
    try:
        value = msgspec.json.decode(text_of(text, name))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{name}: the value after := is not JSON: {error}") from None
    try:
        return _converted(value, form, name)
    except InvalidInput:
        raise
    except _UNFIT:
        raise InvalidInput(f"{name} takes {described(form)}") from None


def described(form: object) -> str:
    """Say what an argument takes."""
    parts = list(dict.fromkeys(map(_described, _members(form))))
    return (", or " if any(", " in part for part in parts[:-1]) else " or ").join(parts)


def _members(form: object) -> list[object]:
    """The types of a union, one of which a value has; what leaves an argument out isn't one of them.

    Whatever can be a file is its path on the command line.
    """
    if get_origin(form) not in {Union, types.UnionType}:
        return [form]
    found = [one for one in get_args(form) if one is not msgspec.UnsetType]
    if any(get_origin(one) is os.PathLike for one in found):
        return [Path, *(one for one in found if get_origin(one) in _COLLECTIONS)]
    return found


def _read(text: str, member: object, name: str) -> object:
    """Read a value of one type.

    Raises:
        ValueError: it isn't one.
    """
    if get_origin(member) is Literal:
        return _one_of(text, get_args(member))
    if get_origin(member) in _COLLECTIONS and not text.startswith("["):
        (item,) = get_args(member)
        return [from_text(part.strip(), item, name) for part in text.split(",")] if text else []
    if isinstance(member, type) and member in _READERS:
        return _READERS[member](text)
    return _converted(msgspec.json.decode(text), member, name)


def _converted(value: object, form: object, name: str) -> object:
    """Make what JSON holds a value of a type; a field that a record doesn't have is refused.

    Raises:
        InvalidInput: something in it doesn't fit.
        ValueError: it is of another kind altogether.
    """
    members = _members(form)
    fitting = [one for one in members if _is_alike(value, one)]
    if len(members) == 1 or len(fitting) == 1:
        # There is one that it can be, so what is wrong is inside of it.
        return _of_kind(value, (fitting or members)[0], name)
    for member in members:
        with contextlib.suppress(*_UNFIT):
            return _of_kind(value, member, name)
    raise ValueError


def _inside(value: object, form: object, name: str) -> object:
    """Make a part of a value one of its type.

    Raises:
        InvalidInput: it doesn't fit; the message names the part.
    """
    try:
        return _converted(value, form, name)
    except InvalidInput:
        raise
    except _UNFIT:
        raise InvalidInput(f"{name} takes {described(form)}") from None


def _is_alike(value: object, kind: object) -> bool:
    """Whether a value has the outer shape of a list, or of an object."""
    if isinstance(value, list):
        return get_origin(kind) in _COLLECTIONS
    if isinstance(value, dict):
        return get_origin(kind) is Mapping or (isinstance(kind, type) and issubclass(kind, Record))
    return False


def _of_kind(value: object, kind: Any, name: str) -> object:
    if isinstance(kind, type) and issubclass(kind, Record):
        return _record(value, kind, name)
    if get_origin(kind) in _COLLECTIONS and isinstance(value, list):
        (item,) = get_args(kind)
        return [_inside(one, item, f"{name}[{index}]") for index, one in enumerate(value)]
    if get_origin(kind) is Mapping and isinstance(value, dict):
        _, item = get_args(kind)
        return {key: _inside(one, item, f"{name}.{key}") for key, one in value.items()}
    if kind is Path:
        kind = str
    if kind is Any or kind in _WORDS or get_origin(kind) in {Literal, Annotated}:
        return msgspec.convert(value, kind)
    raise ValueError


def _record(value: object, kind: type[Record], name: str) -> object:
    """Make a record, whose fields go by Toggl's names or by those of its attributes."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} takes an object, as JSON")
    forms = get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind))}
    named = {kind.wire_names.get(field, field): field for field in fields} | {
        field: field for field in fields
    }
    if unknown := [key for key in value if key not in named]:
        raise InvalidInput(f"{name} has no field {quoted(unknown[0])}{nearest(unknown[0], named)}")
    given = {named[key]: _inside(one, forms[named[key]], f"{name}.{key}") for key, one in value.items()}
    if missing := [
        one for one, field in fields.items() if field.default is attrs.NOTHING and one not in given
    ]:
        raise InvalidInput(f"{name} needs the field {quoted(missing[0])}")
    return kind(**given)


def _one_of(text: str, choices: Sequence[object]) -> object:
    for choice in choices:
        if str(choice) == text:
            return choice
    raise ValueError


def _truth(text: str) -> bool:
    if text not in _TRUTH:
        raise ValueError
    return _TRUTH[text]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _day(text: str) -> dt.date | SpokenDay:
    day = SpokenDay.said(text)
    return day if day.is_relative else day.on(dt.date.min)


_READERS: Final[Mapping[type, Callable[[str], object]]] = {
    bool: _truth,
    int: int,
    float: _finite,
    dt.datetime: _moment,
    dt.date: _day,
    str: str,
    Path: str,
}

_WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dt.datetime: "a time with its zone, such as 2026-03-12T09:00:00+01:00",
    dt.date: "a day, such as 2026-03-12, yesterday or monday",
    str: "text",
    Path: "the path of a file",
    types.NoneType: "null",
}


def _described(member: object) -> str:
    if get_origin(member) is Literal:
        return " or ".join(map(str, get_args(member)))
    if get_origin(member) in _COLLECTIONS:
        (item,) = get_args(member)
        plain = all(one in _WORDS or get_origin(one) is Literal for one in _members(item))
        return f"several, separated by commas ({described(item)})" if plain else "a list, as JSON"
    return _WORDS.get(member, "an object, as JSON")
