"""What used to be made up: sums of projects, statistics, the dashboard, files of reports, saved reports."""

import datetime as dt
from typing import Any

import pytest

from support.sandbox_world import World, world
from toggl_async.sandbox.entities import TimeEntryRow

pytestmark = pytest.mark.anyio

RANGE = {"start_date": "2025-12-01", "end_date": "2026-05-20"}


def reported(toggl: World) -> list[TimeEntryRow]:
    return toggl.sandbox.company.reported(toggl.workspace_id)


async def test_each_answer_says_where_it_is_from(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "toggl_async.sandbox")
    caplog.set_level("INFO", "uvicorn.access")
    async with world() as toggl:
        expenses = f"{toggl.workspace}/expenses"
        paths = ("/api/v9/me", expenses, expenses, "/api/v9/nothing", f"{toggl.workspace}/tags?page=x")
        answers = [await toggl.http.get(path) for path in paths]
        origins = [answer.headers["x-sandbox-answer"] for answer in answers]
        assert origins == ["state", "sample", "sample", "state", "state"]
        assert toggl.sandbox.counts.samples == {"GET /api/v9/workspaces/{workspace_id}/expenses": 2}
        toggl.sandbox.counts.reset()
        assert toggl.sandbox.counts.samples == {}
    told = [record.getMessage() for record in caplog.records if record.name == "toggl_async.sandbox"]
    (line,) = told
    assert line.startswith("GET /api/v9/workspaces/{workspace_id}/expenses is answered by a sample")
    access = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert len(access) == 5
    assert '"GET /api/v9/me HTTP/1.1" 200' in access[0]


async def test_a_project_has_sums_and_statistics() -> None:
    async with world() as toggl:
        project = toggl.sandbox.company.projects_of(toggl.workspace_id)[0]
        own = [entry for entry in reported(toggl) if entry.project_id == project.id]
        seconds = sum(entry.seconds or 0 for entry in own)
        billable = sum(entry.seconds or 0 for entry in own if entry.billable)
        totals = await toggl.json("POST", f"{toggl.reports}/projects/{project.id}/summary", RANGE)
        assert totals["seconds"] == sum(point["seconds"] for point in totals["graph"]) == seconds > 0
        (status,) = await toggl.json(
            "POST", f"{toggl.reports}/filters/projects/status", {"ids": [project.id]}
        )
        assert (status["tracked_seconds"], status["billable_seconds"]) == (seconds, billable)
        path = f"{toggl.workspace}/projects/{project.id}/statistics"
        starts = sorted(entry.start for entry in own)
        found = await toggl.json("GET", path)
        read = [int(dt.datetime.fromisoformat(moment).timestamp()) for moment in found.values()]
        assert read == [starts[0], starts[-1]]
        await toggl.http.delete(f"{toggl.workspace}/projects/{project.id}")
        made = await toggl.json("POST", f"{toggl.workspace}/projects", {"name": "Without time"})
        empty = await toggl.json("GET", f"{toggl.workspace}/projects/{made['id']}/statistics")
        assert empty == {"earliest_time_entry": None, "latest_time_entry": None}


async def test_projects_are_counted_and_listed_by_their_ids() -> None:
    async with world() as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/projects"
        rows = company.projects_of(toggl.workspace_id)
        assert await toggl.json("GET", f"{path}/templates") == []
        some = {"project_ids": [rows[0].id, rows[2].id]}
        assert [row["id"] for row in await toggl.json("POST", f"{path}/billable-amounts", some)] == [
            rows[0].id,
            rows[2].id,
        ]
        tasks = await toggl.json("POST", f"{path}/task_count", {})
        assert sum(count for row in tasks for count in row.values()) == len(
            company.tasks_of(toggl.workspace_id)
        )
        (users,) = await toggl.json("POST", f"{path}/user_count", {"project_ids": [rows[0].id]})
        people = {entry.user_id for entry in reported(toggl) if entry.project_id == rows[0].id}
        assert users == {str(rows[0].id): len(people)}
        listed = await toggl.json("GET", "/api/v9/me/projects/paginated", per_page=2)
        ids = sorted(company.projects)
        assert [row["id"] for row in listed] == ids[:2]
        rest = await toggl.json("GET", "/api/v9/me/projects/paginated", start_project_id=ids[2])
        assert [row["id"] for row in rest] == ids[2:]
        assert await toggl.json("GET", "/api/v9/me/id") == company.owner.id


