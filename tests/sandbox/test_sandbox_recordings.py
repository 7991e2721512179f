"""What was recorded of the real API in December 2024 and its documents don't say: the sandbox does it too."""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from support.sandbox_world import NOW, World, world

pytestmark = pytest.mark.anyio

CURRENT = "/api/v9/me/time_entries/current"
LISTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
"""A moment in a list, and the last change of a project or a client."""
WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""A moment in the answer to a POST or a PATCH."""
CHANGED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z")
"""The last change of a time entry or a user."""


async def related(toggl: World) -> Any:
    """Ask for the user and all that is theirs."""
    return await toggl.json("GET", "/api/v9/me", with_related_data="true")


async def started(toggl: World, **fields: Any) -> Any:
    """Track time from an hour ago on."""
    start = (NOW - dt.timedelta(hours=1)).isoformat()
    body = {"created_with": "tests", "workspace_id": toggl.workspace_id, "start": start, **fields}
    return await toggl.json("POST", f"{toggl.workspace}/time_entries", body)


def null(rows: Iterable[Any], *names: str) -> bool:
    """Whether each of these fields is sent as null in some row, and left out in none."""
    held = list(rows)
    return all(all(name in row for row in held) and any(row[name] is None for row in held) for name in names)


async def test_without_credentials_nothing_comes_but_a_header() -> None:
    async with world() as toggl:
        answer = await toggl.http.get("/api/v9/me", auth=lambda request: request)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (401, b"", "0")
    assert answer.headers["x-authorization-missing"] == "true"
    assert "content-type" not in answer.headers


async def test_every_answer_names_its_request_and_is_not_to_be_stored() -> None:
    async with world() as toggl:
        answers = [await toggl.http.get(path) for path in ("/api/v9/me", "/api/v9/me/logged", CURRENT)]
    for answer in answers:
        assert answer.headers["x-toggl-request-id"]
        assert answer.headers["x-request-id"]
        assert answer.headers["x-service-level"] == "GREEN"
        assert answer.headers["cache-control"].startswith("no-store")
    assert len({answer.headers["x-toggl-request-id"] for answer in answers}) == 3
    assert answers[0].headers["content-type"] == "application/json; charset=utf-8"


async def test_the_user_has_fields_that_are_undocumented_and_fields_that_are_null() -> None:
    async with world() as toggl:
        me = await toggl.json("GET", "/api/v9/me")
    assert me["toggl_accounts_id"]
    assert null([me], "openid_email", "country_id")
    assert me["api_token"] == toggl.sandbox.api_token
    assert CHANGED.fullmatch(me["at"])


async def test_time_entries_of_the_user_run_on_or_have_ended() -> None:
    async with world() as toggl:
        entries = (await related(toggl))["time_entries"]
    assert null(entries, "stop", "server_deleted_at")
    for entry in entries:
        assert (entry["stop"] is None) == (entry["duration"] < 0)
        assert (entry["uid"], entry["wid"]) == (entry["user_id"], entry["workspace_id"])
        assert entry.get("pid") == entry["project_id"]
        assert entry["duronly"] is True
        assert LISTED.fullmatch(entry["start"])
        assert CHANGED.fullmatch(entry["at"])
        assert entry["id"] > 2**31


async def test_projects_of_the_user_say_what_they_lack() -> None:
    async with world() as toggl:
        me = await related(toggl)
    projects = me["projects"]
    assert null(projects, "server_deleted_at", "rate", "recurring_parameters", "fixed_fee", "cid")
    for project in projects:
        assert isinstance(project["tasks_count"], int)
        assert isinstance(project["is_shared"], bool)
        assert LISTED.fullmatch(project["at"])
    assert all(LISTED.fullmatch(client["at"]) for client in me["clients"])


async def test_workspaces_of_the_user_say_what_they_lack() -> None:
    async with world(plan="free") as toggl:
        workspaces = (await related(toggl))["workspaces"]
    lacking = ("suspended_at", "server_deleted_at", "default_hourly_rate", "rate_last_updated")
    assert null(workspaces, *lacking, "csv_upload", "subscription", "working_hours_in_minutes")
    for workspace in workspaces:
        assert isinstance(workspace["only_admins_see_billable_rates"], bool)
        assert (workspace["premium"], workspace["business_ws"]) == (False, False)
        assert WRITTEN.fullmatch(workspace["last_modified"])
        assert workspace["ical_url"].startswith("/")


@pytest.mark.parametrize(
    ("path", "plan"), [("/api/v9/me/organizations", "Free"), ("{organization}", "")], ids=["mine", "one"]
)
async def test_an_organization_names_its_plan_only_in_the_list(path: str, plan: str) -> None:
    async with world(plan="free") as toggl:
        found = await toggl.json("GET", path.format(organization=toggl.organization))
    (organization,) = found if isinstance(found, list) else [found]
    assert null([organization], "server_deleted_at", "suspended_at", "permissions")
    assert (organization["pricing_plan_id"], organization["pricing_plan_name"]) == (0, plan)
    assert organization["pricing_plan_enterprise"] is False


ABSENT = {
    "me": ("2fa_enabled", "options", "tasks"),
    "tags": ("deleted_at", "permissions", "integration_provider", "integration_ext_id"),
    "clients": ("external_reference", "notes", "permissions", "total_count", "integration_provider"),
    "time_entries": ("expense_ids", "permissions", "shared_with", "task_name"),
    "projects": (
        "client_name",
        "current_period",
        "end_date",
        "external_reference",
        "permissions",
        "total_count",
    ),
    "workspaces": ("disable_approvals", "disable_expenses", "max_data_retention_days", "permissions"),
}
"""Fields that the documents name, and no recorded answer had."""


async def test_what_is_documented_and_never_came_does_not_come() -> None:
    async with world(plan="free") as toggl:
        me = await related(toggl)
    for kind, names in ABSENT.items():
        rows = [me] if kind == "me" else me[kind]
        assert rows
        # Notes on a client come where somebody has written some.
        assert not [row for row in rows for name in names if name in row and row[name] is None], kind
        assert not {name for row in rows for name in row}.intersection(set(names) - {"notes"}), kind


async def test_what_runs_is_a_time_entry_or_null() -> None:
    async with world() as toggl:
        running = await toggl.json("GET", CURRENT)
        assert null([running], "stop", "server_deleted_at")
        stopped = await toggl.json("PATCH", f"{toggl.workspace}/time_entries/{running['id']}/stop")
        answer = await toggl.http.get(CURRENT)
    assert (answer.status_code, answer.content) == (200, b"null")
    assert (stopped["id"], stopped["server_deleted_at"]) == (running["id"], None)
    assert WRITTEN.fullmatch(stopped["stop"])


async def test_a_second_stop_is_a_conflict() -> None:
    async with world() as toggl:
        running = await toggl.json("GET", CURRENT)
        path = f"{toggl.workspace}/time_entries/{running['id']}/stop"
        await toggl.json("PATCH", path)
        assert await toggl.refused("PATCH", path) == (409, "Time entry already stopped")


async def test_a_start_answers_the_duration_that_was_sent_and_reads_one_second_off() -> None:
    async with world() as toggl:
        made = await started(toggl, duration=-1)
        listed = await toggl.json("GET", CURRENT)
    began = int(NOW.timestamp()) - 3600
    assert (made["duration"], listed["duration"]) == (-1, -(began + 1))
    assert null([made], "stop", "tags", "tag_ids", "server_deleted_at")
    assert (listed["tags"], listed["tag_ids"]) == ([], [])
    assert WRITTEN.fullmatch(made["start"])
    assert LISTED.fullmatch(listed["start"])


async def test_with_neither_stop_nor_duration_it_ends_where_it_starts() -> None:
    async with world() as toggl:
        made = await started(toggl)
        listed = await toggl.json("GET", f"/api/v9/me/time_entries/{made['id']}")
    assert (made["duration"], made["stop"]) == (0, None)
    assert (listed["duration"], listed["stop"]) == (0, listed["start"])


async def test_fractions_of_a_second_are_cut_off() -> None:
    async with world() as toggl:
        made = await started(toggl, start="2026-05-20T11:00:00.987Z", duration=60)
    assert made["start"] == "2026-05-20T11:00:00Z"


async def test_a_delete_and_a_sign_of_life_have_empty_bodies() -> None:
    async with world() as toggl:
        made = await started(toggl, duration=60)
        answers = [
            await toggl.http.delete(f"{toggl.workspace}/time_entries/{made['id']}"),
            await toggl.http.get("/api/v9/me/logged"),
        ]
        (deleted,) = await deleted_since(toggl, made["id"])
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 2
    assert LISTED.fullmatch(deleted["server_deleted_at"])


async def deleted_since(toggl: World, identity: int) -> list[Any]:
    """Ask for what has changed, and pick one entry."""
    rows = await toggl.json("GET", "/api/v9/me/time_entries", since=int(NOW.timestamp()) - 60)
    return [row for row in rows if row["id"] == identity]


async def test_two_ways_of_asking_at_once_are_refused_with_a_bare_string() -> None:
    async with world() as toggl:
        refused = await toggl.refused("GET", "/api/v9/me/time_entries", since=1, before="2026-05-01")
    assert refused == (400, "'since' and 'before' can not be present simultaneously")


async def all_rows(toggl: World) -> Any:
    """Ask for all of two weeks in one page."""
    body = {"start_date": "2026-05-04", "end_date": "2026-05-17", "page_size": 1000}
    return await toggl.http.post(f"{toggl.reports}/search/time_entries", json=body)


async def one_date(toggl: World) -> Any:
    """Ask for a start alone."""
    return await toggl.http.post(f"{toggl.reports}/search/time_entries", json={"start_date": "2026-05-04"})


@pytest.mark.parametrize(
    ("ask", "last"), [(one_date, "2026-05-10"), (all_rows, "2026-05-17")], ids=["one date", "two dates"]
)
async def test_a_report_from_one_date_on_covers_seven_days(ask: Callable[[World], Any], last: str) -> None:
    async with world() as toggl:
        answer = await ask(toggl)
    assert (answer.headers["x-range-start"], answer.headers["x-range-end"]) == ("2026-05-04", last)
    days = {entry["start"][:10] for row in answer.json() for entry in row["time_entries"]}
    assert "2026-05-04" <= min(days) <= max(days) <= last


async def test_the_last_page_of_a_report_leads_nowhere() -> None:
    async with world() as toggl:
        answer = await all_rows(toggl)
        first = await toggl.http.post(
            f"{toggl.reports}/search/time_entries",
            json={"start_date": "2026-05-04", "end_date": "2026-05-17", "page_size": 1},
        )
    leads = {"x-next-id", "x-next-row-number", "x-next-timestamp"}
    assert leads.isdisjoint(answer.headers)
    assert leads <= first.headers.keys()
    for row in answer.json():
        (entry,) = row["time_entries"]
        assert entry["at"].endswith("+00:00")
        assert entry["start"][-6:] == entry["at_tz"][-6:] == "+03:00"
