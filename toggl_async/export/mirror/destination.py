"""The destination: whose export a directory holds, and whether this one can go on with it.

While an export is under way the file ``progress.json`` says what it is: plan, account, format. It is
written before anything else and removed after the manifest of a finished export. The rows and how far
they are belong to the sink.
"""

import datetime as dt
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import attrs
import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.lock import LOCK
from toggl_async.export.mirror.manifest import MANIFEST, Failure, File, ManifestEntry, Refusal, Stale
from toggl_async.export.mirror.storage import PARTIAL, digest, sync_directory, write_atomically
from toggl_async.export.plan.datasets import DATASETS
from toggl_async.export.plan.plan import ExportPlan
from toggl_async.export.plan.survey import Survey

__all__ = ["HEADER", "Header", "Previous", "Standing", "check_destination", "layout_of", "standing"]

T = TypeVar("T")

HEADER = "progress.json"
"""The file's name in the destination, while an export is under way."""

_LAYOUT = 1
"""Counts up when the files of an export, or what resuming needs of them, change."""


@attrs.frozen(kw_only=True)
class Previous:
    """What an update needs to know of the finished export that it builds on: a part of its manifest.

    Attributes:
        layout: which columns and files there are.
        format: the format of the files.
        finished: whether it came to its end.
        base_url: the server.
        user_id: whose token it was.
        plan: what was asked for.
        workspaces: the ids of the workspaces that were read.
        datasets: each dataset, by name: above all how fresh it is.
        files: size and checksum of each file.
        refused: what Toggl refused.
        failed: what could not be read.
        stale: what is older than its dataset says.
    """

    layout: str
    format: str
    finished: bool
    base_url: str
    user_id: int
    plan: ExportPlan
    workspaces: tuple[int, ...]
    datasets: Mapping[str, ManifestEntry]
    files: Mapping[str, File]
    refused: tuple[Refusal, ...]
    failed: tuple[Failure, ...]
    stale: tuple[Stale, ...]

    def read_at(self, dataset: str, workspace_id: int) -> dt.datetime | None:
        """The server's time at which rows were last read, or asked for changes; None when never."""
        for one in self.stale:
            if (one.dataset, one.workspace_id) == (dataset, workspace_id):
                return one.as_of
        lacking: tuple[Refusal | Failure, ...] = (*self.refused, *self.failed)
        missing = {(one.dataset, one.workspace_id) for one in lacking}
        if workspace_id not in self.workspaces or (dataset, workspace_id) in missing:
            return None
        found = self.datasets.get(dataset)
        return None if found is None else found.as_of

    def as_left_in(self, directory: Path) -> "Previous":
        """The same without the datasets whose file is gone, or not as it was written.

        What is missing or edited in them would not show: nobody edited it at Toggl.

        Raises:
            InvalidInput: a directory that is not empty has the name of a file.
        """
        left = {name for name, file in self.files.items() if _is_left(directory / name, file)}
        kept = {name: entry for name, entry in self.datasets.items() if entry.file in left}
        stale = tuple(one for one in self.stale if one.dataset in kept)
        return attrs.evolve(self, datasets=kept, stale=stale)


def _is_left(path: Path, file: File) -> bool:
    """Whether a file is there, and as it was written; a directory in its place is removed if it is empty."""
    try:
        if path.is_dir():
            path.rmdir()
        return path.stat().st_size == file.bytes and digest(path) == file.sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        if path.is_dir():
            raise InvalidInput(
                f"{path} is a directory, but a file is expected there: move it away"
            ) from error
        return False


