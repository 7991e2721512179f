"""What an export will cost, and that it costs that."""

import datetime as dt
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, ORGANIZATION, Company
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import Estimate, ExportPlan, estimate, export, survey

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=1.0, margin=0.0))


async def ask(company: Company, plan: ExportPlan | None = None) -> Estimate:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await estimate(client, plan or ExportPlan())


@pytest.mark.parametrize(
    "plan",
    [
        ExportPlan(),
        ExportPlan(datasets=("tags", "projects")),
        ExportPlan(workspaces=(FIRST,), since=dt.date(2024, 1, 1)),
    ],
)
async def test_an_export_costs_what_was_estimated(tmp_path: Path, plan: ExportPlan) -> None:
    company = Company(40, page=1000)
    related = {name: company.lists[name] for name in ("clients", "projects", "tags", "tasks")}

    def with_related(path: str, body: Any) -> httpx.Response | None:
        if path != "/api/v9/me":
            return None
        me, _ = company._answer(path, {}, body)
        headers = {"Date": "Mon, 15 Jun 2026 12:00:00 GMT"}
        return httpx.Response(200, json={**me, **related}, headers=headers)

    company.before = with_related
    found = await ask(company, plan)
    assert found.spent == len(company.log)
    company.log.clear()
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        manifest = await export(client, plan, tmp_path)
    assert manifest.requests == len(company.log) == found.requests
    rows = {part.dataset: part.rows for part in found.datasets}
    assert {name: count for name, count in rows.items() if count is not None} == {
        name: manifest.datasets[name].rows for name, count in rows.items() if count is not None
    }
    assert tuple(rows) == plan.datasets


async def test_quotas_make_it_longer() -> None:
    found = await ask(Company(10))
    mine, theirs = sorted(found.quotas, key=lambda quota: quota.organization_id or 0)
    assert (mine.organization_id, mine.requests, mine.remaining, mine.windows, mine.seconds) == (
        None,
        3,
        3,
        1,
        3,
    )
    assert (theirs.organization_id, theirs.remaining, theirs.total) == (ORGANIZATION, 3, 10)
    left = theirs.requests - 3
    assert theirs.windows == 1 + -(-left // 10)
    assert theirs.seconds == 600 + (theirs.windows - 2) * 3600 + (left - 1) % 10 + 1
    assert found.seconds == theirs.seconds
    assert found.ends_at == NOW + dt.timedelta(seconds=found.seconds)
    assert found.pace == 1.0


async def test_unknown_quotas_leave_the_pace() -> None:
    company = Company(10)
    company.before = lambda path, body: (
        httpx.Response(200, content=b"null") if path.endswith("quota") else None
    )
    found = await ask(company)
    assert found.seconds == found.requests
    assert {(quota.remaining, quota.windows) for quota in found.quotas} == {(None, 1)}


UNCOUNTED: dict[str, httpx.Response] = {
    "a premium feature": httpx.Response(402, json="a premium feature"),
    "not yours": httpx.Response(403, json="not yours"),
    "not here": httpx.Response(404, json="not here"),
    "oops": httpx.Response(500, json="oops"),
    "words": httpx.Response(422, json="words"),
    "missing required field `groups`": httpx.Response(200, json={}),
    "got no groups": httpx.Response(200, json={"groups": None}),
    "Expected `array`": httpx.Response(200, json={"groups": [{"sub_groups": [{"ids": None}]}]}),
    "Expected `object`": httpx.Response(200, json=[]),
}


@pytest.mark.parametrize("cause", UNCOUNTED)
async def test_what_cannot_be_counted_is_unknown_and_takes_a_request_at_least(cause: str) -> None:
    company = Company(10)
    company.before = lambda path, body: UNCOUNTED[cause] if "summary" in path else None
    found = await ask(company, ExportPlan(datasets=("time_entries",), workspaces=(FIRST,)))
    (part,) = found.datasets
    assert part.rows is None
    (warning,) = found.warnings
    assert warning.startswith(f"the time entries of workspace {FIRST} could not be counted")
    assert cause in warning
    if cause not in {"oops", "not yours"}:  # it is sent again; the credentials are looked at
        assert found.spent == len(company.log)
    if cause != "got no groups":  # then only the years with entries are unknown
        assert part.requests == 1 + 3  # what is running, and three ranges


async def test_no_groups_are_none_where_the_total_agrees() -> None:
    company = Company(0)
    company.before = lambda path, body: (
        httpx.Response(200, json={"groups": None}) if "summary" in path else None
    )
    found = await ask(company, ExportPlan(datasets=("time_entries",)))
    assert (found.datasets[0].rows, found.warnings) == (0, ())
    assert found.spent == len(company.log)


@pytest.mark.parametrize("answer", [httpx.Response(500, json="oops"), httpx.Response(200, json={})])
async def test_quotas_that_cannot_be_read_are_unknown(answer: httpx.Response) -> None:
    company = Company(10)
    company.before = lambda path, body: answer if path.endswith("quota") else None
    found = await ask(company)
    assert {quota.remaining for quota in found.quotas} == {None}


async def test_organizations_that_cannot_be_read_are_unknown() -> None:
    company = Company(10)
    company.before = lambda path, body: (
        httpx.Response(500, json="oops") if path.endswith("organizations") else None
    )
    found = await ask(company)
    assert found.datasets[0].rows is None
    assert "oops" in found.warnings[0]


async def test_a_survey_that_was_made_is_not_made_again() -> None:
    company = Company(10)
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        account = await survey(client, ExportPlan())
        company.log.clear()
        found = await estimate(client, ExportPlan(), account=account)
    assert found.spent == len(company.log)
    assert not company.asked("/api/v9/me")


async def test_choices_among_time_entries_are_sent_with_every_report(tmp_path: Path) -> None:
    company = Company(10)
    plan = ExportPlan(
        datasets=("time_entries",), users=(1,), projects=(2, 3), clients=(4,), tags=(5,), billable=False
    )
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        await estimate(client, plan)
        await export(client, plan, tmp_path)
    bodies = [body for path, body in company.log if "/reports/" in path]
    assert {path.rpartition("/")[2] for path, _ in company.log} >= {"totals", "time_entries"}
    filters = {"user_ids": [1], "project_ids": [2, 3], "client_ids": [4], "tag_ids": [5], "billable": False}
    assert all(filters.items() <= body.items() for body in bodies)
