"""Whether everything that was sent can be found again in what the client made of it.

Written against the types alone, with the json module and `datetime.fromisoformat`: it shares nothing
with the codec that it judges.
"""

import contextlib
import datetime as dt
import json
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

import attrs
import msgspec

from hostile.documents import Form, Raw, Twice, forms_of, is_record
from toggl_async._operations.record import Json, Record

__all__ = ["Told", "losses"]

_INDEX = re.compile(r"\[\d+\]")


@attrs.frozen
class Told:
    """What the client told of beside its result.

    Attributes:
        fields: the fields of its drift warnings, as in ``"$[].rate"``.
        keeps: whether it was asked to keep what it doesn't know.
        documented: the shape that Toggl's documents name, if it has another; nobody is told of that one.
    """

    fields: frozenset[str]
    keeps: bool
    documented: str | None = None

    def of(self, path: str) -> bool:
        """Whether it told of a value, of one around it or of one inside."""
        path = _INDEX.sub("[]", path)
        return any(_within(path, field) or _within(field, path) for field in self.fields)


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))


def losses(form: Form, sent: Any, got: Any, told: Told, path: str = "$") -> Iterator[str]:
    """What was sent and cannot be found again, and what nobody was told of; nothing when all is well."""
    if sent is None:
        empty = is_record(form) and bool(form.wraps) and got == form(**{form.wraps: []})
        if (
            not empty
            and got not in (None, [], {})
            and not (isinstance(got, str) and not got.strip("\ufeff \r\n"))
        ):
            yield f"{path}: null became {got!r}"
        return
    if form == Json:
        if not _same(sent, got):
            yield f"{path}: {sent!r} became {got!r}"
        return
    if is_record(form):
        yield from _of_record(form, sent, got, told, path)
        return
    origin: Any = typing.get_origin(form)
    arguments = typing.get_args(form)
    if origin in {typing.Union, types.UnionType}:
        found = [list(losses(one, sent, got, told, path)) for one in arguments if one is not types.NoneType]
        yield from min(found, key=len)
    elif origin is list or form is list:
        yield from _of_list(arguments[0] if arguments else Json, sent, got, told, path)
    elif origin is dict or form is dict:
        yield from _of_dict(arguments[1] if arguments else Json, sent, got, told, path)
    elif not _is_scalar(form, sent, got):
        yield f"{path}: {sent!r} became {got!r}"


def _of_record(form: Form, sent: Any, got: Any, told: Told, path: str) -> Iterator[str]:
    if not isinstance(got, Record):
        yield f"{path}: {sent!r} became {got!r}"
        return
    if (
        isinstance(sent, list)
        and form.wraps
        and not list(losses(forms_of(form)[form.wraps][1], sent, getattr(got, form.wraps), told, path))
    ):
        return
    if isinstance(sent, list) and len(sent) == 1:
        if not told.of(path) and not (path == "$" and told.documented == "list"):
            yield f"{path}: a list was read as one object, and nobody was told"
        while isinstance(sent, list) and len(sent) == 1:
            sent = sent[0]
    if not isinstance(sent, dict):
        yield f"{path}: {sent!r} became {type(got).__name__}"
        return
    known = forms_of(form)
    if sent and not known.keys() & sent.keys() and not told.of(path):
        yield f"{path}: an object without one field of {form.__name__} became one, and nobody was told"
    for name, value in sent.items():
        values = [value]
        if isinstance(sent, Twice) and sent.name == name:
            values.append(sent.before)
        if name in known:
            attribute, inner, _ = known[name]
            here = f"{path}.{name}"
            found = min(
                (list(losses(inner, one, getattr(got, attribute), told, here)) for one in values), key=len
            )
            kept = not told.keeps or any(_same(one, got.unknown.get(name, ...)) for one in values)
            if found and not (kept and told.of(here)):
                yield from found
        elif told.keeps and not any(_same(one, got.unknown.get(name, ...)) for one in values):
            yield f"{path}.{name}: unknown and not kept: {value!r}"


def _of_list(inner: Form, sent: Any, got: Any, told: Told, path: str) -> Iterator[str]:
    if not isinstance(got, list):
        yield f"{path}: {sent!r} became {got!r}"
    elif isinstance(sent, list):
        if len(sent) != len(got):
            rest = list(got)
            for one in sent if told.of(f"{path}[]") else ():
                if rest and not list(losses(inner, one, rest[0], told, f"{path}[]")):
                    rest.pop(0)
            if rest or not told.of(f"{path}[]"):
                yield f"{path}: {len(sent)} values became {len(got)}"
            return
        for index, (one, other) in enumerate(zip(sent, got, strict=True)):
            yield from losses(inner, one, other, told, f"{path}[{index}]")
    elif len(got) == 1 and (told.of(path) or (path == "$" and told.documented == "object")):
        yield from losses(inner, sent, got[0], told, path)
    else:
        yield f"{path}: {sent!r} became {got!r}"


