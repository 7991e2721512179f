"""Rows that move between pages while they are read: none is lost without a word, and none comes twice."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from support.export_company import FIRST, Company
from support.export_updates import run
from support.export_written import ids
from support.servers import Asked, http_server
from support.support_wire import QUICK, TOKEN
from toggl_async import ApiToken, PagingError, TogglClient
from toggl_async.export import ExportPlan

pytestmark = pytest.mark.anyio

DAYS: dict[str, Any] = {"start_date": dt.date(2026, 1, 1), "end_date": dt.date(2026, 1, 31)}


@attrs.define
class Book:
    """Rows in pages of three, and what happens to them before each page but the first is read.

    Attributes:
        rows: ids, in their order.
        happens: is handed the rows before each page but the first; the number of the page is counted on.
        total: what the server says of the length of the list; None for the truth.
    """

    rows: list[int]
    happens: Callable[["Book"], object] = lambda book: None
    total: int | None = None
    grouped: bool = False
    announces: bool = True
    asked: int = 0

    def answer(self, asked: Asked) -> None:
        self.asked += 1
        query = httpx.URL(f"http://x{asked.target}").params
        if self.asked > 1:
            self.happens(self)
        total = len(self.rows) if self.total is None else self.total
        if "reports" in asked.target:
            row = json.loads(asked.body).get("first_row_number", 1)
        else:
            row = (int(query["page"]) - 1) * 3 + 1
        shown, left = self.rows[row - 1 : row + 2], self.rows[row + 2 :]
        if "reports" in asked.target:
            follows: dict[str, Any] = {"X_Next_Row_Number": row + 3} if left else {}
            if left and self.announces:
                follows["X_Next_ID"] = left[0]
            rows = [{"user_id": 1, "time_entries": [{"id": one} for one in self._ids(one)]} for one in shown]
            asked.answer(body=json.dumps(rows).encode(), **follows)
        elif "users" in asked.target:
            counts: dict[str, Any] = {"X_Pages": -(-len(self.rows) // 3), "X_Records": total}
            asked.answer(
                body=json.dumps([{"id": one, "email": "a@b.example"} for one in shown]).encode(), **counts
            )
        else:
            page = {"data": [{"id": one, "name": "x"} for one in shown], "per_page": 3, "total_count": total}
            asked.answer(body=json.dumps(page).encode())

    def _ids(self, one: int) -> list[int]:
        return [one, one + 1000] if self.grouped else [one]


def once(what: Callable[[list[int]], None]) -> Callable[[Book], None]:
    """Let something happen before the second page."""
    return lambda book: what(book.rows) if book.asked == 2 else None


def tasks(toggl: TogglClient) -> Any:
    return toggl.workspace(1).tasks.iter()


def users(toggl: TogglClient) -> Any:
    return toggl.organization(1).users.iter()


def report(toggl: TogglClient) -> Any:
    return toggl.workspace(1).reports.detailed.iter(**DAYS)


def number_of(row: Any) -> int:
    return int(row.id if hasattr(row, "id") else row.time_entries[0].id)


async def walked(book: Book, walk: Callable[[TogglClient], Any]) -> list[int]:
    async with (
        http_server(book.answer) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=QUICK) as toggl,
    ):
        return [number_of(row) async for row in walk(toggl)]


WALKS = [tasks, users, report]


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
async def test_rows_that_stay_are_read_once(walk: Callable[[TogglClient], Any], count: int) -> None:
    book = Book(list(range(1, count + 1)))
    assert await walked(book, walk) == list(range(1, count + 1))
    assert book.asked == max(1, -(-count // 3)) + (walk is tasks and count % 3 == 0 and count > 0)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("count", [4, 7])
async def test_a_row_that_moves_forward_is_not_lost(walk: Callable[[TogglClient], Any], count: int) -> None:
    """Row 2 is deleted, so that row 4 is the last of the first page, which has been read."""
    found = await walked(Book(list(range(1, count + 1)), once(lambda rows: rows.remove(2))), walk)
    assert sorted(found) == list(range(1, count + 1))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("announces", [True, False])
async def test_a_row_that_moves_back_comes_once(walk: Callable[[TogglClient], Any], announces: bool) -> None:
    """Row 99 is added at the front, so that row 3 comes again."""
    book = Book([1, 2, 3, 4, 5], once(lambda rows: rows.insert(0, 99)), announces=announces)
    found = await walked(book, walk)
    assert sorted(found) in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 99])


@pytest.mark.parametrize("walk", WALKS)
async def test_rows_that_never_rest_are_an_error_at_the_end(
    walk: Callable[[TogglClient], Any],
) -> None:
    book = Book(list(range(1, 30)), lambda book: book.rows.pop(0))
    with pytest.raises(PagingError, match="some may be missing"):
        await walked(book, walk)


@pytest.mark.parametrize("walk", [tasks, users])
async def test_a_list_that_is_shorter_than_it_says_is_an_error(walk: Callable[[TogglClient], Any]) -> None:
    with pytest.raises(PagingError, match="shorter than its total says"):
        await walked(Book([1, 2, 3, 4], total=6), walk)


async def test_a_group_that_changes_is_an_error() -> None:
    """Half of it was given out: the rest can't be, alone or with it."""

    def grow(book: Book) -> None:
        book.rows.remove(2)
        book.grouped = True

    book = Book([1, 2, 3, 4, 5], lambda book: grow(book) if book.asked == 2 else None)
    with pytest.raises(PagingError, match="group of time entries changed"):
        await walked(book, report)


