"""The books of an export: the progress of each piece, what was written and refused, and the manifest."""

import asyncio
import datetime as dt
import importlib.metadata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

import attrs

from toggl_async._client.client import TogglClient
from toggl_async.export.mirror.freshness import absent_users, stale_rows, whole_lists, with_older
from toggl_async.export.mirror.keeper import Keeper
from toggl_async.export.mirror.manifest import (
    Check,
    Failure,
    FileFacts,
    Manifest,
    ManifestEntry,
    Refusal,
    agreement,
)
from toggl_async.export.mirror.pieces import Piece, Progress
from toggl_async.export.mirror.run import TOTALS, Run
from toggl_async.export.mirror.store import SCHEMA, Commit, DaySum, Scope
from toggl_async.export.plan.datasets import ENTRIES, Dataset
from toggl_async.export.plan.plan import DateRange
from toggl_async.export.rows import Line

__all__ = ["CHECK", "OF_TIME_ENTRIES", "Books"]

_NEVER_OFFERED = (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN)

_NAMELESS = "got rows without an id"
"""They are kept, and told of: an update can't find them again."""

OF_TIME_ENTRIES = ("running", "changes")
"""Pieces that concern the time entries of all workspaces."""

CHECK = "check"
"""The purpose of the piece that says that a range has no rows, although Toggl's total isn't zero."""

_WHOLE = "whole"
"""The purpose of the piece that says that a dataset was read to its end."""


