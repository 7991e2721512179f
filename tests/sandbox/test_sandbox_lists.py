import re
from typing import Any

import pytest

from support.sandbox_world import world
from toggl_async.sandbox import CompanySize

pytestmark = pytest.mark.anyio


async def test_me_holds_the_profile_and_the_token() -> None:
    async with world() as toggl:
        me = await toggl.json("GET", "/api/v9/me")
        assert me["api_token"] == toggl.sandbox.api_token
        assert me["email"] == toggl.sandbox.email
        assert me["default_workspace_id"] == toggl.workspace_id
        assert me["country_id"] is None
        assert "workspaces" not in me


async def test_me_with_related_data_is_one_bootstrap() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        me = await toggl.json("GET", "/api/v9/me", with_related_data="true")
        assert {row["id"] for row in me["workspaces"]} == set(company.workspaces)
        assert {row["id"] for row in me["clients"]} == set(company.clients)
        assert {row["id"] for row in me["projects"]} == set(company.projects)
        assert {row["id"] for row in me["tags"]} == set(company.tags)
        assert {row["id"] for row in me["tasks"]} == set(company.tasks)
        assert any(row["stop"] is None for row in me["time_entries"])


async def test_related_data_that_is_not_there_is_null_or_missing() -> None:
    size = CompanySize(people=1, projects=2, clients=2, tags=2, days=7, time_entries=0, deleted=0)
    async with world(size=size, plan="free") as toggl:
        running = await toggl.json("GET", "/api/v9/me/time_entries/current")
        await toggl.http.delete(f"{toggl.workspace}/time_entries/{running['id']}")
        me = await toggl.json("GET", "/api/v9/me", with_related_data="true")
        assert me["time_entries"] is None
        assert "tasks" not in me


async def test_the_profile_can_be_changed() -> None:
    async with world() as toggl:
        small = max(toggl.sandbox.company.workspaces)
        changes = {
            "fullname": "Maarja T.",
            "timezone": "Asia/Tokyo",
            "beginning_of_week": 0,
            "default_workspace_id": small,
            "email": "maarja@example.com",
            "country_id": 70,
        }
        answer = await toggl.json("PUT", "/api/v9/me", changes)
        assert changes.items() <= answer.items()
        assert changes.items() <= (await toggl.json("GET", "/api/v9/me")).items()
        assert changes.items() <= (await toggl.json("PUT", "/api/v9/me", {})).items()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fullname": ""}, "Name can't be blank"),
        ({"fullname": None}, "Name can't be blank"),
        ({"timezone": "Mars/Olympus"}, "Invalid timezone"),
        ({"beginning_of_week": 7}, "Invalid beginning of week"),
        ({"default_workspace_id": 1}, "Invalid default workspace"),
        ({"fullname": 7}, 'Unexpected "fullname" type number, offset=12'),
        ({"country_id": "70"}, 'Unexpected "country_id" type string, offset=14'),
    ],
)
async def test_a_senseless_profile_is_refused(change: Any, text: str) -> None:
    async with world() as toggl:
        assert await toggl.refused("PUT", "/api/v9/me", change) == (400, text)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    async with world() as toggl:
        answer = await toggl.http.put("/api/v9/me", content=body)
        assert (answer.status_code, answer.json()) == (400, "JSON is not valid")


async def test_a_new_token_makes_the_old_one_worthless() -> None:
    async with world() as toggl:
        token = await toggl.json("POST", "/api/v9/me/reset_token")
        assert token != toggl.sandbox.api_token
        assert (await toggl.http.get("/api/v9/me")).status_code == 403
        assert (await toggl.http.get("/api/v9/me", auth=(token, "api_token"))).status_code == 200


async def test_logged_in_and_status() -> None:
    async with world() as toggl:
        assert (await toggl.http.get("/api/v9/me/logged")).content == b""
        assert await toggl.json("GET", "/api/v9/status") == "OK"
        assert (await toggl.http.get("/api/v9/status", auth=("", ""))).json() == "OK"


