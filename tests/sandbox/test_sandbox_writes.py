from typing import Any

import pytest

from support.sandbox_world import NOW, World, world
from toggl_async.sandbox import CompanySize

pytestmark = pytest.mark.anyio


async def test_clients_are_created_changed_and_deleted() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/clients"
        made = await toggl.json("POST", path, {"name": "Ünique", "notes": "n"})
        one = f"{path}/{made['id']}"
        assert (made["wid"], made["archived"]) == (toggl.workspace_id, False)
        assert await toggl.json("GET", one) == made
        assert (await toggl.json("PUT", one, {"name": "Other"}))["notes"] == "n"
        changed = await toggl.json("PUT", one, {"name": "Other", "notes": None})
        assert (changed["name"], changed.get("notes")) == ("Other", None)
        taken = next(
            row.name for row in toggl.sandbox.company.clients_of(toggl.workspace_id) if row.name != "Other"
        )
        assert await toggl.refused("POST", path, {"name": taken}) == (400, "Name has already been taken")
        assert await toggl.refused("POST", path, {}) == (400, "Client name can't be blank")
        assert await toggl.refused("PUT", one, {"name": ""}) == (400, "Client name can't be blank")
        assert await toggl.json("DELETE", one) == made["id"]
        assert await toggl.refused("GET", one) == (404, "Client not found")


async def test_projects_outlive_their_client() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        project = next(row for row in company.projects_of(toggl.workspace_id) if row.client_id)
        await toggl.json("DELETE", f"{toggl.workspace}/clients/{project.client_id}")
        assert (await toggl.json("GET", f"{toggl.workspace}/projects/{project.id}"))["client_id"] is None


async def test_nothing_of_another_workspace_is_found() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        small = max(company.workspaces)
        for name, row in (
            ("clients", company.clients_of(small)[0]),
            ("projects", company.projects_of(small)[0]),
        ):
            assert (await toggl.refused("GET", f"{toggl.workspace}/{name}/{row.id}"))[0] == 404
        tag = company.tags_of(small)[0]
        assert (await toggl.refused("DELETE", f"{toggl.workspace}/tags/{tag.id}"))[0] == 404
        entry = next(entry for entry in company.entries.values() if entry.workspace_id == small)
        assert (await toggl.refused("DELETE", f"{toggl.workspace}/time_entries/{entry.id}"))[0] == 404


async def test_projects_are_created_changed_and_deleted() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/projects"
        client = toggl.sandbox.company.clients_of(toggl.workspace_id)[0]
        made = await toggl.json(
            "POST", path, {"name": "Gemini", "client_id": client.id, "estimated_hours": 3}
        )
        one = f"{path}/{made['id']}"
        assert (made["client_id"], made["estimated_seconds"], made["color"]) == (
            client.id,
            10_800,
            "#0b83d9",
        )
        assert await toggl.json("GET", one) == made
        changes = {"active": False, "is_private": False, "billable": False, "rate": 12.5, "color": "#ffffff"}
        changed = await toggl.json("PUT", one, changes)
        assert changes.items() <= changed.items()
        assert (changed["status"], changed["name"], changed["client_id"]) == ("archived", "Gemini", client.id)
        cleared = await toggl.json("PUT", one, {"client_id": None, "rate": None, "estimated_hours": None})
        assert (cleared["client_id"], cleared["rate"], cleared["estimated_seconds"]) == (None, None, None)
        assert await toggl.refused("POST", path, {"name": ""}) == (400, "Project name can't be blank")
        assert await toggl.refused("PUT", one, {"name": None}) == (400, "Project name can't be blank")
        assert await toggl.refused("POST", path, {"name": "Gemini"}) == (400, "Name has already been taken")
        assert await toggl.refused("PUT", one, {"client_id": 1}) == (400, "Client not found in workspace")
        assert await toggl.json("DELETE", one) == made["id"]
        assert await toggl.refused("GET", one) == (404, "Project not found")


