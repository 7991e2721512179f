"""The program of docs/fleet.md: four workers, of which one is killed, end with every mirror whole."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.postgres_server import PostgresServer
from support.programs import blocks
from support.redis_server import REASON, is_missing, redis_server
from toggl_async.export.mirror.store import Standing
from toggl_async.export.mirror.urls import store_of
from toggl_async.sandbox import CompanySize, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

pytestmark = [pytest.mark.nightly, pytest.mark.linux, pytest.mark.skipif(is_missing(), reason=REASON)]

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text("utf-8")
WORKERS = 4
PEOPLE = 8
SIZE = CompanySize(people=PEOPLE, projects=6, clients=4, tags=5, days=120, time_entries=400, deleted=5)


@contextlib.contextmanager
def fleet(folder: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The workers, under the process that starts them anew."""
    command = [sys.executable, "-m", "taskiq", "worker", "fleet:broker", "--workers", str(WORKERS)]
    with subprocess.Popen(command, cwd=folder, env=environ, start_new_session=True) as workers:
        try:
            yield workers
        finally:  # there is nothing that they could lose
            os.killpg(workers.pid, signal.SIGKILL)


def has_ended(workers: subprocess.Popen[bytes], *, within: float) -> bool:
    """Whether the workers end within so many seconds, all of which pass if they don't."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        workers.wait(within)
        return True
    return False


def children(process: int) -> list[int]:
    """The worker processes."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "resource_tracker" not in line]


def standings(urls: Mapping[str, str], postgres: PostgresServer) -> dict[str, Standing]:
    """How the mirrors stand that are there."""
    with postgres.connect() as connection:
        there = {
            name
            for (name,) in connection.execute(
                "SELECT schemaname FROM pg_tables WHERE tablename = 'mirror_state'"
            )
        }
    found = {}
    for account, url in urls.items():
        if account in there:
            store = store_of(url)
            found[account] = store.open()
            store.close()
    return found


@pytest.mark.toggl_sandbox(size=SIZE, org_quota=1e9, user_quota=1e9)
def test_four_workers_of_which_one_is_killed_end_with_every_mirror_whole(
    toggl_sandbox: Sandbox, postgres: PostgresServer, tmp_path: Path
) -> None:
    company = toggl_sandbox.company
    people = {f"account_{person.id}": person for person in company.members}
    assert len(people) == PEOPLE
    urls = {account: postgres.url(schema=account) for account in people}
    (program,) = (one for one in blocks(PAGE, "python") if one.startswith('"""fleet.py'))
    # All that is other than on the page: the sandbox need not be asked once a second only.
    program = program.replace("ClientOptions()", "ClientOptions(pace=Pace(interval=0.05))", 1)
    program = program.replace("InvalidInput, RedisBudget", "InvalidInput, Pace, RedisBudget", 1)
    (tmp_path / "fleet.py").write_text(program, "utf-8")
    (tmp_path / "tokens.json").write_text(json.dumps({name: one.api_token for name, one in people.items()}))
    with redis_server(tmp_path) as redis:
        environ = {
            **os.environ,
            **toggl_sandbox.environment,
            "FLEET_REDIS": redis.url,
            "FLEET_DATABASE": postgres.url(),
            "FLEET_TOKENS": str(tmp_path / "tokens.json"),
        }
        with fleet(tmp_path, environ) as workers:

            def tick() -> None:
                subprocess.run([sys.executable, "fleet.py"], cwd=tmp_path, env=environ, check=True)

            tick()
            while not any(one.run and one.progress for one in standings(urls, postgres).values()):
                assert not has_ended(workers, within=0.01)
            begun = children(workers.pid)
            assert len(begun) == WORKERS
            os.kill(begun[0], signal.SIGKILL)
            while True:
                standing = standings(urls, postgres)
                if len(standing) == PEOPLE and all(one.finished for one in standing.values()):
                    break
                tick()
                assert not has_ended(workers, within=2)
            assert begun[0] not in children(workers.pid)
    for account, person in people.items():
        manifest = json.loads(standing[account].finished or b"{}")
        assert (manifest["finished"], manifest["complete"], manifest["totals_agree"]) == (True, True, True)
        store = store_of(urls[account])
        store.open()
        with store.snapshot() as snapshot:
            _, rows = snapshot.query("SELECT id FROM time_entries WHERE deleted_at IS NULL", ())
            found = {number for (number,) in rows}
        store.close()
        spaces = {space.id for space in company.workspaces_of(person)}
        assert found == {
            entry.id
            for entry in company.entries.values()
            if entry.deleted is None
            and entry.workspace_id in spaces
            and company.visible(person, entry)
            and (entry.reported or entry.user_id == person.id)
        }
