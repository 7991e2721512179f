"""Answers of another shape than they should have: never read as empty, never in part, never in silence."""

import contextlib
import datetime as dt
import json
import warnings
from operator import attrgetter
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.answers import Answers
from toggl_async import DecodeError, PagingError, Patch, TogglClient, operations
from toggl_async._client.catalog import operation
from toggl_async._operations.record import Json
from toggl_async.codec import Codec, DriftWarning

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

PAGED = [one for one in operations() if one.paging is not None]
IDS: dict[str, Any] = {
    "workspace_id": 3, "organization_id": 4, "integration_id": 5, "id_calendar": "c", "task_ids": "6",
    "action": "count", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z",
}  # fmt: skip

TASK = {"id": 1, "name": "Paint", "workspace_id": 3, "project_id": 5, "active": True}
TAG = {"id": 1, "name": "red", "workspace_id": 3}

OTHER_SHAPES: list[Any] = [
    {"error": "internal"},
    {"error": None},
    {"items": [TASK], "total": 1},
    {"results": []},
    "internal error",
    5,
    True,
    [{"error": "internal"}],
    ["a"],
]


async def walked(toggl: TogglClient, name: str) -> list[bytes]:
    pages = toggl.walk(operation(name), path=IDS)
    return [row async for page in pages for row in page]


@pytest.mark.parametrize("answer", OTHER_SHAPES, ids=str)
@pytest.mark.parametrize("name", ["workspace.tasks.list", "workspace.timesheets.list", "workspace.tags.list"])
async def test_no_other_shape_is_an_empty_list(name: str, answer: object) -> None:
    scope, resource, _ = name.split(".")
    async with Answers(answer).client() as toggl:
        reached = getattr(toggl.workspace(3), resource)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DriftWarning)
            with pytest.raises(DecodeError) as listed:
                await reached.list()
            with pytest.raises(DecodeError) as iterated:
                await reached.iter().collect()
    assert scope == "workspace"
    assert listed.value.operation == iterated.value.operation == name


@pytest.mark.parametrize("answer", [*OTHER_SHAPES[:7], ["a"], [[TASK]], [5, None]], ids=str)
@pytest.mark.parametrize("name", [one.name for one in PAGED])
@pytest.mark.sampled(24)
async def test_no_walk_takes_another_shape_for_an_empty_page(name: str, answer: object) -> None:
    if name == "organization.payment_records.list" and isinstance(answer, dict) and "items" in answer:
        pytest.skip("that is its shape")
    async with Answers(answer).client() as toggl:
        with pytest.raises(DecodeError) as caught:
            await walked(toggl, name)
    assert caught.value.operation == name
    assert caught.value.body == json.dumps(answer).encode()


@pytest.mark.parametrize(
    "name", ["workspace.tasks.list", "workspace.tags.list", "workspace.tasks.list_by_ids"]
)
@pytest.mark.parametrize(("body", "status"), [(b"null", 200), (b"", 200), (b"", 204), (b" \n", 200)])
async def test_null_and_nothing_are_no_rows_on_every_path(name: str, body: bytes, status: int) -> None:
    async with Answers(body, status=status).client() as toggl:
        assert await walked(toggl, name) == []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DriftWarning)
            assert await toggl.workspace(3).tags.list() == []
            assert (await toggl.workspace(3).tasks.list()).data == []
            assert await toggl.workspace(3).tasks.iter().collect() == []


@pytest.mark.parametrize("tasks", [[], [TASK], [TASK, {**TASK, "id": 2}]], ids=len)
async def test_tasks_without_their_wrapper_are_all_there(tasks: list[dict[str, Any]]) -> None:
    """A compatible server sends them so, and caps its pages without saying so."""
    server = Answers(lambda number, _: tasks if number < 3 else [])
    async with server.client() as toggl:
        rows = await walked(toggl, "workspace.tasks.list")
        assert [json.loads(row) for row in rows] == tasks
        with pytest.warns(DriftWarning, match="expected an object that wraps it, got a list; converted"):
            page = await Answers(tasks).client().workspace(3).tasks.list()
        assert [task.id for task in page.data] == [task["id"] for task in tasks]


