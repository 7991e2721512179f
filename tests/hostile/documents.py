"""Documents that the operations' own types describe, as JSON, and the places in them.

A document is a tree of what the json module makes, with two kinds of nodes that it doesn't make: `Raw`
is JSON that Python has no value for, `Twice` an object that names a field twice.
"""

import datetime as dt
import functools
import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
from hypothesis import strategies as st

from toggl_async._operations.record import Json, Record

__all__ = [
    "Form",
    "Place",
    "Raw",
    "Twice",
    "at",
    "document",
    "forms_of",
    "is_record",
    "places",
    "put",
    "render",
]

Form: TypeAlias = Any
"""A type as it stands in an annotation."""

Place: TypeAlias = tuple[str | int, ...]

_DEPTH: Final = 2
"""Records inside of each other."""


@attrs.frozen
class Raw:
    """A piece of JSON, or of what is none, that is sent as it stands."""

    text: str

    def __repr__(self) -> str:
        shown = self.text if len(self.text) < 60 else f"{self.text[:20]}…{len(self.text)} characters"
        return f"Raw({shown})"


class Twice(dict[str, Any]):
    """An object whose first field comes twice, with two values."""

    def __init__(self, values: Mapping[str, Any], name: str, before: object) -> None:
        super().__init__(values)
        self.name = name
        self.before = before


def render(tree: Any) -> str:
    """Write a document as JSON; text keeps its characters, but for what JSON demands to be escaped."""
    if isinstance(tree, Raw):
        return tree.text
    if isinstance(tree, dict):
        fields = list(tree.items())
        if isinstance(tree, Twice):
            fields.insert(0, (tree.name, tree.before))
        return "{" + ", ".join(f"{_text(name)}: {render(value)}" for name, value in fields) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(render, tree)) + "]"
    return _text(tree)


def _text(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if shown.isascii() else "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    """Half a surrogate pair has no bytes in UTF-8; in JSON it can be escaped all the same."""
    return json.dumps(character)[1:-1] if "\ud800" <= character <= "\udfff" else character


def places(tree: Any, here: Place = ()) -> Iterator[Place]:
    """The places of a document, its own first."""
    yield here
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from places(value, (*here, name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from places(value, (*here, index))


def at(tree: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        tree = tree[step]
    return tree


def put(tree: Any, place: Place, value: Any) -> Any:
    """The document with another value at a place."""
    if not place:
        return value
    changed: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    changed[place[0]] = put(tree[place[0]], place[1:], value)
    return changed


def is_record(form: Form) -> bool:
    """Whether a type is a record class."""
    return isinstance(form, type) and not typing.get_args(form) and issubclass(form, Record)


@functools.cache
def forms_of(record: Any) -> Mapping[str, tuple[str, Form, bool]]:
    """The fields of a record class by their names in JSON: attribute, type, and whether it is needed."""
    hints = typing.get_type_hints(record)
    return {
        record.wire_names.get(field.name, field.name): (
            field.name,
            hints[field.name],
            field.default is attrs.NOTHING,
        )
        for field in attrs.fields(record)
    }


_words = st.sampled_from(["word", "", "Zoë", "日本", "a b", "12", "null", "é\u0000"])
_free: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**53) | _words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_words, inner, max_size=2),
    max_leaves=4,
)
_days = st.dates(dt.date(2006, 1, 1), dt.date(2030, 12, 31))
_moments = st.tuples(_days, st.sampled_from(["T00:00:00Z", "T23:59:59+02:00", "T10:00:00.123456Z"]))
_scalars: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    int: st.integers(0, 2**53),
    float: st.sampled_from([0, 1, 1.5, 0.1, 1e300]),
    str: _words,
    bool: st.booleans(),
    dt.datetime: _moments.map(lambda both: f"{both[0]}{both[1]}"),
    dt.date: _days.map(str),
    types.NoneType: st.none(),
    Json: _free,
}


@functools.cache
def document(form: Form, depth: int = _DEPTH) -> st.SearchStrategy[Any]:
    """Draw documents of a type: all that a record needs, and any of what else it knows."""
    if is_record(form):
        fields = {
            name: (document(one, depth - 1), needed) for name, (_, one, needed) in forms_of(form).items()
        }
        return st.fixed_dictionaries(
            {name: one for name, (one, needed) in fields.items() if needed},
            optional={name: one for name, (one, needed) in fields.items() if not needed},
        )
    origin: Any = typing.get_origin(form)
    arguments = typing.get_args(form)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is typing.Annotated:
        return document(arguments[0], depth)
    if origin is list or form is list:
        inner = arguments[0] if arguments else Json
        return st.just([]) if depth < 0 else st.lists(document(inner, depth), min_size=1, max_size=2)
    if origin is dict or form is dict:
        inner = arguments[1] if arguments else Json
        return st.dictionaries(st.sampled_from(["7", "8", "key"]), document(inner, depth), max_size=2)
    if origin in {typing.Union, types.UnionType}:
        shallow = [one for one in arguments if depth > 0 or not _holds_records(one)]
        return st.one_of([document(one, depth) for one in shallow])
    return _scalars[form]


def _holds_records(form: Form) -> bool:
    return is_record(form) or any(map(_holds_records, typing.get_args(form)))
