"""One part of an export that Toggl answers with any status: that part is named, and the rest is read."""

from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from support.export_company import FIRST, SECOND, TOKEN_REFUSED, Company
from support.export_updates import OPTIONS, run
from support.export_written import everything, ids
from support.pairs import pairs
from toggl_async import ApiToken, LoginRefused, MaxWaitExceeded, Retry, TogglClient
from toggl_async.export import DATASETS, ExportPlan, Manifest, export, export_batches

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

PARTS = {
    "tags": f"/workspaces/{FIRST}/tags",
    "groups": f"/workspaces/{FIRST}/groups",
    "time_entries": f"/workspace/{FIRST}/search/time_entries",
    "totals": f"/workspace/{FIRST}/search/time_entries/totals",
    "organizations": "/me/organizations",
}
UNUSUAL = [300, 302, 304, 405, 406, 408, 412, 413, 415, 418, 421, 422, 425, 426, 429, 431, 451, 499, 500, 599]
REFUSED = [402, 403, 404, 410]
SHAPES = [b"{}", b"7", b"<html>", b"[[]]", b'[{"id":0}]', b'[{"id":"1"}]']


def answering(company: Company, end: str, answer: Any) -> None:
    company.before = lambda path, body: answer if path.endswith(end) else None


def failing(manifest: Manifest) -> set[str]:
    return {one.dataset for one in manifest.failed}


@pytest.mark.parametrize(("part", "status"), pairs(PARTS, UNUSUAL))
@pytest.mark.sampled(2)
async def test_a_part_that_always_fails_is_named_and_the_rest_is_read(
    tmp_path: Path, part: str, status: int
) -> None:
    company = Company(12)
    answering(company, PARTS[part], httpx.Response(status, json="words"))
    manifest = await run(company, tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert failing(manifest) == {part}
    assert all(str(status) in one.message for one in manifest.failed)
    mine = {entry.id for entry in company.entries if entry.workspace_id != FIRST}
    assert set(ids(tmp_path, "jsonl")) >= mine
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


@pytest.mark.parametrize(("part", "status"), pairs(PARTS, UNUSUAL))
@pytest.mark.sampled(2)
async def test_an_update_leaves_a_part_that_fails_as_it_was(tmp_path: Path, part: str, status: int) -> None:
    company = Company(12)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl", tuple(DATASETS))
    answering(company, PARTS[part], httpx.Response(status, json="words"))
    manifest = await run(company, tmp_path)
    assert failing(manifest) == {part}
    assert not manifest.complete
    assert everything(tmp_path, "jsonl", tuple(DATASETS)) == before


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.sampled(1)
async def test_organizations_that_toggl_refuses(tmp_path: Path, status: int) -> None:
    company = Company(12)
    answering(company, "/me/organizations", httpx.Response(status, json="a premium feature"))
    manifest = await run(company, tmp_path)
    assert [(one.dataset, one.status) for one in manifest.refused] == [("organizations", status)]
    assert manifest.complete is (status in {402, 403})
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).refused == ()
    before = everything(tmp_path, "jsonl", ("organizations",))
    for _ in range(2):  # an update that lacks what was there stays incomplete
        answering(company, "/me/organizations", httpx.Response(status, json="a premium feature"))
        manifest = await run(company, tmp_path)
        assert not manifest.complete
        assert everything(tmp_path, "jsonl", ("organizations",)) == before


@pytest.mark.parametrize("shape", SHAPES)
async def test_organizations_in_another_shape(tmp_path: Path, shape: bytes) -> None:
    company = Company(12)
    answering(company, "/me/organizations", httpx.Response(200, content=shape))
    manifest = await run(company, tmp_path, plan=ExportPlan(datasets=("time_entries",)))
    assert failing(manifest) == {"organizations"}  # where history begins is not known without them
    assert (manifest.finished, manifest.complete) == (True, False)
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("part", ["tags", "organizations"])
async def test_refused_credentials_end_it(tmp_path: Path, part: str, status: int) -> None:
    company = Company(3)
    answer = httpx.Response(status, json="Incorrect username and/or password")
    answering(company, PARTS[part], answer)
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)


async def test_a_profile_with_another_status_says_that_toggl_is_there(tmp_path: Path) -> None:
    """A part that fails first makes the run ask for the profile, which may fail in its own way."""
    company = Company(12)

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/current"):
            return httpx.Response(500, json="oops")
        if path == "/api/v9/me" and company.asked("/current"):
            return httpx.Response(418, json="tea")
        return None

    company.before = answer
    manifest = await run(company, tmp_path)
    assert failing(manifest) == {"time_entries"}
    assert "oops" in manifest.failed[0].message


async def test_a_second_source_that_is_refused_is_no_refusal_of_the_list(tmp_path: Path) -> None:
    company = Company(3)

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path == "/api/v9/me":
            if company.asked("/tags"):
                return httpx.Response(404, json="not now")
            me, _ = company._answer(path, {}, body)
            return httpx.Response(200, json=me | {"tags": company.lists["tags"]})
        return httpx.Response(200, json=[]) if path.endswith("/tags") else None

    company.before = answer
    manifest = await run(company, tmp_path)
    assert manifest.refused == ()
    assert failing(manifest) == {"tags"}


