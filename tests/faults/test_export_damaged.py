"""Files of a finished export that somebody damaged: an update reads them as a whole again."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.export_company import NOW, Company
from support.export_updates import run
from support.export_written import FORMATS, everything
from support.pairs import pairs
from toggl_async import InvalidInput

pytestmark = [pytest.mark.anyio, pytest.mark.jump]


def _as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere") / "file")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "byte order mark": lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()),
    "semicolons": lambda path: path.write_bytes(path.read_bytes().replace(b",", b";")),
    "empty": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"junk\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "edited": lambda path: path.write_bytes(path.read_bytes().replace(b"Zo", b"Jo")),
    "other encoding": lambda path: path.write_bytes(b"\xff\xfe" + 2 * path.read_bytes()),
    "directory": _as_directory,
    "dangling link": _as_dangling_link,
}


def file_of(directory: Path, form: str) -> Path:
    return directory / (f"toggl.{form}" if form in {"sqlite", "duckdb"} else f"time_entries.{form}")


@pytest.mark.parametrize(("form", "damage"), pairs(FORMATS, DAMAGE))
@pytest.mark.sampled(2)
async def test_a_damaged_file_is_read_as_a_whole_again(tmp_path: Path, form: str, damage: str) -> None:
    company = Company(6)
    company.entries[3].seconds = 0  # no total tells of it
    await run(company, tmp_path, form)
    before = everything(tmp_path, form)
    DAMAGE[damage](file_of(tmp_path, form))
    company.now = NOW + dt.timedelta(days=1)
    manifest = await run(company, tmp_path, form, recheck=0)
    assert manifest.complete
    assert everything(tmp_path, form) == before
    assert (await run(company, tmp_path, form)).complete


async def test_a_file_that_cannot_be_read_is_read_from_toggl_again(tmp_path: Path) -> None:
    company = Company(6)
    await run(company, tmp_path)
    before = everything(tmp_path, "jsonl")
    path = file_of(tmp_path, "jsonl")
    path.unlink()
    path.symlink_to(path)
    company.now = NOW + dt.timedelta(days=1)
    assert (await run(company, tmp_path, recheck=0)).complete
    assert everything(tmp_path, "jsonl") == before


async def test_a_directory_that_is_not_empty_is_named(tmp_path: Path) -> None:
    company = Company(3)
    await run(company, tmp_path)
    path = file_of(tmp_path, "jsonl")
    _as_directory(path)
    (path / "mine").touch()
    with pytest.raises(InvalidInput, match=r"time_entries\.jsonl is a directory"):
        await run(company, tmp_path)


async def test_a_list_that_is_empty_replaces_what_was_damaged(tmp_path: Path) -> None:
    company = Company(3)
    await run(company, tmp_path)
    (tmp_path / "clients.jsonl").write_bytes(b"junk")
    company.lists["clients"].clear()
    assert (await run(company, tmp_path)).complete
    assert (tmp_path / "clients.jsonl").read_bytes() == b""