async def test_a_bare_list_is_walked_until_nothing_new_comes() -> None:
    def page(number: int, _: object) -> object:
        return [{**TASK, "id": number * 10 + one} for one in range(5)] if number <= 3 else []

    server = Answers(page)
    async with server.client() as toggl:
        assert len(await walked(toggl, "workspace.tasks.list")) == 15
    assert len(server.asked) == 4


async def test_a_v2_row_is_said_to_be_something_else() -> None:
    row = {"id": 7, "start": "2026-01-01T08:00:00Z", "stop": "2026-01-01T09:00:00Z", "dur": 3600}
    async with Answers([row]).client() as toggl:
        with pytest.raises(
            DecodeError, match="expected DetailedReportRow, got an object with 'id', 'start', 'stop', 'dur'"
        ):
            await toggl.workspace(3).reports.detailed.search()
    with (
        pytest.warns(DriftWarning, match="DetailedReportRow knows 1 of the 5 fields in the answer"),
    ):
        async with Answers([{**row, "description": "x"}]).client() as toggl:
            (found,) = await toggl.workspace(3).reports.detailed.search()
    assert found.description == "x"


@pytest.mark.parametrize(
    ("one", "shown"),
    [
        ({"events": [{"id": 1}], "user_summaries": {"7": {"name": "Ada"}}}, {"7": {"name": "Ada"}}),
        ([{"id": 1}], None),
    ],
)
async def test_the_audit_log_comes_as_a_list_or_with_summaries(one: object, shown: object) -> None:
    server = Answers(lambda number, _: one if number == 1 else [])
    moments = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 2, 1, tzinfo=dt.UTC))
    async with server.client() as toggl:
        logs = toggl.organization(4).audit_logs
        page = await logs.list(*moments)
        assert (page.events, page.user_summaries) == ([{"id": 1}], shown)
        server.asked.clear()
        assert await logs.iter(*moments).collect() == [{"id": 1}]
        server.asked.clear()
        assert list(map(json.loads, await walked(toggl, "organization.audit_logs.list"))) == [{"id": 1}]


DOCUMENTED = [one for one in operations() if one.documented is not None]


@pytest.mark.parametrize("name", [one.name for one in DOCUMENTED])
def test_what_comes_as_documented_is_read_without_a_warning(name: str) -> None:
    bodies = {
        "organization.audit_logs.list": b'[{"action":"x"}]',
        "workspace.invoices.create": b'[{"user_invoice_id":1,"workspace_id":3}]',
        "workspace.projects.periods": b'{"id":1,"start_date":"2026-01-01","end_date":"2026-01-31"}',
        "workspace.reports.saved.bulk_update": b'{"id":1,"name":"x"}',
        "workspace.tags.create": b'[{"id":1,"name":"red","workspace_id":3}]',
        "workspace.tags.update": b'[{"id":1,"name":"red","workspace_id":3}]',
        "workspace.timesheets.bulk_update": b'{"timesheet_setup_id":1,"start_date":"2026-01-01"}',
        "workspace.timesheets.list": b'[{"data":[{"start_date":"2026-01-01"}],"page":1}]',
    }
    asked = operation(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DriftWarning)
        found = Codec().decode(asked.result, bodies[name], operation=name, documented=asked.documented)
    assert found


@pytest.mark.parametrize(("body", "found"), [(b'"busy"', "busy"), (b"null", None), (b"", None)])
async def test_the_web_timer_may_be_text_or_nothing(body: bytes, found: object) -> None:
    async with Answers(body).client() as toggl:
        assert await toggl.me.web_timer() == found


