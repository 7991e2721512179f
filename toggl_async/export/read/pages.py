"""A page of a list as it came: its rows, once it is certain that they are all there is in it. Pure.

An answer of the wrong outer shape is never read as an empty list: rows that are not met again are removed
by an update, and ``{"error": "internal"}`` says nothing about rows.
"""

from typing import TypeAlias

import attrs
import msgspec

from toggl_async._operations.paging import Paging
from toggl_async.export.intake import json_of, rows_of
from toggl_async.export.rows import id_of

__all__ = ["Row", "page_of"]

_Wrapper: TypeAlias = dict[str, msgspec.Raw]

_answer = msgspec.json.Decoder(list[msgspec.Raw] | _Wrapper | None)
_count = msgspec.json.Decoder(int | None)

_TOTAL = "total_count"


@attrs.frozen
class Row:
    """A row as Toggl sent it, and the id that tells it apart; None when it has none that can be used."""

    data: bytes
    id: int | None

    @classmethod
    def of(cls, data: bytes) -> "Row":
        """The row that a JSON value is."""
        return cls(data, id_of(data))


def page_of(paging: Paging, body: bytes) -> object:
    """The answer to a page as its scheme takes it apart, the rows as `Row`.

    A list whose pages Toggl wraps may come without the wrapper, or with a list around it: every part of
    that is accounted for.

    Raises:
        msgspec.ValidationError: it is of another shape, or contradicts itself.
    """
    name: str | None = getattr(paging, "data", None)
    answer = _answer.decode(json_of(body))
    if name is None:
        return [Row.of(row) for row in rows_of(body)]
    wrapper = _wrapper(answer, name)
    if wrapper is None:
        return {name: [Row.of(row) for row in rows_of(body)]}
    if name not in wrapper:
        raise msgspec.ValidationError(f"Expected an object with the field {name}, got one without it")
    rows = rows_of(bytes(wrapper[name]))
    total = _count.decode(wrapper.get(_TOTAL, b"null"))
    if not rows and total and bytes(wrapper.get("page", b"1")) == b"1":
        raise msgspec.ValidationError(f"Expected {total} rows, got none")
    return {**wrapper, name: [Row.of(row) for row in rows]}


def _wrapper(answer: list[msgspec.Raw] | _Wrapper | None, name: str) -> _Wrapper | None:
    """The object around a page; None when there is none."""
    if isinstance(answer, list) and len(answer) == 1:
        held = _answer.decode(answer[0]) if bytes(answer[0])[:1] == b"{" else None
        return held if isinstance(held, dict) and name in held else None
    return answer if isinstance(answer, dict) else None
