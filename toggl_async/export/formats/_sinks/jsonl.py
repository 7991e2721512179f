"""JSON Lines: one row a line, as Toggl sent it. The rows as they are staged are the result."""

from collections.abc import Iterator
from pathlib import Path

from toggl_async.export.formats.staged import StagedRows, StagedSink
from toggl_async.export.plan.datasets import Dataset
from toggl_async.export.rows import Known, known_of

__all__ = ["JsonLines", "sink"]


class JsonLines:
    """The format ``jsonl``."""

    name = "jsonl"
    suffix = ".jsonl"
    staged = True

    def write(self, path: Path, source: StagedRows) -> int:
        """Write what lives of the base, then the staged lines."""
        rows = 0
        with path.open("wb") as out:
            if source.base is not None:
                with source.base.open("rb") as base:
                    for line in base:
                        seen = known_of(line)
                        if not source.dead(source.dataset.key_of(seen.workspace_id, seen.id)):
                            out.write(line)
                            rows += 1
            for line in source.lines:
                out.write(line + b"\n")
                rows += 1
        return rows

    def known(self, path: Path, dataset: Dataset) -> Iterator[Known]:  # noqa: ARG002 - other formats need it
        """Look at the rows of a file."""
        with path.open("rb") as lines:
            yield from map(known_of, lines)


def sink(directory: Path) -> StagedSink:
    """A sink of JSON Lines."""
    return StagedSink(directory, JsonLines())
