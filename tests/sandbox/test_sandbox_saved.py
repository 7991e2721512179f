import csv
import io
import zipfile
from typing import Any

import httpx
import msgspec
import pytest

from support.sandbox_world import World, world

pytestmark = pytest.mark.anyio


async def fetched(toggl: World, method: str, path: str, body: Any = None) -> httpx.Response:
    """Fetch a file."""
    answer = await toggl.http.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


# Favorites


async def test_favorites_are_made_changed_and_deleted() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        task = next(row for row in company.tasks.values() if row.workspace_id == toggl.workspace_id)
        tag = company.tags_of(toggl.workspace_id)[0]
        path = f"{toggl.workspace}/favorites"
        fields = {"description": "Often", "project_id": task.project_id, "task_id": task.id}
        made = await toggl.json("POST", path, {**fields, "tag_ids": [tag.id], "billable": True, "rank": 2})
        assert fields.items() <= made.items()
        assert (made["tags"], made["task_name"], made["rank"], made["public"]) == (
            [tag.name],
            task.name,
            2,
            False,
        )
        assert made["project_name"] == company.projects[task.project_id].name
        assert await toggl.json("GET", path) == await toggl.json("GET", "/api/v9/me/favorites") == [made]
        later = int(toggl.sandbox.clock.now()) + 60
        assert await toggl.json("GET", path, since=later) == []
        assert await toggl.json("GET", "/api/v9/me/favorites", since=later) == []
        change = {"favorite_id": made["favorite_id"], "description": None, "task_id": None, "public": True}
        changed = await toggl.json("PUT", path, change)
        assert (changed["description"], changed["task_id"], changed["public"]) == (None, None, True)
        assert changed["project_id"] == task.project_id
        answer = await toggl.http.delete(f"/api/v9/me/favorites/{made['favorite_id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert await toggl.json("GET", path) == []


async def test_favorites_belong_to_somebody_and_to_a_workspace() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        small, mine = max(company.workspaces), "/api/v9/me/favorites"
        made = await toggl.json("POST", mine, {"workspace_id": small, "description": "There"})
        assert made["workspace_id"] == small
        one = made["favorite_id"]
        no_favorite = (403, "You don't have access to this favorite")
        assert await toggl.refused("PUT", f"{toggl.workspace}/favorites", {"favorite_id": one}) == no_favorite
        company.favorites[one].user_id = 1
        assert await toggl.refused("DELETE", f"{mine}/{one}") == no_favorite
        assert await toggl.refused("PUT", mine, {"favorite_id": 1}) == no_favorite
        elsewhere = (403, "You don't have access to this workspace")
        assert await toggl.refused("POST", mine, {"workspace_id": 1}) == elsewhere


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"project_id": 1}, "User cannot access the selected project/task"),
        ({"task_id": 1}, "User cannot access the selected project/task"),
        ({"tag_ids": [1]}, "Tag not found in workspace"),
    ],
)
async def test_favorites_of_what_is_not_there_are_refused(fields: dict[str, Any], text: str) -> None:
    async with world() as toggl:
        assert await toggl.refused("POST", f"{toggl.workspace}/favorites", fields) == (400, text)


async def test_ten_favorites_are_enough() -> None:
    async with world() as toggl:
        for number in range(10):
            await toggl.json("POST", "/api/v9/me/favorites", {"description": f"{number}"})
        refused = await toggl.refused("POST", "/api/v9/me/favorites", {"description": "more"})
        assert refused == (400, "You can't have more than 10 favorites")


@pytest.mark.parametrize("owned", ["/api/v9/me", "{workspace}"])
async def test_favorites_are_suggested_once(owned: str) -> None:
    async with world() as toggl:
        path = f"{owned.format(workspace=toggl.workspace)}/favorites/suggestions"
        first = await toggl.http.post(path)
        assert (first.status_code, len(first.json())) == (201, 3)
        second = await toggl.http.post(path)
        assert (second.status_code, second.content) == (204, b"")


# Saved reports


