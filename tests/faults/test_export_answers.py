"""Answers that are not what they should be: an export keeps what it has, and says what is wrong."""

import codecs
import csv
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, TOKEN_REFUSED, Company, Entry
from support.export_scripted import SEARCH, TOTALS, WORKSPACE, Scripted, page
from support.export_updates import OPTIONS, run
from support.export_written import FORMATS, everything, ids, in_each_format, rows
from support.pairs import pairs
from toggl_async import ApiToken, DecodeError, LoginRefused, TogglClient, TogglError
from toggl_async.export import DATASETS, ExportPlan, Manifest, estimate, export

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
LISTS = ("users", "groups", "clients", "projects", "tags", "tasks")
SHAPES = [
    b'{"error":"internal"}',
    b'{"items":[{"id":1}]}',
    b'"maintenance"',
    b"7",
    b"true",
    b"<html><title>502</title></html>",
    b'[{"id":1}',
    b"[" * 5000 + b"]" * 5000,
    b'[{"id":1,"name":"\xff"}]',
]


def path_of(dataset: str) -> str:
    if dataset == "time_entries":
        return f"/workspace/{FIRST}/search/time_entries"
    return {"organizations": "/me/organizations", "workspaces": "/api/v9/me"}.get(
        dataset, f"/workspaces/{FIRST}/{dataset}"
    )


@pytest.mark.parametrize(("dataset", "shape"), pairs(DATASETS, SHAPES))
@pytest.mark.sampled(2)
async def test_an_update_that_gets_another_shape_deletes_nothing(
    tmp_path: Path, dataset: str, shape: bytes
) -> None:
    company = Company(12)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")
    company.now = NOW + DAY
    company.before = lambda path, body: (
        httpx.Response(200, content=shape) if path.endswith(path_of(dataset)) else None
    )
    try:
        manifest = await run(company, tmp_path)
    except TogglError:  # the account itself could not be read
        assert dataset == "workspaces"
    else:
        place = 0 if dataset == "organizations" else FIRST
        assert {one.dataset for one in manifest.failed} == {dataset}
        assert {one.workspace_id for one in manifest.failed} == {place}
        assert (manifest.finished, manifest.complete) == (True, False)
        assert manifest.datasets[dataset].complete is False
        assert (dataset, place) in {(one.dataset, one.workspace_id) for one in manifest.stale}
    company.before = lambda path, body: None
    manifest = await run(company, tmp_path)
    assert everything(tmp_path, "jsonl") == before
    assert manifest.complete
    assert manifest.failed == ()


