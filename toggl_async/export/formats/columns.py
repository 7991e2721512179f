"""Rows in portions, each by column: working on a whole column at once takes a fifth of the time."""

from collections.abc import Iterable, Iterator, Sequence

from toggl_async.export.mirror.cells import Cell

__all__ = ["ROWS", "SIZE", "Columns", "portions"]

ROWS, SIZE = 100, 1 << 20
"""The most rows, and bytes, of a portion: the cells of more would not fit in the processor's cache."""

Columns = list[Sequence[Cell]]
"""The cells of some rows, by column."""


def portions(lines: Iterable[bytes], *, rows: int, size: int) -> Iterator[list[bytes]]:
    """Split rows into portions, which are never empty.

    Args:
        lines: the rows.
        rows: the most rows in a portion.
        size: bytes at which a portion ends even with fewer rows, because a single row can have megabytes.
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
