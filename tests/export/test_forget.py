"""What was forgotten stays away, or comes back, as the documents say; and the files of an export follow."""

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from support.export_company import FIRST, NOW, SECOND, USER, Company, Entry
from support.export_updates import run
from support.export_written import ids, in_each_format
from toggl_async import ApiToken, ClientOptions, InvalidInput, LoginRefused, Pace, TogglClient
from toggl_async.export import ExportedTimeEntry, ExportPlan, Manifest, Mirror, export
from toggl_async.export.mirror.store import Forget
from toggl_async.export.run.forget import forget_in

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

DAY = dt.timedelta(days=1)
EARLY = (NOW - 200 * DAY).date()
OPTIONS = ClientOptions(pace=Pace(interval=0.001))


async def refresh(
    mirror: Mirror, company: Company, plan: ExportPlan | None = None, **options: Any
) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await mirror.refresh(client, plan or ExportPlan(), **options)


async def entries(mirror: Mirror) -> set[int | None]:
    return {entry.id for entry in await mirror.records("time_entries", ExportedTimeEntry)}


def kept(company: Company, first: dt.date = EARLY) -> set[int]:
    """The time entries that Toggl has and a mirror keeps."""
    return {entry.id for entry in company.entries if entry.day >= first and not entry.deleted}


@pytest.mark.parametrize("recheck", [0, 31, None])
@pytest.mark.sampled(1)
async def test_no_update_brings_old_time_entries_back(tmp_path: Path, recheck: int | None) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        assert (await refresh(mirror, company)).kept_from is None
        forgotten = await mirror.forget(before=EARLY)
        assert 0 < forgotten == len(company.entries) - len(kept(company))
        for _ in range(2):
            company.now += DAY
            old, young = company.entries[20], company.entries[0]
            assert old.day < EARLY <= young.day
            for one in (old, young):
                one.description, one.at = f"edited at {company.now}", company.now
            company.entries.append(Entry(1000 + company.now.day, FIRST, NOW - 400 * DAY, at=company.now))
            company.log.clear()
            manifest = await refresh(mirror, company, recheck=recheck)
            assert await entries(mirror) == kept(company)
            assert (manifest.complete, manifest.totals_agree) == (True, True)
            assert manifest.kept_from == EARLY
            assert min(check.first for check in manifest.ranges) == EARLY
            asked = [body["start_date"] for path, body in company.log if "/reports/" in path]
            assert min(asked) >= EARLY.isoformat()


async def test_an_entry_that_is_moved_across_the_day_goes_or_comes(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        await mirror.forget(before=EARLY)
        company.now += DAY
        for one, start in ((company.entries[20], NOW - 3 * DAY), (company.entries[3], NOW - 300 * DAY)):
            one.start, one.at = start, company.now
        await refresh(mirror, company)
        assert await entries(mirror) == kept(company)
        assert 21 in await entries(mirror)
        assert 4 not in await entries(mirror)


async def test_the_day_only_moves_forward(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        later = EARLY + 60 * DAY
        assert await mirror.forget(before=EARLY) > 0
        assert await mirror.forget(before=later) > 0
        assert await mirror.forget(before=EARLY) == 0
        await refresh(mirror, company, recheck=None)
        assert await entries(mirror) == kept(company, later)


async def test_a_day_that_has_begun_nowhere_is_refused(tmp_path: Path) -> None:
    """A slip in the year would erase all time entries, and no update would ever bring them back."""
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=14)).date()
        for day in (ahead + 2 * DAY, dt.date(2199, 1, 1), dt.date.max):
            with pytest.raises(InvalidInput, match=f"^before {day} is in the future: .*; choose a day that"):
                await mirror.forget(before=day)
            assert await entries(mirror) == kept(company, dt.date.min)
        assert (await refresh(mirror, company)).kept_from is None
        assert await mirror.forget(before=dt.date.min) == 0
        assert await mirror.forget(before=ahead) == len(company.entries)


@pytest.mark.parametrize("number", [0, -1, 2**63, True, 1.0, "1"])
async def test_what_cannot_be_an_id_is_refused(tmp_path: Path, number: Any) -> None:
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        for whose in ("user", "workspace"):
            with pytest.raises(InvalidInput, match=f"^{whose} must be an id, a whole number from 1 to "):
                await mirror.forget(**{whose: number})


async def test_a_plan_that_begins_later_is_left_alone_and_one_that_ends_before_is_refused(
    tmp_path: Path,
) -> None:
    company = Company()
    since, until = (NOW - 100 * DAY).date(), (NOW - 50 * DAY).date()
    plan = ExportPlan(since=since, until=until)
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company, plan)
        assert await mirror.forget(before=EARLY) == 0
        assert min(check.first for check in (await refresh(mirror, company, plan)).ranges) == since
        await mirror.forget(before=until + DAY)
        company.log.clear()
        with pytest.raises(InvalidInput, match=r"keeps time entries from .*, but the plan ends at"):
            await refresh(mirror, company, plan)
        assert not company.log


