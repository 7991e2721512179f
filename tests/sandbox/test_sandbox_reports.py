import datetime as dt
from collections import Counter, defaultdict
from typing import Any

import pytest

from support.sandbox_world import World, world
from toggl_async.sandbox import CompanySize
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import rounded

pytestmark = pytest.mark.anyio

RANGE = {"start_date": "2025-12-01", "end_date": "2026-05-20"}
MEDIUM = CompanySize(people=5, projects=12, clients=6, tags=8, days=160, time_entries=1700, deleted=40)


async def walk(toggl: World, body: dict[str, Any], workspace_id: int | None = None) -> list[Any]:
    """Return the rows of all pages, asserting that row numbers count them."""
    path = f"/reports/api/v3/workspace/{workspace_id or toggl.workspace_id}/search/time_entries"
    rows: list[Any] = []
    cursor: dict[str, int] = {}
    while True:
        answer = await toggl.http.post(path, json=body | cursor)
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        assert [row["row_number"] for row in rows] == list(range(1, len(rows) + 1))
        if "x-next-id" not in answer.headers:
            assert "x-next-row-number" not in answer.headers
            assert "x-next-timestamp" not in answer.headers
            return rows
        cursor = {
            "first_id": int(answer.headers["x-next-id"]),
            "first_row_number": int(answer.headers["x-next-row-number"]),
            "first_timestamp": int(answer.headers["x-next-timestamp"]),
        }


def ids(rows: list[Any]) -> list[int]:
    """Return the ids of the time entries in rows."""
    return [entry["id"] for row in rows for entry in row["time_entries"]]


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.slow), 7, 50, 1000, None])
async def test_pages_of_any_size_add_up_to_the_truth(size: int | None) -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        body = RANGE if size is None else RANGE | {"page_size": size}
        seen = [entry_id for space in company.workspaces for entry_id in ids(await walk(toggl, body, space))]
        truth = {row["id"] for row in company.dataset("time_entries") if not row["running"]}
        assert len(seen) == len(set(seen))
        assert set(seen) == truth


async def test_a_row_tells_what_the_truth_tells() -> None:
    async with world(size=MEDIUM) as toggl:
        company = toggl.sandbox.company
        truth = {row["id"]: row for row in company.dataset("time_entries")}
        zone = dt.timedelta(hours=3)
        for row in await walk(toggl, RANGE | {"page_size": 1000}):
            (entry,) = row["time_entries"]
            known = truth[entry["id"]]
            for name in ("user_id", "project_id", "task_id", "billable", "description"):
                assert row[name] == known[name]
            assert (row["tag_ids"] or []) == known["tag_ids"]
            start, stop = (dt.datetime.fromisoformat(entry[name]) for name in ("start", "stop"))
            assert start == dt.datetime.fromisoformat(known["start"])
            assert stop == dt.datetime.fromisoformat(known["stop"])
            assert entry["seconds"] == known["seconds"] == (stop - start).total_seconds()
            assert start.utcoffset() in {zone, zone - dt.timedelta(hours=1)}
            assert entry["at"].endswith("+00:00")
            assert dt.datetime.fromisoformat(entry["at_tz"]) == dt.datetime.fromisoformat(entry["at"])
            assert row["username"] == company.people[row["user_id"]].name
            assert (row["hourly_rate_in_cents"] is None) == (not row["billable"])
            if row["billable"]:
                amount = row["hourly_rate_in_cents"] * entry["seconds"] / 3600
                assert row["billable_amount_in_cents"] == round(amount)
            assert "project_name" not in row


async def test_untagged_rows_have_null_or_an_empty_list() -> None:
    async with world() as toggl:
        tags = [row["tag_ids"] for row in await walk(toggl, RANGE | {"page_size": 1000})]
        assert None in tags
        assert [] in tags


