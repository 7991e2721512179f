"""Exports to which Toggl answers 429: for a while, for ever, or for one operation alone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, SECOND, TOKEN_REFUSED, Company
from support.export_updates import OPTIONS, run
from support.export_written import ids
from toggl_async import (
    ApiToken,
    LoginRefused,
    MaxWaitExceeded,
    RateLimited,
    ServerError,
    TogglClient,
    TogglError,
)
from toggl_async.export import ExportPlan, estimate, refresh_every

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

TOO_FAST = httpx.Response(429, text="<html><h1>429 Too Many Requests</h1><hr>nginx</html>")
HOUR = 3600
PARTS = {
    "tags": f"/workspaces/{FIRST}/tags",
    "tags of all": "/tags",
    "time_entries": f"/workspace/{FIRST}/search/time_entries",
    "running": "/me/time_entries/current",
    "totals": f"/workspace/{FIRST}/search/time_entries/totals",
    "organizations": "/me/organizations",
}


def throttled(company: Company, end: str) -> None:
    company.before = lambda path, body: TOO_FAST if path.endswith(end) else None


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("part", PARTS)
async def test_an_operation_that_is_always_throttled_ends_alone(
    tmp_path: Path, part: str, update: bool
) -> None:
    company, loop = Company(12), asyncio.get_running_loop()
    if update:
        await run(company, tmp_path)
    throttled(company, PARTS[part])
    company.log.clear()
    began = loop.time()
    manifest = await run(company, tmp_path)
    assert loop.time() - began < HOUR
    assert (manifest.finished, manifest.complete) == (True, False)
    dataset = {"tags of all": "tags", "running": "time_entries"}.get(part, part)
    assert {one.dataset for one in manifest.failed} == {dataset}
    workspaces = {FIRST, SECOND} if part in {"tags of all", "running"} else {FIRST, 0}
    assert {one.workspace_id for one in manifest.failed} <= workspaces
    message = manifest.failed[0].message
    assert "again and again, while Toggl answered other requests (429 from " in message
    assert len(company.asked(PARTS[part])) <= 10
    assert manifest.requests == len(company.log)
    assert {entry.id for entry in company.entries if entry.workspace_id != FIRST} <= {*ids(tmp_path, "jsonl")}
    told = json.loads((tmp_path / "manifest.json").read_bytes())
    assert told["complete"] is False
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


@pytest.mark.parametrize("part", ["tags", "time_entries"])
async def test_an_operation_that_is_throttled_for_a_while_is_waited_for(tmp_path: Path, part: str) -> None:
    company = Company(12)
    left = 5

    def answer(path: str, body: Any) -> httpx.Response | None:
        nonlocal left
        left -= path.endswith(PARTS[part])
        return TOO_FAST if path.endswith(PARTS[part]) and left >= 0 else None

    company.before = answer
    manifest = await run(company, tmp_path)
    assert manifest.complete
    assert manifest.requests == len(company.log)


async def test_an_account_that_is_throttled_is_waited_for_as_long_as_it_takes(tmp_path: Path) -> None:
    company, loop = Company(12), asyncio.get_running_loop()
    over = loop.time() + 5 * HOUR
    company.before = lambda path, body: (
        TOO_FAST if loop.time() < over and company.asked("/me/organizations") else None
    )
    assert (await run(company, tmp_path)).complete
    assert loop.time() > over


@pytest.mark.parametrize("max_wait", [60, 600])
async def test_rests_that_nothing_else_interrupts_are_one_wait(tmp_path: Path, max_wait: float) -> None:
    company, loop = Company(12), asyncio.get_running_loop()
    company.before = lambda path, body: TOO_FAST if company.asked("/me/organizations") else None
    began = loop.time()
    with pytest.raises(MaxWaitExceeded, match=r"\(cool-down\) after 429 from") as told:
        await run(company, tmp_path, max_wait=max_wait)
    assert told.value.wait > max_wait
    assert loop.time() - began < max_wait + 10
    company.before = lambda path, body: None
    assert (await run(company, tmp_path, max_wait=max_wait)).complete


async def test_a_profile_that_is_throttled_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """Only where it comes with what belongs to it, so the token isn't to blame, and nor is the pace."""

    class Bare(Company):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "with_related_data" in request.url.params:
                return TOO_FAST
            return await super().handle_async_request(request)

    with pytest.raises(RateLimited, match="again and again"):
        await run(Bare(3), tmp_path)
    assert list(tmp_path.glob("*.jsonl")) == []


async def test_an_estimate_does_without_what_is_throttled(tmp_path: Path) -> None:
    company = Company(12)
    throttled(company, "/summary/time_entries")
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        found = await estimate(client, ExportPlan())
    assert any("429 from POST" in warning for warning in found.warnings)
    assert found.spent == len(company.log)


async def test_a_round_does_without_quotas_that_are_throttled(tmp_path: Path) -> None:
    company = Company(3)
    throttled(company, "/me/quota")
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        one = await anext(refresh_every(client, ExportPlan(), tmp_path / "m.sqlite", every=600))
    assert one.manifest is not None
    assert one.manifest.complete


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, json="oops"), ServerError),
        (httpx.Response(403, json=TOKEN_REFUSED), LoginRefused),
        (httpx.Response(418, json="tea"), None),
    ],
)
async def test_what_toggl_says_where_it_is_asked_for_any_answer(
    tmp_path: Path, answer: httpx.Response, error: type[TogglError] | None
) -> None:
    company = Company(3)

    def reply(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("/tags"):
            return TOO_FAST
        return answer if path == "/api/v9/me" and company.asked("/tags") else None

    company.before = reply
    plan = ExportPlan(datasets=("tags", "clients"))
    if error is None:
        assert {one.dataset for one in (await run(company, tmp_path, plan=plan)).failed} == {"tags"}
    else:
        with pytest.raises(error):
            await run(company, tmp_path, plan=plan)
    company.before = lambda path, body: None
    assert (await run(company, tmp_path, plan=plan)).complete
