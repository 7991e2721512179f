"""Lists of more than one page: whatever they lack is noticed, named, and read by the next update."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.export_company import FIRST, NOW, Company
from support.export_updates import OPTIONS, run
from support.export_written import ids
from toggl_async import ApiToken, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

LONG_AGO = "2025-07-01T00:00:00Z"
NAMES = ["projects", "tasks"]
"""The lists that Toggl can be asked for changes of."""


def listed(numbers: range, at: str = LONG_AGO) -> list[dict[str, Any]]:
    return [{"id": one, "workspace_id": FIRST, "name": f"row {one}", "at": at} for one in numbers]


class Firm(Company):
    """A company with one list of several pages, which Toggl may show the first request as well.

    Attributes:
        name: the list.
        shown: whether the first request shows it.
        between: is called before each page but the first.
    """

    now: dt.datetime

    def __init__(self, name: str, rows: int = 260) -> None:
        super().__init__(3)
        self.name, self.shown = name, False
        self.lists[name] = listed(range(100, 100 + rows))
        self.between: Callable[[], None] = lambda: None
        self.referring: dict[str, Any] = {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.lists[self.name]

    def _answer(self, path: str, query: dict[str, str], body: Any) -> tuple[Any, dict[str, str]]:
        if path.endswith(f"{FIRST}/{self.name}") and query.get("page", "1") != "1":
            self.between()
        if path.endswith(f"{FIRST}/{self.name}"):
            return self._page(int(query["page"]), query.get("since")), {}
        answer, headers = super()._answer(path, query, body)
        if path == "/api/v9/me" and self.shown:
            answer[self.name] = self.rows
        return answer, headers

    def _page(self, number: int, since: str | None) -> object:
        """A page of the list; a row that becomes visible has not changed."""
        floor = dt.datetime.fromtimestamp(int(since or 0), dt.UTC)
        found = [row for row in self.rows if dt.datetime.fromisoformat(row["at"]) >= floor]
        page = found[(number - 1) * 200 : number * 200]
        return {"data": page, "total_count": len(found)} if self.name == "tasks" else page

    def delete_between(self, number: int) -> None:
        """Delete the row in that place before the next page but a first one."""

        def delete() -> None:
            self.between = lambda: None
            del self.rows[number]

        self.between = delete

    def _row(self, entry: Any) -> dict[str, Any]:
        return super()._row(entry) | self.referring

    @property
    def plan(self) -> ExportPlan:
        return ExportPlan(datasets=(self.name, "time_entries"), workspaces=(FIRST,))

    async def update(self, directory: Path, **options: Any) -> Manifest:
        """Bring the export up to date a day later, or make it."""
        self.now += dt.timedelta(days=1)
        self.log.clear()
        return await run(self, directory, plan=self.plan, **options)

    @property
    def asked_for_changes(self) -> list[bool]:
        """Of each request for the list in the latest run, whether it asked for changes alone."""
        return ["since" in query for query in self.asked(f"{FIRST}/{self.name}")]

    def holds(self, directory: Path) -> bool:
        """Whether the export has what the list has."""
        return ids(directory, "jsonl", self.name) == sorted(row["id"] for row in self.rows)

    async def settled(self, directory: Path) -> None:
        """Export it, and update it until it is asked for changes alone."""
        await self.update(directory)
        await self.update(directory)
        manifest = await self.update(directory)
        assert manifest.complete, manifest.failed
        assert self.asked_for_changes == [True]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(1)
async def test_a_row_that_slid_past_the_first_export_comes_with_the_update(tmp_path: Path, name: str) -> None:
    firm = Firm(name)
    firm.delete_between(10)
    await firm.update(tmp_path)
    assert (await firm.update(tmp_path)).complete
    assert firm.holds(tmp_path)
    # That reading brought what the one before lacked, so there is one more.
    await firm.update(tmp_path)
    assert firm.asked_for_changes == [False, False]
    assert (await firm.update(tmp_path)).complete
    assert firm.asked_for_changes == [True]


async def test_a_page_that_came_empty_once_comes_with_the_update(tmp_path: Path) -> None:
    firm = Firm("projects", 303)
    firm.before = lambda path, body: (
        httpx.Response(200, json=[])
        if path.endswith("/projects") and firm.log[-1][1].get("page") == "2"
        else None
    )
    await firm.update(tmp_path)
    firm.before = lambda path, body: None
    assert (await firm.update(tmp_path)).complete
    assert firm.holds(tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(1)
async def test_what_the_first_request_shows_is_read_where_changes_lack_it(tmp_path: Path, name: str) -> None:
    firm = Firm(name)
    firm.shown = True
    await firm.settled(tmp_path)
    firm.rows.extend(listed(range(400, 430)))
    assert (await firm.update(tmp_path)).complete
    assert firm.holds(tmp_path)
    assert firm.asked_for_changes == [True, False, False]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(1)
async def test_what_a_time_entry_names_and_changes_lack_fails_and_heals(tmp_path: Path, name: str) -> None:
    firm = Firm(name)
    await firm.settled(tmp_path)
    firm.rows.extend(listed(range(400, 430)))
    firm.referring = {f"{name[:-1]}_id": 400}
    manifest = await firm.update(tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert [(one.dataset, one.workspace_id) for one in manifest.failed] == [(name, FIRST)]
    assert "400" in manifest.failed[0].message
    assert (await firm.update(tmp_path)).complete
    assert firm.holds(tmp_path)


@pytest.mark.parametrize(
    ("name", "referring"),
    [
        ("projects", {"project_id": 99}),
        ("tasks", {"task_id": 99}),
        ("tags", {"tag_ids": [1, 99]}),
    ],
)
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.sampled(2)
async def test_a_list_of_one_page_that_lacks_what_a_time_entry_names_has_failed(
    tmp_path: Path, name: str, referring: dict[str, Any], update: bool
) -> None:
    company = Company(3)
    company.now = NOW
    if update:
        assert (await run(company, tmp_path)).complete
    usual = company._row
    company._row = lambda entry: usual(entry) | referring  # type: ignore[method-assign]
    company.now += dt.timedelta(days=1)
    manifest = await run(company, tmp_path)
    assert {one.dataset for one in manifest.failed} == {name}
    company.lists[name] += [{"id": 99, "workspace_id": space, "name": "there"} for space in (FIRST, 20)]
    company.now += dt.timedelta(days=1)
    assert (await run(company, tmp_path)).complete


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(1)
async def test_everything_is_read_again_where_all_is_to_be(tmp_path: Path, name: str) -> None:
    firm = Firm(name)
    await firm.settled(tmp_path)
    firm.rows[:] = [*listed(range(90, 95)), *firm.rows[20:]]  # of neither do changes tell
    assert (await firm.update(tmp_path, recheck=None)).complete
    assert firm.holds(tmp_path)


async def test_a_long_list_is_read_as_a_whole_every_week(tmp_path: Path) -> None:
    firm = Firm("projects")
    await firm.settled(tmp_path)
    asked = list[list[bool]]()
    for _ in range(14):
        assert (await firm.update(tmp_path)).complete
        asked.append(firm.asked_for_changes)
    whole = [number for number, one in enumerate(asked) if one != [True]]
    assert [asked[number] for number in whole] == [[False, False]] * 2
    assert whole[1] - whole[0] == 7


async def test_a_long_list_that_a_run_leaves_out_stays_proven(tmp_path: Path) -> None:
    firm = Firm("projects")
    async with (
        Mirror(tmp_path / "mirror.sqlite") as mirror,
        TogglClient(ApiToken("made-up"), transport=firm, options=OPTIONS) as toggl,
    ):
        for datasets in (None, None, ["time_entries"], None):
            firm.now += dt.timedelta(days=1)
            firm.log.clear()
            manifest = await mirror.refresh(toggl, firm.plan, datasets=datasets)
            assert [one.dataset for one in manifest.whole_lists] == (
                [] if not manifest.update else ["projects"]
            )
        assert firm.asked_for_changes == [True]
        await mirror.forget(workspace=FIRST)
        await mirror.refresh(toggl, firm.plan)
        assert len(await mirror.records("projects")) == 260


async def test_rows_that_are_new_leave_a_long_list_proven(tmp_path: Path) -> None:
    """Changes would have told of them."""
    firm = Firm("projects")
    await firm.update(tmp_path)
    firm.rows.extend(listed(range(400, 403), firm.now.isoformat()))
    await firm.update(tmp_path)
    assert firm.asked_for_changes == [False, False]
    await firm.update(tmp_path)
    assert firm.asked_for_changes == [True]
    assert firm.holds(tmp_path)


async def test_a_new_row_that_slid_past_an_update_comes_with_the_next(tmp_path: Path) -> None:
    """It was not in the mirror, so nobody misses it."""
    firm = Firm("projects", 200)
    await firm.update(tmp_path)
    firm.rows.extend(listed(range(400, 404), firm.now.isoformat()))
    firm.delete_between(10)
    await firm.update(tmp_path)
    assert 400 not in ids(tmp_path, "jsonl", "projects")
    assert (await firm.update(tmp_path)).complete
    assert firm.asked_for_changes == [True]
    assert {400, 401, 402, 403} <= set(ids(tmp_path, "jsonl", "projects"))


async def test_changes_that_moved_between_pages_come_with_the_next_update(tmp_path: Path) -> None:
    firm = Firm("projects")
    await firm.settled(tmp_path)
    firm.rows.extend(listed(range(400, 640), firm.now.isoformat()))
    firm.delete_between(270)
    await firm.update(tmp_path)
    assert firm.asked_for_changes == [True, True]
    assert (await firm.update(tmp_path)).complete
    assert firm.holds(tmp_path)


@pytest.mark.parametrize("shape", [[], None, [{"id": 3, "name": "Another"}]])
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.sampled(2)
async def test_organizations_without_that_of_a_workspace_have_failed(
    tmp_path: Path, shape: object, update: bool
) -> None:
    company = Company(3)
    if update:
        assert (await run(company, tmp_path)).complete
    company.before = lambda path, body: (
        httpx.Response(200, json=shape) if path == "/api/v9/me/organizations" else None
    )
    manifest = await run(company, tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert [one.dataset for one in manifest.failed] == ["organizations"]
    company.before = lambda path, body: None
    assert (await run(company, tmp_path)).complete


@pytest.mark.parametrize("status", [402, 403])
async def test_totals_that_are_never_offered_are_listed_like_datasets(tmp_path: Path, status: int) -> None:
    company = Company(3)
    company.before = lambda path, body: (
        httpx.Response(status, json="not for you") if path.endswith("/totals") else None
    )
    manifest = await run(company, tmp_path)
    assert manifest.complete
    assert {one.dataset for one in manifest.not_in_plan} == {"totals"}
    assert manifest.not_in_plan == manifest.refused
