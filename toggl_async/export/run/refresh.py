"""Reads everything that a plan includes: every list of every workspace, concurrently, under one scheduler.

To keep memory flat, and to request nothing twice:

- Each dataset is a task, and so is each list of a workspace, and each range of its time entries. They all
  wait for the scheduler at BULK priority, as long as it takes, so that other work of the same client goes
  first. Only a few lists are open at once, because an open list keeps a page of rows in memory.
- Rows go from the answer to the mirror page by page. Each page is committed together with the progress of its
  piece. If a run ends early, in any way, the next one with the same plan resumes it.
"""

import asyncio
import datetime as dt
import math
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import attrs

from toggl_async._client.client import TogglClient
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.keeper import StoreKeeper
from toggl_async.export.mirror.manifest import Manifest
from toggl_async.export.mirror.pieces import Piece, Progress, Range
from toggl_async.export.mirror.progress import DatasetFinished, ExportEvent, ExportStarted, OnExportEvent
from toggl_async.export.mirror.run import Previous, Run, decoded, encoded, kept_of, refuse_other
from toggl_async.export.mirror.store import RowStore, Standing
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.asking import identify
from toggl_async.export.plan.datasets import ENTRIES, Dataset, Source
from toggl_async.export.plan.plan import EARLIEST, ExportPlan
from toggl_async.export.plan.survey import Survey, survey
from toggl_async.export.read.dayless import await_dayless, delete_dayless
from toggl_async.export.read.entries import read_running, write_running
from toggl_async.export.read.extent import read_history
from toggl_async.export.read.lists import list_piece, read_account_list, read_workspace_lists
from toggl_async.export.read.reading import Reader
from toggl_async.export.read.stand_ins import delete_stand_ins
from toggl_async.export.read.totals import TOTALS
from toggl_async.export.read.update import first_day, read_changes
from toggl_async.export.read.verify import verify
from toggl_async.export.run.changes import count_changes, count_rows, latest_revision
from toggl_async.export.run.settle import settle_lists
from toggl_async.export.tasks import first_error
from toggl_async.options import Priority
from toggl_async.scheduler.events.listening import notify

__all__ = [
    "Choices",
    "Holding",
    "held",
    "patient",
    "read_everything",
    "refresh",
    "said",
    "same_account",
    "silent",
]


def patient(client: TogglClient) -> TogglClient:
    """The client as exports use it: its calls go after all others, and wait as long as it takes."""
    return client.with_options(priority=Priority.BULK, max_wait=math.inf)


@attrs.frozen(kw_only=True)
class Choices:
    """The options of a refresh.

    Attributes:
        update: whether a finished mirror may be brought up to date.
        recheck: days before the last run that an update reads again; None for all, and for every list in
            full.
        datasets: the datasets that an update reads; None for all of the plan.
        older: whether an update looks for changes of older time entries.
        account: the result of `survey`, if there is one already.
        on_event: called with each event of the progress; None for nobody.
        name: what the mirror is called in messages.
        note: called with the manifest when a run begins, and when something ends it early; it may raise
            OSError.
    """

    update: bool
    recheck: int | None
    datasets: Collection[str] | None = None
    older: bool = True
    account: Survey | None
    on_event: OnExportEvent | None
    name: str = ""
    note: Callable[[Manifest], None] = lambda _: None

    @property
    def tell(self) -> OnExportEvent:
        """The function to call with each event of the progress."""
        return silent if self.on_event is None else partial(notify, self.on_event)


@attrs.frozen(kw_only=True)
class Holding:
    """A store that no other run writes to, the thread that calls it, and its state."""

    store: RowStore
    worker: Worker
    standing: Standing


@asynccontextmanager
async def held(store: RowStore, worker: Worker) -> AsyncIterator[Holding]:
    """Keep other runs out of a store.

    Raises:
        InvalidInput: another run is writing to it.
    """
    taken = False

    def hold() -> Standing:
        nonlocal taken
        standing = store.hold()
        taken = True
        return standing

    try:
        # `hold` itself notes whether it succeeded, because the caller may be cancelled in the meantime.
        standing = await worker.run(hold)
        yield Holding(store=store, worker=worker, standing=standing)
    finally:
        if taken:
            with anyio.CancelScope(shield=True):
                await worker.run(store.release)