async def test_names_and_amounts_are_there_when_asked_for() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        rows = await walk(toggl, RANGE | {"page_size": 1000, "enrich_response": True, "hide_amounts": True})
        for row in rows:
            project = company.projects.get(row["project_id"])
            assert row["project_name"] == (project.name if project else None)
            assert row["project_hex"] == (project.color if project else None)
            client = company.clients.get(project.client_id or 0) if project else None
            assert row["client_name"] == (client.name if client else None)
            task = company.tasks.get(row["task_id"])
            assert row["task_name"] == (task.name if task else None)
            assert row["tag_names"] == [company.tags[tag_id].name for tag_id in row["tag_ids"] or []]
            assert (row["billable_amount_in_cents"], row["hourly_rate_in_cents"]) == (None, None)
        assert any(row["billable"] for row in rows)


async def test_deleted_and_running_entries_never_appear() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        hidden = {entry.id for entry in company.entries.values() if not entry.reported}
        assert len(hidden) == 13
        assert hidden.isdisjoint(ids(await walk(toggl, RANGE)))


@pytest.mark.parametrize("direction", ["ASC", "desc"])
@pytest.mark.parametrize("order", ["date", "user", "duration", "description", "last_update"])
async def test_orders(order: str, direction: str) -> None:
    keys: dict[str, Any] = {
        "date": lambda entry, _: entry.start,
        "user": lambda entry, people: people[entry.user_id].name,
        "duration": lambda entry, _: entry.seconds,
        "description": lambda entry, _: entry.description,
        "last_update": lambda entry, _: entry.changed,
    }
    async with world() as toggl:
        company = toggl.sandbox.company
        rows = await walk(toggl, RANGE | {"order_by": order, "order_dir": direction})
        values = [keys[order](company.entries[entry_id], company.people) for entry_id in ids(rows)]
        assert values == sorted(values, reverse=direction == "desc")
        assert len(values) == len(company.reported(toggl.workspace_id))


async def test_the_newest_come_first_unless_told_otherwise() -> None:
    async with world() as toggl:
        starts = [row["time_entries"][0]["start"] for row in await walk(toggl, RANGE)]
        moments = [dt.datetime.fromisoformat(start) for start in starts]
        assert moments == sorted(moments, reverse=True)


async def test_groups_hold_what_differs_in_time_alone() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/time_entries"
        made = [
            await toggl.json(
                "POST",
                path,
                {
                    "created_with": "tests",
                    "workspace_id": toggl.workspace_id,
                    "start": f"2026-05-19T0{hour}:00:00Z",
                    "duration": 600,
                    "description": "same",
                },
            )
            for hour in (7, 8, 9)
        ]
        rows = await walk(toggl, RANGE | {"grouped": True, "page_size": 20})
        group = next(row for row in rows if row["description"] == "same")
        assert sorted(entry["id"] for entry in group["time_entries"]) == [row["id"] for row in made]
        assert sorted(ids(rows)) == sorted(ids(await walk(toggl, RANGE)))


async def test_a_cursor_survives_a_row_that_vanishes() -> None:
    async with world() as toggl:
        body = RANGE | {"page_size": 20}
        answer = await toggl.http.post(f"{toggl.reports}/search/time_entries", json=body)
        following = int(answer.headers["x-next-id"])
        first = ids(answer.json())[0]
        await toggl.http.delete(f"{toggl.workspace}/time_entries/{first}")
        cursor = {"first_id": following, "first_row_number": 21}
        assert (
            ids(await toggl.json("POST", f"{toggl.reports}/search/time_entries", body | cursor))[0]
            == following
        )
        await toggl.http.delete(f"{toggl.workspace}/time_entries/{following}")
        gone = await toggl.json("POST", f"{toggl.reports}/search/time_entries", body | cursor)
        assert gone[0]["row_number"] == 21
        beyond = await toggl.json(
            "POST", f"{toggl.reports}/search/time_entries", body | {"first_row_number": 9999}
        )
        assert beyond == []