@pytest.mark.parametrize("odd", [None, "x", 1.5, {"a": 1}])
async def test_one_odd_id_does_not_cost_the_rows_beside_it(odd: object) -> None:
    rows = [{"id": number, "workspace_id": 3, "duration": 60} for number in range(1_000)]
    rows[512]["workspace_id"] = odd  # type: ignore[assignment]
    async with Answers(rows).client() as toggl:
        with pytest.warns(DriftWarning, match=r"\$\[\]\.workspace_id: expected a whole number"):
            entries = await toggl.me.time_entries.list()
    assert [entry.id for entry in entries] == list(range(1_000))
    assert [entry.workspace_id for entry in entries] == [3] * 512 + [None] + [3] * 487
    assert sum(entry.duration or 0 for entry in entries) == 60_000


async def test_null_among_records_is_left_out_and_told() -> None:
    async with Answers([TAG, None, {**TAG, "id": 2}]).client() as toggl:
        with pytest.warns(DriftWarning, match="expected an object, got null; left out"):
            assert [tag.id for tag in await toggl.workspace(3).tags.list()] == [1, 2]


@pytest.mark.parametrize("answer", [[None], [{"id": None, "name": "x"}], [TAG, {"error": "x", "id": None}]])
async def test_a_list_of_which_no_record_fits_or_one_is_alien_is_refused(answer: object) -> None:
    async with Answers(answer).client() as toggl:
        with pytest.raises(DecodeError):
            await toggl.workspace(3).tags.list()


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from([one.name for one in operations() if not one.redirects]), answer=JSON)
def test_any_json_is_a_record_or_a_decode_error_for_any_operation(name: str, answer: object) -> None:
    asked = operation(name)
    body = json.dumps(answer).encode()
    with warnings.catch_warnings(), contextlib.suppress(DecodeError):
        warnings.simplefilter("ignore", DriftWarning)
        found = Codec().decode(asked.result, body, operation=name, documented=asked.documented)
        assert (found is None) <= (asked.result is None or answer is None or asked.result is Json)


PATCHES = [Patch(op="replace", path="/description", value="x")]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("odd", [None, "x", [5], {}])
async def test_one_odd_id_does_not_cost_the_others(odd: object, keep: bool) -> None:
    answer = {"success": [1, odd, 3], "failure": [], "brand_new": [7]}
    async with Answers(answer).client(keep_unknown=keep) as toggl:
        with pytest.warns(DriftWarning, match="left out"):
            found = await toggl.workspace(3).time_entries.bulk_edit([1, 2, 3], patches=PATCHES)
    assert found.success == [1, 3]
    assert dict(found.unknown) == ({"success": [1, odd, 3], "brand_new": [7]} if keep else {})


async def test_a_bulk_edit_in_chunks_joins_what_is_unknown() -> None:
    answer = {"success": [1], "failure": [], "brand_new": [7], "other": "x"}
    async with Answers(answer).client(keep_unknown=True) as toggl:
        found = await toggl.workspace(3).time_entries.bulk_edit(range(1, 151), patches=PATCHES)
    assert dict(found.unknown) == {"brand_new": [7, 7], "other": "x"}


@pytest.mark.parametrize("rows", ["soon", [1, "x"], {"a": 1}])
async def test_a_walk_never_ends_at_rows_that_cannot_be_read(rows: object) -> None:
    async with Answers({"events": rows}).client() as toggl:
        found = toggl.calendar.events.iter(start_date=dt.date(2026, 1, 1), end_date=dt.date(2026, 1, 2))
        with pytest.raises(DecodeError):
            await found.collect()


async def test_a_walk_never_passes_over_one_of_several_wrappers() -> None:
    async with Answers([{"items": [[{"id": "a"}, {"id": "b"}]]}, {"items": [{"id": "c"}]}]).client() as toggl:
        with pytest.raises(DecodeError):
            await toggl.organization(4).payment_records.iter().collect()


async def test_a_null_row_of_a_walk_by_keys_is_left_out_and_told() -> None:
    async with Answers([None, TAG]).client() as toggl:
        with pytest.warns(DriftWarning, match="expected a row, got .*; left out"):
            rows = await walked(toggl, "me.projects.list_page")
    assert [json.loads(row) for row in rows] == [TAG]