async def refresh(client: TogglClient, plan: ExportPlan, holding: Holding, choices: Choices) -> Manifest:
    """Resume the run in a store, or begin one, read everything that is left, and end the run.

    Args:
        client: the client, which has to be `patient`.
        plan: what is taken.
        holding: the store.
        choices: the options.

    Raises:
        InvalidInput: the store holds another export, or a finished one that is not to be updated.
    """
    books = await _begin(client, plan, holding, choices)
    reader = Reader(client=client, books=books, tell=choices.tell)
    try:
        choices.note(await books.close("under way"))  # later, a killed process can't do it
        await read_everything(reader)
        await settle_lists(reader, holding.store, holding.worker)
        manifest = await _with_changes(await books.close(None), books.run, holding)
        await holding.worker.run(holding.store.finish, encoded(manifest))
    except BaseException as error:
        cause = first_error(error)
        with anyio.CancelScope(shield=True), suppress(OSError):  # a full disk may have no room for a manifest
            choices.note(await books.close(said(cause)))
        if cause is error:
            raise
        raise cause from None
    return manifest


async def _begin(client: TogglClient, plan: ExportPlan, holding: Holding, choices: Choices) -> Books:
    """Resume the run in a store, or begin one; return its books."""
    name, account, standing = choices.name, choices.account, holding.standing
    keeper = StoreKeeper(holding.store, holding.worker)
    kept_of(plan, standing.kept_from)  # before anything is sent
    run = decoded(name, standing.run, Run)
    if run is not None:
        refuse_other(name, run, plan=plan, base_url=client.base_url)
        spent = await same_account(client, run.account.user_id, account, name)
        run = attrs.evolve(
            run, kept_from=standing.kept_from, previous=run.previous and run.previous.without(standing.unread)
        )
        return Books(client, run, keeper, standing.progress, standing.requests + spent)
    previous = decoded(name, standing.finished, Previous)
    if previous is not None:
        refuse_other(name, previous, plan=plan, base_url=client.base_url)
        if not choices.update:
            raise already_finished(name)
    account = account or await survey(client, plan)
    if previous is not None and previous.user_id != account.user_id:
        raise InvalidInput(f"{name} contains an export of another account; name another destination")
    run = Run(
        base_url=client.base_url,
        plan=plan,
        account=account,
        started_at=dt.datetime.now(dt.UTC),
        previous=previous and previous.without(standing.unread),
        kept_from=standing.kept_from,
        revision=standing.revision,
        before=await holding.worker.run(count_rows, holding.store, plan.chosen()),
    )
    if previous is not None:
        run = _of_update(run, previous, choices)
    await holding.worker.run(holding.store.begin, encoded(run))
    return Books(client, run, keeper, {}, account.requests)


def already_finished(name: str) -> InvalidInput:
    """Make the error for a finished export that isn't to be updated."""
    return InvalidInput(
        f"{name} contains a finished export; --update brings it up to date; "
        "for another export, name another directory"
    )


def _of_update(run: Run, previous: Previous, choices: Choices) -> Run:
    """Decide what an update reads.

    Raises:
        InvalidInput: a dataset isn't in the plan.
    """
    datasets, older, read_from = None, choices.older, None
    if choices.datasets is not None:
        unknown = [name for name in choices.datasets if name not in run.plan]
        if unknown:
            raise InvalidInput(
                f"the plan does not include the dataset {unknown[0]!r}; it includes "
                f"{', '.join(run.plan.datasets)}"
            )
        datasets = tuple(
            one.name
            for one in run.plan.chosen()
            if one.name in choices.datasets or one.source is Source.ACCOUNT  # the survey read these
        )
    if ENTRIES.name in run.plan:
        read_from = first_day(previous, run.account, choices.recheck)
        seen = {workspace.id for workspace in run.account.workspaces}
        # What could not be read last time may lack older edits, too.
        behind = any(one.dataset == ENTRIES.name and one.workspace_id in seen for one in previous.stale)
        older = older or behind or read_from <= EARLIEST
    return attrs.evolve(
        run, datasets=datasets, older=older, read_from=read_from, all_lists=choices.recheck is None
    )


async def _with_changes(manifest: Manifest, run: Run, holding: Holding) -> Manifest:
    """Add to the manifest of a finished run what it changed in the mirror."""
    datasets = run.plan.chosen()
    changes = await holding.worker.run(count_changes, holding.store, datasets, run.before, run.revision)
    revision = await holding.worker.run(latest_revision, holding.store)
    return attrs.evolve(manifest, changes=changes, revision=revision)


