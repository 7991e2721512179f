"""A pipe where a file is written: refused at once, and left where it is."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from support.export_company import Company
from support.export_updates import run
from support.stores import TAGS, commit
from toggl_async import InvalidInput
from toggl_async.cli import main
from toggl_async.export import Mirror
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.storage import PARTIAL, replace, write_atomically
from toggl_async.export.rows import Line

pytestmark = [pytest.mark.anyio, pytest.mark.linux]


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def is_pipe(path: Path) -> bool:
    return stat.S_ISFIFO(path.stat().st_mode)


def test_a_state_that_is_no_file_is_refused_before_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SqliteStore(tmp_path / "mirror.sqlite")
    store.open()
    store.commit(commit(TAGS, [Line(1, b'{"id":1}')]))
    store.close()
    state = pipe(tmp_path / "state")
    (tmp_path / "link").symlink_to(state)
    for name in ("state", "link"):
        assert main(["feed", str(store.path), "--state", str(tmp_path / name)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err == (
            f"toggl-async: cannot write {tmp_path / name}: it is not a regular file; name a file of its own\n"
        )
    assert is_pipe(state)


@pytest.mark.jump
@pytest.mark.parametrize("name", ["mirror.sqlite", "manifest.json", "tags.jsonl"])
async def test_an_export_goes_into_files(tmp_path: Path, name: str) -> None:
    await run(Company(), tmp_path)
    pipe(tmp_path / name)
    with pytest.raises(InvalidInput, match=rf"{name} is not a regular file.*: move it away$"):
        await run(Company(), tmp_path)
    assert is_pipe(tmp_path / name)


async def test_a_mirror_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot open .*m\.sqlite as a mirror: it is not a regular file"):
        async with Mirror(pipe(tmp_path / "m.sqlite")):
            raise AssertionError
    assert is_pipe(tmp_path / "m.sqlite")


def _replace(path: Path) -> None:
    draft = path.with_name("draft")
    draft.write_bytes(b"new")
    replace(draft, path)


@pytest.mark.parametrize("write", [lambda path: write_atomically(path, b"new"), _replace])
def test_nothing_but_a_file_is_replaced(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = pipe(tmp_path / "file")
    with pytest.raises(FileExistsError, match="it is not a regular file"):
        write(path)
    assert is_pipe(path)


def test_nothing_is_written_into_a_pipe_that_has_the_name_of_a_draft(tmp_path: Path) -> None:
    draft = pipe(tmp_path / f"file{PARTIAL}")
    with pytest.raises(FileExistsError, match="it is not a regular file"):
        write_atomically(tmp_path / "file", b"new")
    assert is_pipe(draft)
