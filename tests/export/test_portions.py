"""Updates that read a part of what an export takes: the rest stays, and so does what is said of it."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, SECOND, Company, Entry
from support.export_updates import OPTIONS, run
from toggl_async import ApiToken, InvalidInput, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror
from toggl_async.export.run import directory

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
SEARCH = "search/time_entries"


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    async with Mirror(tmp_path / "m.sqlite") as mirror:
        yield mirror


async def refresh(mirror: Mirror, company: Company, **options: Any) -> Manifest:
    plan = options.pop("plan", ExportPlan())
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await mirror.refresh(client, plan, **options)


async def ids(mirror: Mirror, dataset: str = "time_entries") -> set[object]:
    return {row["id"] for row in await mirror.sql(f"SELECT id FROM {dataset} WHERE deleted_at IS NULL")}


async def test_what_is_left_out_is_as_fresh_as_it_was(mirror: Mirror) -> None:
    company = Company()
    await refresh(mirror, company)
    company.now = NOW + DAY
    company.lists["tags"][0]["name"] = company.lists["clients"][0]["name"] = "renamed"
    company.log.clear()
    manifest = await refresh(mirror, company, datasets=["tags"])
    assert not company.asked("/clients")
    assert not company.asked(SEARCH)
    assert manifest.read == ("organizations", "workspaces", "tags")
    assert manifest.complete
    assert manifest.datasets["tags"].as_of == company.now
    assert manifest.datasets["clients"].as_of == manifest.datasets["time_entries"].as_of == NOW
    assert manifest.changes.keys() == {"tags"}
    assert manifest.rows == (await refresh(mirror, company)).rows


async def test_recent_time_entries_take_two_requests_a_workspace(mirror: Mirror) -> None:
    company = Company(40, days=10)
    await refresh(mirror, company)
    company.now = NOW + DAY
    company.entries.append(Entry(100, FIRST, NOW, 99))
    company.entries[30].seconds += 7
    company.entries[30].at = NOW
    company.log.clear()
    manifest = await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert len(company.asked(SEARCH)) == len(company.asked("totals")) == 2
    assert 100 in await ids(mirror)
    entry = manifest.datasets["time_entries"]
    assert (entry.as_of, entry.older_edits_as_of) == (company.now, NOW)
    assert manifest.changes["time_entries"].edited == 0

    company.now += DAY
    manifest = await refresh(mirror, company)
    assert manifest.changes["time_entries"].edited == 1  # what was left out is found, however long it was
    assert manifest.datasets["time_entries"].older_edits_as_of == company.now


async def test_own_edits_that_were_left_out_are_found_where_toggl_does_not_sort(mirror: Mirror) -> None:
    company = Company(40, days=10)
    company.sorts = False
    for number, entry in enumerate(company.entries):
        entry.at = NOW - (400 - number) * DAY
    await refresh(mirror, company)
    company.now = NOW + DAY
    company.entries[30].description, company.entries[30].at = "edited", NOW
    for _ in range(2):
        company.now += DAY
        await refresh(mirror, company, datasets=["time_entries"], older=False)
    manifest = await refresh(mirror, company)
    assert manifest.changes["time_entries"].edited == 1


async def test_what_leaves_the_recent_days_is_looked_for_among_the_older_ones(mirror: Mirror) -> None:
    company = Company(40, days=10)
    await refresh(mirror, company)
    company.now = NOW + DAY
    moved, gone = company.entries[1], company.entries[2]
    moved.start -= 100 * DAY
    moved.at = gone.at = NOW + DAY / 2
    company.entries.remove(gone)  # not the caller's own, so that nobody tells
    company.log.clear()
    manifest = await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert len(company.asked(SEARCH)) > 2
    assert moved.id in await ids(mirror)
    assert gone.id not in await ids(mirror)
    changes = manifest.changes["time_entries"]
    assert (changes.edited, changes.deleted) == (1, 1)
    company.log.clear()
    await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert len(company.asked(SEARCH)) > 2  # the run before has deleted something: that it was seen to be gone
    company.log.clear()
    await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert len(company.asked(SEARCH)) == 2


async def test_what_was_refused_or_failed_stays_so_until_it_is_read(mirror: Mirror) -> None:
    company = Company()

    def before(path: str, body: Any) -> httpx.Response | None:
        if path.endswith(f"{FIRST}/groups"):
            return httpx.Response(410, json="gone")
        return httpx.Response(200, content=b"{") if path.endswith(f"{SECOND}/tags") else None

    company.before = before
    first = await refresh(mirror, company)
    assert not first.complete
    manifest = await refresh(mirror, company, datasets=["clients"])
    assert (manifest.refused, manifest.failed) == (first.refused, first.failed)
    assert not manifest.complete
    assert not manifest.datasets["tags"].complete
    assert manifest.datasets["clients"].complete
    company.before = lambda path, body: None
    assert not (await refresh(mirror, company, datasets=["tags"])).failed
    assert (await refresh(mirror, company)).complete


async def test_after_trouble_with_time_entries_older_ones_are_looked_at_too(mirror: Mirror) -> None:
    company = Company(40, days=10)
    await refresh(mirror, company)
    company.now = NOW + DAY
    company.before = lambda path, body: (
        httpx.Response(200, content=b"{") if path.endswith(SEARCH) and str(FIRST) in path else None
    )
    manifest = await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert {one.workspace_id for one in manifest.stale} == {FIRST}
    manifest = await refresh(mirror, company, datasets=["clients"])
    assert {one.workspace_id for one in manifest.stale} == {FIRST}
    company.before = lambda path, body: None
    company.log.clear()
    manifest = await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert len(company.asked(SEARCH)) > 2
    assert manifest.stale == ()
    assert manifest.datasets["time_entries"].older_edits_as_of == company.now


async def test_totals_that_are_refused(mirror: Mirror) -> None:
    company = Company()
    company.before = lambda path, body: (
        httpx.Response(402, json="upgrade") if path.endswith("totals") else None
    )
    first = await refresh(mirror, company)
    assert {one.dataset for one in first.refused} == {"totals"}
    manifest = await refresh(mirror, company, datasets=["time_entries"], older=False)
    assert manifest.refused == first.refused
    assert manifest.complete == first.complete


async def test_a_first_run_reads_everything(mirror: Mirror) -> None:
    manifest = await refresh(mirror, Company(), datasets=["tags"], older=False)
    assert len(manifest.read) == 9


async def test_a_dataset_that_the_plan_does_not_take(mirror: Mirror) -> None:
    plan = ExportPlan(datasets=("tags",))
    await refresh(mirror, Company(), plan=plan)
    with pytest.raises(InvalidInput, match="the plan does not include the dataset 'users'; it includes tags"):
        await refresh(mirror, Company(), plan=plan, datasets=["tags", "users"])


@pytest.mark.parametrize("max_wait", [-1, float("nan")])
async def test_a_wait_that_is_none(mirror: Mirror, max_wait: float) -> None:
    with pytest.raises(InvalidInput, match="max_wait must be at least 0 seconds"):
        await refresh(mirror, Company(), max_wait=max_wait)


@pytest.mark.slow
async def test_files_that_could_not_be_written_are_written_by_an_update_that_brings_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    company = Company()
    with monkeypatch.context() as patch:
        patch.setattr(directory, "write_files", full)
        with pytest.raises(OSError, match="No space left"):
            await run(company, tmp_path)
    assert not (tmp_path / "tags.jsonl").exists()
    manifest = await run(company, tmp_path)
    assert manifest.changes == {}
    assert (tmp_path / "tags.jsonl").read_bytes().count(b"\n") == manifest.datasets["tags"].rows == 5
