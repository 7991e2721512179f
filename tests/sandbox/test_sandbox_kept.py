"""What is kept as it was sent: goals, project users, alerts and the like, timesheets, and settings."""

import re
from typing import Any

import pytest

from support.sandbox_world import World, world
from toggl_async.sandbox.routes.kept import HANDLERS

pytestmark = pytest.mark.anyio

GOAL = {"name": "Read", "comparison": "more_than", "recurrence": "daily", "target_seconds": 3600}
ALERT = {
    "source_kind": "tracked_time",
    "threshold_type": "percentage",
    "thresholds": [80],
    "receiver_users": [],
    "receiver_roles": [],
}
REPORT = {"bookmark_id": 1, "frequency": 1}
CREATED: dict[str, dict[str, Any]] = {
    "alerts": ALERT,
    "goals": GOAL,
    "invoices": {"message": "Thank you"},
    "project_groups": {},
    "project_users": {"manager": True},
    "scheduled_reports": REPORT,
    "timesheet_setups": {"periodicity": "weekly", "start_date": "2026-05-04"},
    "track_reminders": {"frequency": 7, "threshold": 20},
}
"""What a row of each collection is made with, ids left out."""


def rows(listed: Any) -> list[Any]:
    """Return the rows of a list, in a wrapper or not."""
    found: list[Any] = listed["data"] if isinstance(listed, dict) else listed
    return found


def identity(row: Any) -> int:
    """Return the id of a row."""
    found: int = next(
        row[name] for name in ("id", "goal_id", "user_invoice_id", "report_id", "reminder_id") if name in row
    )
    return found


def body_of(toggl: World, name: str) -> dict[str, Any]:
    """Return what a row of a collection is made with."""
    company = toggl.sandbox.company
    project, group = company.projects_of(toggl.workspace_id)[4], company.groups_of(toggl.workspace_id)[1]
    ids: dict[str, dict[str, Any]] = {
        "project_users": {"project_id": project.id, "user_id": company.owner.id}
    }
    ids["project_groups"] = {"project_id": project.id, "group_id": group.id}
    ids["timesheet_setups"] = {"member_ids": [company.owner.id]}
    return CREATED[name] | ids.get(name, {})


@pytest.mark.parametrize("name", CREATED)
async def test_what_is_created_is_listed_until_it_is_deleted(name: str) -> None:
    async with world(plan="premium") as toggl:
        path = f"{toggl.workspace}/{name}"
        # Groups of projects are listed by the projects alone.
        projects = ",".join(map(str, toggl.sandbox.company.projects)) if name == "project_groups" else ""
        query = {"project_ids": projects} if projects else {}
        before = rows(await toggl.json("GET", path, **query))
        body = body_of(toggl, name)
        answer = await toggl.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-sandbox-answer"] == "state"
        after = rows(await toggl.json("GET", path, **query))
        (made,) = [row for row in after if row not in before]
        assert len(after) == len(before) + 1 == 3
        other_names = {"project_id": made.get("pid"), "member_ids": [made.get("member_id")]}
        assert {name: {**other_names, **made}[name] for name in body} == body
        deleted = await toggl.http.delete(f"{path}/{identity(made)}")
        assert (deleted.status_code, deleted.content) == (204 if name == "goals" else 200, b"")
        assert rows(await toggl.json("GET", path, **query)) == before
        assert (await toggl.http.delete(f"{path}/{identity(made)}")).status_code == 404


async def test_a_change_stays_and_leaves_the_rest_alone() -> None:
    async with world(plan="premium") as toggl:
        path = f"{toggl.workspace}/goals"
        made = await toggl.json("POST", path, GOAL)
        assert (made["targetSeconds"], made["workspaceID"], made["streak"]) == (3600, toggl.workspace_id, 0)
        await toggl.json("PUT", f"{path}/{made['id']}", {"name": "Write", "active": False})
        goal = await toggl.json("GET", f"{path}/{made['id']}")
        assert goal["user_name"] == toggl.sandbox.company.owner.name
        assert goal.items() >= (GOAL | {"name": "Write", "active": False, "end_date": None}).items()
        assert goal in await toggl.json("GET", "/api/v9/sync-server/me/goals")
        assert goal not in await toggl.json("GET", path, active="true")
        assert len(await toggl.json("GET", path, page=2, per_page=2)) == 1


