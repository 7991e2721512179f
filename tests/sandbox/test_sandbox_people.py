from typing import Any

import pytest

from support.sandbox_world import World, world
from toggl_async.sandbox.account_shapes import workspace_user_id
from toggl_async.sandbox.entities import PersonRow

pytestmark = pytest.mark.anyio


def somebody(toggl: World) -> PersonRow:
    """Find a member who owns nothing and is active."""
    return next(row for row in toggl.sandbox.company.members if not (row.admin or row.inactive))


async def empty(toggl: World, method: str, path: str, body: Any = None) -> None:
    """Make a request that must succeed and bring nothing."""
    answer = await toggl.http.request(method, path, json=body)
    assert (answer.status_code, answer.content) == (200, b""), answer.text


# Groups


async def test_groups_of_the_organization() -> None:
    async with world() as toggl:
        path, person = f"{toggl.organization}/groups", somebody(toggl)
        fields = {"name": "New", "users": [person.id], "workspaces": [toggl.workspace_id]}
        made = await toggl.json("POST", path, fields)
        one = f"{path}/{made['group_id']}"
        assert ([row["user_id"] for row in made["users"]], made["workspaces"]) == (
            [person.id],
            [toggl.workspace_id],
        )
        changed = await toggl.json("PUT", one, {"users": []})
        assert (changed["name"], changed["users"], changed["workspaces"]) == (
            "New",
            [],
            [toggl.workspace_id],
        )
        assert (await toggl.json("PUT", one, {"name": "Newer"}))["name"] == "Newer"
        assert await toggl.refused("PUT", one, {"users": [1]}) == (
            400,
            "Some users do not belong to the organization",
        )
        await empty(toggl, "DELETE", one)
        assert await toggl.refused("DELETE", one) == (404, "Group not found")


async def test_groups_are_patched_one_patch_at_a_time() -> None:
    async with world() as toggl:
        row = toggl.sandbox.company.groups_of(toggl.workspace_id)[0]
        path, person = f"{toggl.organization}/groups/{row.id}", somebody(toggl)
        add = {"op": "add", "path": "/users", "value": [person.id]}
        move = {"op": "remove", "path": "/workspaces", "value": [toggl.workspace_id]}
        odd = {"op": "replace", "path": "/name", "value": []}
        told = await toggl.json("PATCH", path, [add, move, odd])
        assert told["success"] == [add, move]
        assert told["failure"] == [
            {"patch": odd, "message": "Operation replace is not allowed for path /name"}
        ]
        assert person.id in row.members
        assert toggl.workspace_id not in row.workspaces
        told = await toggl.json("PATCH", path, [{**add, "op": "remove"}])
        assert told["failure"] is None
        assert person.id not in row.members
        assert (await toggl.refused("PATCH", path, [add] * 101))[0] == 400
        assert await toggl.refused("PATCH", path, [1]) == (400, "JSON is not valid")


async def test_groups_of_a_workspace() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/groups"
        made = await toggl.json("POST", path, {"name": "New"})
        one = f"{path}/{made['id']}"
        assert (made["workspace_id"], made["has_users"]) == (toggl.workspace_id, False)
        assert (await toggl.json("PUT", one, {"name": "Newer"}))["name"] == "Newer"
        assert made["id"] in {row["id"] for row in await toggl.json("GET", path)}
        await empty(toggl, "DELETE", one)
        assert await toggl.refused("PUT", one, {"name": "Newest"}) == (404, "Group not found")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Group name can't be blank"),
        ("x" * 201, "Group name can't be longer than 200 characters"),
        ("Design", "Name has already been taken"),
    ],
)
async def test_group_names_are_new_and_short(name: str, text: str) -> None:
    async with world() as toggl:
        assert await toggl.refused("POST", f"{toggl.workspace}/groups", {"name": name}) == (400, text)


# Members


async def test_members_of_a_workspace_are_changed() -> None:
    async with world() as toggl:
        person, space = somebody(toggl), toggl.sandbox.company.workspaces[toggl.workspace_id]
        path = f"{toggl.workspace}/workspace_users"
        one = f"{path}/{workspace_user_id(person, space)}"
        fields = {"rate": 50.0, "labor_cost": 20, "working_hours_in_minutes": 480, "inactive": True}
        await empty(toggl, "PUT", one, {**fields, "role": "admin"})
        (told,) = [row for row in await toggl.json("GET", path) if row["user_id"] == person.id]
        assert {**fields, "admin": True, "role": "admin"}.items() <= told.items()
        await empty(toggl, "PUT", one, {"rate": None, "role_id": 3})
        assert (person.rate, person.admin, person.labor_cost) == (None, False, 20)
        await empty(toggl, "PUT", one, {"admin": True})
        assert person.admin
        wrong = await toggl.refused("PUT", one, {"role": "king"})
        assert wrong == (400, "Invalid 'role' value, allowed values are admin, user, projectlead, teamlead")
        await empty(toggl, "DELETE", one)
        assert person.id not in space.members
        assert await toggl.refused("DELETE", one) == (404, "User not found")


async def test_several_members_leave_a_workspace_or_none() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        space = company.workspaces[toggl.workspace_id]
        path = f"{toggl.organization}/workspaces/{space.id}/workspace_users"
        one, owner = workspace_user_id(somebody(toggl), space), workspace_user_id(company.owner, space)
        for delete in ([], [one, one]):
            assert await toggl.refused("PATCH", path, {"delete": delete}) == (400, "Invalid 'delete' value")
        stays = (400, "Organization owner can not be removed")
        assert await toggl.refused("PATCH", path, {"delete": [one, owner]}) == stays
        before = len(space.members)
        await empty(toggl, "PATCH", path, {"delete": [one]})
        assert len(space.members) == before - 1


