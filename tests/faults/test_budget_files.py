"""Files that a budget is named, and that are none, or never can be."""

import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from support.budget_steps import process_of, seen
from toggl_async import BudgetError, FileBudget
from toggl_async.scheduler.budgets.shared import SharedHolder

pytestmark = pytest.mark.anyio


def nobody(_account: str) -> None:
    pass


async def used(path: Path) -> SharedHolder:
    holder = FileBudget(path).open(nobody)
    try:
        await seen(holder, process_of(holder))
    finally:
        await holder.aclose()
    return holder


@pytest.mark.parametrize("content", [b"my notes\n", b"x" * 10_000, b"SQLite format 3\0", b"a" * 16])
async def test_a_file_that_never_was_a_budget_is_left_alone(tmp_path: Path, content: bytes) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(content)
    with pytest.raises(BudgetError, match=r"notes.txt is not a budget of toggl_async"):
        await used(notes)
    assert notes.read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("sign", ["mark", "life"])
async def test_a_budget_whose_head_is_damaged_is_set_aside(
    tmp_path: Path, sign: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "budget.sqlite"
    await used(path)
    content = bytearray(path.read_bytes())
    content[: 60 if sign == "mark" else 100] = b"x" * (60 if sign == "mark" else 100)
    path.write_bytes(content)
    if sign == "mark":
        for one in tmp_path.glob("*.life*"):
            one.unlink()
    assert not (await used(path)).away
    assert "was set aside" in caplog.text


@pytest.mark.parametrize("table", ["clock", "accounts"])
@pytest.mark.parametrize("change", ["DROP TABLE {}", "ALTER TABLE {} RENAME TO other"])
async def test_a_budget_without_its_tables_is_set_aside(
    tmp_path: Path, table: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "budget.sqlite"
    await used(path)
    raw = sqlite3.connect(path)
    raw.execute(change.format(table))
    raw.close()
    assert not (await used(path)).away
    assert "was set aside" in caplog.text


async def test_a_link_to_a_file_that_is_not_there_is_where_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there" / "budget.sqlite")
    assert not (await used(tmp_path / "link")).away
    assert (tmp_path / "there" / "budget.sqlite").is_file()
    assert (tmp_path / "link").is_symlink()


def in_a_circle(folder: Path) -> Path:
    (folder / "circle").symlink_to(folder / "circle")
    return folder / "circle"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def socket_file(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s"))
    return folder / "s"


@pytest.mark.parametrize("make", [in_a_circle, too_long, pipe, socket_file])
async def test_a_path_that_never_can_be_a_budget_is_refused_at_once(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(BudgetError, match=r"cannot be used as a budget|not a regular file"):
        await used(path)
