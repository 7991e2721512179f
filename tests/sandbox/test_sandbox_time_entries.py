import datetime as dt
import re
from typing import Any

import pytest

from support.sandbox_world import NOW, world
from toggl_async.sandbox import CompanySize

pytestmark = pytest.mark.anyio

PATH = "/api/v9/me/time_entries"
SECONDS = int(NOW.timestamp())


async def test_without_arguments_come_the_last_days_newest_first() -> None:
    async with world() as toggl:
        rows = await toggl.json("GET", PATH)
        starts = [row["start"] for row in rows]
        assert starts == sorted(starts, reverse=True)
        assert starts[-1] >= "2026-05-11T12:00:00+00:00"
        company = toggl.sandbox.company
        assert {row["id"] for row in rows} == {
            entry.id
            for entry in company.personal(company.owner.id)
            if entry.start >= SECONDS - 9 * 86_400 and entry.deleted is None
        }
        assert rows[0]["stop"] is None
        assert rows[0]["duration"] == -(company.personal(company.owner.id)[0].start + 1)


async def test_the_shape_of_a_listed_entry() -> None:
    async with world() as toggl:
        since = SECONDS - 80 * 86_400
        rows = await toggl.json("GET", PATH, since=since)
        for row in rows:
            assert row["wid"] == row["workspace_id"]
            assert row["uid"] == row["user_id"]
            assert row.get("pid") == row["project_id"]
            assert row.get("tid") == row["task_id"]
            assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\+00:00", row["start"])
            assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3,6}Z", row["at"])
            assert row["duronly"] is True
            assert (row["tags"] is None) == (row["tag_ids"] is None)
        assert any("pid" not in row for row in rows)
        assert any(row["server_deleted_at"] is not None for row in rows)
        assert any(row["tags"] is None for row in rows)
        assert any(row["tags"] == [] for row in rows)


async def test_meta_brings_the_names() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        rows = await toggl.json("GET", PATH, since=SECONDS - 80 * 86_400, meta="true")
        assert all(row["user_name"] == company.owner.name for row in rows)
        for row in rows:
            project = company.projects.get(row["project_id"])
            assert row.get("project_name") == (project.name if project else None)
            client = company.clients.get(project.client_id or 0) if project else None
            assert row.get("client_name") == (client.name if client else None)
        assert any(row.get("client_name") for row in rows)


async def test_since_finds_changes_and_deletions_and_before_does_not() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        mine = company.personal(company.owner.id)
        since = SECONDS - 30 * 86_400
        changed = {entry.id for entry in mine if entry.changed >= since * 1_000_000}
        deleted = {entry.id for entry in mine if entry.deleted is not None}
        assert changed & deleted
        assert {row["id"] for row in await toggl.json("GET", PATH, since=since)} == changed
        before = NOW - dt.timedelta(days=20)
        older = {entry.id for entry in mine if entry.start < before.timestamp()} - deleted
        assert {row["id"] for row in await toggl.json("GET", PATH, before=before.isoformat())} == older


async def test_a_range_is_of_starts_and_its_end_is_left_out() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        mine = [entry for entry in company.personal(company.owner.id) if entry.deleted is None]

        async def ids(start: str, end: str) -> set[int]:
            return {row["id"] for row in await toggl.json("GET", PATH, start_date=start, end_date=end)}

        def between(first: dt.datetime, last: dt.datetime) -> set[int]:
            return {entry.id for entry in mine if first.timestamp() <= entry.start < last.timestamp()}

        march, april = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
        assert await ids("2026-03-01", "2026-04-01") == between(march, april)
        day = mine[30].start
        exact = dt.datetime.fromtimestamp(day, dt.UTC)
        assert mine[30].id in await ids(exact.isoformat(), (exact + dt.timedelta(seconds=1)).isoformat())
        assert mine[30].id not in await ids((exact - dt.timedelta(hours=1)).isoformat(), exact.isoformat())


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            {"since": SECONDS, "before": "2026-05-01"},
            "'since' and 'before' can not be present simultaneously",
        ),
        (
            {"since": SECONDS, "start_date": "2026-05-01", "end_date": "2026-05-02"},
            "'since' and 'start_date' can not be present simultaneously",
        ),
        (
            {"before": "2026-05-01", "start_date": "2026-05-01", "end_date": "2026-05-02"},
            "'before' and 'start_date' can not be present simultaneously",
        ),
        ({"start_date": "2026-05-01"}, "start_date and end_date must be both present"),
        ({"end_date": "2026-05-01"}, "start_date and end_date must be both present"),
        ({"start_date": "2026-05-02", "end_date": "2026-05-01"}, "end_date must not be before start_date"),
        ({"start_date": "May", "end_date": "2026-05-01"}, "Invalid 'start_date' value, allowed formats are "),
        (
            {"start_date": "2026-05-01T10:00", "end_date": "2026-05-01"},
            "Invalid 'start_date' value, allowed ",
        ),
        ({"before": "2026-02-19"}, "before must not be earlier than 2026-02-20"),
        (
            {"start_date": "2026-02-19", "end_date": "2026-05-01"},
            "start_date must not be earlier than 2026-02-20",
        ),
        ({"since": 1700000000}, "since must not be earlier than 2026-02-20"),
        ({"since": "yesterday"}, "Invalid 'since' value"),
    ],
)
async def test_what_is_refused(query: dict[str, Any], text: str) -> None:
    async with world() as toggl:
        status, said = await toggl.refused("GET", PATH, **query)
        assert (status, said[: len(text)]) == (400, text)


async def test_three_months_back_is_still_answered() -> None:
    async with world() as toggl:
        answer = await toggl.http.get(PATH, params={"start_date": "2026-02-20", "end_date": "2026-05-20"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("now", "floor"),
    [
        (dt.datetime(2026, 5, 31, tzinfo=dt.UTC), "2026-02-28"),
        (dt.datetime(2026, 2, 10, tzinfo=dt.UTC), "2025-11-10"),
    ],
)
async def test_the_floor_moves_with_today(now: dt.datetime, floor: str) -> None:
    async with world(now=now) as toggl:
        status, text = await toggl.refused("GET", PATH, before="2025-01-01")
        assert (status, text) == (400, f"before must not be earlier than {floor}")


async def test_a_list_ends_silently_at_a_thousand_rows() -> None:
    size = CompanySize(people=1, projects=2, clients=2, tags=2, days=30, time_entries=1500, deleted=0)
    async with world(size=size) as toggl:
        rows = await toggl.json("GET", PATH, start_date="2026-04-01", end_date="2026-05-21")
        assert len(rows) == 1000
        assert rows[0]["stop"] is None


async def test_one_entry_by_its_id() -> None:
    async with world() as toggl:
        listed = (await toggl.json("GET", PATH))[1]
        assert await toggl.json("GET", f"{PATH}/{listed['id']}") == listed
        assert "user_name" in await toggl.json("GET", f"{PATH}/{listed['id']}", meta="true")
        assert await toggl.refused("GET", f"{PATH}/1") == (404, "Time entry not found")