async def test_the_free_plan_lacks_fields_of_projects() -> None:
    async with world(plan="free") as toggl:
        path = f"{toggl.workspace}/projects"
        assert await toggl.refused("POST", path, {"name": "A", "rate": 1}) == (
            402,
            "Project rate is a premium feature",
        )
        assert (await toggl.json("POST", path, {"name": "A", "rate": None}))["rate"] is None


@pytest.mark.parametrize(("mode", "kept"), [("", True), ("unassign", True), ("delete", False)])
async def test_time_entries_outlive_their_project_if_wanted(mode: str, kept: bool) -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        entry = next(
            entry for entry in company.reported(toggl.workspace_id) if entry.project_id and entry.task_id
        )
        path = f"{toggl.workspace}/projects/{entry.project_id}"
        assert (await toggl.refused("DELETE", path, teDeletionMode="maybe"))[0] == 400
        await toggl.json("DELETE", path, teDeletionMode=mode)
        assert (entry.project_id, entry.task_id) == (None, None)
        assert (entry in company.reported(toggl.workspace_id)) == kept


async def test_tags_are_created_renamed_and_deleted() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/tags"
        made = await toggl.json("POST", path, {"name": "Neu"})
        one = f"{path}/{made['id']}"
        assert (await toggl.json("PUT", one, {"name": "Neuer"}))["name"] == "Neuer"
        assert (await toggl.json("PUT", one, {"name": "Neuer"}))["name"] == "Neuer"
        assert await toggl.refused("POST", path, {"name": "Neuer"}) == (400, "Tag already exists: Neuer")
        assert await toggl.refused("PUT", one, {"name": ""}) == (400, "Tag name can't be blank")
        tagged = await start(toggl, tags=["Neuer", "meeting"])
        assert await toggl.json("DELETE", one) == "OK"
        left = await toggl.json("GET", f"/api/v9/me/time_entries/{tagged['id']}")
        assert left["tags"] == ["meeting"]
        assert await toggl.refused("DELETE", one) == (404, "Tag not found")


async def test_tasks_are_created_changed_and_deleted() -> None:
    async with world() as toggl:
        project = toggl.sandbox.company.projects_of(toggl.workspace_id)[0]
        path = f"{toggl.workspace}/projects/{project.id}/tasks"
        owner = toggl.sandbox.company.owner
        made = await toggl.json("POST", path, {"name": "Plan", "user_id": owner.id, "estimated_seconds": 60})
        one = f"{path}/{made['id']}"
        assert (made["user_name"], made["estimated_seconds"], made["active"]) == (owner.name, 60, True)
        assert await toggl.json("GET", one) == made
        assert made in await toggl.json("GET", path)
        changed = await toggl.json("PUT", one, {"active": False, "user_id": None, "estimated_seconds": None})
        assert (changed["active"], changed["user_id"], changed["estimated_seconds"]) == (False, None, None)
        assert (await toggl.json("PUT", one, {"name": "Plan"}))["active"] is False
        assert changed["id"] not in {row["id"] for row in await toggl.json("GET", path)}
        assert changed["id"] in {row["id"] for row in await toggl.json("GET", path, active="both")}
        assert await toggl.refused("POST", path, {}) == (400, "Task name can't be blank")
        assert await toggl.refused("PUT", one, {"name": ""}) == (400, "Task name can't be blank")
        assert await toggl.refused("POST", path, {"name": "Plan"}) == (400, "Name has already been taken")
        assert await toggl.refused("PUT", one, {"user_id": 1}) == (400, "User not found in workspace")
        entry = await start(toggl, task_id=made["id"])
        assert entry["project_id"] == project.id
        assert await toggl.json("DELETE", one) == "OK"
        assert (await toggl.json("GET", f"/api/v9/me/time_entries/{entry['id']}"))["task_id"] is None
        assert await toggl.refused("GET", one) == (404, "Task not found")