async def test_names_follow_what_they_belong_to_and_rows_go_with_it() -> None:
    async with world(plan="premium") as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/alerts"
        project, tag = company.projects_of(toggl.workspace_id)[3], company.tags_of(toggl.workspace_id)[0]
        body = {"project_id": project.id, **ALERT}
        alert = await toggl.json("POST", path, body)
        assert (alert["project_name"], alert["project_color"]) == (project.name, project.color)
        goal = await toggl.json("POST", f"{toggl.workspace}/goals", GOAL | {"tag_ids": [tag.id]})
        await toggl.json("PUT", f"{toggl.workspace}/projects/{project.id}", {"name": "Renamed"})
        named = {row["id"]: row["project_name"] for row in await toggl.json("GET", path)}
        assert named[alert["id"]] == "Renamed"
        await toggl.json("DELETE", f"{toggl.workspace}/projects/{project.id}")
        assert alert["id"] not in {row["id"] for row in await toggl.json("GET", path)}
        await toggl.json("DELETE", f"{toggl.workspace}/tags/{tag.id}")
        assert (await toggl.json("GET", f"{toggl.workspace}/goals/{goal['id']}"))["tag_ids"] == []


@pytest.mark.parametrize("name", ["project_users", "project_groups"])
async def test_what_is_not_there_is_not_taken(name: str) -> None:
    async with world(plan="premium") as toggl:
        path, body = f"{toggl.workspace}/{name}", body_of(toggl, name)
        refusal = (400, "Project, user or group not found in workspace")
        assert await toggl.refused("POST", path, body | {"project_id": 7}) == refusal
        alert = await toggl.json("POST", f"{toggl.workspace}/alerts", ALERT)
        assert (
            await toggl.refused("PUT", f"{toggl.workspace}/alerts/{alert['id']}", {"project_id": 7})
            == refusal
        )


async def test_project_users_are_found_and_changed_in_bulk() -> None:
    async with world(plan="premium") as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/project_users"
        body = body_of(toggl, "project_users")
        made = await toggl.json("POST", path, body)
        project_id = str(body["project_id"])
        assert await toggl.json("GET", path, project_ids=project_id) == [made]
        assert await toggl.json("POST", f"{path}/paginated", [body["project_id"]]) == [made]
        filters = f"{toggl.reports}/filters/project_users"
        (found,) = await toggl.json("POST", filters, {"project_ids": [body["project_id"]]})
        assert (found["id"], found["user_id"]) == (made["id"], company.owner.id)
        patch = [{"op": "replace", "path": "/rate", "value": 12.5}]
        done = await toggl.json("PATCH", f"{path}/{made['id']},7", patch)
        assert done == {"success": [made["id"]], "failure": [{"id": 7, "message": "Not found"}]}
        assert await toggl.json("GET", path, project_ids=project_id) == [made | {"rate": 12.5}]


async def test_settings_are_kept_for_whom_and_where_they_are_set() -> None:
    async with world(plan="premium") as toggl:
        assert await toggl.json("GET", "/api/v9/me/flags") == {}
        await toggl.http.post("/api/v9/me/flags", json={"seen": "tour"})
        assert await toggl.json("GET", "/api/v9/me/flags") == {"seen": "tour"}
        path = f"{toggl.workspace}/time_entry_constraints"
        assert not any((await toggl.json("GET", path)).values())
        await toggl.http.post(path, json={"tag_present": True})
        assert (await toggl.json("GET", path))["tag_present"] is True
        other = max(toggl.sandbox.company.workspaces)
        assert not any(
            (await toggl.json("GET", f"/api/v9/workspaces/{other}/time_entry_constraints")).values()
        )
        made = await toggl.json("POST", f"{toggl.workspace}/preferences", {"hide_start_end_times": True})
        assert (made["hide_start_end_times"], made["disable_expenses"]) == (True, False)
        assert (await toggl.json("GET", toggl.workspace))["hide_start_end_times"] is True