async def test_pages_as_they_came_are_mended_too() -> None:
    book = Book([1, 2, 3, 4, 5], once(lambda rows: rows.remove(1)))
    async with (
        http_server(book.answer) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=QUICK) as toggl,
    ):
        pages = toggl.workspace(1).tasks.iter()
        assert sorted([row.id async for page in pages.pages() for row in page]) == [1, 2, 3, 4, 5]


class Paged(Company):
    """A company of which a row of a list is deleted after its first page was read."""

    def __init__(self, name: str, *, deletes: int) -> None:
        super().__init__(0)
        self.name = name
        self.lists[name] = [{"id": number, "workspace_id": FIRST, "name": "x"} for number in range(1, 251)]
        self.deletes = deletes

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        if path.endswith(f"/{self.name}") and query.get("page") == "2" and self.deletes:
            self.deletes -= 1
            self.lists[self.name].pop(0)
        answer, headers = super()._answer(path, query, body)
        if path.endswith(f"{FIRST}/tasks") and "since" not in query:
            answer["total_count"] = len(self.lists["tasks"])
        return answer, headers


@pytest.mark.parametrize("name", ["tasks", "tags"])
async def test_a_list_of_an_export_loses_nothing_of_what_is_there(tmp_path: Path, name: str) -> None:
    company = Paged(name, deletes=1 if name == "tasks" else 0)
    plan = ExportPlan(datasets=(name,), workspaces=(FIRST,))
    assert (await run(company, tmp_path, "jsonl", plan)).complete
    assert set(ids(tmp_path, "jsonl", name)) >= {row["id"] for row in company.lists[name]}
    company.deletes = 1
    assert (await run(company, tmp_path, "jsonl", plan)).complete
    assert set(ids(tmp_path, "jsonl", name)) >= {row["id"] for row in company.lists[name]}


async def test_a_list_of_an_export_whose_rows_never_rest_is_not_complete(tmp_path: Path) -> None:
    company = Paged("tasks", deletes=9)
    manifest = await run(company, tmp_path, "jsonl", ExportPlan(datasets=("tasks",), workspaces=(FIRST,)))
    assert not manifest.complete
    assert [(one.dataset, "rows moved" in one.message) for one in manifest.failed] == [("tasks", True)]


@pytest.mark.parametrize("odd", [None, "x", 7, [{"id": 9}]])
@pytest.mark.parametrize("name", ["tags", "tasks", "time_entries"])
async def test_what_is_no_row_costs_an_export_no_other(tmp_path: Path, name: str, odd: object) -> None:
    """Paged lists and reports keep what stands beside it, as whole lists do, and are named as not whole."""
    company = Company(6, page=9)

    def with_odd(path: str, body: Any) -> httpx.Response | None:
        end = "/search/time_entries" if name == "time_entries" else f"{FIRST}/{name}"
        if not path.endswith(end):
            return None
        query = {"page": "1", "per_page": "200"}
        rows = company._answer(path, {} if body else query, body)[0]
        listed = rows["data"] if name == "tasks" else rows
        if listed:
            listed.insert(1, odd)
        return httpx.Response(200, json=rows)

    await run(company, tmp_path / "whole", plan=ExportPlan(datasets=(name,), workspaces=(FIRST,)))
    company.before = with_odd
    plan = ExportPlan(datasets=(name,), workspaces=(FIRST,))
    manifest = await run(company, tmp_path / "odd", plan=plan)
    assert ids(tmp_path / "odd", "jsonl", name) == ids(tmp_path / "whole", "jsonl", name)
    assert not manifest.complete
    assert {one.dataset for one in manifest.failed} == {name}