async def test_the_free_plan_has_no_tasks() -> None:
    async with world(plan="free") as toggl:
        company = toggl.sandbox.company
        task = next(row for row in company.tasks.values() if row.workspace_id == toggl.workspace_id)
        path = f"{toggl.workspace}/projects/{task.project_id}/tasks"
        for method, where in (("POST", path), ("GET", f"{path}/{task.id}")):
            assert await toggl.refused(method, where, {"name": "x"}) == (402, "Tasks are a premium feature")
        assert await toggl.json("GET", path, active="both") == []


def fields(toggl: World, **more: Any) -> dict[str, Any]:
    """The fields that start a time entry."""
    return {
        "created_with": "tests",
        "workspace_id": toggl.workspace_id,
        "start": "2026-05-20T11:00:00Z",
        "duration": -1,
        **more,
    }


async def start(toggl: World, **more: Any) -> dict[str, Any]:
    """Start a time entry."""
    made = await toggl.json("POST", f"{toggl.workspace}/time_entries", fields(toggl, **more))
    assert isinstance(made, dict)
    return made


async def test_starting_stops_what_was_running() -> None:
    async with world() as toggl:
        before = await toggl.json("GET", "/api/v9/me/time_entries/current")
        assert before["stop"] is None
        made = await start(toggl)
        assert made["duration"] == -1
        assert made["start"] == "2026-05-20T11:00:00Z"
        assert (made["stop"], made["tags"], made["tag_ids"]) == (None, None, None)
        current = await toggl.json("GET", "/api/v9/me/time_entries/current")
        begun = int(NOW.timestamp()) - 3600
        assert (current["id"], current["duration"]) == (made["id"], -(begun + 1))
        assert (current["start"], current["tags"]) == ("2026-05-20T11:00:00+00:00", [])
        stopped = await toggl.json("GET", f"/api/v9/me/time_entries/{before['id']}")
        assert stopped["stop"] is not None
        assert stopped["duration"] >= 0


async def test_stopping_works_once_and_then_nothing_runs() -> None:
    async with world() as toggl:
        made = await start(toggl)
        path = f"{toggl.workspace}/time_entries/{made['id']}/stop"
        stopped = await toggl.json("PATCH", path)
        assert 3600 <= stopped["duration"] < 3700
        assert stopped["stop"].endswith("Z")
        assert await toggl.refused("PATCH", path) == (409, "Time entry already stopped")
        answer = await toggl.http.get("/api/v9/me/time_entries/current")
        assert (answer.status_code, answer.text) == (200, "null")


async def test_an_entry_without_duration_and_stop_has_no_length() -> None:
    async with world() as toggl:
        body = fields(toggl)
        del body["duration"]
        made = await toggl.json("POST", f"{toggl.workspace}/time_entries", body)
        assert (made["duration"], made["stop"]) == (0, None)
        seen = await toggl.json("GET", f"/api/v9/me/time_entries/{made['id']}")
        assert (seen["duration"], seen["stop"]) == (0, "2026-05-20T11:00:00+00:00")
        running = await toggl.json("GET", "/api/v9/me/time_entries/current")
        assert running["id"] != made["id"]


