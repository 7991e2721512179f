"""What an export that did not come to its end has left, by what its mirror and its manifest say."""

import json
from pathlib import Path

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.manifest import MANIFEST
from toggl_async.export.mirror.schema import STATE
from toggl_async.export.mirror.urls import store_of

__all__ = ["left_behind"]


def left_behind(place: str, mirror: Path) -> str:
    """What an export that did not come to its end has left, in a sentence without a full stop.

    Args:
        place: where it goes, in words.
        mirror: the file of its mirror.
    """
    if "://" in place:  # what a server has can't be looked up once it is gone
        return f"{place} keeps what was committed; run the same command to resume"
    if not mirror.exists():
        return "nothing was written"
    try:
        with store_of(mirror).snapshot() as snapshot:
            _, rows = snapshot.query(f"SELECT name FROM {STATE}", ())  # noqa: S608 - the name is our own
            names = {name for (name,) in rows}
    except (InvalidInput, OSError):  # it is new and empty, or the disk is full
        names = {"run"}
    if not names & {"run", "finished"}:
        return "nothing was written"
    if "run" not in names and (mirror.name != MIRROR or _has_its_files(mirror.with_name(MANIFEST))):
        return f"{place} still contains the finished export from before"
    return f"{place} contains an unfinished export; run the same command to resume it"


def _has_its_files(manifest: Path) -> bool:
    """Whether the files of an export are those of its mirror."""
    try:
        return json.loads(manifest.read_bytes()).get("finished") is True
    except (OSError, ValueError, AttributeError):
        return False
