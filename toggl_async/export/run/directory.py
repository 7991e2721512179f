"""Export: bring a mirror up to date, and write files from it."""

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import attrs

from toggl_async._client.client import TogglClient
from toggl_async.export.formats import Format, format_named
from toggl_async.export.mirror.destination import MIRROR, Held, held_by, layout_of
from toggl_async.export.mirror.manifest import FileFacts, Manifest, write_manifest
from toggl_async.export.mirror.progress import OnExportEvent
from toggl_async.export.mirror.run import decoded, refuse_other
from toggl_async.export.mirror.store import RowStore
from toggl_async.export.mirror.urls import store_of
from toggl_async.export.mirror.worker import Worker
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey, survey
from toggl_async.export.read.update import RECHECK_DAYS
from toggl_async.export.run.arguments import check_arguments
from toggl_async.export.run.bound import waiting_at_most
from toggl_async.export.run.files import check_files, kept_files, with_files, write_files
from toggl_async.export.run.refresh import (
    Choices,
    Holding,
    already_finished,
    held,
    patient,
    refresh,
    said,
    same_account,
)

__all__ = ["export", "opened", "plan_files"]


async def export(
    client: TogglClient,
    plan: ExportPlan,
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - it is the word that everybody expects
    excel: bool | None = None,
    update: bool = False,
    recheck: int | None = RECHECK_DAYS,
    datasets: Collection[str] | None = None,
    older: bool = True,
    max_wait: float | None = None,
    account: Survey | None = None,
    on_event: OnExportEvent | None = None,
) -> Manifest:
    """Export what the plan includes, with a manifest beside it; or resume an interrupted export.

    The rows are in ``mirror.sqlite``, which `Mirror` reads. Files are written from there at the end, unless
    an update changed nothing in them.

    Args:
        client: whose account is exported; its scheduler sets the pace for everything.
        plan: what to export.
        destination: a directory that is new, empty, or contains the same export.
        format: one of `toggl_async.export.FORMATS`; None for the format of the destination, or ``"jsonl"``.
        excel: write CSV for spreadsheets, with a byte order mark, and an apostrophe before text that would
            run as a formula; None for the kind of CSV that the destination has, or CSV for machines.
        update: bring a finished export of the same plan up to date, if there is one.
        recheck: see `Mirror.refresh`. A resumed export keeps what it began with, also for the next two.
        datasets: see there.
        older: see there.
        max_wait: see there.
        account: the result of `survey`, if you have it already.
        on_event: called with each event of the progress.

    Returns:
        The manifest, as written to ``manifest.json``.

    Raises:
        InvalidInput: an argument can't be used; the destination can't be written to or contains another
            export; another run is writing there; the plan names a workspace that the token doesn't see; or
            `excel` is given without CSV.
        TogglError: something ended the export. Whatever ends it, even cancellation, the manifest says
            ``"finished": false``, and the same call resumes from there.
        OSError: the destination could not be written to, for instance because the disk is full.
    """
    choices = Choices(
        update=update, recheck=recheck, datasets=datasets, older=older, account=account, on_event=on_event
    )
    wanted = {"destination": destination, "format": format, "excel": excel}
    check_arguments(choices, client=client, plan=plan, max_wait=max_wait, **wanted)
    files, before = plan_files(client, plan, Path(destination), format, excel, update=update)
    choices = attrs.evolve(choices, name=str(files.directory), note=files.note)
    async with waiting_at_most(max_wait, client.scheduler):
        return await _export(patient(client), choices, files, before)


def plan_files(
    client: TogglClient,
    plan: ExportPlan,
    directory: Path,
    name: str | None,
    excel: bool | None,
    *,
    update: bool,
) -> tuple["_Files", Held | None]:
    """Decide which files to write, from the arguments and the content of the directory; return both.

    Raises:
        InvalidInput: they can't be written there, or a finished export is there, and `update` is false.
    """
    if name is not None:
        format_named(name, excel=bool(excel))  # report bad input first
    held = held_by(directory, plan=plan, base_url=client.base_url, format=name, excel=excel)
    if held is not None:
        name, excel = held.format, held.excel
        if held.finished and not update:
            raise already_finished(str(directory))
    files = _Files(directory, format_named(name or "jsonl", excel=bool(excel)), bool(excel), plan)
    check_files(directory, files.form, plan.chosen())
    return files, held


async def _export(client: TogglClient, choices: Choices, files: "_Files", before: Held | None) -> Manifest:
    """Refresh the mirror, then write the files."""
    plan, path = files.plan, files.directory / MIRROR
    if not path.exists() and choices.account is None:  # create nothing before Toggl has answered
        choices = attrs.evolve(choices, account=await survey(client, plan))
    store = store_of(path)
    async with opened(store) as worker, held(store, worker) as holding:
        standing = holding.standing
        goes_on = choices.update or standing.run
        read = None if goes_on else decoded(choices.name, standing.finished, Manifest)
        if read is None:
            read = await refresh(client, plan, holding, choices)
        else:  # everything was read, but writing the files was interrupted
            refuse_other(choices.name, read, plan=plan, base_url=client.base_url)
            read = attrs.evolve(read, kept_from=standing.kept_from)  # older ones may be forgotten by now
            await same_account(client, read.user_id, choices.account, choices.name)
        return await files.write(read, holding, before)


@attrs.frozen
class _Files:
    """The files of an export: where they are, their format, and what is in them."""

    directory: Path
    form: Format
    excel: bool
    plan: ExportPlan

    def note(self, manifest: Manifest) -> None:
        """Write the manifest of an unfinished run, without files."""
        self._write_manifest(manifest, {})

    async def write(self, read: Manifest, holding: Holding, before: Held | None) -> Manifest:
        """Write the files, then the manifest; if writing the files fails, the manifest says so.

        Args:
            read: the manifest of the refresh.
            holding: the mirror.
            before: what the directory held then.
        """
        datasets = self.plan.chosen()
        try:
            if before is not None and not read.changes and before.revision == holding.standing.revision:
                kept = await holding.worker.run(kept_files, self.directory, before)
                if kept is not None:
                    return self._write_manifest(read, kept)
            facts = await holding.worker.run(write_files, self.directory, self.form, datasets, holding.store)
            return self._write_manifest(read, facts)
        except BaseException as error:
            with suppress(OSError):  # a full disk may have no room for the manifest, either
                self.note(attrs.evolve(read, finished=False, complete=False, error=said(error)))
            raise

    def _write_manifest(self, manifest: Manifest, facts: Mapping[str, FileFacts]) -> Manifest:
        whole = with_files(manifest, self.directory, self.form, layout_of(self.form.name), facts)
        whole = attrs.evolve(whole, excel=self.excel)
        write_manifest(self.directory, whole)
        return whole


@asynccontextmanager
async def opened(store: RowStore) -> AsyncIterator[Worker]:
    """Open a store for a block, and close it at the end."""
    async with Worker() as worker:
        await worker.run(store.open)
        try:
            yield worker
        finally:
            with anyio.CancelScope(shield=True):
                await worker.run(store.close)
