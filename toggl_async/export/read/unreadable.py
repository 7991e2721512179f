"""Time entries whose seconds or start came, but can't be read: they are kept, and add to no day.

If a sum then differs from Toggl's, this says why. A process that resumes the run knows it, too.
"""

from collections.abc import Iterable

from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.read.reading import Reader
from toggl_async.export.rows import Line, unreadable_fields

__all__ = ["note_unreadable", "unreadable_in"]


async def note_unreadable(reader: Reader, workspace_id: int | None, lines: Iterable[Line]) -> None:
    """Note which fields of these time entries can't be read."""
    piece = _piece(workspace_id)
    noted = _noted(reader, piece)
    names = noted | {name for line in lines for name in unreadable_fields(line)}
    if names != noted:
        await reader.books.commit(piece, Progress(done=True, line=" ".join(sorted(names))))


def unreadable_in(reader: Reader, workspace_id: int | None) -> str | None:
    """The fields of a workspace's time entries that couldn't be read, for messages; None if all could."""
    return " and ".join(sorted(_noted(reader, _piece(workspace_id)))) or None


def _noted(reader: Reader, piece: Piece) -> set[str]:
    return set((reader.books.progress(piece).line or "").split())


def _piece(workspace_id: int | None) -> Piece:
    return Piece(ENTRIES.name, workspace_id, purpose="unreadable")
