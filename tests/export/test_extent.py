"""How far time entries are looked for, and that an update comes to what Toggl shows, whatever was before."""

import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.export_company import FIRST, NOW, ORGANIZATION, SECOND, Company, Entry
from support.export_updates import OPTIONS, equals_a_fresh_export, run
from support.export_written import ids
from toggl_async import ApiToken, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror, estimate

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
LONG_AGO = NOW - 300 * DAY
"""When entries changed that an update has no reason to call changed."""


def moment(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T10:00:00+00:00")


def company(*days: str, user: str | None = None, organization: str | None = None) -> Company:
    """A company of one workspace's entries on these days, numbered from 1, whose account began on a day."""
    made = Company(0)
    made.entries = [Entry(number, FIRST, moment(day), at=LONG_AGO) for number, day in enumerate(days, 1)]
    began(made, user=user, organization=organization)
    return made


def began(made: Company, *, user: str | None = None, organization: str | None = None) -> None:
    """Say when the user and the organization were created; None for nothing said."""

    def before(path: str, _: Any) -> httpx.Response | None:
        told = {"Date": made.now.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if path == "/api/v9/me/organizations":
            created = organization and f"{organization}T00:00:00Z"
            return httpx.Response(200, json=[{"id": ORGANIZATION, "created_at": created}], headers=told)
        if path == "/api/v9/me":
            me = {
                "id": made.user,
                "created_at": user and f"{user}T00:00:00Z",
                "workspaces": [{"id": FIRST, "organization_id": ORGANIZATION}],
            }
            return httpx.Response(200, json=me, headers=told)
        return None

    made.before = before


def looked_at(manifest: Manifest) -> tuple[dt.date, dt.date]:
    return min(one.first for one in manifest.ranges), max(one.last for one in manifest.ranges)


async def refreshed(made: Company, path: Path, plan: ExportPlan | None = None, **options: Any) -> Manifest:
    async with (
        TogglClient(ApiToken("made-up"), transport=made, options=OPTIONS) as client,
        Mirror(path) as mirror,
    ):
        return await mirror.refresh(client, plan or ExportPlan(datasets=("time_entries",)), **options)


async def alive(path: Path) -> set[int]:
    async with Mirror(path) as mirror:
        rows = await mirror.sql("SELECT id FROM time_entries WHERE deleted_at IS NULL")
    return {int(str(row["id"])) for row in rows}


@pytest.mark.parametrize(
    ("user", "organization"),
    [("2024-01-05", None), (None, "2024-01-05"), ("2024-01-05", "2026-01-01"), ("2026-01-01", "2024-01-05")],
)
async def test_history_begins_a_year_before_the_older_of_user_and_organization(
    tmp_path: Path, user: str | None, organization: str | None
) -> None:
    """Through gaps of more than a year, on both sides of the day."""
    made = company("2026-06-01", "2024-02-01", "2023-01-10", user=user, organization=organization)
    manifest = await run(made, tmp_path, plan=ExportPlan(datasets=("time_entries",)))
    assert {*ids(tmp_path, "jsonl")} == {1, 2, 3}
    assert manifest.complete
    first, last = looked_at(manifest)
    assert first <= dt.date(2023, 1, 5)
    assert last == NOW.date() + 365 * DAY


async def test_an_account_of_unknown_age_is_looked_at_for_a_year_back(tmp_path: Path) -> None:
    made = company("2025-06-20")
    await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {1}


async def test_the_search_goes_on_until_an_empty_year(tmp_path: Path) -> None:
    made = company("2026-06-01", "2023-05-01", "2022-06-01", "2021-08-01", "2018-02-01", user="2024-01-05")
    manifest = await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {1, 2, 3, 4}
    first, _ = looked_at(manifest)
    assert dt.date(2018, 2, 1) < first < dt.date(2020, 8, 1)


async def test_a_total_alone_leads_on_too(tmp_path: Path) -> None:
    """A report that is empty doesn't end the search where Toggl's total says that it is wrong."""
    made = company("2026-06-01", "2022-08-01", "2021-08-01", user="2024-01-05")
    known = made.before

    def before(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/search/time_entries") and body["start_date"] <= "2022-08-01" <= body["end_date"]:
            return httpx.Response(200, json=[])
        return known(path, body)

    made.before = before
    manifest = await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {1, 3}
    assert not manifest.complete
    made.before = known
    assert (await refreshed(made, tmp_path / "mirror")).complete
    assert await alive(tmp_path / "mirror") == {1, 2, 3}


async def test_a_year_ahead_is_looked_at_and_on_until_an_empty_year(tmp_path: Path) -> None:
    made = company("2026-06-01", "2027-02-01", "2027-12-01", "2029-11-01", user="2026-01-05")
    manifest = await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {1, 2, 3}
    assert looked_at(manifest)[1] < dt.date(2029, 11, 1)
    made.now += DAY
    made.entries[1].seconds += 5
    made.entries[2].deleted = True
    manifest = await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {1, 2}
    assert manifest.totals_agree


async def test_everything_is_all_that_toggl_can_hold(tmp_path: Path) -> None:
    made = company("2006-01-02", "2026-06-01", "2029-12-30", user="2024-01-05")
    plan = ExportPlan(datasets=("time_entries",), everything=True)
    manifest = await refreshed(made, tmp_path / "mirror", plan)
    assert await alive(tmp_path / "mirror") == {1, 2, 3}
    assert looked_at(manifest) == (dt.date(2006, 1, 1), dt.date(2030, 1, 1))


async def test_a_mirror_is_widened_to_everything(tmp_path: Path) -> None:
    """How far to look is for each run to say; what was found is looked after from then on."""
    path = tmp_path / "mirror"
    made = company("2010-06-01", "2026-06-01", user="2024-01-05")
    await refreshed(made, path)
    assert await alive(path) == {2}
    await refreshed(made, path, ExportPlan(datasets=("time_entries",), everything=True))
    assert await alive(path) == {1, 2}
    made.entries[0].deleted = True
    await refreshed(made, path)
    assert await alive(path) == {2}


@pytest.mark.parametrize("created", [None, "2026-05-01", "2024-06-01", "2022-01-01"])
async def test_an_update_brings_old_entries_that_a_new_administrator_sees(
    tmp_path: Path, created: str | None
) -> None:
    made = company("2026-06-10", organization=created)
    await refreshed(made, tmp_path / "mirror")
    made.entries += [
        Entry(10 * year + month, FIRST, moment(f"{year}-0{month}-03"), at=moment(f"{year}-0{month}-04"))
        for year in range(2022, 2027)
        for month in (1, 4, 5)
    ]
    made.now += DAY
    manifest = await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {entry.id for entry in made.entries}
    assert manifest.totals_agree


async def test_old_entries_of_no_length_come_too(tmp_path: Path) -> None:
    """No total shows them: the range that does is read on beyond a page of old changes."""
    made = company("2026-06-10", user="2025-01-01")
    await refreshed(made, tmp_path / "mirror")
    made.entries += [
        Entry(number, FIRST, moment("2025-03-01") + number * DAY, seconds=0, at=LONG_AGO)
        for number in range(100, 130)
    ]
    await refreshed(made, tmp_path / "mirror")
    assert await alive(tmp_path / "mirror") == {entry.id for entry in made.entries}


@pytest.mark.parametrize("recheck", [31, None])
async def test_what_an_empty_toggl_deleted_comes_back(tmp_path: Path, recheck: int | None) -> None:
    path = tmp_path / "mirror"
    made = company(
        "2026-06-10", "2025-02-01", "2024-02-01", "2023-02-01", "2022-02-01", organization="2025-12-01"
    )
    everything = list(made.entries)
    await refreshed(made, path)
    made.entries = []
    made.now += DAY
    await refreshed(made, path)
    assert await alive(path) == set()
    made.entries = everything
    made.now += DAY
    manifest = await refreshed(made, path, recheck=recheck)
    assert await alive(path) == {1, 2, 3, 4, 5}
    assert manifest.complete
    assert manifest.totals_agree


@pytest.mark.parametrize("day", ["0001-01-01", "1500-06-01", "1970-01-01", "9999-12-31"])
@pytest.mark.sampled(1)
async def test_an_odd_date_of_a_row_is_not_followed(tmp_path: Path, day: str) -> None:
    start = f"{day}T00:00:00Z"
    made = company("2026-06-01", "2026-02-01", "2025-12-01", user="2025-11-01")
    row = made._row
    made._row = lambda entry: _dated(row(entry), start) if entry.id == 2 else row(entry)  # type: ignore[method-assign]
    track = made._track
    made._track = lambda entry: {**track(entry), "start": start} if entry.id == 2 else track(entry)  # type: ignore[method-assign]
    first = await refreshed(made, tmp_path / "mirror")
    for _ in range(2):
        made.now += DAY
        made.entries[1].at = made.now
        update = await refreshed(made, tmp_path / "mirror")
        assert await alive(tmp_path / "mirror") == {1, 2, 3}
        assert update.requests <= first.requests + 8
        assert looked_at(update)[0] >= dt.date(2023, 1, 1)


def _dated(row: dict[str, Any], start: str) -> dict[str, Any]:
    row["time_entries"][0]["start"] = start
    return row


@pytest.mark.parametrize(
    "day", ["2006-02-01", "2019-02-01", "2024-12-31", "2027-02-01", "2029-06-01", "2035-01-01"]
)
@pytest.mark.sampled(1)
async def test_an_own_entry_that_is_shown_alive_is_never_deleted(tmp_path: Path, day: str) -> None:
    path = tmp_path / "mirror"
    made = company("2026-06-10", "2026-06-11", organization="2025-01-01")
    await refreshed(made, path)
    made.now += DAY
    made.entries[0].start, made.entries[0].at = moment(day), made.now
    manifest = await refreshed(made, path)
    assert await alive(path) == {1, 2}
    async with Mirror(path) as mirror:
        assert not [one async for one in mirror.feed() if one.deleted]
        (row,) = await mirror.sql("SELECT day FROM time_entries WHERE id = 1")
    if day < "2030":
        assert row["day"] == day
        assert manifest.totals_agree


@pytest.mark.parametrize("day", ["2019-02-01", "2025-02-01", "2027-06-10"])
async def test_a_light_update_follows_an_own_entry_that_was_moved(tmp_path: Path, day: str) -> None:
    path = tmp_path / "mirror"
    made = company("2026-06-10", "2026-06-11", organization="2025-01-01")
    await refreshed(made, path)
    made.now += DAY
    made.entries[0].start, made.entries[0].at = moment(day), made.now
    manifest = await refreshed(made, path, older=False)
    async with Mirror(path) as mirror:
        (row,) = await mirror.sql("SELECT day, deleted_at FROM time_entries WHERE id = 1")
    assert row == {"day": day, "deleted_at": None}
    assert manifest.totals_agree


async def test_an_own_entry_is_followed_though_a_choice_may_leave_it_out(tmp_path: Path) -> None:
    path = tmp_path / "mirror"
    made = company("2026-06-10", "2026-06-11", organization="2025-01-01")
    plan = ExportPlan(datasets=("time_entries",), billable=False)
    await refreshed(made, path, plan)
    made.now += DAY
    made.entries[0].start, made.entries[0].at = moment("2024-12-31"), made.now
    await refreshed(made, path, plan)
    assert await alive(path) == {1, 2}


async def test_an_own_entry_that_left_the_plan_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "mirror"
    plan = ExportPlan(datasets=("time_entries",), since=dt.date(2026, 1, 1), until=dt.date(2026, 12, 31))
    made = company("2026-06-10", "2026-06-11")
    await refreshed(made, path, plan)
    made.now += DAY
    made.entries[0].start, made.entries[0].at = moment("2025-06-10"), made.now
    await refreshed(made, path, plan)
    assert await alive(path) == {2}


async def test_a_light_update_asks_two_requests_a_workspace(tmp_path: Path) -> None:
    """The recent days and most of the year ahead are one range."""
    made = Company()
    await refreshed(made, tmp_path / "mirror")
    made.now += DAY
    made.entries.append(Entry(100, SECOND, NOW + 300 * DAY, at=NOW + DAY))
    made.log.clear()
    await refreshed(made, tmp_path / "mirror", older=False)
    assert len([path for path, _ in made.log if "/reports/" in path]) == 2 * 2
    assert 100 in await alive(tmp_path / "mirror")


async def test_an_estimate_looks_as_far_as_the_export(tmp_path: Path) -> None:
    made = company("2026-06-01", "2023-05-01", "2022-06-01", "2021-08-01", user="2024-01-05")
    plan = ExportPlan(datasets=("time_entries",))
    async with TogglClient(ApiToken("made-up"), transport=made, options=OPTIONS) as client:
        told = await estimate(client, plan)
    assert told.requests == (await refreshed(made, tmp_path / "mirror", plan)).requests
    assert await alive(tmp_path / "mirror") == {1, 2, 3, 4}


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seen=st.lists(st.booleans(), min_size=12, max_size=12),
    months=st.lists(st.integers(0, 59), min_size=12, max_size=12),
)
async def test_an_update_equals_a_fresh_export_whatever_was_seen_before(
    tmp_path_factory: pytest.TempPathFactory, seen: list[bool], months: list[int]
) -> None:
    """The token saw some of the entries, none of which has changed since."""
    directory = tmp_path_factory.mktemp("extent") / "export"
    made = company(organization="2022-07-01")
    everything = [
        Entry(number, FIRST, NOW - DAY * (1 + 30 * month), seconds=60 * (number % 3 + 1), at=LONG_AGO)
        for number, month in enumerate(months, 1)
    ]
    made.entries = [entry for entry, was in zip(everything, seen, strict=True) if was]
    await run(made, directory)
    made.entries = everything
    made.now += DAY
    assert (await run(made, directory)).totals_agree
    await equals_a_fresh_export(made, directory)