async def test_a_stopped_entry_with_everything() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        task = next(row for row in company.tasks.values() if row.workspace_id == toggl.workspace_id)
        made = await toggl.json(
            "POST",
            f"{toggl.workspace}/time_entries",
            fields(
                toggl,
                duration=1800,
                stop="2026-05-20T14:30:00+03:00",
                description="Ülevaade",
                project_id=task.project_id,
                task_id=task.id,
                billable=True,
                tags=["neu"],
                tag_ids=[company.tags_of(toggl.workspace_id)[0].id],
            ),
            meta="true",
        )
        assert (made["duration"], made["stop"], made["billable"]) == (1800, "2026-05-20T11:30:00Z", True)
        assert (made["pid"], made["tid"], made["wid"]) == (task.project_id, task.id, toggl.workspace_id)
        assert made["project_name"] == company.projects[task.project_id].name
        assert made["user_name"] == company.owner.name
        assert set(made["tags"]) == {"neu", company.tags_of(toggl.workspace_id)[0].name}
        assert made["id"] in {row["id"] for row in await toggl.json("GET", "/api/v9/me/time_entries")}


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"created_with": None}, 400, "created_with needs to be provided an a valid string"),
        ({"created_with": ""}, 400, "created_with needs to be provided an a valid string"),
        ({"workspace_id": 1}, 400, "Workspace ID in the body must match the one in the path"),
        ({"workspace_id": "1"}, 400, 'Unexpected "workspace_id" type string, offset='),
        ({"start": None}, 400, "start is a mandatory field"),
        ({"start": "now"}, 400, "Invalid 'start' value, allowed format is RFC 3339"),
        ({"start": "2026-05-20T11:00:00"}, 400, "Invalid 'start' value, allowed format is RFC 3339"),
        ({"stop": "2026-05-20T10:59:59Z"}, 400, "Stop time must be after start time"),
        ({"stop": "2026-05-20T11:10:00Z", "duration": 5}, 400, "Start, stop and duration don't match"),
        ({"duration": 999 * 3600 + 1}, 400, "Max allowed duration per 1 time entry is 999 hours"),
        ({"start": "2005-12-31T23:59:59Z"}, 400, "Start time year must be between 2006 and 2030"),
        (
            {"start": "2030-12-31T23:59:59Z", "duration": 2},
            400,
            "Stop time year must be between 2006 and 2030",
        ),
        ({"description": "x" * 3001}, 400, "Description too long, maximum 3000 characters allowed"),
        ({"description": True}, 400, 'Unexpected "description" type bool, offset='),
        ({"project_id": 1}, 400, "User cannot access the selected project/task"),
        ({"task_id": 1}, 400, "User cannot access the selected project/task"),
        (
            {"tags": [f"t{number}" for number in range(51)]},
            400,
            "Max allowed number of tags per 1 time entry is 50",
        ),
        ({"tags": [1]}, 400, 'Unexpected "tags" type number, offset='),
        ({"tag_ids": [1]}, 400, "Tag not found in workspace"),
        ({"tag_ids": ["1"]}, 400, 'Unexpected "tag_ids" type string, offset='),
        ({"start_date": "20 May"}, 400, "Invalid 'start_date' value, allowed format is YYYY-MM-DD"),
    ],
)
async def test_what_is_refused_on_creation(change: dict[str, Any], status: int, text: str) -> None:
    async with world() as toggl:
        count = len(toggl.sandbox.company.entries)
        got, said = await toggl.refused("POST", f"{toggl.workspace}/time_entries", fields(toggl, **change))
        assert (got, said[: len(text)]) == (status, text)
        assert len(toggl.sandbox.company.entries) == count


async def test_billable_time_is_no_part_of_the_free_plan() -> None:
    async with world(plan="free") as toggl:
        path = f"{toggl.workspace}/time_entries"
        refused = await toggl.refused("POST", path, fields(toggl, billable=True))
        assert refused == (402, "Billable is a premium feature")
        assert (await toggl.json("POST", path, fields(toggl, billable=False)))["billable"] is False


async def test_start_date_moves_the_day_of_the_start() -> None:
    async with world() as toggl:
        made = await start(toggl, duration=60, start_date="2026-05-18")
        assert made["start"] == "2026-05-18T11:00:00Z"


async def test_an_update_changes_what_is_given_and_no_more() -> None:
    async with world() as toggl:
        made = await start(toggl, description="one", tags=["a"], billable=True, duration=600)
        path = f"{toggl.workspace}/time_entries/{made['id']}"
        toggl.sandbox.clock.advance(60.0)
        changed = await toggl.json("PUT", path, {"description": "two", "workspace_id": toggl.workspace_id})
        same = made.keys() - {"description", "at"}
        assert changed["description"] == "two"
        assert {name: changed[name] for name in same} == {name: made[name] for name in same}
        assert changed["at"] > made["at"]
        assert (await toggl.json("PUT", path, {"duration": 900}))["stop"] == "2026-05-20T11:15:00Z"
        assert (await toggl.json("PUT", path, {"stop": "2026-05-20T11:20:00Z"}))["duration"] == 1200
        assert (await toggl.refused("PUT", path, {"wid": 1}))[0] == 400