async def test_reports_are_saved_changed_and_deleted() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/reports/shared"
        fields = {
            "name": "Month",
            "params": {"report_type": "summary"},
            "public": False,
            "fixed_daterange": True,
        }
        made = await toggl.json("POST", path, fields)
        one = f"{path}/{made['id']}"
        assert msgspec.json.decode(made["params"]) == fields["params"]
        assert (made["name"], made["public"], made["fixed_daterange"]) == ("Month", False, True)
        assert await toggl.json("GET", one) == made
        changed = await toggl.json("PUT", one, {"public": True, "regenerate_token": True})
        assert (changed["name"], changed["public"]) == ("Month", True)
        assert changed["token"] != made["token"]
        (many,) = await toggl.json("PUT", path, [{"id": made["id"], "name": "Year"}])
        assert many["name"] == "Year"
        assert (await toggl.json("DELETE", one))["deleted_at"] is not None
        assert await toggl.refused("GET", one) == (404, "Report not found")


async def test_saved_reports_are_listed_by_name_and_filtered() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/reports/shared"
        common = {"params": {}, "fixed_daterange": False}
        ids = [
            (await toggl.json("POST", path, {"name": name, "public": public, **common}))["id"]
            for name, public in (("Beta", True), ("alpha", False), ("Gamma", True))
        ]

        async def names(**query: Any) -> list[str]:
            return [row["name"] for row in await toggl.json("GET", path, **query)]

        assert await names() == ["Beta", "Gamma", "alpha"]
        assert await names(sort_direction="DESC") == ["alpha", "Gamma", "Beta"]
        assert await names(name="A", public="true", fixed_dates="false") == ["Beta", "Gamma"]
        assert await names(page=2, per_page=2) == ["alpha"]
        # Others see the public ones.
        for row in toggl.sandbox.company.saved_reports.values():
            row.user_id = 1
        assert await names() == ["Beta", "Gamma"]
        refused = await toggl.refused("PATCH", f"{path}/bulk_delete", {"ids": ids})
        assert refused == (404, "Report not found")
        gone = await toggl.json("PATCH", f"{path}/bulk_delete", {"ids": [ids[0], ids[2]]})
        assert [row["name"] for row in gone] == ["Beta", "Gamma"]
        assert await names() == []


async def test_saved_reports_have_rules() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/reports/shared"
        fields = {"name": "Month", "params": {}, "public": True, "fixed_daterange": True}
        assert await toggl.refused("POST", path, {**fields, "name": ""}) == (
            400,
            "Report name can't be blank",
        )
        unexpected = 'Unexpected "params" type number, offset=25'
        assert await toggl.refused("POST", path, {**fields, "params": 1}) == (400, unexpected)
        assert await toggl.refused("PUT", path, {"id": 1}) == (400, "JSON is not valid")
        toggl.sandbox.company.owner.admin = False
        assert await toggl.refused("POST", path, fields) == (403, "Only admins can save public reports")
    async with world(plan="free") as toggl:
        refused = await toggl.refused("GET", f"{toggl.workspace}/reports/shared")
        assert refused == (402, "Available only for premium workspaces.")


# Exports


async def test_a_workspace_is_exported_while_the_user_waits() -> None:
    async with world() as toggl:
        path, company = f"{toggl.workspace}/exports", toggl.sandbox.company
        tables = ["clients", "projects", "tags", "tasks", "workspace_users", "unheard_of"]
        token = await toggl.json("POST", path, tables)
        assert await toggl.json("GET", path) == [{"token": token, "state": "pending", "error_message": None}]
        busy = (400, "Cannot start another export until current one is complete")
        assert await toggl.refused("POST", path, tables) == busy
        assert await toggl.refused("GET", f"{path}/data/{token}.zip") == (400, "Export not found")
        toggl.sandbox.clock.advance(10)
        assert (await toggl.json("GET", path))[0]["state"] == "done"
        answer = await fetched(toggl, "GET", f"{path}/data/{token}.zip")
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            rows = {name: len(msgspec.json.decode(archive.read(name))) for name in archive.namelist()}
        assert rows == {
            "clients.json": len(company.clients_of(toggl.workspace_id)),
            "projects.json": len(company.projects_of(toggl.workspace_id)),
            "tags.json": len(company.tags_of(toggl.workspace_id)),
            "tasks.json": len(company.tasks_of(toggl.workspace_id)),
            "workspace_users.json": len(company.people),
        }
        assert await toggl.refused("POST", path, []) == (400, "At least one parameter must be set")


