"""The made-up company of ``export --sandbox``: the same for everybody, and older by a day with each update.

A sandbox ends with its command, and so does its company. So that an export can be continued, the company
begins at the same time in each run, and repeats its days up to the one that the export has reached.
"""

import datetime as dt
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from toggl_async.export import Manifest
from toggl_async.export.mirror.run import Run, decoded
from toggl_async.export.mirror.urls import store_of

__all__ = ["BEGINNING", "days_lived"]

BEGINNING: Final = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
"""When its time begins."""

_HOST: Final = "127.0.0.1"

_MOST: Final = 3660
"""Days that are lived again at most: an export that is further is of another company."""


def days_lived(mirror: Path | str, *, update: bool) -> int:
    """How many days the company has to live before an export of it can begin, or go on.

    Args:
        mirror: the mirror of the export, or where it is to be: a path or a URL.
        update: whether it is to be brought up to date.

    Raises:
        InvalidInput: it can't be opened, or isn't a mirror.
    """
    if isinstance(mirror, Path) and not mirror.exists():
        return 0
    store = store_of(mirror)
    standing = store.open()
    store.close()
    run = decoded(store.name, standing.run, Run)
    if run is not None:
        return _days(run.base_url, run.account.asked_at)
    finished = decoded(store.name, standing.finished, Manifest)
    if finished is None:
        return 0
    moments = [entry.as_of for entry in finished.datasets.values() if entry.as_of is not None]
    return _days(finished.base_url, max(moments, default=BEGINNING)) + update


def _days(base_url: str, moment: dt.datetime) -> int:
    """How many days after its beginning something happened, if it was in a sandbox at all."""
    days = (moment.date() - BEGINNING.date()).days
    return days if urlsplit(base_url).hostname == _HOST and 0 <= days <= _MOST else 0
