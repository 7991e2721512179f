"""What stands in a mirror's place or near it, and mirrors that can't be written or are damaged."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from support.stores import TAGS, commit
from toggl_async.cli import main
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line
from toggl_async.sandbox import Sandbox

READERS = ["feed", "report"]


@pytest.fixture
def exported(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["export", "--out", str(out), "--format", "sqlite"]) == 0
    capsys.readouterr()
    return out


@pytest.mark.parametrize(
    "command", [["feed"], ["report"], ["forget", "--user", "1"], ["export", "--update", "--to"]]
)
@pytest.mark.sampled(1)
def test_a_file_of_an_export_is_not_taken_for_a_damaged_mirror(
    exported: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("manifest.json", "toggl.sqlite"):
        path = exported / name
        content = path.read_bytes()
        place = f"sqlite:///{path}" if command[0] == "export" else str(path)
        assert main([*command, place]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert "damaged" not in told.err
        assert (
            f"the mirror is {exported / 'mirror.sqlite'}: name that, or the directory {exported}" in told.err
        )
        assert path.read_bytes() == content


@pytest.mark.parametrize("command", READERS)
def test_any_other_file_is_no_mirror(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("not a database")
    assert main([command, str(tmp_path / "notes.txt")]) == 2
    assert "notes.txt is not a mirror, because it is not a SQLite database; if it was one" in (
        capsys.readouterr().err
    )


def lose_a_table(mirror: Path) -> None:
    with contextlib.closing(sqlite3.connect(mirror)) as database:
        database.execute("DROP TABLE tags")


def lose_a_page(mirror: Path) -> None:
    content = bytearray(mirror.read_bytes())
    content[8192 : len(content)] = b"\xff" * (len(content) - 8192)
    mirror.write_bytes(content)


@pytest.mark.parametrize("damage", [lose_a_table, lose_a_page])
@pytest.mark.sampled(1)
def test_a_damaged_mirror_gets_one_advice(
    exported: Path, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    damage(exported / "mirror.sqlite")
    for command in (
        ["export", "--out", str(exported), "--update"],
        ["export", "--to", f"sqlite:///{exported / 'mirror.sqlite'}"],
        ["forget", str(exported), "--workspace", "1"],
        ["feed", str(exported)],
        ["report", str(exported), "--by", "tag"],
    ):
        assert main(command) in {1, 2}
        told = capsys.readouterr().err
        assert (
            told.count("it is damaged: restore a copy, or remove it, and the next run reads everything") == 1
        )
        assert "same command" not in told
        assert "Errno" not in told


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror beside which SQLite can't make its log, as on a read-only file system."""
    path = tmp_path / "mirror.sqlite"
    store = SqliteStore(path)
    store.open()
    store.commit(commit(TAGS, [Line(1, b'{"id":1}')]))
    store.close()
    (tmp_path / "mirror.sqlite-wal").symlink_to(tmp_path / "none" / "log")
    return path


@pytest.mark.parametrize("command", READERS)
def test_a_mirror_is_read_where_nothing_can_be_written(
    command: str, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(mirror)]) == 0
    told = capsys.readouterr()
    assert told.out
    if command == "feed":
        assert [json.loads(line).get("key") for line in told.out.splitlines()] == [{"id": 1}, None]
    assert len(list(mirror.parent.iterdir())) == 2
    unable = pytest.raises(sqlite3.OperationalError, match="unable to open database file")
    with contextlib.closing(sqlite3.connect(mirror)) as database, unable:
        database.execute("SELECT * FROM tags")


@pytest.mark.parametrize("command", READERS)
def test_a_log_that_cannot_be_read_is_told_of(
    command: str, mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = mirror.parent / "mirror.sqlite-wal"
    log.unlink()
    log.write_bytes(b"x" * 64)
    (mirror.parent / "mirror.sqlite-shm").symlink_to(mirror.parent / "none" / "index")
    assert main([command, str(mirror)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "its latest changes are in mirror.sqlite-wal, and reading them requires" in told.err
    assert "copy mirror.sqlite and mirror.sqlite-wal to one, and read the copy" in told.err


def test_a_mirror_that_changes_while_it_is_read_without_a_lock_is_told_of(mirror: Path) -> None:
    store = SqliteStore(mirror)
    with pytest.raises(OSError, match="another program changed the mirror during the read"):  # noqa: SIM117
        with store.snapshot():
            mirror.write_bytes(mirror.read_bytes() + b"x")


@pytest.mark.parametrize("command", READERS)
def test_a_mirror_of_somebody_else_is_told_of(
    command: str, mirror: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert main([command, str(mirror)]) == 1
    assert "you lack permission to read the file" in capsys.readouterr().err
