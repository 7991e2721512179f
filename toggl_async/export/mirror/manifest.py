"""The manifest: what an export took, from where, at what price, and whether it agrees with Toggl."""

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
import msgspec

from toggl_async.export.mirror.storage import write_atomically
from toggl_async.export.plan.plan import ExportPlan

__all__ = [
    "MANIFEST",
    "Changes",
    "Check",
    "Failure",
    "File",
    "FileFacts",
    "Manifest",
    "ManifestEntry",
    "MonthCheck",
    "Refusal",
    "Stale",
    "agreement",
    "write_manifest",
]

MANIFEST = "manifest.json"
"""The file's name in the destination."""


@attrs.frozen(kw_only=True)
class MonthCheck:
    """A calendar month of a range, as far as the range touches it.

    Attributes:
        month: its first day.
        rows: finished time entries in the destination.
        seconds: their sum.
        server_seconds: Toggl's sum, unrounded; None where Toggl's graph has no months.
    """

    month: dt.date
    rows: int
    seconds: int
    server_seconds: int | None = None


@attrs.frozen(kw_only=True)
class Check:
    """A range of one workspace's time entries, against Toggl's total of the same days.

    Attributes:
        workspace_id: the workspace.
        first: the first day.
        last: the last day, included.
        rows: finished time entries in the destination.
        seconds: their sum.
        server_seconds: Toggl's sum, unrounded; None when Toggl did not tell it.
        months: the same month by month.
        agrees: whether the sums are equal, whatever it is made with; None when there is none of Toggl's.
    """

    workspace_id: int
    first: dt.date
    last: dt.date
    rows: int
    seconds: int
    server_seconds: int | None = None
    months: tuple[MonthCheck, ...] = ()
    agrees: bool | None = None

    def __attrs_post_init__(self) -> None:
        agrees = None if self.server_seconds is None else self.seconds == self.server_seconds
        object.__setattr__(self, "agrees", agrees)

    @property
    def is_short(self) -> bool:
        """Whether Toggl's sum is more, so that time entries are missing."""
        return self.server_seconds is not None and self.server_seconds > self.seconds


def agreement(checks: Iterable[Check]) -> bool | None:
    """Whether all sums agree with Toggl's; None when there was none to compare."""
    compared = [check.agrees for check in checks if check.agrees is not None]
    return all(compared) if compared else None


@attrs.frozen(kw_only=True)
class Refusal:
    """A dataset of one workspace that Toggl refused, so that its rows are missing.

    Attributes:
        dataset: the name of the dataset; ``totals`` where Toggl's sums of time entries were refused.
        workspace_id: the workspace.
        status: 402 when the plan lacks the feature, 403, 404 or 410 when the user has no right to it or
            it is not there.
        message: Toggl's own words.
    """

    dataset: str
    workspace_id: int
    status: int
    message: str


@attrs.frozen(kw_only=True)
class Failure:
    """A dataset of one workspace that is not whole because an answer failed or could not be trusted.

    Attributes:
        dataset: the name of the dataset; ``totals`` where it is Toggl's sums of time entries.
        workspace_id: the workspace.
        message: what was wrong.
    """

    dataset: str
    workspace_id: int
    message: str


@attrs.frozen(kw_only=True)
class Stale:
    """Rows of an earlier run that an update could not read again, and left as they were.

    Toggl refused them, reading them failed, or the token sees the workspace no more.

    Attributes:
        dataset: the name of the dataset.
        workspace_id: the workspace.
        as_of: when they were last read; this, and not the dataset's, holds for them.
    """

    dataset: str
    workspace_id: int
    as_of: dt.datetime


@attrs.frozen(kw_only=True)
class ManifestEntry:
    """A dataset in the manifest.

    Attributes:
        complete: whether it is whole: it was read to its end, and nothing of it was refused or failed,
            but for what the plan or the user's role never offers; and of time entries, none that Toggl's
            totals count are missing.
        key: the fields that make a row unique in it.
        file: its file in the destination; None where there is none of this run, but the mirror alone.
        rows: rows of the dataset in the mirror, and in that file.
        bytes: size of the file; None when other datasets are in it as well.
        sha256: checksum of the file; likewise.
        as_of: the server's time at which the dataset was last read or asked for changes: what
            happened later need not be in it.
        read_from: for time entries of an update, the day from which on all were read again; None when
            all were. Of older ones additions, edits and deletions are applied, but for what Toggl does
            not tell: new names of projects, clients, tasks and tags beside them, and the deletion of
            an entry of no length.
        older_read_at: for the entries older than that, when the last of them were read for whatever
            reason, at the latest: so old may those names be.
        older_edits_as_of: up to when edits of them that change no sum are applied; earlier than `as_of`
            if Toggl did not sort a report by its last changes; and where the run left older ones out, up
            to when any change of them is.
    """

    complete: bool
    key: tuple[str, ...]
    file: str | None = None
    rows: int = 0
    bytes: int | None = 0
    sha256: str | None = None
    as_of: dt.datetime | None = None
    read_from: dt.date | None = None
    older_read_at: dt.datetime | None = None
    older_edits_as_of: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class File:
    """A file of the export."""

    bytes: int
    sha256: str