@pytest.mark.parametrize(("dataset", "shape"), pairs([*LISTS, "time_entries"], SHAPES))
@pytest.mark.sampled(2)
async def test_a_first_export_names_the_part_and_goes_on(tmp_path: Path, dataset: str, shape: bytes) -> None:
    company = Company(12)
    company.before = lambda path, body: (
        httpx.Response(200, content=shape) if path.endswith(path_of(dataset)) else None
    )
    manifest = await run(company, tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert {(one.dataset, one.workspace_id) for one in manifest.failed} == {(dataset, FIRST)}
    company.before, company.now = lambda path, body: None, NOW + DAY
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


@pytest.mark.parametrize(("dataset", "shape"), pairs([*LISTS, "time_entries"], [b"[]", b"null", b"", b"  "]))
@pytest.mark.sampled(2)
async def test_nothing_once_is_asked_again(tmp_path: Path, dataset: str, shape: bytes) -> None:
    company = Company(12, days=2)
    await run(company, tmp_path)
    before, asked = everything(tmp_path, "jsonl"), 0

    def once(path: str, body: Any) -> httpx.Response | None:
        nonlocal asked
        if not path.endswith(path_of(dataset)) or (body and body.get("order_by") == "last_update"):
            return None
        asked += 1
        return httpx.Response(200, content=shape) if asked == 1 else None

    company.before, company.now = once, NOW + DAY
    manifest = await run(company, tmp_path)
    assert asked > 1
    assert everything(tmp_path, "jsonl") == before
    assert manifest.complete


@in_each_format
async def test_a_report_that_brings_nothing_deletes_nothing(tmp_path: Path, form: str) -> None:
    company = Company(12, days=2)
    await run(company, tmp_path, form)
    before = everything(tmp_path, form)
    company.before = lambda path, body: (
        httpx.Response(200, json=[]) if path.endswith("search/time_entries") else None
    )
    company.now = NOW + DAY
    manifest = await run(company, tmp_path, form)
    assert everything(tmp_path, form) == before
    assert not manifest.complete
    assert {one.dataset for one in manifest.failed} == {"time_entries"}


async def test_a_report_that_brings_nothing_deletes_nothing_where_there_is_no_total_either(
    tmp_path: Path,
) -> None:
    company = Company(12, days=2)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")

    def nothing(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/totals"):
            return httpx.Response(400, json="no totals today")
        return httpx.Response(200, json=[]) if path.endswith("search/time_entries") else None

    company.before, company.now = nothing, NOW + DAY
    manifest = await run(company, tmp_path)
    assert everything(tmp_path, "jsonl") == before
    told = [one.message for one in manifest.failed if one.dataset == "time_entries"]
    assert told
    assert all(message.endswith("missing this time: Toggl gives no total") for message in told)


@pytest.mark.parametrize("is_told_again", [True, False])
@pytest.mark.sampled(1)
async def test_a_list_that_brings_nothing_deletes_nothing_that_toggl_shows_elsewhere(
    tmp_path: Path, is_told_again: bool
) -> None:
    company = Company(3)

    def related(path: str, body: Any, *, empty: bool = True) -> httpx.Response | None:
        if path == "/api/v9/me":
            if company.asked("/tags") and not is_told_again:
                return httpx.Response(400, json="not now")
            me, _ = company._answer(path, {}, body)
            me |= {name: company.lists[name] for name in ("clients", "projects", "tags", "tasks")}
            return httpx.Response(200, json=me, headers={"Date": f"{company.now:%a, %d %b %Y %H:%M:%S} GMT"})
        return httpx.Response(200, json=[]) if empty and path.endswith("/tags") else None

    company.before = lambda path, body: related(path, body, empty=False)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")
    company.before, company.now = related, NOW + DAY
    company.log.clear()
    manifest = await run(company, tmp_path)
    assert everything(tmp_path, "jsonl") == before
    assert {one.dataset for one in manifest.failed} == {"tags"}
    company.log.clear()
    fresh = await run(company, tmp_path.with_name("fresh"))
    assert not fresh.complete
    assert {one.dataset for one in fresh.failed} == {"tags"}


async def test_a_list_that_is_empty_is_believed_the_second_time(tmp_path: Path) -> None:
    company = Company(3)
    await run(company, tmp_path)
    company.lists["clients"].clear()
    company.log.clear()
    assert (await run(company, tmp_path)).complete
    assert rows(tmp_path, "jsonl", "clients") == []
    assert len(company.asked(f"{FIRST}/clients")) == 2


@pytest.mark.parametrize("mark", ["0001-01-01T00:00:00Z", None, ""])
@pytest.mark.sampled(1)
async def test_never_is_no_moment_of_deletion(tmp_path: Path, mark: str | None) -> None:
    company = Company(3)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl", ("time_entries",))
    company.now = NOW + DAY
    gone = [{"id": 1, "workspace_id": FIRST, "server_deleted_at": mark}]
    company.before = lambda path, body: (
        httpx.Response(200, json=gone) if path == "/api/v9/me/time_entries" else None
    )
    await run(company, tmp_path)
    assert everything(tmp_path, "jsonl", ("time_entries",)) == before


@pytest.mark.parametrize("body", [b'{"error":"internal"}', b"[]", b"{}", b"", b"null", b"<html>"])
@pytest.mark.sampled(2)
async def test_a_total_that_is_none_leaves_the_export_incomplete(tmp_path: Path, body: bytes) -> None:
    company = Company(6)
    company.before = lambda path, _: (
        httpx.Response(200, content=body) if path.endswith(f"{FIRST}/search/time_entries/totals") else None
    )
    manifest = await run(company, tmp_path)
    assert not manifest.complete
    assert {(one.dataset, one.workspace_id) for one in manifest.failed} == {("totals", FIRST)}


@pytest.mark.parametrize(
    ("path", "body"),
    pairs(
        ["/api/v9/me/time_entries", "/api/v9/me/time_entries/current"],
        [b'{"error":"internal"}', b"[[]]", b"<html>", b'{"duration":-1}', b"7"],
    ),
)
@pytest.mark.sampled(1)
async def test_own_entries_in_another_shape(tmp_path: Path, path: str, body: bytes) -> None:
    company = Company(6)
    await run(company, tmp_path)
    company.now = NOW + DAY
    company.before = lambda asked, _: httpx.Response(200, content=body) if asked == path else None
    manifest = await run(company, tmp_path)
    assert {one.dataset for one in manifest.failed} == {"time_entries"}
    company.before = lambda asked, _: None
    assert (await run(company, tmp_path)).complete


async def first(server: Scripted, plan: ExportPlan, directory: Path, form: str = "jsonl") -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=server) as client:
        return await export(client, plan, directory, format=form)


@pytest.mark.parametrize("number", [0, -1, 2**63])
async def test_an_account_whose_id_cannot_be_one(tmp_path: Path, number: int) -> None:
    """With it in the books, the next run would take the account for another one."""
    with pytest.raises(DecodeError, match="Expected `int`"):
        await first(Scripted({"/api/v9/me": {"id": number}}), ExportPlan(datasets=("tags",)), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [[], [{"id": WORKSPACE}], httpx.Response(204)])
async def test_an_account_without_its_workspaces(tmp_path: Path, answer: Any) -> None:
    server = Scripted(
        {"/api/v9/me": {"id": 7, "default_workspace_id": WORKSPACE}, "/api/v9/me/workspaces": answer}
    )
    plan = ExportPlan(datasets=("workspaces", "tags"))
    if answer == [{"id": WORKSPACE}]:
        await first(server, plan, tmp_path)
        assert ids(tmp_path, "jsonl", "workspaces") == [WORKSPACE]
    else:
        with pytest.raises(DecodeError, match="Expected the workspace 10, got none"):
            await first(server, plan, tmp_path)
        assert list(tmp_path.iterdir()) == []


async def test_tasks_without_their_wrapper(tmp_path: Path) -> None:
    tasks = f"/api/v9/workspaces/{WORKSPACE}/tasks"
    shapes: list[Any] = [[{"id": 1}], [{"id": 1}, {"id": 2}], [{"data": [{"id": 1}]}], {"data": None}]
    for number, shape in enumerate(shapes):
        manifest = await first(
            Scripted({tasks: shape}), ExportPlan(datasets=("tasks",)), tmp_path / str(number)
        )
        assert manifest.complete
    assert [ids(tmp_path / str(number), "jsonl", "tasks") for number in range(4)] == [[1], [1, 2], [1], []]
    for shape in ({}, {"tasks": []}, {"data": [], "total_count": 3}, {"data": {}}):
        manifest = await first(
            Scripted({tasks: shape}), ExportPlan(datasets=("tasks",)), tmp_path / repr(shape)
        )
        assert [one.dataset for one in manifest.failed] == ["tasks"]


ODD = {
    "number": b'{"id":5,"name":"n","rate":1e999,"more":[1e999]}',
    "long": b'{"id":5,"name":"n","rate":' + b"9" * 400 + b',"more":{"a":' + b"9" * 400 + b"}}",
    "longest": b'{"id":5,"name":"n","rate":' + b"9" * 5000 + b"}",
    "surrogate": b'{"id":5,"name":"a\\ud800b","more":"\\ud83d\\ude00"}',
    "never": b'{"id":5,"name":"n","at":"0001-01-01T00:00:00Z","created_at":"0001-01-01T00:00:00+02:00"}',
    "last": b'{"id":5,"name":"n","at":"9999-12-31T23:59:59-02:00","created_at":"10000-01-01T00:00:00Z"}',
    "deep": b'{"id":5,"name":"n","more":' + b"[" * 190 + b"]" * 190 + b"}",
}


@pytest.mark.parametrize(("form", "odd"), pairs(FORMATS, ODD))
async def test_odd_values_of_a_list_are_kept(tmp_path: Path, form: str, odd: str) -> None:
    body = b'[{"id":4,"name":"m"},' + ODD[odd] + b"]"
    path = f"/api/v9/workspaces/{WORKSPACE}/projects"
    server = Scripted({path: lambda _: httpx.Response(200, content=body)})
    manifest = await first(server, ExportPlan(datasets=("projects",)), tmp_path, form)
    assert manifest.complete
    if form == "jsonl":
        text = (tmp_path / "projects.jsonl").read_text()
        assert [line[:7] for line in text.splitlines()] == ['{"id":4', '{"id":5']
    else:
        assert ids(tmp_path, form, "projects") == [4, 5]
        (row,) = [one for one in rows(tmp_path, form, "projects") if int(one["id"]) == 5]
        text = f"{row['name']} {row['at']} {row['created_at']} {row['extra']}"
    for kept in {
        "number": ["1e999"],
        "long": ["9" * 400],
        "longest": ["9" * 5000],
        "surrogate": ["a\\ud800b"] if form != "jsonl" else ["a\\\\ud800b"],
        "never": ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00"],
        "last": ["9999-12-31T23:59:59-02:00", "10000-01-01T00:00:00Z"],
        "deep": ["[" * 190],
    }[odd]:
        assert kept in text


@in_each_format
async def test_odd_values_of_time_entries_are_kept(tmp_path: Path, form: str) -> None:
    entries = [
        b'{"id":1,"seconds":60,"start":"0001-01-01T00:00:00Z","at":1e999}',
        b'{"id":2,"seconds":9223372036854775807,"start":"2026-11-02T09:00:00+01:00"}',
        b'{"id":3,"seconds":9223372036854775807,"start":"2026-11-02T09:00:00+01:00"}',
        b'{"id":4,"seconds":' + b"9" * 400 + b',"start":"10000-01-01T00:00:00Z"}',
        b'{"id":5,"seconds":true,"start":5}',
        b'{"id":6,"seconds":1e999,"start":"\\udc00"}',
    ]
    report = b'[{"user_id":1e999,"time_entries":[' + b",".join(entries) + b"]}]"
    pages = iter([httpx.Response(200, content=report)])
    server = Scripted({SEARCH: lambda _: next(pages, page([])), TOTALS: {"seconds": 0}})
    plan = ExportPlan(datasets=("time_entries",), since=dt.date(2026, 1, 1))
    manifest = await first(server, plan, tmp_path, form)
    assert manifest.finished
    assert manifest.totals_agree is False
    assert ids(tmp_path, form) == [1, 2, 3, 4, 5, 6]


@in_each_format
async def test_what_is_nested_too_deeply_is_named(tmp_path: Path, form: str) -> None:
    deep = b'[{"id":5,"more":' + b"[" * 400 + b"]" * 400 + b"}]"
    path = f"/api/v9/workspaces/{WORKSPACE}/tags"
    server = Scripted({path: lambda _: httpx.Response(200, content=deep)})
    manifest = await first(server, ExportPlan(datasets=("tags",)), tmp_path, form)
    assert [one.dataset for one in manifest.failed] == ["tags"]
    assert not manifest.complete


@pytest.mark.parametrize("created", ["0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", 5, None, "soon", 1.5])
async def test_an_organization_of_no_age(tmp_path: Path, created: Any) -> None:
    server = Scripted({"/api/v9/me/organizations": [{"id": 1, "created_at": created}]})
    manifest = await first(server, ExportPlan(datasets=("time_entries", "organizations")), tmp_path)
    assert manifest.complete
    assert server.asked[SEARCH] == 2


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 10000000000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "", "0"]
)
@pytest.mark.sampled(1)
async def test_a_server_of_no_time(tmp_path: Path, date: str) -> None:
    company = Company(3)
    me, _ = company._answer("/api/v9/me", {}, None)
    company.before = lambda path, body: (
        httpx.Response(200, json=me, headers={"Date": date}) if path == "/api/v9/me" else None
    )
    assert (await run(company, tmp_path)).complete


