"""CSV (RFC 4180, UTF-8): a header, and one row per line; an empty cell is null, lists and objects are JSON.

Times are as Toggl sent them, with their offset; booleans are ``true`` and ``false``; decimals have a point.
Cells are separated by commas, whatever the computer's locale.

For machines, that is all. For people, who open the file in a spreadsheet (`Csv` with ``excel``), three things
are added:

- It begins with a byte order mark, without which Excel takes UTF-8 for an old code page and shows "Åsa" as
  "Ã…sa".
- Every text is quoted, so that a program that also splits at semicolons or tabs doesn't split it.
- Text that a spreadsheet would run as a formula gets an apostrophe in front: somebody who can describe a time
  entry must not be able to run something on the computer of a person who reads the export. So does text after
  a semicolon, a tab or a line break within a cell. If the decimal sign is a comma, programs split cells at
  semicolons, and find the quotes in the middle of a cell, where they mean nothing.

Numbers stay numbers, negative ones too.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from toggl_async.export.formats.columns import ROWS, SIZE, Columns, portions
from toggl_async.export.formats.files import BUFFER, create
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table

__all__ = ["Csv"]

_BREAKS = r"\t-\r\x1c-\x1e\x85\u2028\u2029"
"""Tabs and line breaks, which end a cell or a line where quotes mean nothing."""

_UNSEEN = (
    r"\"\x00-\x08\x0e-\x1b\x1f \x7f-\x84\x86-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
"""What a program may drop at the beginning of a cell: quotes, spaces, and invisible characters."""

_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with; East Asian spreadsheets accept the full-width signs, too."""

_DANGERS = re.compile(rf"\A(?=[{_BREAKS}])|(?:\A|(?<=[;{_BREAKS}]))(?=[{_UNSEEN}]*[{_SIGNS}])")
"""The places in a text where a spreadsheet may see the beginning of a formula."""

_FLAGS = {None: None, True: "true", False: "false"}


class _ForMachines(csv.excel):
    """RFC 4180."""


class _ForPeople(_ForMachines):
    """Every text is quoted."""

    quoting = csv.QUOTE_NONNUMERIC


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
        encoding = "utf-8-sig" if self._excel else "utf-8"
        with path.open("w", buffering=BUFFER, encoding=encoding, newline="") as out:
            dialect = _ForPeople if self._excel else _ForMachines
            writer = csv.writer(out, dialect)
            writer.writerow([column.name for column in declared.columns])
            for portion in portions(lines, rows=ROWS, size=SIZE):
                writer.writerows(zip(*self._texts(declared, declared.columns_of(portion)), strict=True))
                rows += len(portion)
        return {declared.name: rows}

    def _texts(self, declared: Table, columns: Columns) -> list[Sequence[object]]:
        """The cells, so that the csv module writes them correctly."""
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
    """Escape text so that no spreadsheet runs it."""
    return _DANGERS.sub("'", cell) if isinstance(cell, str) else cell


_TEXTS: Mapping[ColumnType, Callable[[Sequence[Any]], Sequence[object]]] = {
    ColumnType.MOMENT: _moments,
    ColumnType.BOOLEAN: _flags,
    ColumnType.INTEGERS: _lists,
    ColumnType.TEXTS: _lists,
}

_FREE = {ColumnType.TEXT, ColumnType.TEXTS, ColumnType.JSON}
"""The columns with text that somebody wrote, which may begin with anything."""
