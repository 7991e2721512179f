"""Commits for stores, made short."""

from collections.abc import Sequence
from typing import Any

from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.store import Commit
from toggl_async.export.plan.datasets import Dataset, dataset
from toggl_async.export.rows import Line, entry_lines

TAGS, USERS, ENTRIES = dataset("tags"), dataset("users"), dataset("time_entries")


def commit(
    declared: Dataset,
    lines: Sequence[Line] = (),
    *,
    piece: str | None = None,
    progress: Progress | None = None,
    requests: int = 1,
    workspace_id: int | None = 10,
    **more: Any,
) -> Commit:
    return Commit(
        piece=piece or declared.name,
        progress=progress or Progress(),
        requests=requests,
        dataset=declared,
        workspace_id=workspace_id,
        lines=lines,
        **more,
    )


def entry(number: int, seconds: int | None = 60, day: str = "2026-01-02") -> Line:
    text = '{"id":%d,"workspace_id":10,"start":"%sT00:30:00+01:00","seconds":%s}'
    return line((text % (number, day, "null" if seconds is None else seconds)).encode())


def line(data: bytes) -> Line:
    """The line of a time entry of workspace 10."""
    (one,) = entry_lines(data, workspace_id=10)
    return one
