"""Stores of each kind, and commits for them, made short."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import pytest

from support.postgres_server import PostgresServer
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.postgres import PostgresStore
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.store import Commit, RowStore
from toggl_async.export.plan.datasets import Dataset, dataset
from toggl_async.export.read.report_rows import report_lines
from toggl_async.export.rows import Line

Place: TypeAlias = Callable[[], RowStore]
"""Makes stores of the same place."""

NewStore: TypeAlias = Callable[[], Place]
"""Makes places, each of its own."""

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
    (one,) = report_lines([msgspec.Raw(data)], workspace_id=10)
    return one


def new_sqlite(folders: pytest.TempPathFactory) -> NewStore:
    def new_place() -> Place:
        path = folders.mktemp("store") / "deep" / "mirror.sqlite"
        return lambda: SqliteStore(path)

    return new_place


def new_postgres(server: PostgresServer) -> NewStore:
    def new_place() -> Place:
        url = server.new_url()
        return lambda: PostgresStore(url)

    return new_place
