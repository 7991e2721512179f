"""Arguments that hold others, held against their types all the way down: records, lists, mappings, unions.

`arguments` has the checks of what holds nothing. An error names the place, such as ``items[0].quantity``.
"""

import datetime as dt
import functools
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs
import msgspec

from toggl_async._operations.arguments import (
    any_number,
    day,
    is_one_of,
    listed,
    moment,
    one_flag,
    one_text,
    whole_number,
)
from toggl_async._operations.record import Record
from toggl_async.errors import InvalidInput, shown

__all__ = ["each_typed", "patch_list", "typed"]

ArgumentType: TypeAlias = Any
"""A type as it stands in an annotation: a class, ``Sequence[X]``, ``X | UnsetType``."""

ValueT = TypeVar("ValueT")

_PATCHES: Final = ("add", "remove", "replace")
"""What a patch of a bulk edit can do."""

_TEXT: Final = (str, bytes, bytearray, memoryview)
"""Sequences that nobody means as such."""


@attrs.frozen
class _Check:
    """What holds a value against a type.

    Attributes:
        words: what errors tell to pass.
        run: raises InvalidInput for a value that doesn't fit; it is given the value, and its place.
    """

    words: str
    run: Callable[[object, str], object]

    def refuse(self, value: object, name: str) -> InvalidInput:
        """Return the error for a value of another type; the value itself might be secret."""
        is_plain = value is None or value is msgspec.UNSET
        kind = str(value) if is_plain else f"a value of type {type(value).__name__}"
        return InvalidInput(f"{name}: pass {self.words}, not {kind}")


def typed(form: ArgumentType, value: ValueT, name: str) -> ValueT:
    """Hold an argument against its type, all the way down; UNSET passes.

    Args:
        form: the type.
        value: the argument.
        name: what errors call it.

    Raises:
        InvalidInput: it does not fit; the message names the place in it.
    """
    given: object = value
    if given is not msgspec.UNSET:
        _check_of(form).run(given, name)
    return value


def each_typed(form: ArgumentType, /, **values: ValueT) -> dict[str, ValueT]:
    """Hold several arguments against one type, as `typed` does; their names are those on the wire as well.

    Raises:
        InvalidInput: one of them does not fit; the message names the place in it.
    """
    for name, value in values.items():
        typed(form, value, name)
    return values


def patch_list(values: object, name: str) -> list[object]:
    """Take the changes of a bulk edit as a list.

    Raises:
        InvalidInput: there are none, or one of them isn't a `Patch` or does something unknown.
    """
    patches = listed(values)
    if not patches:
        raise InvalidInput(f"{name}: pass at least one Patch, in a list")
    for place, patch in enumerate(patches):
        operation = getattr(patch, "op", None)
        if operation is None or not isinstance(patch, Record):
            kind = f"a value of type {type(patch).__name__}"
            raise InvalidInput(f"{name}: pass Patch(op=…, path=…, value=…), not {kind}")
        if not is_one_of(operation, _PATCHES):
            raise InvalidInput(f"{name}: op is 'add', 'remove' or 'replace', not {shown(operation)}")
        typed(type(patch), patch, f"{name}[{place}]")
    return patches


@functools.cache
def _check_of(form: ArgumentType) -> _Check:
    """Make what holds values against a type."""
    origin: ArgumentType = get_origin(form)
    arguments = get_args(form)
    if form in _SCALARS:
        return _SCALARS[form]
    if origin in {Union, types.UnionType}:
        return _union(arguments)
    if origin is Literal:
        return _choice(arguments)
    if origin in {Collection, Sequence}:
        return _list(_check_of(arguments[0]))
    if origin is Mapping:
        return _mapping(_check_of(arguments[1]))
    return _record(form)


def _scalar(words: str, check: Callable[[object, str], object]) -> _Check:
    """Check a value by a function of `arguments`, which lets pass what was left out."""

    def run(value: object, name: str) -> None:
        if value is None or value is msgspec.UNSET:
            raise made.refuse(value, name)
        check(value, name)

    made = _Check(words, run)
    return made


def _choice(allowed: Collection[object]) -> _Check:
    """Check that a value is one of a few; to Toggl, 0 and 1 are not false and true."""

    def run(value: object, name: str) -> None:
        if not is_one_of(value, allowed):
            quoted = (
                shown(value) if isinstance(value, str | int) else f"a value of type {type(value).__name__}"
            )
            raise InvalidInput(f"{name}: pass {made.words}, not {quoted}")

    made = _Check(" or ".join(map(repr, allowed)), run)
    return made


def _union(members: Collection[ArgumentType]) -> _Check:
    """Check that a value is of one of several types; where there is but one to speak of, by that."""
    nothing: dict[ArgumentType, object] = {types.NoneType: None, msgspec.UnsetType: msgspec.UNSET}
    passing = [nothing[one] for one in members if one in nothing]
    checks = [_check_of(one) for one in members if one not in nothing]

    def run(value: object, name: str) -> None:
        if any(value is one for one in passing):
            return
        if len(checks) == 1:
            checks[0].run(value, name)
        elif not any(_fits(check, value) for check in checks):
            raise made.refuse(value, name)

    made = _Check(" or ".join(check.words for check in checks), run)
    return made


def _fits(check: _Check, value: object) -> bool:
    try:
        check.run(value, "")
    except InvalidInput:
        return False
    return True


def _list(item: _Check) -> _Check:
    """Check a list: in any collection of known length and order, or a set."""

    def run(value: object, name: str) -> None:
        if not isinstance(value, Sequence | AbstractSet) or isinstance(value, _TEXT):
            raise made.refuse(value, name)
        for place, one in enumerate(value):
            item.run(one, f"{name}[{place}]")

    made = _Check(f"a list, each item {item.words}", run)
    return made


def _mapping(item: _Check) -> _Check:
    """Check a mapping of names."""

    def run(value: object, name: str) -> None:
        if not isinstance(value, Mapping):
            raise made.refuse(value, name)
        for key, one in value.items():
            if not isinstance(key, str):
                raise InvalidInput(f"{name}: names must be str, not {shown(key)}")
            item.run(one, f"{name}.{key}")

    made = _Check("a mapping with names (str)", run)
    return made


def _record(record: ArgumentType) -> _Check:
    """Check a record, and what it holds; those that come from Toggl are others than those that go there."""
    fields: list[tuple[str, _Check]] = []

    def run(value: object, name: str) -> None:
        if not isinstance(value, record):
            raise made.refuse(value, name)
        if not fields:
            hints = get_type_hints(record)
            names = [one.name for one in attrs.fields(cast("type[attrs.AttrsInstance]", record))]
            fields.extend((one, _check_of(hints[one])) for one in names)
        for one, check in fields:
            check.run(getattr(value, one), f"{name}.{one}")

    made = _Check(f"{record.__name__}(…)", run)
    return made


_SCALARS: Final[Mapping[ArgumentType, _Check]] = {
    Any: _Check("anything that JSON has", lambda _value, _name: None),  # held against it when it is written
    bool: _scalar("a bool", one_flag),
    dt.date: _scalar("a date", day),
    dt.datetime: _scalar("a datetime", moment),
    float: _scalar("an int or a float", any_number),
    int: _scalar("an int", whole_number),
    str: _scalar("a str", one_text),
}
"""Types that hold no other."""
