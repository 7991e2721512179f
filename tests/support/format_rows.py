"""Rows of every kind that Toggl may send, and files read back cell by cell as `Table.values` has them."""

import csv
import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from hypothesis import strategies as st

from toggl_async.export.formats import FORMATS, format_named
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import DAY, EXTRA, Table

__all__ = ["FORMATS", "cells_read", "odd_rows", "rows_of", "write"]

Cells = list[list[Any]]

_SCALARS = (
    "null",
    "true",
    "0",
    "-0",
    "-0.0",
    "1.0",
    "1e2",
    "1e999",
    "5e-324",
    "9007199254740993",
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
    "1" * 400,
    '""',
    '"null"',
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\ud83d\\ude00 \U0001f600 \ufffe"',
    '"=1+1"',
    '"a,\\"b\\";\\r\\n\\t\'c\'"',
    "{}",
    "[]",
    "[1,null]",
    '["a",1]',
    '{"a":1,"a":[1e999,"\\ud800"]}',
    "[" * 150 + "]" * 150,
    '"infinity"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59Z"',
    '"2026-01-02T03:04:05"',
    '"2026-01-02t03:04:05z"',
    '"2026-01-02 03:04:05.1234567+0130"',
    '"20260102T030405Z"',
    '"2026-W01-5T03:04:05Z"',
    '"2026-01-02T03:04+01:00:30"',
    '"2026-01-02T03:04:05+24:00"',
    '"2026-02-30T03:04:05Z"',
    '"2026-02-30"',
    '"20260102"',
)
"""JSON that one decoder or another takes differently."""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_integers = st.integers(-(2**63), 2**63 - 1)
_texts = st.text(st.characters(codec="utf-8"), max_size=8)
_offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))
)
_moments = st.datetimes(
    dt.datetime(2, 1, 1),  # noqa: DTZ001 - the zones are drawn
    dt.datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=_offsets,
)
_days = st.dates()

_DOCUMENTED: dict[ColumnType, st.SearchStrategy[str]] = {
    ColumnType.INTEGER: _integers.map(str),
    ColumnType.NUMBER: st.one_of(st.floats(allow_nan=False, allow_infinity=False), _integers).map(_json),
    ColumnType.BOOLEAN: st.sampled_from(["true", "false"]),
    ColumnType.TEXT: _texts.map(_json),
    ColumnType.MOMENT: _moments.map(lambda moment: _json(moment.isoformat())),
    ColumnType.DAY: _days.map(lambda day: _json(day.isoformat())),
    ColumnType.INTEGERS: st.lists(_integers, max_size=3).map(_json),
    ColumnType.TEXTS: st.lists(_texts, max_size=3).map(_json),
    ColumnType.JSON: st.recursive(
        st.none() | st.booleans() | _integers | _texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
        max_leaves=4,
    ).map(_json),
}


def rows_of(declared: Table) -> st.SearchStrategy[bytes]:
    """Rows of a dataset: as documented, with odd, unknown and doubled fields, and of other shapes."""
    columns = [column for column in declared.columns if column.name not in {DAY, EXTRA}]
    fields = [
        st.tuples(st.just(column.wire), st.just("null") | _DOCUMENTED[column.kind]) for column in columns
    ]
    names = sorted({column.name for column in declared.columns} | {c.wire for c in columns})
    odd = st.tuples(
        st.sampled_from(
            [*names, *sorted(declared.record.legacy_names), "novelty", "a\\u0000b", "\\ud800", ""]
        ),
        st.sampled_from(_SCALARS) | _DOCUMENTED[ColumnType.JSON],
    )

    def joined(pairs: Sequence[tuple[str, str]]) -> bytes:
        return ("{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}").encode()

    def some(taken: set[int]) -> st.SearchStrategy[bytes]:
        return st.tuples(*(fields[place] for place in sorted(taken))).map(joined)

    places = st.sets(st.integers(0, len(fields) - 1), max_size=6).map(lambda found: found | {0})
    documented = places.flatmap(some)
    mixed = st.tuples(documented, st.lists(odd, min_size=1, max_size=3), st.booleans()).map(
        lambda parts: _with(parts[0], joined(parts[1]), first=parts[2])
    )
    other = st.sampled_from([value.encode() for value in _SCALARS])
    return st.one_of(documented, mixed, other)