async def test_a_cell_that_is_longer_than_most(tmp_path: Path) -> None:
    company = Company(3)
    company.entries.append(Entry(99, FIRST, NOW - DAY, 60, "x" * 200_000))
    await run(company, tmp_path, "csv")
    await run(company, tmp_path, "csv")
    csv.field_size_limit(2**31 - 1)
    assert 99 in ids(tmp_path, "csv")


async def test_a_workspace_that_is_seen_no_more_keeps_its_row(tmp_path: Path) -> None:
    company = Company(3)
    await run(company, tmp_path)
    me, _ = company._answer("/api/v9/me", {}, None)
    company.before = lambda path, body: (
        httpx.Response(200, json=me | {"workspaces": me["workspaces"][:1]}) if path == "/api/v9/me" else None
    )
    manifest = await run(company, tmp_path)
    assert len(rows(tmp_path, "jsonl", "workspaces")) == 2
    assert manifest.stale
    company.before = lambda path, body: (
        httpx.Response(200, json=[]) if path == "/api/v9/me/organizations" else None
    )
    manifest = await run(company, tmp_path)
    assert len(rows(tmp_path, "jsonl", "organizations")) == 1
    assert {one.dataset for one in manifest.failed} == {"organizations"}
    assert any("Toggl 2.0" in warning for warning in manifest.warnings)
    assert json.loads((tmp_path / "manifest.json").read_bytes())["complete"] is False


