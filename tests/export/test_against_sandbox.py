"""The export over a real socket, against the sandbox's own truth, with waits two hundred times shorter."""

import asyncio
import datetime as dt
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.patience import patient
from toggl_async import ApiToken, ClientOptions, Cooldown, TogglClient
from toggl_async.export import DATASETS, ExportPlan, FileFacts, Manifest, export
from toggl_async.export.rows import SECRET_FIELDS
from toggl_async.export.run.files import write_files
from toggl_async.sandbox import SMALL, Fault, Sandbox, SandboxOptions, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return patient(200)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(SandboxOptions(size=SMALL, rounding_minutes=15)) as running:
        yield running


async def run(sandbox: Sandbox, plan: ExportPlan, directory: Path) -> Manifest:
    options = ClientOptions(timeout=3600)
    async with TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=options) as client:
        return await export(client, plan, directory)


def rows(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / f"{name}.jsonl").read_bytes().splitlines()]


def by_id(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: int(row["id"]))


def facts(row: dict[str, Any]) -> dict[str, Any]:
    """What the report and the sandbox's state both say of a time entry."""
    names = ("id", "workspace_id", "user_id", "project_id", "task_id", "billable", "description", "seconds")
    moments = {name: row[name] and dt.datetime.fromisoformat(row[name]) for name in ("start", "stop")}
    return {name: row[name] for name in names} | moments | {"tag_ids": sorted(row["tag_ids"] or [])}


async def test_everything_is_exported_as_it_is(sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = await run(sandbox, ExportPlan(), tmp_path)
    truth = sandbox.company

    for name in ("clients", "projects", "tags", "tasks"):
        expected = [{"workspace_id": row.get("wid"), **row} for row in truth.dataset(name)]  # clients lack it
        assert by_id(rows(tmp_path, name)) == by_id(expected), name
        assert len(rows(tmp_path, name)) > 0
    assert [row["id"] for row in rows(tmp_path, "organizations")] == list(truth.organizations)

    open_secrets = [row | dict.fromkeys(SECRET_FIELDS) for row in truth.dataset("workspaces")]
    assert by_id(rows(tmp_path, "workspaces")) == by_id(open_secrets)
    assert sorted((row["workspace_id"], row["id"]) for row in rows(tmp_path, "users")) == sorted(
        (workspace.id, member) for workspace in truth.workspaces.values() for member in workspace.members
    )
    assert sorted((row["workspace_id"], row["id"]) for row in rows(tmp_path, "groups")) == sorted(
        (workspace, group["group_id"])
        for group in truth.dataset("groups")
        for workspace in group["workspaces"]
    )
    members = {group["group_id"]: group["users"] for group in truth.dataset("groups")}
    assert all(row["users"] == members[row["id"]] for row in rows(tmp_path, "groups"))

    entries = rows(tmp_path, "time_entries")
    assert [facts(row) for row in by_id(entries)] == [
        facts(row) for row in by_id(truth.dataset("time_entries"))
    ]
    assert [row["id"] for row in entries if row["stop"] is None] == [
        row["id"] for row in truth.dataset("time_entries") if row["running"]
    ]
    for name, declared in DATASETS.items():
        keys = [tuple(row[field] for field in declared.key) for row in rows(tmp_path, name)]
        assert len(keys) == len(set(keys)), name
    assert manifest.totals_agree is True


async def test_the_manifest_tells_what_happened(sandbox: Sandbox, tmp_path: Path) -> None:
    began = dt.datetime.now(dt.UTC)
    manifest = await run(sandbox, ExportPlan(), tmp_path)
    written = json.loads((tmp_path / "manifest.json").read_bytes())

    assert manifest.requests == written["requests"] == sandbox.counts.requests
    assert sandbox.counts.refused == {402: 0, 429: 0}
    assert set(sandbox.counts.statuses) == {200}
    assert written["waits"]["pace"] > 0
    assert written["complete"] is True
    assert written["error"] is None
    assert written["base_url"] == sandbox.base_url
    assert written["user_id"] == sandbox.company.owner.id
    assert written["workspaces"] == list(sandbox.company.workspaces)
    assert began <= dt.datetime.fromisoformat(written["started_at"])
    assert dt.datetime.fromisoformat(written["finished_at"]).utcoffset() == dt.timedelta(0)
    assert written["rows"] == sum(dataset["rows"] for dataset in written["datasets"].values())
    assert written["plan"]["datasets"] == list(DATASETS)
    for name, dataset in written["datasets"].items():
        data = (tmp_path / dataset["file"]).read_bytes()
        assert dataset["file"] == f"{name}.jsonl"
        assert dataset["sha256"] == hashlib.sha256(data).hexdigest()
        assert (dataset["bytes"], dataset["rows"]) == (len(data), data.count(b"\n"))
        assert dataset["key"] == list(DATASETS[name].key)
    assert all(checked["agrees"] for checked in written["ranges"] if checked["rows"])
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".partial"]


