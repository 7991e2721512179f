import io
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest

from support.sandbox_world import world
from toggl_async.sandbox import files
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.checking import Checker
from toggl_async.sandbox.described import Documents, documents
from toggl_async.sandbox.routes import TABLE
from toggl_async.sandbox.samples import Samples

pytestmark = pytest.mark.anyio


def test_every_operation_of_the_documents_has_an_answer() -> None:
    known = documents().operations
    assert len(known) == 329
    assert set(known) <= set(TABLE.routes)


def test_the_path_with_fewer_parameters_is_meant() -> None:
    reports = "/reports/api/v3/workspace/7/search/time_entries"
    assert TABLE.find("POST", f"{reports}.pdf").words == {}
    assert TABLE.find("POST", f"{reports}.csv").words == {"extension": "csv"}
    found = TABLE.find("GET", "/api/v9/audit_logs/5/2026-01-01T00:00:00Z/2026-02-01T00:00:00Z")
    assert (found.path, found.words) == (
        {"organization_id": 5},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
    )


# Checks

LEVELS = "workspace, workspace_user, project, project_user, task"


CHECKER = Checker(
    Documents(
        operations={},
        records={"Pet": {"type": "object", "fields": {"name": {"type": "string"}}, "required": ["name"]}},
    )
)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, 1, True),
        ({"type": ["integer", "null"]}, None, "1"),
        ({"type": "number"}, 1.5, "x"),
        ({"type": "string", "enum": ["a", None]}, "a", "b"),
        ({"type": "string", "format": "date"}, "2026-05-20", "May"),
        ({"type": "string", "format": "date-time"}, "2026-05-20T00:00:00Z", "2026-05-20T00:00:00"),
        ({"type": "string", "format": "email"}, "not checked", 1),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "x", 1.5),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [1, 2], [1, 2, 3]),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], [1, "2"]),
        ({"type": "object", "values": {"type": "integer"}}, {"a": 1}, {"a": "1"}),
        ({"record": "Pet"}, {"name": "Rex", "age": []}, {"name": None}),
        ({"record": "Pet"}, {"name": "Rex"}, {"name": 1}),
        ({}, object(), None),
    ],
)
def test_values_are_checked_against_their_schema(schema: Any, good: Any, bad: Any) -> None:
    assert CHECKER.fits(good, schema)
    assert CHECKER.fits(bad, schema) == (schema == {})


def test_what_is_wrong_is_said_as_toggl_says_it() -> None:
    raw = b'{"name": 1}'
    with pytest.raises(ApiError) as refused:
        CHECKER.value("body", {"name": 1}, {"record": "Pet"}, raw)
    assert (refused.value.status, refused.value.text) == (400, 'Unexpected "name" type number, offset=8')


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("GET", "{workspace}/project_groups", None, "'project_ids' is required"),
        ("GET", "{workspace}/project_groups?project_ids=1,x", None, "Invalid 'project_ids' value"),
        ("GET", "{workspace}/tasks/basic?search=&other=x&active=maybe", None, "Invalid 'active' value"),
        ("GET", "{workspace}/invoices?page=one", None, "Invalid 'page' value"),
        ("POST", "{workspace}/alerts", "{", "JSON is not valid"),
        ("POST", "{workspace}/project_users", {"project_id": 1}, "'user_id' is required"),
        (
            "POST",
            "{workspace}/project_users",
            {"project_id": "1", "user_id": 1},
            'Unexpected "project_id" type string, offset=14',
        ),
        (
            "GET",
            "{workspace}/rates/planet/1",
            None,
            f"Invalid 'level' value, allowed values are {LEVELS}",
        ),
        (
            "GET",
            "{workspace}/timesheets/1/May/history",
            None,
            "Invalid 'start_date' value, allowed format is date",
        ),
        ("POST", "/api/v9/avatars", "", "'file' is required"),
    ],
)
async def test_requests_are_checked(method: str, path: str, body: Any, text: str) -> None:
    async with world() as toggl:
        address = path.format(workspace=toggl.workspace)
        if isinstance(body, str):
            answer = await toggl.http.request(method, address, content=body)
        else:
            answer = await toggl.http.request(method, address, json=body)
        assert (answer.status_code, answer.json()) == (400, text)


