import os
from pathlib import Path

import attrs
import pytest

from toggl_async.export.mirror.journal import Appender, Journal


@attrs.frozen
class Entry:
    text: str


def entries(path: Path) -> list[str]:
    journal = Journal(path, Entry)
    found = [entry.text for entry in journal.open()]
    journal.close()
    return found


def written(path: Path, *texts: str) -> None:
    journal = Journal(path, Entry)
    journal.open()
    for text in texts:
        journal.append(Entry(text))
    journal.close()
    journal.close()


def test_what_was_appended_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, "a", "ü")
    written(path, "c")
    assert entries(path) == ["a", "ü", "c"]


def test_every_way_to_be_cut_off_loses_the_last_entry_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, "first", "second")
    data = path.read_bytes()
    whole = data.index(b"\n") + 1
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert entries(path) == (["first"] if size >= whole else [])
        assert path.stat().st_size == (whole if size >= whole else 0)
        written(path, "third")
        assert entries(path)[-1] == "third"


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, "first", "second", "third")
    path.write_bytes(path.read_bytes().replace(b"second", b"sEcond"))
    assert entries(path) == ["first"]


def test_a_journal_must_be_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        Journal(tmp_path / "log", Entry).append(Entry("x"))


def test_an_append_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    file = Appender(path, 0)
    file.append(b"kept")
    really = os.write

    def half(number: int, data: memoryview) -> int:
        if len(data) < 3:
            raise OSError(28, "No space left on device")
        return really(number, data[: len(data) - 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        file.append(b"rows and more rows")
    assert path.read_bytes() == b"kept"
    monkeypatch.undo()
    file.append(b", more")
    file.close()
    assert path.read_bytes() == b"kept, more"


def test_an_appender_cuts_a_file_off(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"committed, not committed")
    file = Appender(path, 9)
    assert path.read_bytes() == b"committed"
    assert file.size == 9
    file.close()