async def test_tags_can_be_added_taken_away_and_cleared() -> None:
    async with world() as toggl:
        made = await start(toggl, tags=["a", "b"])
        path = f"{toggl.workspace}/time_entries/{made['id']}"

        async def put(**change: Any) -> Any:
            return (await toggl.json("PUT", path, change))["tags"]

        assert await put(tags=["c", "a"], tag_action="add") == ["a", "b", "c"]
        assert await put(tags=["a"], tag_action="delete") == ["b", "c"]
        assert await put(tags=None, tag_action="add") == ["b", "c"]
        assert await put(tags=["d"]) == ["d"]
        assert await put(tags=[]) is None
        assert await put(tags=["d"]) == ["d"]
        assert await put(tags=None) is None
        assert await put(tags=["d"]) == ["d"]
        assert await put(tag_ids=None) is None
        assert await put(tag_ids=[None]) is None


async def test_only_admins_may_create_tags_if_the_workspace_says_so() -> None:
    async with world() as toggl:
        await toggl.json("PUT", toggl.workspace, {"only_admins_may_create_tags": True})
        other = list(toggl.sandbox.company.people.values())[2]
        path, auth = f"{toggl.workspace}/time_entries", (other.api_token, "api_token")
        refused = await toggl.http.post(path, json=fields(toggl, tags=["brand new"]), auth=auth)
        assert (refused.status_code, refused.json()) == (403, "Only admins can create tags in this workspace")
        assert (
            await toggl.http.post(path, json=fields(toggl, tags=["meeting"]), auth=auth)
        ).status_code == 200
        assert (await start(toggl, tags=["brand new"]))["tags"] == ["brand new"]


async def test_project_and_task_follow_each_other() -> None:
    async with world(size=CompanySize(days=7, time_entries=10, deleted=0)) as toggl:
        company = toggl.sandbox.company
        tasks = company.tasks_of(toggl.workspace_id)
        one = tasks[0]
        other = next(row for row in tasks if row.project_id != one.project_id)
        made = await start(toggl, tid=one.id)
        path = f"{toggl.workspace}/time_entries/{made['id']}"
        assert made["project_id"] == one.project_id
        moved = await toggl.json("PUT", path, {"project_id": other.project_id})
        assert (moved["project_id"], moved["task_id"]) == (other.project_id, None)
        assert (await toggl.json("PUT", path, {"task_id": one.id}))["project_id"] == one.project_id
        kept = await toggl.json("PUT", path, {"pid": one.project_id})
        assert kept["task_id"] == one.id
        wrong = {"project_id": other.project_id, "task_id": one.id}
        assert (await toggl.refused("PUT", path, wrong))[0] == 400
        small = company.projects_of(max(company.workspaces))[0]
        assert (await toggl.refused("PUT", path, {"project_id": small.id}))[0] == 400
        cleared = await toggl.json("PUT", path, {"project_id": None})
        assert (cleared["project_id"], cleared["task_id"]) == (None, None)
        assert "pid" not in cleared


