"""DuckDB, whose newer versions need more memory for rows that are replaced."""

from pathlib import Path

import duckdb
import pytest

from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import ExportPlan, Manifest, export
from toggl_async.sandbox import CompanySize, Sandbox, SandboxOptions, serve

pytestmark = pytest.mark.anyio

PLAN = ExportPlan(datasets=("time_entries",))


async def run(sandbox: Sandbox, directory: Path) -> Manifest:
    options = ClientOptions(pace=Pace(interval=0.0001))
    async with TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url, options=options) as client:
        return await export(client, PLAN, directory, format="duckdb", update=True)


@pytest.mark.slow
async def test_an_update_of_many_rows(tmp_path: Path) -> None:
    size = CompanySize(time_entries=12_000, days=900)
    async with serve(SandboxOptions(size=size, interval=0, org_quota=1e9, user_quota=1e9)) as sandbox:
        await run(sandbox, tmp_path)
        edited = [entry for entry in sandbox.company.entries.values() if entry.deleted is None][::200]
        for entry in edited:
            entry.description = "edited"
            sandbox.company.touch(entry, sandbox.clock.now())
        manifest = await run(sandbox, tmp_path)
    assert (manifest.complete, manifest.totals_agree) == (True, True)
    with duckdb.connect(str(tmp_path / "toggl.duckdb"), read_only=True) as database:
        found = database.execute("SELECT COUNT(*) FROM time_entries WHERE description = 'edited'").fetchall()
    assert found == [(len(edited),)]
