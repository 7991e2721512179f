"""Exports that are cut off, wherever that may be, and go on."""

import asyncio
import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, SECOND, TOKEN_REFUSED, Company
from support.export_written import FORMATS, everything, ids
from toggl_async import ApiToken, ClientOptions, InvalidInput, LoginRefused, Pace, TogglClient
from toggl_async.export import DatasetFinished, ExportPlan, Manifest, RowsWritten, export
from toggl_async.export.formats import make
from toggl_async.export.formats._sinks.database import DatabaseSink
from toggl_async.export.formats.staged import StagedSink
from toggl_async.export.mirror.books import Books
from toggl_async.export.mirror.destination import HEADER
from toggl_async.export.mirror.journal import Appender
from toggl_async.export.mirror.lock import locked

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
    """Make the n-th write from now the last thing that the process does; it stops in the middle of it."""
    left = -1
    opened: list[DatabaseSink] = []
    append, save, connect, close = Appender.append, DatabaseSink._save, DatabaseSink._recovered, Books.close

    def die() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def appended(file: Appender, data: bytes) -> None:
        if die():
            os.write(file._number, data[: len(data) // 2])
            raise Killed
        append(file, data)

    def saved(sink: DatabaseSink, piece: str, progress: bytes, requests: int) -> None:
        if die():
            raise Killed
        save(sink, piece, progress, requests)

    def recovered(sink: DatabaseSink, run: str) -> Any:
        opened.append(sink)
        return connect(sink, run)

    def closed(books: Books, error: str | None, **options: Any) -> Manifest:
        if error is not None:
            raise Killed
        return close(books, error, **options)

    monkeypatch.setattr(Appender, "append", appended)
    monkeypatch.setattr(DatabaseSink, "_save", saved)
    monkeypatch.setattr(DatabaseSink, "_recovered", recovered)
    monkeypatch.setattr(Books, "close", closed)

    def arm(writes: int) -> None:
        nonlocal left
        left = writes
        while opened:
            sink = opened.pop()
            if sink._connection is not None:
                sink._connection.close()

    yield arm
    arm(-1)


@pytest.mark.parametrize(
    ("form", "step"),
    [
        *[("jsonl", 1), ("csv", 7), ("parquet", 7), ("sqlite", 3), ("duckdb", 11)],
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
    for writes in range(1, 200, step):
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
        manifest = await run(company, directory, form)
        assert everything(directory, form) == whole, writes
        assert manifest.complete
        # All that was asked twice: whose token it is, and what was under way, one page of each open list.
        assert len(company.log) <= requests + 1 + 8
        assert company.asked("/organizations") == [{}] or writes == 1
    assert killed > 20 / step
    record_property("kills", killed)


@pytest.mark.parametrize("form", FORMATS)
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
            assert (tmp_path / HEADER).exists()
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


@pytest.mark.parametrize("form", FORMATS)
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


async def test_an_export_goes_on_after_its_token_was_refused(tmp_path: Path) -> None:
    company = Company()
    company.before = lambda path, body: (
        httpx.Response(403, json=TOKEN_REFUSED) if body and body.get("first_row_number") == 5 else None
    )
    with pytest.raises(LoginRefused):
        await run(company, tmp_path)
    assert (tmp_path / HEADER).exists()
    company.before = lambda path, body: None
    manifest = await run(company, tmp_path)
    assert ids(tmp_path, "jsonl") == list(range(1, 25))
    assert manifest.totals_agree is True
    assert manifest.requests <= len(company.log)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] + [".jsonl"] * 9


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
    written, really = 0, os.write

    def write(number: int, data: bytes) -> int:
        nonlocal written
        if written + len(data) > 3000:
            return really(number, data[: 3000 - written]) if written < 3000 and not full() else 0
        written += len(data)
        return really(number, data)

    def full() -> bool:
        raise OSError(28, "No space left on device")

    company = Company()
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        await run(company, tmp_path)
    monkeypatch.undo()
    await run(company, tmp_path)
    await run(Company(), tmp_path / "whole")
    assert everything(tmp_path, "jsonl") == everything(tmp_path / "whole", "jsonl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"plan": ExportPlan(datasets=("tags",), since=dt.date(2026, 1, 1))},
            "other options: datasets, since",
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
    with pytest.raises(InvalidInput, match="cannot read"):
        await run(Company(), tmp_path, "csv")


async def test_a_finished_export_is_not_made_again(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    with pytest.raises(InvalidInput, match=r"contains a finished export; --update brings it up to date"):
        await run(Company(), tmp_path)


async def test_two_runs_on_one_destination(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InvalidInput, match="another export is writing to"):
        await run(Company(), tmp_path)
    await run(Company(), tmp_path)


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


async def test_leftovers_of_an_export_that_was_removed_by_hand_are_no_harm(tmp_path: Path) -> None:
    for form in ("jsonl", "sqlite"):
        directory = tmp_path / form
        company = Company()
        company.refuse_the_token_at("/tags")
        with pytest.raises(LoginRefused):
            await run(company, directory, form)
        company.before = lambda path, body: None
        (directory / HEADER).unlink()
        (directory / "manifest.json").unlink()
        with pytest.raises(InvalidInput, match="not empty and does not contain an export"):
            await run(company, directory, form)
        (directory / "tags.jsonl.partial").touch()
        sink = make(form, directory)
        assert not sink.open("another run", update=()).progress
        sink.stop()
        assert len(list(directory.glob("*.jsonl.partial"))) == (form == "sqlite")


async def test_a_rename_just_before_the_crash_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Appender.append

    def dies(file: Appender, data: bytes) -> None:
        if b'"finished":{"file":"tags.jsonl"' in data:
            raise Killed
        append(file, data)

    def closed(*_: Any, **options: Any) -> Manifest:
        raise Killed

    company = Company()
    with monkeypatch.context() as patch:
        patch.setattr(Appender, "append", dies)
        patch.setattr(Books, "close", closed)
        with pytest.raises(Killed):
            await run(company, tmp_path)
    assert (tmp_path / "tags.jsonl").exists()
    await run(company, tmp_path)
    await run(Company(), tmp_path / "whole")
    assert everything(tmp_path, "jsonl") == everything(tmp_path / "whole", "jsonl")


def test_a_commit_that_failed_at_its_entry_leaves_no_rows(tmp_path: Path) -> None:
    from toggl_async.export.formats import Commit  # noqa: PLC0415
    from toggl_async.export.mirror.pieces import Progress  # noqa: PLC0415
    from toggl_async.export.plan.datasets import dataset  # noqa: PLC0415
    from toggl_async.export.rows import Line  # noqa: PLC0415

    sink = make("jsonl", tmp_path)
    assert isinstance(sink, StagedSink)
    sink.open("run", update=())
    tags = dataset("tags")

    def commit(number: int) -> Commit:
        lines = [Line(number, b'{"id":%d}' % number)]
        return Commit(piece="tags/1", progress=Progress(), requests=1, dataset=tags, lines=lines)

    sink.commit(commit(1))
    journal = sink._journal.append

    def fails(entry: Any) -> None:
        raise OSError(28, "No space left on device")

    sink._journal.append = fails  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space"):
        sink.commit(commit(2))
    sink._journal.append = journal  # type: ignore[method-assign]
    sink.commit(commit(3))
    sink.finish(tags)
    sink.stop()
    assert (tmp_path / "tags.jsonl").read_bytes() == b'{"id":1}\n{"id":3}\n'


def test_both_workspaces_take_part() -> None:
    assert {entry.workspace_id for entry in Company().entries} == {FIRST, SECOND}