async def test_batches_go_on_without_a_part() -> None:
    company = Company(12)
    answering(company, PARTS["tags"], httpx.Response(405, json="words"))
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        batches = export_batches(client, ExportPlan())
        read = {batch.dataset async for batch in batches}
        assert "time_entries" in read
        assert [one.dataset for one in batches.summary.failed] == ["tags"]


CAUSES: dict[str, httpx.Response] = {
    "500 from": httpx.Response(500, json="oops"),
    "501 from": httpx.Response(501, json="oops"),
    "503 from": httpx.Response(503, content=b"<html>"),
    "409 from": httpx.Response(409, json="oops"),
    "page_size must be at most 0": httpx.Response(400, json="page_size must be at most 0"),
    "Expected": httpx.Response(203, json="words"),
    "got no answer yet (205": httpx.Response(205, json="words"),
    "expected a list, got": httpx.Response(200, json={"error": "oops"}),
}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.sampled(2)
async def test_the_cause_is_said_where_no_time_entries_came(tmp_path: Path, cause: str) -> None:
    company = Company(12)
    answering(company, "/search/time_entries", CAUSES[cause])
    manifest = await run(company, tmp_path)
    assert {(one.dataset, one.workspace_id) for one in manifest.failed} == {
        ("time_entries", FIRST),
        ("time_entries", SECOND),
    }
    assert all(cause in one.message for one in manifest.failed)


async def test_the_cause_is_said_before_what_only_shows_that_something_is_missing(tmp_path: Path) -> None:
    """One range fails, another is empty although its total isn't: the first explains more."""
    company = Company(40)

    def answer(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith(PARTS["time_entries"]):
            return None
        if body["end_date"] > "2026":
            return httpx.Response(500, json="oops")
        return httpx.Response(200, json=[])

    company.before = answer
    manifest = await run(company, tmp_path)
    (failure,) = manifest.failed
    assert failure.message.startswith("oops (500 from POST")


@pytest.mark.parametrize("said", ["page_size must be at most 3", "Invalid page size"])
@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.sampled(2)
async def test_small_pages_are_enough(tmp_path: Path, status: int, said: str) -> None:
    company = Company(12, page=3)

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/search/time_entries") and body["page_size"] > 3:
            return httpx.Response(status, json=said)
        return None

    company.before = answer
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_sizes_that_are_all_refused_are_tried_once(tmp_path: Path) -> None:
    company = Company(12)
    answering(company, "/search/time_entries", httpx.Response(422, json="Invalid page size"))
    assert failing(await run(company, tmp_path)) == {"time_entries"}
    sizes = [body["page_size"] for body in company.asked("/search/time_entries")]
    assert sizes[:7] == [1000, 500, 200, 50, 20, 10, 1]
    assert set(sizes[7:]) == {1}


async def test_the_cause_of_a_wait_that_is_too_long(tmp_path: Path) -> None:
    company = Company(3)
    answering(company, "/api/v9/me", httpx.Response(500, json="oops"))
    options = attrs.evolve(OPTIONS, retry=Retry(attempts=5, minimum=60.0, maximum=60.0))
    async with TogglClient(ApiToken("made-up"), transport=company, options=options) as client:
        with pytest.raises(
            MaxWaitExceeded, match=r"\(back-off\) after 500 from GET .*/me, longer than"
        ) as told:
            await export(client, ExportPlan(), tmp_path, max_wait=2)
    assert told.value.cause.startswith("500 from GET ")


async def test_a_lost_connection_is_the_cause_of_a_wait(tmp_path: Path) -> None:
    company = Company(3)

    def lost(path: str, body: Any) -> httpx.Response | None:
        raise httpx.ReadError("lost")

    company.before = lost
    options = attrs.evolve(OPTIONS, retry=Retry(attempts=5, minimum=60.0, maximum=60.0))
    async with TogglClient(ApiToken("made-up"), transport=company, options=options) as client:
        with pytest.raises(MaxWaitExceeded, match="after ReadError from GET"):
            await export(client, ExportPlan(), tmp_path, max_wait=2)


async def test_what_the_plan_check_refuses_is_a_refusal_of_that_part(tmp_path: Path) -> None:
    """A client that knows the plan refuses tasks by itself, as Toggl would."""
    company = Company(12)
    free = [
        {
            "id": FIRST,
            "organization_id": 1,
            "name": "W",
            "premium": False,
            "business_ws": False,
            "subscription": None,
        }
    ]
    company.before = lambda path, body: (
        httpx.Response(200, json=free) if path == "/api/v9/me/workspaces" else None
    )
    options = attrs.evolve(OPTIONS, plan_check="error")
    async with TogglClient(ApiToken("made-up"), transport=company, options=options) as client:
        await client.me.workspaces.list()
        manifest = await export(client, ExportPlan(), tmp_path)
    assert [(one.dataset, one.workspace_id, one.status) for one in manifest.not_in_plan] == [
        ("tasks", FIRST, 402)
    ]
    assert manifest.complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_a_run_that_is_resumed_still_lacks_its_organizations(tmp_path: Path) -> None:
    company = Company(12)

    def answer(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/organizations"):
            return httpx.Response(500, json="oops")
        return httpx.Response(403, json=TOKEN_REFUSED) if path.endswith("/totals") else None

    company.before = answer
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.before = lambda path, body: None
    assert failing(await run(company, tmp_path)) == {"organizations"}
    assert (await run(company, tmp_path)).complete
