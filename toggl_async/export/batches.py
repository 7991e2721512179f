"""An export as a stream of batches: for programs that want the rows, not files.

Nothing is kept: no file, no progress, no manifest. The reading goes no further ahead than a batch or
two, so a slow consumer slows the requests down, not the memory up.
"""

import asyncio
import datetime as dt
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import attrs

from toggl_async.client import TogglClient
from toggl_async.codec import Codec
from toggl_async.export.books import Books
from toggl_async.export.datasets import Dataset
from toggl_async.export.destination import Header
from toggl_async.export.plan import ExportPlan
from toggl_async.export.reading import Reader
from toggl_async.export.rows import Known
from toggl_async.export.run import first_error, read_everything
from toggl_async.export.sinks.base import Commit, DaySum, FileFacts, Recovered
from toggl_async.export.survey import survey
from toggl_async.options import Priority
from toggl_async.record import Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batch", "export_batches"]


@attrs.frozen(kw_only=True)
class Batch:
    """Rows of one dataset, a page of them.

    Attributes:
        dataset: the name of the dataset.
        workspace_id: the workspace; None for what belongs to the account.
        rows: the rows as JSON, as the format JSON Lines has them.
    """

    dataset: str
    workspace_id: int | None
    rows: tuple[bytes, ...]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def records(self, *, keep_unknown: bool = False) -> list[Record]:
        """The rows as records; those of time entries are `ExportedTimeEntry`.

        Args:
            keep_unknown: keep fields that the records don't know, in `Record.unknown`.

        Raises:
            DecodeError: a row cannot be made a record.
        """
        from toggl_async.export.tables import table  # noqa: PLC0415 - it loads every record

        declared = table(self.dataset)
        body = b"[" + b",".join(self.rows) + b"]"
        decoded = Codec(keep_unknown=keep_unknown).decode(
            list[declared.record],  # type: ignore[name-defined]
            body,
            operation=declared.dataset.operation,
        )
        return cast("list[Record]", decoded)

    def arrow(self) -> "pa.Table":
        """The rows as an Arrow table, with the columns of the format Parquet; needs pyarrow."""
        from toggl_async.export.arrow import arrow_table  # noqa: PLC0415 - needs pyarrow
        from toggl_async.export.tables import table  # noqa: PLC0415 - it loads every record

        return arrow_table(table(self.dataset), self.rows)


async def export_batches(client: TogglClient, plan: ExportPlan) -> AsyncIterator[Batch]:
    """Read what the plan takes, and give it out page by page, datasets mixed.

    Each row comes once. Time entries are not compared with Toggl's totals, since what was given out
    cannot be taken back: an edit made while they are read may be missed.

    Raises:
        InvalidInput: the plan names a workspace that is not there.
        TogglError: what ended the export; what Toggl refuses to one dataset of one workspace is left out.
    """
    patient = client.with_options(priority=Priority.BULK, max_wait=math.inf)
    account = await survey(patient, plan)
    header = Header(
        run="",
        layout="",
        format="batches",
        base_url=client.base_url,
        plan=plan,
        account=account,
        started_at=dt.datetime.now(dt.UTC),
    )
    channel = _Channel()
    books = Books(patient, header, channel, Recovered(), spent=account.requests)
    reader = Reader(client=patient, books=books, tell=lambda _: None, room=channel.room)
    work = asyncio.ensure_future(read_everything(reader, compare=False))
    work.add_done_callback(lambda _: channel.batches.put_nowait(None))
    try:
        while (batch := await channel.next()) is not None:
            yield batch
        try:
            await work
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


class _Channel:
    """A sink that hands over; `room` is awaited before each request, so that little piles up."""

    format = "batches"
    directory = Path()
    finishes_in_thread = False

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._taken.set()

    async def room(self) -> None:
        """Wait until everything was taken."""
        await self._taken.wait()

    async def next(self) -> Batch | None:
        """The next batch; None at the end."""
        if self.batches.empty():
            self._taken.set()
        return await self.batches.get()

    def open(self, run: str, *, update: bool) -> Recovered:  # noqa: ARG002 - nothing is ever resumed
        """There is nothing to take up."""
        return Recovered()

    def commit(self, commit: Commit) -> None:
        """Hand rows over."""
        if commit.dataset is not None and commit.lines:
            self._taken.clear()
            rows = tuple(line.data for line in commit.lines)
            workspace_id = commit.workspace_id
            self.batches.put_nowait(Batch(dataset=commit.dataset.name, workspace_id=workspace_id, rows=rows))

    def known(self, dataset: Dataset) -> Iterator[Known]:  # noqa: ARG002
        """Nothing is kept."""
        return iter(())

    def sums(self, dataset: Dataset) -> Iterator[DaySum]:  # noqa: ARG002
        """Nothing is kept."""
        return iter(())

    def finish(self, dataset: Dataset) -> FileFacts:
        """There is no file."""
        return FileFacts(file=dataset.name, rows=0)

    def seal(self) -> None:
        """There is no file."""

    def stop(self) -> dict[str, FileFacts]:
        """There is no file."""
        return {}

    def clean(self) -> None:
        """There is no file."""
