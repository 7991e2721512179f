"""Paged lists: the schemes that operations declare, and `Pages`, which walks them.

A scheme says which parameters request a page, and where the next page is named. `Pages` merges the parameters
into the caller's request, fetches it, and yields the items. It knows neither network nor clock: the client
passes in a function that fetches. The schemes are loaded with the first operation that declares one.

Imported by `operation` and by the client; imports `errors` and `record`.
"""

import importlib
from typing import TYPE_CHECKING

from toggl_async._operations.paging.pages import Bookmark, Pages, PageStep
from toggl_async._operations.paging.paging import Page, PageAnswer, PageRequest, Paging, Place, Position

if TYPE_CHECKING:
    from toggl_async._operations.paging.schemes import HeaderPages as HeaderPages
    from toggl_async._operations.paging.schemes import Keyset as Keyset
    from toggl_async._operations.paging.schemes import MappedPages as MappedPages
    from toggl_async._operations.paging.schemes import Offset as Offset
    from toggl_async._operations.paging.schemes import PageNumber as PageNumber
    from toggl_async._operations.paging.schemes import ReportCursor as ReportCursor
    from toggl_async._operations.paging.schemes import Token as Token
    from toggl_async._operations.paging.schemes import WrappedPages as WrappedPages

__all__ = [
    "Bookmark",
    "HeaderPages",
    "Keyset",
    "MappedPages",
    "Offset",
    "Page",
    "PageAnswer",
    "PageNumber",
    "PageRequest",
    "PageStep",
    "Pages",
    "Paging",
    "Place",
    "Position",
    "ReportCursor",
    "Token",
    "WrappedPages",
]


def __getattr__(name: str) -> object:
    """Load the schemes with the first that is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module("toggl_async._operations.paging.schemes"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(__all__))
