"""Every format holds what `Table.values` says of each row, whatever the row is like."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.format_rows import FORMATS, cells_read, rows_of, write
from toggl_async.codec.apart import ESCAPES
from toggl_async.export.mirror.tables import ColumnType, Table, table
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
def test_every_row_is_there_cell_by_cell(form: str, data: st.DataObject) -> None:
    declared = table(data.draw(st.sampled_from(sorted(DATASETS))))
    lines = data.draw(st.lists(rows_of(declared), max_size=12))
    with tempfile.TemporaryDirectory() as name:
        assert write(Path(name), form, [(declared, lines)]) == {declared.name: len(lines)}
        found = cells_read(Path(name), form, declared)
    wanted = expected(form, declared, lines)
    assert found == wanted
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in wanted]


@pytest.mark.parametrize("name", DATASETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_fast_way_reads_what_the_tolerant_one_reads(name: str, data: st.DataObject) -> None:
    declared = table(name)
    line = data.draw(rows_of(declared))
    fast = declared._documented.cells(line)
    if fast is not None:
        tolerant = declared._odd(line)
        assert tolerant[-1] is None
        assert fast == tolerant[:-1]
        assert [type(cell) for cell in fast] == [type(cell) for cell in tolerant[:-1]]
        assert str(fast) == str(tolerant[:-1])  # -0.0, and moments with their offset
