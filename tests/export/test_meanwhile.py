"""What goes wrong at Toggl while an export runs, over a real socket and in every format."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from support.export_written import ids, in_each_format, rows
from support.patience import patient
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import ExportEvent, ExportPlan, Manifest, RowsWritten, export
from toggl_async.sandbox import CompanySize, FaultPlan, Sandbox, SandboxOptions, serve, shapes
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.report_query import read
from toggl_async.sandbox.routes import detailed

pytestmark = pytest.mark.anyio

ENTRIES = ExportPlan(datasets=("time_entries",))
SEARCH = "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries"
SIZE = CompanySize(people=3, projects=6, clients=4, tags=5, days=120, time_entries=700, deleted=5)


@pytest.fixture
def anyio_backend() -> Any:
    return patient(200)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(SandboxOptions(size=SIZE, interval=0)) as running:
        yield running


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let Toggl refuse pages of more than two hundred rows, and return that."""
    monkeypatch.setattr(detailed, "_LARGEST", 200)
    return 200


async def run(
    sandbox: Sandbox,
    directory: Path,
    form: str = "jsonl",
    plan: ExportPlan = ENTRIES,
    on_event: Callable[[ExportEvent], None] | None = None,
) -> Manifest:
    options = ClientOptions(timeout=3600, pace=Pace(interval=0.5))
    async with TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=options) as client:
        return await export(client, plan, directory, format=form, on_event=on_event)


def once_a_page_was_written(do: Callable[[], None]) -> Callable[[ExportEvent], None]:
    """Do something as soon as a page of time entries was written."""
    done = False

    def on_event(event: ExportEvent) -> None:
        nonlocal done
        if isinstance(event, RowsWritten) and event.dataset == "time_entries" and event.rows and not done:
            done = True
            do()

    return on_event


def truth(sandbox: Sandbox) -> dict[int, int | None]:
    return {row["id"]: row["seconds"] for row in sandbox.company.dataset("time_entries")}


def written(directory: Path, form: str) -> dict[int, int | None]:
    found = rows(directory, form, "time_entries")
    return {int(row["id"]): None if row["seconds"] in {"", None} else int(row["seconds"]) for row in found}


