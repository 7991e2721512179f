"""A path is a path: what a database would read as a URL names a file like any other."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from support.export_company import Company
from support.export_updates import run
from support.export_written import FORMATS, ids
from toggl_async import InvalidInput
from toggl_async.cli import main
from toggl_async.export import ExportPlan, Mirror

pytestmark = pytest.mark.anyio

NAMES = (
    "file:m?mode=memory",
    "file:m%2Esqlite",
    "file:",
    "a?b#c%20d",
    "-m",
    "md:m",
    "sqlite:m",
    "s3:m",
    "\udcff",
    ":memory:x",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everywhere(folder: Path) -> dict[str, int]:
    """The files below a directory, and who may read them."""
    return {
        os.fspath(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.linux
@pytest.mark.parametrize("name", NAMES)
async def test_a_mirror_is_kept_in_the_file_of_that_name(folder: Path, name: str) -> None:
    for place in (Path(name), f"./{name}", folder / name):
        async with Mirror(place) as mirror:
            assert await mirror.sql("SELECT COUNT(*) AS tags FROM tags") == [{"tags": 0}]
            assert {one.removesuffix("-wal").removesuffix("-shm") for one in everywhere(folder)} == {name}
            assert set(everywhere(folder).values()) == {0o600}
        assert everywhere(folder) == {name: 0o600}


@pytest.mark.linux
def test_the_path_of_a_url_is_one_too(folder: Path) -> None:
    async def create() -> None:
        async with Mirror("sqlite:///file:m%2Esqlite"):
            pass

    anyio.run(create)
    assert everywhere(folder) == {"file:m%2Esqlite": 0o600}
    assert main(["forget", "sqlite:///file:m%2Esqlite", "--user", "1"]) == 0


async def test_a_url_of_sqlite_is_refused_with_what_to_write_instead(folder: Path) -> None:
    other = folder / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE mine (a)")
    for url in (
        f"file:{other}",
        f"file:{other}?mode=rwc",
        "file::memory:",
        "file:",
        f"file:{other}?vfs=none",
    ):
        with pytest.raises(
            InvalidInput, match=r"^cannot keep a mirror in file:…; .* sqlite:///PATH, or the path"
        ):
            Mirror(url)
        for command in (["report"], ["feed"], ["forget", "--user", "1"]):
            assert main([*command, url]) == 2
    assert [path.name for path in folder.iterdir()] == ["other.sqlite"]


@pytest.mark.parametrize("name", ["\0", "m\0.sqlite", "\ud800", "sqlite:///\0"])
async def test_what_cannot_be_a_path_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^.* cannot be a path: "):
        Mirror(name)
    with pytest.raises(InvalidInput, match=r"^.* cannot be a path: "):
        await run(Company(), Path(name))
    assert not list(folder.iterdir())


@pytest.mark.linux
@pytest.mark.jump
@pytest.mark.parametrize("form", FORMATS)
async def test_an_export_goes_to_the_directory_of_that_name(folder: Path, form: str) -> None:
    company, plan = Company(), ExportPlan(datasets=("tags", "time_entries"))
    for name in NAMES:
        if form == "duckdb" and ("?" in name or name == "\udcff"):
            with pytest.raises(
                InvalidInput, match=r"DuckDB can't write to a path (with a question|that isn't)"
            ):
                await run(company, Path(name), form, plan)
            continue
        await run(company, Path(name), form, plan)
        assert ids(folder / name, form) == sorted(entry.id for entry in company.entries)
    assert set(everywhere(folder).values()) == {0o600}