async def test_a_timesheet_is_submitted_and_approved() -> None:
    async with world(plan="premium") as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/timesheets"
        people = company.workspaces[toggl.workspace_id].members
        body = {"member_ids": people[:2], "periodicity": "weekly", "start_date": "2026-05-04"}
        setups = await toggl.json("POST", f"{toggl.workspace}/timesheet_setups", body)
        assert [row["member_id"] for row in setups] == people[:2]
        wanted = {"timesheet_setup_ids": setups[0]["id"]}
        listed = await toggl.json("GET", path, sort_order="DESC", **wanted)
        assert [row["start_date"] for row in listed["data"]] == ["2026-05-18", "2026-05-11", "2026-05-04"]
        assert listed["total_count"] == 3
        assert {row["status"] for row in listed["data"]} == {"open"}
        for status in ("submitted", "approved"):
            answer = await toggl.json("PUT", f"{path}/{setups[0]['id']}/2026-05-11", {"status": status})
            assert answer["status"] == status
        (approved,) = (await toggl.json("GET", path, statuses="approved"))["data"]
        assert (approved["start_date"], approved["approved_or_rejected_id"]) == (
            "2026-05-11",
            company.owner.id,
        )
        assert approved["submitted_at"]
        days = (await toggl.json("GET", path, after="2026-05-05", before="2026-05-11", **wanted))["data"]
        assert [row["start_date"] for row in days] == ["2026-05-11"]
        mine = await toggl.json("GET", "/api/v9/me/timesheets")
        assert [row["status"] for row in mine if row["timesheet_setup_id"] == setups[0]["id"]] == [
            "open",
            "approved",
            "open",
        ]
        change = {"timesheet_setup_id": setups[1]["id"], "start_date": "2026-05-04", "status": "submitted"}
        (sent,) = await toggl.json("PUT", path, [change])
        assert change.items() <= sent.items()
        assert await toggl.refused("PUT", f"{path}/{setups[0]['id']}/2026-05-12", {"status": "open"}) == (
            404,
            "Timesheet not found",
        )


async def test_a_timesheet_holds_what_was_tracked() -> None:
    async with world(plan="premium") as toggl:
        company, path = toggl.sandbox.company, f"{toggl.workspace}/timesheets"
        body = {"member_ids": [company.owner.id], "start_date": "2026-05-11", "periodicity": "weekly"}
        ((setup),) = await toggl.json("POST", f"{toggl.workspace}/timesheet_setups", body)
        key = {"timesheet_setup_id": setup["id"], "start_date": "2026-05-11"}
        (hours,) = await toggl.json("POST", f"{path}/hours", [key])
        entries = await toggl.json("GET", f"{path}/{setup['id']}/2026-05-11/time_entries")
        query = {"start_date": "2026-05-11", "end_date": "2026-05-17", "user_ids": [company.owner.id]}
        totals = await toggl.json("POST", f"{toggl.reports}/search/time_entries/totals", query)
        assert hours["total_seconds"] == sum(row["duration"] for row in entries) == totals["seconds"] > 0


async def test_the_web_timer_starts_with_what_there_is() -> None:
    async with world() as toggl:
        timer = await toggl.json("GET", "/api/v9/me/web-timer")
        me = await toggl.json("GET", "/api/v9/me", with_related_data="true")
        assert timer == {name: me[name] for name in ("clients", "projects", "tags", "tasks", "time_entries")}


def test_every_collection_is_tried() -> None:
    made = {re.sub(r".*/", "", route) for route in HANDLERS if re.match(r"POST [^}]*}/\w+$", route)}
    assert made - {"preferences", "time_entry_constraints"} == CREATED.keys()
