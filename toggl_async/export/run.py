"""Run an export: every list of every workspace, concurrently, under the client's one scheduler.

How it is built, so that memory stays flat and nothing is asked twice:

- A dataset is a task; so is each list of a workspace, and each range of its time entries. They all
  wait for the scheduler at BULK priority and as long as it takes: other work of the same client goes
  first. No more than a few lists are open at once, because an open list holds a page of rows.
- Rows go page by page from the answer to the sink, and with each page how far its piece has come, in
  one commit. A run that ends early, in whatever way, is taken up by the next one with the same plan.
- What is remembered are ids, eight bytes each.
"""

import asyncio
import datetime as dt
import math
import os
import secrets
from contextlib import suppress

from toggl_async._client.client import TogglClient
from toggl_async.errors import InvalidInput
from toggl_async.export.formats import Sink, make
from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.destination import Header, Previous, Standing, layout_of, standing
from toggl_async.export.mirror.lock import locked
from toggl_async.export.mirror.manifest import Manifest
from toggl_async.export.mirror.pieces import Piece, Range
from toggl_async.export.mirror.progress import DatasetFinished, ExportEvent, ExportStarted, OnExportEvent
from toggl_async.export.plan.datasets import Dataset, Source
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey, identify, survey
from toggl_async.export.read.entries import TOTALS, read_history, read_running, write_running
from toggl_async.export.read.lists import list_piece, read_account_list, read_workspace_lists
from toggl_async.export.read.reading import Reader
from toggl_async.export.read.update import RECHECK_DAYS, first_day, read_changes
from toggl_async.export.read.verify import verify
from toggl_async.export.tasks import first_error
from toggl_async.options import Priority

__all__ = ["export", "read_everything"]


async def export(
    client: TogglClient,
    plan: ExportPlan,
    destination: str | os.PathLike[str] | Sink,
    *,
    format: str = "jsonl",  # noqa: A002 - it is the word that everybody expects
    update: bool = False,
    recheck: int | None = RECHECK_DAYS,
    account: Survey | None = None,
    on_event: OnExportEvent | None = None,
) -> Manifest:
    """Export what the plan takes, and leave a manifest beside it; or go on with what was begun.

    Args:
        client: whose account is exported; its scheduler sets the pace for everything.
        plan: what is taken.
        destination: a directory: new, empty, or that of the same export; or a sink of one's own.
        format: one of `toggl_async.export.FORMATS`, where the destination is a directory.
        update: bring a finished export of the same plan up to date, if there is one.
        recheck: days before the last run whose time entries an update reads again as a whole; None for
            all of them. It goes with the export that begins: one that goes on keeps its own.
        account: what `survey` brought, if it was made already; else it is made first.
        on_event: is told of the progress.

    Returns:
        The manifest, as written to ``manifest.json``.

    Raises:
        InvalidInput: the destination cannot be written to, or holds another export, or another run
            writes there; or the plan names a workspace that is not there. Nothing was written.
        TogglError: what ended the export. Whatever ends it, cancellation included, the manifest
            says ``"finished": false``, and the same call goes on from there.
        OSError: the destination could not be written on, such as a full disk.
    """
    sink = destination if isinstance(destination, Sink) else make(format, destination)
    patient = client.with_options(priority=Priority.BULK, max_wait=math.inf)
    tell = on_event or _silent

    def look() -> Standing:
        return standing(
            sink.directory, plan=plan, base_url=client.base_url, format=sink.format, update=update
        )

    held = look()
    if held.header is None:
        account = account or await survey(patient, plan)
    with locked(sink.directory):
        held = look()  # now nobody else changes it
        if held.header is not None:
            spent = await _same_account(patient, held.header, account, sink)
            return await _run(patient, held.header, sink, spent, tell)
        finished = held.finished
        account = account or await survey(patient, plan)
        if finished is not None:
            if finished.user_id != account.user_id:
                raise InvalidInput(f"{sink.directory} contains an export of another account")
            finished = finished.as_left_in(sink.directory)
        header = _header(client, plan, sink, account, finished, recheck=recheck)
        header.write(sink.directory)
        return await _run(patient, header, sink, account.requests, tell)


