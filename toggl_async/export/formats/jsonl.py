"""JSON Lines: one row a line, as Toggl sent it."""

from collections.abc import Iterable
from pathlib import Path

from toggl_async.export.formats.files import BUFFER, create
from toggl_async.export.mirror.tables import Table

__all__ = ["JsonLines"]


class JsonLines:
    """The format ``jsonl``."""

    name = "jsonl"
    suffix = ".jsonl"
    per_dataset = True

    def write(self, path: Path, tables: Iterable[tuple[Table, Iterable[bytes]]]) -> dict[str, int]:
        """Write the rows of one dataset; see `Format.write`."""
        ((declared, lines),) = tables
        rows = 0
        create(path)
        with path.open("wb", buffering=BUFFER) as out:
            for line in lines:
                out.write(line)
                out.write(b"\n")
                rows += 1
        return {declared.name: rows}