async def test_what_is_mine_in_all_workspaces() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        expected = {
            "organizations": set(company.organizations),
            "workspaces": set(company.workspaces),
            "clients": set(company.clients),
            "tags": set(company.tags),
            "projects": {project.id for project in company.projects.values() if project.active},
            "tasks": {task.id for task in company.tasks.values() if task.active},
        }
        for name, ids in expected.items():
            assert {row["id"] for row in await toggl.json("GET", f"/api/v9/me/{name}")} == ids
        archived = await toggl.json("GET", "/api/v9/me/projects", include_archived="true")
        assert {row["id"] for row in archived} == set(company.projects)
        inactive = await toggl.json("GET", "/api/v9/me/tasks", include_not_active="true")
        assert {row["id"] for row in inactive} == set(company.tasks)
        part = await toggl.json("GET", "/api/v9/me/tasks", include_not_active="true", offset=1, per_page=2)
        assert part == inactive[1:3]
        assert await toggl.json("GET", "/api/v9/me/tasks", include_not_active="true", offset=0) == inactive


@pytest.mark.parametrize("name", ["clients", "tags", "projects", "tasks", "workspaces"])
async def test_since_finds_what_was_changed_since(name: str) -> None:
    async with world() as toggl:
        query = {"include_archived": "true", "include_not_active": "true"}
        tables: dict[str, Any] = vars(toggl.sandbox.company)
        moments = sorted(getattr(row, "modified", None) or row.at for row in tables[name].values())
        later = await toggl.json("GET", f"/api/v9/me/{name}", since=moments[-1], **query)
        assert len(later) == moments.count(moments[-1])
        assert await toggl.json("GET", f"/api/v9/me/{name}", since=moments[-1] + 1, **query) == []


async def test_organizations_name_their_plan_in_the_list_alone() -> None:
    async with world(plan="free") as toggl:
        listed = await toggl.json("GET", "/api/v9/me/organizations")
        assert [(row["pricing_plan_name"], row["pricing_plan_id"]) for row in listed] == [("Free", 0)]
        alone = await toggl.json("GET", toggl.organization)
        assert alone["pricing_plan_name"] == ""
        assert alone["name"] == listed[0]["name"]


async def test_an_organization_can_be_renamed_by_its_admins() -> None:
    async with world() as toggl:
        assert await toggl.json("PUT", toggl.organization, {"name": "Nova"}) == "OK"
        assert (await toggl.json("GET", toggl.organization))["name"] == "Nova"
        assert (await toggl.refused("PUT", toggl.organization, {"name": ""}))[0] == 400
        other = list(toggl.sandbox.company.people.values())[2]
        answer = await toggl.http.put(
            toggl.organization, json={"name": "Mine"}, auth=(other.api_token, "api_token")
        )
        assert answer.status_code == 403


async def test_people_come_by_the_page_and_the_headers_count_them() -> None:
    size = CompanySize(people=23, projects=2, clients=2, tags=2, days=7, time_entries=10, deleted=0)
    async with world(size=size) as toggl:
        seen: list[Any] = []
        for page in (1, 2, 3, 4):
            answer = await toggl.http.get(
                f"{toggl.organization}/users", params={"page": page, "per_page": 10}
            )
            assert answer.headers["x-page"] == str(page)
            assert answer.headers["x-page-size"] == "10"
            assert answer.headers["x-pages"] == "3"
            assert answer.headers["x-records"] == "23"
            assert answer.headers["x-sort-order"] == "asc"
            seen += answer.json()
        assert {row["user_id"] for row in seen} == set(toggl.sandbox.company.people)
        assert len(seen) == 23
        names = [row["name"] for row in seen]
        assert names == sorted(names)
        backwards = await toggl.json("GET", f"{toggl.organization}/users", sort_dir="desc")
        assert [row["name"] for row in backwards] == names[::-1]


