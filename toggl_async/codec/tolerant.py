"""The tolerant tier: cattrs hooks for what does not fit, one odd value at a time.

A hook gets a `Node`: a piece of JSON that is not decoded yet, its path, and the report of its answer. Hooks
for lists and records split their JSON into pieces and decode each strictly first, so that one odd field costs
the tolerance of one field, and everything else is decoded at full speed.

Harmless differences are coerced: nothing is lost and nothing is made up. Everything else is a `Misfit`: the
nearest enclosing field that the record can do without gets its default, and the original value is kept in
`Record.unknown` if the caller asked for that. The stock hooks of cattrs are not used: they turn null into
``'None'``, 3600.5 into 3600 and true into 1 without a word.
"""

import functools
import types
from collections.abc import Callable
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

import cattrs
import msgspec

from toggl_async._operations.record import Moment, Record, free_json
from toggl_async.codec.drift import Misfit
from toggl_async.codec.node import Node
from toggl_async.codec.scalars import SCALARS, moment
from toggl_async.codec.strict import Field, TypeForm, decoder, fields_of, holds_records, is_record

__all__ = ["tolerate", "tolerate_gaps"]

_SHOWN: Final = 40
"""Characters of a field's name that are shown."""

_SHOWN_NAMES: Final = 5
"""Names of fields that are shown."""

_pieces_of_a_list: Final = msgspec.json.Decoder(list[msgspec.Raw])
_pieces_of_an_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


Hook: TypeAlias = Callable[[Node, TypeForm], Any]
Quick: TypeAlias = Callable[[msgspec.Raw], Any]


def tolerate(node: Node, form: TypeForm) -> Any:
    """Read a value that does not fit its type, or whose records keep what is unknown.

    Raises:
        Misfit: it cannot be read as that.
        msgspec.DecodeError: it isn't JSON.
    """
    return _converter.structure(node, form)


def tolerate_gaps(node: Node, form: TypeForm) -> Any:
    """Read a record, or a list of them, with None for whatever of them is missing or can't be read.

    Raises:
        Misfit: it is another thing.
        msgspec.DecodeError: it isn't JSON.
    """
    origin: TypeForm = get_origin(form)
    if origin is list:
        if node.kind != "a list":
            raise node.misfit("a list")
        (item,) = get_args(form)
        pieces = _pieces_of_a_list.decode(node.raw)
        return [tolerate_gaps(node.at(piece, place), item) for place, piece in enumerate(pieces)]
    if node.kind != "an object" or not _stands_for(node, form):
        raise node.misfit(form.__name__)
    return _fields(node, form, in_part=True, may_lack=True)


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


def _list(node: Node, form: TypeForm) -> list[Any]:
    if node.kind == "null":
        return []
    (item,) = get_args(form) or (Any,)
    if node.kind == "an object" and is_record(item) and _stands_for(node, item):
        node.coerced("a list")
        return [tolerate(node, item)]
    if node.kind != "a list":
        raise node.misfit("a list")
    return _items(node, _pieces_of_a_list.decode(node.raw), item)


def _items(node: Node, pieces: list[msgspec.Raw], item: TypeForm) -> list[Any]:
    """Read the items of a list.

    One odd record does not cost the others: it is kept, with None for what could not be read of it.
    A list of which no record fits can't be read that way.
    """
    quick = _quick(item, node.report.keep_unknown)
    values: list[Any] = []
    misfit: Misfit | None = None
    fits, place, rest = False, 0, iter(pieces)
    while place < len(pieces):
        before = len(values)
        try:
            # A loop that Python does not see; what came before the piece that doesn't fit stays.
            values.extend(map(quick, rest))
        except msgspec.ValidationError:
            place += len(values) - before
            odd = node.at(pieces[place], place)
            fits = fits or len(values) > before
            try:
                values.append(_free(odd) if item is Any else tolerate(odd, item))
                fits = True
            except Misfit as met:
                values += _in_part(odd, item, met)
                misfit = misfit or met
            place += 1
        else:
            fits = fits or len(values) > before
            break
    if misfit is not None and not fits:
        raise misfit
    return values


def _in_part(node: Node, item: TypeForm, misfit: Misfit) -> list[Any]:
    """Read a record of which something could not be read that it cannot do without.

    A malformed number, text or time is left out, and so is an empty value in place of a record, so that the
    rest isn't lost with it.

    Raises:
        Misfit: the one given; it is another thing.
    """
    holds_nothing = node.kind not in {"an object", "a list"} or not _holds_more(node.raw)
    if item in SCALARS or item == Moment or (is_record(item) and node.kind != "an object" and holds_nothing):
        node.report.odd(node.path, f"{misfit.message}; left out")
        return []
    if not is_record(item):
        raise misfit
    if node.kind != "an object" or not _stands_for(node, item):
        raise misfit
    return [_fields(node, item, in_part=True)]


def _stands_for(node: Node, record: TypeForm) -> bool:
    """Whether an object is surely that record: the rest is the smaller part, and no list or object."""
    pieces = _pieces_of_an_object.decode(node.raw)
    known = {field.wire for field in fields_of(record)} | record.legacy_names
    strange = [piece for name, piece in pieces.items() if name not in known]
    return len(strange) * 2 < len(pieces) and not any(map(_holds_more, strange))


