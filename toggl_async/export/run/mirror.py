"""`Mirror`: a copy of a Toggl account in your own database."""

import asyncio
import datetime as dt
import os
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import anyio

from toggl_async._client.client import TogglClient
from toggl_async._operations.record import Record
from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.export.mirror.manifest import Manifest
from toggl_async.export.mirror.open_snapshot import OpenSnapshot
from toggl_async.export.mirror.progress import OnExportEvent
from toggl_async.export.mirror.records import records_of
from toggl_async.export.mirror.storage import CLOSED
from toggl_async.export.mirror.store import Change, Forget, Snapshot, Values, is_whole
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.arguments import check_flag, refuse
from toggl_async.export.plan.datasets import dataset as dataset_of
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey
from toggl_async.export.read.update import RECHECK_DAYS
from toggl_async.export.rows import Stored
from toggl_async.export.run.arguments import check_arguments
from toggl_async.export.run.bound import waiting_at_most
from toggl_async.export.run.refresh import Choices, held, patient, refresh

__all__ = ["Mirror", "Selected"]

R = TypeVar("R")
T = TypeVar("T")
RecordT = TypeVar("RecordT", bound=Record)

_CHUNK = 1000
"""Rows that are read at once."""


class Mirror:
    """A copy of what a token can see in Toggl, in a database: rows, changes, and the progress of a run.

    ::

        async with TogglClient.from_env() as toggl, Mirror("toggl.sqlite") as mirror:
            await mirror.refresh(toggl, ExportPlan())
            entries = await mirror.records("time_entries")

    Each dataset is a table, with typed columns, the row as Toggl sent it (``raw``), a ``revision`` that grows
    with each change, and ``deleted_at``, which is null while Toggl has the row. The view
    ``time_entries_named`` has the time entries that Toggl still has, with current names. Reading costs no
    requests, and shows one consistent state, even during a run in this process or another.

    Args:
        url: ``sqlite:///PATH``, or the path itself; the file is created if it doesn't exist, and only its
            owner may read it. SQLite's own ``file:`` URLs are refused; a path object is always a path. Or
            ``postgresql://USER@HOST:PORT/DATABASE?schema=NAME`` (with the extra ``postgres``); the schema and
            its tables are created if they don't exist. Without ``schema``, it is the first schema of the
            search path, usually ``public``. Keep the password in ``PGPASSWORD`` or in libpq's own files.

    Using a mirror before it is entered, or after it is left, raises ClientClosed.

    Raises:
        InvalidInput: the URL doesn't name a database that can be a mirror, or has parameters that it may not
            have; or, on entering: the database can't be opened, is damaged, contains something else, was made
            by a newer version, or is already open.
        OSError: on entering: the disk is full, or another program has locked the database.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._store = store_of(url)
        self._worker: Worker | None = None
        self._id = ""
        self._snapshots: set[OpenSnapshot] = set()

    async def __aenter__(self) -> Self:
        """Open the database."""
        if self._worker is not None:
            raise InvalidInput(f"{self!r} is already open: close it first, or make another Mirror")
        self._worker = worker = Worker()
        try:
            self._id = (await worker.run(self._store.open)).id
        except BaseException:
            self._worker = None
            with anyio.CancelScope(shield=True):  # a store that has opened has to be closed
                await worker.run(self._store.close)
            worker.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database, and whatever still reads it."""
        worker, self._worker = self._opened(), None
        snapshots = tuple(self._snapshots)
        self._snapshots.clear()
        try:
            with anyio.CancelScope(shield=True):
                async with AsyncExitStack() as closing:  # closes all of them, even if one fails
                    closing.callback(worker.close)
                    closing.push_async_callback(worker.run, self._store.close)
                    for done in [asyncio.ensure_future(opened.close()) for opened in snapshots]:
                        closing.push_async_callback(asyncio.shield, done)
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"{self!r} could not be closed: {failure}")

    def __repr__(self) -> str:
        return f"Mirror({self._store.name!r})"

    @property
    def id(self) -> str:
        """An id that is unique to this mirror, to be kept with its revisions; "" before it is entered.

        A mirror that is made again gets another id, and counts revisions from the beginning.
        """
        return self._id

    async def refresh(
        self,
        client: TogglClient,
        plan: ExportPlan,
        *,
        update: bool = True,
        recheck: int | None = RECHECK_DAYS,
        datasets: Collection[str] | None = None,
        older: bool = True,
        max_wait: float | None = None,
        account: Survey | None = None,
        on_event: OnExportEvent | None = None,
    ) -> Manifest:
        """Read everything that the plan includes into the mirror, or bring it up to date, in few requests.

        Each page is committed together with the run's progress. If a run ends early, in any way, the next
        call with the same plan resumes it, and requests no committed page again.

        Args:
            client: whose account is read; its scheduler sets the pace for everything.
            plan: what to export.
            update: whether to bring a finished mirror up to date; otherwise it is refused.
            recheck: how many days of time entries before the last run an update reads again in full; None for
                all, and for every list in full.
            datasets: the datasets of the plan that an update reads; the others stay as they are. None for
                all.
            older: whether an update also looks for edits and deletions of time entries before those days.
                Without that, time entries mostly take two requests per workspace.
            max_wait: seconds that the run may wait at a time for Toggl's limits, such as a used-up quota,
                before it ends with `MaxWaitExceeded`; None for no limit.
            account: the result of `survey`, if you have it already.
            on_event: called with each event of the progress.

        Returns:
            The manifest; it names no files.

        Raises:
            InvalidInput: an argument can't be used; the mirror is of another account, server or plan; another
                run is writing to it; or the plan names a workspace that the token doesn't see.
            TogglError: something ended the run.
            OSError: the database could not be written.
        """
        choices = Choices(
            update=update,
            recheck=recheck,
            datasets=datasets,
            older=older,
            account=account,
            on_event=on_event,
            name=self._store.name,
        )
        check_arguments(choices, client=client, plan=plan, max_wait=max_wait)
        async with (
            waiting_at_most(max_wait, client.scheduler),
            held(self._store, self._opened()) as holding,
        ):
            return await refresh(patient(client), plan, holding, choices)

    def feed(self, after: int = 0) -> "Selected[Change]":
        """What changed after a revision, in the order of the changes: rows that are new, edited or deleted.

        Each row comes once, as it is now. A program that applies the changes, and continues after the last
        revision that it applied, ends up with the rows of the mirror::

            async for change in mirror.feed(after=revision):
                ...

        Args:
            after: the revision; 0 for everything.

        Returns:
            For ``async for``, some at a time, all of one moment; or to be awaited, for a list.

        Raises:
            InvalidInput: the revision isn't a whole number of 0 or more; or, on reading: it is later than the
                mirror's latest one, and so belongs to another mirror.
        """
        if not is_whole(after) or after < 0:
            raise InvalidInput(f"after must be a revision: a whole number, 0 or more, not {after!r}")
        return Selected(self._read(lambda snapshot: snapshot.changes(after), list))

    @overload
    def records(self, dataset: str, *, keep_unknown: bool = False) -> "Selected[Record]": ...

    @overload
    def records(
        self, dataset: str, kind: type[RecordT], *, keep_unknown: bool = False
    ) -> "Selected[RecordT]": ...

    def records(
        self, dataset: str, kind: type[Record] = Record, *, keep_unknown: bool = False
    ) -> "Selected[Any]":
        """The rows of a dataset that Toggl still has, as records (`ExportedTimeEntry` for time entries).

        Args:
            dataset: the name of the dataset.
            kind: the type of the records, for type checkers, which can't derive it from the dataset's name.
            keep_unknown: keep fields that the records don't have, in `Record.unknown`.

        Returns:
            For ``async for``, some at a time, all of one moment; or to be awaited, for a list.

        Raises:
            InvalidInput: there is no such dataset, or its rows are not records of that kind.
        """
        declared = dataset_of(dataset)
        given: object = kind
        if not isinstance(given, type) or not issubclass(given, Record):
            raise refuse(kind, "kind", "a type of records")
        check_flag(keep_unknown, "keep_unknown")
        records_of(dataset, (), kind)

        def decoded(rows: Sequence[bytes]) -> Sequence[Record]:
            return records_of(dataset, rows, kind, keep_unknown=keep_unknown)

        return Selected(self._read(lambda snapshot: snapshot.rows(declared), decoded))

    async def sql(self, statement: str, parameters: Values = ()) -> list[dict[str, Stored]]:
        """Run a read-only statement, in the SQL of the database, and return its rows.

        If the caller is cancelled, the statement is interrupted.

        Args:
            statement: one statement.
            parameters: the values of its parameters, by position or by name.

        Raises:
            InvalidInput: the database refuses the statement, it would do more than read, two of its columns
                have the same name, or a cell isn't of a type of `Stored`.
        """
        if not isinstance(statement, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(f"statement must be text, not {type(statement).__name__}")
        given: object = parameters
        if isinstance(given, str | bytes | bytearray) or not isinstance(given, Sequence | Mapping):
            raise refuse(given, "parameters", "values in a list or a tuple, or by name in a mapping")

        def query(snapshot: Snapshot) -> list[dict[str, Stored]]:
            names, rows = snapshot.query(statement, parameters)
            _check_columns(names)
            return [dict(zip(names, row, strict=True)) for row in rows]

        opened = self._snapshot()
        try:
            return await opened.run(query)
        finally:
            await self._close(opened)

    async def forget(
        self, *, workspace: int | None = None, user: int | None = None, before: dt.date | None = None
    ) -> int:
        """Erase a workspace, a user or old time entries; the feed reports them as deleted.

        Only the keys of these rows are left. Time entries from before a day don't come back: no later
        `refresh` asks for them, and the day can't be moved back. The rows of a workspace or a user do come
        back with the next `refresh`, as long as Toggl has them and the plan includes them. Pass one argument
        at a time, because two could mean rows that match both, or either.

        The files of an export are written again by its next update, or at once by ``toggl-async forget DIR``.

        Args:
            workspace: everything in the workspace of this id, and the workspace.
            user: the time entries of the user of this id, in all workspaces, and the user.
            before: the time entries that began before this day, which may not be in the future.

        Returns:
            How many rows were forgotten.

        Raises:
            InvalidInput: not exactly one argument was given; it isn't an id or a date; the date is in the
                future, even where the day begins first, at UTC+14; or a run is writing to the mirror.
            OSError: the database could not be written.
        """
        chosen = Forget(workspace_id=workspace, user_id=user, before=before)
        worker = self._opened()
        async with held(self._store, worker):
            return await worker.run(self._store.forget, chosen)

    def _opened(self) -> Worker:
        """The thread that calls the database.

        Raises:
            ClientClosed: the mirror is not open.
        """
        if self._worker is None:
            raise ClientClosed(CLOSED)
        return self._worker

    def _snapshot(self) -> OpenSnapshot:
        """Open a snapshot, which lasts until `_close`, or until the mirror is closed."""
        opened = OpenSnapshot(self._store, self._opened())
        self._snapshots.add(opened)
        return opened

    async def _close(self, opened: OpenSnapshot) -> None:
        self._snapshots.discard(opened)
        with anyio.CancelScope(shield=True):
            await opened.close()

    async def _read(
        self, select: Callable[[Snapshot], Iterator[R]], made: Callable[[Sequence[R]], Sequence[T]]
    ) -> AsyncGenerator[T, None]:
        """Yield the rows of one snapshot, read in portions."""
        opened = self._snapshot()
        try:
            items = await opened.run(select)
            while chunk := await opened.run(lambda _: list(islice(items, _CHUNK))):
                for item in made(chunk):
                    yield item
        finally:
            await self._close(opened)


def _check_columns(names: Sequence[str]) -> None:
    """Refuse rows whose columns don't have unique names."""
    if not names:
        raise InvalidInput("the statement returns no rows: write one that reads, such as SELECT")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InvalidInput(f"the statement returns several columns named {twice[0]}: rename them with AS")


class Selected(AsyncIterator[T], Generic[T]):
    """Rows read from a mirror: iterate with ``async for``, which keeps little in memory, or await a list.

    Returned by `Mirror.feed` and `Mirror.records`. Nothing is read before it is needed.
    """

    def __init__(self, rows: AsyncGenerator[T, None]) -> None:
        self._rows = rows

    async def __anext__(self) -> T:
        """The next row."""
        return await anext(self._rows)

    def __await__(self) -> Generator[Any, None, list[T]]:
        """Read all rows."""
        return self._all().__await__()

    async def _all(self) -> list[T]:
        return [one async for one in self._rows]

    async def aclose(self) -> None:
        """Stop reading, before the end."""
        await self._rows.aclose()
