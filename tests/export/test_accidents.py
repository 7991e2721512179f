"""Accidents in the middle of a run, in both stores: a typed error, and the next run goes on from there."""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, SECOND, Company
from support.pairs import first_of
from support.postgres_server import PASSWORD, REASON, PostgresServer, is_missing, postgres_server
from toggl_async import ApiToken, ClientOptions, InvalidInput, Pace, Retry, TogglClient
from toggl_async.errors import ConnectionFailed
from toggl_async.export import ExportPlan, Manifest, Mirror
from toggl_async.export.mirror.urls import store_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

OPTIONS = ClientOptions(pace=Pace(interval=0.001), retry=Retry(attempts=2))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A mirror that isn't there yet, in each kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mirror.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_url()


async def refresh(company: Company, url: str, **options: Any) -> Manifest:
    async with (
        TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client,
        Mirror(url) as mirror,
    ):
        return await mirror.refresh(client, ExportPlan(), **options)


async def everything(url: str) -> list[tuple[Any, ...]]:
    async with Mirror(url) as mirror:
        return sorted((one.dataset, one.key, one.deleted, one.row or b"") for one in await mirror.feed())


def on_request(number: int, do: Callable[[], httpx.Response | None]) -> Callable[[str, Any], Any]:
    """Do something at a request, the n-th from now, and at each one after it."""
    asked = 0

    def before(path: str, body: Any) -> httpx.Response | None:
        nonlocal asked
        asked += 1
        return do() if asked >= number else None

    return before


async def goes_on(company: Company, url: str, tmp_path: Path) -> None:
    """Make sure that the next run asks for no page again that was committed, and ends with everything."""
    company.before = lambda path, body: None
    committed = set()
    store = store_of(url)
    for name, progress in store.open().progress.items():
        if progress.done and name.count("/") == 1:
            committed.add(name)
    store.close()
    company.log.clear()
    manifest = await refresh(company, url)
    assert (manifest.complete, manifest.totals_agree) == (True, True)
    asked = Counter("/".join(path.split("/")[-1:-3:-1]) for path, _ in company.log)
    assert not [name for name in committed if asked[name]]
    whole = f"sqlite:///{tmp_path}/whole.sqlite"
    await refresh(company, whole)
    assert await everything(url) == await everything(whole)


@pytest.mark.parametrize("number", first_of([14, 2, 6, 22]))
async def test_the_network_is_lost(url: str, tmp_path: Path, number: int) -> None:
    company = Company()

    def lost() -> httpx.Response:
        raise httpx.ConnectError("network is unreachable")

    company.before = on_request(number, lost)
    with pytest.raises(ConnectionFailed):
        await refresh(company, url)
    await goes_on(company, url, tmp_path)


@pytest.mark.slow
async def test_the_disk_of_a_server_is_full(postgres: PostgresServer, tmp_path: Path) -> None:
    url, company = postgres.new_url(), Company()
    store = store_of(url)
    store.open()
    store.close()
    schema = url.rpartition("=")[2]
    with postgres.connect() as connection:
        connection.execute(
            f"CREATE FUNCTION {schema}.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF (SELECT COUNT(*) FROM {schema}.time_entries) > 5 THEN RAISE EXCEPTION "
            "'could not extend file: No space left on device' USING ERRCODE = '53100'; "
            "END IF; RETURN NEW; END $$".encode()
        )
        connection.execute(
            f"CREATE TRIGGER disk BEFORE INSERT ON {schema}.time_entries "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.disk_is_full()".encode()
        )
        with pytest.raises(OSError, match="No space left on device") as caught:
            await refresh(company, url)
        assert caught.value.errno == errno.ENOSPC
        connection.execute(f"DROP FUNCTION {schema}.disk_is_full() CASCADE".encode())
    await goes_on(company, url, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(is_missing(), reason=REASON)
@pytest.mark.parametrize("update", [False, True])
async def test_a_server_is_started_anew_midway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: bool
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    company = Company()
    with postgres_server() as server:
        url = server.new_url()
        if update:
            await refresh(company, url)
            company.entries[3].deleted = True
        restarted = False

        def restart() -> None:
            nonlocal restarted
            if not restarted:
                server.stop()
                server.start()
                restarted = True

        company.before = on_request(9, restart)
        with pytest.raises(ConnectionResetError) as caught:
            await refresh(company, url)
        assert caught.value.filename == store_of(url).name
        company.before = lambda path, body: None
        manifest = await refresh(company, url)
        assert (manifest.complete, manifest.totals_agree) == (True, True)
        there = {
            key
            for dataset, key, deleted, _ in await everything(url)
            if dataset == "time_entries" and not deleted
        }
    assert there == {(entry.id,) for entry in company.entries if not entry.deleted}


@pytest.mark.slow
async def test_a_second_run_at_once_is_refused(url: str, tmp_path: Path) -> None:
    company = Company()
    outcomes = await asyncio.gather(refresh(company, url), refresh(company, url), return_exceptions=True)
    (refused,) = (one for one in outcomes if isinstance(one, BaseException))
    assert isinstance(refused, InvalidInput)
    assert "another run is writing to" in str(refused)
    assert [one.complete for one in outcomes if isinstance(one, Manifest)] == [True]
    await refresh(company, f"sqlite:///{tmp_path}/whole.sqlite")
    assert await everything(url) == await everything(f"sqlite:///{tmp_path}/whole.sqlite")


def test_both_workspaces_have_lists() -> None:
    assert {row["workspace_id"] for row in Company().lists["tags"]} == {FIRST, SECOND}
