"""The manifest: what was exported, from where, at what cost, and whether it agrees with Toggl."""

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
    "WholeList",
    "agreement",
    "write_manifest",
]

MANIFEST = "manifest.json"
"""The file's name in the destination."""


@attrs.frozen(kw_only=True)
class MonthCheck:
    """A calendar month of a range, as far as the range overlaps it.

    Attributes:
        month: its first day.
        rows: finished time entries in the destination.
        seconds: their sum.
        server_seconds: Toggl's sum, unrounded; None if Toggl's graph has no months.
    """

    month: dt.date
    rows: int
    seconds: int
    server_seconds: int | None = None


@attrs.frozen(kw_only=True)
class Check:
    """The comparison of a range of one workspace's time entries with Toggl's total for the same days.

    Attributes:
        workspace_id: the workspace.
        first: the first day.
        last: the last day, inclusive.
        rows: finished time entries in the destination.
        seconds: their sum.
        server_seconds: Toggl's sum, unrounded; None if Toggl didn't give one.
        months: the same, month by month.
        agrees: whether the sums are equal, computed from them; None if Toggl gave none.
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
        """Whether Toggl's sum is more, which means that time entries are missing."""
        return self.server_seconds is not None and self.server_seconds > self.seconds


def agreement(checks: Iterable[Check]) -> bool | None:
    """Whether all sums agree with Toggl's; None when there was none to compare."""
    compared = [check.agrees for check in checks if check.agrees is not None]
    return all(compared) if compared else None


@attrs.frozen(kw_only=True)
class Refusal:
    """A dataset of one workspace that Toggl refused, so that its rows are missing.

    Attributes:
        dataset: the name of the dataset, or ``totals`` for Toggl's sums of time entries.
        workspace_id: the workspace.
        status: 402 if the plan lacks the feature; 403, 404 or 410 if the user has no permission, or it
            doesn't exist.
        message: Toggl's own words.
    """

    dataset: str
    workspace_id: int
    status: int
    message: str


@attrs.frozen(kw_only=True)
class Failure:
    """A dataset of one workspace that is incomplete because an answer failed or could not be trusted.

    Attributes:
        dataset: the name of the dataset, or ``totals`` for Toggl's sums of time entries.
        workspace_id: the workspace.
        message: what was wrong.
    """

    dataset: str
    workspace_id: int
    message: str


@attrs.frozen(kw_only=True)
class Stale:
    """Rows of an earlier run that an update could not read again, and left as they were.

    Toggl refused them, reading them failed, or the token no longer sees the workspace.

    Attributes:
        dataset: the name of the dataset.
        workspace_id: the workspace.
        as_of: when they were last read; this replaces the `as_of` of the dataset.
    """

    dataset: str
    workspace_id: int
    as_of: dt.datetime


@attrs.frozen(kw_only=True)
class WholeList:
    """A list of several pages of which two readings in full brought the same, apart from new rows.

    An update asks such a list only for what changed, until the later of these readings is a week old.

    Attributes:
        dataset: the name of the dataset.
        workspace_id: the workspace.
        as_of: the server's time at which it was read in full.
        changes_from: the server's time from which on the next update asks for changes. That is when the list
            was last read; or the time before, if the latest reading was of several pages, because a new row
            may have moved from one to another meanwhile.
    """

    dataset: str
    workspace_id: int
    as_of: dt.datetime
    changes_from: dt.datetime