async def test_a_deleted_entry_is_gone_but_for_since() -> None:
    async with world() as toggl:
        made = await start(toggl)
        path = f"{toggl.workspace}/time_entries/{made['id']}"
        answer = await toggl.http.delete(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert await toggl.refused("DELETE", path) == (404, "Time entry not found")
        assert await toggl.refused("GET", f"/api/v9/me/time_entries/{made['id']}") == (
            404,
            "Time entry not found",
        )
        assert (await toggl.json("GET", "/api/v9/me/time_entries/current")) is None
        changed = await toggl.json("GET", "/api/v9/me/time_entries", since=int(NOW.timestamp()))
        row = next(row for row in changed if row["id"] == made["id"])
        assert row["server_deleted_at"].startswith("2026-05-20T12:00:0")
        assert made["id"] not in {row["id"] for row in await toggl.json("GET", "/api/v9/me/time_entries")}


async def test_others_may_not_touch_my_entries_unless_they_are_admins() -> None:
    async with world() as toggl:
        made = await start(toggl)
        people = list(toggl.sandbox.company.people.values())
        path, change = f"{toggl.workspace}/time_entries/{made['id']}", {"description": "theirs"}
        for person, status in ((people[2], 403), (people[1], 200)):
            answer = await toggl.http.put(path, json=change, auth=(person.api_token, "api_token"))
            assert answer.status_code == status
        others = next(
            entry for entry in toggl.sandbox.company.entries.values() if entry.user_id == people[2].id
        )
        assert (await toggl.refused("GET", f"/api/v9/me/time_entries/{others.id}"))[0] == 404


async def test_many_entries_are_changed_at_once_each_for_itself() -> None:
    async with world() as toggl:
        company = toggl.sandbox.company
        entries = company.reported(toggl.workspace_id)[-3:]
        ids = [entry.id for entry in entries]
        project = company.projects_of(toggl.workspace_id)[0]
        answer = await toggl.json(
            "PATCH",
            f"{toggl.workspace}/time_entries/{','.join(map(str, [*ids, 5]))},",
            [
                {"op": "replace", "path": "/description", "value": "bulk"},
                {"op": "replace", "path": "/project_id", "value": project.id},
                {"op": "replace", "path": "/task_id", "value": None},
                {"op": "add", "path": "/tags", "value": ["bulk"]},
                {"op": "remove", "path": "/tags", "value": ["meeting"]},
            ],
        )
        assert answer == {"success": ids, "failure": [{"id": 5, "message": "Time entry not found"}]}
        bulk = company.tag_named(toggl.workspace_id, "bulk")
        assert bulk is not None
        for entry in entries:
            assert (entry.description, entry.project_id) == ("bulk", project.id)
            assert bulk.id in entry.tag_ids
        gone = [{"op": "add", "path": "/deleted_at"}]
        answer = await toggl.json("PATCH", f"{toggl.workspace}/time_entries/{ids[0]}", gone)
        assert answer == {"success": [ids[0]], "failure": None}
        assert entries[0].deleted is not None


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "replace", "path": "/id", "value": 1}, "Operation replace is not allowed for path /id"),
        ({"op": "add", "path": "/start", "value": 1}, "Operation add is not allowed for path /start"),
        ({"op": "remove", "path": "/deleted_at"}, "Operation remove is not allowed for path /deleted_at"),
        ({"path": "/tags"}, "Operation  is not allowed for path /tags"),
        (
            {"op": "replace", "path": "/start", "value": "x"},
            "Invalid 'start' value, allowed format is RFC 3339",
        ),
    ],
)
async def test_operations_that_fail(operation: Any, message: str) -> None:
    async with world() as toggl:
        entry = toggl.sandbox.company.reported(toggl.workspace_id)[0]
        path = f"{toggl.workspace}/time_entries/{entry.id}"
        answer = await toggl.json("PATCH", path, [operation])
        assert answer == {"success": None, "failure": [{"id": entry.id, "message": message}]}


async def test_a_bulk_change_has_its_bounds() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/time_entries"
        many = ",".join(map(str, range(1, 102)))
        assert await toggl.refused("PATCH", f"{path}/{many}", []) == (
            400,
            "The number of time entries must not exceed 100",
        )
        assert await toggl.refused("PATCH", f"{path}/1", {}) == (400, "JSON is not valid")
        assert await toggl.refused("PATCH", f"{path}/1", ["x"]) == (400, "JSON is not valid")
