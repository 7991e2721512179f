"""What to export: datasets, workspaces, dates; and how the history is split into ranges. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, cast

import attrs

from toggl_async.errors import InvalidInput
from toggl_async.export.plan.arguments import check_day, check_flag, check_ids, dataset_names, or_none
from toggl_async.export.plan.datasets import DATASETS, Dataset

__all__ = ["EARLIEST", "LATEST", "LONGEST_RANGE", "DateRange", "ExportPlan", "ranges_between"]

LONGEST_RANGE = 366
"""Days that one report request may cover at most."""

EARLIEST = dt.date(2006, 1, 1)
"""Toggl accepts no date before this one, so no entry is older."""

LATEST = dt.date(2030, 1, 1)
"""Toggl documents no date after this one, so no entry is newer, as long as this day is in the future."""

_DAY = dt.timedelta(days=1)

_IDS: Final = ("workspaces", "users", "projects", "clients", "tags")
"""The choices that are ids."""

_YEAR = dt.timedelta(days=LONGEST_RANGE - 1)
"""How far an export looks on unless told: before the account began, since entries are imported and made by
hand; and past today, since they are planned ahead."""


@attrs.frozen(order=True)
class DateRange:
    """Days from `first` to `last`, both inclusive, as report requests count them."""

    first: dt.date
    last: dt.date

    def older(self) -> "DateRange | None":
        """The longest range that ends the day before this one; None where Toggl's calendar begins."""
        if self.first <= EARLIEST:
            return None
        return _ending(self.first - _DAY)

    def newer(self) -> "DateRange | None":
        """The longest range that begins the day after this one; None where Toggl's calendar ends."""
        if self.last >= LATEST:
            return None
        return DateRange(self.last + _DAY, min(LATEST, self.last + _DAY + _YEAR))

    def __contains__(self, day: dt.date) -> bool:
        """Whether the day is one of these."""
        return self.first <= day <= self.last

    def share_until(self, day: dt.date) -> float:
        """How much of the range lies before `day`: 0.0 to 1.0."""
        days = (self.last - self.first).days + 1
        return min(1.0, max(0.0, (day - self.first).days / days))


def _ending(last: dt.date) -> DateRange:
    """The longest range that ends on `last`."""
    return DateRange(max(EARLIEST, last - min(_YEAR, last - EARLIEST)), last)


def ranges_between(first: dt.date, last: dt.date) -> Iterator[DateRange]:
    """Cut the days from `first` to `last` into ranges of at most `LONGEST_RANGE` days, newest first.

    Newest first, so that an export which is stopped has the rows that people ask for most.
    """
    while last >= first:
        start = max(first, last - dt.timedelta(days=LONGEST_RANGE - 1))
        yield DateRange(start, last)
        last = start - dt.timedelta(days=1)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    """The chosen dataset names, checked, each once, in their declared order; none chosen means all."""
    chosen = {*dataset_names(names, "datasets")}
    return tuple(name for name in DATASETS if not chosen or name in chosen)


def _ids(ids: Iterable[int]) -> tuple[int, ...]:
    """The chosen ids, as a tuple; what can't be ids stays as it is, for the plan to refuse it by its name."""
    given: object = ids
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | bytearray | Mapping):
        return cast("tuple[int, ...]", given)
    return tuple(ids)


