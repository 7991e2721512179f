"""The tolerant tier: cattrs hooks for what does not fit, one odd value at a time.

A hook gets a `Node`: JSON that was cut out but not read yet, where it stood, and the report of its
answer. Hooks of lists and records cut their JSON into pieces and read each strictly first, so that
one odd field costs the tolerance of one field, and everything beside it goes at full speed.

What is harmless is coerced: nothing is lost and nothing made up. The rest is a `Misfit`; the
nearest field around it that the record can do without takes its default, and what stood there is
kept in `Record.unknown` where the caller asked for that. The stock hooks of cattrs are not used:
they turn null into ``'None'``, 3600.5 into 3600 and true into 1 without a word.
"""

import datetime as dt
import functools
import re
import types
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, Union, get_args, get_origin

import attrs
import cattrs
import msgspec

from toggl_async.codec.drift import Misfit
from toggl_async.codec.strict import Field, TypeForm, decoder, fields_of, holds_records, is_record
from toggl_async.record import Moment, Record, free_json

__all__ = ["Node", "Report", "tolerate"]

_INTEGER: Final = re.compile(r"-?\d{1,30}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)
_EXACT: Final = 2.0**53
"""Floats are exact whole numbers up to here."""

_KINDS: Final = {
    b'"': "a string",
    b"{": "an object",
    b"[": "a list",
    b"t": "a truth value",
    b"f": "a truth value",
    b"n": "null",
}

_pieces_of_a_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
_pieces_of_an_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Report(Protocol):
    """Where hooks tell what they met."""

    @property
    def keep_unknown(self) -> bool:
        """Whether records keep what they have no attribute for."""
        ...

    def odd(self, path: str, message: str) -> None:
        """Tell of a value that did not fit."""
        ...


@attrs.frozen
class Node:
    """A value that is not read yet: its JSON, where it stands (``$[3].id``), and whom to tell."""

    raw: msgspec.Raw
    path: str
    report: Report

    @property
    def kind(self) -> str:
        """What kind of JSON value it is, in words."""
        return _KINDS.get(bytes(memoryview(self.raw)[:1]), "a number")

    @property
    def value(self) -> Any:
        """What it is as plain JSON; UNSET where Python has no room for it, such as for ``1e999``."""
        try:
            return msgspec.json.decode(self.raw)
        except msgspec.ValidationError:
            return msgspec.UNSET

    def at(self, piece: msgspec.Raw, step: str | int) -> "Node":
        """Step down to a piece of this value: by its name in an object, or its index in a list."""
        path = f"{self.path}[{step}]" if isinstance(step, int) else f"{self.path}.{step}"
        return Node(piece, path, self.report)

    def coerced(self, expected: str) -> None:
        """Tell that the value was not what was expected, but could be read as that."""
        self.report.odd(self.path, f"{self.kind} where {expected} belongs; read as that")

    def misfit(self, expected: str) -> Misfit:
        """Say that the value cannot be what was expected."""
        return Misfit(self.path, f"{self.kind} where {expected} belongs")


Hook: TypeAlias = Callable[[Node, TypeForm], Any]
Quick: TypeAlias = Callable[[msgspec.Raw], Any]


def tolerate(node: Node, form: TypeForm) -> Any:
    """Read a value that does not fit its type, or whose records keep what is unknown.

    Raises:
        Misfit: it cannot be read as that.
        msgspec.DecodeError: it is no JSON.
    """
    return _converter.structure(node, form)


def _read(parent: Node, piece: msgspec.Raw, step: str | int, form: TypeForm, quick: Quick) -> Any:
    """Read a piece of a value strictly if that can be, else tolerantly."""
    try:
        return quick(piece)
    except msgspec.ValidationError:
        return tolerate(parent.at(piece, step), form)


@functools.cache
def _quick(form: TypeForm, keep_unknown: bool) -> Quick:
    """Make the strict reader of a type; it raises ValidationError for what does not fit.

    Where unknown fields are kept, it refuses values with records beside or inside of each other:
    each of those has unknown fields of its own, so such values are taken apart.
    """
    strict = decoder(form).decode
    if not (keep_unknown and holds_records(form)):
        return strict
    if not is_record(form):
        return _refuse
    inner = [field.name for field in fields_of(form) if holds_records(field.form)]

    def read(piece: msgspec.Raw) -> Record:
        record: Record = strict(piece)
        if inner and any(getattr(record, name) for name in inner):
            raise msgspec.ValidationError
        # The copy is read when somebody asks for `Record.unknown`; the piece would pin the whole page.
        return _with_unknown(record, bytes(piece))

    return read


def _refuse(_: msgspec.Raw) -> Any:
    raise msgspec.ValidationError


# Scalars


def _integer(node: Node, _: TypeForm) -> int:
    value = node.value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        node.coerced("a whole number")
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        node.coerced("a whole number")
        return int(value)
    raise node.misfit("a whole number")


def _float(node: Node, _: TypeForm) -> float:
    value = node.value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        node.coerced("a number")
        return float(value)
    raise node.misfit("a number")


def _text(node: Node, _: TypeForm) -> str:
    if node.kind == "a number":
        node.coerced("a string")
        return bytes(node.raw).decode()
    raise node.misfit("a string")


def _truth(node: Node, _: TypeForm) -> bool:
    value = node.value
    meanings = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}
    if isinstance(value, int | float | str) and value in meanings:
        node.coerced("a truth value")
        return meanings[value]
    raise node.misfit("a truth value")


