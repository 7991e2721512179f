"""Tells documented rows from odd ones, by one strict decoding, which is fast.

`Documented` reads the rows that it accepts just as the tolerant decoding would. A row that it rejects isn't
necessarily wrong: a new field in Toggl is enough. It is decoded tolerantly, together with the rest of its
page, and nothing in it is lost.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs
import msgspec

__all__ = ["Documented", "DocumentedField"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class DocumentedField(Generic[T]):
    """A field of a row that fills a cell.

    Attributes:
        name: its name in JSON.
        twin: another name that some answers use for it; "" if there is none.
        type: the type that msgspec must find there; null, or a missing field, is an empty cell.
        cell: the function that makes the cell of that; None if the value is the cell.
    """

    name: str
    twin: str = ""
    type: Any
    cell: Callable[[Any], T] | None = None


class Documented(Generic[T]):
    """Reads the documented rows of a table.

    Args:
        fields: the fields that fill the cells, in the order of the cells.
        ignored: fields that may be there, but fill no cell.
        derived: further cells: the index of a field, and the function that makes another cell of it.
        avoided: bytes that make a row odd.
    """

    def __init__(
        self,
        fields: Sequence[DocumentedField[T]],
        *,
        ignored: frozenset[str] = frozenset(),
        derived: Sequence[tuple[int, Callable[[Any], T]]] = (),
        avoided: Sequence[bytes] = (),
    ) -> None:
        wanted = [(field.name, field.type | None) for field in fields]
        twins = [(place, field) for place, field in enumerate(fields) if field.twin]
        wanted += [(field.twin, field.type | None) for _, field in twins]
        wanted += [(name, msgspec.Raw | None) for name in sorted(ignored - {name for name, _ in wanted})]
        # Names in JSON may not be valid names in Python.
        names = {f"_{place}": name for place, (name, _) in enumerate(wanted)}
        row = msgspec.defstruct(
            "Row",
            [(own, kind, None) for own, (_, kind) in zip(names, wanted, strict=True)],
            rename=names,
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._width = len(fields)
        self._twins = [(place, self._width + index) for index, (place, _) in enumerate(twins)]
        self._derived = tuple(derived)
        self._avoided = tuple(avoided)
        self._made = [(place, field.cell) for place, field in enumerate(fields) if field.cell is not None]

    def columns(self, rows: Sequence[bytes]) -> list[Sequence[T | None]] | None:
        """The cells of some rows, column by column; None when one of the rows is odd.

        They are decoded as one list, and cells are converted a column at a time: row by row, that would take
        longer than the decoding.

        Args:
            rows: the rows as JSON.
        """
        text = b"[%b]" % b",".join(rows)
        for part in self._avoided:
            if part in text:
                return None
        try:
            decoded = self._decode(text)
            if len(decoded) != len(rows):
                return None
            found: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, decoded), strict=True))
            for place, twin in self._twins:
                if None in found[place]:
                    pairs = zip(found[place], found[twin], strict=True)
                    found[place] = [other if cell is None else cell for cell, other in pairs]
            del found[self._width :]
            for place, cell_of in self._made:
                found[place] = [None if cell is None else cell_of(cell) for cell in found[place]]
        except (msgspec.DecodeError, ValueError, OverflowError):  # a number that Python cannot hold
            return None
        for place, cell_of in self._derived:
            found.append([None if cell is None else cell_of(cell) for cell in found[place]])
        return found