async def test_tasks_are_found_by_their_projects() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        rows = company.tasks_of(toggl.workspace_id)
        project_id = rows[0].project_id
        own = {row.id for row in rows if row.project_id == project_id}
        path = f"{toggl.workspace}/tasks"
        basic = await toggl.json("GET", f"{path}/basic", active="both", project_id=project_id)
        assert {row["id"] for row in basic["data"]} == own
        mine = await toggl.json("GET", f"{path}/basic", active="both", only_me="true")
        assert {row["id"] for row in mine["data"] or ()} == {
            row.id for row in rows if row.user_id == company.owner.id
        }
        clients = await toggl.json(
            "GET", path, active="both", client_ids=company.projects[project_id].client_id, task_ids=rows[0].id
        )
        assert [row["id"] for row in clients["data"]] == [rows[0].id]
        found = await toggl.json("POST", f"{path}/data", {"project_ids": [project_id]}, search="")
        assert {row["id"] for row in found[str(project_id)]} == own
        listed = await toggl.json("POST", f"{toggl.reports}/filters/tasks", {"project_ids": [project_id]})
        assert {row["id"] for row in listed} == own
        assert (
            await toggl.json("POST", f"{toggl.reports}/search/tasks", {"name": "nothing of that name"}) == []
        )
    async with world(plan="free") as toggl:
        assert (await toggl.refused("POST", f"{toggl.reports}/search/tasks", {}))[0] == 402


async def test_people_and_groups_are_counted() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        space = company.workspaces[toggl.workspace_id]
        found = await toggl.json("GET", f"{toggl.workspace}/statistics")
        assert (found["members_count"], found["groups_count"]) == (len(space.members), len(company.groups))
        assert {row["user_id"] for row in found["admins"]} == {
            one.id for one in company.people.values() if one.admin
        }
        everywhere = await toggl.json("GET", f"{toggl.organization}/workspaces/statistics")
        assert everywhere[str(space.id)] == found
        assert set(everywhere) == set(map(str, company.workspaces))
        people = await toggl.json("POST", f"{toggl.workspace}/users/data", [company.owner.id])
        assert [row["fullname"] for row in people] == [company.owner.name]
        assert (await toggl.json("GET", f"{toggl.organization}/owner"))["user_id"] == company.owner.id
        assert await toggl.json("GET", f"{toggl.workspace}/currencies") == ["EUR"]


async def test_a_workspace_can_be_created_on_the_premium_plan() -> None:
    path = "/workspaces"
    async with world(plan="premium") as toggl:
        made = await toggl.json("POST", toggl.organization + path, {"name": "Third"})
        assert (await toggl.json("GET", f"/api/v9/workspaces/{made['id']}"))["name"] == "Third"
        assert (await toggl.refused("POST", toggl.organization + path, {"name": ""}))[0] == 400
    async with world() as toggl:
        assert (await toggl.refused("POST", toggl.organization + path, {"name": "Third"}))[0] == 402


async def test_the_dashboard_shows_what_was_done() -> None:
    async with world() as toggl:
        path, since = f"{toggl.workspace}/dashboard", toggl.sandbox.clock.now() - 7 * 86_400
        recent = [entry for entry in reported(toggl) if entry.start >= since]
        activity = await toggl.json("GET", f"{path}/all_activity")
        assert [row["duration"] for row in activity] == [entry.seconds for entry in reversed(recent)][:20]
        top = await toggl.json("GET", f"{path}/top_activity", since=1)
        assert top[0]["duration"] == max(entry.seconds or 0 for entry in reported(toggl))
        most = await toggl.json("GET", f"{path}/most_active", since=1)
        assert sum(row["duration"] for row in most) == sum(entry.seconds or 0 for entry in reported(toggl))


