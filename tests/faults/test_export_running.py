"""Time entries that run: what a report says of them, and what Toggl sends as the running one."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, Company, Entry
from support.export_updates import run
from support.export_written import FORMATS, ids, in_each_format, rows
from support.pairs import pairs
from toggl_async import ApiToken, LoginRefused, TogglClient
from toggl_async.export import ExportPlan, Mirror, export_batches

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
BEGUN = NOW - dt.timedelta(hours=2)
RUNNING = {"id": 77, "workspace_id": FIRST, "start": BEGUN.isoformat(), "stop": None, "duration": -1}


def with_a_running_row(company: Company, *, spaced: bool = False) -> None:
    """Let the report have an entry that runs, as Toggl writes that; not its total, which leaves it out."""
    company.entries.append(Entry(99, FIRST, BEGUN, seconds=0))

    def answer(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith("search/time_entries"):
            return None
        found, headers = company._answer(path, {}, body)
        for row in found:
            for entry in row["time_entries"]:
                if entry["id"] == 99:
                    entry |= {"seconds": -1795715681, "stop": None}
        separators = (", ", ": ") if spaced else (",", ":")
        return httpx.Response(200, content=json.dumps(found, separators=separators), headers=headers)

    company.before = answer


@pytest.mark.parametrize(("form", "spaced"), pairs(FORMATS, [False, True]))
@pytest.mark.sampled(1)
async def test_a_row_that_runs_has_no_seconds(tmp_path: Path, form: str, spaced: bool) -> None:
    company = Company(12)
    with_a_running_row(company, spaced=spaced)
    for _ in range(2):
        manifest = await run(company, tmp_path, form)
        assert (manifest.complete, manifest.totals_agree) == (True, True)
        (row,) = [one for one in rows(tmp_path, form, "time_entries") if int(one["id"]) == 99]
        assert row["seconds"] in {None, ""}
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        (sums,) = await mirror.sql("SELECT MIN(seconds) AS least FROM time_entries_named")
    assert sums == {"least": 61}


async def test_a_row_that_runs_adds_nothing_to_the_sums_of_batches() -> None:
    company = Company(12)
    with_a_running_row(company)
    async with TogglClient(ApiToken("made-up"), transport=company) as client:
        batches = export_batches(client, ExportPlan(datasets=("time_entries",)))
        seconds = [json.loads(row)["seconds"] async for batch in batches for row in batch.rows]
    batches.summary.raise_for_totals()
    assert seconds.count(None) == 1


@in_each_format
async def test_the_running_entry_by_its_old_names(tmp_path: Path, form: str) -> None:
    company = Company(3)
    old = {name: value for name, value in RUNNING.items() if name != "workspace_id"}
    company.running = old | {"wid": SECOND, "uid": 7, "pid": 2, "tid": 4}
    manifest = await run(company, tmp_path, form)
    assert manifest.complete
    (row,) = [one for one in rows(tmp_path, form, "time_entries") if int(one["id"]) == 77]
    named = [int(row[name]) for name in ("workspace_id", "user_id", "project_id", "task_id")]
    assert named == [SECOND, 7, 2, 4]


@pytest.mark.parametrize(
    "odd",
    [
        {"workspace_id": None},
        {"workspace_id": None, "wid": None},
        {"start": None},
        {"start": "soon"},
        {"start": 5},
    ],
)
@pytest.mark.sampled(1)
async def test_a_running_entry_that_has_no_place_is_a_part_that_failed(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    company = Company(3)
    company.running = RUNNING | odd
    manifest = await run(company, tmp_path)
    assert not manifest.complete
    assert {one.dataset for one in manifest.failed} == {"time_entries"}
    assert next(iter(odd)) in manifest.failed[0].message
    assert 77 not in ids(tmp_path, "jsonl")
    company.running, company.now = None, NOW + DAY
    assert (await run(company, tmp_path)).complete
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_an_entry_without_a_day_goes_when_everything_was_read_again(tmp_path: Path) -> None:
    company = Company(3)
    odd: list[dict[str, Any]] = [{"id": 55, "seconds": 1, "start": None}, {"id": 56, "start": "soon"}]

    def answer(path: str, body: Any) -> httpx.Response | None:
        if not path.endswith(f"/{FIRST}/search/time_entries") or body["end_date"] < str(NOW.date()):
            return None
        found, headers = company._answer(path, {}, body)
        return httpx.Response(200, json=[*found, {"time_entries": odd}], headers=headers)

    company.before = answer
    await run(company, tmp_path, recheck=None)
    assert {55, 56} <= {*ids(tmp_path, "jsonl")}
    company.now += DAY
    assert {55, 56} <= {*ids(tmp_path, "jsonl")}
    del odd[0]
    await run(company, tmp_path, recheck=None)
    assert {55, 56} & {*ids(tmp_path, "jsonl")} == {56}
    company.before = lambda path, body: None
    await run(company, tmp_path)
    assert {55, 56} & {*ids(tmp_path, "jsonl")} == {56}  # not everything was read
    company.refuse_the_token_at("/totals")
    with pytest.raises(LoginRefused):
        await run(company, tmp_path, recheck=None)
    company.before = lambda path, body: None
    await run(company, tmp_path, recheck=None)  # goes on
    assert ids(tmp_path, "jsonl") == [entry.id for entry in company.entries]


async def test_a_running_entry_stays_while_nobody_can_ask_for_it(tmp_path: Path) -> None:
    company = Company(3)
    company.running = RUNNING
    assert (await run(company, tmp_path)).complete
    company.before = lambda path, body: (
        httpx.Response(500, json="oops") if path.endswith("/current") else None
    )
    company.now += DAY
    assert not (await run(company, tmp_path)).complete
    assert 77 in ids(tmp_path, "jsonl")


@pytest.mark.parametrize("path", ["/me/time_entries/current", "/me/time_entries"])
@pytest.mark.parametrize("status", [402, 403, 404, 410])
@pytest.mark.sampled(2)
async def test_time_entries_of_the_user_that_are_refused_are_missing(
    tmp_path: Path, status: int, path: str
) -> None:
    company = Company(3)
    company.running = RUNNING
    if path == "/me/time_entries":  # only an update asks for it
        await run(company, tmp_path)
    company.now += DAY
    refusal = httpx.Response(status, json="not for you")
    company.before = lambda asked, body: refusal if asked.endswith(path) else None
    for _ in range(2):
        manifest = await run(company, tmp_path)
        assert (manifest.finished, manifest.complete) == (True, False)
        assert [(one.dataset, one.workspace_id, one.status) for one in manifest.refused] == [
            ("time_entries", 0, status)
        ]
        assert manifest.not_in_plan == ()
        assert not manifest.datasets["time_entries"].complete
        assert manifest.totals_agree  # the reports are read, and compared, all the same
    company.before = lambda asked, body: None
    async with TogglClient(ApiToken("made-up"), transport=company) as client:
        client.scheduler.forget_refusals()
    assert (await run(company, tmp_path)).complete
    assert 77 in ids(tmp_path, "jsonl")
