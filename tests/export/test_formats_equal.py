"""Every format holds what `Table.values` says of each row, whatever the row is like."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.format_rows import FORMATS, cells_read, odd_rows, rows_of, write
from toggl_async.codec.apart import ESCAPES
from toggl_async.export.mirror.cells import ColumnType
from toggl_async.export.mirror.tables import Table, table
from toggl_async.export.plan.datasets import DATASETS

FEW = settings(max_examples=25, deadline=None)
"""Each example is a file, and databases are slow to be made."""


def expected(form: str, declared: Table, lines: Sequence[bytes]) -> list[list[Any]]:
    """What `Table.values` says, less what a format cannot tell apart."""
    rows = []
    for line in lines:
        row: list[Any] = list(declared.values(line))
        for place, column in enumerate(declared.columns):
            if form == "csv" and row[place] == "" and column.kind is ColumnType.TEXT:
                row[place] = None
            if form == "duckdb" and column.kind is ColumnType.JSON and not _is_unicode(row[place]):
                row[place] = json.dumps(row[place], ensure_ascii=False)
        rows.append(row)
    return rows


def _is_unicode(text: Any) -> bool:
    """Whether JSON stands for characters alone, and not for half of one."""
    return text is None or not any(found["lone"] for found in ESCAPES.finditer(text.encode()))


@pytest.mark.parametrize("form", FORMATS)
@FEW
@given(data=st.data())
@pytest.mark.sampled(1)
def test_every_row_is_there_cell_by_cell(form: str, data: st.DataObject) -> None:
    declared = table(data.draw(st.sampled_from(sorted(DATASETS))))
    lines = data.draw(st.lists(rows_of(declared), max_size=12))
    with tempfile.TemporaryDirectory() as name:
        assert write(Path(name), form, [(declared, lines)]) == {declared.name: len(lines)}
        found = cells_read(Path(name), form, declared)
    wanted = expected(form, declared, lines)
    assert found == wanted
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in wanted]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["projects", "time_entries"])
@pytest.mark.sampled(2)
def test_every_odd_value_of_every_column_is_there(form: str, name: str, tmp_path: Path) -> None:
    declared = table(name)
    lines = odd_rows(declared)
    assert write(tmp_path, form, [(declared, lines)]) == {name: len(lines)}
    assert cells_read(tmp_path, form, declared) == expected(form, declared, lines)


def is_read_fast_and_the_same(declared: Table, line: bytes) -> bool:
    """Hold what the fast way reads, if it does, against what the tolerant way reads; say whether it does."""
    columns = declared._documented.columns([line])
    if columns is not None:
        fast = [cell for (cell,) in columns]
        *tolerant, extra = declared._odd(line)
        assert extra is None
        assert fast == tolerant
        assert list(map(type, fast)) == list(map(type, tolerant))
        assert str(fast) == str(tolerant)  # -0.0, and moments with their offset
    return columns is not None


@pytest.mark.parametrize("name", DATASETS)
def test_the_fast_way_reads_odd_values_as_the_tolerant_one_does(name: str) -> None:
    read = [is_read_fast_and_the_same(table(name), line) for line in odd_rows(table(name))]
    assert any(read)
    assert not all(read)


@pytest.mark.parametrize("name", DATASETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.sampled(2)
def test_the_fast_way_reads_what_the_tolerant_one_reads(name: str, data: st.DataObject) -> None:
    is_read_fast_and_the_same(table(name), data.draw(rows_of(table(name))))