async def test_row_numbers_alone_suffice() -> None:
    async with world() as toggl:
        body = RANGE | {"page_size": 100}
        every = ids(await walk(toggl, body))
        third = await toggl.json(
            "POST", f"{toggl.reports}/search/time_entries", body | {"first_row_number": 201}
        )
        assert ids(third) == every[200:300]


async def test_days_are_the_users_own() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        zone = company.zone(company.owner)
        day = zone.day(company.reported(toggl.workspace_id)[40].start)
        week = (day + dt.timedelta(days=6)).isoformat()
        for body, last in (
            ({"start_date": day.isoformat(), "end_date": day.isoformat()}, day.isoformat()),
            ({"start_date": day.isoformat()}, week),
            ({"end_date": day.isoformat()}, day.isoformat()),
        ):
            answer = await toggl.http.post(
                f"{toggl.reports}/search/time_entries", json=body | {"page_size": 1000}
            )
            assert set(ids(answer.json())) == {
                entry.id
                for entry in company.reported(toggl.workspace_id)
                if day <= zone.day(entry.start) <= dt.date.fromisoformat(last)
            }
            assert (answer.headers["x-range-start"], answer.headers["x-range-end"]) == (day.isoformat(), last)


async def test_without_dates_it_is_today() -> None:
    async with world() as toggl:
        answer = await toggl.http.post(f"{toggl.reports}/search/time_entries", json={"user_ids": [5]})
        assert (answer.json(), answer.headers["x-range-start"]) == ([], "2026-05-20")


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "At least one parameter must be set"),
        ({"page_size": 50, "tag_ids": []}, 400, "At least one parameter must be set"),
        (RANGE | {"page_size": 1001}, 400, "Invalid 'page_size' value, must be between 1 and 1000"),
        (RANGE | {"page_size": 0}, 400, "Invalid 'page_size' value, must be between 1 and 1000"),
        (
            {"start_date": "2025-01-01", "end_date": "2026-01-02"},
            400,
            "The date range must not exceed 366 days",
        ),
        (
            {"start_date": "2026-01-02", "end_date": "2026-01-01"},
            400,
            "end_date must be greater than or equal",
        ),
        (
            {"start_date": "2026-01-02T00:00:00Z"},
            400,
            "Invalid 'start_date' value, allowed format is YYYY-MM-DD",
        ),
        (RANGE | {"order_by": "color"}, 400, "Invalid 'order_by' value, allowed values are date, user, "),
        (RANGE | {"order_dir": "UP"}, 400, "Invalid 'order_dir' value, allowed values are ASC, DESC"),
        (RANGE | {"project_ids": "1"}, 400, 'Unexpected "project_ids" type string, offset='),
        (RANGE | {"page_size": 2.5}, 400, 'Unexpected "page_size" type number, offset='),
    ],
)
async def test_what_is_refused(body: Any, status: int, text: str) -> None:
    async with world() as toggl:
        got, said = await toggl.refused("POST", f"{toggl.reports}/search/time_entries", body)
        assert (got, said[: len(text)]) == (status, text)


async def test_a_leap_years_range_is_not_too_long() -> None:
    async with world() as toggl:
        body = {"start_date": "2024-01-01", "end_date": "2024-12-31"}
        answer = await toggl.http.post(f"{toggl.reports}/search/time_entries", json=body)
        assert answer.status_code == 200


async def test_the_free_plan_cannot_filter_by_billable() -> None:
    async with world(plan="free") as toggl:
        refused = await toggl.refused(
            "POST", f"{toggl.reports}/search/time_entries", RANGE | {"billable": True}
        )
        assert refused == (402, "Billable is a premium feature")
        rows = await walk(toggl, RANGE)
        assert {row["billable_amount_in_cents"] for row in rows} == {None}


