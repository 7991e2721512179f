"""An export as a stream of batches: for programs that want the rows, not files.

Nothing is stored: no file, no progress, no manifest. Reading stays at most a batch or two ahead, so a slow
consumer slows down the requests, and doesn't fill the memory.
"""

import asyncio
import datetime as dt
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, overload

import attrs

from toggl_async._client.client import TogglClient
from toggl_async._extras import needed_by
from toggl_async._operations.record import Record
from toggl_async.errors import TogglError
from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.manifest import Check, Failure, Refusal, agreement
from toggl_async.export.mirror.records import records_of
from toggl_async.export.mirror.run import Run
from toggl_async.export.mirror.store import Commit, DaySum, Scope
from toggl_async.export.plan.arguments import check_client, check_flag, check_instance
from toggl_async.export.plan.datasets import ENTRIES, Dataset
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import survey
from toggl_async.export.read.reading import Reader
from toggl_async.export.rows import Line
from toggl_async.export.run.refresh import patient, read_everything
from toggl_async.export.tasks import ungrouped

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batch", "BatchSummary", "Batches", "TotalsDiffer", "export_batches"]

RecordT = TypeVar("RecordT", bound=Record)


@attrs.frozen(kw_only=True)
class Batch:
    """A page of rows of one dataset.

    Attributes:
        dataset: the name of the dataset.
        workspace_id: the workspace; None for datasets of the account.
        rows: the rows as JSON, as in the format JSON Lines.
    """

    dataset: str
    workspace_id: int | None
    rows: tuple[bytes, ...]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    @overload
    def records(self, *, keep_unknown: bool = False) -> list[Record]: ...

    @overload
    def records(self, kind: type[RecordT], *, keep_unknown: bool = False) -> list[RecordT]: ...

    def records(self, kind: type[Record] = Record, *, keep_unknown: bool = False) -> Sequence[Record]:
        """The rows as records; time entries are `ExportedTimeEntry` records.

        Args:
            kind: the type of the records, for type checkers, which can't derive it from the dataset's name.
            keep_unknown: keep fields that the records don't have, in `Record.unknown`.

        Raises:
            InvalidInput: the rows of this dataset are not records of that kind.
            DecodeError: a row cannot be turned into a record.
        """
        return records_of(self.dataset, self.rows, kind, keep_unknown=keep_unknown)

    def arrow(self) -> "pa.Table":
        """The rows as an Arrow table, with the columns of the format Parquet; needs pyarrow."""
        with needed_by("Batch.arrow", "parquet"):
            from toggl_async.export.formats.arrow import arrow_table  # noqa: PLC0415 - needs pyarrow
        from toggl_async.export.mirror.tables import table  # noqa: PLC0415 - it loads every record

        return arrow_table(table(self.dataset), self.rows)


@attrs.frozen(kw_only=True)
class BatchSummary:
    """The result of an export in batches.

    Attributes:
        as_of: the server's time at which it began; later changes may not be in it.
        rows: rows yielded, by dataset.
        requests: requests sent, including repeated ones.
        ranges: the comparison with Toggl's totals, by workspace and range, newest first; empty if there was
            none.
        refused: what Toggl refused.
        not_in_plan: those of `refused` that Toggl's plan or the user's role never offers, so that nothing is
            missing.
        failed: what could not be read, or had an unexpected shape.
    """

    as_of: dt.datetime
    rows: Mapping[str, int] = attrs.field(hash=False)
    requests: int
    ranges: tuple[Check, ...]
    refused: tuple[Refusal, ...]
    not_in_plan: tuple[Refusal, ...]
    failed: tuple[Failure, ...]

    @property
    def totals_agree(self) -> bool | None:
        """Whether all sums agree with Toggl's; None if there was none to compare."""
        return agreement(self.ranges)

    def raise_for_totals(self) -> None:
        """Raise an error if a sum differs from Toggl's.

        Raises:
            TotalsDiffer: some sums differ.
        """
        differing = tuple(check for check in self.ranges if check.agrees is False)
        if differing:
            raise TotalsDiffer(differing)


class TotalsDiffer(TogglError):
    """The seconds of time entries differ from Toggl's own totals.

    Attributes:
        ranges: the ranges that differ; their `months` say where.
    """

    def __init__(self, ranges: tuple[Check, ...]) -> None:
        told = "; ".join(
            f"workspace {check.workspace_id}, {check.first} to {check.last}: {check.seconds} s in the rows, "
            f"but {check.server_seconds} s in Toggl's total"
            for check in ranges
        )
        super().__init__(told)
        self.ranges = ranges


class Batches(AsyncIterator[Batch]):
    """The batches of an export, for one ``async for``; made by `export_batches`."""

    def __init__(self, client: TogglClient, plan: ExportPlan, *, compare: bool) -> None:
        self._summary: BatchSummary | None = None
        self._walk = self._batches(client, plan, compare=compare)

    async def __anext__(self) -> Batch:
        """The next batch."""
        return await anext(self._walk)

    async def aclose(self) -> None:
        """Stop reading, before the end."""
        await self._walk.aclose()

    @property
    def summary(self) -> BatchSummary:
        """The result, once the last batch has been taken.

        Raises:
            RuntimeError: the last batch has not been taken, or something else ended the export.
        """
        if self._summary is None:
            raise RuntimeError("the batches have not been read to the end")
        return self._summary

    async def _batches(
        self, client: TogglClient, plan: ExportPlan, *, compare: bool
    ) -> AsyncGenerator[Batch, None]:
        """Read in a task, and give out what it hands over."""
        patiently = patient(client)
        account = await survey(patiently, plan)
        run = Run(
            base_url=client.base_url,
            plan=plan,
            account=account,
            started_at=dt.datetime.now(dt.UTC),
        )
        channel = _Channel()
        books = Books(patiently, run, channel, {}, account.requests)
        reader = Reader(
            client=patiently, books=books, tell=lambda _: None, room=channel.room, compares=compare
        )
        work = asyncio.ensure_future(read_everything(reader, correct=False))
        work.add_done_callback(lambda _: channel.batches.put_nowait(None))
        try:
            while (batch := await channel.next()) is not None:
                yield batch
            with ungrouped():
                await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            channel.close()
        self._summary = BatchSummary(
            as_of=account.asked_at,
            rows=dict(channel.rows),
            requests=books.requests,
            ranges=books.checks,
            not_in_plan=books.not_in_plan,
            refused=books.refusals,
            failed=books.failures,
        )