def _of_dict(inner: Form, sent: Any, got: Any, told: Told, path: str) -> Iterator[str]:
    if not isinstance(got, dict) or not (isinstance(sent, dict) or sent == []):
        yield f"{path}: {sent!r} became {got!r}"
        return
    for name, value in dict(sent).items():
        if name not in got:
            yield f"{path}.{name}: lost"
        else:
            yield from losses(inner, value, got[name], told, f"{path}.{name}")


def _same(sent: Any, got: Any) -> bool:
    """Whether free JSON is what was sent, or the text of it."""
    if got is ...:
        return False
    if isinstance(sent, Raw):
        if got == sent.text:
            return True
        try:
            return _same(json.loads(sent.text), got)
        except RecursionError:
            return _same_at_any_depth(sent.text, got)
        except ValueError:
            return False
    if isinstance(sent, Twice) and isinstance(got, dict):
        return _same(dict(sent), got) or _same({**sent, sent.name: sent.before}, got)
    if isinstance(got, str) and not isinstance(sent, str):
        with contextlib.suppress(ValueError, RecursionError):
            return _same(sent, json.loads(got))
        # What stands in it cannot be read by anybody; it was kept as text.
        return _holds_raw(sent)
    if isinstance(sent, dict):
        return (
            isinstance(got, dict) and sent.keys() == got.keys() and all(_same(sent[k], got[k]) for k in sent)
        )
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(_same, sent, got))
    return isinstance(sent, bool) == isinstance(got, bool) and bool(sent == got)


def _same_at_any_depth(text: str, got: Any) -> bool:
    """Compare where the json module gives up; msgspec reads deeper, on newer Pythons by far."""
    try:
        pairs = [(msgspec.json.decode(text), got)]
    except (ValueError, RecursionError):
        return False
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            pairs += zip(one, other, strict=True)
        elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            pairs += [(value, other[name]) for name, value in one.items()]
        elif isinstance(one, list | dict) or one != other:
            return False
    return True


def _holds_raw(sent: Any) -> bool:
    if isinstance(sent, dict | list):
        return any(map(_holds_raw, sent.values() if isinstance(sent, dict) else sent))
    return isinstance(sent, Raw)


def _is_scalar(form: Form, sent: Any, got: Any) -> bool:
    """Whether a value says what was sent, if in other words."""
    if isinstance(sent, Raw):
        if form is str and got == sent.text:
            return True
        try:
            sent = json.loads(sent.text)
        except (ValueError, RecursionError):
            return False
    origin: Any = typing.get_origin(form)
    if origin is Literal:
        return bool(sent == got)
    if form is bool and isinstance(sent, int | float):
        return isinstance(got, bool) and sent == got
    if form is bool:
        return isinstance(got, bool) and str(sent).lower() in ({"true", "1"} if got else {"false", "0"})
    if isinstance(got, bool) or isinstance(sent, bool):
        return form is str and got == json.dumps(sent)
    if form in {int, float}:
        try:
            return isinstance(got, int | float) and (
                sent == got or (form(sent) == got and not isinstance(sent, float))
            )
        except (ValueError, TypeError, OverflowError):
            return False
    if form is str:
        as_it_is = isinstance(sent, str) or _holds_raw(sent)
        return bool(got == (sent if as_it_is else json.dumps(sent)))
    if form is bytes:
        return bool(got == sent)
    return _is_time(form, sent, got)


def _is_time(form: Form, sent: Any, got: Any) -> bool:
    if not isinstance(got, dt.date):
        return False
    try:
        if isinstance(sent, int | float):
            return isinstance(got, dt.datetime) and got.timestamp() == sent
        meant = dt.datetime.fromisoformat(sent.upper())
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    if form is dt.date:
        return got == meant.date() and meant.time() == dt.time()
    assert isinstance(got, dt.datetime)
    if got.tzinfo is None:
        return False
    # Nanoseconds are rounded by one and cut off by the other.
    return abs(got - (meant if meant.tzinfo else meant.replace(tzinfo=got.tzinfo))) <= dt.timedelta.resolution