async def test_people_export_their_own_data() -> None:
    async with world() as toggl:
        path = "/api/v9/me/export"
        token = await toggl.json("POST", path, {"profile": True, "timeline": True})
        toggl.sandbox.clock.advance(10)
        assert await toggl.json("GET", f"{toggl.workspace}/exports") == []
        answer = await fetched(toggl, "GET", f"{path}/data/{token}.zip")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert msgspec.json.decode(archive.read("profile.json"))["email"] == toggl.sandbox.email
            assert archive.read("timeline.json") == b"[]"
        assert await toggl.refused("POST", path, {}) == (400, "At least one parameter must be set")


# The detailed report as a file


async def test_the_detailed_report_as_a_file() -> None:
    async with world() as toggl:
        path = f"{toggl.reports}/search/time_entries"
        body = {"start_date": "2026-05-01", "end_date": "2026-05-19"}
        entries = await toggl.json("POST", path, {**body, "page_size": 1000, "order_dir": "ASC"})
        answer = await fetched(toggl, "POST", f"{path}.csv", body)
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
        assert [row["Description"] for row in rows] == [row["description"] for row in entries]
        seconds = [
            sum(
                int(part) * unit for part, unit in zip(row["Duration"].split(":"), (3600, 60, 1), strict=True)
            )
            for row in rows
        ]
        assert seconds == [row["time_entries"][0]["seconds"] for row in entries]
        assert {row["Billable"] for row in rows} == {"Yes", "No"}
        table = await fetched(toggl, "POST", f"{path}.xlsx", body)
        with zipfile.ZipFile(io.BytesIO(table.content)) as archive:
            assert "xl/workbook.xml" in archive.namelist()
        page = await fetched(toggl, "POST", f"{path}.pdf", body)
        assert page.headers["content-type"] == "application/pdf"
        start = int(page.content.rsplit(b"startxref\n", 1)[1].split(b"\n", 1)[0])
        assert page.content[start:].startswith(b"xref\n0 4\n")
        wanted = (400, "Invalid 'extension' value, allowed values are csv, xlsx")
        assert await toggl.refused("POST", f"{path}.doc", body) == wanted


@pytest.mark.parametrize("params", [{"start_date": "May"}, {"report_type": "weekly", "user_ids": ["x"]}])
async def test_a_saved_report_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/reports/shared"
        saved = await toggl.json("POST", path, {"name": "Odd", "params": params})
        status, _ = await toggl.refused("POST", f"/reports/api/v3/shared/{saved['token']}", {})
        assert status == 400


async def test_a_favorite_lets_go_of_what_is_deleted() -> None:
    async with world() as toggl:
        company, path = toggl.sandbox.company, "/api/v9/me/favorites"
        task = company.tasks_of(toggl.workspace_id)[0]
        tag = company.tags_of(toggl.workspace_id)[0]
        body = {"project_id": task.project_id, "task_id": task.id, "tag_ids": [tag.id]}
        await toggl.json("POST", path, {"description": "of nothing"})
        made = await toggl.json("POST", path, body)
        assert body.items() <= made.items()
        project = f"{toggl.workspace}/projects/{task.project_id}"
        await toggl.json("DELETE", f"{project}/tasks/{task.id}")
        await toggl.json("DELETE", f"{toggl.workspace}/tags/{tag.id}")
        _, left = await toggl.json("GET", path)
        assert (left["project_id"], left["task_id"], left["tag_ids"]) == (task.project_id, None, None)
        await toggl.json("DELETE", project)
        _, left = await toggl.json("GET", path)
        assert (left["project_id"], left["project_name"]) == (None, None)
