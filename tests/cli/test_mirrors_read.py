"""The commands that read a mirror, where there is none: one clear line, and nothing is made."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from support.stores import TAGS, commit
from toggl_async.cli import main
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line


def nothing(_: Path) -> None: ...


def empty_file(folder: Path) -> None:
    (folder / "m.sqlite").touch()


def other_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "m.sqlite")) as other:
        other.execute("CREATE TABLE mine (a)")


def newer_mirror(folder: Path) -> None:
    made(folder / "m.sqlite")
    with closing(sqlite3.connect(folder / "m.sqlite")) as store:
        store.execute("UPDATE mirror_state SET value = '99' WHERE name = 'schema'")
        store.commit()


def made(path: Path) -> Path:
    store = SqliteStore(path)
    store.open()
    store.commit(commit(TAGS, [Line(1, b'{"id":1}')]))
    store.close()
    return path


@pytest.mark.parametrize("command", ["feed", "report"])
@pytest.mark.parametrize(
    ("before", "place", "message"),
    [
        (nothing, "{folder}/m.sqlite", "there is no mirror at {folder}/m.sqlite; `toggl-async export`"),
        (nothing, "sqlite:///{folder}/m.sqlite", "there is no mirror at {folder}/m.sqlite"),
        (nothing, "sqlite:///{folder}/a/b/m.sqlite", "there is no mirror at {folder}/a/b/m.sqlite"),
        (nothing, "{folder}/a/b/m.sqlite", "there is no mirror at {folder}/a/b/m.sqlite"),
        (nothing, "{folder}", "there is no mirror at {folder}/mirror.sqlite"),
        (nothing, "sqlite:///{folder}", "there is no mirror at {folder}"),
        (nothing, "sqlite:///{folder}/m.sqlite?mode=ro", "sqlite:///PATH takes no parameters"),
        (nothing, "postgresql://ann:hunter2@host/toggl", "the URL contains a password"),
        (empty_file, "{folder}/m.sqlite", "there is no mirror at {folder}/m.sqlite"),
        (empty_file, "sqlite:///{folder}/m.sqlite", "there is no mirror at {folder}/m.sqlite"),
        (other_database, "{folder}/m.sqlite", "there is no mirror at {folder}/m.sqlite"),
        (newer_mirror, "{folder}/m.sqlite", "is a mirror of schema 99, made by a newer version"),
    ],
)
def test_what_is_no_mirror_is_refused_and_stays_as_it_is(
    command: str,
    before: Callable[[Path], None],
    place: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before(tmp_path)
    content = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([command, place.format(folder=tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert message.format(folder=tmp_path) in printed.err
    assert "hunter2" not in printed.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == content


@pytest.mark.parametrize("command", ["feed", "report"])
def test_a_mirror_is_read_as_it_is(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path / "mirror.sqlite")
    content = path.read_bytes()
    assert main([command, str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == content
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    capsys.readouterr()
    assert main([command, str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "it is damaged: restore a copy, or remove it" in printed.err


def test_a_state_that_cannot_be_kept_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(tmp_path / "mirror.sqlite")
    state = tmp_path / "none" / "state.json"
    assert main(["feed", str(path), "--state", str(state)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"toggl-async: cannot write {state}: there is no directory {state.parent}\n"
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda *_, **__: False)
        assert main(["feed", str(path), "--state", str(tmp_path / "state.json")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{tmp_path} is not a directory that you can write to" in printed.err


def test_a_state_that_a_full_disk_does_not_take_says_so_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path, state = made(tmp_path / "mirror.sqlite"), tmp_path / "state.json"
    monkeypatch.setattr("toggl_async.cli.feed.write_atomically", full)
    assert main(["feed", str(path), "--state", str(state)]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1])["revision"] == 1
    assert printed.err == (
        f"toggl-async: cannot write {state}: No space left on device; the next run repeats these lines\n"
    )