async def test_what_toggl_still_shows_of_a_user_or_workspace_comes_back(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        last = max(change.revision for change in await mirror.feed())
        assert await mirror.forget(user=USER) > 0
        assert await mirror.forget(workspace=SECOND) > 0
        assert await entries(mirror) < kept(company, dt.date.min)
        told = await mirror.feed(after=last)
        assert all(change.deleted for change in told)
        await refresh(mirror, company)
        assert await entries(mirror) == kept(company, dt.date.min)
        for name, listed in company.lists.items():
            assert len(await mirror.records(name)) == len(listed)
        assert len(await mirror.records("workspaces")) == 2
        company.log.clear()
        await refresh(mirror, company)  # only once is everything read anew
        assert len(company.log) < 40


async def test_a_run_that_was_interrupted_misses_nothing(tmp_path: Path) -> None:
    """What was read before may be gone, so that nothing is taken for read."""
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        company.refuse_the_token_at("/groups")
        with pytest.raises(LoginRefused):
            await refresh(mirror, company)
        await mirror.forget(workspace=SECOND)
        await mirror.forget(before=EARLY)
        company.before = lambda path, body: None
        manifest = await refresh(mirror, company)
        assert await entries(mirror) == kept(company)
        assert (manifest.complete, manifest.totals_agree) == (True, True)
        assert min(check.first for check in manifest.ranges) == EARLY
        assert len(await mirror.records("workspaces")) == 2


@in_each_format
async def test_the_files_are_written_without_what_was_forgotten(tmp_path: Path, form: str) -> None:
    company, directory = Company(), tmp_path / "export"
    before = await run(company, directory, form)
    (directory / f"tags.{form}.partial").write_text("left by a run that was killed")
    forgotten = await forget_in(directory, Forget(before=EARLY))
    assert set(ids(directory, form)) == kept(company)
    left = json.loads((directory / "manifest.json").read_bytes())
    assert left["datasets"]["time_entries"]["rows"] == len(kept(company))
    assert left["rows"] == before.rows - forgotten.rows
    assert not list(directory.glob("time_entries*.partial"))
    for file in directory.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600 or file.name.endswith(".partial")
    after = await run(company, directory, form)
    assert set(ids(directory, form)) == kept(company)
    assert after.finished


async def test_the_mirror_and_the_files_say_nothing_of_it(tmp_path: Path) -> None:
    company, directory = Company(), tmp_path / "export"
    for one in company.entries:
        one.description = f"told in confidence {one.id}."
    await run(company, directory, "csv")
    assert (await forget_in(directory, Forget(before=EARLY))).rows > 0
    data = b"".join(path.read_bytes() for path in directory.iterdir())
    for one in company.entries:
        assert (one.description.encode() in data) == (one.day >= EARLY)


async def test_csv_for_spreadsheets_stays_so(tmp_path: Path) -> None:
    company, directory = Company(), tmp_path / "export"
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        await export(client, ExportPlan(), directory, format="csv", excel=True)
    await forget_in(directory, Forget(before=EARLY))
    data = (directory / "time_entries.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert len(list(csv.reader(data.decode("utf-8-sig").splitlines()))) == 1 + len(kept(company))


async def test_an_interrupted_update_has_files_of_the_run_before(tmp_path: Path) -> None:
    company, directory = Company(), tmp_path / "export"
    await run(company, directory, "jsonl")
    company.refuse_the_token_at("/tags")
    with pytest.raises(LoginRefused):
        await run(company, directory, "jsonl")
    (directory / "tags.jsonl").unlink()
    await forget_in(directory, Forget(before=EARLY))
    assert set(ids(directory, "jsonl")) == kept(company)
    assert not (directory / "tags.jsonl").exists()
    assert json.loads((directory / "manifest.json").read_bytes())["finished"] is False
    company.before = lambda path, body: None
    assert (await run(company, directory, "jsonl")).complete
    assert set(ids(directory, "jsonl")) == kept(company)


async def test_what_can_not_be_forgotten_in_is_refused_before(tmp_path: Path) -> None:
    company, directory = Company(), tmp_path / "export"
    await run(company, directory, "jsonl")
    manifest = directory / "manifest.json"
    text = manifest.read_text("utf-8")
    for wrong, message in (
        ("{", "manifest.json is damaged"),
        (text.replace('"layout": "', '"layout": "0'), "made by another version"),
        (text.replace('"format": "jsonl"', '"format": "xml"'), "unknown format 'xml'"),
    ):
        manifest.write_text(wrong, "utf-8")
        with pytest.raises(InvalidInput, match=message):
            await forget_in(directory, Forget(before=EARLY))
    async with Mirror(directory / "mirror.sqlite") as mirror:
        assert await entries(mirror) == kept(company, dt.date.min)
