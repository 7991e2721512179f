"""The tolerant tier's hooks for scalar values: harmless differences are coerced and reported."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from toggl_async.codec.node import Node
from toggl_async.codec.strict import TypeForm

__all__ = ["SCALARS", "moment", "whole_number"]

_INTEGER: Final = re.compile(r"-?\d{1,30}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,30}(\.\d{1,30})?", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)
_EXACT: Final = 2.0**53
"""Floats are exact whole numbers up to here."""


def whole_number(value: object) -> int | None:
    """Read a whole number in another guise: ``"3600"``, ``3600.0``; None where it isn't one."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return None


def _integer(node: Node, _: TypeForm) -> int:
    number = whole_number(node.value)
    if number is None:
        raise node.misfit("a whole number")
    node.coerced("a whole number")
    return number


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
        node.coerced("a boolean")
        return meanings[value]
    raise node.misfit("a boolean")


def moment(node: Node, _: TypeForm) -> dt.datetime:
    """Read a moment; a bare date is its midnight, and what has no zone is UTC."""
    value = node.value
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise node.misfit("a time") from None
        node.coerced("a time with a time zone")
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


SCALARS: Final[Mapping[type, Callable[[Node, TypeForm], Any]]] = {
    int: _integer,
    float: _float,
    str: _text,
    bool: _truth,
    dt.datetime: moment,
    dt.date: _date,
}
"""Type to what reads it."""
