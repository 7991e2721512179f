"""Hours from a mirror: by project, client, user or tag, and by day, week or month. Sends no requests.

The database adds up the seconds by day and by the other groupings. Weeks and months are added up from days
here, so that the SQL works in all databases.
"""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns.

import datetime as dt
import enum
import errno
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.manifest import Manifest
from toggl_async.export.mirror.run import decoded
from toggl_async.export.mirror.storage import DAMAGED, MirrorDamaged
from toggl_async.export.mirror.store import Snapshot
from toggl_async.export.plan.datasets import ENTRIES
from toggl_async.export.rows import day_of

__all__ = ["Grouping", "Hours", "HoursBy", "Label", "groupings", "hours_by"]


class Grouping(enum.StrEnum):
    """The groupings of hours."""

    PROJECT = "project"
    CLIENT = "client"
    USER = "user"
    TAG = "tag"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def is_time(self) -> bool:
        """Whether it groups by a span of time, which has no id."""
        return self in _SPAN_OF


_NAMED: Mapping[Grouping, tuple[str, str]] = {
    Grouping.PROJECT: ("project_id", "project_name"),
    Grouping.CLIENT: ("client_id", "client_name"),
    Grouping.USER: ("user_id", "user_name"),
}
"""The columns of the id and the name."""

_PART = 1 << 20
"""Seconds are added up in two parts, so that no sum exceeds 64 bits, whatever length Toggl gives an entry."""


@attrs.frozen
class Label:
    """What a row of the answer is about: a project, say, or a week.

    Attributes:
        id: its id; None for time, for "none", and for what is known by its name alone.
        name: its name as it is now; the day, the first day of the week (a Monday), or the month, all as
            ISO 8601 has them. None for "none": time without a project, say.
    """

    id: int | None
    name: str | None


@attrs.frozen(kw_only=True)
class Hours:
    """A sum.

    Attributes:
        labels: what it is about, in the order of what was asked for; empty for the total.
        entries: how many time entries there are.
        seconds: their length.
        billable_seconds: the length of those that are billable.
    """

    labels: tuple[Label, ...] = ()
    entries: int
    seconds: int
    billable_seconds: int

    @property
    def hours(self) -> float:
        """The length in hours."""
        return self.seconds / 3600

    @property
    def billable_hours(self) -> float:
        """The length of billable time entries in hours."""
        return self.billable_seconds / 3600

    @property
    def billable_share(self) -> float | None:
        """Which share of the time is billable, 0.0 to 1.0; None where there is no time."""
        return self.billable_seconds / self.seconds if self.seconds else None


@attrs.frozen(kw_only=True)
class HoursBy:
    """The answer.

    Attributes:
        by: what the hours are added up by.
        rows: a sum for each combination that occurs, in the order of its labels.
        total: of all time entries. Those with several tags count once here, and once for each tag in `rows`.
        running: time entries that have not ended, which have no length yet and count nowhere.
        doubts: why hours may be missing, in sentences for people; none where the mirror has them all.
    """

    by: tuple[Grouping, ...]
    rows: tuple[Hours, ...]
    total: Hours
    running: int
    doubts: tuple[str, ...]


def groupings(names: Iterable[str]) -> tuple[Grouping, ...]:
    """What hours are to be added up by.

    Raises:
        InvalidInput: one is unknown, or there twice.
    """
    found: list[Grouping] = []
    for name in names:
        try:
            one = Grouping(name)
        except ValueError:
            raise InvalidInput(f"cannot add up by {name!r}; choose among {', '.join(Grouping)}") from None
        if one in found:
            raise InvalidInput(f"cannot add up by {name} twice")
        found.append(one)
    return tuple(found)