@attrs.frozen(kw_only=True)
class FileFacts:
    """What became of a dataset's file.

    Attributes:
        file: its name in the destination.
        rows: rows of the dataset in it.
        bytes: its size; None for a database, which holds other datasets as well.
        sha256: its checksum, in hexadecimal; None for a database.
    """

    file: str
    rows: int
    bytes: int | None = None
    sha256: str | None = None


@attrs.frozen(kw_only=True)
class Changes:
    """What a run changed in a dataset of the mirror, in rows.

    Attributes:
        added: those that were not there, or were deleted.
        edited: those that Toggl has otherwise than before.
        deleted: those that Toggl has no more.
    """

    added: int = 0
    edited: int = 0
    deleted: int = 0


@attrs.frozen(kw_only=True)
class Manifest:
    """What stands in ``manifest.json``; all times UTC, durations in seconds.

    Attributes:
        toggl_async: the version that wrote it.
        layout: which columns and files there are; an update takes a destination of its own only.
        format: the format of the files.
        finished: whether the export came to its end, so that an update may go on from here.
        complete: whether nothing is missing that the plan and the token's rights offer: the export is
            finished, nothing was refused, `not_in_plan` aside, or failed, and no total of Toggl's is more
            than the seconds in the rows.
        error: what ended it before; None when nothing did.
        update: whether it brought an earlier export up to date.
        started_at: when it began, in the first of its runs.
        finished_at: when it ended.
        duration: how long the last run took, by the clock that the requests are paced with.
        base_url: the server.
        user_id: whose token it was.
        timezone: the time zone of the user's profile, in which Toggl counts days and writes the times of
            time entries; None where Toggl doesn't say.
        plan: what was asked for.
        workspaces: the ids of the workspaces that were read.
        requests: requests sent in all runs, repeated ones included.
        waits: seconds of the last run during which everything waited, by reason; accounts that share
            a scheduler are added up.
        rows: rows of all datasets.
        datasets: what became of each dataset, by name.
        files: size and checksum of each whole file.
        ranges: the time entries by workspace and range, newest first.
        totals_agree: whether all sums agree with Toggl's; None when there was none to compare.
        refused: what Toggl refused.
        not_in_plan: what of it Toggl's plan or the user's role never offers, so that nothing is missing;
            never time entries, nor a dataset that the plan of the export names, nor what was there before.
        failed: what could not be read, or came in an unexpected shape.
        stale: what an update could not read again.
        warnings: why what Toggl says of the account may not be the whole.
        excel: whether the CSV files are for people and their spreadsheets.
        kept_from: the first day of the time entries that the mirror keeps, since older ones were forgotten;
            None where none were.
        read: the names of the datasets that the run read; the others are as an earlier one left them.
        changes: what it changed in each dataset; only those that it changed are named.
        revision: the latest revision of the mirror at its end.
    """

    toggl_async: str
    layout: str
    format: str
    finished: bool
    complete: bool
    error: str | None
    update: bool
    started_at: dt.datetime
    finished_at: dt.datetime
    duration: float
    base_url: str
    user_id: int
    timezone: str | None
    plan: ExportPlan
    workspaces: tuple[int, ...]
    requests: int
    waits: Mapping[str, float]
    rows: int
    datasets: Mapping[str, ManifestEntry]
    files: Mapping[str, File]
    ranges: tuple[Check, ...]
    totals_agree: bool | None
    refused: tuple[Refusal, ...]
    not_in_plan: tuple[Refusal, ...]
    failed: tuple[Failure, ...]
    stale: tuple[Stale, ...]
    warnings: tuple[str, ...] = ()
    excel: bool = False
    kept_from: dt.date | None = None
    read: tuple[str, ...] = ()
    changes: Mapping[str, Changes] = attrs.field(factory=dict)
    revision: int = 0


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the destination, whole or not at all."""
    data = msgspec.json.format(msgspec.json.encode(attrs.asdict(manifest)), indent=2)
    write_atomically(directory / MANIFEST, data + b"\n")
