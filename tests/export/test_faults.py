"""Faults of the machine, with real processes and real limits."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from export_written import ids
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

SCRIPT = textwrap.dedent("""
    import resource, signal, sys
    from toggl_async import ClientOptions, Pace
    from toggl_async.cli import connect, main

    connect.OPTIONS = ClientOptions(pace=Pace(interval=0.0001))
    limit = int(sys.argv[1])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    code = main(sys.argv[2:])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.exit(code)
""")


def run(server: Sandbox, limit: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process whose files can't grow beyond a limit; 0 for none."""
    environ = {"TOGGL_API_TOKEN": server.api_token, "TOGGL_BASE_URL": server.base_url}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(limit), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize(("form", "limit"), [("jsonl", 60_000), ("sqlite", 100_000), ("duckdb", 1_100_000)])
def test_files_that_cannot_grow_any_more(
    toggl_sandbox: Sandbox, tmp_path: Path, form: str, limit: int
) -> None:
    command = ["export", "--out", str(tmp_path), "--format", form]
    stopped = run(toggl_sandbox, limit, *command)
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr.endswith("the same command goes on from there\n")
    assert "Traceback" not in stopped.stderr
    asked = toggl_sandbox.counts.requests
    done = run(toggl_sandbox, 0, *command)
    assert done.returncode == 0, done.stderr
    assert "totals agree" in done.stdout
    assert ids(tmp_path, form) == [row["id"] for row in toggl_sandbox.company.dataset("time_entries")]
    assert toggl_sandbox.counts.requests - asked <= asked