class Books:
    """Keeps count of a run, and sums it up when it ends, however it ends.

    Args:
        client: whose waits are reported.
        run: what the run is.
        keeper: stores the rows.
        progress: how far earlier processes have come, by piece.
        requests: requests that were sent for it so far.
    """

    def __init__(
        self, client: TogglClient, run: Run, keeper: Keeper, progress: Mapping[str, Progress], requests: int
    ) -> None:
        self.run = run
        self._client = client
        self._keeper = keeper
        self._loop_started = asyncio.get_running_loop().time()
        self._waits_before = dict(client.scheduler.stats().waits)
        self._progress = dict(progress)
        self._requests = requests
        self._rows = dict.fromkeys(run.plan.datasets, 0)
        self._checks: dict[tuple[int, DateRange], Check] = {}
        self._refusals: dict[tuple[str, int], Refusal] = {}
        for refusal in run.previous.refused if run.previous is not None else ():
            if not run.reads(refusal.dataset):
                self.refuse(refusal)
        for saved in self._progress.values():
            if saved.refusal is not None:
                self.refuse(saved.refusal)
            if saved.check is not None:
                self.check(saved.check)

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
        """What could not be read or trusted."""
        before = () if self.run.previous is None else self.run.previous.failed
        kept = [one for one in before if not self.run.reads(one.dataset)]
        # The first one is reported: a cause takes precedence over a sign that something is missing.
        pieces = sorted(self._progress.items(), key=_weight, reverse=True)
        found = [failure for name, progress in pieces for failure in self._failures(name, progress)]
        said: dict[tuple[str, int], Failure] = {}
        for failure in (*found, *kept):
            said.setdefault((failure.dataset, failure.workspace_id), failure)
        return tuple(said.values())

    def failures_of(self, piece: Piece) -> Iterable[Failure]:
        """The failures that follow from an incomplete piece."""
        return self._failures(piece.name, self.progress(piece))

    def _failures(self, name: str, progress: Progress) -> Iterator[Failure]:
        said = progress.failed or (_NAMELESS if progress.nameless else None)
        if said is None:
            return
        dataset, workspace_id = _place(name)
        spaces = [workspace_id or 0]
        if dataset in OF_TIME_ENTRIES:  # such a piece concerns all workspaces
            dataset, spaces = "time_entries", [one.id for one in self.run.account.workspaces]
        for workspace_id in spaces:
            yield Failure(dataset=dataset, workspace_id=workspace_id, message=said)

    @property
    def not_in_plan(self) -> tuple[Refusal, ...]:
        """Those refusals that are due to the plan or the user's role, so that nothing is missing."""
        return tuple(one for one in self._refusals.values() if self._never_offered(one))

    def _never_offered(self, refusal: Refusal) -> bool:
        plan, previous = self.run.plan, self.run.previous
        was_there = previous is not None and previous.read_at(refusal.dataset, refusal.workspace_id)
        return (
            refusal.status in _NEVER_OFFERED
            and refusal.dataset != "time_entries"
            and not (plan.names_datasets and refusal.dataset in plan)
            and not was_there
            and not self.progress(Piece(refusal.dataset, refusal.workspace_id)).rows
        )

    def spend(self, requests: int) -> None:
        """Count requests that were sent."""
        self._requests += requests

    def progress(self, piece: Piece) -> Progress:
        """The progress of a piece."""
        return self._progress.get(piece.name) or Progress()

    async def commit(
        self,
        piece: Piece,
        progress: Progress,
        *,
        dataset: Dataset | None = None,
        lines: Sequence[Line] = (),
        met: Collection[int] = (),
        deleted: Collection[int] = (),
        awaited: Sequence[int] = (),
    ) -> int:
        """Write rows together with the progress of their piece, both or neither; see `Commit`.

        Returns:
            How many rows of the dataset this run has read so far.

        Raises:
            OSError: they could not be written.
        """
        if self.progress(piece).nameless or any(line.id < 0 for line in lines):
            progress = attrs.evolve(progress, nameless=True)
        await self._commit(
            Commit(
                piece=piece.name,
                progress=progress,
                requests=self._requests,
                dataset=dataset,
                workspace_id=piece.workspace_id,
                lines=list({line.id: line for line in lines}.values()),
                met=sorted(met),
                deleted=sorted(deleted),
                awaited=awaited,
            )
        )
        if dataset is None:
            return 0
        self._rows[dataset.name] += len(lines)
        return self._rows[dataset.name]

    async def _commit(self, commit: Commit) -> None:
        await self._keeper.commit(commit)
        self._progress[commit.piece] = commit.progress

    async def begin(
        self, piece: Piece, scope: Scope, progress: Progress, *, spared: Collection[int] = ()
    ) -> None:
        """Begin to read again what is in the mirror.

        From now on, the piece may not delete rows that other pieces meet, even if another process resumes
        it.

        Args:
            piece: what is read.
            scope: the rows that it should meet.
            progress: how it begins.
            spared: ids that it doesn't have to meet.
        """
        before = len((await self.known(scope)).difference(spared))
        await self._commit(
            Commit(
                piece=piece.name,
                progress=attrs.evolve(progress, begun=True, before=before),
                requests=self._requests,
                dataset=scope.dataset,
                workspace_id=piece.workspace_id,
                expected=scope,
                spared=sorted(spared),
            )
        )

    async def unmet(self, piece: Piece) -> set[int]:
        """The ids of rows that no piece has met since this one began to look for them."""
        return await self._keeper.unmet(piece.name) if self.progress(piece).begun else set()

    async def awaits(self, piece: Piece, number: int) -> bool:
        """Whether a row that a piece awaits has not been met by any piece."""
        return number in await self._keeper.unmet(piece.name)

    async def known(self, scope: Scope) -> set[int]:
        """The ids of rows that the mirror has."""
        return await self._keeper.known(scope)

    def is_finished(self, dataset: Dataset) -> bool:
        """Whether a dataset was read to its end."""
        return self.progress(Piece(dataset.name, purpose=_WHOLE)).done

    async def finish(self, dataset: Dataset) -> FileFacts:
        """Note that a dataset was read to its end; return where its rows are."""
        await self.commit(Piece(dataset.name, purpose=_WHOLE), Progress(done=True))
        return FileFacts(file=self._keeper.name, rows=await self._keeper.count(dataset))

    async def has_new_stand_in(self, dataset: Dataset, ids: Iterable[int]) -> bool:
        """Whether a new row came without an id: it may be any of the rows that are missing."""
        nameless = {number for number in ids if number < 0}
        return bool(nameless) and not nameless <= await self._keeper.stand_ins(dataset)

    @property
    def is_ordered(self) -> bool:
        """Whether Toggl sorted reports by last change whenever it was asked to."""
        return not any(progress.unordered for progress in self._progress.values())

    async def sums(self) -> Sequence[DaySum]:
        """The time entries in the mirror by workspace and day, without those about to be deleted."""
        return await self._keeper.sums(self._deleting(ENTRIES))

    def _deleting(self, dataset: Dataset) -> list[str]:
        """The pieces that, once all of a dataset has been read, delete the rows that no piece has met."""
        return [
            name
            for name, progress in self._progress.items()
            if progress.deletes and _place(name)[0] == dataset.name
        ]

    def is_deleting(self, dataset: Dataset) -> bool:
        """Whether a dataset has pieces that will delete rows once all of it has been read."""
        return bool(self._deleting(dataset))

    async def delete(self, dataset: Dataset) -> None:
        """Delete the rows of a dataset that no piece has met, now that all of it has been read."""
        for name in self._deleting(dataset):
            await self._end_deleting(name, dataset, await self._keeper.unmet(name))

    async def keep(self, dataset: Dataset) -> None:
        """Keep the rows that pieces of a dataset lack: they may be where no piece has looked again."""
        for name in self._deleting(dataset):
            await self._end_deleting(name, dataset, ())

    async def _end_deleting(self, name: str, dataset: Dataset, missing: Iterable[int]) -> None:
        await self._commit(
            Commit(
                piece=name,
                progress=attrs.evolve(self._progress[name], deletes=False),
                requests=self._requests,
                dataset=dataset,
                workspace_id=_place(name)[1],
                missing=sorted(missing),
            )
        )

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

    async def close(self, error: str | None) -> Manifest:
        """Sum up the run.

        Args:
            error: what ended it early; None when it came to its end.

        Raises:
            OSError: the mirror could not be read.
        """
        run, stats = self.run, self._client.scheduler.stats()
        entries = {dataset.name: await self._entry(dataset) for dataset in run.plan.chosen()}
        checks = self.checks
        return Manifest(
            toggl_async=importlib.metadata.version("toggl_async"),
            layout=str(SCHEMA),
            format="mirror",
            finished=error is None,
            complete=error is None and not self._lacking(),
            error=error,
            update=run.previous is not None,
            started_at=run.started_at,
            finished_at=dt.datetime.now(dt.UTC),
            duration=round(asyncio.get_running_loop().time() - self._loop_started, 3),
            base_url=run.base_url,
            user_id=run.account.user_id,
            timezone=run.account.timezone,
            plan=run.plan,
            workspaces=tuple(workspace.id for workspace in run.account.workspaces),
            requests=self._requests,
            waits={
                reason: round(seconds - self._waits_before.get(reason, 0.0), 3)
                for reason, seconds in stats.waits.items()
            },
            rows=sum(entry.rows for entry in entries.values()),
            datasets=entries,
            files={},
            ranges=checks,
            totals_agree=agreement(checks),
            not_in_plan=self.not_in_plan,
            refused=self.refusals,
            failed=self.failures,
            stale=tuple(stale_rows(run, self.missing())),
            whole_lists=tuple(whole_lists(run, self._progress)),
            warnings=(*run.account.warnings, *absent_users(run, self._progress)),
            kept_from=run.kept_from,
            read=tuple(name for name in run.plan.datasets if run.reads(name)),
        )

    def _lacking(self) -> set[str]:
        """The datasets that lack something that Toggl offers; ``totals`` counts as one here."""
        offered = {one.dataset for one in self._refusals.values() if not self._never_offered(one)}
        short = {ENTRIES.name} if self._is_short() else set()
        return offered | {one.dataset for one in self.failures} | short

    def _is_short(self) -> bool:
        """Whether Toggl's totals count time entries that the mirror lacks.

        If a run doesn't compare all totals, those that the previous run lacked may still be missing.
        """
        previous = self.run.previous
        if previous is not None and not self.run.reads(TOTALS):
            before = previous.datasets.get(ENTRIES.name)
            if before is not None and not before.complete:
                return True
        return any(check.is_short for check in self._checks.values())

    def missing(self) -> set[tuple[str, int]]:
        """Dataset and workspace of what was refused or failed."""
        return {*self._refusals, *((one.dataset, one.workspace_id) for one in self.failures)}

    async def _entry(self, dataset: Dataset) -> ManifestEntry:
        """The entry of a dataset in the manifest, whether it is finished, begun, or not begun."""
        previous = self.run.previous
        if previous is not None and not self.run.reads(dataset.name):
            return attrs.evolve(
                previous.datasets[dataset.name],
                complete=dataset.name not in self._lacking(),
                file=None,
                rows=await self._keeper.count(dataset),
                bytes=None,
                sha256=None,
            )
        finished = self.is_finished(dataset)
        entry = ManifestEntry(
            complete=finished and dataset.name not in self._lacking(),
            key=dataset.key,
            rows=await self._keeper.count(dataset),
            bytes=None,
            as_of=self.run.account.asked_at if finished else None,
        )
        if dataset is not ENTRIES or not finished:
            return entry
        return with_older(entry, self.run, ordered=self.is_ordered)


def _place(name: str) -> tuple[str, int | None]:
    """The dataset and the workspace of a piece, by its name."""
    dataset, workspace, *_ = (*name.split("/"), "")
    return dataset, int(workspace) if workspace.isdecimal() else None


def _weight(one: tuple[str, Progress]) -> int:
    """The weight of a piece's failure: a cause explains more than a check that found rows missing."""
    name, progress = one
    if progress.failed is None:
        return 0
    return 1 if name.endswith(f"/{CHECK}") else 2


def _newest_first(key: tuple[int, DateRange]) -> tuple[int, int]:
    workspace_id, days = key
    return workspace_id, -days.first.toordinal()