async def test_filters_let_through_what_they_say() -> None:
    async with world(size=MEDIUM) as toggl:
        company = toggl.sandbox.company
        entries = company.reported(toggl.workspace_id)
        sample = next(entry for entry in entries if entry.task_id and entry.tag_ids)
        client_id = next(
            project.client_id for project in company.projects_of(toggl.workspace_id) if project.client_id
        )
        group = next(iter(company.groups.values()))

        def client_of(entry: TimeEntryRow) -> int | None:
            return company.projects[entry.project_id].client_id if entry.project_id else None

        cases: list[tuple[dict[str, Any], Any]] = [
            ({"user_ids": [sample.user_id]}, lambda entry: entry.user_id == sample.user_id),
            ({"project_ids": [sample.project_id]}, lambda entry: entry.project_id == sample.project_id),
            ({"project_ids": [None]}, lambda entry: entry.project_id is None),
            ({"task_ids": [sample.task_id]}, lambda entry: entry.task_id == sample.task_id),
            ({"client_ids": [client_id]}, lambda entry: client_of(entry) == client_id),
            ({"client_ids": [None, client_id]}, lambda entry: client_of(entry) in {None, client_id}),
            ({"tag_ids": [sample.tag_ids[0]]}, lambda entry: sample.tag_ids[0] in entry.tag_ids),
            ({"tag_ids": [None]}, lambda entry: not entry.tag_ids),
            ({"group_ids": [group.id, 1]}, lambda entry: entry.user_id in group.members),
            ({"time_entry_ids": [sample.id]}, lambda entry: entry.id == sample.id),
            ({"billable": True}, lambda entry: entry.billable),
            ({"billable": False}, lambda entry: not entry.billable),
            ({"description": "REVIEW"}, lambda entry: "review" in entry.description.casefold()),
            ({"min_duration_seconds": 3600}, lambda entry: entry.seconds >= 3600),
            ({"max_duration_seconds": 3600}, lambda entry: entry.seconds <= 3600),
        ]
        for filters, passes in cases:
            rows = await walk(toggl, RANGE | {"page_size": 1000} | filters)
            expected = {entry.id for entry in entries if passes(entry)}
            assert expected
            assert set(ids(rows)) == expected, filters


def test_rounding_up_to_the_nearest_and_down() -> None:
    assert [rounded(61, direction, 1) for direction in (1, 0, -1)] == [120, 60, 60]
    assert [rounded(90, direction, 1) for direction in (1, 0, -1)] == [120, 120, 60]
    assert [rounded(1800, direction, 15) for direction in (1, 0, -1)] == [1800, 1800, 1800]
    assert rounded(61, 1, 0) == 61