async def test_people_can_be_filtered() -> None:
    async with world(size=CompanySize(days=7, time_entries=10, deleted=0)) as toggl:
        company, path = toggl.sandbox.company, f"{toggl.organization}/users"

        async def ids(**query: Any) -> set[int]:
            return {row["user_id"] for row in await toggl.json("GET", path, **query)}

        people = company.people.values()
        inactive = {person.id for person in people if person.inactive}
        assert inactive
        assert await ids(active_status="inactive") == inactive
        assert await ids(active_status="active") == {person.id for person in people} - inactive
        assert await ids(only_admins="true") == {person.id for person in people if person.admin}
        assert await ids(filter="MAARJA") == {company.owner.id}
        group = next(iter(company.groups.values()))
        assert await ids(groups=str(group.id)) == set(group.members)
        small = company.workspaces[max(company.workspaces)]
        assert await ids(workspaces=f"{small.id}") == set(small.members)
        assert (await toggl.refused("GET", path, groups="x"))[0] == 400
        assert (await toggl.refused("GET", path, sort_dir="up"))[0] == 400
        assert (await toggl.refused("GET", path, page="0"))[0] == 400
        assert (await toggl.refused("GET", path, per_page="many"))[0] == 400


async def test_groups_of_organization_and_workspace() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        rows = await toggl.json("GET", f"{toggl.organization}/groups")
        assert rows == company.dataset("groups")
        assert [
            row["name"] for row in await toggl.json("GET", f"{toggl.organization}/groups", name="desi")
        ] == ["Design"]
        small = max(company.workspaces)
        inside = await toggl.json("GET", f"{toggl.organization}/groups", workspace=small)
        assert (
            {row["group_id"] for row in inside}
            == {row.id for row in company.groups_of(small)}
            != set(company.groups)
        )
        listed = await toggl.json("GET", f"{toggl.workspace}/groups")
        assert {row["id"] for row in listed} == set(company.groups)


async def test_people_of_a_workspace() -> None:
    async with world() as toggl:
        members = set(toggl.sandbox.company.workspaces[toggl.workspace_id].members)
        assert {row["id"] for row in await toggl.json("GET", f"{toggl.workspace}/users")} == members
        rows = await toggl.json("GET", f"{toggl.workspace}/workspace_users")
        assert {row["user_id"] for row in rows} == members
        path = f"{toggl.organization}/workspaces/{toggl.workspace_id}/workspace_users"
        assert await toggl.json("GET", path) == rows


async def test_workspaces_show_what_the_plan_allows() -> None:
    for plan, premium, business in (
        ("free", False, False),
        ("starter", True, False),
        ("premium", True, True),
    ):
        async with world(plan=plan) as toggl:
            space = await toggl.json("GET", toggl.workspace)
            assert (space["premium"], space["business_ws"]) == (premium, business)
            assert (space["default_hourly_rate"] is not None) == premium
            assert space["suspended_at"] is None
            assert [row["id"] for row in await toggl.json("GET", "/api/v9/workspaces")] == sorted(
                toggl.sandbox.company.workspaces
            )


async def test_a_workspace_can_be_changed_by_its_admins() -> None:
    async with world() as toggl:
        changes = {"name": "Põhi", "default_hourly_rate": 99.5, "only_admins_may_create_tags": True}
        assert changes.items() <= (await toggl.json("PUT", toggl.workspace, changes)).items()
        assert changes.items() <= (await toggl.json("PUT", toggl.workspace, {})).items()
        assert (await toggl.refused("PUT", toggl.workspace, {"name": ""}))[0] == 400
        assert (await toggl.refused("PUT", toggl.workspace, {"default_hourly_rate": "9"}))[0] == 400
    async with world(plan="free") as toggl:
        refused = await toggl.refused("PUT", toggl.workspace, {"default_hourly_rate": 1})
        assert refused == (402, "Must be a premium user to use default_hourly_rate")


