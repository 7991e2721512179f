"""Paged lists: the schemes that operations declare, and `Pages`, which walks them.

A scheme says which parameters a page is asked for with and where the next one stands; `Pages`
merges them into the caller's request, has it fetched, and gives the items out. No network and no
clock here: the client hands in how to fetch.

Imported by `operation` and by the client; imports `errors` alone.
"""

from toggl_async.pagination.pages import Bookmark, Pages, Step
from toggl_async.pagination.schemes import (
    HeaderPages,
    Keyset,
    Offset,
    Page,
    PageAnswer,
    PageNumber,
    PageRequest,
    Paging,
    Place,
    Position,
    ReportCursor,
    Token,
    WrappedPages,
)

__all__ = [
    "Bookmark",
    "HeaderPages",
    "Keyset",
    "Offset",
    "Page",
    "PageAnswer",
    "PageNumber",
    "PageRequest",
    "Pages",
    "Paging",
    "Place",
    "Position",
    "ReportCursor",
    "Step",
    "Token",
    "WrappedPages",
]
