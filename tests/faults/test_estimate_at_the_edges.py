"""What an export is estimated to cost is what it costs, also where a list ends with a page."""

import datetime as dt
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from support.export_company import FIRST, NOW, Company, Entry
from support.export_updates import OPTIONS, run
from toggl_async import ApiToken, LoginRefused, Retry, TogglClient
from toggl_async.export import ExportPlan, estimate

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

LISTS = ("projects", "tags", "tasks", "clients")


class Known(Company):
    """A company whose first requests show all lists, and whose report has pages as large as asked for."""

    def __init__(self, count: int) -> None:
        super().__init__(0)
        for name in LISTS:
            self.lists[name] = [{"id": n, "workspace_id": FIRST, "name": "x"} for n in range(1, count + 1)]

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        answer, headers = super()._answer(path, query, body)
        if path == "/api/v9/me":
            answer |= {name: self.lists[name] for name in LISTS}
        elif path.endswith("/tasks"):
            answer["total_count"] = len(self.lists["tasks"]) if f"/{FIRST}/" in path else 0
        elif path.endswith("/search/time_entries") and "summary" not in path:
            self.page = body["page_size"]
        return answer, headers


async def costs(company: Company, directory: Path, plan: ExportPlan) -> tuple[int, int]:
    """What it is estimated to cost, and what it costs."""
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        expected = await estimate(client, plan)
    return expected.requests, (await run(company, directory, "jsonl", plan)).requests


@pytest.mark.parametrize("count", [0, 1, 50, 51, 199, 200, 250, 400])
@pytest.mark.sampled(2)
async def test_lists(count: int, tmp_path: Path) -> None:
    expected, cost = await costs(Known(count), tmp_path, ExportPlan(datasets=LISTS))
    assert expected == cost


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001])
async def test_time_entries(count: int, tmp_path: Path) -> None:
    company = Known(0)
    company.page = 1000
    company.entries = [Entry(n, FIRST, NOW - dt.timedelta(minutes=n), 60) for n in range(1, count + 1)]
    plan = ExportPlan(datasets=("time_entries",), since=NOW.date() - dt.timedelta(days=30), until=NOW.date())
    expected, cost = await costs(company, tmp_path, attrs.evolve(plan, workspaces=(FIRST,)))
    assert expected == cost


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"null"), (200, b"[]"), (200, b"<html></html>"), (204, b""), (500, b""), (400, b"")],
)
async def test_an_odd_count_is_none(status: int, body: bytes) -> None:
    company = Known(1)
    company.before = lambda path, _: httpx.Response(status, content=body) if "summary" in path else None
    once = attrs.evolve(OPTIONS, retry=Retry(attempts=1))
    async with TogglClient(ApiToken("made-up"), transport=company, options=once) as client:
        found = await estimate(client, ExportPlan())
    assert found.datasets[-1].rows is None
    assert len(found.warnings) == 2  # one for each workspace


async def test_refused_credentials_are_one_typed_error() -> None:
    """They came as a group of groups, one for each task."""
    company = Known(1)
    company.refuse_the_token_at("summary/time_entries")
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        with pytest.raises(LoginRefused):
            await estimate(client, ExportPlan())
