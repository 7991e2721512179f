"""Dates and numbers that no server can mean: every route refuses or takes them, and none fails on them."""

import datetime as dt
import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.sandbox_world import World, world
from toggl_async.sandbox.documents import operations, schema_at
from toggl_async.sandbox.samples import fields_of

pytestmark = pytest.mark.anyio

ZONES = ("Z", "+14:00", "-14:00", "+23:59", "-23:59")
DAYS = st.one_of(
    st.dates(), st.dates(max_value=dt.date(3, 12, 31)), st.dates(min_value=dt.date(9997, 1, 1))
).map(str)
MOMENTS = st.builds(
    "{}T{}{}".format,
    DAYS,
    st.sampled_from(("00:00:00", "23:59:59", "23:59:60", "24:00:00")),
    st.sampled_from(ZONES),
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from((0, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400, -(10**400))),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.one_of(
    DAYS,
    MOMENTS,
    NUMBERS.map(str),
    st.sampled_from(("9" * 5000, "-" + "9" * 5000, "nan", "inf", "1e308", "٣", "²", "", "1," + "9" * 5000)),
)


def places() -> list[tuple[str, str, str]]:
    """Name every route with each of its arguments, and where that stands: in the path, query or body."""
    found = []
    for route, operation in operations().items():
        if route.startswith("DELETE") or "close_account" in route:
            continue  # what follows would find nothing
        found += [(route, one.place, name) for name, one in operation.parameters.items()]
        if operation.json_schema is not None:
            found += [(route, "body", name) for name in fields_of(operation.json_schema)]
    return found


def values(place: tuple[str, str, str]) -> st.SearchStrategy[tuple[str, str, str, object]]:
    """Draw an odd value of the right type for an argument."""
    route, where, name = place
    drawn: st.SearchStrategy[object] = TEXTS
    if where == "body":
        schema = operations()[route].json_schema
        assert schema is not None
        told = str(schema_at(fields_of(schema)[name])[1])
        number = "'integer'" in told or "'number'" in told
        one = NUMBERS if number else st.one_of(DAYS, MOMENTS)
        drawn = st.lists(one, max_size=3) if "'array'" in told else one
    return drawn.map(lambda value: (*place, value))


ODD = st.sampled_from(places()).flatmap(values)


async def ask(toggl: World, route: str, where: str, name: str, value: object) -> httpx.Response:
    """Call a route with one odd argument among plain ones."""
    company = toggl.sandbox.company
    plain: dict[str, object] = {
        "workspace_id": toggl.workspace_id,
        "organization_id": min(company.organizations),
        "project_id": min(company.projects),
        "client_id": min(company.clients),
        "task_id": min(company.tasks),
        "tag_id": min(company.tags),
    }
    if where == "path":
        plain[name] = value
    method, _, template = route.partition(" ")
    path = re.sub(r"\{(\w+)\}", lambda found: str(plain.get(found[1], 1)), template)
    schema = operations()[route].json_schema
    content: bytes | None = None
    if schema is not None:
        usual: dict[str, object] = {
            "start_date": "2026-05-01",
            "name": "x",
            "created_with": "x",
            "start": "2026-05-01T00:00:00Z",
        }
        usual["workspace_id"] = toggl.workspace_id
        body = {one: usual[one] for one in fields_of(schema) if one in usual}
        content = json.dumps(body | ({name: value} if where == "body" else {})).encode()
    query = {name: str(value)} if where == "query" else None
    return await toggl.http.request(method, path, params=query, content=content)


@given(asked=st.lists(ODD, min_size=20, max_size=40))
async def test_no_date_and_no_number_makes_the_sandbox_fail(asked: list[tuple[str, str, str, Any]]) -> None:
    async with world() as toggl:
        for one in asked:
            answer = await ask(toggl, *one)
            assert answer.status_code < 500, one
        assert await toggl.json("GET", "/api/v9/me", with_related_data=True)
        dates = {"start_date": "2026-05-01", "end_date": "2026-05-31"}
        assert await toggl.json("POST", f"{toggl.reports}/search/time_entries", dates) is not None


EDGES: dict[str, tuple[object, ...]] = {
    "body": (
        "9999-12-31",
        "0003-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        2**63 - 1,
        1e308,
    ),
    "query": ("9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9" * 30, "9" * 5000),
    "path": ("9999-12-31T23:59:59-14:00", "9" * 5000),
}
"""What servers have failed on, by where it stood."""


@pytest.mark.parametrize("where", EDGES)
async def test_no_argument_at_the_edge_makes_the_sandbox_fail(where: str) -> None:
    async with world() as toggl:
        for place in places():
            for value in EDGES[where] if place[1] == where else ():
                answer = await ask(toggl, *place, value)
                assert answer.status_code < 500, (*place, value)


REPORTS = (
    "search/time_entries",
    "search/time_entries/totals",
    "summary/time_entries",
    "weekly/time_entries",
    "projects/summary",
    "comparative",
    "profitability/projects",
    "data_trends/projects",
)


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("day", ["0001-01-01", "0002-12-31", "9998-01-01", "9999-12-31"])
async def test_a_report_refuses_years_that_nobody_means(report: str, day: str) -> None:
    async with world() as toggl:
        for body in ({"start_date": day}, {"end_date": day}, {"start_date": day, "end_date": day}):
            (name, *_) = body
            assert await toggl.refused("POST", f"{toggl.reports}/{report}", body) == (
                400,
                f"Invalid '{name}' value, allowed format is YYYY-MM-DD",
            )


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"]
)
async def test_time_entries_refuse_years_that_nobody_means(moment: str) -> None:
    async with world() as toggl:
        entries = f"{toggl.workspace}/time_entries"
        entry = {"created_with": "x", "workspace_id": toggl.workspace_id, "duration": 5}
        status, text = await toggl.refused("POST", entries, entry | {"start": moment})
        assert (status, text) == (400, "Invalid 'start' value, allowed format is RFC 3339")
        entry["start"] = "2026-05-01T00:00:00Z"
        assert (await toggl.refused("POST", entries, entry | {"stop": moment}))[0] == 400
        for query in ({"before": moment}, {"start_date": moment, "end_date": "2026-05-20"}):
            assert (await toggl.refused("GET", "/api/v9/me/time_entries", **query))[0] == 400


