import os
from pathlib import Path

import pytest

from toggl_async.errors import InvalidInput
from toggl_async.export.formats import FORMATS, Sink, make
from toggl_async.export.mirror.destination import HEADER, check_destination
from toggl_async.export.mirror.lock import LOCK, locked
from toggl_async.export.mirror.storage import digest, write_atomically


def test_an_export_that_was_killed_in_its_first_moment_can_begin_again(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / f"{HEADER}.partial").write_bytes(b'{"ru')
    check_destination(tmp_path)
    write_atomically(tmp_path / HEADER, b"{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, HEADER]


def test_what_cannot_be_a_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_destination(tmp_path / "new" / "deep")
    check_destination(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is not empty and does not contain an export"):
        check_destination(tmp_path)
    check_destination(tmp_path, subfolders=True)
    (tmp_path / HEADER).touch()
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


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InvalidInput, match="Permission denied"), locked(tmp_path / "new"):
        pass


def test_a_lock_is_let_go_of(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            locked(tmp_path / "deep" / "new"),
            pytest.raises(InvalidInput, match="another export"),
            locked(tmp_path / "deep" / "new"),
        ):
            pass
    assert list((tmp_path / "deep" / "new").iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "m.json", b"{}\n")
    write_atomically(tmp_path / "m.json", b"[]\n")
    assert (tmp_path / "m.json").read_bytes() == b"[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]
    assert digest(tmp_path / "m.json").startswith("37517e5f3dc66819")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_sink(tmp_path: Path, name: str) -> None:
    sink = make(name, tmp_path)
    assert isinstance(sink, Sink)
    assert sink.format == name
    assert not isinstance(object(), Sink)


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown format 'xml'; choose one of jsonl, csv"):
        make("xml", tmp_path)
