"""What each format makes of its file: names, types, views, modes, and faults of the disk."""

import csv
import datetime as dt
import errno
import io
import json
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.format_rows import FORMATS, cells_read, write
from support.pairs import first_of
from toggl_async.errors import InvalidInput
from toggl_async.export.formats import Format, format_named
from toggl_async.export.formats.csv_files import Csv
from toggl_async.export.mirror.tables import table
from toggl_async.export.plan.datasets import DATASETS

ENTRIES, PROJECTS, TAGS = table("time_entries"), table("projects"), table("tags")
DATABASES = ("sqlite", "duckdb")


def entry(number: int, **fields: object) -> bytes:
    row = {
        "id": number,
        "workspace_id": 10,
        "seconds": 60,
        "start": "2026-01-02T00:30:00+01:00",
        "billable": True,
        "tag_ids": [1],
    }
    return json.dumps(row | fields).encode()


def file_of(directory: Path, form: str, name: str = "time_entries") -> Path:
    made = format_named(form)
    return directory / f"{name if made.per_dataset else 'toggl'}{made.suffix}"


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_says_what_it_is(form: str) -> None:
    made = format_named(form)
    assert isinstance(made, Format)
    assert (made.name, made.suffix, made.per_dataset) == (form, f".{form}", form not in DATABASES)


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(InvalidInput, match="unknown format 'xml'; choose one of jsonl, csv"):
        format_named("xml")


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_spreadsheets_open_csv_alone(form: str) -> None:
    with pytest.raises(InvalidInput, match=f"excel .* needs the format csv, not {form}"):
        format_named(form, excel=True)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_format_whose_package_is_missing(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"parquet": "parquet", "duckdb": "duck"}[form]
    package = {"parquet": "pyarrow", "duckdb": "duckdb"}[form]
    for name in ("arrow", module):
        monkeypatch.delitem(sys.modules, f"toggl_async.export.formats.{name}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InvalidInput, match=rf"{package} is not installed; .* the extra '{form}': .*\[{form}\]"
    ):
        format_named(form)


