"""The books of an export: how far each piece is, what was written and refused, up to the manifest."""

import asyncio
import datetime as dt
import importlib.metadata
from collections.abc import Mapping, Sequence

from toggl_async.client import TogglClient
from toggl_async.export.datasets import DATASETS, Dataset
from toggl_async.export.destination import Header
from toggl_async.export.freshness import stale_rows, with_older
from toggl_async.export.ids import IdSet
from toggl_async.export.manifest import Check, Entry, File, Manifest, Refusal, agreement, write_manifest
from toggl_async.export.pieces import Piece, Progress
from toggl_async.export.plan import DateRange
from toggl_async.export.rows import Line
from toggl_async.export.sinks.base import Commit, DaySum, FileFacts, Recovered, Sink
from toggl_async.export.storage import digest

__all__ = ["Books"]

_LONG = 50_000
"""Rows from which on a dataset takes about a second to be made whole."""


class Books:
    """Keeps count of an export, and writes its manifest when it ends, however it ends.

    Args:
        client: whose waits are reported.
        header: what the export is.
        sink: where the rows go.
        recovered: what earlier runs of it have left.
        spent: requests that were sent for it in this run already.
    """

    def __init__(
        self, client: TogglClient, header: Header, sink: Sink, recovered: Recovered, *, spent: int
    ) -> None:
        self.header = header
        self._client = client
        self._sink = sink
        self._loop_started = asyncio.get_running_loop().time()
        self._waits_before = dict(client.scheduler.stats().waits)
        self._progress = dict(recovered.progress)
        self._requests = recovered.requests + spent
        self._rows = dict.fromkeys(header.plan.datasets, 0)
        self._files: dict[str, FileFacts] = dict(recovered.finished)
        self._ids: dict[tuple[str, int | None], IdSet] = {}
        self._checks: dict[tuple[int, DateRange], Check] = {}
        self._refusals: dict[tuple[str, int], Refusal] = {}
        for progress in self._progress.values():
            if progress.refusal is not None:
                self.refuse(progress.refusal)
            if progress.check is not None:
                self.check(progress.check)
        begun = {name.partition("/")[0] for name in self._progress} - set(self._files)
        for dataset in header.plan.chosen():
            if dataset.name in begun:
                self._recover(dataset)

    @property
    def requests(self) -> int:
        """Requests sent in all runs, repeated ones included."""
        return self._requests

    @property
    def checks(self) -> tuple[Check, ...]:
        """The ranges that were compared with Toggl's totals, newest first."""
        return tuple(self._checks[key] for key in sorted(self._checks, key=_newest_first))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What Toggl refused."""
        return tuple(self._refusals.values())

    def spend(self, requests: int) -> None:
        """Count requests that were sent."""
        self._requests += requests

    def progress(self, piece: Piece) -> Progress:
        """How far a piece is."""
        return self._progress.get(piece.name) or Progress()

    def commit(
        self,
        piece: Piece,
        progress: Progress,
        *,
        dataset: Dataset | None = None,
        lines: Sequence[Line] = (),
        removed: Sequence[int] = (),
    ) -> int:
        """Write rows and how far their piece has come with them, both or neither.

        Args:
            piece: the piece.
            progress: its progress, from now on.
            dataset: where the rows belong.
            lines: rows to add.
            removed: ids of rows to take out first, those included that the lines replace.

        Returns:
            How many rows the dataset has now.

        Raises:
            OSError: they could not be written.
        """
        self._sink.commit(
            Commit(
                piece=piece.name,
                progress=progress,
                requests=self._requests,
                dataset=dataset,
                workspace_id=piece.workspace_id,
                lines=lines,
                removed=removed,
            )
        )
        self._progress[piece.name] = progress
        if dataset is None:
            return 0
        self._rows[dataset.name] += len(lines)
        return self._rows[dataset.name]

    def ids(self, dataset: Dataset, workspace_id: int | None) -> IdSet:
        """The ids that were written, where they must be unique: in the dataset, or in the workspace."""
        scope = dataset.name, workspace_id if dataset.key_has_workspace else None
        return self._ids.setdefault(scope, IdSet())

    def is_finished(self, dataset: Dataset) -> bool:
        """Whether a dataset is whole."""
        return dataset.name in self._files

    async def finish(self, dataset: Dataset) -> FileFacts:
        """Make a dataset whole; where that takes long, in a thread, so that others go on meanwhile."""
        if self._rows[dataset.name] < _LONG or not self._sink.finishes_in_thread:
            facts = self._sink.finish(dataset)
        else:
            finishing = asyncio.ensure_future(asyncio.to_thread(self._sink.finish, dataset))
            try:
                facts = await asyncio.shield(finishing)
            except asyncio.CancelledError:
                await asyncio.wait([finishing])  # the sink is its own until then
                raise
        self._files[dataset.name] = facts
        return facts

    def known_ids(self, dataset: Dataset, wanted: Mapping[Piece, object]) -> dict[Piece, set[int]]:
        """The ids of the rows that stand in the destination where these pieces will be read."""
        found: dict[Piece, set[int]] = {piece: set() for piece in wanted}
        for seen in self._sink.known(dataset) if wanted else ():
            for piece, ids in found.items():
                if piece.workspace_id not in {None, seen.workspace_id}:
                    continue
                if piece.days is None or (seen.day and piece.days.first <= seen.day <= piece.days.last):
                    ids.add(seen.id)
        return found

    @property
    def is_ordered(self) -> bool:
        """Whether Toggl sorted reports by their last changes, as far as it was asked to."""
        return not any(progress.unordered for progress in self._progress.values())

    def sums(self, dataset: Dataset) -> list[DaySum]:
        """The time entries in the destination, added up by workspace and day."""
        return list(self._sink.sums(dataset))

    def check(self, check: Check) -> None:
        """Note a range that was compared with Toggl's total."""
        self._checks[check.workspace_id, DateRange(check.first, check.last)] = check

    def refuse(self, refusal: Refusal) -> bool:
        """Note a refusal and say whether it is the first of its dataset and workspace."""
        key = refusal.dataset, refusal.workspace_id
        return self._refusals.setdefault(key, refusal) is refusal

    def has_refused(self, dataset: Dataset, workspace_id: int) -> bool:
        """Whether Toggl refused a dataset of a workspace."""
        return (dataset.name, workspace_id) in self._refusals

    def close(self, error: str | None) -> Manifest:
        """End the export and write its manifest.

        Args:
            error: what ended it early; None when it came to its end.

        Raises:
            OSError: the destination or the manifest could not be written.
        """
        if error is None:
            self._sink.seal()
            partial: dict[str, FileFacts] = {}
        else:
            partial = self._sink.stop()
        header, stats = self.header, self._client.scheduler.stats()
        entries = {
            name: self._entry(name, partial.get(name), whole=error is None) for name in header.plan.datasets
        }
        manifest = Manifest(
            toggl_async=importlib.metadata.version("toggl_async"),
            layout=header.layout,
            format=header.format,
            complete=error is None,
            error=error,
            update=header.previous is not None,
            started_at=header.started_at,
            finished_at=dt.datetime.now(dt.UTC),
            duration=round(asyncio.get_running_loop().time() - self._loop_started, 3),
            base_url=header.base_url,
            user_id=header.account.user_id,
            plan=header.plan,
            workspaces=tuple(workspace.id for workspace in header.account.workspaces),
            requests=self._requests,
            waits={
                reason: round(seconds - self._waits_before.get(reason, 0.0), 3)
                for reason, seconds in stats.waits.items()
            },
            rows=sum(entry.rows for entry in entries.values()),
            datasets=entries,
            files=self._whole_files() if error is None else {},
            ranges=self.checks,
            totals_agree=agreement(self.checks),
            refused=self.refusals,
            stale=tuple(stale_rows(header, self._refusals)),
        )
        write_manifest(self._sink.directory, manifest)
        return manifest

    def _recover(self, dataset: Dataset) -> None:
        """Learn which ids are written already; an update needs only to know how many."""
        for seen in self._sink.known(dataset):
            self._rows[dataset.name] += 1
            if self.header.previous is None:
                self.ids(dataset, seen.workspace_id).add(seen.id)

    def _entry(self, name: str, partial: FileFacts | None, *, whole: bool) -> Entry:
        """What the manifest says of a dataset: whole, begun, or not begun."""
        facts = self._files.get(name, partial) if whole else partial or self._files.get(name)
        complete, key = name in self._files, DATASETS[name].key
        if facts is None:
            return Entry(complete=complete, key=key)
        entry = Entry(
            complete=complete,
            key=key,
            file=facts.file,
            rows=facts.rows,
            bytes=facts.bytes,
            sha256=facts.sha256,
            as_of=self.header.account.asked_at if complete else None,
        )
        if name != "time_entries" or not complete:
            return entry
        return with_older(entry, self.header, ordered=self.is_ordered)

    def _whole_files(self) -> dict[str, File]:
        """Size and checksum of each file."""
        facts = {kept.file: kept for kept in self._files.values()}
        return {
            name: File(
                bytes=(self._sink.directory / name).stat().st_size,
                sha256=kept.sha256 or digest(self._sink.directory / name),
            )
            for name, kept in facts.items()
        }


def _newest_first(key: tuple[int, DateRange]) -> tuple[int, int]:
    workspace_id, days = key
    return workspace_id, -days.first.toordinal()
