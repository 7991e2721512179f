"""The one truth of all reports: how time and money of time entries add up."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import attrs

from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import ReportQuery, amount
from toggl_async.sandbox.shapes import JsonObject
from toggl_async.sandbox.state import State
from toggl_async.sandbox.timestamps import Zone

__all__ = ["Sums", "add_up", "beginnings", "begins", "resolution", "total"]

KeyT = TypeVar("KeyT")

_RESOLUTIONS: Final = ("day", "week", "month")
_DAYS_BY_DAY: Final = 31
_DAYS_BY_WEEK: Final = 186


@attrs.define
class Sums:
    """What some time entries add up to; times in seconds, money in cents.

    Attributes:
        seconds: their time, as the report rounds it.
        billable: how much of it is billable.
        cents: what it is billed at.
        cost: what it costs.
        rates: the billable time at each hourly rate.
        days: the days that have time.
        ids: the time entries.
    """

    seconds: int = 0
    billable: int = 0
    cents: int = 0
    cost: int = 0
    rates: Counter[int] = attrs.field(factory=Counter)
    days: set[dt.date] = attrs.field(factory=set)
    ids: list[int] = attrs.field(factory=list)

    def add(self, state: State, entry: TimeEntryRow, seconds: int, day: dt.date) -> None:
        """Count a time entry."""
        self.seconds += seconds
        self.days.add(day)
        self.ids.append(entry.id)
        self.billable += seconds if entry.billable else 0
        hour = state.people[entry.user_id].labor_cost
        self.cost += round(100 * hour * seconds / 3600) if hour else 0
        cents, rate = amount(state, entry, seconds)
        if cents is not None and rate is not None:
            self.cents += cents
            self.rates[rate] += seconds

    def rate_shapes(self) -> list[JsonObject]:
        """Write the time at each rate."""
        return [
            {"billable_seconds": seconds, "hourly_rate_in_cents": rate, "currency": "EUR"}
            for rate, seconds in sorted(self.rates.items())
        ]


def add_up(
    state: State, query: ReportQuery, zone: Zone, key: Callable[[TimeEntryRow, dt.date], KeyT]
) -> Mapping[KeyT, Sums]:
    """Add up the time entries of a report by a key of theirs and of their day."""
    found: dict[KeyT, Sums] = {}
    for entry in query.entries:
        day = zone.day(entry.start)
        known = key(entry, day)
        if known not in found:
            found[known] = Sums()
        found[known].add(state, entry, query.seconds(entry), day)
    return found


def total(state: State, query: ReportQuery, zone: Zone) -> Sums:
    """Add up all time entries of a report."""
    return add_up(state, query, zone, lambda _, __: None).get(None, Sums())


def resolution(query: ReportQuery, wanted: str | None) -> str:
    """Return the length of a graph's points: the one that is wanted, or one that suits the range.

    Raises:
        ApiError: 400, there is no such length.
    """
    length = (query.last - query.first).days + 1
    suiting = "day" if length <= _DAYS_BY_DAY else "week" if length <= _DAYS_BY_WEEK else "month"
    if wanted not in {None, "", *_RESOLUTIONS}:
        raise ApiError(400, f"Invalid 'resolution' value, allowed values are {', '.join(_RESOLUTIONS)}")
    return wanted or suiting


def begins(day: dt.date, length: str) -> dt.date:
    """Return the first day of a point of a graph: a day, a week (from Monday) or a month."""
    if length == "week":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1) if length == "month" else day


def beginnings(query: ReportQuery, length: str) -> Iterable[dt.date]:
    """Return the first days of all points of a graph over the range, those without time included."""
    ordinals = range(query.first.toordinal(), query.last.toordinal() + 1)
    return dict.fromkeys(begins(dt.date.fromordinal(ordinal), length) for ordinal in ordinals)