async def test_reports_come_as_files() -> None:
    async with world() as toggl:
        body = RANGE | {"grouping": "users", "sub_grouping": "projects"}
        table = await toggl.http.post(f"{toggl.reports}/summary/time_entries.csv", json=body)
        lines = table.text.removeprefix("\ufeff").split("\r\n")
        groups = (await toggl.json("POST", f"{toggl.reports}/summary/time_entries", body))["groups"]
        assert lines[0] == "User,Project,Duration"
        assert len(lines) - 2 == sum(len(group["sub_groups"]) for group in groups)
        week = await toggl.http.post(f"{toggl.reports}/weekly/time_entries.csv", json=RANGE)
        assert "User,Project,Day 1" in week.text
        sheet = await toggl.http.post(f"{toggl.reports}/summary/time_entries.xlsx", json=RANGE)
        assert sheet.content.startswith(b"PK")
        assert (await toggl.refused("POST", f"{toggl.reports}/summary/time_entries.odt", RANGE))[0] == 400
        for report in ("summary", "weekly"):
            document = await toggl.http.post(f"{toggl.reports}/{report}/time_entries.pdf", json=RANGE)
            assert document.content.startswith(b"%PDF")


@pytest.mark.parametrize("kind", ["summary", "detailed", "weekly", None])
async def test_a_saved_report_is_run_by_its_token(kind: str | None) -> None:
    async with world() as toggl:
        params: dict[str, Any] = {**RANGE, **({} if kind is None else {"report_type": kind})}
        fields = {"name": "Spring", "public": True, "fixed_daterange": True, "params": params}
        made = await toggl.json("POST", f"{toggl.workspace}/reports/shared", fields)
        path = f"/reports/api/v3/shared/{made['token']}"
        found = await toggl.json("POST", path)
        results = found[f"{kind or 'summary'}_results"]
        report = {"detailed": "search/time_entries", "weekly": "weekly/time_entries"}
        plain = report.get(kind or "", "summary/time_entries")
        assert results["report"] == await toggl.json("POST", f"{toggl.reports}/{plain}", RANGE)
        if kind != "weekly":
            assert results["totals"]["seconds"] == sum(entry.seconds or 0 for entry in reported(toggl))
        none = await toggl.json("POST", path, {"start_date": "2020-01-01", "end_date": "2020-01-02"})
        assert not (none[f"{kind or 'summary'}_results"].get("totals") or {"seconds": 0})["seconds"]
        assert (await toggl.refused("POST", "/reports/api/v3/shared/none"))[0] == 404


async def test_trends_can_be_asked_of_some() -> None:
    async with world() as toggl:
        one = toggl.sandbox.company.projects_of(toggl.workspace_id)[0].id
        found = await toggl.json("POST", f"{toggl.reports}/data_trends/projects", RANGE | {"ids": [one]})
        assert {row["project_id"] for point in found["graph"]["data"] for row in point["projects"]} == {one}


async def test_projects_are_compared_with_an_earlier_period() -> None:
    async with world() as toggl:
        path = f"/insights/api/v1/workspace/{toggl.workspace_id}/data_trends/projects"
        body = {"start_date": "2026-04-01", "end_date": "2026-04-30"}
        rows = await toggl.json("POST", path, body)
        now = await toggl.json("POST", f"{toggl.reports}/search/time_entries/totals", body)
        before = await toggl.json(
            "POST",
            f"{toggl.reports}/search/time_entries/totals",
            {
                "start_date": "2026-03-02",
                "end_date": "2026-03-31",
                "project_ids": [row["project_id"] for row in rows],
            },
        )
        assert {row["previousStart"] for row in rows} == {"2026-03-02"}
        assert sum(sum(row["current_period_seconds"]) for row in rows) == now["seconds"]
        assert sum(sum(row["previous_period_seconds"]) for row in rows) == before["seconds"]