def _moment(node: Node, _: TypeForm) -> dt.datetime:
    value = node.value
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise node.misfit("a time") from None
        node.coerced("a time with a zone")
        # A bare date is its midnight; what has no zone is UTC, as everywhere in Track.
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    raise node.misfit("a time")


def _date(node: Node, _: TypeForm) -> dt.date:
    value = node.value
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise node.misfit("a date") from None
        if moment.time() == dt.time.min:
            node.coerced("a date")
            return moment.date()
    raise node.misfit("a date")


# What holds other values


def _list(node: Node, form: TypeForm) -> list[Any]:
    if node.kind == "null":
        return []
    (item,) = get_args(form) or (Any,)
    if node.kind == "an object" and is_record(item) and _is_like(node, item):
        node.coerced("a list")
        return [tolerate(node, item)]
    if node.kind != "a list":
        raise node.misfit("a list")
    pieces = _pieces_of_a_list.decode(node.raw)
    quick = _quick(item, node.report.keep_unknown)
    values: list[Any] = []
    rest = iter(pieces)
    while len(values) < len(pieces):
        try:
            # A loop that Python does not see; what came before the piece that doesn't fit stays.
            values.extend(map(quick, rest))
        except msgspec.ValidationError:
            values.append(tolerate(node.at(pieces[len(values)], len(values)), item))
    return values


def _is_like(node: Node, record: TypeForm) -> bool:
    """Whether an object has any field of a record: it may be something else that stands for a list."""
    pieces = _pieces_of_an_object.decode(node.raw)
    return any(field.wire in pieces for field in fields_of(record))


def _dict(node: Node, form: TypeForm) -> dict[str, Any]:
    if node.kind == "null" or (node.kind == "a list" and not _pieces_of_a_list.decode(node.raw)):
        return {}
    if node.kind != "an object":
        raise node.misfit("an object")
    _, item = get_args(form) or (str, Any)
    pieces = _pieces_of_an_object.decode(node.raw)
    quick = _quick(item, node.report.keep_unknown)
    return {key: _read(node, piece, key, item, quick) for key, piece in pieces.items()}


def _union(node: Node, form: TypeForm) -> Any:
    if node.kind == "null" and types.NoneType in get_args(form):
        return None
    members = [member for member in get_args(form) if member is not types.NoneType]
    for member in members:
        try:
            return _quick(member, node.report.keep_unknown)(node.raw)
        except msgspec.ValidationError:
            continue
    misfit: Misfit | None = None
    for member in members:
        try:
            return tolerate(node, member)
        except Misfit as failed:
            misfit = misfit or failed
    raise misfit or node.misfit("something else")


def _record(node: Node, record: TypeForm) -> Record:
    """Read a record field by field; what is left over, or could not be read, is unknown."""
    if node.kind == "a list" and len(alone := _pieces_of_a_list.decode(node.raw)) == 1:
        node.coerced("one object")
        return _record(node.at(alone[0], 0), record)
    if node.kind != "an object":
        raise node.misfit("an object")
    keep_unknown = node.report.keep_unknown
    pieces = _pieces_of_an_object.decode(node.raw)
    values: dict[str, Any] = {}
    lost: dict[str, msgspec.Raw] = {}
    for field, quick in _readers(record, keep_unknown):
        piece = pieces.pop(field.wire, None)
        if piece is None:
            if field.required:
                raise Misfit(f"{node.path}.{field.wire}", "is missing")
            continue
        try:
            values[field.name] = _read(node, piece, field.wire, field.form, quick)
        except Misfit as misfit:
            if field.required:
                raise
            node.report.odd(misfit.path, f"{misfit.message}; left out")
            lost[field.wire] = piece
    value: Record = record(**values)
    if keep_unknown:
        return _with_unknown(value, {name: free_json(piece) for name, piece in (pieces | lost).items()})
    return value


@functools.cache
def _readers(record: TypeForm, keep_unknown: bool) -> tuple[tuple[Field, Quick], ...]:
    """Pair the fields of a record with their strict readers."""
    return tuple((field, _quick(field.form, keep_unknown)) for field in fields_of(record))


def _with_unknown(record: Record, unknown: object) -> Record:
    """Fill the slot that records keep unknown fields in; they are frozen for everybody else."""
    object.__setattr__(record, "_unknown", unknown)
    return record


def _other(node: Node, form: TypeForm) -> Any:
    """Read a type that has no tolerance of its own."""
    try:
        return decoder(form).decode(node.raw)
    except msgspec.ValidationError:
        raise node.misfit("something else") from None


def _converter_of_hooks() -> cattrs.Converter:
    """Make the converter; of two hooks that suit a type, the later one wins."""
    converter = cattrs.Converter(detailed_validation=False)

    def suits(*origins: object) -> Callable[[TypeForm], bool]:
        return lambda form: form in origins or get_origin(form) in origins

    hooks: list[tuple[Callable[[TypeForm], bool], Hook]] = [
        (lambda _: True, _other),
        (suits(list), _list),
        (suits(dict), _dict),
        (suits(Union, types.UnionType), _union),
        (is_record, _record),
        (lambda form: bool(form == Moment), _moment),
    ]
    for suitable, hook in hooks:
        converter.register_structure_hook_func(suitable, hook)
    scalars: dict[type, Hook] = {
        int: _integer, float: _float, str: _text, bool: _truth, dt.datetime: _moment, dt.date: _date,
    }  # fmt: skip
    for scalar, hook in scalars.items():
        converter.register_structure_hook(scalar, hook)
    return converter


_converter: Final = _converter_of_hooks()
