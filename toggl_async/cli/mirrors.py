"""How the commands that read a mirror find it. They never create one."""

from pathlib import Path

from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.store import RowStore
from toggl_async.export.mirror.urls import refuse_password, store_of

__all__ = ["store_at"]


def store_at(place: str) -> RowStore:
    """The store that is meant: a URL, a path, or the directory of an export. It is not opened.

    Raises:
        InvalidInput: the URL names no store, or has a password in it.
    """
    refuse_password(place)
    if "://" not in place and Path(place).is_dir():
        return store_of(Path(place) / MIRROR)
    return store_of(place)
