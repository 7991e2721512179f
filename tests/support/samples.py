"""Arguments for every generated coroutine, made from their annotations; and the way to a coroutine."""

import datetime as dt
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import attrs
import pytest
from msgspec import UnsetType

from toggl_async._operations.files import FileContent
from toggl_async._operations.operation import Operation
from toggl_async._operations.record import Record

MOMENT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
UNIX = 1772600767
"""The same moment in seconds."""

NOTHING: Mapping[str, Any] = {}


def sample(hint: Any) -> Any:
    """Make a value of a type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return arguments[0]
    if hint == FileContent or set(typing.get_args(FileContent)) <= set(arguments):
        return b"content"
    if origin in {typing.Union, types.UnionType}:
        return sample(next(one for one in arguments if one not in {UnsetType, type(None)}))
    if origin in {Collection, Sequence, list}:
        return [sample(arguments[0])]
    if origin in {dict, Mapping}:
        return {"key": sample(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, Record):
        given = typing.get_type_hints(hint)
        fields = attrs.fields(typing.cast("Any", hint))
        return hint(**{field.name: sample(given[field.name]) for field in fields})
    simple: dict[Any, Any] = {
        int: 7,
        float: 1.5,
        str: "word",
        bool: True,
        dt.date: MOMENT.date(),
        dt.datetime: MOMENT,
        bytes: b"bytes",
        Any: {"a": 1},
    }
    return simple[hint]


def arguments_of(
    found: Callable[..., Any], *, required_only: bool, values: Mapping[str, Any] = NOTHING
) -> dict[str, Any]:
    """Make arguments for a coroutine: all, or those that it needs; some of them given."""
    hints = typing.get_type_hints(found)
    return {
        name: values[name] if name in values else sample(hints[name])
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.default is parameter.empty or not required_only
    }


def deprecation(operation: Operation[object]) -> AbstractContextManager[object]:
    """Expect to be warned of an operation that is not to be called any more, and of no other."""
    if operation.deprecated is None:
        return nullcontext()
    return pytest.warns(DeprecationWarning, match=re.escape(f"{operation.name}: {operation.deprecated}"))


def reach(scope: object, name: str) -> Callable[..., Any]:
    """Reach a coroutine the way that a user does, attribute by attribute; its scope is made already."""
    found = scope
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return typing.cast("Callable[..., Any]", found)
