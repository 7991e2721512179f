"""Exports that are cut off, wherever that may be, and go on."""

import asyncio
import datetime as dt
import errno
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, SECOND, TOKEN_REFUSED, Company
from support.export_written import FORMATS, everything, ids, in_each_format
from toggl_async import ApiToken, ClientOptions, InvalidInput, LoginRefused, Pace, TogglClient
from toggl_async.export import DatasetFinished, ExportPlan, Manifest, RowsWritten, export
from toggl_async.export.mirror import storage
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.lock import Lock
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.run import files

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=0.001))


class Killed(BaseException):
    """The process is gone."""


async def run(
    company: Company, directory: Path, form: str = "jsonl", plan: ExportPlan | None = None, **options: Any
) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await export(client, plan or ExportPlan(), directory, format=form, **options)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Make the n-th write from now the last thing that the process does; it stops in it, or right after it.

    Writes are the transactions of the mirror, and files that get their names.
    """
    left = -1
    transaction, replace = SqliteStore.transaction, storage.replace

    def die() -> None:
        nonlocal left
        left -= left > 0
        if left == 0:  # and stay dead
            raise Killed

    @contextmanager
    def dying(store: SqliteStore) -> Iterator[None]:
        with transaction(store):
            yield
            die()
        die()

    def replaced(partial: Path, path: Path) -> None:
        die()
        replace(partial, path)
        die()

    monkeypatch.setattr(SqliteStore, "transaction", dying)
    monkeypatch.setattr(storage, "replace", replaced)
    monkeypatch.setattr(files, "replace", replaced)

    def arm(writes: int) -> None:
        nonlocal left
        left = writes

    yield arm
    arm(-1)


@pytest.mark.parametrize(
    ("form", "step"),
    [
        ("csv", 17),
        *[pytest.param(form, 17, marks=pytest.mark.slow) for form in ("parquet", "sqlite", "duckdb")],
        pytest.param("jsonl", 1, marks=pytest.mark.slow),
        *[pytest.param(form, 1, marks=pytest.mark.nightly) for form in FORMATS if form != "jsonl"],
    ],
)
async def test_an_export_that_is_killed_in_any_write_ends_like_one_that_was_not(
    tmp_path: Path,
    form: str,
    step: int,
    kill: Callable[[int], None],
    record_property: Callable[[str, int], None],
) -> None:
    company = Company(12)
    kill(-1)
    await run(company, tmp_path / "whole", form)
    whole, requests = everything(tmp_path / "whole", form), len(company.log)
    killed = 0
    for writes in range(1, 1000, step):
        directory = tmp_path / str(writes)
        company.log.clear()
        kill(writes)
        try:
            await run(company, directory, form)
        except Killed:
            killed += 1
        else:
            assert everything(directory, form) == whole
            break
        kill(-1)
        with suppress(FileNotFoundError):
            if json.loads((directory / "manifest.json").read_bytes())[
                "finished"
            ]:  # right after its last write
                break
        manifest = await run(company, directory, form)
        assert everything(directory, form) == whole, writes
        assert manifest.complete
        # All that was asked twice: whose token it is, and what was under way, one page of each open list.
        assert len(company.log) <= requests + 1 + 8
        assert company.asked("/organizations") == [{}] or writes < 4
    else:
        pytest.fail("it never came to its end")
    assert killed > 40 / step
    record_property("kills", killed)


@in_each_format
async def test_no_committed_page_is_asked_for_again(tmp_path: Path, form: str) -> None:
    company = Company(30)
    plan = ExportPlan(datasets=("projects", "time_entries"), workspaces=(FIRST,))
    task: asyncio.Task[Manifest]

    def stop(event: object) -> None:
        if isinstance(event, RowsWritten) and event.dataset == "time_entries":
            task.cancel()

    for _ in range(100):
        company.before = lambda path, body: None
        task = asyncio.ensure_future(run(company, tmp_path, form, plan, on_event=stop))
        try:
            await task
        except asyncio.CancelledError:
            assert (tmp_path / MIRROR).exists()
            continue
        break
    pages = [
        (body["start_date"], body.get("first_row_number")) for body in company.asked("search/time_entries")
    ]
    whole = Company(30)
    await run(whole, tmp_path / "whole", form, plan)
    assert {*pages} == {
        (body["start_date"], body.get("first_row_number")) for body in whole.asked("search/time_entries")
    }
    assert len(company.asked("/projects")) == len(whole.asked("/projects"))
    assert ids(tmp_path, form) == ids(tmp_path / "whole", form)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["requests"] == len(company.log)


@in_each_format
async def test_checks_of_an_earlier_run_are_kept(tmp_path: Path, form: str) -> None:
    company = Company(30)
    task: asyncio.Task[Manifest]

    def stop(event: object) -> None:
        if isinstance(event, DatasetFinished) and event.dataset == "time_entries":
            task.cancel()

    # The lists take so long that the time entries are finished first.
    company.lists["tags"] = [{"id": number, "workspace_id": FIRST} for number in range(1, 15_000)]
    task = asyncio.ensure_future(run(company, tmp_path, form, on_event=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    first = json.loads((tmp_path / "manifest.json").read_bytes())
    assert first["totals_agree"] is True
    asked = len(company.asked("totals"))
    manifest = await run(company, tmp_path, form)
    assert manifest.totals_agree is True
    assert sum(check.rows for check in manifest.ranges) == 30
    assert len(company.asked("totals")) == asked


@pytest.mark.linux
async def test_an_export_goes_on_after_its_token_was_refused(tmp_path: Path) -> None:
    company = Company()
    company.before = lambda path, body: (
        httpx.Response(403, json=TOKEN_REFUSED) if body and body.get("first_row_number") == 5 else None
    )
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    assert (tmp_path / MIRROR).exists()
    company.before = lambda path, body: None
    manifest = await run(company, tmp_path)
    assert ids(tmp_path, "jsonl") == list(range(1, 25))
    assert manifest.totals_agree is True
    assert manifest.requests <= len(company.log)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] + [".jsonl"] * 9 + [".sqlite"]


async def test_a_refusal_is_remembered_by_the_next_run(tmp_path: Path) -> None:
    company = Company()
    company.before = lambda path, body: {
        f"/api/v9/workspaces/{FIRST}/groups": httpx.Response(403, json="no access"),
        f"/api/v9/workspaces/{FIRST}/tags": httpx.Response(403, json=TOKEN_REFUSED),
    }.get(path)
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.before = lambda path, body: None
    manifest = await run(company, tmp_path)
    assert [(refusal.dataset, refusal.workspace_id) for refusal in manifest.refused] == [("groups", FIRST)]
    assert manifest.not_in_plan == manifest.refused


async def test_a_full_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upsert, left = SqliteStore.upsert, 4

    def full(store: SqliteStore, *args: Any) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise sqlite3.OperationalError("database or disk is full")
        upsert(store, *args)

    company = Company()
    monkeypatch.setattr(SqliteStore, "upsert", full)
    with pytest.raises(OSError, match="disk is full") as caught:
        await run(company, tmp_path)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    await run(company, tmp_path)
    await run(Company(), tmp_path / "whole")
    assert everything(tmp_path, "jsonl") == everything(tmp_path / "whole", "jsonl")


@in_each_format
async def test_files_that_could_not_be_written_are_written_without_a_request_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    company = Company()
    before = everything(tmp_path, form) if (await run(company, tmp_path, form)).complete else {}
    company.now += dt.timedelta(days=1)
    company.lists["tags"][0]["name"] = "renamed"

    def full(partial: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            await run(company, tmp_path, form, update=True)
    assert everything(tmp_path, form) == before  # what was finished keeps its name
    held = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (held["finished"], held["complete"]) == (False, False)
    assert held["error"].startswith("OSError: [Errno 28] No space left on device")
    company.log.clear()
    company.user = 8
    with pytest.raises(InvalidInput, match="contains an export of another account"):
        await run(company, tmp_path, form)
    company.user = 7
    manifest = await run(company, tmp_path, form)
    assert manifest.complete
    assert [path for path, *_ in company.log] == ["/api/v9/me"] * 2
    assert "renamed" in str(everything(tmp_path, form))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"plan": ExportPlan(datasets=("tags",), since=dt.date(2026, 1, 1))},
            "another choice of datasets, since",
        ),
        ({"form": "csv"}, "in the format jsonl, not csv"),
    ],
)
async def test_a_destination_of_something_else_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    company = Company()
    company.refuse_the_token_at("/tags")
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    asked = len(company.log)
    with pytest.raises(InvalidInput, match=message):
        await run(company, tmp_path, **change)
    assert len(company.log) == asked  # nothing was sent


async def test_a_destination_of_another_account_is_refused(tmp_path: Path) -> None:
    company = Company()
    company.refuse_the_token_at("/tags")
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.user = 8
    with pytest.raises(InvalidInput, match="contains an export of another account"):
        await run(company, tmp_path)
    company.user = 7
    company.before = lambda path, body: None
    await run(company, tmp_path)
    company.user = 8
    with pytest.raises(InvalidInput, match="contains an export of another account"):
        await run(company, tmp_path, update=True)


async def test_a_destination_of_another_server_or_version_is_refused(tmp_path: Path) -> None:
    await run(Company(), tmp_path, "csv", ExportPlan(datasets=("tags",)))
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    for change, message in (
        ({"base_url": "https://example.com"}, r"from https://example.com, not https://api.track.toggl.com"),
        ({"layout": "0"}, "made by another version of toggl_async"),
    ):
        (tmp_path / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(InvalidInput, match=message):
            await run(Company(), tmp_path, "csv", ExportPlan(datasets=("tags",)), update=True)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"manifest.json is damaged"):
        await run(Company(), tmp_path, "csv")


async def test_a_finished_export_is_not_made_again(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    with pytest.raises(InvalidInput, match=r"contains a finished export; --update brings it up to date"):
        await run(Company(), tmp_path)


async def test_two_runs_on_one_destination(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    lock = Lock(tmp_path / MIRROR)
    lock.take()
    with pytest.raises(InvalidInput, match="another run is writing to"):
        await run(Company(), tmp_path, update=True)
    lock.let_go()
    await run(Company(), tmp_path, update=True)


async def test_two_runs_that_start_together(tmp_path: Path) -> None:
    company = Company()
    outcomes = await asyncio.gather(run(company, tmp_path), run(company, tmp_path), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InvalidInput", "Manifest"]


async def test_an_account_that_was_surveyed_is_not_asked_for_again(tmp_path: Path) -> None:
    from toggl_async.export import survey  # noqa: PLC0415

    company = Company()
    company.refuse_the_token_at("/tags")
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        account = await survey(client, ExportPlan())
        with pytest.raises(LoginRefused):
            await export(client, ExportPlan(), tmp_path, account=account)
        company.before = lambda path, body: None
        client.forget_refusals()
        await export(client, ExportPlan(), tmp_path, account=account)
    assert len(company.asked("/api/v9/me")) == 1


async def test_a_mirror_whose_manifest_was_removed_by_hand_goes_on(tmp_path: Path) -> None:
    company = Company()
    company.refuse_the_token_at("/tags")
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    company.before = lambda path, body: None
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "tags.jsonl.partial").touch()
    assert (await run(company, tmp_path)).complete
    assert not list(tmp_path.glob("*.partial"))


async def test_an_export_whose_mirror_was_removed_by_hand_is_read_anew(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    (tmp_path / MIRROR).unlink()
    with pytest.raises(InvalidInput, match="contains a finished export"):
        await run(Company(), tmp_path)
    company = Company(30)
    manifest = await run(company, tmp_path, update=True)
    assert (manifest.complete, manifest.update) == (True, False)
    assert ids(tmp_path, "jsonl") == list(range(1, 31))


async def test_what_an_older_version_left_is_refused(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    del manifest["timezone"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidInput, match="made by another version of toggl_async"):
        await run(Company(), tmp_path, update=True)
    (tmp_path / "progress.json").touch()
    with pytest.raises(InvalidInput, match="unfinished export made by another version"):
        await run(Company(), tmp_path)


def test_both_workspaces_take_part() -> None:
    assert {entry.workspace_id for entry in Company().entries} == {FIRST, SECOND}