MARKED: dict[str, Callable[[bytes], bytes]] = {
    "UTF-8": lambda body: codecs.BOM_UTF8 + body,
    "UTF-16": lambda body: codecs.BOM_UTF16_LE + body.decode().encode("utf-16-le"),
}


def marked(company: Company, encoding: str) -> None:
    """Let every answer of a company begin with a byte order mark."""

    def answer(path: str, body: Any) -> httpx.Response | None:
        query = {"since": "0"} if path == "/api/v9/me/time_entries" else {}
        found, headers = company._answer(path, query, body)
        headers |= {
            "Date": f"{company.now:%a, %d %b %Y %H:%M:%S} GMT",
            "Content-Type": "application/json",
        }
        return httpx.Response(200, content=MARKED[encoding](json.dumps(found).encode()), headers=headers)

    company.before = answer


@pytest.mark.parametrize("encoding", MARKED)
async def test_every_answer_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    company = Company(12)
    company.running = {
        "id": 77,
        "workspace_id": FIRST,
        "start": (NOW - dt.timedelta(hours=2)).isoformat(),
        "duration": -1,
    }
    await run(company, tmp_path.with_name("plain"))
    marked(company, encoding)
    for _ in range(2):
        manifest = await run(company, tmp_path)
        assert (manifest.complete, manifest.failed) == (True, ())
        assert everything(tmp_path, "jsonl") == everything(tmp_path.with_name("plain"), "jsonl")
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        cost = await estimate(client, ExportPlan())
    assert [one.rows for one in cost.datasets if one.dataset == "time_entries"] == [12]
    assert cost.warnings == ()
    assert len(cost.quotas) == 2


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("shape", [b"null", b"", b" "])
@pytest.mark.parametrize("name", ["clients", "tags", "projects", "groups"])
@pytest.mark.sampled(3)
async def test_nothing_behind_a_byte_order_mark_deletes_nothing(
    tmp_path: Path, name: str, shape: bytes, encoding: str
) -> None:
    company = Company(3)
    company.related = {}
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")
    body = MARKED[encoding](shape)
    company.before = lambda path, _: (
        httpx.Response(200, content=body) if path.endswith(f"{FIRST}/{name}") else None
    )
    for _ in range(2):
        manifest = await run(company, tmp_path)
        assert {one.dataset for one in manifest.failed} == {name}
        assert everything(tmp_path, "jsonl") == before