def _header(
    client: TogglClient,
    plan: ExportPlan,
    sink: Sink,
    account: Survey,
    previous: Previous | None,
    *,
    recheck: int | None,
) -> Header:
    """Say what an export that begins now is of."""
    return Header(
        run=secrets.token_hex(8),
        layout=layout_of(sink.format),
        format=sink.format,
        base_url=client.base_url,
        plan=plan,
        account=account,
        started_at=dt.datetime.now(dt.UTC),
        previous=previous,
        read_from=first_day(previous, account, recheck) if previous and "time_entries" in plan else None,
    )


async def _same_account(client: TogglClient, header: Header, account: Survey | None, sink: Sink) -> int:
    """Make sure that the token is that of the export under way; return the requests that it took.

    Raises:
        InvalidInput: it is another account's.
    """
    if account is None:
        (user_id, _), requests = await identify(client), 1
    else:
        user_id, requests = account.user_id, account.requests
    if user_id != header.account.user_id:
        raise InvalidInput(f"{sink.directory} contains an export of another account")
    return requests


async def _run(client: TogglClient, header: Header, sink: Sink, spent: int, tell: OnExportEvent) -> Manifest:
    """Open the sink, read everything that is left, and close the books."""
    recovered = sink.open(header.run, update=header.previous.datasets if header.previous else ())
    books = Books(client, header, sink, recovered, spent=spent)
    reader = Reader(client=client, books=books, tell=tell)
    try:
        await read_everything(reader)
        manifest = books.close(None)
    except BaseException as error:
        cause = first_error(error)
        with suppress(OSError):  # a full disk has no room for the manifest either
            books.close(_said(cause))
        if cause is error:
            raise
        raise cause from None
    sink.clean()
    Header.remove(sink.directory)
    return manifest


async def read_everything(reader: Reader, *, compare: bool = True, correct: bool = True) -> None:
    """Read and write every dataset.

    Args:
        reader: asks and writes.
        compare: whether time entries are compared with Toggl's totals.
        correct: whether those that differ are read again.
    """
    reader.tell(ExportStarted(datasets=reader.plan.datasets, workspaces=len(reader.account.workspaces)))
    _expect(reader, compare=compare)
    async with asyncio.TaskGroup() as tasks:
        for dataset in reader.plan.chosen():
            if not reader.books.is_finished(dataset):
                work = _dataset(reader, dataset, compare=compare, correct=correct)
                tasks.create_task(work, name=dataset.name)


def _expect(reader: Reader, *, compare: bool) -> None:
    """Tell the forecast what will be read in any case."""
    for dataset in reader.plan.chosen():
        for workspace in reader.account.workspaces:
            if dataset.source is Source.WORKSPACE:
                if not reader.books.progress(list_piece(dataset, workspace)).done:
                    reader.forecast.expect(dataset.name, workspace.id)
            elif dataset.source is Source.REPORT and reader.books.header.previous is None:
                for days in reader.plan.ranges(workspace.created, reader.account.today):
                    piece = Piece(dataset.name, workspace.id, days)
                    if not reader.books.progress(piece).done:
                        reader.forecast.expect(dataset.name, piece.name)
                    if compare:
                        reader.forecast.expect(TOTALS, Range(workspace.id, days))


async def _dataset(reader: Reader, dataset: Dataset, *, compare: bool, correct: bool) -> None:
    """Read a dataset from its source, then make it whole."""
    match dataset.source:
        case Source.ACCOUNT:
            read_account_list(reader, dataset)
        case Source.WORKSPACE:
            await read_workspace_lists(reader, dataset)
        case _:
            await _time_entries(reader, compare=compare, correct=correct)
    reader.tell(DatasetFinished(dataset=dataset.name, facts=await reader.books.finish(dataset)))


async def _time_entries(reader: Reader, *, compare: bool, correct: bool) -> None:
    """Read the time entries of every workspace, compare them, then write the one that is running."""
    await read_running(reader)
    if reader.books.header.previous is not None:
        ranges = await read_changes(reader)
    else:
        async with asyncio.TaskGroup() as tasks:
            read = [tasks.create_task(read_history(reader, space)) for space in reader.account.workspaces]
        ranges = [one for task in read for one in task.result()]
    if compare:
        await verify(reader, ranges, correct=correct)
    write_running(reader)


def _said(error: BaseException) -> str:
    """What the manifest says of the end."""
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted"
    return f"{type(error).__name__}: {error}"


def _silent(event: ExportEvent) -> None:
    """Tell nobody."""
