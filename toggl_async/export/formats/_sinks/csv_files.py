"""CSV (RFC 4180, UTF-8): a header and one row a line; empty is null, lists and objects are JSON.

Moments stand as Toggl sent them, with their offset, and truth values as ``true`` and ``false``.
"""

import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toggl_async.export.formats.staged import StagedRows, StagedSink
from toggl_async.export.mirror.tables import DAY, Cell, table
from toggl_async.export.plan.datasets import Dataset
from toggl_async.export.rows import Known, day_of

__all__ = ["Csv", "sink"]

_LONGEST = 2**31 - 1
"""Characters of a cell: a description or a list may be longer than the usual 131,072."""


class Csv:
    """The format ``csv``."""

    name = "csv"
    suffix = ".csv"
    staged = False

    def write(self, path: Path, source: StagedRows) -> int:
        """Write the header, what lives of the base, then the staged rows."""
        declared = table(source.dataset.name)
        rows = 0
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            writer.writerow([column.name for column in declared.columns])
            if source.base is not None:
                for cells, seen in self._rows(source.base):
                    if not source.dead(source.dataset.key_of(seen.workspace_id, seen.id)):
                        writer.writerow(cells)
                        rows += 1
            for line in source.lines:
                writer.writerow(list(map(_text, declared.values(line))))
                rows += 1
        return rows

    def known(self, path: Path, dataset: Dataset) -> Iterator[Known]:  # noqa: ARG002 - other formats need it
        """Look at the rows of a file."""
        return (seen for _, seen in self._rows(path))

    def _rows(self, path: Path) -> Iterator[tuple[list[str], Known]]:
        with path.open(encoding="utf-8", newline="") as lines:
            csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
            reader = csv.reader(lines)
            place = {name: index for index, name in enumerate(next(reader))}

            def number(cells: list[str], name: str) -> int | None:
                text = cells[place[name]] if name in place else ""
                return int(text) if text else None

            for cells in reader:
                yield (
                    cells,
                    Known(
                        number(cells, "workspace_id"),
                        int(cells[place["id"]]),
                        day_of(cells[place[DAY]]) if DAY in place else None,
                        number(cells, "seconds"),
                    ),
                )


def _text(value: Cell) -> str:
    """A cell as text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dt.datetime() | dt.date():
            return value.isoformat()
        case list():
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


def sink(directory: Path) -> StagedSink:
    """A sink of CSV files."""
    return StagedSink(directory, Csv())
