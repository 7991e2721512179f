"""What an export may not believe: errors in a list, totals of nothing, pages that shift, lists cut short."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, ORGANIZATION, USER, Company
from support.export_scripted import SEARCH, TOTALS, WORKSPACE, Scripted
from support.export_updates import OPTIONS, run
from support.export_written import everything, ids, rows
from toggl_async import ApiToken, ConnectionFailed, LoginRefused, ServerError, TogglClient
from toggl_async.export import ExportPlan, Manifest, export
from toggl_async.export.mirror.hours import groupings, hours_by
from toggl_async.export.mirror.urls import store_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
LISTS = ("users", "groups", "clients", "projects", "tags", "tasks")


def failed(manifest: Manifest) -> set[tuple[str, int]]:
    return {(one.dataset, one.workspace_id) for one in manifest.failed}


async def read(server: Scripted, directory: Path, plan: ExportPlan | None = None) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=server, options=OPTIONS) as client:
        return await export(client, plan or ExportPlan(), directory, update=True)


@pytest.mark.parametrize("shape", ['[{"error":"internal"}]', "[null]", "[1,2]", '["a"]', "[[]]", "[{}]"])
@pytest.mark.sampled(2)
async def test_what_is_no_row_makes_no_complete_export(tmp_path: Path, shape: str) -> None:
    company = Company(6)
    parts = tuple(f"workspaces/{FIRST}/{name}" for name in LISTS)
    company.before = lambda path, body: httpx.Response(200, text=shape) if path.endswith(parts) else None
    manifest = await run(company, tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert failed(manifest) == {(name, FIRST) for name in LISTS}
    for name in LISTS:
        assert {row["workspace_id"] for row in rows(tmp_path, "jsonl", name)} == {20}


async def test_reports_of_errors_are_no_time_entries(tmp_path: Path) -> None:
    manifest = await read(Scripted({SEARCH: [{"error": "internal"}]}), tmp_path)
    assert failed(manifest) == {("time_entries", WORKSPACE)}
    assert rows(tmp_path, "jsonl", "time_entries") == []


async def test_totals_that_say_nothing_are_named(tmp_path: Path) -> None:
    manifest = await read(Scripted({TOTALS: {"seconds": None, "graph": None}}), tmp_path)
    assert failed(manifest) == {("totals", WORKSPACE)}
    assert not manifest.complete


async def test_a_report_of_nothing_where_totals_say_more_is_incomplete(tmp_path: Path) -> None:
    manifest = await read(Scripted({TOTALS: {"seconds": 3600}}), tmp_path)
    assert failed(manifest) == {("time_entries", WORKSPACE)}
    assert not manifest.complete


@pytest.mark.parametrize("shape", [b"[]", b"null", b""])
@pytest.mark.sampled(1)
async def test_a_list_without_a_witness_must_be_empty_in_two_runs(tmp_path: Path, shape: bytes) -> None:
    company = Company(3)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")
    company.now = NOW + DAY
    company.before = lambda path, body: (
        httpx.Response(200, content=shape) if path.endswith(f"{FIRST}/groups") else None
    )
    for _ in range(1 if shape == b"[]" else 3):
        manifest = await run(company, tmp_path)
        assert everything(tmp_path, "jsonl") == before
        assert failed(manifest) == {("groups", FIRST)}
    if shape == b"[]":
        assert (await run(company, tmp_path)).complete
        assert {row["workspace_id"] for row in rows(tmp_path, "jsonl", "groups")} == {20}


RELATED = ("clients", "projects", "tags", "tasks")
OTHERS: tuple[dict[str, Any], ...] = ({"time_entries": []}, {"tags": None, "clients": None})


@pytest.mark.parametrize(
    ("name", "related"),
    [(name, related) for name in RELATED for related in ({name: None}, {name: []}, *OTHERS)],
)
@pytest.mark.sampled(2)
async def test_related_data_without_a_kind_agrees_that_it_is_empty(
    tmp_path: Path, name: str, related: dict[str, Any]
) -> None:
    company = Company(0)
    company.related = {}
    await run(company, tmp_path)
    company.related, company.now = related, NOW + DAY
    company.before = lambda path, body: (
        httpx.Response(200, content=b"null") if path.endswith(f"{FIRST}/{name}") else None
    )
    assert (await run(company, tmp_path)).complete
    assert {row["workspace_id"] for row in rows(tmp_path, "jsonl", name)} == {20}


@pytest.mark.parametrize("name", RELATED)
@pytest.mark.parametrize("alone", [True, False])
async def test_null_deletes_nothing_where_the_first_contact_has_no_related_data(
    tmp_path: Path, name: str, alone: bool
) -> None:
    plan = ExportPlan(datasets=(name,)) if alone else None
    company = Company(0)
    company.related = {}
    await run(company, tmp_path, plan=plan)
    before = everything(tmp_path, "jsonl", (name,))
    company.before = lambda path, body: (
        httpx.Response(200, content=b"null") if path.endswith(f"{FIRST}/{name}") else None
    )
    for days in (1, 2, 3):
        company.now = NOW + days * DAY
        manifest = await run(company, tmp_path, plan=plan)
        assert (manifest.finished, manifest.complete) == (True, False)
        assert failed(manifest) == {(name, FIRST)}
        assert everything(tmp_path, "jsonl", (name,)) == before
    company.related = {"time_entries": None}  # now it agrees
    assert (await run(company, tmp_path, plan=plan)).complete
    assert {row["workspace_id"] for row in rows(tmp_path, "jsonl", name)} == {20}


@pytest.mark.parametrize("name", RELATED)
async def test_an_empty_list_counts_from_the_second_run_where_there_is_no_related_data(
    tmp_path: Path, name: str
) -> None:
    company = Company(0)
    company.related = {}
    await run(company, tmp_path)
    company.lists[name].clear()
    manifest = await run(company, tmp_path)
    assert failed(manifest) == {(name, FIRST), (name, 20)}
    assert len(ids(tmp_path, "jsonl", name)) == 5
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl", name) == []


@pytest.mark.parametrize("name", RELATED)
async def test_a_second_profile_without_related_data_takes_nothing_back(tmp_path: Path, name: str) -> None:
    company = Company(0)
    company.related = {name: company.lists[name]}
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl", (name,))

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path == "/api/v9/me" and company.asked(f"{FIRST}/{name}"):
            company.related = {}
        wrong: Any = {"data": [], "total_count": 0} if name == "tasks" else []
        return httpx.Response(200, json=wrong) if path.endswith(f"{FIRST}/{name}") else None

    company.before, company.now = answer, NOW + DAY
    company.log.clear()
    manifest = await run(company, tmp_path)
    assert len(company.asked("/api/v9/me")) == 2
    assert failed(manifest) == {(name, FIRST)}
    assert everything(tmp_path, "jsonl", (name,)) == before


@pytest.mark.parametrize("shape", [b"null", b"[]"])
async def test_a_new_account_without_anything_is_complete(tmp_path: Path, shape: bytes) -> None:
    company = Company(0)
    company.related = {}
    company.before = lambda path, body: (
        httpx.Response(200, content=shape) if path.endswith((*RELATED, "groups")) else None
    )
    for _ in range(2):
        assert (await run(company, tmp_path)).complete


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("name", ["users", "clients", "projects", "tags", "tasks", "organizations"])
@pytest.mark.sampled(2)
async def test_a_list_that_is_proven_wrong_deletes_nothing_however_often_it_comes(
    tmp_path: Path, name: str, left: int
) -> None:
    """Something else shows one row that the list lacks, so nobody knows what else it lacks."""
    company = Company(3)
    company.lists["users"] += [{"id": USER, "workspace_id": FIRST, "name": "me"}]
    shown = [row for row in company.lists.get(name, ()) if row["workspace_id"] == FIRST]
    whole = {"organizations": [{"id": ORGANIZATION, "name": "Org"}, {"id": 2, "name": "Other"}]}
    answers: dict[str, Any] = {}

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path == "/api/v9/me":
            me, _ = company._answer(path, {}, body)
            return httpx.Response(200, json={**me, name: shown}) if name in me or shown else None
        if path == "/api/v9/me/organizations":
            told = answers if name == "organizations" else {}
            return httpx.Response(200, json=told.get(name, whole["organizations"]))
        return (
            httpx.Response(200, json=answers[name]) if path.endswith(f"{FIRST}/{name}") and answers else None
        )

    company.before = answer
    before = (await run(company, tmp_path)).datasets[name].rows
    kept = ids(tmp_path, "jsonl", name)
    wrong = (
        [row for row in shown if row["id"] != USER][:left] if shown else [{"id": 2, "name": "Other"}][:left]
    )
    answers[name] = {"data": wrong, "total_count": left} if name == "tasks" else wrong
    where = 0 if name == "organizations" else FIRST
    for days in range(1, 4):
        company.now = NOW + days * DAY
        manifest = await run(company, tmp_path)
        assert (manifest.finished, manifest.complete) == (True, False)
        assert failed(manifest) == {(name, where)}
        assert ids(tmp_path, "jsonl", name) == kept
        assert manifest.datasets[name].rows == before
    # A right answer deletes what is gone.
    answers.clear()
    if name == "organizations":
        whole[name].pop()
    else:
        gone = [row for row in shown if row["id"] != USER][-1]
        company.lists[name].remove(gone)
        shown.remove(gone)
    company.now = NOW + 5 * DAY
    assert (await run(company, tmp_path)).complete
    assert len(ids(tmp_path, "jsonl", name)) == before - 1


@pytest.mark.parametrize("name", ["users", "groups"])
@pytest.mark.sampled(1)
async def test_a_list_without_a_witness_may_lose_a_row(tmp_path: Path, name: str) -> None:
    company = Company(3)
    await run(company, tmp_path)
    company.lists[name] = [row for row in company.lists[name] if row["id"] != 3]
    company.now = NOW + DAY
    assert (await run(company, tmp_path)).complete
    assert {row["id"] for row in rows(tmp_path, "jsonl", name)} - {USER} == {1, 2, 4, 5}


@pytest.mark.parametrize("name", ["tags", "groups"])
@pytest.mark.sampled(1)
async def test_a_list_in_which_a_row_has_lost_its_id_deletes_nothing(tmp_path: Path, name: str) -> None:
    company = Company(3)
    await run(company, tmp_path)
    listed = [row for row in company.lists[name] if row["workspace_id"] == FIRST]
    nameless = {key: value for key, value in listed[0].items() if key != "id"}
    company.before = lambda path, body: (
        httpx.Response(200, json=[nameless, *listed[1:]]) if path.endswith(f"{FIRST}/{name}") else None
    )
    company.now = NOW + DAY
    manifest = await run(company, tmp_path)
    assert failed(manifest) == {(name, FIRST)}
    assert manifest.failed[0].message == "got rows without an id; no longer there: 1"
    assert {row.get("id") for row in rows(tmp_path, "jsonl", name)} == {1, 2, 3, 4, 5, None}
    company.before, company.now = lambda path, body: None, NOW + 2 * DAY
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl", name) == [1, 2, 3, 4, 5]


async def test_a_workspace_has_its_user(tmp_path: Path) -> None:
    company = Company(3)
    company.before = lambda path, body: (
        httpx.Response(200, json=[]) if path.endswith(f"{FIRST}/users") else None
    )
    manifest = await run(company, tmp_path)
    assert failed(manifest) == {("users", FIRST)}
    assert str(USER) in manifest.failed[0].message


def without_first_row(company: Company, *, always: bool = False) -> None:
    """Delete a row of the first page whenever its second is asked for."""

    def delete(path: str, body: Any) -> None:
        if body and body.get("first_row_number") == 5 and "/10/search" in path and company.entries:
            first = min(
                (one for one in company.entries if one.workspace_id == FIRST and not one.deleted),
                key=lambda one: one.start,
            )
            if always or not any(one.deleted for one in company.entries):
                first.deleted = True

    company.before = delete


def nothing_ran(company: Company) -> Company:
    company.announces = True
    for one in company.entries:
        one.seconds = 0  # no total shows the loss
    return company


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("order", ["date", "last_update"])
@pytest.mark.sampled(1)
async def test_a_row_that_a_shift_passed_over_is_read(tmp_path: Path, update: bool, order: str) -> None:
    company = nothing_ran(Company(24, days=10))
    if update:
        await run(company, tmp_path)
        company.now = NOW + DAY
        for one in company.entries:
            one.description, one.at = "edited", NOW
    without_first_row(company)
    manifest = await run(company, tmp_path, recheck=None if order == "date" else 0)
    assert manifest.complete
    gone = {one.id for one in company.entries if one.deleted}
    assert len(gone) == 1
    there = {row["id"]: row["description"] for row in rows(tmp_path, "jsonl", "time_entries")}
    expected = {one.id: one.description for one in company.entries if not one.deleted}
    assert {number: said for number, said in there.items() if number not in gone} == expected


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("recheck", [0, None])
@pytest.mark.sampled(1)
async def test_rows_that_never_stand_still_are_named(
    tmp_path: Path, update: bool, recheck: int | None
) -> None:
    company = nothing_ran(Company(36, days=8))
    if update:
        await run(company, tmp_path)
        company.now = NOW + DAY
        for one in company.entries:
            one.at = NOW
    without_first_row(company, always=True)
    manifest = await run(company, tmp_path, recheck=recheck)
    assert not manifest.complete
    assert failed(manifest) == {("time_entries", FIRST)}


@pytest.mark.parametrize("name", ["projects", "tags"])
async def test_a_server_that_cuts_pages_loses_no_rows(tmp_path: Path, name: str) -> None:
    listed = [{"id": number, "name": str(number), "workspace_id": WORKSPACE} for number in range(1, 121)]

    class Cutting(Scripted):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(f"{WORKSPACE}/{name}"):
                begin = (int(request.url.params["page"]) - 1) * 50
                return httpx.Response(200, text=json.dumps(listed[begin : begin + 50]))
            return await super().handle_async_request(request)

    server = Cutting()
    assert (await read(server, tmp_path, ExportPlan(datasets=(name,)))).complete
    assert ids(tmp_path, "jsonl", name) == list(range(1, 121))
    async with TogglClient(ApiToken("made-up"), transport=server, options=OPTIONS) as client:
        found = await getattr(client.workspace(WORKSPACE), name).iter().collect()
    assert len(found) == 120


async def test_a_list_that_goes_on_lacks_nothing_that_was_met_before(tmp_path: Path) -> None:
    company = Company(3)
    company.lists["tags"] = [
        {"id": number, "name": f"t{number}", "workspace_id": FIRST} for number in range(1, 241)
    ]
    refused = False

    def before(path: str, body: Any) -> httpx.Response | None:
        nonlocal refused
        if path == "/api/v9/me":
            me, _ = company._answer(path, {}, body)
            return httpx.Response(200, json=me | {"tags": company.lists["tags"]})
        pages = [asked.get("page") for asked in company.asked(f"{FIRST}/tags")]
        if path.endswith(f"{FIRST}/tags") and pages[-1] == "2" and not refused and company.now != NOW:
            refused = True
            return httpx.Response(403, text="Incorrect username and/or password")
        return None

    company.before = before
    await run(company, tmp_path)
    company.now = NOW + DAY
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.log.clear()
    assert (await run(company, tmp_path)).complete
    assert [asked["page"] for asked in company.asked(f"{FIRST}/tags")] == ["2", "3"]
    assert ids(tmp_path, "jsonl", "tags") == list(range(1, 241))


def refusing(end: str, answer: Any) -> Any:
    def before(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith(end):
            return None
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, text="no")

    return before


@pytest.mark.parametrize("answer", [500, 400, 409, httpx.RemoteProtocolError("hung up")])
@pytest.mark.parametrize("end", [f"{FIRST}/tags", f"workspace/{FIRST}/search/time_entries", "/current"])
@pytest.mark.sampled(2)
async def test_a_part_that_always_fails_is_named_and_the_rest_is_read(
    tmp_path: Path, end: str, answer: Any
) -> None:
    company = Company(6)
    company.before = refusing(end, answer)
    manifest = await run(company, tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert {one.dataset for one in manifest.failed} == {"tags" if "tags" in end else "time_entries"}
    assert {20} <= {row["workspace_id"] for row in rows(tmp_path, "jsonl", "time_entries")}
    company.before, company.now = lambda path, body: None, NOW + DAY
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [one.id for one in company.entries]
    assert ids(tmp_path, "jsonl", "tags") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("answer", [503, httpx.ConnectError("no route")])
async def test_a_toggl_that_is_gone_ends_the_export(tmp_path: Path, answer: Any) -> None:
    company = Company(6)

    def before(path: str, body: Any) -> httpx.Response | None:
        if not company.asked("/users"):
            return None
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer)

    company.before = before
    with pytest.raises((ServerError, ConnectionFailed)):
        await run(company, tmp_path)
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).complete


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("users", "groups"),
        ("users", "tasks"),
        ("clients", "projects"),
        ("projects", "time_entries"),
        ("projects", "tasks"),
        ("tags", "time_entries"),
        ("tasks", "time_entries"),
    ],
)
@pytest.mark.sampled(2)
async def test_a_list_deletes_nothing_where_rows_of_the_run_refer_to_what_it_lacks(
    tmp_path: Path, name: str, shows: str
) -> None:
    company = Company(12, days=2)
    fields: dict[str, dict[str, Any]] = {
        "users": {"user_id": 3},
        "clients": {"client_id": 3},
        "projects": {"project_id": 3},
        "tags": {"tag_ids": [3]},
        "tasks": {"task_id": 3},
    }
    field, listed = fields[name], company.lists[name]
    if shows == "groups":
        field = {"users": [{"user_id": 3}, {"user_id": None}]}
    if shows != "time_entries":
        company.lists[shows][0] |= field
        company.lists["groups"][2] |= {"users": "odd"}
    cut = False

    def answer(path: str, body: Any) -> httpx.Response | None:
        if shows == "time_entries" and path.endswith(f"{FIRST}/search/time_entries"):
            found, headers = company._report(path.strip("/").split("/"), body)
            return httpx.Response(200, json=[{**row, **field} for row in found], headers=headers)
        if cut and path.endswith(f"{FIRST}/{name}"):
            some = [row for row in listed if row["id"] in (1, USER) and row["workspace_id"] == FIRST]
            return httpx.Response(
                200, json={"data": some, "total_count": len(some)} if name == "tasks" else some
            )
        return None

    company.before = answer
    await run(company, tmp_path)
    cut = True
    for days in (1, 2):
        company.now = NOW + days * DAY
        manifest = await run(company, tmp_path)
        assert failed(manifest) == {(name, FIRST)}
        assert not manifest.complete
        assert ids(tmp_path, "jsonl", name) == sorted(row["id"] for row in listed)
    cut = False
    company.now = NOW + 3 * DAY
    assert (await run(company, tmp_path)).complete
    # What nothing refers to any more is gone.
    field.clear()
    company.lists[shows] = [
        {key: value for key, value in row.items() if key in {"id", "workspace_id", "name"}}
        for row in company.lists.get(shows, ())
    ]
    cut = True
    company.now = NOW + 4 * DAY
    assert (await run(company, tmp_path)).complete
    assert 3 not in ids(tmp_path, "jsonl", name)


@pytest.mark.parametrize("recheck", [31, None])
@pytest.mark.parametrize("some", [True, False])
@pytest.mark.sampled(1)
async def test_rows_without_an_id_do_not_outlive_a_clean_update(
    tmp_path: Path, some: bool, recheck: int | None
) -> None:
    """Some rows, or all, of one update have no time entry in them; such a row has neither id nor day."""
    company = Company(12, days=20)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl", ("time_entries",))

    def odd(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith("search/time_entries"):
            return None
        found, headers = company._report(path.strip("/").split("/"), body)
        for row in found[1:] if some else found:
            row["time_entries"] = None
        return httpx.Response(200, json=found, headers=headers)

    company.before, company.now = odd, NOW + DAY
    assert not (await run(company, tmp_path)).complete
    with store_of(tmp_path / "mirror.sqlite").snapshot() as snapshot:
        assert hours_by(snapshot, groupings(["day"])).running == 0
    # It is told of as long as Toggl sends it.
    company.now = NOW + 2 * DAY
    assert not (await run(company, tmp_path)).complete
    company.before, company.now = lambda path, body: None, NOW + 3 * DAY
    manifest = await run(company, tmp_path, recheck=recheck)
    assert manifest.complete
    assert everything(tmp_path, "jsonl", ("time_entries",)) == before


async def test_rows_that_this_run_has_not_read_show_nothing(tmp_path: Path) -> None:
    """A long list of projects is asked for what changed; the rest of it may name clients that are gone."""
    company = Company(3)
    company.lists["projects"] = [
        {"id": number, "workspace_id": FIRST, "name": "P", "client_id": 3} for number in range(1, 206)
    ]
    await run(company, tmp_path)
    assert (await run(company, tmp_path)).complete  # all of it a second time
    company.lists["clients"] = [row for row in company.lists["clients"] if row["id"] != 3]
    company.now = NOW + DAY
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl", "clients") == [1, 2, 4, 5]


async def test_a_dataset_that_is_taken_alone_loses_rows(tmp_path: Path) -> None:
    company, plan = Company(3), ExportPlan(datasets=("tags",))
    await run(company, tmp_path, plan=plan)
    company.lists["tags"].pop()
    company.now = NOW + DAY
    assert (await run(company, tmp_path, plan=plan)).complete
    assert ids(tmp_path, "jsonl", "tags") == [1, 2, 3, 4]


@pytest.mark.parametrize(("recheck", "left"), [(31, 1), (None, 0)])
@pytest.mark.sampled(1)
async def test_a_row_without_an_id_stays_while_totals_differ_unless_all_was_read(
    tmp_path: Path, recheck: int | None, left: int
) -> None:
    company = Company(12, days=2)
    nameless = {"user_id": USER, "time_entries": None}

    def odd(path: str, body: Any) -> httpx.Response | None:
        found: Any
        found, headers = (
            company._report(path.strip("/").split("/"), body) if path.startswith("/reports") else ({}, {})
        )
        if path.endswith(f"{FIRST}/search/time_entries") and added:
            found.append(nameless)
        elif path.endswith("totals") and not added:
            found["seconds"] += bool(found["seconds"])
        else:
            return None
        return httpx.Response(200, json=found, headers=headers)

    company.before, added = odd, True
    await run(company, tmp_path)
    added, company.now = False, NOW + DAY
    await run(company, tmp_path, recheck=recheck)
    assert sum("id" not in row for row in rows(tmp_path, "jsonl", "time_entries")) == left
