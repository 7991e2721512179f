"""Rows in portions, and portions by column: what is done to a whole column at once costs a fifth."""

from collections.abc import Iterable, Iterator, Sequence

from toggl_async.export.mirror.cells import Cell

__all__ = ["ROWS", "SIZE", "Columns", "portions"]

ROWS, SIZE = 100, 1 << 20
"""Rows, and bytes of them, whose cells are made at once: those of more leave the processor's cache."""

Columns = list[Sequence[Cell]]
"""The cells of some rows, by column."""


def portions(lines: Iterable[bytes], *, rows: int, size: int) -> Iterator[list[bytes]]:
    """Rows in portions that are never empty.

    Args:
        lines: the rows.
        rows: the most rows to a portion.
        size: bytes at which a portion ends, though it has fewer rows: a single row may have megabytes.
    """
    portion: list[bytes] = []
    room = size
    for line in lines:
        portion.append(line)
        room -= len(line)
        if room <= 0 or len(portion) == rows:
            yield portion
            portion, room = [], size
    if portion:
        yield portion