@attrs.frozen(kw_only=True)
class Header:
    """What an export under way is.

    Attributes:
        run: its name, by which the sink knows its own progress.
        layout: which columns and files there are.
        format: the format of the files.
        base_url: the server.
        plan: what is asked for.
        account: what the first contact brought.
        started_at: when it began, UTC.
        previous: the export that it brings up to date; None when it is the first.
        read_from: for an update, the first of the days whose time entries are all read again.
    """

    run: str
    layout: str
    format: str
    base_url: str
    plan: ExportPlan
    account: Survey
    started_at: dt.datetime
    previous: Previous | None = None
    read_from: dt.date | None = None

    def write(self, directory: Path) -> None:
        """Write the header into the destination."""
        write_atomically(directory / HEADER, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @staticmethod
    def remove(directory: Path) -> None:
        """Remove the header: the export is finished."""
        (directory / HEADER).unlink(missing_ok=True)
        sync_directory(directory)


@attrs.frozen(kw_only=True)
class Standing:
    """What a destination holds: an export under way, a finished one, or nothing."""

    header: Header | None = None
    finished: Previous | None = None


def layout_of(name: str) -> str:
    """What identifies the files of a format: for those with columns, the columns."""
    if name == "jsonl":
        return str(_LAYOUT)
    from toggl_async.export.mirror.tables import table  # noqa: PLC0415 - it loads every record

    columns = [
        (name, [(column.name, column.kind.name) for column in table(name).columns]) for name in DATASETS
    ]
    return f"{_LAYOUT}-{hashlib.sha256(msgspec.json.encode(columns)).hexdigest()[:16]}"


def standing(directory: Path, *, plan: ExportPlan, base_url: str, format: str, update: bool) -> Standing:  # noqa: A002
    """Say what a destination holds, and refuse what this export cannot go on with.

    Args:
        directory: the destination; it need not be there.
        plan: what is asked for.
        base_url: the server.
        format: the format of the files.
        update: whether a finished export is to be brought up to date.

    Raises:
        InvalidInput: the directory cannot be a destination, or holds another export.
    """
    check_destination(directory)
    header = _read(directory / HEADER, Header)
    if header is not None:
        _refuse_other(directory, header, plan=plan, base_url=base_url, format=format)
        return Standing(header=header)
    finished = _read(directory / MANIFEST, Previous)
    if finished is None:
        return Standing()
    _refuse_other(directory, finished, plan=plan, base_url=base_url, format=format)
    if not update:
        raise InvalidInput(f"{directory} contains a finished export; --update brings it up to date")
    return Standing(finished=finished)


def _refuse_other(
    directory: Path,
    held: Header | Previous,
    *,
    plan: ExportPlan,
    base_url: str,
    format: str,  # noqa: A002
) -> None:
    """Refuse a destination of another format, version, server or plan."""
    if held.format != format:
        raise InvalidInput(f"{directory} contains an export in the format {held.format}, not {format}")
    if held.layout != layout_of(format):
        raise InvalidInput(f"{directory} contains an export made by another version of toggl_async")
    if held.base_url != base_url:
        raise InvalidInput(f"{directory} contains an export from {held.base_url}, not {base_url}")
    if held.plan != plan:
        differing = [
            field.name
            for field in attrs.fields(ExportPlan)
            if getattr(held.plan, field.name) != getattr(plan, field.name)
        ]
        raise InvalidInput(
            f"{directory} contains an export with other options: {', '.join(differing)} differ; "
            "go on with the same choices, or name another directory"
        )


def check_destination(directory: Path, *, subfolders: bool = False) -> None:
    """Refuse what can't be a destination; nothing is made.

    Args:
        directory: the destination.
        subfolders: whether it holds destinations, rather than being one.

    Raises:
        InvalidInput: it isn't a directory, holds something else than an export, or can't be written to.
    """
    try:
        if directory.exists():
            if not directory.is_dir():
                raise InvalidInput(f"{directory} is not a directory")
            names = {path.name for path in directory.iterdir()}
            begun = {LOCK, HEADER + PARTIAL}  # what a kill in the first moment leaves
            if not subfolders and names - begun and not names & {HEADER, MANIFEST}:
                raise InvalidInput(f"{directory} is not empty and does not contain an export")
        ground = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    except OSError as error:
        raise InvalidInput(f"cannot write to {directory}: {error.strerror}") from error
    effective = os.access in os.supports_effective_ids
    if not ground.is_dir() or not os.access(ground, os.W_OK | os.X_OK, effective_ids=effective):
        raise InvalidInput(f"cannot write to {directory}: {ground} is not a directory that you can write to")


def _read(path: Path, kind: type[T]) -> T | None:
    """Read a file of ours; None when it isn't there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from error