async def test_members_see_less_than_admins() -> None:
    async with world() as toggl:
        other = list(toggl.sandbox.company.people.values())[2]
        auth = (other.api_token, "api_token")
        space = (await toggl.http.get(toggl.workspace, auth=auth)).json()
        assert (space["admin"], space["api_token"]) == (False, None)
        assert (await toggl.http.get(f"{toggl.organization}/users", auth=auth)).status_code == 403
        small = max(toggl.sandbox.company.workspaces)
        assert other.id not in toggl.sandbox.company.workspaces[small].members
        assert (await toggl.http.get(f"/api/v9/workspaces/{small}", auth=auth)).status_code == 403
        assert [row["id"] for row in (await toggl.http.get("/api/v9/me/workspaces", auth=auth)).json()] == [
            toggl.workspace_id
        ]


async def test_projects_come_by_the_page_and_archived_ones_with_them() -> None:
    size = CompanySize(people=1, projects=430, clients=3, tags=2, days=7, time_entries=0, deleted=0)
    async with world(size=size) as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/projects"
        expected = {project.id for project in company.projects_of(toggl.workspace_id)}
        assert len(expected) > 300
        assert len(await toggl.json("GET", path)) == 151
        pages = [await toggl.json("GET", path, page=page, per_page=1000) for page in (1, 2, 3)]
        assert [len(page) for page in pages] == [200, len(expected) - 200, 0]
        assert {row["id"] for page in pages for row in page} == expected


async def test_projects_can_be_filtered_and_sorted() -> None:
    async with world(size=CompanySize(days=7, time_entries=10, deleted=0)) as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/projects"
        rows = company.projects_of(toggl.workspace_id)

        async def ids(**query: Any) -> list[int]:
            return [row["id"] for row in await toggl.json("GET", path, **query)]

        active = {row.id for row in rows if row.active}
        assert set(await ids(active="true")) == active
        assert set(await ids(active="false")) == {row.id for row in rows} - active
        assert set(await ids(active="both")) == {row.id for row in rows}
        assert set(await ids(statuses="archived,deleted")) == {row.id for row in rows} - active
        assert set(await ids(billable="true")) == {row.id for row in rows if row.billable}
        client_id = next(row.client_id for row in rows if row.client_id)
        assert set(await ids(client_ids=str(client_id))) == {
            row.id for row in rows if row.client_id == client_id
        }
        assert await ids(project_ids=f"{rows[0].id}, 5") == [rows[0].id]
        assert rows[0].id in await ids(name=rows[0].name[:3].upper())
        assert rows[0].id in await ids(search=rows[0].name)
        newest = max(row.at for row in rows)
        assert await ids(since=newest) == [row.id for row in rows if row.at == newest]
        created = [row.id for row in sorted(rows, key=lambda row: row.created)]
        assert await ids(sort_field="created_at") == created
        assert await ids(sort_field="created_at", sort_order="DESC") == created[::-1]
        assert (await toggl.refused("GET", path, sort_field="color"))[0] == 400


async def test_a_project_has_nulls_where_the_plan_lacks_something() -> None:
    for plan, paid in (("free", False), ("starter", True)):
        async with world(plan=plan) as toggl:
            rows = await toggl.json("GET", f"{toggl.workspace}/projects")
            for gated in ("billable", "template", "auto_estimates", "currency"):
                assert all((row[gated] is not None) == paid for row in rows)
            assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\+00:00", row["at"]) for row in rows)