def export_batches(client: TogglClient, plan: ExportPlan, *, compare: bool = True) -> Batches:
    """Read what the plan includes, and yield it page by page, in no order of datasets.

    Each row is yielded once. At the end, the time entries are compared with Toggl's totals. What was yielded
    cannot be taken back, so if an entry is edited or deleted during the export, its month differs, which the
    summary reports, and the caller decides what to do::

        batches = export_batches(toggl, plan)
        async for batch in batches:
            ...
        batches.summary.raise_for_totals()

    Args:
        client: whose account is exported; its scheduler sets the pace.
        plan: what to export.
        compare: whether to compare time entries with Toggl's totals, which costs a request for each range.

    Raises:
        InvalidInput: an argument can't be used.

    Raises (while it is iterated):
        InvalidInput: the plan names a workspace that is not there.
        TogglError: something ended the export. If Toggl refuses a dataset of one workspace, it is left out,
            and named in the summary.
    """
    check_client(client)
    check_instance(ExportPlan, plan, "plan", "an ExportPlan")
    check_flag(compare, "compare")
    return Batches(client, plan, compare=compare)


class _Channel:
    """A keeper that hands over; `room` is awaited before each request, so that little piles up.

    It remembers which rows were handed over, so that each comes once, in a database that the system removes:
    a set of a million ids takes 90 MB.
    """

    name = "batches"

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch | None] = asyncio.Queue()
        self.rows: Counter[str] = Counter()
        self._days: dict[tuple[int | None, dt.date], tuple[int, int]] = {}
        self._awaited: dict[str, set[int]] = {}
        self._taken = asyncio.Event()
        self._taken.set()
        self._met = sqlite3.connect("", isolation_level=None)
        self._met.execute("PRAGMA journal_mode = OFF")
        self._met.execute(
            "CREATE TABLE met (dataset, id, workspace_id, PRIMARY KEY (dataset, id, workspace_id)) "
            "WITHOUT ROWID"
        )

    async def room(self) -> None:
        """Wait until everything was taken."""
        await self._taken.wait()

    async def next(self) -> Batch | None:
        """The next batch; None at the end."""
        if self.batches.empty():
            self._taken.set()
        return await self.batches.get()

    def close(self) -> None:
        """Forget what was handed over."""
        self._met.close()

    async def commit(self, commit: Commit) -> None:
        """Hand rows over."""
        dataset = commit.dataset
        if commit.awaited:
            self._awaited[commit.piece] = {*commit.awaited}
        lines = [] if dataset is None else self._new(dataset, commit)
        if dataset is None or not lines:
            return
        self._taken.clear()
        self.rows[dataset.name] += len(lines)
        self._add_up(commit.workspace_id, lines)
        rows = tuple(line.data for line in lines)
        self.batches.put_nowait(Batch(dataset=dataset.name, workspace_id=commit.workspace_id, rows=rows))

    def _new(self, dataset: Dataset, commit: Commit) -> list[Line]:
        """The rows of a commit that were not handed over before, which are noted."""
        space = commit.workspace_id if dataset.key_has_workspace else 0
        note = "INSERT OR IGNORE INTO met VALUES (?, ?, ?)"
        return [
            line
            for line in commit.lines
            if self._met.execute(note, (dataset.name, line.id, space or 0)).rowcount
        ]

    async def known(self, scope: Scope) -> set[int]:
        """The ids of rows that were handed over."""
        found = self._met.execute("SELECT workspace_id, id FROM met WHERE dataset = ?", (scope.dataset.name,))
        return {number for space, number in found if scope.workspace_id in {None, space}}

    async def unmet(self, piece: str) -> set[int]:
        """What a piece awaits, and was not handed over."""
        return self._awaited.get(piece, set()) - await self.known(Scope(dataset=ENTRIES))

    async def stand_ins(self, dataset: Dataset) -> set[int]:
        """What stood in for ids."""
        return {number for number in await self.known(Scope(dataset=dataset)) if number < 0}

    async def sums(self, without: Sequence[str] = ()) -> Sequence[DaySum]:  # noqa: ARG002
        """The time entries that were handed over, added up: nothing is awaited that was."""
        return [DaySum(*key, *sums) for key, sums in self._days.items()]

    def _add_up(self, workspace_id: int | None, lines: Sequence[Line]) -> None:
        """Add up time entries by workspace and day."""
        for line in lines:
            if line.start is not None:
                rows, seconds = self._days.get((workspace_id, line.start), (0, 0))
                self._days[workspace_id, line.start] = rows + 1, seconds + line.seconds

    async def count(self, dataset: Dataset) -> int:
        """How many rows were handed over."""
        return self.rows[dataset.name]