@attrs.frozen(kw_only=True)
class ManifestEntry:
    """A dataset in the manifest.

    Attributes:
        complete: whether it was read to its end, and nothing of it failed or was refused, apart from what the
            plan or the user's role never offers; for time entries, also whether none are missing that Toggl's
            totals count.
        key: the fields that identify a row.
        file: its file in the destination; None if this run wrote no file, only the mirror.
        rows: rows of the dataset in the mirror, and in that file.
        bytes: size of the file; None if other datasets are in it as well.
        sha256: checksum of the file; None in the same case.
        as_of: the server's time at which the dataset, or its changes, were last read; later changes may not
            be in it.
        read_from: for time entries of an update, the first day from which all were read again; None if all
            were. Additions, edits and deletions of older ones are included, apart from what Toggl doesn't
            report: new names of their projects, clients, tasks and tags, and the deletion of an entry without
            a duration.
        older_read_at: for the entries older than that, when all of them were last read; their names may be as
            old as this.
        older_edits_as_of: the time up to which edits of older entries that change no sum are included;
            earlier than `as_of` if Toggl did not sort a report by its last changes. If the run left older
            entries out, the time up to which any change of them is included.
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
    """Facts about a dataset's file.

    Attributes:
        file: its name in the destination.
        rows: rows of the dataset in it.
        bytes: its size; None for a database, which contains other datasets as well.
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
        added: rows that were not in the mirror, or were marked as deleted.
        edited: rows whose content in Toggl has changed.
        deleted: rows that Toggl no longer has.
    """

    added: int = 0
    edited: int = 0
    deleted: int = 0


@attrs.frozen(kw_only=True)
class Manifest:
    """The content of ``manifest.json``; all times are UTC, durations are in seconds.

    Attributes:
        toggl_async: the version that wrote it.
        layout: which columns and files there are; an update accepts only a destination of its own layout.
        format: the format of the files.
        finished: whether the export came to its end, so that an update can continue from here.
        complete: whether the export has everything that Toggl's plan and the token's permissions offer: it is
            finished, nothing failed or was refused (apart from `not_in_plan`), and none of Toggl's totals is
            more than the seconds in the rows.
        error: what ended it early; None if nothing did.
        update: whether it brought an earlier export up to date.
        started_at: when it began, in the first of its runs.
        finished_at: when it ended.
        duration: how long the last run took, by the clock that paces the requests.
        base_url: the server.
        user_id: whose token it was.
        timezone: the time zone of the user's profile, in which Toggl counts days and writes the times of time
            entries; None if Toggl doesn't say.
        plan: what was asked for.
        workspaces: the ids of the workspaces that were read.
        requests: requests sent in all runs, including repeated ones.
        waits: seconds of the last run during which everything waited, by reason, summed over the accounts
            that share the scheduler.
        rows: rows of all datasets.
        datasets: each dataset, by name.
        files: size and checksum of each whole file.
        ranges: the comparison of time entries with Toggl's totals, by workspace and range, newest first.
        totals_agree: whether all sums agree with Toggl's; None if there was none to compare.
        refused: what Toggl refused.
        not_in_plan: those of `refused` that Toggl's plan or the user's role never offers, so that nothing is
            missing; never time entries, a dataset that the export's plan names, or one that was there before.
        failed: what could not be read, or had an unexpected shape.
        stale: what an update could not read again.
        whole_lists: the lists of several pages that an update may ask only for what changed.
        warnings: why Toggl may not show the whole account, and whom it doesn't list.
        excel: whether the CSV files are for spreadsheets.
        kept_from: the first day of the time entries that the mirror keeps, if older ones were forgotten;
            otherwise None.
        read: the names of the datasets that the run read; the others are as an earlier run left them.
        changes: what the run changed, for each dataset that it changed.
        revision: the mirror's latest revision at the end of the run.
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
    waits: Mapping[str, float] = attrs.field(hash=False)
    rows: int
    datasets: Mapping[str, ManifestEntry] = attrs.field(hash=False)
    files: Mapping[str, File] = attrs.field(hash=False)
    ranges: tuple[Check, ...]
    totals_agree: bool | None
    refused: tuple[Refusal, ...]
    not_in_plan: tuple[Refusal, ...]
    failed: tuple[Failure, ...]
    stale: tuple[Stale, ...]
    whole_lists: tuple[WholeList, ...] = ()
    warnings: tuple[str, ...] = ()
    excel: bool = False
    kept_from: dt.date | None = None
    read: tuple[str, ...] = ()
    changes: Mapping[str, Changes] = attrs.field(factory=dict, hash=False)
    revision: int = 0


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the destination, whole or not at all."""
    data = msgspec.json.format(msgspec.json.encode(attrs.asdict(manifest)), indent=2)
    write_atomically(directory / MANIFEST, data + b"\n")
