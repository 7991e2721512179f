import io
import re
import zipfile
from typing import Any

import pytest

from support.sandbox_world import World, world
from toggl_async.sandbox import files
from toggl_async.sandbox.checking import _without_nulls, fits
from toggl_async.sandbox.documents import DescribedOperation, child, operations, schema_at
from toggl_async.sandbox.routes import HANDLERS, kept, timesheets
from toggl_async.sandbox.samples import fields_of

pytestmark = pytest.mark.anyio

SAMPLES = sorted(operations().keys() - HANDLERS.keys())
"""The routes that the sandbox keeps no state for."""


def test_the_documents_have_all_operations() -> None:
    assert len(operations()) == 329
    assert HANDLERS.keys() - operations().keys() == {"GET /api/v9/workspaces"}


def test_a_place_is_written_and_followed_as_json_pointer_has_it() -> None:
    where = child("track.json#", "paths", "/api/v9/me", "get")
    assert where == "track.json#/paths/~1api~1v9~1me/get"
    at, schema = schema_at(child(where, "responses", 200, "content", "application/json", "schema"))
    assert at == "track.json#/components/schemas/Me"
    assert schema["type"] == "object"


async def test_the_path_with_fewer_parameters_is_meant() -> None:
    async with world() as toggl:
        reports = f"{toggl.reports}/search/time_entries"
        body = {"start_date": "2026-05-20"}
        assert (await toggl.http.post(f"{reports}.pdf", json=body)).content.startswith(b"%PDF")
        assert b"Description" in (await toggl.http.post(f"{reports}.csv", json=body)).content
        span = "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z"
        organization_id = toggl.organization.rpartition("/")[2]
        assert await toggl.json("GET", f"/api/v9/audit_logs/{organization_id}/{span}")


# Checks

LEVELS = "workspace, workspace_user, project, project_user, task"


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("GET", "{workspace}/project_groups", None, "'project_ids' is required"),
        ("GET", "{workspace}/project_groups?project_ids=1,x", None, "Invalid 'project_ids' value"),
        ("GET", "{workspace}/goals?page=&other=x&per_page=many", None, "Invalid 'per_page' value"),
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
            "Invalid 'start_date' value, allowed format is YYYY-MM-DD",
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


def example(where: str) -> Any:
    """Make the least that a schema allows."""
    where, schema = schema_at(where)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return example(child(where, choice, 0))
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "array":
        return [example(child(where, "items")) for _ in range(schema.get("minItems", 0))]
    if kind == "object":
        fields = fields_of(where)
        free = {str(number): "x" for number in range(schema.get("minProperties", 0))}
        return free | {name: example(fields[name]) for name in needed(where)}
    texts = {"date": "2026-05-20", "date-time": "2026-05-20T00:00:00Z"}
    plain = {"integer": 1, "number": 1.5, "boolean": True, "string": texts.get(schema.get("format", ""), "x")}
    return plain[kind]


def needed(where: str) -> set[str]:
    """Name the fields that a schema requires in any of its parts."""
    where, schema = schema_at(where)
    parts = (needed(child(where, "allOf", index)) for index in range(len(schema.get("allOf", ()))))
    return set(schema.get("required", ())).union(*parts)


async def ask(toggl: World, route: str, operation: DescribedOperation) -> Any:
    """Ask for as little as an operation allows."""
    method, _, template = route.partition(" ")
    real = {"workspace_id": toggl.workspace_id, "organization_id": min(toggl.sandbox.company.organizations)}

    def filled(found: re.Match[str]) -> str:
        value = real.get(found[1]) or example(operation.parameters[found[1]].schema)
        return ",".join(map(str, value or [1])) if isinstance(value, list) else str(value)

    query = {
        name: 1 if (value := example(one.schema)) == [] else value
        for name, one in operation.parameters.items()
        if one.place == "query" and one.required
    }
    body = example(operation.body.schema) if operation.body and operation.json_schema else None
    form = example(operation.body.schema) if operation.body and not operation.json_schema else None
    path = re.sub(r"\{(\w+)\}", filled, template)
    return await toggl.http.request(method, path, params=query, json=body, data=form)


@pytest.mark.slow
async def test_every_sample_is_what_its_document_says_and_no_row_comes_twice() -> None:
    async with world(plan="premium") as toggl:
        for route in SAMPLES:
            operation = operations()[route]
            answer = await ask(toggl, route, operation)
            assert answer.status_code == operation.status, (route, answer.text)
            if operation.answer is None or not operation.answer.is_json:
                continue
            assert fits(answer.json(), operation.answer.schema), (route, answer.json())
            for rows in lists(answer.json()):
                assert not [row for place, row in enumerate(rows) if row in rows[:place]], (route, rows)
            assert (await ask(toggl, route, operation)).json() == answer.json(), route