def _holds_more(piece: msgspec.Raw) -> bool:
    """Whether a value is an object or a list that is not empty: it may be what was asked for."""
    text = bytes(piece)
    return text[:1] in b"{[" and text[1:-1].strip() != b""


def _dict(node: Node, form: TypeForm) -> dict[str, Any]:
    # Some servers write an empty mapping so, but not a whole answer: there, a list is another thing.
    is_empty_list = node.kind == "a list" and node.path != "$" and not _pieces_of_a_list.decode(node.raw)
    if node.kind == "null" or is_empty_list:
        return {}
    if node.kind != "an object":
        raise node.misfit("an object")
    _, item = get_args(form) or (str, Any)
    pieces = _pieces_of_an_object.decode(node.raw)
    quick = _quick(item, node.report.keep_unknown)
    if item is Any:
        return {key: _free(node.at(piece, key)) for key, piece in pieces.items()}
    return {key: _read(node, piece, key, item, quick) for key, piece in pieces.items()}


def _free(node: Node) -> Any:
    """Read free JSON, which always fits but for numbers that Python has no room for."""
    if node.value is msgspec.UNSET:
        node.report.odd(node.path, "a number that is out of range; kept as text")
    return free_json(node.raw)


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
    if node.kind == "a list" or (node.kind == "null" and record.wraps):
        return _record_of_a_list(node, record)
    if node.kind != "an object":
        raise node.misfit("an object")
    return _fields(node, record)


def _record_of_a_list(node: Node, record: TypeForm) -> Record:
    """Read a list as the one object in it, or as the list in a record that wraps one.

    Raises:
        Misfit: part of it would be lost.
    """
    pieces = [] if node.kind == "null" else _pieces_of_a_list.decode(node.raw)
    alone = node.at(pieces[0], 0) if len(pieces) == 1 else None
    if alone is not None and alone.kind == "an object" and _stands_for(alone, record):
        node.coerced("one object")
        return _fields(alone, record)
    wrapped = next((field for field in fields_of(record) if field.wire == record.wraps), None)
    if wrapped is None:
        raise node.misfit("an object")
    (item,) = get_args(wrapped.form)
    values = _items(node, pieces, item)
    node.coerced("an object that wraps it")
    value: Record = record(**{wrapped.name: values})
    return value


def _fields(node: Node, record: TypeForm, *, in_part: bool = False, may_lack: bool = False) -> Record:
    """Read the fields of a record.

    Args:
        node: the object.
        record: its class.
        in_part: whether None stands for what could not be read of it.
        may_lack: whether None stands for what is missing as well, though the record can't do without.
    """
    keep_unknown = node.report.keep_unknown
    pieces = _pieces_of_an_object.decode(node.raw)
    names = list(pieces)
    values: dict[str, Any] = {}
    lost: dict[str, msgspec.Raw] = {}
    shared = False
    for field, quick in _readers(record, keep_unknown):
        piece = pieces.pop(field.wire, None)
        if piece is None:
            if field.required:
                if not may_lack:
                    raise Misfit(f"{node.path}.{field.wire}", "is missing")
                node.report.odd(f"{node.path}.{field.wire}", "is missing")
                values[field.name] = None
            continue
        shared = True
        try:
            read = values[field.name] = _read(node, piece, field.wire, field.form, quick)
            if type(read) is list and _lacks_items(piece, read):
                lost[field.wire] = piece
                if _can_say_nothing(field.form):
                    values[field.name] = None
        except Misfit as misfit:
            if field.wire == node.report.indispensable or (field.required and not in_part):
                raise
            node.report.odd(misfit.path, f"{misfit.message}; left out")
            lost[field.wire] = piece
            if field.required:
                values[field.name] = None
    if names and not shared and record.legacy_names.isdisjoint(names):
        raise Misfit(node.path, f"expected {record.__name__}, got an object with {_listing(names)}")
    value: Record = record(**values)
    if keep_unknown:
        return _with_unknown(value, {name: free_json(piece) for name, piece in (pieces | lost).items()})
    return value


def _lacks_items(piece: msgspec.Raw, read: list[Any]) -> bool:
    """Whether items of a list were left out."""
    return bytes(memoryview(piece)[:1]) == b"[" and len(_pieces_of_a_list.decode(piece)) > len(read)


def _can_say_nothing(form: TypeForm) -> bool:
    """Whether None stands for what could not be read as a whole.

    Half of the ids of an entry's tags must not look like all of them: whoever writes them back loses the
    rest. Where there is no None, such as for the ids that a bulk edit has changed, some are better than none.
    """
    return types.NoneType in get_args(form) and not holds_records(form)


def _listing(names: list[str]) -> str:
    """Name a few fields of an object; they are a server's words."""
    shown = ", ".join(repr(name[:_SHOWN]) for name in names[:_SHOWN_NAMES])
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} other fields" if more > 0 else shown


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
    if form is Any and node.path == "$":
        return _free(node)
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
        (lambda form: bool(form == Moment), moment),
    ]
    for suitable, hook in hooks:
        converter.register_structure_hook_func(suitable, hook)
    for scalar, hook in SCALARS.items():
        converter.register_structure_hook(scalar, hook)
    return converter


_converter: Final = _converter_of_hooks()
