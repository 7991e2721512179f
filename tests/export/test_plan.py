import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toggl_async.errors import InvalidInput
from toggl_async.export.plan.datasets import DATASETS, Source, dataset
from toggl_async.export.plan.plan import (
    EARLIEST,
    LATEST,
    LONGEST_RANGE,
    DateRange,
    ExportPlan,
    ranges_between,
)

TODAY = dt.date(2026, 11, 23)
DAY = dt.timedelta(days=1)
days = st.dates(min_value=EARLIEST, max_value=dt.date(2030, 1, 1))


def _each(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + DAY * n for n in range((last - first).days + 1)]


def test_datasets_are_found_by_name() -> None:
    assert [declared.name for declared in DATASETS.values()] == list(DATASETS)
    assert dataset("projects").source is Source.WORKSPACE


def test_an_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"unknown dataset 'entries'; choose one of organ.*, time_entries"):
        ExportPlan(datasets=("entries",))


def test_a_plan_takes_everything_unless_told() -> None:
    plan = ExportPlan()
    assert plan.datasets == tuple(DATASETS)
    assert plan.workspaces == ()
    assert plan.open_ended


def test_chosen_datasets_come_once_and_in_order() -> None:
    plan = ExportPlan(datasets=("tags", "clients", "tags"))
    assert plan.datasets == ("clients", "tags")
    assert [declared.name for declared in plan.chosen()] == ["clients", "tags"]
    assert "tags" in plan
    assert "users" not in plan


def test_since_after_until_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"since .* comes after until"):
        ExportPlan(since=dt.date(2026, 2, 1), until=dt.date(2026, 1, 31))
    assert ExportPlan(since=dt.date(2026, 2, 1), until=dt.date(2026, 2, 1)).until == dt.date(2026, 2, 1)


@given(first=days, last=days)
def test_ranges_cover_every_day_once_newest_first(first: dt.date, last: dt.date) -> None:
    found = list(ranges_between(first, last))
    covered = [day for days in reversed(found) for day in _each(days.first, days.last)]
    assert covered == _each(first, last)
    assert all((days.last - days.first).days < LONGEST_RANGE for days in found)
    assert found == sorted(found, reverse=True)


def test_with_both_ends_given_exactly_these_days_are_read() -> None:
    plan = ExportPlan(since=dt.date(2024, 1, 1), until=dt.date(2025, 3, 1))
    assert plan.ranges(None, TODAY) == [
        DateRange(dt.date(2024, 3, 1), dt.date(2025, 3, 1)),
        DateRange(dt.date(2024, 1, 1), dt.date(2024, 2, 29)),
    ]
    assert not plan.open_ended


def test_without_since_the_account_says_how_far_back() -> None:
    created = dt.date(2024, 5, 1)
    found = ExportPlan().ranges(created, TODAY)
    newest, oldest = found[0], found[-1]
    assert newest.last == dt.date(2027, 11, 23)
    assert oldest.first <= dt.date(2023, 5, 2) <= oldest.last
    assert found == list(ranges_between(oldest.first, newest.last))
    assert (oldest.last - oldest.first).days + 1 == LONGEST_RANGE


