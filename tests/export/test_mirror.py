"""`Mirror` from outside: refresh, the feed, records, SQL, and what is forgotten."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from support.export_company import FIRST, NOW, SECOND, USER, Company, Entry
from toggl_async import ApiToken, ClientOptions, InvalidInput, LoginRefused, Pace, TogglClient
from toggl_async.export import (
    Change,
    ExportedTimeEntry,
    ExportPlan,
    Manifest,
    Mirror,
    RowsWritten,
    export,
)
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.records import Tag

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=0.001))
DAY = dt.timedelta(days=1)


async def refresh(
    mirror: Mirror, company: Company, plan: ExportPlan | None = None, **options: Any
) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await mirror.refresh(client, plan or ExportPlan(), **options)


def applied(copy: dict[tuple[str, tuple[int, ...]], bytes | None], changes: list[Change]) -> int:
    """Apply changes to a copy, and return the revision of the last."""
    for change in changes:
        if change.deleted:
            copy.pop((change.dataset, change.key), None)
        else:
            copy[change.dataset, change.key] = change.row
    return max((change.revision for change in changes), default=0)


async def test_a_copy_that_follows_the_feed_has_the_rows_of_the_mirror(tmp_path: Path) -> None:
    company = Company()
    copy: dict[tuple[str, tuple[int, ...]], bytes | None] = {}
    async with Mirror(f"sqlite:///{tmp_path / 'deep' / 'mirror.sqlite'}") as mirror:
        first = await refresh(mirror, company)
        assert (first.format, first.files, first.complete) == ("mirror", {}, True)
        assert {entry.file for entry in first.datasets.values()} == {None}
        revision = applied(copy, await mirror.feed())
        company.now = NOW + DAY
        company.entries[0].description = "edited"
        company.entries[3].deleted, company.entries[3].at = True, company.now
        company.entries.append(Entry(100, FIRST, NOW))
        del company.lists["tags"][2]
        second = await refresh(mirror, company)
        assert second.update
        later = [change async for change in mirror.feed(after=revision)]
        assert [change.revision for change in later] == sorted(change.revision for change in later)
        changed = {(change.dataset, change.key, change.deleted) for change in later}
        assert changed >= {
            ("time_entries", (1,), False),
            ("time_entries", (4,), True),
            ("time_entries", (100,), False),
            ("tags", (3,), True),
        }
        assert len(changed) == 4  # nothing else was touched
        applied(copy, later)
        async with Mirror(tmp_path / "anew.sqlite") as fresh:
            await refresh(fresh, company)
            whole: dict[tuple[str, tuple[int, ...]], bytes | None] = {}
            applied(whole, await fresh.feed())
        assert copy == whole


async def test_a_run_that_ends_early_goes_on(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        company.refuse_the_token_at("/tags")
        with pytest.raises(LoginRefused):
            await refresh(mirror, company)
        with pytest.raises(InvalidInput, match="with another choice of datasets"):
            await refresh(mirror, company, ExportPlan(datasets=("tags",)))
        company.before = lambda path, body: None
        company.user = 8
        with pytest.raises(InvalidInput, match=r"mirror\.sqlite contains an export of another account"):
            await refresh(mirror, company)
        company.user = USER
        assert (await refresh(mirror, company)).complete
        with pytest.raises(InvalidInput, match="contains a finished export"):
            await refresh(mirror, company, update=False)
        assert len(company.asked("/organizations")) == 1


async def test_one_run_at_a_time_and_readers_meanwhile(tmp_path: Path) -> None:
    company = Company(200, days=1)
    seen: list[int] = []
    path = tmp_path / "mirror.sqlite"
    async with Mirror(path) as mirror, Mirror(path) as other:
        reading: list[asyncio.Task[None]] = []

        async def read() -> None:
            rows = await other.records("time_entries")
            (counted,) = await other.sql("SELECT COUNT(*) AS found FROM time_entries")
            seen.append(len(rows))
            assert len(rows) <= int(str(counted["found"]))
            with pytest.raises(InvalidInput, match="another run is writing to"):
                await refresh(other, company)
            with pytest.raises(InvalidInput, match="another run is writing to"):
                await other.forget(workspace=FIRST)

        def on_event(event: object) -> None:
            if isinstance(event, RowsWritten) and event.dataset == "time_entries" and len(reading) < 3:
                reading.append(asyncio.ensure_future(read()))

        await refresh(mirror, company, on_event=on_event)
        await asyncio.gather(*reading)
        assert len(await other.records("time_entries")) == 200
    assert len(seen) == 3


async def test_records_and_sql(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        entries = await mirror.records("time_entries", ExportedTimeEntry)
        assert [entry.id for entry in entries] == list(range(1, 25))
        tags = [tag async for tag in mirror.records("tags", Tag)]
        assert [tag.name for tag in tags] == [f"tags {number}" for number in range(1, 6)]
        with pytest.raises(InvalidInput, match="the rows of tags are Tag, not ExportedTimeEntry"):
            mirror.records("tags", ExportedTimeEntry)
        with pytest.raises(InvalidInput, match="unknown dataset 'novelties'"):
            mirror.records("novelties")
        rows = await mirror.sql(
            "SELECT workspace_id, SUM(seconds) AS seconds FROM time_entries WHERE workspace_id = ?",
            [SECOND],
        )
        assert rows == [{"workspace_id": SECOND, "seconds": sum(60 + one for one in range(3, 25, 3))}]
        with pytest.raises(InvalidInput, match="the mirror refuses the statement"):
            await mirror.sql("DELETE FROM time_entries")
        assert repr(mirror) == f"Mirror('{tmp_path / 'mirror.sqlite'}')"
        async with Mirror(tmp_path / "mirror.sqlite") as same, Mirror(tmp_path / "other.sqlite") as other:
            assert same.id == mirror.id != other.id


@pytest.mark.linux
async def test_a_reader_may_stop_before_the_end(tmp_path: Path) -> None:
    company = Company()
    path = tmp_path / "mirror.sqlite"
    async with Mirror(path) as mirror:
        await refresh(mirror, company)
        left = mirror.records("time_entries")
        assert (await anext(left)) is not None
        closed = mirror.feed()
        await anext(closed)
        await closed.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(closed)
    # `left` still reads: the mirror has closed what it reads from, so that the file is whole.
    assert [one.name for one in tmp_path.iterdir()] == ["mirror.sqlite"]
    await left.aclose()


async def test_what_is_forgotten_is_gone_and_told(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        await refresh(mirror, company)
        last = max(change.revision for change in await mirror.feed())
        with pytest.raises(InvalidInput, match="choose what to forget"):
            await mirror.forget()
        forgotten = await mirror.forget(workspace=SECOND)
        told = await mirror.feed(after=last)
        assert len(told) == forgotten > 8
        assert all(change.deleted and change.row is None for change in told)
        left = await mirror.records("time_entries", ExportedTimeEntry)
        assert {entry.workspace_id for entry in left} == {FIRST}
        early = (NOW - 100 * DAY).date()
        assert await mirror.forget(before=early) > 0
        (oldest,) = await mirror.sql("SELECT MIN(day) AS day FROM time_entries WHERE deleted_at IS NULL")
        assert str(oldest["day"]) >= early.isoformat()
        assert await mirror.forget(user=USER) >= 0


async def test_the_mirror_of_an_export_is_a_mirror(tmp_path: Path) -> None:
    company = Company()
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        await export(client, ExportPlan(), tmp_path / "export", format="csv")
    company.entries[0].description = "edited"
    async with Mirror(tmp_path / "export" / "mirror.sqlite") as mirror:
        assert (await refresh(mirror, company)).update
        (found,) = await mirror.sql("SELECT description FROM time_entries WHERE id = 1")
    assert found == {"description": "edited"}


@pytest.mark.linux
async def test_a_cancelled_refresh_leaves_a_mirror_that_goes_on(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        tasks: list[asyncio.Task[Manifest]] = []

        def stop(event: object) -> None:
            if isinstance(event, RowsWritten):
                tasks[0].cancel()

        tasks.append(asyncio.ensure_future(refresh(mirror, company, on_event=stop)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert (await refresh(mirror, company)).complete
    assert [path.name for path in tmp_path.iterdir()] == ["mirror.sqlite"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "a mirror needs a file"),
        ("sqlite:///", "a mirror needs a file"),
        ("sqlite:///:memory:", "a mirror needs a file"),
        ("mysql://somebody:secret@host/toggl", r"cannot keep a mirror in mysql://…; name a file"),
    ],
)
def test_what_names_no_mirror(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        Mirror(url)
    assert "secret" not in str(refused.value)


async def test_another_time_zone_of_the_profile_reads_everything_again(tmp_path: Path) -> None:
    company = Company()
    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        assert (await refresh(mirror, company)).timezone is None
        company.now = NOW + DAY
        assert (await refresh(mirror, company)).datasets["time_entries"].read_from is not None
        company.timezone = "Europe/Tallinn"
        again = await refresh(mirror, company)
        assert again.timezone == "Europe/Tallinn"
        assert again.datasets["time_entries"].read_from is None


async def test_a_mirror_can_be_opened_again(tmp_path: Path) -> None:
    company = Company()
    mirror = Mirror(tmp_path / "mirror.sqlite")
    async with mirror:
        await refresh(mirror, company)
    async with mirror:
        assert len(await mirror.records("tags")) == 5
    (tmp_path / "text").write_bytes(b"no database " * 100)
    with pytest.raises(InvalidInput, match="is not a mirror, because it is not a SQLite database"):
        async with Mirror(tmp_path / "text"):
            pass


async def test_a_run_whose_books_cannot_be_read_lets_go_of_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    async with Mirror(tmp_path / "mirror.sqlite") as mirror:
        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "standing", fails)
            with pytest.raises(OSError, match="Input/output error"):
                await refresh(mirror, Company())
        assert (await refresh(mirror, Company())).complete
