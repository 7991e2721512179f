"""What only a store in a SQLite file does; what all stores do stands in test_store.py."""

import contextlib
import errno
import sqlite3
import stat
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.stores import ENTRIES, TAGS, commit, entry
from toggl_async.errors import ClientClosed, InvalidInput
from toggl_async.export.mirror import lock, sqlite
from toggl_async.export.mirror.lock import Lock
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "deep" / "mirror.sqlite")
    made.open()
    yield made
    made.close()


@pytest.mark.linux
def test_no_lock_is_left_behind(store: SqliteStore, tmp_path: Path) -> None:
    store.hold()
    assert list((tmp_path / "deep").glob("*.lock"))
    store.close()
    assert not list((tmp_path / "deep").glob("*.lock"))


@pytest.mark.linux
def test_a_lock_that_is_removed_while_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, really = Lock(tmp_path / "x"), lock._take
    removed: list[Path] = []

    def take(number: int) -> None:
        if not removed:
            removed.append(tmp_path / "x.lock")
            removed[0].unlink()
        really(number)

    monkeypatch.setattr(lock, "_take", take)
    held.take()
    assert (tmp_path / "x.lock").exists()
    held.let_go()
    with pytest.raises(InvalidInput, match="cannot write to"):
        Lock(tmp_path / "none" / "x").take()


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT abs(CASE id WHEN 1 THEN 1 ELSE -9223372036854775807 - 1 END) FROM tags ORDER BY id", ()),
        ("SELECT ?", (2**70,)),
        ("SELECT ?", ("\ud800",)),
        ("SELECT ?", ({},)),
        ("SELECT ?, ?", (1,)),
    ],
)
def test_what_a_statement_cannot_do_is_its_own_fault_at_whichever_row(
    store: SqliteStore, statement: str, parameters: Any
) -> None:
    store.commit(commit(TAGS, [Line(1, b'{"id":1}'), Line(2, b'{"id":2}')]))
    with (
        store.snapshot() as snapshot,
        pytest.raises(InvalidInput, match=r"^the mirror refuses the statement: "),
    ):
        list(snapshot.query(statement, parameters)[1])
    with store.snapshot() as snapshot:
        assert snapshot.count(TAGS) == 2


def test_a_file_that_is_damaged_below_a_statement_is_not_the_statements_fault(
    store: SqliteStore, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "mirror.sqlite"
    store.commit(
        commit(
            TAGS, [Line(number, b'{"id":%d,"name":"%s"}' % (number, b"x" * 3000)) for number in range(200)]
        )
    )
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        # Whole pages, or the text of a cell may be all that breaks.
        file.seek(path.stat().st_size // 2 >> 16 << 16)
        file.write(b"\xff" * 100_000)
    with store.snapshot() as snapshot, pytest.raises(OSError, match="malformed"):
        list(snapshot.query("SELECT length(raw), name FROM tags", ())[1])


def test_nobody_else_can_read_it(store: SqliteStore, tmp_path: Path) -> None:
    store.commit(commit(TAGS, [Line(1, b"{}")]))
    for path in (tmp_path / "deep").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_cannot_be_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database " * 100)
    (tmp_path / "folder").mkdir()
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE mine (id)")
    other.close()
    for name, message in (
        ("text", "text is not a mirror, because it is not a SQLite database"),
        ("folder", "cannot open .*folder as a mirror"),
        ("text/below", "cannot open .*below as a mirror"),
        ("other", "other is a database, but not a mirror of toggl_async"),
    ):
        store = SqliteStore(tmp_path / name)
        with pytest.raises(InvalidInput, match=message):
            store.open()
        with pytest.raises(ClientClosed, match="is not open"):
            store.sums()


@pytest.mark.parametrize(("message", "number"), [("database or disk is full", 28), ("something else", 5)])
def test_what_the_database_cannot_do_is_an_error_of_the_system(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, message: str, number: int
) -> None:
    def fails(*_: Any) -> None:
        raise sqlite3.OperationalError(message)

    with monkeypatch.context() as patch:
        patch.setattr(store, "upsert", fails)
        with pytest.raises(OSError, match=message) as caught:
            store.commit(commit(ENTRIES, [entry(1)]))
    assert caught.value.errno == number
    with store.snapshot() as snapshot:
        assert snapshot.count(ENTRIES) == 0


def test_a_file_that_another_program_is_only_beginning_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.05)
    path = tmp_path / "mirror.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="another program has locked the database") as caught:
            SqliteStore(path).connect()
        assert caught.value.errno == errno.EBUSY
        waits: list[float] = []

        def until_it_has_ended(seconds: float) -> None:
            waits.append(seconds)
            other.execute("ROLLBACK")

        clock = types.SimpleNamespace(monotonic=lambda: 0.0, sleep=until_it_has_ended)
        monkeypatch.setattr(sqlite, "time", clock)
        store = SqliteStore(path)
        store.connect()
        store.close()
    assert len(waits) == 1


def test_a_file_that_another_program_keeps_to_itself_is_not_read_without_its_log(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where no log can be opened is a file read without one; else what is in it would be missing."""
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.01)
    store.close()
    path = tmp_path / "deep" / "mirror.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("CREATE TABLE mine (id)")
        locked = pytest.raises(OSError, match="another program has locked the database")
        with locked as caught, SqliteStore(path).snapshot():
            pass
    assert caught.value.errno == errno.EBUSY
    with SqliteStore(path).snapshot() as snapshot:
        assert snapshot.count(TAGS) == 0