@example(created=dt.date.min, today=TODAY, since=None, until=None, everything=False, rows=None)
@given(
    created=st.none() | st.dates(max_value=dt.date(2100, 1, 1)),
    today=st.dates(EARLIEST, dt.date(2100, 1, 1)),
    since=st.none() | st.dates(),
    until=st.none() | st.dates(),
    everything=st.booleans(),
    rows=st.none() | st.tuples(st.dates(), st.dates()).map(lambda two: DateRange(min(two), max(two))),
)
def test_whatever_dates_are_told_what_toggl_can_hold_bounds_what_is_asked(
    created: dt.date | None,
    today: dt.date,
    since: dt.date | None,
    until: dt.date | None,
    everything: bool,
    rows: DateRange | None,
) -> None:
    if since and until:
        since, until = min(since, until), max(since, until)
    plan = ExportPlan(since=since, until=until, everything=everything)
    found = plan.ranges(created, today, rows=rows)
    assert found == list(ranges_between(found[-1].first, found[0].last))
    assert found[-1].first >= EARLIEST
    assert found[0].last <= max(LATEST, today + DAY)
    if plan.until is None:
        assert found[0].last > today or found[0].last == LATEST
    if plan.until is None and plan.since is None:
        a_year_older = max(EARLIEST + 365 * DAY, min(created or today, today)) - 365 * DAY
        assert found[-1].first <= a_year_older
    if plan.everything and plan.since is None:
        assert found[-1].first == EARLIEST
    if plan.everything and plan.until is None:
        assert found[0].last >= LATEST


def test_rows_that_are_there_are_looked_at_beyond_gaps() -> None:
    rows = DateRange(dt.date(2012, 2, 29), dt.date(2029, 2, 1))
    found = ExportPlan().ranges(dt.date(2024, 5, 1), TODAY, rows=rows)
    assert found[-1].first <= rows.first
    assert found[0].last == rows.last
    since = ExportPlan(since=dt.date(2024, 1, 1), until=dt.date(2024, 12, 31))
    assert since.ranges(None, TODAY, rows=rows) == since.ranges(None, TODAY)


def test_an_unknown_beginning_still_reads_one_full_range() -> None:
    (only,) = ExportPlan(until=dt.date(2025, 1, 1)).ranges(None, TODAY)
    assert only == DateRange(dt.date(2024, 1, 2), dt.date(2025, 1, 1))


def test_an_organization_younger_than_until_reads_one_full_range() -> None:
    (only,) = ExportPlan(until=dt.date(2025, 1, 1)).ranges(dt.date(2026, 1, 1), TODAY)
    assert only.last == dt.date(2025, 1, 1)


def test_nothing_is_asked_for_before_toggls_time() -> None:
    *_, oldest = ExportPlan(since=dt.date(1999, 1, 1), until=dt.date(2006, 6, 1)).ranges(None, TODAY)
    assert oldest.first == EARLIEST
    assert oldest.older() is None
    assert DateRange(EARLIEST + DAY, TODAY).older() == DateRange(EARLIEST, EARLIEST)
    assert ExportPlan(until=dt.date(2000, 1, 1)).ranges(None, TODAY) == [DateRange(EARLIEST, EARLIEST)]


def test_older_ranges_join_without_a_gap() -> None:
    days = DateRange(dt.date(2024, 1, 1), dt.date(2024, 12, 31))
    older = days.older()
    assert older == DateRange(dt.date(2022, 12, 31), dt.date(2023, 12, 31))
    assert days.newer() == DateRange(dt.date(2025, 1, 1), dt.date(2026, 1, 1))
    assert DateRange(days.first, LATEST - DAY).newer() == DateRange(LATEST, LATEST)
    assert DateRange(days.first, LATEST).newer() is None


@pytest.mark.parametrize(
    ("day", "taken"), [(None, True), ("2025-12-31", False), ("2026-01-01", True), ("2026-02-01", False)]
)
def test_days_are_taken_within_the_plan(day: str | None, taken: bool) -> None:
    plan = ExportPlan(since=dt.date(2026, 1, 1), until=dt.date(2026, 1, 31))
    assert plan.takes(dt.date.fromisoformat(day) if day else None) is taken
    assert ExportPlan().takes(dt.date(2031, 1, 1))


def test_the_share_of_a_range() -> None:
    days = DateRange(dt.date(2026, 1, 1), dt.date(2026, 1, 10))
    assert days.share_until(dt.date(2025, 1, 1)) == 0.0
    assert days.share_until(dt.date(2026, 1, 6)) == 0.5
    assert days.share_until(dt.date(2027, 1, 1)) == 1.0