def changed(company: Company, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Let a report send the time entries of the first workspace with other values."""

    def answer(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith(f"/{FIRST}/search/time_entries"):
            return None
        found, headers = company._answer(path, {}, body)
        for row in found:
            row["time_entries"] = [change(entry) for entry in row["time_entries"]]
        return httpx.Response(200, json=found, headers=headers)

    company.before = answer


@pytest.mark.parametrize("guise", [str, float, lambda seconds: f"0{seconds}"], ids=["text", "float", "zeros"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.sampled(4)
async def test_seconds_in_another_guise_are_seconds(
    tmp_path: Path, form: str, guise: Callable[[int], object]
) -> None:
    company = Company(12)
    await run(company, tmp_path / "plain", form)
    changed(company, lambda entry: entry | {"seconds": guise(entry["seconds"])})
    for _ in range(2):
        manifest = await run(company, tmp_path / "odd", form)
        assert (manifest.complete, manifest.totals_agree, manifest.failed) == (True, True, ())
    came, plain = (
        [(int(row["id"]), float(row["seconds"])) for row in rows(tmp_path / one, form, "time_entries")]
        for one in ("odd", "plain")
    )
    assert came == plain


async def test_text_that_says_that_an_entry_runs_is_no_seconds(tmp_path: Path) -> None:
    company = Company(3)
    company.entries.append(Entry(99, FIRST, NOW - dt.timedelta(hours=1), seconds=0))
    changed(company, lambda entry: entry | ({"seconds": "-1795715681"} if entry["id"] == 99 else {}))
    assert (await run(company, tmp_path)).complete
    assert [row["seconds"] for row in rows(tmp_path, "jsonl", "time_entries") if row["id"] == 99] == [None]


UNREADABLE: dict[str, dict[str, object]] = {
    "seconds": {"seconds": 60.5},
    "seconds ": {"seconds": "an hour"},
    "seconds  ": {"seconds": 10**30},
    "start": {"start": "soon"},
    "start ": {"start": 1764150000},
    "seconds and start": {"seconds": [], "start": {}},
}


@pytest.mark.parametrize("fields", UNREADABLE)
@pytest.mark.parametrize("some", [False, True], ids=["all", "some"])
async def test_a_field_that_cannot_be_read_is_named_where_it_leaves_a_sum_short(
    tmp_path: Path, fields: str, some: bool
) -> None:
    company = Company(12)
    changed(company, lambda entry: entry if some and entry["id"] % 2 else entry | UNREADABLE[fields])
    for _ in range(2):
        manifest = await run(company, tmp_path)
        assert (manifest.finished, manifest.complete) == (True, False)
        assert manifest.datasets["time_entries"].rows == 12
        (failure,) = manifest.failed
        assert (failure.dataset, failure.workspace_id) == ("time_entries", FIRST)
        assert f"time entries came whose {fields.strip()} can't be read" in failure.message
        assert "no rows" not in failure.message
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).complete


async def test_a_field_that_cannot_be_read_is_named_after_the_run_was_resumed(tmp_path: Path) -> None:
    company = Company(12)
    changed(company, lambda entry: entry | {"seconds": "long"})
    answer = company.before
    company.before = lambda path, body: (
        httpx.Response(403, json=TOKEN_REFUSED) if path.endswith("/totals") else answer(path, body)
    )
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.before = answer
    company.log.clear()
    manifest = await run(company, tmp_path)
    assert [one.message for one in manifest.failed if "whose seconds can't be read" in one.message]
