"""CSV (RFC 4180, UTF-8): a header and one row a line; empty is null, lists and objects are JSON.

Moments stand as Toggl sent them, with their offset, truth values as ``true`` and ``false``, and decimals
with a point. Cells are separated by commas, whatever the computer's language.

For machines that is all. For people, who open the file in a spreadsheet (`Csv` with ``excel``), two things
are added. It begins with a byte order mark, without which Excel takes UTF-8 for an old code page and shows
"Åsa" as "Ã…sa". And text that a spreadsheet would run as a formula gets an apostrophe in front: whoever may
describe a time entry must not be able to run something on the computer of whoever reads the export.
Numbers stay numbers, negative ones too.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from toggl_async.export.formats.columns import ROWS, SIZE, Columns, columns_of, portions
from toggl_async.export.formats.files import create
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table

__all__ = ["Csv"]

_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - spreadsheets of East Asia take the wide ones, too
"""What text begins with that a spreadsheet may run."""

_FLAGS = {None: None, True: "true", False: "false"}


class Csv:
    """The format ``csv``.

    Args:
        excel: for people and their spreadsheets; see the module.
    """

    name = "csv"
    suffix = ".csv"
    per_dataset = True

    def __init__(self, *, excel: bool = False) -> None:
        self._excel = excel

    def write(self, path: Path, tables: Iterable[tuple[Table, Iterable[bytes]]]) -> dict[str, int]:
        """Write a header and the rows of one dataset; see `Format.write`."""
        ((declared, lines),) = tables
        rows = 0
        create(path)
        with path.open("w", encoding="utf-8-sig" if self._excel else "utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            writer.writerow([column.name for column in declared.columns])
            for portion in portions(lines, rows=ROWS, size=SIZE):
                writer.writerows(zip(*self._texts(declared, columns_of(declared, portion)), strict=True))
                rows += len(portion)
        return {declared.name: rows}

    def _texts(self, declared: Table, columns: Columns) -> list[Sequence[object]]:
        """The cells as the module for CSV writes them out right."""
        texts: list[Sequence[object]] = []
        for column, cells in zip(declared.columns, columns, strict=True):
            texts_of = _TEXTS.get(column.kind)
            made = cells if texts_of is None else texts_of(cells)
            texts.append([_defused(cell) for cell in made] if self._excel and column.kind in _FREE else made)
        return texts


def _moments(cells: Sequence[Any]) -> Sequence[object]:
    texts = cast("list[str | None]", msgspec.to_builtins(cells))
    return [text[:-1] + "+00:00" if text is not None and text[-1] == "Z" else text for text in texts]


def _flags(cells: Sequence[Any]) -> Sequence[object]:
    return [_FLAGS[cell] for cell in cells]


def _lists(cells: Sequence[Any]) -> Sequence[object]:
    encode = msgspec.json.encode
    return [None if cell is None else encode(cell).decode() for cell in cells]


def _defused(cell: object) -> object:
    """Text that no spreadsheet runs."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


_TEXTS: Mapping[ColumnType, Callable[[Sequence[Any]], Sequence[object]]] = {
    ColumnType.MOMENT: _moments,
    ColumnType.BOOLEAN: _flags,
    ColumnType.INTEGERS: _lists,
    ColumnType.TEXTS: _lists,
}

_FREE = {ColumnType.TEXT, ColumnType.JSON}
"""Columns with text that somebody wrote; what begins in the others is known."""
