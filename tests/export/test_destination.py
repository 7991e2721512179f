import os
from pathlib import Path

import pytest

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
