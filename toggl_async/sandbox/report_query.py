"""What a report was asked for: the range of days and the filters that all reports share."""

import bisect
import datetime as dt
from collections.abc import Sequence
from typing import Final

import attrs

from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Body
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.state import State

__all__ = ["ReportQuery", "amount", "read", "rounded"]

_MOST_DAYS: Final = 366

_MOST_MINUTES: Final = 24 * 60
"""The most minutes to which a duration is rounded."""

_WEEK: Final = dt.timedelta(days=6)
"""What a report covers beyond the first day if only that is given."""

_FILTERS: Final = (
    "billable",
    "client_ids",
    "description",
    "group_ids",
    "max_duration_seconds",
    "min_duration_seconds",
    "project_ids",
    "tag_ids",
    "task_ids",
    "time_entry_ids",
    "user_ids",
)


@attrs.frozen(kw_only=True)
class ReportQuery:
    """A range and filters, checked.

    Attributes:
        entries: the time entries that pass, oldest first, durations not yet rounded.
        first: the first day, in the user's time zone.
        last: the last day.
        rounding: 1 up, 0 to the nearest, -1 down.
        rounding_minutes: to how many minutes; 0 for exact times.
    """

    entries: Sequence[TimeEntryRow]
    first: dt.date
    last: dt.date
    rounding: int
    rounding_minutes: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell the range."""
        return {"X-Range-Start": self.first.isoformat(), "X-Range-End": self.last.isoformat()}

    def seconds(self, entry: TimeEntryRow) -> int:
        """Return the duration of a time entry as the report counts it."""
        return rounded(entry.seconds or 0, self.rounding, self.rounding_minutes)


def read(call: ApiRequest, body: Body, *, all_optional: bool = False) -> ReportQuery:
    """Read range and filters of a report's body and find what passes.

    Args:
        call: the request.
        body: its body.
        all_optional: whether all of them may be left out.

    Raises:
        ApiError: 400, the range is missing, upside down or too long; 402, the plan lacks the filter.
    """
    space = call.workspace()
    if not all_optional and not any(
        body.fields.get(name) not in (None, [], "") for name in ("start_date", "end_date", *_FILTERS)
    ):
        raise ApiError(400, "At least one parameter must be set")
    zone = call.company.zone(call.person)
    first, last = _range(body, zone.day(int(call.now)))
    rows = call.company.reported_to(call.person, space.id)
    begin = bisect.bisect_left(rows, zone.midnight(first), key=_start)
    end = bisect.bisect_left(rows, zone.midnight(last + dt.timedelta(days=1)), key=_start)
    rounding, minutes = body.number("rounding"), body.number("rounding_minutes")
    if minutes is not None and not 0 <= minutes <= _MOST_MINUTES:
        raise ApiError(400, "Invalid 'rounding_minutes' value")
    return ReportQuery(
        entries=_filter(call, body, rows[begin:end]),
        first=first,
        last=last,
        # Without a word about it, reports round as the user prefers.
        rounding=1 if rounding is None else rounding,
        rounding_minutes=(call.company.rounding_minutes if rounding is None else 0)
        if minutes is None
        else minutes,
    )


def _start(entry: TimeEntryRow) -> int:
    return entry.start


def _range(body: Body, today: dt.date) -> tuple[dt.date, dt.date]:
    """Return first and last day: the first alone means seven days, the last alone that day, none today."""
    first, last = body.day("start_date"), body.day("end_date")
    begin = first if first is not None else last if last is not None else today
    alone = begin if first is None else begin + _WEEK
    end = last if last is not None else alone
    if end < begin:
        raise ApiError(400, "end_date must be greater than or equal to start_date")
    if (end - begin).days + 1 > _MOST_DAYS:
        raise ApiError(400, f"The date range must not exceed {_MOST_DAYS} days")
    return begin, end


def _filter(call: ApiRequest, body: Body, rows: Sequence[TimeEntryRow]) -> Sequence[TimeEntryRow]:
    """Return the time entries that pass all filters; null in a list of ids stands for "none"."""
    company = call.company
    billable, text = body.flag("billable"), body.text("description")
    if billable is not None and not company.paid:
        raise ApiError(402, "Billable is a premium feature")
    if billable is not None:
        rows = [row for row in rows if row.billable == billable]
    if text:
        rows = [row for row in rows if text.casefold() in row.description.casefold()]
    shortest, longest = body.number("min_duration_seconds"), body.number("max_duration_seconds")
    if shortest is not None:
        rows = [row for row in rows if (row.seconds or 0) >= shortest]
    if longest is not None:
        rows = [row for row in rows if (row.seconds or 0) <= longest]
    groups = body.numbers("group_ids")
    members = {
        user_id
        for group_id in groups or ()
        if group_id in company.groups
        for user_id in company.groups[group_id].members
    }
    if groups:
        rows = [row for row in rows if row.user_id in members]
    names = ("user", "project", "task", "client", "tag", "time_entry")
    ids = {name: set(body.numbers(f"{name}_ids") or ()) for name in names}
    if ids["user"]:
        rows = [row for row in rows if row.user_id in ids["user"]]
    if ids["project"]:
        rows = [row for row in rows if row.project_id in ids["project"]]
    if ids["task"]:
        rows = [row for row in rows if row.task_id in ids["task"]]
    if ids["client"]:
        rows = [row for row in rows if client_id(company, row) in ids["client"]]
    if ids["tag"]:
        rows = [row for row in rows if not ids["tag"].isdisjoint(row.tag_ids or (None,))]
    if ids["time_entry"]:
        rows = [row for row in rows if row.id in ids["time_entry"]]
    return rows


def client_id(state: State, entry: TimeEntryRow) -> int | None:
    """Return the client of a time entry's project."""
    project = state.projects.get(entry.project_id or 0)
    return None if project is None else project.client_id


def rounded(seconds: int, direction: int, minutes: int) -> int:
    """Return a duration rounded to minutes: up (1), to the nearest (0) or down (-1)."""
    if minutes <= 0:
        return seconds
    step = minutes * 60
    if direction > 0:
        return -(-seconds // step) * step
    if direction < 0:
        return seconds // step * step
    return (seconds + step // 2) // step * step


def amount(state: State, entry: TimeEntryRow, seconds: int) -> tuple[int | None, int | None]:
    """Return billable amount and hourly rate of a time entry, in cents; None if it is not billable."""
    if not (entry.billable and state.paid):
        return None, None
    project = state.projects.get(entry.project_id or 0)
    own = None if project is None else project.rate
    rate = round(100 * (state.workspaces[entry.workspace_id].default_hourly_rate if own is None else own))
    return round(rate * seconds / 3600), rate
