"""Every format through its interface: what goes in comes out, what is removed is gone."""

import csv
import datetime as dt
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.export_written import FORMATS, ids, rows
from toggl_async.export.batches import _Channel
from toggl_async.export.formats import Commit, Sink, make
from toggl_async.export.formats._sinks.database import DatabaseSink
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.plan.datasets import Dataset, dataset
from toggl_async.export.rows import Line, stand_in

TAGS, USERS, ENTRIES = dataset("tags"), dataset("users"), dataset("time_entries")
ODD = stand_in(b'"odd"')


def commit(declared: Dataset, lines: Sequence[tuple[int, bytes]], removed: Sequence[int] = ()) -> Commit:
    return Commit(
        piece=declared.name,
        progress=Progress(rows=len(lines)),
        requests=7,
        dataset=declared,
        workspace_id=10,
        lines=[Line(number, data) for number, data in lines],
        removed=removed,
    )


def entry(number: int, seconds: object = 60, day: str = "2026-01-02") -> tuple[int, bytes]:
    text = (
        '{"id":%d,"workspace_id":10,"seconds":%s,"start":"%sT00:30:00+01:00","billable":true,"tag_ids":[1]}'
    )
    return number, (text % (number, "null" if seconds is None else seconds, day)).encode()


@pytest.fixture(params=FORMATS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return make(request.param, tmp_path)


def test_rows_are_added_replaced_and_removed(sink: Sink) -> None:
    assert not sink.open("run", update=()).progress
    sink.commit(commit(ENTRIES, [entry(1), entry(2), entry(3, None)]))
    sink.commit(commit(ENTRIES, [entry(2, 90), entry(4, day="2026-02-01")], removed=[1, 2]))
    sink.commit(commit(USERS, [(1, b'{"id":1,"workspace_id":10}'), (1, b'{"id":1,"workspace_id":20}')]))
    sink.commit(commit(USERS, [], removed=[1]))
    sink.commit(Commit(piece="totals", progress=Progress(done=True), requests=9))
    known = sorted((seen.id, seen.workspace_id, seen.day, seen.seconds) for seen in sink.known(ENTRIES))
    january = dt.date(2026, 1, 2)
    assert known == [(2, 10, january, 90), (3, 10, january, None), (4, 10, dt.date(2026, 2, 1), 60)]
    assert sorted(map(tuple, sink.sums(ENTRIES))) == [
        (10, january, 1, 90),
        (10, dt.date(2026, 2, 1), 1, 60),
    ]
    sink.stop()

    recovered = sink.open("run", update=())
    assert recovered.progress["totals"].done
    assert recovered.requests == 9
    for declared in (TAGS, USERS, ENTRIES):
        sink.finish(declared)
    assert sink.finish(ENTRIES).rows == 3
    sink.seal()
    sink.clean()
    assert ids(sink.directory, sink.format) == [2, 3, 4]
    assert [int(row["workspace_id"]) for row in rows(sink.directory, sink.format, "users")] == [20]
    assert rows(sink.directory, sink.format, "tags") == []
    assert {path.suffix for path in sink.directory.iterdir()} <= {f".{sink.format}"}


def test_odd_rows_are_kept(sink: Sink) -> None:
    sink.open("run", update=())
    odd = [(stand_in(row), row) for row in (b'"odd"', b'{"id":"x"}', b"[1]")]
    sink.commit(commit(TAGS, odd))
    sink.commit(commit(USERS, [*odd, (1, b'{"id":1,"workspace_id":10,"novelty":[1,null]}')]))
    sink.commit(commit(TAGS, odd[:1], removed=[odd[0][0]]))
    assert sorted(seen.id for seen in sink.known(TAGS)) == sorted(number for number, _ in odd)
    assert list(sink.sums(ENTRIES)) == []
    for declared in (TAGS, USERS):
        assert sink.finish(declared).rows == 3 + (declared is USERS)
    sink.seal()
    text = str(rows(sink.directory, sink.format, "users"))
    assert "novelty" in text
    assert "odd" in text


def test_an_update_changes_what_is_there(sink: Sink) -> None:
    sink.open("first", update=())
    sink.commit(commit(ENTRIES, [entry(1), entry(2), entry(3)]))
    sink.commit(commit(TAGS, [(ODD, b'"odd"'), (5, b'{"id":5,"workspace_id":10,"name":"\xc3\xbc"}')]))
    sink.commit(commit(USERS, [(1, b'{"id":1,"workspace_id":10}')]))
    every = [dataset(name) for name in ("tags", "users", "time_entries", "organizations", "workspaces")]
    for declared in every:
        sink.finish(declared)
    sink.seal()
    sink.clean()
    for _ in range(2):  # the second time it is taken up where it was left
        assert isinstance(sink.open("second", update=[declared.name for declared in every]).progress, dict)
        sink.commit(commit(ENTRIES, [entry(3, 99), entry(4)], removed=[2, 3, 4]))
        assert sorted((seen.id, seen.seconds) for seen in sink.known(ENTRIES)) == [(1, 60), (3, 99), (4, 60)]
        assert sorted(seen.id for seen in sink.known(TAGS)) == [ODD, 5]
        sink.stop()
    sink.open("second", update=[declared.name for declared in every])
    sink.commit(commit(USERS, [], removed=[1]))
    assert [sink.finish(declared).rows for declared in every] == [2, 0, 3, 0, 0]
    sink.seal()
    assert ids(sink.directory, sink.format) == [1, 3, 4]


def test_cells_of_csv(tmp_path: Path) -> None:
    sink = make("csv", tmp_path)
    sink.open("run", update=())
    sink.commit(commit(ENTRIES, [entry(1)]))
    project = b'{"id":1,"name":"a \\"b\\"\\n,c","active":false,"rate":1.5,"start_date":"2026-01-01"}'
    sink.commit(commit(dataset("projects"), [(1, project)]))
    sink.finish(ENTRIES)
    sink.finish(dataset("projects"))
    (row,) = rows(tmp_path, "csv", "time_entries")
    assert row["start"] == "2026-01-02T00:30:00+01:00"
    assert (row["day"], row["billable"], row["tag_ids"], row["stop"]) == ("2026-01-02", "true", "[1]", "")
    (row,) = rows(tmp_path, "csv", "projects")
    assert (row["name"], row["active"], row["rate"]) == ('a "b"\n,c', "false", "1.5")
    assert row["start_date"] == "2026-01-01"
    data = (tmp_path / "time_entries.csv").read_bytes()
    assert data.count(b"\r\n") == 2
    assert next(csv.reader(data.decode().splitlines()))[0] == "id"
    sink.stop()


def test_types_of_databases(tmp_path: Path) -> None:
    for form in ("sqlite", "duckdb"):
        sink = make(form, tmp_path)
        sink.open("run", update=())
        sink.commit(commit(ENTRIES, [entry(1)]))
        sink.seal()
    (row,) = rows(tmp_path, "sqlite", "time_entries")
    assert (row["start"], row["day"], row["billable"]) == ("2026-01-01T23:30:00Z", "2026-01-02", 1)
    (row,) = rows(tmp_path, "duckdb", "time_entries")
    assert row["start"] == dt.datetime(2026, 1, 1, 23, 30, tzinfo=dt.UTC)
    assert (row["day"], row["tag_ids"]) == (dt.date(2026, 1, 2), [1])
    (row,) = rows(tmp_path, "duckdb", "time_entries_named")
    assert row["workspace_name"] is None


@pytest.mark.parametrize("form", ["sqlite", "duckdb"])
@pytest.mark.parametrize(("message", "number"), [("database or disk is full", 28), ("something else", 5)])
def test_what_a_database_cannot_do_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, message: str, number: int
) -> None:
    sink = make(form, tmp_path)
    assert isinstance(sink, DatabaseSink)
    with pytest.raises(RuntimeError, match="not open"):
        sink.commit(commit(ENTRIES, [entry(1)]))
    assert sink.stop() == {}
    sink.open("run", update=())

    def fails(*_: Any) -> None:
        raise sink.failures(message)

    with monkeypatch.context() as patch:
        patch.setattr(sink, "insert", fails)
        with pytest.raises(OSError, match=message) as caught:
            sink.commit(commit(ENTRIES, [entry(1)]))
    assert caught.value.errno == number
    assert list(sink.known(ENTRIES)) == []
    sink.stop()


def test_a_finished_database_whose_manifest_is_missing_is_taken_up(tmp_path: Path) -> None:
    sink = make("sqlite", tmp_path)
    sink.open("run", update=())
    sink.commit(commit(ENTRIES, [entry(1)]))
    sink.seal()
    assert "time_entries" in sink.open("run", update=()).progress
    sink.stop()
    with sqlite3.connect(tmp_path / "toggl.sqlite.partial") as database:
        assert database.execute("SELECT COUNT(*) FROM time_entries").fetchone() == (1,)
    database.close()


def test_a_stream_of_batches_is_a_sink_that_keeps_nothing() -> None:
    channel = _Channel()
    assert isinstance(channel, Sink)
    assert not channel.open("", update=()).progress
    assert (list(channel.known(TAGS)), list(channel.sums(ENTRIES)), channel.stop()) == ([], [], {})
    channel.seal()
    channel.clean()
    channel.commit(commit(TAGS, []))
    assert channel.batches.empty()