@pytest.mark.linux
async def test_a_choice_costs_what_it_takes(sandbox: Sandbox, tmp_path: Path) -> None:
    workspace = next(iter(sandbox.company.workspaces))
    plan = ExportPlan(datasets=("users",), workspaces=(workspace,))
    manifest = await run(sandbox, plan, tmp_path)
    assert manifest.requests == 2  # who am I, and the list
    assert {row["workspace_id"] for row in rows(tmp_path, "users")} == {workspace}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.json",
        "mirror.sqlite",
        "users.jsonl",
    ]


@pytest.mark.parametrize("refused", [False, True])
async def test_groups_as_administrators_and_others_see_them(tmp_path: Path, refused: bool) -> None:
    route = "GET /api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups"
    async with serve(SandboxOptions(size=SMALL, gone=frozenset({route} if refused else ()))) as sandbox:
        admin = await run(sandbox, ExportPlan(datasets=("groups",)), tmp_path / "admin")
        # What is gone is gone for one path: each workspace is asked once, and another endpoint after it.
        assert admin.requests == 3 + refused * len(admin.workspaces)
        found = rows(tmp_path / "admin", "groups")
        assert all(("users" in row) is not refused for row in found)
        other = next(person for person in sandbox.company.people.values() if not person.admin)
        token, options = ApiToken(other.api_token), ClientOptions(timeout=3600)
        async with TogglClient(token, base_url=sandbox.base_url, options=options) as client:
            manifest = await export(client, ExportPlan(datasets=("groups",)), tmp_path / "other")
        assert manifest.requests == 1 + len(manifest.workspaces)
        mine = {row["id"] for row in rows(tmp_path / "other", "groups")}
        assert mine == {row["id"] for row in found if row["workspace_id"] in manifest.workspaces}
        assert (admin.refused, manifest.refused) == ((), ())


async def test_dates_limit_the_time_entries(sandbox: Sandbox, tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    since, until = today - dt.timedelta(days=40), today - dt.timedelta(days=10)
    await run(sandbox, ExportPlan(datasets=("time_entries",), since=since, until=until), tmp_path)
    days = {dt.date.fromisoformat(row["start"][:10]) for row in rows(tmp_path, "time_entries")}
    assert since <= min(days) <= max(days) <= until
    assert len(days) > 10


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", [patient(5000)], ids=["fast"])
async def test_a_used_up_quota_is_waited_for(tmp_path: Path) -> None:
    async with serve(SandboxOptions(size=SMALL, org_quota=12)) as sandbox:
        manifest = await run(sandbox, ExportPlan(), tmp_path)
        assert sandbox.counts.refused[429] == 0
        assert sandbox.counts.refused[402] <= sandbox.counts.requests // 12
        assert manifest.requests == sandbox.counts.requests
    assert manifest.waits["quota"] > 3000
    assert manifest.duration > 3600
    assert manifest.complete


async def test_files_are_written_in_a_thread_which_is_waited_for(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = False
    began, release = threading.Event(), threading.Event()

    def slow(*args: Any) -> dict[str, FileFacts]:
        nonlocal ended
        began.set()
        release.wait()
        facts = write_files(*args)
        ended = True
        return facts

    plan = ExportPlan(datasets=("tags",))
    with monkeypatch.context() as patch:
        patch.setattr("toggl_async.export.run.directory.write_files", slow)
        task = asyncio.ensure_future(run(sandbox, plan, tmp_path))
        await asyncio.to_thread(began.wait)
        task.cancel()
        asyncio.get_running_loop().call_soon(release.set)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended
    manifest = await run(sandbox, plan, tmp_path)
    assert manifest.complete


async def test_a_route_that_is_always_throttled_ends_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    route = "GET /api/v9/workspaces/{workspace_id}/tags"
    sandbox.faults.order(Fault(status=429), route=route, times=1000)
    options = ClientOptions(timeout=3600, cooldown=Cooldown(minimum=2, maximum=4))
    async with TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=options) as client:
        manifest = await export(client, ExportPlan(datasets=("tags", "clients")), tmp_path)
    assert (manifest.finished, manifest.complete) == (True, False)
    assert {one.dataset for one in manifest.failed} == {"tags"}
    assert (tmp_path / "clients.jsonl").stat().st_size
    assert sandbox.counts.asked[route] < 10