def odd_rows(declared: Table) -> list[bytes]:
    """A row for each column and each value that one decoder or another takes differently."""
    return [
        b'{"%b":%b}' % (column.wire.encode(), value.encode())
        for column in declared.columns
        for value in _SCALARS
    ]


def _with(row: bytes, more: bytes, *, first: bool) -> bytes:
    """The fields of two rows; those of one name are there twice."""
    one, two = (more, row) if first else (row, more)
    return one[:-1] + b"," + two[1:]


def write(directory: Path, form: str, tables: Sequence[tuple[Table, Sequence[bytes]]]) -> dict[str, int]:
    """Write datasets in a format, to the files that an export has; returns the rows that it counts."""
    made = format_named(form)
    if not made.per_dataset:
        return made.write(directory / f"toggl{made.suffix}", iter(tables))
    counts: dict[str, int] = {}
    for declared, lines in tables:
        counts |= made.write(directory / f"{declared.name}{made.suffix}", [(declared, iter(lines))])
    return counts


def cells_read(directory: Path, form: str, declared: Table) -> Cells:
    """The cells of every row of a file, in the types of `Table.values`."""
    return [list(row) for row in _READ[form](directory, declared)]


def _from_jsonl(directory: Path, declared: Table) -> Iterator[Sequence[Any]]:
    data = (directory / f"{declared.name}.jsonl").read_bytes()
    assert data.endswith(b"\n") or not data
    return map(declared.values, data.split(b"\n")[:-1])


def _from_csv(directory: Path, declared: Table) -> Iterator[Sequence[Any]]:
    csv.field_size_limit(2**31 - 1)
    with (directory / f"{declared.name}.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        assert next(rows) == [column.name for column in declared.columns]
        for row in rows:
            yield [
                _CSV[column.kind](text) if text else None
                for column, text in zip(declared.columns, row, strict=True)
            ]


def _from_parquet(directory: Path, declared: Table) -> Iterator[Sequence[Any]]:
    found = pq.read_table(directory / f"{declared.name}.parquet")
    assert found.column_names == [column.name for column in declared.columns]
    return zip(*(column.to_pylist() for column in found.columns), strict=True)


def _from_sqlite(directory: Path, declared: Table) -> Iterator[Sequence[Any]]:
    with closing(sqlite3.connect(directory / "toggl.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for row in database.execute(f"SELECT * FROM {declared.name} ORDER BY rowid"):
            yield [
                _SQLITE.get(column.kind, _as_it_is)(cell) if cell is not None else None
                for column, cell in zip(declared.columns, row, strict=True)
            ]


def _from_duckdb(directory: Path, declared: Table) -> Iterator[Sequence[Any]]:
    columns = ", ".join(
        f'epoch_us("{column.name}")' if column.kind is ColumnType.MOMENT else f'"{column.name}"'
        for column in declared.columns
    )
    with duckdb.connect(str(directory / "toggl.duckdb"), read_only=True) as database:
        for row in database.execute(f"SELECT {columns} FROM {declared.name} ORDER BY rowid").fetchall():
            yield [
                _EPOCH + dt.timedelta(microseconds=cell)
                if column.kind is ColumnType.MOMENT and cell is not None
                else cell
                for column, cell in zip(declared.columns, row, strict=True)
            ]


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _as_it_is(cell: Any) -> Any:
    return cell


_CSV: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.INTEGER: int,
    ColumnType.NUMBER: float,
    ColumnType.BOOLEAN: {"true": True, "false": False}.__getitem__,
    ColumnType.TEXT: str,
    ColumnType.MOMENT: dt.datetime.fromisoformat,
    ColumnType.DAY: dt.date.fromisoformat,
    ColumnType.INTEGERS: json.loads,
    ColumnType.TEXTS: json.loads,
    ColumnType.JSON: str,
}

_SQLITE: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.BOOLEAN: bool,
    ColumnType.MOMENT: dt.datetime.fromisoformat,
    ColumnType.DAY: dt.date.fromisoformat,
    ColumnType.INTEGERS: json.loads,
    ColumnType.TEXTS: json.loads,
}

_READ: dict[str, Callable[[Path, Table], Iterator[Sequence[Any]]]] = {
    "jsonl": _from_jsonl,
    "csv": _from_csv,
    "parquet": _from_parquet,
    "sqlite": _from_sqlite,
    "duckdb": _from_duckdb,
}
