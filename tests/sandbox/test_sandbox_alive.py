"""Time that moves, a company that lives on, faults by route, and accounts that differ."""

import datetime as dt
import json
from typing import Any

import httpx
import pytest

from support.hook_receiver import receiver
from support.sandbox_world import NOW, World, until, world
from toggl_async import ApiToken, BadRequest, TogglClient
from toggl_async.sandbox import CompanySize, Fault, Workday
from toggl_async.sandbox.entities import TimeEntryRow

pytestmark = pytest.mark.anyio

MEDIUM = CompanySize(people=5, projects=12, clients=6, tags=8, days=160, time_entries=1700, deleted=40)
ME = "GET /api/v9/me"
TODAY = {"start_date": "2025-12-01", "end_date": "2026-05-30"}


def facts(toggl: World) -> dict[int, Any]:
    return {row["id"]: row for row in toggl.sandbox.company.dataset("time_entries")}


async def test_an_hour_that_passes_opens_a_quota_again() -> None:
    async with world(user_quota=1) as toggl:
        assert (await toggl.http.get("/api/v9/me")).status_code == 200
        assert (await toggl.http.get("/api/v9/me")).status_code == 402
        toggl.sandbox.advance(hours=1)
        assert toggl.sandbox.now >= NOW + dt.timedelta(hours=1)
        assert (await toggl.http.get("/api/v9/me")).status_code == 200


async def test_a_day_changes_what_it_says_and_nothing_else() -> None:
    async with world(size=MEDIUM) as toggl:
        before = facts(toggl)
        reported_before = await all_rows(toggl)
        day = toggl.sandbox.next_day()
        after = facts(toggl)
        for kind in ("added", "edited", "redated", "moved", "deleted"):
            assert getattr(day, kind), kind
        assert after.keys() - before.keys() == set(day.added)
        assert before.keys() - after.keys() == set(day.deleted)
        changed = {one for one in before.keys() & after.keys() if before[one] != after[one]}
        assert changed == {*day.edited, *day.redated, *day.moved}
        for one in day.redated:
            assert before[one]["start"][:10] != after[one]["start"][:10]
        for one in day.moved:
            assert before[one]["workspace_id"] != after[one]["workspace_id"]
            assert after[one]["project_id"] is None
        for one in day.added:
            start = dt.datetime.fromisoformat(after[one]["start"])
            assert toggl.sandbox.now - dt.timedelta(days=1, minutes=1) < start < toggl.sandbox.now
        assert await all_rows(toggl) != reported_before


async def all_rows(toggl: World) -> Any:
    body = TODAY | {"page_size": 1000}
    return await toggl.json("POST", f"{toggl.reports}/search/time_entries", body)


async def test_what_a_day_changed_is_found_since_it_began() -> None:
    async with world(size=MEDIUM) as toggl:
        began = int(toggl.sandbox.clock.now())
        day = toggl.sandbox.next_day()
        rows = await toggl.json("GET", "/api/v9/me/time_entries", since=began)
        me = toggl.sandbox.company.account.id
        ids = {one for kind in (day.added, day.edited, day.redated, day.moved, day.deleted) for one in kind}
        own = {one for one in ids if toggl.sandbox.company.entries[one].user_id == me}
        assert {row["id"] for row in rows} == own
        assert {row["id"] for row in rows if row["server_deleted_at"]} == own & set(day.deleted)


async def test_the_same_seed_lives_the_same_days() -> None:
    async def days(seed: int) -> list[Workday]:
        async with world(size=MEDIUM, seed=seed) as toggl:
            return [toggl.sandbox.next_day() for _ in range(3)]

    first = await days(1)
    assert first == await days(1)
    assert first != await days(2)
    assert len({day.edited for day in first}) == 3


