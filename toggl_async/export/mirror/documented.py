"""Rows that are as Toggl documents them, told from the odd ones by one strict decoding, which is fast.

What `Documented` accepts it reads as the tolerant way would; what it does not accept need not be wrong: a
field that is new at Toggl's is enough. Those rows go the tolerant way, and nothing of them is lost. It takes
many rows at once, and those that came with an odd one go that way, too.
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
        twin: another name, under which some answers have it; "" where there is none.
        type: what JSON must hold there, as msgspec has it; null, or no such field, is an empty cell.
        cell: what makes the cell of that; None where it is the cell.
    """

    name: str
    twin: str = ""
    type: Any
    cell: Callable[[Any], T] | None = None


class Documented(Generic[T]):
    """Reads the rows of a table that are as documented.

    Args:
        fields: what fills the cells, in their order.
        ignored: fields that may be there and fill no cell.
        derived: cells behind those of the fields: the place of the field, and what makes a cell of its own.
        avoided: bytes that make a row one to be looked at more closely.
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
        # Names in JSON need not be valid names in Python.
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

        They are decoded as one list, and what is made of cells is made of whole columns: done row by row,
        that takes more time than the decoding.

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