async def test_rates_of_people_need_a_plan() -> None:
    async with world(plan="free") as toggl:
        space = toggl.sandbox.company.workspaces[toggl.workspace_id]
        one = f"{toggl.workspace}/workspace_users/{workspace_user_id(somebody(toggl), space)}"
        refused = await toggl.refused("PUT", one, {"rate": 5})
        assert refused == (402, "Billable rates are available for Starter and higher plans.")


async def test_people_of_the_organization_are_changed_and_removed() -> None:
    async with world() as toggl:
        company, person = toggl.sandbox.company, somebody(toggl)
        path = f"{toggl.organization}/users"
        one = f"{path}/{person.membership_id}"
        group = next(row for row in company.groups.values() if person.id not in row.members)
        await empty(toggl, "PUT", one, {"name": "Other", "email": "other@example.com", "groups": [group.id]})
        assert (person.name, person.email) == ("Other", "other@example.com")
        assert [row.id for row in company.groups.values() if person.id in row.members] == [group.id]
        await empty(toggl, "PUT", one, {"role_id": 1})
        assert person.admin
        await empty(toggl, "PUT", one, {"organization_admin": False, "inactive": True})
        assert (person.admin, person.inactive) == (False, True)
        taken = await toggl.refused("PUT", one, {"email": company.owner.email})
        assert taken == (400, "Email address has already been taken")
        mixed = await toggl.refused("PUT", one, {"role_id": 1, "organization_admin": True})
        assert mixed == (400, "Role and admin flag can not be present simultaneously")
        assert await toggl.refused("PUT", one, {"groups": [1]}) == (400, "Group not found")
        owner = company.owner.membership_id
        kept = await toggl.refused("PUT", f"{path}/{owner}", {"inactive": True})
        assert kept == (400, "Organization owner can not lose rights")
        stays = await toggl.refused("PATCH", path, {"delete": [person.membership_id, owner]})
        assert stays == (400, "Organization owner can not be removed")
        before = len(await toggl.json("GET", path))
        await empty(toggl, "PATCH", path, {"delete": [person.membership_id]})
        assert len(await toggl.json("GET", path)) == before - 1 == len(company.dataset("users"))
        assert company.workspaces_of(person) == []
        assert await toggl.refused("PUT", one, {"name": "Ghost"}) == (400, "User not found")


# Clients, projects and tasks, several at once


async def test_clients_are_archived_with_their_projects_and_restored() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        client = company.clients_of(toggl.workspace_id)[0]
        for row in company.projects_of(toggl.workspace_id)[:3]:
            row.client_id, row.active = client.id, True
        projects = [row for row in company.projects.values() if row.client_id == client.id]
        one = f"{toggl.workspace}/clients/{client.id}"
        active = [row.id for row in projects if row.active]
        assert await toggl.json("POST", f"{one}/archive") == active
        assert client.archived
        assert not any(row.active for row in projects)
        back = await toggl.json("POST", f"{one}/restore", {"projects": [projects[0].id]})
        assert (back["archived"], [row.active for row in projects[:2]]) == (False, [True, False])
        assert len(active) >= 3
        await toggl.json("POST", f"{one}/restore", {"restore_all_projects": True})
        assert all(row.active for row in projects)
        several = await toggl.json("POST", f"{toggl.workspace}/clients/archive", [client.id])
        assert several == [{"client_ids": [client.id], "project_ids": [row.id for row in projects]}]
        assert (await toggl.http.post(f"{one}/restore")).json()["archived"] is False
        (known,) = await toggl.json("POST", f"{toggl.workspace}/clients/data", [client.id])
        assert known["name"] == client.name
        await empty(toggl, "POST", f"{toggl.workspace}/clients/delete", [client.id])
        missing = await toggl.refused("POST", f"{toggl.workspace}/clients/delete", [client.id])
        assert missing == (404, "Client not found")
        assert (await toggl.refused("POST", f"{toggl.workspace}/clients/data", ["1"]))[0] == 400


async def test_projects_and_tasks_are_edited_in_bulk() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        first, second = company.projects_of(toggl.workspace_id)[:2]
        color = [{"op": "replace", "path": "/color", "value": "#ffffff"}]
        told = await toggl.json("PATCH", f"{toggl.workspace}/projects/{first.id},{second.id},1", color)
        assert told == {
            "success": [first.id, second.id],
            "failure": [{"id": 1, "message": "Project not found"}],
        }
        assert first.color == second.color == "#ffffff"
        odd = [{"op": "add", "path": "/color", "value": "#000000"}]
        told = await toggl.json("PATCH", f"{toggl.workspace}/projects/{first.id}", odd)
        assert told["failure"][0]["message"] == "Operation add is not allowed for path /color"
        task = next(row for row in company.tasks_of(toggl.workspace_id))
        path = f"{toggl.workspace}/projects/{task.project_id}/tasks/{task.id}"
        told = await toggl.json("PATCH", path, [{"op": "replace", "path": "/name", "value": "Renamed"}])
        assert (told["success"], task.name) == ([task.id], "Renamed")
        many = ",".join(["1"] * 101)
        refused = await toggl.refused("PATCH", f"{toggl.workspace}/projects/{many}", color)
        assert refused == (400, "The number of projects must not exceed 100")


async def test_tags_are_deleted_together_or_not_at_all() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        first, second = (row.id for row in company.tags_of(toggl.workspace_id)[:2])
        path = f"{toggl.workspace}/tags"
        assert await toggl.refused("PATCH", path, {"delete": [first, 1]}) == (400, "Tag not found")
        assert first in company.tags
        await empty(toggl, "PATCH", path, {"delete": [first, second]})
        assert {first, second}.isdisjoint(company.tags)