@pytest.mark.parametrize("odd", [None, "x", 7, 1.5, True, []])
@pytest.mark.parametrize("name", ["workspace.tags.list", "workspace.clients.list", "workspace.tasks.list"])
async def test_what_is_no_row_of_a_walk_is_left_out_and_told(odd: object, name: str) -> None:
    rows = [odd, TAG, odd, {**TAG, "id": 2}]
    answers = Answers({"data": rows} if "tasks" in name else rows)
    if operation(name).paging is not None:
        async with answers.client() as toggl:
            with pytest.warns(DriftWarning, match="expected a row, got .*; left out"):
                assert [json.loads(row)["id"] for row in await walked(toggl, name)] == [1, 2]
    async with answers.client() as toggl:
        with pytest.warns(DriftWarning, match="expected an object, got .*; left out"):
            found = await attrgetter(name.partition(".")[2])(toggl.workspace(3))()
    assert [one.id for one in (found if isinstance(found, list) else found.data)] == [1, 2]


@pytest.mark.parametrize("odd", [None, "x", 7])
@pytest.mark.parametrize("name", ["projects", "tasks"])
async def test_what_is_left_out_of_a_full_page_does_not_end_a_walk(odd: object, name: str) -> None:
    """Of 200 elements one is no row: 199 rows are no short page."""
    page = [odd if number == 7 else {**TAG, "id": number} for number in range(200)]
    pages = [page, [{**TAG, "id": 200}]]

    def answer(number: int, _request: httpx.Request) -> object:
        rows = pages[number - 1] if number <= len(pages) else []
        return {"data": rows} if name == "tasks" else rows

    async with Answers(answer).client() as toggl:
        with pytest.warns(DriftWarning, match="left out"):
            found = await getattr(toggl.workspace(3), name).iter().collect()
    assert [one.id for one in found] == [number for number in range(201) if number != 7]


async def test_a_report_row_whose_time_entries_cannot_be_read_is_passed_on() -> None:
    page = [{"time_entries": [{"id": 1}]}, {"time_entries": 5}, {"time_entries": [{"id": "x"}]}]
    async with Answers(page).client() as toggl:
        rows = await walked(toggl, "workspace.reports.detailed.search")
    assert [json.loads(row) for row in rows] == page


@pytest.mark.parametrize("answer", [{"message": "internal", "status": 500}, {"code": 404, "error": None}])
async def test_an_error_that_names_itself_by_its_status_alone(answer: object) -> None:
    async with Answers(answer).client() as toggl:
        for asked in (
            toggl.workspace(3).tags.delete(5),
            toggl.me.reset_token(),
            toggl.workspace(3).reports.weekly.csv(start_date=dt.date(2026, 1, 1)),
        ):
            with pytest.raises(DecodeError, match="got an error, although the status says success"):
                await asked


async def test_an_error_that_could_be_a_record_is_told() -> None:
    async with Answers({"status": "failed", "error": "internal"}).client() as toggl:
        with pytest.warns(
            DriftWarning, match=r'\$: got an error, although the status says success: "internal"'
        ):
            goal = await toggl.workspace(3).goals.get(5)
    assert goal.status == "failed"


async def test_an_id_that_cannot_be_one_is_no_beginning_of_a_page() -> None:
    page = [{"id": 2**63 + number, "name": "x"} for number in range(200)]
    async with Answers(page).client() as toggl:
        with pytest.raises(PagingError, match="got an id that is out of range"):
            await walked(toggl, "me.projects.list_page")


async def test_one_object_in_place_of_a_page_is_its_only_row() -> None:
    async with Answers(TAG).client() as toggl:
        with pytest.warns(DriftWarning):
            found = await toggl.workspace(3).projects.iter().collect()
    assert [one.id for one in found] == [TAG["id"]]
