"""What an export names as the next step is run as it stands, where its tool is here."""

import secrets
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from psycopg.sql import SQL, Identifier

from support.export_company import Company
from support.export_updates import OPTIONS, run
from support.export_written import FORMATS
from support.postgres_server import PostgresServer
from toggl_async import ApiToken, TogglClient
from toggl_async.cli import main
from toggl_async.cli.report import next_steps
from toggl_async.export import ExportPlan, Manifest, Mirror
from toggl_async.export.mirror.urls import store_of

pytestmark = [pytest.mark.anyio, pytest.mark.jump, pytest.mark.linux]


def steps(place: str, manifest: Manifest) -> list[list[str]]:
    """The words of the next steps."""
    lines = next_steps(place, Path(place) / "mirror.sqlite", manifest)
    return [shlex.split(line.removeprefix("next: ")) for line in lines if line.startswith("next: ")]


async def refreshed(url: str | Path) -> Manifest:
    """Bring a company into a mirror."""
    async with (
        TogglClient(ApiToken("made-up"), transport=Company(), options=OPTIONS) as client,
        Mirror(url) as mirror,
    ):
        return await mirror.refresh(client, ExportPlan())


def output_of(words: list[str]) -> str:
    """What a command writes; DuckDB's is a package of its own, whose library runs the statement here."""
    tool, *arguments = words
    if tool == "duckdb" and shutil.which(tool) is None:
        path, statement = arguments
        with duckdb.connect(path, read_only=True) as database:
            return str(database.execute(statement).fetchall())
    if tool == "sqlite3" and shutil.which(tool) is None:  # pragma: no cover
        path, statement = arguments
        with closing(sqlite3.connect(path)) as connection:
            return str(connection.execute(statement).fetchall())
    command = [sys.executable if tool == "python" else tool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.sampled(2)
async def test_the_next_step_of_a_format(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / """Zoë's "hours" $HOME"""
    manifest = await run(Company(), place, form)
    opening, report = steps(str(place), manifest)
    for package in ("pandas", "polars"):
        if f"import {package}" in opening[-1]:
            pytest.importorskip(package)
    shown = output_of(opening)
    assert "24 rows" in shown or "(24, " in shown or "0.5" in shown
    assert report[:2] == ["toggl-async", "report"]
    assert main(report[1:]) == 0
    assert " 24 " in capsys.readouterr().out


async def test_the_next_step_of_a_file_for_excel(tmp_path: Path) -> None:
    manifest = await run(Company(), tmp_path / "export", "csv", excel=True)
    opening, _ = steps(str(tmp_path / "export"), manifest)
    tool, file, *_, program = opening
    assert (tool, Path(file).read_bytes()[:3], program) == ("open", b"\xef\xbb\xbf", "Excel")


async def test_the_next_step_of_a_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "toggl mirror.sqlite"
    manifest = await refreshed(path)
    opening, report = steps(str(path), manifest)
    assert opening[0] == "sqlite3"
    assert "0.5" in output_of(opening)
    assert main(report[1:]) == 0
    assert " 24 " in capsys.readouterr().out


@pytest.mark.parametrize("schema", ["", "?schema=acme", "?schema=Zo%C3%AB%27s%20%22hours%22"])
@pytest.mark.sampled(1)
async def test_the_next_step_of_a_mirror_in_postgresql(
    postgres: PostgresServer, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"next_{secrets.token_hex(8)}"
    with postgres.connect() as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = postgres.url(name) + schema
    opening, report = steps(store_of(url).name, await refreshed(url))
    assert opening[0] == "psql"
    assert "0.5" in output_of(opening)
    assert main(report[1:]) == 0
    assert " 24 " in capsys.readouterr().out


async def test_without_time_entries_there_is_nothing_to_open(tmp_path: Path) -> None:
    manifest = await run(Company(), tmp_path / "export", plan=ExportPlan(datasets=("tags",)))
    assert steps(str(tmp_path / "export"), manifest) == []