async def test_tasks_come_in_a_wrapper() -> None:
    async with world(size=CompanySize(days=7, time_entries=500, deleted=0)) as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/tasks"
        rows = company.tasks_of(toggl.workspace_id)
        first = await toggl.json("GET", path, active="both", per_page=20)
        assert (first["page"], first["per_page"], first["total_count"]) == (1, 20, len(rows))
        assert (first["sort_field"], first["sort_order"]) == ("name", "ASC")
        pages = [
            await toggl.json("GET", path, active="both", per_page=20, page=page) for page in (1, 2, 3, 4)
        ]
        seen = [row["id"] for page in pages for row in page["data"] or []]
        assert sorted(seen) == sorted(row.id for row in rows)
        assert pages[-1]["data"] is None
        active = await toggl.json("GET", path, per_page=200)
        assert {row["id"] for row in active["data"]} == {row.id for row in rows if row.active}
        inactive = await toggl.json("GET", path, per_page=200, active="false")
        assert inactive["total_count"] == len(rows) - len(active["data"])
        project_id = rows[0].project_id
        mine = await toggl.json(
            "GET", path, active="both", pid=project_id, sort_field="created_at", sort_order="desc"
        )
        assert [row["id"] for row in mine["data"]] == [
            row.id for row in rows if row.project_id == project_id
        ][::-1]
        assert (await toggl.json("GET", path, active="both", search="ÜBER"))["total_count"] == sum(
            row.name == "Übersetzung" for row in rows
        )
        newest = max(row.at for row in rows)
        assert (await toggl.json("GET", path, active="both", since=newest))["total_count"] >= 1
        tracked = {row["id"]: row["tracked_seconds"] for row in active["data"]}
        some = next(task_id for task_id, seconds in tracked.items() if seconds)
        assert tracked[some] == sum(
            entry.seconds or 0 for entry in company.entries.values() if entry.task_id == some
        )
        assert (await toggl.refused("GET", path, sort_field="color"))[0] == 400


async def test_a_plan_without_tasks_has_an_empty_wrapper() -> None:
    async with world(plan="free") as toggl:
        empty = await toggl.json("GET", f"{toggl.workspace}/tasks")
        assert (empty["data"], empty["total_count"]) == (None, 0)


async def test_tags_come_by_the_page() -> None:
    size = CompanySize(people=1, projects=2, clients=2, tags=130, days=7, time_entries=0, deleted=0)
    async with world(size=size) as toggl:
        path = f"{toggl.workspace}/tags"
        expected = [tag.id for tag in toggl.sandbox.company.tags_of(toggl.workspace_id)]
        assert [row["id"] for row in await toggl.json("GET", path)] == expected[:50]
        pages = [await toggl.json("GET", path, page=page, per_page=90) for page in (1, 2, 3)]
        assert [row["id"] for page in pages for row in page] == expected
        assert {row["name"][:6] for row in await toggl.json("GET", path, search="TRAV")} == {"travel"}


async def test_clients_come_all_at_once() -> None:
    async with world(size=CompanySize(days=7, time_entries=10, deleted=0)) as toggl:
        path = f"{toggl.workspace}/clients"
        rows = toggl.sandbox.company.clients_of(toggl.workspace_id)
        archived = {row.id for row in rows if row.archived}
        assert archived
        assert {row["id"] for row in await toggl.json("GET", path)} == {row.id for row in rows} - archived
        assert {row["id"] for row in await toggl.json("GET", path, status="archived")} == archived
        assert {row["id"] for row in await toggl.json("GET", path, status="both")} == {row.id for row in rows}
        name = rows[0].name
        assert [row["name"] for row in await toggl.json("GET", path, status="both", name=name.upper())] == [
            name
        ]
        assert (await toggl.refused("GET", path, status="all"))[0] == 400


async def test_the_truth_is_what_the_lists_show() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        for name in ("clients", "projects", "tags", "tasks"):
            listed: list[Any] = []
            for workspace_id in company.workspaces:
                query = {"active": "both", "status": "both", "per_page": 200}
                answer = await toggl.json("GET", f"/api/v9/workspaces/{workspace_id}/{name}", **query)
                listed += answer["data"] or [] if name == "tasks" else answer
            assert sorted(listed, key=lambda row: row["id"]) == sorted(
                company.dataset(name), key=lambda row: row["id"]
            )
        users = await toggl.json("GET", f"{toggl.organization}/users")
        assert sorted(users, key=lambda row: row["id"]) == company.dataset("users")
        spaces = [await toggl.json("GET", f"/api/v9/workspaces/{space}") for space in company.workspaces]
        assert spaces == company.dataset("workspaces")
        assert [await toggl.json("GET", toggl.organization)] == company.dataset("organizations")


async def test_ids_are_numbers_whatever_the_documents_know() -> None:
    async with world() as toggl:
        refused = await toggl.refused("GET", f"{toggl.workspace}/tasks", project_id="x")
        assert refused == (400, "Invalid 'project_id' value")
