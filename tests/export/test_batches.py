"""Rows for programs: records and Arrow tables, without files."""

import asyncio
import datetime as dt
import json
from collections import defaultdict
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, Company
from toggl_async import ApiToken, ClientOptions, InvalidInput, LoginRefused, Pace, TogglClient
from toggl_async.export import Batch, ExportedTimeEntry, ExportPlan, TotalsDiffer, export_batches
from toggl_async.records import Tag

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=0.01))


def client(company: Company) -> TogglClient:
    return TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS)


async def test_every_row_comes_once() -> None:
    company = Company(30)
    company.running = {"id": 99, "workspace_id": FIRST, "start": "2026-06-15T08:00:00Z"}
    found: dict[str, list[Batch]] = defaultdict(list)
    async with client(company) as toggl:
        batches = export_batches(toggl, ExportPlan())
        async for batch in batches:
            assert len(batch) > 0
            found[batch.dataset].append(batch)
            with pytest.raises(RuntimeError, match="not been read to the end"):
                _ = batches.summary
    entries = [record for batch in found["time_entries"] for record in batch.records(ExportedTimeEntry)]
    assert all(isinstance(record, ExportedTimeEntry) for record in entries)
    assert {record.id for record in entries} == {*range(1, 31), 99}
    with pytest.raises(InvalidInput, match=r"^the rows of tags are Tag, not ExportedTimeEntry$"):
        found["tags"][0].records(ExportedTimeEntry)
    assert len(entries) == 31
    tags = [record for batch in found["tags"] for record in batch.records(keep_unknown=True)]
    assert sorted(record.id for record in tags if isinstance(record, Tag)) == [1, 2, 3, 4, 5]
    assert {batch.workspace_id for batch in found["organizations"]} == {None}
    summary = batches.summary
    assert summary.rows == {name: sum(map(len, parts)) for name, parts in found.items()}
    assert (summary.requests, summary.as_of, summary.refused) == (len(company.log), NOW, ())
    assert summary.totals_agree is True
    assert sum(check.seconds for check in summary.ranges) == sum(entry.seconds for entry in company.entries)
    assert sum(check.rows for check in summary.ranges) == 30  # the running one has no length yet
    summary.raise_for_totals()


async def test_a_row_without_an_id_is_handed_over_and_told() -> None:
    company = Company(3)
    odd = {"name": "no id", "workspace_id": FIRST}

    def strange(path: str, _body: Any) -> httpx.Response | None:
        return httpx.Response(200, json=[odd, {"id": 1}]) if path.endswith(f"/{FIRST}/tags") else None

    company.before = strange
    async with client(company) as toggl:
        batches = export_batches(toggl, ExportPlan(datasets=("tags",)))
        rows = [json.loads(row) for batch in [batch async for batch in batches] for row in batch.rows]
    assert odd in rows
    (failure,) = batches.summary.failed
    assert (failure.dataset, failure.workspace_id, failure.message) == (
        "tags",
        FIRST,
        "got rows without an id",
    )


async def test_totals_are_not_asked_for_unless_wanted() -> None:
    company = Company(30)
    async with client(company) as toggl:
        batches = export_batches(toggl, ExportPlan(datasets=("time_entries",)), compare=False)
        assert sum([len(batch) async for batch in batches]) == 30
    assert not company.asked("totals")
    assert (batches.summary.ranges, batches.summary.totals_agree) == ((), None)


async def test_what_was_edited_while_it_was_read_is_reported() -> None:
    company = Company(30)

    def edit(path: str, body: Any) -> httpx.Response | None:
        if path.endswith("totals"):
            company.entries[0].seconds = 5
            return None
        return httpx.Response(403, json="no access") if path.endswith(f"{FIRST}/tags") else None

    company.before = edit
    plan = ExportPlan(datasets=("time_entries", "tags"))
    async with client(company) as toggl:
        batches = export_batches(toggl, plan)
        rows = [row async for batch in batches if batch.dataset == "time_entries" for row in batch.rows]
    summary = batches.summary
    assert len(rows) == 30
    assert [(refusal.dataset, refusal.workspace_id) for refusal in summary.refused] == [("tags", FIRST)]
    assert summary.totals_agree is False
    with pytest.raises(TotalsDiffer, match=f"workspace {FIRST}, .* s in the rows, ") as caught:
        summary.raise_for_totals()
    (check,) = caught.value.ranges
    (month,) = (month for month in check.months if month.server_seconds != month.seconds)
    assert month.month == company.entries[0].day.replace(day=1)
    assert month.seconds - (month.server_seconds or 0) == 61 - 5


async def test_batches_as_arrow_tables() -> None:
    async with client(Company(6)) as toggl:
        tables = [
            batch.arrow() async for batch in export_batches(toggl, ExportPlan(datasets=("time_entries",)))
        ]
    found = [number for table in tables for number in table.column("id").to_pylist()]
    assert sorted(found) == list(range(1, 7))
    assert tables[0].schema.field("day").type == "date32[day]"
    (start, *_) = tables[0].column("start").to_pylist()
    assert start.utcoffset() == dt.timedelta(0)


async def test_a_slow_consumer_slows_the_requests_down() -> None:
    company = Company(200)
    async with client(company) as toggl:
        batches = export_batches(toggl, ExportPlan(datasets=("time_entries",)))
        await anext(batches)
        await asyncio.sleep(100)
        asked = len(company.log)
        await asyncio.sleep(100)
        assert len(company.log) == asked < 25
        await batches.aclose()
        await asyncio.sleep(100)
        assert len(company.log) <= asked + 8


async def test_what_ends_the_export_is_raised() -> None:
    company = Company()
    company.refuse_the_token_at("/tags")
    async with client(company) as toggl:
        with pytest.raises(LoginRefused):
            async for _ in export_batches(toggl, ExportPlan(datasets=("tags",))):
                pass
    async with client(Company()) as toggl:
        with pytest.raises(InvalidInput, match="unknown workspace"):
            async for _ in export_batches(toggl, ExportPlan(workspaces=(5,))):
                pass
