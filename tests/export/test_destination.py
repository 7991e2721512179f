import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from support.export_company import Company
from support.export_updates import run
from support.export_written import FORMATS, rows
from toggl_async.errors import InvalidInput
from toggl_async.export.mirror.destination import MIRROR, check_destination
from toggl_async.export.mirror.storage import digest, write_atomically


def test_what_cannot_be_a_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_destination(tmp_path / "new" / "deep")
    check_destination(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is not empty and does not contain an export"):
        check_destination(tmp_path)
    check_destination(tmp_path, subfolders=True)
    (tmp_path / MIRROR).touch()
    check_destination(tmp_path)
    with pytest.raises(InvalidInput, match="is not a directory"):
        check_destination(tmp_path / "file")
    with pytest.raises(InvalidInput, match="cannot write to"):
        check_destination(tmp_path / "file" / "below")
    with pytest.raises(InvalidInput, match="cannot write to"):
        check_destination(tmp_path / ("x" * 300) / "below")
    monkeypatch.setattr(os, "access", lambda path, mode, **options: False)  # test_faults has the real thing
    with pytest.raises(InvalidInput, match="not a directory that you can write to"):
        check_destination(tmp_path / "new")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "m.json", b"{}\n")
    write_atomically(tmp_path / "m.json", b"[]\n")
    assert (tmp_path / "m.json").read_bytes() == b"[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
    assert digest(tmp_path / "m.json").startswith("37517e5f3dc66819")


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_directory_that_has_the_name_of_a_file(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    for name in ("tags.jsonl", "users.jsonl"):
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    (tmp_path / "users.jsonl" / "kept").touch()
    with pytest.raises(InvalidInput, match=r"users\.jsonl is a directory, but a file is expected there"):
        await run(Company(), tmp_path)
    (tmp_path / "users.jsonl" / "kept").unlink()
    await run(Company(), tmp_path)
    assert len(rows(tmp_path, "jsonl", "users")) == 7


@pytest.mark.anyio
@pytest.mark.jump
async def test_every_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    for form in FORMATS:
        await run(Company(), tmp_path / form, form)
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / form).iterdir()} == {0o600}


@pytest.mark.anyio
@pytest.mark.jump
async def test_books_that_nobody_can_read(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    with closing(sqlite3.connect(tmp_path / MIRROR)) as database:
        database.execute("UPDATE mirror_state SET value = 'odd' WHERE name = 'finished'")
        database.commit()
    with pytest.raises(InvalidInput, match="cannot read "):
        await run(Company(), tmp_path)


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_manifest_that_nobody_can_read(tmp_path: Path) -> None:
    await run(Company(), tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(b"{")
    with pytest.raises(InvalidInput, match=r"manifest\.json is damaged: .*; remove that file, and run the"):
        await run(Company(), tmp_path)
    manifest.write_bytes(b"{}")
    with pytest.raises(InvalidInput, match=r"manifest\.json is damaged: .*; remove that file, and run the"):
        await run(Company(), tmp_path)
    manifest.write_bytes(b'{"toggl_async": "0.0.1"}')
    with pytest.raises(InvalidInput, match=r"made by another version of toggl_async$"):
        await run(Company(), tmp_path)
    manifest.unlink()
    manifest.mkdir()
    with pytest.raises(InvalidInput, match=r"cannot read .*manifest\.json: Is a directory"):
        await run(Company(), tmp_path)
    manifest.rmdir()
    assert (await run(Company(), tmp_path)).complete