async def test_workspaces_and_organizations_have_to_be_there() -> None:
    async with world() as toggl:
        assert (await toggl.refused("GET", "/api/v9/workspaces/1/alerts"))[0] == 403
        assert (await toggl.refused("GET", "/api/v9/organizations/1/roles"))[0] == 404


# Answers


async def test_answers_are_the_same_each_time_and_name_real_things() -> None:
    async with world() as toggl:
        path = f"{toggl.workspace}/project_users"
        first = await toggl.json("GET", path)
        assert first == await toggl.json("GET", path)
        assert len({row["id"] for row in first}) == len(first) == 2
        company = toggl.sandbox.company
        assert {row["workspace_id"] for row in first} == {toggl.workspace_id}
        assert all(row["project_id"] in company.projects for row in first)
        assert all(row["user_id"] in company.people for row in first)


async def test_what_was_sent_comes_back() -> None:
    async with world() as toggl:
        project = toggl.sandbox.company.projects_of(toggl.workspace_id)[1]
        body = {"project_id": project.id, "user_id": 5, "manager": True, "rate": 12.5}
        made = await toggl.json("POST", f"{toggl.workspace}/project_users", body)
        assert body.items() <= made.items()


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "{workspace}/invoices", {"page": 2}, None),
        ("GET", "/api/v9/me/projects/paginated", {"start_project_id": 7}, None),
        ("POST", "{reports}/filters/project_users", {}, {"start_id": 7}),
    ],
)
async def test_there_is_one_page(method: str, path: str, query: Any, body: Any) -> None:
    async with world() as toggl:
        address = path.format(workspace=toggl.workspace, reports=toggl.reports)
        first = await toggl.json(method, address, None if body is None else {})
        assert len(first) == 2
        assert await toggl.json(method, address, body, **query) == []


async def test_the_pages_after_the_first_are_empty_in_wrappers_too() -> None:
    async with world() as toggl:
        path = "/api/v9/integrations/calendar/calendars"
        first = await toggl.json("GET", path)
        assert (len(first["calendars"]), first["next_page_token"]) in {(1, None), (1, "")}
        assert (await toggl.json("GET", path, page_token="x"))["calendars"] == []


async def test_redirects_and_files_are_what_the_documents_say() -> None:
    async with world() as toggl:
        answer = await toggl.http.get("/api/v9/desktop_login", params={"login_token": "x"})
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("https://")
        calendar = await toggl.http.get("/api/v9/ical/workspace_user/t0ken")
        assert calendar.headers["content-type"].startswith("text/calendar")
        assert calendar.text.startswith("BEGIN:VCALENDAR\r\n")


async def test_a_record_in_itself_ends_and_times_are_near() -> None:
    pet = {"fields": {"parent": {"record": "Pet"}, "born_at": {"type": "integer"}}}
    known = Documents(operations={}, records={"Pet": pet})
    async with world() as toggl:
        company = toggl.sandbox.company
        call: Any = SimpleNamespace(company=company, person=company.owner, now=5.0, path={}, query={})
        made = Samples(known, Checker(known), call, {}).answer({"record": "Pet"})
    assert made == {"parent": {"parent": None, "born_at": 5}, "born_at": 5}


@pytest.mark.parametrize("media", [files.XLSX, files.ZIP])
def test_archives_are_whole_and_the_same_each_time(media: str) -> None:
    content = files.made(media)
    assert content == files.made(media)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()


def test_a_table_is_text_with_a_mark() -> None:
    assert files.made(files.CSV).startswith(b"\xef\xbb\xbfDescription,Duration\r\n")
