"""What Toggl refuses, and the scheduler remembers for a day: a new export asks once, an update doesn't."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, ORGANIZATION, SECOND, Company
from support.export_updates import OPTIONS
from support.export_written import rows
from toggl_async import ApiToken, LoginRefused, Scheduler, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror, export

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

REFUSALS = {402: "Projects are a premium feature", 410: "Gone"}


@pytest.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    """Remembers what is refused from one run to the next, as a shared budget does."""
    async with Scheduler(OPTIONS) as made:
        yield made


def client_of(company: Company, scheduler: Scheduler) -> TogglClient:
    return TogglClient(ApiToken("made-up"), transport=company, scheduler=scheduler)


def refuse(company: Company, status: int, *ends: str) -> None:
    company.before = lambda path, body: (
        httpx.Response(status, json=REFUSALS[status]) if path.endswith(ends) else None
    )


def refusing(status: int, *ends: str) -> Company:
    company = Company(3)
    refuse(company, status, *ends)
    return company


async def run(company: Company, scheduler: Scheduler, folder: Path, **options: Any) -> Manifest:
    async with client_of(company, scheduler) as client:
        return await export(client, ExportPlan(), folder, update=True, **options)


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_new_export_asks_where_somebody_else_was_refused(
    tmp_path: Path, scheduler: Scheduler, status: int
) -> None:
    company = refusing(status, f"{FIRST}/projects", f"{FIRST}/tags")
    assert (await run(company, scheduler, tmp_path / "other")).refused
    refuse(company, status, f"{FIRST}/tags")  # projects are in the plan by now
    company.log.clear()
    manifest = await run(company, scheduler, tmp_path / "new")
    assert {row["workspace_id"] for row in rows(tmp_path / "new", "jsonl", "projects")} == {FIRST, SECOND}
    assert [(one.dataset, one.workspace_id, one.status) for one in manifest.refused] == [
        ("tags", FIRST, status)
    ]
    assert len(company.asked(f"{FIRST}/tags")) == len(company.asked(f"{FIRST}/projects")) == 1
    assert manifest.complete == (status == 402)
    assert manifest.requests == len(company.log)
    async with Mirror(tmp_path / "third.sqlite") as mirror, client_of(company, scheduler) as client:
        assert len((await mirror.refresh(client, ExportPlan())).refused) == 1
    assert len(company.asked(f"{FIRST}/tags")) == 2


async def test_an_update_spends_nothing_on_what_it_was_refused_within_the_day(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    company = refusing(402, f"{FIRST}/projects")
    first = await run(company, scheduler, tmp_path)
    assert first.complete
    for _ in range(3):
        again = await run(company, scheduler, tmp_path)
        assert (again.update, again.complete, again.not_in_plan) == (True, True, first.not_in_plan)
    assert len(company.asked(f"{FIRST}/projects")) == 1
    scheduler.forget_refusals()  # a day has passed, or it was told of an upgrade
    assert (await run(company, scheduler, tmp_path)).not_in_plan == first.not_in_plan
    assert len(company.asked(f"{FIRST}/projects")) == 2
    scheduler.forget_refusals()
    company.before = lambda path, body: None
    upgraded = await run(company, scheduler, tmp_path)
    assert (upgraded.complete, upgraded.refused) == (True, ())
    assert {row["workspace_id"] for row in rows(tmp_path, "jsonl", "projects")} == {FIRST, SECOND}


async def test_an_update_asks_for_what_it_had_where_somebody_else_was_refused(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    company = Company(3)
    assert (await run(company, scheduler, tmp_path / "mine")).complete
    refuse(company, 402, f"{FIRST}/projects")
    await run(company, scheduler, tmp_path / "other")
    company.before = lambda path, body: None
    again = await run(company, scheduler, tmp_path / "mine")
    assert (again.update, again.complete, again.refused) == (True, True, ())


async def test_the_longer_list_of_groups_is_asked_for_once(tmp_path: Path, scheduler: Scheduler) -> None:
    """Where it is refused, the workspace's own list takes its place, and nothing is missing."""
    company = Company(3)
    longer = f"/organizations/{ORGANIZATION}/workspaces/{FIRST}/groups"
    me = {
        "id": company.user,
        "workspaces": [{"id": FIRST, "name": "W", "organization_id": ORGANIZATION, "admin": True}],
    }
    date = {"Date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    company.before = lambda path, body: (
        httpx.Response(200, json=me, headers=date)
        if path == "/api/v9/me"
        else httpx.Response(402, json="Groups are a premium feature")
        if path.endswith(longer)
        else None
    )
    for _ in range(3):
        assert (await run(company, scheduler, tmp_path / "one")).refused == ()
    assert len(company.asked(longer)) == 1
    assert (await run(company, scheduler, tmp_path / "two")).refused == ()
    assert len(company.asked(longer)) == 2


async def test_a_new_export_asks_no_more_than_the_first(tmp_path: Path, scheduler: Scheduler) -> None:
    company = refusing(402, f"{FIRST}/search/time_entries/totals")
    plan = ExportPlan(since=NOW.date().replace(year=2020))
    async with client_of(company, scheduler) as client:
        first = await export(client, plan, tmp_path / "one")
        asked = len(company.asked(f"{FIRST}/search/time_entries/totals"))
        again = await export(client, plan, tmp_path / "two")
    assert first.refused == again.refused
    assert len(company.asked(f"{FIRST}/search/time_entries/totals")) <= 2 * asked


async def test_refused_credentials_end_a_new_export(tmp_path: Path, scheduler: Scheduler) -> None:
    company = Company(3)
    company.refuse_the_token_at("/me")
    for _ in range(2):
        with pytest.raises(LoginRefused):
            await run(company, scheduler, tmp_path)
    assert not list(tmp_path.iterdir())