async def same_account(client: TogglClient, user_id: int, account: Survey | None, name: str) -> int:
    """Make sure that the token belongs to the account of an export; return how many requests that took.

    Raises:
        InvalidInput: it belongs to another account.
    """
    if account is None:
        (found, _), requests = await identify(client), 1
    else:
        found, requests = account.user_id, account.requests
    if found != user_id:
        raise InvalidInput(f"{name} contains an export of another account; name another destination")
    return requests


async def read_everything(reader: Reader, *, correct: bool = True) -> None:
    """Read and write every dataset.

    Args:
        reader: asks and writes.
        correct: whether time entries that differ from Toggl's totals are read again.
    """
    chosen = [dataset for dataset in reader.plan.chosen() if reader.books.run.reads(dataset.name)]
    names = tuple(dataset.name for dataset in chosen)
    reader.tell(ExportStarted(datasets=names, workspaces=len(reader.account.workspaces)))
    _expect(reader, chosen)
    await _note_unread(reader)
    async with asyncio.TaskGroup() as tasks:
        for dataset in chosen:
            if not reader.books.is_finished(dataset):
                work = _dataset(reader, dataset, correct=correct)
                tasks.create_task(work, name=dataset.name)


async def _note_unread(reader: Reader) -> None:
    """Record that the organizations could not be read, even if only the start of history depends on them."""
    unread, piece = reader.account.organizations_unread, Piece("organizations")
    if unread is None or reader.books.progress(piece).done:
        return
    if unread.status is not None:
        await reader.refused(piece, unread.status, unread.message)
    else:
        await reader.failed(piece, unread.message, progress=Progress(done=True))


def _expect(reader: Reader, chosen: Iterable[Dataset]) -> None:
    """Tell the forecast what will certainly be read."""
    for dataset in chosen:
        for workspace in reader.account.workspaces:
            if dataset.source is Source.WORKSPACE:
                if not reader.books.progress(list_piece(dataset, workspace)).done:
                    reader.forecast.expect(dataset.name, workspace.id)
            elif dataset.source is Source.REPORT and reader.books.run.previous is None:
                for days in reader.plan.ranges(workspace.created, reader.account.today):
                    piece = Piece(dataset.name, workspace.id, days)
                    if not reader.books.progress(piece).done:
                        reader.forecast.expect(dataset.name, piece.name)
                    if reader.compares:
                        reader.forecast.expect(TOTALS, Range(workspace.id, days))


async def _dataset(reader: Reader, dataset: Dataset, *, correct: bool) -> None:
    """Read a dataset from its source, and finish it."""
    match dataset.source:
        case Source.ACCOUNT if dataset.name == "organizations" and reader.account.organizations_unread:
            pass  # see `_note_unread`
        case Source.ACCOUNT:
            await read_account_list(reader, dataset)
        case Source.WORKSPACE:
            await read_workspace_lists(reader, dataset)
        case _:
            await _time_entries(reader, correct=correct)
    if dataset.source is Source.WORKSPACE and reader.books.is_deleting(dataset):
        return  # see `settle_lists`
    reader.tell(DatasetFinished(dataset=dataset.name, facts=await reader.books.finish(dataset)))


async def _time_entries(reader: Reader, *, correct: bool) -> None:
    """Read the time entries of every workspace, compare them, then write the one that is running."""
    await read_running(reader)
    await await_dayless(reader)
    if reader.books.run.previous is not None:
        ranges = await read_changes(reader)
    else:
        async with asyncio.TaskGroup() as tasks:
            read = [tasks.create_task(read_history(reader, space)) for space in reader.account.workspaces]
        ranges = [one for task in read for one in task.result()]
    if reader.compares:
        # An entry that a month lacks when it is read again may have moved to an older day. That shows only if
        # this run looks for edits of older entries; otherwise, the next run reads these days again anyway.
        looked = reader.books.run.older or reader.books.is_deleting(ENTRIES)  # see `read_changes`
        await verify(reader, ranges, correct=correct and looked)
    await delete_stand_ins(reader)
    await delete_dayless(reader)
    await write_running(reader)


def said(error: BaseException) -> str:
    """What the manifest says about what ended the run."""
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted"
    return f"{type(error).__name__}: {error}"


def silent(event: ExportEvent) -> None:
    """Ignore an event."""