def hours_by(
    snapshot: Snapshot,
    by: Sequence[Grouping],
    *,
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> HoursBy:
    """Add up the time entries that Toggl has, as far as the mirror knows.

    Days are those on which time entries began, in the time zone of the profile, as Toggl's own reports
    count them.

    Args:
        snapshot: the mirror as it is at one moment.
        by: what the hours are added up by.
        since: the first day; None for the first there is.
        until: the last day, included; None for the last there is.

    Raises:
        InvalidInput: the last day is before the first.
        OSError: the mirror could not be read.
    """
    from toggl_async.export.mirror.schema import STATE, VIEW  # noqa: PLC0415 - it loads every record

    if since is not None and until is not None and until < since:
        raise InvalidInput(f"the last day, {until}, is before the first, {since}")
    days = "".join(
        f" AND day {sign} '{day.isoformat()}'"
        for sign, day in ((">=", since), ("<=", until))
        if day is not None
    )
    sums = _Sums(by, _names_of_tags(snapshot) if Grouping.TAG in by else {})
    for row in _rows(snapshot, _statement(by, f"FROM {VIEW} WHERE seconds IS NOT NULL{days}")):
        sums.add(row)
    ((running,),) = _rows(
        snapshot, f"SELECT COUNT(*) FROM {VIEW} WHERE seconds IS NULL AND day IS NOT NULL{days}"
    )
    state = dict(_rows(snapshot, f"SELECT name, value FROM {STATE}"))
    return HoursBy(
        by=tuple(by),
        rows=tuple(sums.rows()),
        total=sums.total(),
        running=running,
        doubts=tuple(_doubts(state, since, until)),
    )


def _rows(snapshot: Snapshot, statement: str) -> Iterator[tuple[Any, ...]]:
    try:
        _, rows = snapshot.query(statement, ())
        yield from rows
    except InvalidInput as error:  # an intact mirror refuses none of these statements
        raise MirrorDamaged(errno.EIO, f"{error.__cause__ or error}; {DAMAGED}") from error


def _statement(by: Sequence[Grouping], source: str) -> str:
    """The sums by day and by the other groupings."""
    columns = ["day", *(column for one in by for column in _NAMED.get(one, ()))]
    if Grouping.TAG in by:
        columns.append("tag_ids")
    whole, rest = f"seconds / {_PART}", f"seconds % {_PART}"
    names = ", ".join(columns)
    return (
        f"SELECT {names}, COUNT(*), SUM({whole}), SUM({rest}), "
        f"SUM(CASE WHEN billable THEN {whole} ELSE 0 END), SUM(CASE WHEN billable THEN {rest} ELSE 0 END) "
        f"{source} GROUP BY {names} ORDER BY day"
    )


def _doubts(state: Mapping[str, str], since: dt.date | None, until: dt.date | None) -> Iterator[str]:
    """Why hours of these days may be missing."""
    finished = state.get("finished")
    manifest = decoded("the mirror", None if finished is None else finished.encode(), Manifest)
    if manifest is None:
        yield "the export is unfinished: hours are missing"
        return
    if "run" in state:
        yield "an update is under way, or was interrupted: hours may be missing"
    plan, kept_from = manifest.plan, day_of(state.get("kept_from"))
    if ENTRIES.name not in plan:
        yield "the export does not include time entries"
    elif not manifest.complete:
        yield "the export is incomplete: hours may be missing; its manifest says why"
    if plan.filters:
        yield f"the export includes only some time entries, chosen by {', '.join(plan.filters)}"
    if plan.since is not None and (since is None or since < plan.since):
        yield f"the export includes time entries only from {plan.since} on"
    if kept_from is not None and (since is None or since < kept_from):
        yield f"time entries from before {kept_from} were forgotten"
    if plan.until is not None and (until is None or until > plan.until):
        yield f"the export includes time entries only until {plan.until}"


def _names_of_tags(snapshot: Snapshot) -> Mapping[int, str | None]:
    """The names of all tags, including deleted ones."""
    return dict(_rows(snapshot, "SELECT id, name FROM tags"))


@attrs.define
class _Sum:
    """A sum in the making: time entries, seconds, billable seconds."""

    entries: int = 0
    seconds: int = 0
    billable: int = 0

    def add(self, entries: int, seconds: int, billable: int) -> None:
        self.entries += entries
        self.seconds += seconds
        self.billable += billable

    def made(self, labels: tuple[Label, ...] = ()) -> Hours:
        return Hours(
            labels=labels, entries=self.entries, seconds=self.seconds, billable_seconds=self.billable
        )


class _Sums:
    """All sums in the making."""

    def __init__(self, by: Sequence[Grouping], tags: Mapping[int, str | None]) -> None:
        self._by = by
        self._tags = tags
        self._total = _Sum()
        self._sums: defaultdict[tuple[tuple[Grouping, object], ...], _Sum] = defaultdict(_Sum)
        self._labels: dict[tuple[Grouping, object], Label] = {}

    def add(self, row: Sequence[Any]) -> None:
        """Add a row of the database's answer; days come in order."""
        day, *cells, entries, whole, rest, billable_whole, billable_rest = row
        sums = entries, int(whole) * _PART + int(rest), int(billable_whole) * _PART + int(billable_rest)
        self._total.add(*sums)
        # A time entry with several tags counts for each of them.
        keys: list[tuple[tuple[Grouping, object], ...]] = [()]
        left = iter(cells)
        for one in self._by:
            if one.is_time:
                labels = [Label(None, None if day is None else _SPAN_OF[one](str(day)))]
            elif one is Grouping.TAG:
                labels = [Label(number, self._tags.get(number)) for number in _ids(cells[-1])] or [_NONE]
            else:
                labels = [Label(next(left), next(left))]
            keys = [(*key, self._key(one, label)) for key in keys for label in labels]
        for key in keys:
            self._sums[key].add(*sums)

    def _key(self, one: Grouping, label: Label) -> tuple[Grouping, object]:
        """The key of a label: its id, if it has one. If an id has several names, the last one is kept."""
        key = one, label.name if label.id is None else label.id
        self._labels[key] = label
        return key

    def rows(self) -> list[Hours]:
        """All sums, in the order of their labels; "none", and labels without a name, come last."""
        rows = [found.made(tuple(self._labels[part] for part in key)) for key, found in self._sums.items()]
        return sorted(rows, key=lambda row: [_place(label) for label in row.labels])

    def total(self) -> Hours:
        """The total."""
        return self._total.made()


_NONE = Label(None, None)


def _place(label: Label) -> tuple[bool, str, int]:
    """The sort key of a label."""
    return label.name is None, (label.name or "").casefold(), label.id or 0


def _ids(cell: str | None) -> list[int]:
    """The ids of a time entry's tags, without duplicates."""
    return [] if cell is None else list(dict.fromkeys(msgspec.json.decode(cell, type=list[int])))


def _week_of(day: str) -> str:
    date = dt.date.fromisoformat(day)
    # The year 1 began on a Monday.
    return (date - dt.timedelta(days=date.weekday())).isoformat()


def _month_of(day: str) -> str:
    return day[:7]


_SPAN_OF: Mapping[Grouping, Callable[[str], str]] = {
    Grouping.DAY: str,
    Grouping.WEEK: _week_of,
    Grouping.MONTH: _month_of,
}
"""The functions that turn a day into a span of time."""