async def test_reports_round_as_the_user_prefers_unless_told_otherwise() -> None:
    async with world(rounding_minutes=15) as toggl:
        company = toggl.sandbox.company
        exact = {entry.id: entry.seconds for entry in company.entries.values()}

        async def seconds(**rounding: int) -> dict[int, int]:
            rows = await walk(toggl, RANGE | {"page_size": 1000} | rounding)
            return {entry["id"]: entry["seconds"] for row in rows for entry in row["time_entries"]}

        preferred = await seconds()
        assert all(value % 900 == 0 and value >= (exact[key] or 0) for key, value in preferred.items())
        for rounding in ({"rounding": 0}, {"rounding_minutes": 0}, {"rounding": 0, "rounding_minutes": 0}):
            unrounded = await seconds(**rounding)
            assert unrounded == {key: exact[key] for key in unrounded}
        down = await seconds(rounding=-1, rounding_minutes=5)
        assert all(value == (exact[key] or 0) // 300 * 300 for key, value in down.items())


async def test_totals_are_the_sums_of_the_rows() -> None:
    async with world(size=MEDIUM) as toggl:
        rows = await walk(toggl, RANGE | {"page_size": 1000})
        totals = await toggl.json("POST", f"{toggl.reports}/search/time_entries/totals", RANGE)
        assert totals["seconds"] == sum(entry["seconds"] for row in rows for entry in row["time_entries"])
        assert totals["billable_amount_in_cents"] == sum(row["billable_amount_in_cents"] or 0 for row in rows)
        assert totals["tracked_days"] == len({row["time_entries"][0]["start"][:10] for row in rows})
        billable: Counter[int] = Counter()
        for row in rows:
            if row["billable"]:
                billable[row["hourly_rate_in_cents"]] += row["time_entries"][0]["seconds"]
        assert {
            rate["hourly_rate_in_cents"]: rate["billable_seconds"] for rate in totals["rates"]
        } == billable
        assert "graph" not in totals
        assert totals["resolution"] == "week"


@pytest.mark.parametrize(
    ("body", "resolution", "bars"),
    [
        (RANGE, "week", 25),
        ({"start_date": "2026-05-01", "end_date": "2026-05-31"}, "day", 31),
        ({"start_date": "2025-07-01", "end_date": "2026-06-30"}, "month", 12),
        (RANGE | {"resolution": "month"}, "month", 6),
        (RANGE | {"granularity": "day"}, "day", 171),
    ],
)
async def test_the_graph_covers_the_range(body: dict[str, Any], resolution: str, bars: int) -> None:
    async with world() as toggl:
        path = f"{toggl.reports}/search/time_entries/totals"
        totals = await toggl.json("POST", path, body | {"with_graph": True})
        assert totals["resolution"] == resolution
        assert len(totals["graph"]) == bars
        assert sum(bar["seconds"] for bar in totals["graph"]) == totals["seconds"] > 0
        cents = sum(bar["billable_amount_in_cents"] for bar in totals["graph"])
        assert cents == totals["billable_amount_in_cents"]
        assert (await toggl.refused("POST", path, body | {"granularity": "hour"}))[0] == 400


@pytest.mark.parametrize("grouping", ["projects", "clients", "users", None])
@pytest.mark.parametrize("below", ["time_entries", "projects", "clients", "users", "tasks", None])
async def test_summaries_add_up(grouping: str | None, below: str | None) -> None:
    async with world(size=MEDIUM) as toggl:
        path = f"{toggl.reports}/summary/time_entries"
        body = RANGE | {"include_time_entry_ids": True}
        body |= {} if grouping is None else {"grouping": grouping}
        body |= {} if below is None else {"sub_grouping": below}
        if (grouping or "projects") == below:
            assert (await toggl.refused("POST", path, body))[0] == 400
            return
        answer = await toggl.http.post(path, json=body)
        assert answer.headers["x-grouping"] == grouping or "projects"
        assert answer.headers["x-sub-grouping"] == (below or "time_entries")
        groups = answer.json()["groups"]
        inner = [sub for group in groups for sub in group["sub_groups"]]
        entries = toggl.sandbox.company.entries
        assert sorted(entry_id for sub in inner for entry_id in sub["ids"]) == sorted(
            entry.id for entry in toggl.sandbox.company.reported(toggl.workspace_id)
        )
        for sub in inner:
            assert sub["seconds"] == sum(entries[entry_id].seconds or 0 for entry_id in sub["ids"])
            billable = sum(
                entries[entry_id].seconds or 0 for entry_id in sub["ids"] if entries[entry_id].billable
            )
            assert sum(rate["billable_seconds"] for rate in sub["rates"] or []) == billable
        if below == "users":
            people = toggl.sandbox.company.people
            assert all(sub["title"] == people[sub["id"]].name for sub in inner)
        if below == "projects":
            assert any(sub["id"] is None and sub["title"] is None for sub in inner)


async def test_summaries_know_their_groupings() -> None:
    async with world() as toggl:
        path = f"{toggl.reports}/summary/time_entries"
        assert (await toggl.refused("POST", path, RANGE | {"grouping": "colors"}))[0] == 400
        assert (await toggl.refused("POST", path, RANGE | {"sub_grouping": "colors"}))[0] == 400
        groups = (await toggl.json("POST", path, RANGE))["groups"]
        assert "ids" not in groups[0]["sub_groups"][0]


async def test_a_week_is_seven_sums_a_user_and_project() -> None:
    async with world(size=MEDIUM) as toggl:
        company = toggl.sandbox.company
        body = {"start_date": "2026-05-04", "end_date": "2026-05-20"}
        rows = await toggl.json("POST", f"{toggl.reports}/weekly/time_entries", body)
        zone = company.zone(company.owner)
        expected: dict[tuple[int, int | None], list[int]] = defaultdict(lambda: [0] * 7)
        for entry in company.reported(toggl.workspace_id):
            day = (zone.day(entry.start) - dt.date(2026, 5, 4)).days
            if 0 <= day < 7:
                expected[entry.user_id, entry.project_id][day] += entry.seconds or 0
        assert {(row["user_id"], row["project_id"]): row["seconds"] for row in rows} == expected
        assert {row["project_name"] for row in rows if row["project_id"] is None} == {None}
        assert all(row["project_name"] for row in rows if row["project_id"])


@pytest.mark.parametrize("way", ["filters", "search"])
async def test_filters_can_be_looked_up(way: str) -> None:
    async with world(size=MEDIUM) as toggl:
        company = toggl.sandbox.company
        for name, rows in (
            ("clients", company.clients_of(toggl.workspace_id)),
            ("projects", company.projects_of(toggl.workspace_id)),
            (
                "users",
                [company.people[user_id] for user_id in company.workspaces[toggl.workspace_id].members],
            ),
        ):
            path = f"{toggl.reports}/{way}/{name}"
            every = [row["id"] for row in await toggl.json("POST", path, {})]
            assert every == sorted(row.id for row in rows)
            assert [row["id"] for row in await toggl.json("POST", path, {"start": every[1]})] == every[1:]
            assert [row["id"] for row in await toggl.json("POST", path, {"page_size": 2})] == every[:2]
            assert [row["id"] for row in await toggl.json("POST", path, {"ids": [every[0], 3]})] == every[:1]
            assert rows[0].id in {
                row["id"] for row in await toggl.json("POST", path, {"name": rows[0].name[:4].upper()})
            }
        active = await toggl.json("POST", f"{toggl.reports}/{way}/projects", {"is_active": True})
        assert {row["id"] for row in active} == {
            row.id for row in company.projects_of(toggl.workspace_id) if row.active
        }
        client_id = next(row.client_id for row in company.projects_of(toggl.workspace_id) if row.client_id)
        its = await toggl.json("POST", f"{toggl.reports}/{way}/projects", {"client_ids": [client_id]})
        assert {row["client_id"] for row in its} == {client_id}


async def test_the_status_of_tasks_needs_a_plan() -> None:
    for plan in ("free", "starter"):
        async with world(plan=plan) as toggl:
            company = toggl.sandbox.company
            path = f"{toggl.reports}/filters/tasks/status"
            if plan == "free":
                assert await toggl.refused("POST", path, {}) == (402, "Tasks are a premium feature")
                continue
            entry = next(entry for entry in company.reported(toggl.workspace_id) if entry.task_id)
            (row,) = await toggl.json("POST", path, {"ids": [entry.task_id]})
            assert row["tracked_seconds"] == sum(
                known.seconds or 0
                for known in company.entries.values()
                if known.reported and known.task_id == row["id"]
            )
            assert await toggl.json("POST", path, {}) == []


async def test_a_graph_has_points_of_a_day_a_week_or_a_month() -> None:
    async with world() as toggl:
        refused = await toggl.refused("POST", f"{toggl.reports}/comparative", {"resolution": "hour"})
        assert refused == (400, "Invalid 'resolution' value, allowed values are day, week, month")
