"""The destination: what a directory contains, and whether an export can go there."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import attrs
import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.manifest import MANIFEST, File
from toggl_async.export.mirror.run import Previous, refuse_other
from toggl_async.export.mirror.storage import MIRROR, check_name, is_special
from toggl_async.export.plan.datasets import DATASETS
from toggl_async.export.plan.plan import ExportPlan

__all__ = ["MIRROR", "Held", "check_destination", "held_by", "layout_of"]

_OLD = "progress.json"
"""A file that versions without a mirror kept during an export."""

_LAYOUT = 2
"""Counts up when the files of an export change."""


@attrs.frozen(kw_only=True)
class Held(Previous):
    """The export whose files a directory holds, by its manifest.

    Attributes:
        layout: which columns and files there are.
        format: the format of the files.
        finished: whether it came to its end.
        excel: whether its CSV files are for spreadsheets.
        files: size and checksum of each file.
        revision: the latest revision of the mirror when they were written.
    """

    layout: str
    format: str
    finished: bool
    excel: bool = False
    files: Mapping[str, File] = attrs.field(factory=dict)
    revision: int = 0


def layout_of(name: str) -> str:
    """An identifier of the layout of a format's files, derived from their columns, if they have any."""
    if name == "jsonl":
        return str(_LAYOUT)
    from toggl_async.export.mirror.tables import table  # noqa: PLC0415 - it loads every record

    columns = [
        (name, [(column.name, column.kind.name) for column in table(name).columns]) for name in DATASETS
    ]
    return f"{_LAYOUT}-{hashlib.sha256(msgspec.json.encode(columns)).hexdigest()[:16]}"


def held_by(
    directory: Path,
    *,
    plan: ExportPlan,
    base_url: str,
    format: str | None = None,  # noqa: A002
    excel: bool | None = None,
) -> Held | None:
    """The export whose files a directory holds; None where there is none.

    Args:
        directory: the destination, which may not exist yet.
        plan: what is asked for.
        base_url: the server.
        format: the format of the files; None for any.
        excel: whether they are CSV for spreadsheets; None for either.

    Raises:
        InvalidInput: the directory can't be a destination, or holds an export of another format, version,
            server or plan.
    """
    check_destination(directory)
    held = _read(directory / MANIFEST)
    if held is None:
        return None
    if format is not None and held.format != format:
        raise InvalidInput(f"{directory} contains an export in the format {held.format}, not {format}")
    if excel is not None and held.excel is not excel:
        made = "for spreadsheets (excel)" if held.excel else "for machines, not for spreadsheets (excel)"
        raise InvalidInput(
            f"{directory} contains CSV files {made}; keep that kind, or name another directory"
        )
    if held.layout != layout_of(held.format):
        raise InvalidInput(f"{directory} contains an export made by another version of toggl_async")
    refuse_other(str(directory), held, plan=plan, base_url=base_url)
    return held


def check_destination(directory: Path, *, subfolders: bool = False) -> None:
    """Check that a directory can be a destination, without creating anything.

    Args:
        directory: the destination.
        subfolders: whether it contains destinations, instead of being one.

    Raises:
        InvalidInput: it isn't a directory, holds something else than an export, or can't be written to.
    """
    check_name(directory)
    try:
        if directory.exists():
            if not directory.is_dir():
                raise InvalidInput(f"{directory} is not a directory")
            names = {path.name for path in directory.iterdir()}
            if not subfolders and names and not names & {MIRROR, MANIFEST, _OLD}:
                raise InvalidInput(f"{directory} is not empty and does not contain an export")
            if _OLD in names:
                raise InvalidInput(
                    f"{directory} contains an unfinished export made by another version of toggl_async"
                )
            for name in sorted(names & {MIRROR, MANIFEST}):
                if is_special(directory / name) and not (directory / name).is_dir():
                    raise InvalidInput(f"{directory / name} is not a regular file: move it away")
        ground = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    except OSError as error:
        raise InvalidInput(f"cannot write to {directory}: {error.strerror}") from error
    effective = os.access in os.supports_effective_ids
    if not ground.is_dir() or not os.access(ground, os.W_OK | os.X_OK, effective_ids=effective):
        raise InvalidInput(f"cannot write to {directory}: {ground} is not a directory that you can write to")


def _read(path: Path) -> Held | None:
    """Read a manifest; None when it isn't there."""
    try:
        data = path.read_bytes()
        held = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        is_of_another_version = "toggl_async" in held and "timezone" not in held
        if not is_of_another_version:
            return msgspec.json.decode(data, type=Held)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(
            f"{path} is damaged: {error}; remove that file, and run the same command again: the rows are in "
            f"{MIRROR}, and stay"
        ) from error
    raise InvalidInput(f"{path.parent} contains an export made by another version of toggl_async")
