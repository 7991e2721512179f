"""The filters that all reports share, as a type: for filters that are written once and used for several.

Imports nothing from the package.
"""

import datetime as dt
from collections.abc import Collection
from typing import Literal, TypedDict

from msgspec import UnsetType

__all__ = ["ReportFilters"]


class ReportFilters(TypedDict, total=False):
    """Keyword arguments that the detailed, the summary and the weekly report have in common.

    With it, type checkers accept ``detailed.iter(**filters)`` and ``summary.search(**filters)``, which they
    can't with a plain dict. The docstrings of the coroutines say what each argument means.
    """

    start_date: dt.date | UnsetType
    end_date: dt.date | UnsetType
    start_time: str | UnsetType
    end_time: str | UnsetType
    billable: bool | UnsetType
    description: str | UnsetType
    client_ids: Collection[int | None] | UnsetType
    group_ids: Collection[int | None] | UnsetType
    project_ids: Collection[int | None] | UnsetType
    tag_ids: Collection[int | None] | UnsetType
    task_ids: Collection[int | None] | UnsetType
    time_entry_ids: Collection[int] | UnsetType
    user_ids: Collection[int | None] | UnsetType
    min_duration_seconds: int | UnsetType
    max_duration_seconds: int | UnsetType
    rounding: Literal[-1, 0, 1] | UnsetType
    rounding_minutes: int | UnsetType