async def test_what_comes_from_state_is_what_its_document_says_too() -> None:
    async with world(plan="premium") as toggl:
        compared = 0
        for route in sorted(HANDLERS.keys() & operations().keys()):
            operation = operations()[route]
            named = operation.parameters.keys() - {"workspace_id", "organization_id", "action"}
            if operation.answer is None or not operation.answer.is_json or not route.startswith("GET"):
                continue
            if any(operation.parameters[name].place == "path" for name in named):
                continue
            answer = await ask(toggl, route, operation)
            assert answer.status_code == operation.status, (route, answer.text)
            # As recorded from Toggl, null stands where the documents know of none.
            assert fits(_without_nulls(answer.json()), operation.answer.schema), (route, answer.json())
            compared += 1
        assert compared > 30


def lists(value: Any) -> list[list[Any]]:
    """Find all lists in a value."""
    if isinstance(value, dict):
        return [found for inner in value.values() for found in lists(inner)]
    if isinstance(value, list):
        return [value, *(found for inner in value for found in lists(inner))]
    return []


@pytest.mark.slow
async def test_samples_contradict_no_state() -> None:
    async with world(plan="premium") as toggl:
        company = toggl.sandbox.company
        tables: dict[str, Any] = {
            "project": company.projects,
            "client": company.clients,
            "task": company.tasks,
            "user": company.people,
            "workspace": company.workspaces,
            "organization": company.organizations,
        }
        seen = set()
        lists = [route for route in (*kept.HANDLERS, *timesheets.HANDLERS) if route.startswith("GET")]
        for route in (*SAMPLES, *lists):
            answer = await ask(toggl, route, operations()[route])
            if not answer.headers.get("content-type", "").startswith("application/json"):
                continue
            for holder in objects(answer.json()):
                for kind, table in tables.items():
                    one = holder.get(f"{kind}_id")
                    if one not in {None, 1}:  # 1 is what was sent
                        assert one in table, (route, kind, holder)
                        assert holder.get(f"{kind}_name") in {None, table[one].name}, (route, holder)
                        seen.add(kind)
        assert seen == set(tables)


def objects(value: Any) -> list[dict[str, Any]]:
    """Find all objects in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict) else []
    return [*own, *(found for one in inner for found in objects(one))]


async def test_a_company_that_has_lost_everything_is_still_answered() -> None:
    async with world(plan="premium") as toggl:
        company = toggl.sandbox.company
        for table in (company.tags, company.groups, company.projects, company.tasks, company.clients):
            table.clear()
        company.entries.clear()
        company.forget_order()
        for route in SAMPLES:
            answer = await ask(toggl, route, operations()[route])
            assert answer.status_code == operations()[route].status, (route, answer.text)


async def test_answers_name_real_things() -> None:
    async with world() as toggl:
        first = await toggl.json("GET", f"{toggl.workspace}/project_users")
        assert len({row["id"] for row in first}) == len(first) == 2
        company = toggl.sandbox.company
        assert {row["workspace_id"] for row in first} == {toggl.workspace_id}
        assert len({row["project_id"] for row in first} & company.projects.keys()) == 2
        assert len({row["user_id"] for row in first} & company.people.keys()) == 2


async def test_what_was_sent_comes_back() -> None:
    async with world() as toggl:
        project = toggl.sandbox.company.projects_of(toggl.workspace_id)[1]
        body = {
            "project_id": project.id,
            "user_id": toggl.sandbox.company.owner.id,
            "manager": True,
            "rate": 12.5,
        }
        made = await toggl.json("POST", f"{toggl.workspace}/project_users", body)
        assert body.items() <= made.items()


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "{workspace}/invoices", {"page": 2}, None),
        ("POST", "{reports}/filters/project_users", {}, {"start_id": 10**9}),
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


@pytest.mark.parametrize("media", [files.XLSX, files.ZIP])
def test_archives_are_whole_and_the_same_each_time(media: str) -> None:
    content = files.made(media)
    assert content == files.made(media)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()


def test_a_table_is_text_with_a_mark() -> None:
    assert files.made(files.CSV).startswith(b"\xef\xbb\xbfDescription,Duration\r\n")