async def test_webhooks_hear_of_a_day() -> None:
    async with world(size=MEDIUM) as toggl, receiver() as hooks:
        body = {
            "description": "all",
            "url_callback": hooks.url,
            "event_filters": [{"entity": "time_entry", "action": "*"}],
            "enabled": True,
        }
        await toggl.json("POST", f"/webhooks/api/v1/subscriptions/{toggl.workspace_id}", body)
        day = toggl.sandbox.next_day()
        entries = toggl.sandbox.company.entries
        kinds = (day.added, day.edited, day.redated, day.moved, day.deleted)
        wanted = {one for kind in kinds for one in kind if entries[one].workspace_id == toggl.workspace_id}
        await until(lambda: {payload_id(body) for _, body in hooks.came} >= wanted)


def payload_id(body: bytes) -> Any:
    payload = json.loads(body)["payload"]
    return payload["id"] if isinstance(payload, dict) else None


# Faults


async def test_any_status_with_any_headers_can_be_scripted() -> None:
    async with world() as toggl:
        toggl.sandbox.order(Fault(status=429, headers={"Retry-After": "7"}), route=ME)
        other = await toggl.http.get("/api/v9/me/tags")
        limited = await toggl.http.get("/api/v9/me")
        assert (other.status_code, other.headers["x-sandbox-answer"]) == (200, "state")
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
        assert limited.headers["x-sandbox-answer"] == "fault"
        assert (await toggl.http.get("/api/v9/me")).status_code == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (204, ""),
        (302, ""),
        (400, '"Bad Request"'),
        (401, ""),
        (403, '"Forbidden"'),
        (404, '"Not Found"'),
        (410, '"Gone"'),
        (429, "nginx"),
        (500, '"Internal Server Error"'),
        (502, "nginx"),
        (503, "nginx"),
        (504, "nginx"),
        (505, '"HTTP Version Not Supported"'),
    ],
)
async def test_a_status_comes_with_the_body_that_toggl_sends(status: int, body: str) -> None:
    async with world() as toggl:
        toggl.sandbox.order(Fault(status=status), route=ME)
        answer = await toggl.http.get("/api/v9/me")
        assert (answer.status_code, answer.headers["x-sandbox-answer"]) == (status, "fault")
        assert body in answer.text if body == "nginx" else answer.text == body


async def test_the_client_takes_a_400_for_what_it_is() -> None:
    async with (
        world() as world_,
        TogglClient(ApiToken(world_.sandbox.api_token), base_url=world_.sandbox.base_url) as toggl,
    ):
        world_.sandbox.order(Fault(status=400), route=ME)
        with pytest.raises(BadRequest, match="Bad Request"):
            await toggl.me.get()
        assert toggl.stats().throttled == 0


@pytest.mark.parametrize(
    ("body", "media"), [("{", "application/json; charset=utf-8"), ("<html>Sign in</html>", "text/html")]
)
async def test_odd_bodies_can_be_scripted(body: str, media: str) -> None:
    async with world() as toggl:
        toggl.sandbox.order(Fault(body=body, media=media), route=ME)
        answer = await toggl.http.get("/api/v9/me")
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, body, media)


async def test_an_answer_can_be_cut() -> None:
    async with world() as toggl:
        toggl.sandbox.order(Fault(cut=True), route="POST /api/v9/workspaces/{workspace_id}/tags")
        with pytest.raises(httpx.TransportError):
            await toggl.http.post(f"{toggl.workspace}/tags", json={"name": "kept"})
        assert "kept" in {tag.name for tag in toggl.sandbox.company.tags.values()}
        assert (await toggl.http.get("/api/v9/me")).status_code == 200


# Programs in other processes


async def test_a_program_in_another_process_can_move_time_and_script_faults() -> None:
    async with world(user_quota=1) as toggl, httpx.AsyncClient(base_url=toggl.sandbox.base_url) as http:
        told = (await http.get("/sandbox")).json()
        assert told["plan"] == "starter"
        assert told["operations"][ME] == "state"
        assert len(told["operations"]) == 329
        moved = (await http.post("/sandbox/advance", json={"days": 1, "hours": 2})).json()
        assert dt.datetime.fromisoformat(moved["now"]) >= NOW + dt.timedelta(hours=26)
        assert (await http.post("/sandbox/next_day")).json()["added"]
        fault = {"fault": {"status": 503}, "route": ME, "times": 2}
        assert (await http.post("/sandbox/faults", json=fault)).status_code == 204
        assert (await toggl.http.get("/api/v9/me")).status_code == 503
        assert (await http.delete("/sandbox/faults")).status_code == 204
        assert (await toggl.http.get("/api/v9/me")).status_code == 200
        counts = (await http.get("/sandbox/counts")).json()
        assert (counts["requests"], counts["statuses"]) == (2, {"503": 1, "200": 1})