@attrs.frozen(kw_only=True)
class ExportPlan:
    """What to export; the default is everything that the token can see.

    An export looks for time entries from a year before the user or the workspace's organization was created,
    whichever is older, to a year after today, and reads across any gap in between. If the first or the last
    of these years has entries, the search continues, 366 days at a time, until a range returns nothing and
    Toggl's total for it is zero. To find entries beyond an empty year outside these days, use `everything`.
    `since` and `until` replace the search with exact limits.

    Attributes:
        datasets: names from `DATASETS`; empty for all.
        workspaces: ids; empty for every workspace of the account.
        since: the first day of time entries, in the profile's time zone; None for all history.
        until: the last day of time entries, inclusive; None for today and what is planned ahead.
        users: ids of the people whose time entries to export; empty for all. This and the next four apply
            only to time entries.
        projects: ids of the entries' projects.
        clients: ids of their projects' clients.
        tags: ids of the entries' tags; one of them is enough.
        billable: True for billable entries, False for the others, None for both.
        everything: whether to look for time entries wherever Toggl can hold them, from 2006 to 2030, within
            `since` and `until`. This takes two requests for each year of a workspace.

    Raises:
        InvalidInput: a dataset is unknown, a choice is of another type, or `since` comes after `until`.
    """

    datasets: tuple[str, ...] = attrs.field(default=(), converter=_names)
    workspaces: tuple[int, ...] = attrs.field(default=(), converter=_ids)
    since: dt.date | None = None
    until: dt.date | None = None
    users: tuple[int, ...] = attrs.field(default=(), converter=_ids)
    projects: tuple[int, ...] = attrs.field(default=(), converter=_ids)
    clients: tuple[int, ...] = attrs.field(default=(), converter=_ids)
    tags: tuple[int, ...] = attrs.field(default=(), converter=_ids)
    billable: bool | None = None
    everything: bool = False

    def __attrs_post_init__(self) -> None:
        for name in _IDS:
            check_ids(getattr(self, name), name)
        for name in ("since", "until"):
            or_none(check_day)(getattr(self, name), name)
        or_none(check_flag)(self.billable, "billable")
        check_flag(self.everything, "everything")
        if self.since and self.until and self.since > self.until:
            raise InvalidInput(f"since ({self.since}) comes after until ({self.until})")

    def __contains__(self, name: str) -> bool:
        """Whether the dataset of that name is taken."""
        return name in self.datasets

    @property
    def names_datasets(self) -> bool:
        """Whether it names only some datasets; then none of them may be refused."""
        return len(self.datasets) < len(DATASETS)

    def chosen(self) -> list[Dataset]:
        """The datasets to export."""
        return [DATASETS[name] for name in self.datasets]

    @property
    def filters(self) -> dict[str, object]:
        """The filters for time entries, as the reports take them."""
        chosen = {
            "user_ids": self.users,
            "project_ids": self.projects,
            "client_ids": self.clients,
            "tag_ids": self.tags,
        }
        filters: dict[str, object] = {name: list(ids) for name, ids in chosen.items() if ids}
        return filters if self.billable is None else {**filters, "billable": self.billable}

    def takes_entry(
        self,
        *,
        user_id: int | None,
        project_id: int | None,
        client_id: int | None,
        tag_ids: Iterable[int],
        billable: bool | None,
    ) -> bool:
        """Whether a time entry passes the filters, as in the reports."""
        return (
            (not self.users or user_id in self.users)
            and (not self.projects or project_id in self.projects)
            and (not self.clients or client_id in self.clients)
            and (not self.tags or not set(self.tags).isdisjoint(tag_ids))
            and (self.billable is None or bool(billable) is self.billable)
        )

    def takes(self, day: dt.date | None) -> bool:
        """Whether the plan includes entries of this day; it includes entries of an unknown day."""
        if day is None:
            return True
        return (self.since or EARLIEST) <= day <= (self.until or dt.date.max)

    def ranges(
        self, created: dt.date | None, today: dt.date, *, rows: DateRange | None = None
    ) -> list[DateRange]:
        """The ranges of time entries that are read in any case, newest first; at least one.

        Args:
            created: when the user or the organization was created, whichever is older; None if unknown.
            today: the server's date.
            rows: the oldest and the newest day of the entries in the mirror; None if there are none.
        """
        end = max(LATEST, today + _DAY)  # entries of the present are read even after these years
        ahead = end if self.everything else today + _YEAR
        last = max(EARLIEST, min(end, self.until or ahead))
        beginning = max(EARLIEST + _YEAR, min(created or today, today, last))
        first = self.since or (EARLIEST if self.everything else beginning - _YEAR)
        if rows is not None:
            last = last if self.until else max(last, min(end, rows.last))
            first = first if self.since else min(first, max(EARLIEST, rows.first))
        *newer, oldest = ranges_between(max(EARLIEST, min(first, last)), last)
        if self.open_ended:  # a full range costs no more requests than a short one
            oldest = _ending(oldest.last)
        return [*newer, oldest]

    @property
    def open_ended(self) -> bool:
        """Whether older ranges are read, too, until one returns nothing."""
        return self.since is None and not self.everything

    @property
    def open_ahead(self) -> bool:
        """Whether newer ranges are read, too, until one returns nothing."""
        return self.until is None and not self.everything