@pytest.mark.parametrize("seconds", [2**40, 2**63 - 1, 2**63, 10**30, 1e308, 5.0])
async def test_a_duration_that_is_no_number_of_64_bits_or_too_long_is_refused(seconds: float) -> None:
    async with world() as toggl:
        body = {
            "created_with": "x",
            "workspace_id": toggl.workspace_id,
            "start": "2026-05-01T00:00:00Z",
            "duration": seconds,
        }
        status, _ = await toggl.refused("POST", f"{toggl.workspace}/time_entries", body)
        assert status == 400


@pytest.mark.parametrize("minutes", [-1, 1441, 2**63 - 1, 10**30, 1e308])
async def test_nobody_rounds_to_more_than_a_day(minutes: float) -> None:
    async with world() as toggl:
        body = {"start_date": "2026-05-01", "rounding": 1, "rounding_minutes": minutes}
        assert (await toggl.refused("POST", f"{toggl.reports}/comparative", body))[0] == 400


async def test_a_number_of_thousands_of_digits_is_refused() -> None:
    long = "9" * 5000
    async with world() as toggl:
        assert (await toggl.refused("GET", f"{toggl.workspace}/projects", page=long))[0] == 400
        assert (await toggl.refused("GET", "/api/v9/me/time_entries", since=long))[0] == 400
        assert (await toggl.http.get(f"/api/v9/workspaces/{long}/tags")).status_code == 404
        assert (await toggl.http.put(f"{toggl.workspace}/projects/1,{long}", json={})).status_code == 404
