"""What an export takes: datasets, workspaces, dates; and how the history is cut into ranges. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator

import attrs

from toggl_async.errors import InvalidInput
from toggl_async.export.plan.datasets import DATASETS, Dataset, dataset

__all__ = ["EARLIEST", "LATEST", "LONGEST_RANGE", "DateRange", "ExportPlan", "ranges_between"]

LONGEST_RANGE = 366
"""Days that one report request may cover at most."""

EARLIEST = dt.date(2006, 1, 1)
"""Toggl takes no date before this one, so no entry is older."""

LATEST = dt.date(2030, 1, 1)
"""Toggl documents no date after this one, so no entry is newer, as long as this day lies ahead."""

_DAY = dt.timedelta(days=1)

_YEAR = dt.timedelta(days=LONGEST_RANGE - 1)
"""How far an export looks on unless told: before the account began, since entries are imported and made by
hand; and past today, since they are planned ahead."""


@attrs.frozen(order=True)
class DateRange:
    """Days from `first` to `last`, both included, as report requests count them."""

    first: dt.date
    last: dt.date

    def older(self) -> "DateRange | None":
        """The longest range that ends the day before this one; None at the beginning of Toggl's time."""
        if self.first <= EARLIEST:
            return None
        return _ending(self.first - _DAY)

    def newer(self) -> "DateRange | None":
        """The longest range that begins the day after this one; None at the end of Toggl's time."""
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
    chosen = {dataset(name).name for name in names}
    return tuple(name for name in DATASETS if not chosen or name in chosen)


def _ids(ids: Iterable[int]) -> tuple[int, ...]:
    """The chosen ids, as a tuple."""
    return tuple(ids)


@attrs.frozen(kw_only=True)
class ExportPlan:
    """What an export takes; the default is everything that the token can see.

    Time entries are looked for from a year before the user and the workspace's organization were created,
    whichever is older, to a year after today, whatever gaps lie between. Where the first or the last of
    these years has entries, the search goes on, 366 days at a time, until a range brings nothing and Toggl's
    total of it is zero. Entries behind an empty year before or after these days need `everything`. `since`
    and `until` set an end in place of that; each is exact.

    Attributes:
        datasets: names from `DATASETS`; none means all.
        workspaces: ids; none means every workspace of the account.
        since: the first day of time entries, in the profile's time zone; None for all history.
        until: the last day of time entries, included; None for today and what is planned ahead.
        users: ids of the people whose time entries are taken; none means all. This choice and the
            next ones concern time entries alone.
        projects: ids of their projects.
        clients: ids of their projects' clients.
        tags: ids of their tags, one of which is enough.
        billable: only billable ones, or only others; None for both.
        everything: whether time entries are looked for wherever Toggl can hold them, from 2006 to 2030, as
            far as `since` and `until` set no end. It takes two requests for each year of a workspace.

    Raises:
        InvalidInput: a dataset is unknown, or `since` comes after `until`.
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
        if self.since and self.until and self.since > self.until:
            raise InvalidInput(f"since ({self.since}) comes after until ({self.until})")

    def __contains__(self, name: str) -> bool:
        """Whether the dataset of that name is taken."""
        return name in self.datasets

    @property
    def names_datasets(self) -> bool:
        """Whether it names some datasets, and not all there are: then none of them may be refused."""
        return len(self.datasets) < len(DATASETS)

    def chosen(self) -> list[Dataset]:
        """The datasets that are taken."""
        return [DATASETS[name] for name in self.datasets]

    @property
    def filters(self) -> dict[str, object]:
        """The choices among time entries, as the reports take them."""
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
        """Whether a time entry passes the choices, as the reports would have it."""
        return (
            (not self.users or user_id in self.users)
            and (not self.projects or project_id in self.projects)
            and (not self.clients or client_id in self.clients)
            and (not self.tags or not set(self.tags).isdisjoint(tag_ids))
            and (self.billable is None or bool(billable) is self.billable)
        )

    def takes(self, day: dt.date | None) -> bool:
        """Whether a time entry that began on that day is taken; one of an unknown day is."""
        if day is None:
            return True
        return (self.since or EARLIEST) <= day <= (self.until or dt.date.max)

    def ranges(
        self, created: dt.date | None, today: dt.date, *, rows: DateRange | None = None
    ) -> list[DateRange]:
        """The ranges of time entries that are looked at in any case, newest first; at least one.

        Args:
            created: when the user or the organization was created, whichever is older; None when unknown.
            today: the server's date.
            rows: from the oldest to the newest day of the entries that are in the mirror; None for none.
        """
        end = max(LATEST, today + _DAY)  # what is tracked after these years is looked at all the same
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
        """Whether older ranges are looked at, too, until one brings nothing."""
        return self.since is None and not self.everything

    @property
    def open_ahead(self) -> bool:
        """Whether newer ranges are looked at, too, until one brings nothing."""
        return self.until is None and not self.everything
