"""The books of an export: how far each piece is, what was written and refused, up to the manifest."""

import asyncio
import datetime as dt
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

import attrs

from toggl_async._client.client import TogglClient
from toggl_async.export.mirror.destination import Header
from toggl_async.export.mirror.freshness import stale_rows, with_older
from toggl_async.export.mirror.ids import IdSet
from toggl_async.export.mirror.manifest import (
    Check,
    Failure,
    File,
    Manifest,
    ManifestEntry,
    Refusal,
    agreement,
    write_manifest,
)
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.sink import Commit, DaySum, FileFacts, Recovered, Sink
from toggl_async.export.mirror.storage import digest
from toggl_async.export.plan.datasets import DATASETS, Dataset
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.rows import Line

__all__ = ["Books"]

_LONG = 50_000
"""Rows from which on a dataset takes about a second to be made whole."""

_NEVER_OFFERED = (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN)

_NAMELESS = "got rows without an id"
"""They are kept, and told of: an update can't find them again."""

_OF_TIME_ENTRIES = ("running", "changes")
"""Pieces that tell of the time entries of all workspaces."""


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
        self._unmet: dict[str, set[int]] = {}
        self._stand_ins: dict[str, set[int]] = {}
        for name, progress in self._progress.items():
            if progress.begun and not progress.done:
                self._unmet[name] = set(progress.unseen)
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

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be read, or not be trusted."""
        return tuple(
            {
                (failure.dataset, failure.workspace_id): failure
                for name, progress in self._progress.items()
                for failure in self._failures(name, progress)
            }.values()
        )

    def failures_of(self, piece: Piece) -> Iterable[Failure]:
        """What is not whole because a piece is not."""
        return self._failures(piece.name, self.progress(piece))

    def _failures(self, name: str, progress: Progress) -> Iterator[Failure]:
        said = progress.failed or (_NAMELESS if progress.nameless else None)
        if said is None:
            return
        dataset, workspace, *_ = (*name.split("/"), "")
        spaces = [int(workspace)] if workspace.isdecimal() else [0]
        if dataset in _OF_TIME_ENTRIES:  # they are of all workspaces at once
            dataset, spaces = "time_entries", [one.id for one in self.header.account.workspaces]
        for workspace_id in spaces:
            yield Failure(dataset=dataset, workspace_id=workspace_id, message=said)

    @property
    def not_in_plan(self) -> tuple[Refusal, ...]:
        """What of it Toggl's plan or the user's role never offers, so that nothing is missing."""
        return tuple(one for one in self._refusals.values() if self._never_offered(one))

    def _never_offered(self, refusal: Refusal) -> bool:
        plan, previous = self.header.plan, self.header.previous
        was_there = previous is not None and previous.read_at(refusal.dataset, refusal.workspace_id)
        never = _NEVER_OFFERED if refusal.dataset in DATASETS else _NEVER_OFFERED[:1]
        return (
            refusal.status in never
            and refusal.dataset != "time_entries"
            and not (plan.names_datasets and refusal.dataset in plan)
            and not was_there
            and not self.progress(Piece(refusal.dataset, refusal.workspace_id)).rows
        )

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
        if self.progress(piece).nameless or any(line.id < 0 for line in lines):
            progress = attrs.evolve(progress, nameless=True)
        if dataset is not None and self._unmet:
            self._meet(piece, dataset, {line.id for line in lines})
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
        if progress.done:
            self._unmet.pop(piece.name, None)
        if dataset is None:
            return 0
        self._rows[dataset.name] += len(lines)
        return self._rows[dataset.name]

    def begin(self, piece: Piece, before: set[int], progress: Progress) -> Progress:
        """Begin to read again what stands in the destination.

        Args:
            piece: what is read.
            before: the ids that stand there.
            progress: how it begins.

        Returns:
            Its progress, committed: what others meet from now on is not this piece's to remove, also when
            another process goes on.
        """
        begun = attrs.evolve(progress, begun=True, unseen=tuple(sorted(before)), before=len(before))
        self.commit(piece, begun)
        self._unmet[piece.name] = set(before)
        return begun

    def meet(self, piece: Piece, ids: Iterable[int]) -> set[int]:
        """Note ids that a piece has met, and return those that nobody has met since it began."""
        unmet = self._unmet.setdefault(piece.name, set())
        unmet.difference_update(ids)
        return set(unmet)

    def _meet(self, piece: Piece, dataset: Dataset, ids: set[int]) -> None:
        """Take ids off the lists of all other pieces that might remove them, before the rows are written."""
        for name, unmet in self._unmet.items():
            other, workspace, *_ = name.split("/")
            same = other == dataset.name and (
                not dataset.key_has_workspace or workspace == str(piece.workspace_id)
            )
            if same and name != piece.name and not unmet.isdisjoint(ids):
                unmet.difference_update(ids)
                saved = attrs.evolve(self._progress[name], unseen=tuple(sorted(unmet)))
                self._sink.commit(Commit(piece=name, progress=saved, requests=self._requests))
                self._progress[name] = saved

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
            if seen.id < 0:
                self._stand_ins.setdefault(dataset.name, set()).add(seen.id)
            for piece, ids in found.items():
                if piece.workspace_id not in {None, seen.workspace_id}:
                    continue
                if piece.days is None or (seen.day and piece.days.first <= seen.day <= piece.days.last):
                    ids.add(seen.id)
        return found

    def has_new_stand_in(self, dataset: Dataset, ids: Iterable[int]) -> bool:
        """Whether a row came without an id that was not there before: it may be any row that did not come."""
        known = self._stand_ins.get(dataset.name, ())
        return any(number < 0 and number not in known for number in ids)

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
        checks, lacking = self.checks, self._lacking()
        manifest = Manifest(
            toggl_async=importlib.metadata.version("toggl_async"),
            layout=header.layout,
            format=header.format,
            finished=error is None,
            complete=error is None and not lacking,
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
            ranges=checks,
            totals_agree=agreement(checks),
            not_in_plan=self.not_in_plan,
            refused=self.refusals,
            failed=self.failures,
            stale=tuple(stale_rows(header, self._missing())),
            warnings=header.account.warnings,
        )
        write_manifest(self._sink.directory, manifest)
        return manifest

    def _lacking(self) -> set[str]:
        """The datasets of which something is missing that is offered; ``totals`` is one here."""
        offered = {one.dataset for one in self._refusals.values() if not self._never_offered(one)}
        return offered | {one.dataset for one in self.failures}

    def _missing(self) -> set[tuple[str, int]]:
        """Dataset and workspace of what was refused or failed."""
        return {*self._refusals, *((one.dataset, one.workspace_id) for one in self.failures)}

    def _recover(self, dataset: Dataset) -> None:
        """Learn which ids are written already; an update needs only to know how many."""
        for seen in self._sink.known(dataset):
            self._rows[dataset.name] += 1
            if self.header.previous is None:
                self.ids(dataset, seen.workspace_id).add(seen.id)

    def _entry(self, name: str, partial: FileFacts | None, *, whole: bool) -> ManifestEntry:
        """What the manifest says of a dataset: whole, begun, or not begun."""
        facts = self._files.get(name, partial) if whole else partial or self._files.get(name)
        finished, key = name in self._files, DATASETS[name].key
        complete = finished and name not in self._lacking()
        if facts is None:
            return ManifestEntry(complete=complete, key=key)
        entry = ManifestEntry(
            complete=complete,
            key=key,
            file=facts.file,
            rows=facts.rows,
            bytes=facts.bytes,
            sha256=facts.sha256,
            as_of=self.header.account.asked_at if finished else None,
        )
        if name != "time_entries" or not finished:
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