@in_each_format
@pytest.mark.usefixtures("small_pages")
async def test_a_row_is_edited_and_one_is_deleted(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    space = next(iter(sandbox.company.workspaces))
    reported: list[TimeEntryRow] = list(sandbox.company.reported(space))

    def change() -> None:
        """On the page that was read and on one that was not: delete one, edit one, move one across."""
        now = sandbox.clock.now()
        for place in (3, 300):
            gone, edited, moved = reported[place : place + 3]
            gone.deleted = int(now)
            edited.seconds = 12_345
            moved.start = reported[400 - place].start + 1
            for entry in (gone, edited, moved):
                sandbox.company.touch(entry, now)

    manifest = await run(sandbox, tmp_path, form, on_event=once_a_page_was_written(change))
    assert written(tmp_path, form) == truth(sandbox)
    assert len(rows(tmp_path, form, "time_entries")) == len(truth(sandbox))  # none twice
    assert list(written(tmp_path, form).values()).count(12_345) == 2
    assert manifest.totals_agree is True


@in_each_format
@pytest.mark.usefixtures("small_pages")
async def test_a_workspace_becomes_forbidden(sandbox: Sandbox, tmp_path: Path, form: str) -> None:
    space, other = sandbox.company.workspaces.values()
    owner = sandbox.company.owner.id
    plan = ExportPlan(datasets=("workspaces", "projects", "time_entries"))
    shut_out = once_a_page_was_written(lambda: space.members.remove(owner))
    manifest = await run(sandbox, tmp_path, form, plan, on_event=shut_out)
    assert (manifest.finished, manifest.complete) == (True, False)
    (refusal,) = (refusal for refusal in manifest.refused if refusal.dataset == "time_entries")
    assert (refusal.workspace_id, refusal.status) == (space.id, 403)
    found = rows(tmp_path, form, "time_entries")
    theirs = {entry.id for entry in sandbox.company.reported(other.id)}
    assert theirs <= {int(row["id"]) for row in found if int(row["workspace_id"]) == other.id}
    assert 0 < sum(int(row["workspace_id"]) == space.id for row in found) < 500
    (check,) = (one for one in manifest.ranges if one.workspace_id == other.id and one.rows)
    assert check.agrees is True
    assert not [one for one in manifest.ranges if one.workspace_id == space.id and one.agrees is not None]


@in_each_format
async def test_a_page_with_odd_rows(
    sandbox: Sandbox, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag, names = shapes.tag, detailed._names
    odd = iter(range(10_000))
    whole: dict[int, int] = {}
    """A tag of each workspace that stays whole: a page on which no row has an id is no page of tags."""

    def odd_tag(row: Any) -> Any:
        shape = tag(row)
        kind = next(odd) % 4 if whole.setdefault(row.workspace_id, row.id) != row.id else 0
        return [shape, {**shape, "id": "x"}, {"odd": row.id}, {"name": None, "novelty": [row.id]}][kind]

    def odd_names(call: Any, entry: TimeEntryRow) -> Any:
        kind = next(odd) % 4
        if kind == 1:
            return {**names(call, entry), "project_name": 7, "tag_names": "odd", "novelty": {"a": [1.5]}}
        return {"billable": "yes"} if kind else names(call, entry)

    monkeypatch.setattr(shapes, "tag", odd_tag)
    monkeypatch.setattr(detailed, "_names", odd_names)
    manifest = await run(sandbox, tmp_path, form, ExportPlan(datasets=("tags", "time_entries")))
    assert written(tmp_path, form) == truth(sandbox)
    assert manifest.totals_agree is True
    assert manifest.refused == ()
    found = rows(tmp_path, form, "tags")
    assert len(found) == len(sandbox.company.tags)
    text = str(found) + str(rows(tmp_path, form, "time_entries"))
    assert "novelty" in text
    assert "odd" in text


async def test_the_largest_page_is_refused(sandbox: Sandbox, tmp_path: Path, small_pages: int) -> None:
    manifest = await run(sandbox, tmp_path)
    assert ids(tmp_path, "jsonl") == sorted(truth(sandbox))
    ranges, count = len(manifest.ranges), len(truth(sandbox))
    assert sandbox.counts.asked[SEARCH] <= 1.05 * count / small_pages + 2 * ranges
    # 1000, once for all ranges: the refusal names a size that will do.
    assert sandbox.counts.statuses[400] == 1


@pytest.mark.slow
async def test_answers_are_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detailed, "_LARGEST", 50)
    size = CompanySize(people=3, projects=6, clients=4, tags=5, days=300, time_entries=4000, deleted=5)
    asked: list[tuple[str, str]] = []

    def noting(call: Any, body: Any) -> Any:
        asked.append((body.fields["start_date"], body.fields["end_date"]))
        return read(call, body)

    monkeypatch.setattr(detailed, "read", noting)
    now = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)  # on other days there are other pages
    slow = SandboxOptions(now=now, size=size, interval=0, org_quota=10_000, faults=FaultPlan(latency=20))
    async with serve(slow) as sandbox:
        manifest = await run(sandbox, tmp_path)
        assert ids(tmp_path, "jsonl") == sorted(truth(sandbox))
        assert manifest.totals_agree is True
        requests = sandbox.counts.requests
        refused = sandbox.counts.statuses[400]  # sizes of a page
        pages = len(truth(sandbox)) / 50
    assert len({start for start, _ in asked}) > 4 + 2  # more than one for each range
    # A last page and a total for each range; whose it is, and what runs.
    assert requests - refused <= 1.05 * pages + 2 * len(manifest.ranges) + 3