@pytest.mark.parametrize(
    ("path", "body"),
    [("advance", '{"hours": "x"}'), ("advance", '{"hours": -1}'), ("faults", '{"fault": {"status": 1}}')],
)
async def test_what_makes_no_sense_is_refused_with_a_reason(path: str, body: str) -> None:
    async with world() as toggl:
        answer = await toggl.http.post(f"/sandbox/{path}", content=body)
        assert (answer.status_code, bool(answer.json())) == (400, True)


# Accounts


@pytest.mark.parametrize("role", ["owner", "admin", "user"])
async def test_the_token_belongs_to_the_role_asked_for(role: Any) -> None:
    async with world(role=role) as toggl:
        me = await toggl.json("GET", "/api/v9/me")
        person = toggl.sandbox.company.people[me["id"]]
        assert (person.owner, person.admin) == (role == "owner", role != "user")
        status = (await toggl.http.get(f"{toggl.organization}/users")).status_code
        assert status == (403 if role == "user" else 200)


async def test_a_user_sees_the_own_time_and_that_on_public_projects() -> None:
    async with world(role="user", size=MEDIUM) as toggl:
        company, me = toggl.sandbox.company, toggl.sandbox.company.account

        def shown(entry: TimeEntryRow) -> bool:
            project = company.projects.get(entry.project_id or 0)
            return entry.user_id == me.id or (project is not None and not project.is_private)

        wanted = {entry.id for entry in company.reported(toggl.workspace_id) if shown(entry)}
        assert 0 < len(wanted) < len(company.reported(toggl.workspace_id))
        seen: set[int] = set()
        while len(seen) % 1000 == 0:
            body = TODAY | {"page_size": 1000, "first_row_number": len(seen) + 1}
            rows = await toggl.json("POST", f"{toggl.reports}/search/time_entries", body)
            seen |= {entry["id"] for row in rows for entry in row["time_entries"]}
        assert seen == wanted
        truth = {row["id"] for row in company.dataset("time_entries") if not row["running"]}
        assert {one for one in truth if company.entries[one].workspace_id == toggl.workspace_id} == wanted


async def test_nobody_has_a_role_in_a_company_of_one() -> None:
    size = CompanySize(people=1, projects=2, clients=2, tags=2, days=7, time_entries=0, deleted=0)
    with pytest.raises(ValueError, match="role 'user'"):
        async with world(role="user", size=size):
            raise AssertionError("it started")


async def test_what_is_not_in_the_plan_costs_a_402() -> None:
    async with world(not_in_plan={"timesheet"}) as toggl:
        for path in ("timesheets", "timesheet_setups"):
            assert await toggl.refused("GET", f"{toggl.workspace}/{path}") == (
                402,
                "Timesheet is a premium feature",
            )
        assert (await toggl.http.get(f"{toggl.workspace}/tags")).status_code == 200


async def test_a_route_that_is_not_there_is_told_rather_than_waited_for() -> None:
    async with world() as toggl:
        with pytest.raises(ValueError, match=r"no route 'GET /me'; .* GET /api/v9/me\b"):
            toggl.sandbox.order(Fault(status=500), route="GET /me")
        body = {"fault": {"status": 500}, "route": "GET /api/v9/workspaces/1/tags"}
        answer = await toggl.http.post("/sandbox/faults", json=body)
        assert answer.status_code == 400
        assert "GET /api/v9/workspaces/{workspace_id}/tags" in answer.text
    with pytest.raises(ValueError, match="no route 'GET /nothing'"):
        await world(gone={"GET /nothing"}).__aenter__()