def test_duckdb_is_written_without_pyarrow(tmp_path: Path) -> None:
    script = f"""
        import sys
        sys.modules["pyarrow"] = None
        from pathlib import Path
        from toggl_async.export.formats import format_named
        from toggl_async.export.mirror.tables import table
        rows = [{entry(1)!r}]
        file = Path({str(tmp_path / "toggl.duckdb")!r})
        print(format_named("duckdb").write(file, [(table("time_entries"), rows)]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("{'time_entries': 1}\n", "")
    assert len(cells_read(tmp_path, "duckdb", ENTRIES)) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_dataset_without_rows(form: str, tmp_path: Path) -> None:
    assert write(tmp_path, form, [(TAGS, [])]) == {"tags": 0}
    assert cells_read(tmp_path, form, TAGS) == []
    assert [path.name for path in tmp_path.iterdir()] == [file_of(tmp_path, form, "tags").name]


@pytest.mark.parametrize("form", first_of(FORMATS))
def test_more_rows_than_go_into_a_portion(form: str, tmp_path: Path) -> None:
    lines = [entry(number, description="x" * (1 + number % 7 * 1000)) for number in range(5000)]
    assert write(tmp_path, form, [(ENTRIES, lines)]) == {"time_entries": 5000}
    assert cells_read(tmp_path, form, ENTRIES) == list(map(ENTRIES.values, lines))


@pytest.mark.parametrize("form", first_of(FORMATS))
def test_a_row_of_megabytes(form: str, tmp_path: Path) -> None:
    lines = [entry(number, description=str(number) * 5_000_000) for number in range(3)]
    write(tmp_path, form, [(ENTRIES, lines)])
    assert cells_read(tmp_path, form, ENTRIES) == list(map(ENTRIES.values, lines))


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_as_many_as_were_given(form: str, tmp_path: Path) -> None:
    twice = [b'{"id":1,"name":"a"}', b'{"id":1,"name":"a"}', b'"odd"', b'"odd"']
    assert write(tmp_path, form, [(TAGS, twice)]) == {"tags": 4}
    assert len(cells_read(tmp_path, form, TAGS)) == 4


@pytest.mark.parametrize("form", FORMATS)
def test_files_are_for_their_owner_alone(form: str, tmp_path: Path) -> None:
    write(tmp_path, form, [(ENTRIES, [entry(1)])])
    assert stat.S_IMODE(file_of(tmp_path, form).stat().st_mode) == 0o600


@pytest.mark.parametrize("form", FORMATS)
def test_what_an_earlier_run_left_under_the_name_is_gone(form: str, tmp_path: Path) -> None:
    file = file_of(tmp_path, form)
    file.write_bytes(b"left " * 10_000)
    file.with_name(file.name + ".wal").write_bytes(b"left by a run that was killed")
    write(tmp_path, form, [(ENTRIES, [entry(1)])])
    assert cells_read(tmp_path, form, ENTRIES) == [ENTRIES.values(entry(1))]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_that_cannot_be_had(form: str, tmp_path: Path) -> None:
    def rows() -> Iterator[bytes]:
        yield entry(1)
        raise sqlite3.OperationalError("the store's own fault")

    made = format_named(form)
    with pytest.raises(sqlite3.OperationalError, match="the store's own fault"):
        made.write(file_of(tmp_path, form), [(ENTRIES, rows())])


@pytest.mark.parametrize("form", FORMATS)
def test_a_place_where_nothing_can_be_written(form: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        format_named(form).write(tmp_path / "none" / "file", [(ENTRIES, [entry(1)])])


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_cannot_grow_any_more(form: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    chance = random.Random(7)
    lines = [entry(number, description=chance.randbytes(200).hex()) for number in range(5000)]
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - systems and libraries word it differently
            write(tmp_path, form, [(ENTRIES, lines)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert type(caught.value) is OSError
    assert caught.value.errno in {errno.ENOSPC, errno.EFBIG, errno.EIO}


@pytest.mark.parametrize("form", DATABASES)
@pytest.mark.parametrize(
    ("message", "number"),
    [
        ("database or disk is full", errno.ENOSPC),
        ("attempt to write a readonly database", errno.EROFS),
        ("something else", errno.EIO),
    ],
)
def test_what_a_database_cannot_do_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, message: str, number: int
) -> None:
    made: Any = format_named(form)

    def fails(*_: Any) -> None:
        raise made.failures(message)

    monkeypatch.setattr(made, "insert", fails)
    with pytest.raises(OSError, match=message) as caught:
        made.write(tmp_path / "toggl", [(ENTRIES, [entry(1)])])
    assert (caught.value.errno, caught.value.filename) == (number, os.fspath(tmp_path / "toggl"))


@pytest.mark.parametrize("form", DATABASES)
def test_a_database_that_cannot_be_prepared_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    closed = []

    class Refusing:
        def execute(self, query: str, parameters: Any = ()) -> None:
            raise made.failures(f"{query} is refused")

        def close(self) -> None:
            closed.append(form)

    def connected(path: str | Path, **_: Any) -> Refusing:
        Path(path).touch()
        return Refusing()

    made: Any = format_named(form)
    monkeypatch.setattr(sqlite3 if form == "sqlite" else duckdb, "connect", connected)
    with pytest.raises(OSError, match="is refused"):
        made.write(tmp_path / "toggl", [(ENTRIES, [entry(1)])])
    assert closed == [form]


def test_cells_of_csv(tmp_path: Path) -> None:
    project = b'{"id":1,"name":"a \\"b\\"\\n,c","active":false,"rate":1.5,"start_date":"2026-01-01"}'
    write(tmp_path, "csv", [(ENTRIES, [entry(1, at="2026-01-02T00:31:00Z")]), (PROJECTS, [project])])
    (row,) = _dicts(tmp_path / "time_entries.csv")
    assert row["start"] == "2026-01-02T00:30:00+01:00"
    assert row["at"] == "2026-01-02T00:31:00+00:00"
    assert (row["day"], row["billable"], row["tag_ids"], row["stop"]) == ("2026-01-02", "true", "[1]", "")
    (row,) = _dicts(tmp_path / "projects.csv")
    assert (row["name"], row["active"], row["rate"]) == ('a "b"\n,c', "false", "1.5")
    assert row["start_date"] == "2026-01-01"
    data = (tmp_path / "time_entries.csv").read_bytes()
    assert data.count(b"\r\n") == 2
    assert data.startswith(b"id,workspace_id,")


FORMULAS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1+1": "'-1+1",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "\n1": "'\n1",
    "\uff1d1+1": "'\uff1d1+1",
    " =1": "' =1",
    "\0=1": "'\0=1",
    "\v=1": "'\v'=1",
    "\xa0=1": "'\xa0=1",
    "\u200b\ufeff=1": "'\u200b\ufeff=1",
    "x;=cmd|calc": "x;'=cmd|calc",
    'x; "=1"': 'x;\' "=1"',
    "x;\ufeff-1; y": "x;'\ufeff-1; y",
    "x\t=1\r\n@y\u2028+1": "x\t'=1\r\n'@y\u2028'+1",
    "Łukasz = 1; 'x' - y, =z": "Łukasz = 1; 'x' - y, =z",
}


def test_csv_for_people(tmp_path: Path) -> None:
    file = tmp_path / "time_entries.csv"
    lines = [entry(-number, description=text, seconds=-60) for number, text in enumerate(FORMULAS, start=1)]
    lines.append(entry(99, tag_names=["=1", "x;=1"], novelty="x;=1"))
    assert Csv(excel=True).write(file, [(ENTRIES, lines)]) == {"time_entries": len(FORMULAS) + 1}
    data = file.read_bytes()
    assert data.startswith(b'\xef\xbb\xbf"id",')
    rows = _dicts(file)
    assert [row["description"] for row in rows[:-1]] == list(FORMULAS.values())
    assert [row["id"] for row in rows] == [*(str(-number) for number in range(1, len(FORMULAS) + 1)), "99"]
    assert {row["seconds"] for row in rows} == {"-60", "60"}
    assert (rows[-1]["tag_names"], rows[-1]["extra"]) == ('["=1","x;\'=1"]', '{"novelty":"x;\'=1"}')


@given(st.text(st.sampled_from("ab1,;\t\n\r\v\x1c\u2028\"' \0\u200b\ufeff=+-@\uff1d")))
def test_no_program_that_splits_csv_for_people_sees_a_formula(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "time_entries.csv"
        line = entry(1, description=text, project_name=text, tag_names=[text])
        Csv(excel=True).write(file, [(ENTRIES, [line])])
        table = file.read_bytes().decode("utf-8-sig")
    (row,) = _dicts_of(table)
    cells = [*row.values(), *re.split(r"[;\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]", table)]
    assert not [cell for cell in cells if cell.strip(' \0\u200b\ufeff"')[:1] in [*"=+-@\uff1d"]]
    assert row["description"].replace("'", "") == text.replace("'", "")


def test_csv_for_people_keeps_decimals_and_defuses_odd_rows(tmp_path: Path) -> None:
    file = tmp_path / "projects.csv"
    Csv(excel=True).write(file, [(PROJECTS, [b'{"id":1,"rate":-1.5,"name":"-x"}', b"-5"])])
    first, second = _dicts(file)
    assert (first["rate"], first["name"], second["extra"]) == ("-1.5", "'-x", "'-5")


def _dicts(path: Path) -> list[dict[str, str]]:
    return _dicts_of(path.read_bytes().decode("utf-8-sig"))


def _dicts_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_types_of_parquet(tmp_path: Path) -> None:
    write(tmp_path, "parquet", [(ENTRIES, [entry(1)])])
    schema = pq.read_schema(tmp_path / "time_entries.parquet")
    types = {name: str(schema.field(name).type) for name in ("id", "start", "day", "tag_names", "billable")}
    assert types == {
        "id": "int64",
        "start": "timestamp[us, tz=UTC]",
        "day": "date32[day]",
        "tag_names": "list<element: string>",
        "billable": "bool",
    }
    assert (
        pq.ParquetFile(tmp_path / "time_entries.parquet").metadata.row_group(0).column(0).compression
        == "ZSTD"
    )


def _queried(directory: Path, form: str, query: str) -> list[tuple[Any, ...]]:
    if form == "sqlite":
        with closing(sqlite3.connect(directory / "toggl.sqlite")) as database:
            return database.execute(query).fetchall()
    with duckdb.connect(str(directory / "toggl.duckdb"), read_only=True) as opened:
        return list(opened.execute(query).fetchall())


def test_types_of_databases(tmp_path: Path) -> None:
    for form in DATABASES:
        write(tmp_path, form, [(ENTRIES, [entry(1)])])
    query = "SELECT start, day, billable, tag_ids FROM time_entries"
    assert _queried(tmp_path, "sqlite", query) == [("2026-01-01T23:30:00Z", "2026-01-02", 1, "[1]")]
    ((start, *others),) = _queried(tmp_path, "duckdb", query)
    assert start == dt.datetime(2026, 1, 1, 23, 30, tzinfo=dt.UTC)
    assert others == [dt.date(2026, 1, 2), True, [1]]
    declared = _queried(
        tmp_path,
        "duckdb",
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE table_name = 'time_entries' AND column_name IN ('id', 'start', 'tag_names', 'extra') "
        "ORDER BY column_name",
    )
    assert declared == [
        ("extra", "JSON"),
        ("id", "BIGINT"),
        ("start", "TIMESTAMP WITH TIME ZONE"),
        ("tag_names", "VARCHAR[]"),
    ]


@pytest.mark.parametrize("form", DATABASES)
def test_a_database_has_every_table_and_the_names_of_now(form: str, tmp_path: Path) -> None:
    write(
        tmp_path,
        form,
        [
            (table("workspaces"), [b'{"id":10,"name":"Home"}']),
            (table("clients"), [b'{"id":5,"wid":10,"name":"New client"}']),
            (
                PROJECTS,
                [
                    b'{"id":1,"workspace_id":10,"name":"New name","client_id":5}',
                    b'{"id":2,"workspace_id":10,"name":"Lost its client","client_id":null}',
                    b'{"id":3,"workspace_id":10,"name":"Its client is gone","client_id":6}',
                ],
            ),
            (TAGS, [b'{"id":1,"workspace_id":10,"name":"x"}']),
            (ENTRIES, [entry(number, project_id=number, client_name="Then") for number in (1, 2, 3, 4)]),
        ],
    )
    found = _queried(
        tmp_path,
        form,
        "SELECT id, current_project_name, current_client_name, workspace_name, current_tag_names "
        "FROM time_entries_named ORDER BY id",
    )
    tags: Any = '["x"]' if form == "sqlite" else ["x"]
    assert found == [
        (1, "New name", "New client", "Home", tags),
        (2, "Lost its client", None, "Home", tags),
        (3, "Its client is gone", "Then", "Home", tags),
        (4, None, "Then", "Home", tags),
    ]
    for name in DATASETS:
        assert _queried(tmp_path, form, f"SELECT COUNT(*) FROM {name}")


def test_sqlite_finds_a_row_by_its_key(tmp_path: Path) -> None:
    write(tmp_path, "sqlite", [(ENTRIES, [entry(1)])])
    ((*_, plan),) = _queried(tmp_path, "sqlite", "EXPLAIN QUERY PLAN SELECT * FROM time_entries WHERE id = 1")
    assert "USING INDEX time_entries_key" in plan


def test_duckdb_is_written_for_older_versions(tmp_path: Path) -> None:
    write(tmp_path, "duckdb", [(ENTRIES, [entry(1)])])
    ((version,),) = _queried(
        tmp_path,
        "duckdb",
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'toggl'",
    )
    assert version.startswith("v1.2")


def test_what_duckdb_refuses_to_call_json_stands_there_as_a_string(tmp_path: Path) -> None:
    write(tmp_path, "duckdb", [(TAGS, [rb'{"id":1,"name":"\ud800"}', b'{"id":2,"novelty":1e999}'])])
    (broken,), (huge,) = _queried(tmp_path, "duckdb", "SELECT extra FROM tags ORDER BY id")
    assert json.loads(json.loads(broken).replace("\\ud800", "?")) == {"id": 1, "name": "?"}
    assert huge == '{"novelty":1e999}'
