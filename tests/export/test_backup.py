"""Backups of a live mirror, by the commands of docs/export.md."""

import os
import re
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.export_company import NOW, Company
from support.export_updates import OPTIONS
from support.postgres_server import PASSWORD, PostgresServer
from support.programs import blocks
from toggl_async import ApiToken, TogglClient
from toggl_async.export import Change, ExportPlan, Manifest, Mirror

pytestmark = [pytest.mark.anyio, pytest.mark.jump, pytest.mark.linux]

TEXT = (Path(__file__).parent.parent.parent / "docs" / "export.md").read_text("utf-8")
(PART,) = re.findall(r"^### Back up a live mirror\n(.*?)(?=^##)", TEXT, re.DOTALL | re.MULTILINE)


async def refresh(mirror: Mirror, company: Company) -> Manifest:
    async with TogglClient(ApiToken("made-up"), transport=company, options=OPTIONS) as client:
        return await mirror.refresh(client, ExportPlan())


async def changes(mirror: Mirror) -> list[Change]:
    return await mirror.feed()


def sh(script: str, folder: Path, **environment: str) -> None:
    """Run commands of the page as they stand."""
    subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="sqlite3 is not installed")
async def test_a_copy_is_made_of_a_live_mirror(tmp_path: Path) -> None:
    company = Company()
    path, copy = tmp_path / "toggl-export" / "mirror.sqlite", tmp_path / "toggl-backup.sqlite"
    (script,) = blocks(PART, "sh")
    async with Mirror(path) as mirror:
        await refresh(mirror, company)
        reading = mirror.feed()  # what is committed from now on stands in the log
        await anext(reading)
        company.entries[0].description, company.entries[0].at = "the last commit", NOW
        await refresh(mirror, company)
        assert path.with_name("mirror.sqlite-wal").stat().st_size > 0
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with closing(sqlite3.connect(path, isolation_level=None)) as writing:
            writing.execute("BEGIN IMMEDIATE")
            writing.execute("DELETE FROM time_entries")
            sh(script, tmp_path)
            writing.execute("ROLLBACK")
        await reading.aclose()
        expected = await changes(mirror)
        name = mirror.id
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    async with Mirror(copy) as mirror:
        assert mirror.id == name
        assert await changes(mirror) == expected
        assert any(b"the last commit" in (change.row or b"") for change in expected)
        assert (await refresh(mirror, company)).update


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump is not installed")
async def test_a_schema_is_dumped_and_restored(postgres: PostgresServer, tmp_path: Path) -> None:
    company = Company()
    dump, restore = re.findall(r"`((?:pg_dump|psql) [^`]*acme\.sql)`", PART)
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE reports")
    url = postgres.url("reports", "acme")
    places = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "toggl", "PGPASSWORD": PASSWORD}
    async with Mirror(url) as mirror:
        await refresh(mirror, company)
        expected = await changes(mirror)
        sh(dump, tmp_path, **places)
    with postgres.connect("reports") as connection:
        connection.execute("DROP SCHEMA acme CASCADE")
    sh(restore, tmp_path, **places)
    async with Mirror(url) as mirror:
        assert await changes(mirror) == expected
        assert (await refresh(mirror, company)).update
