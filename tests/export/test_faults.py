"""Faults of the machine, with real processes, real limits and real permissions.

Permissions mean nothing to the superuser, so a process that has its rights gives them up first.
"""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from export_written import ids
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and permissions are POSIX's")

TAGS = "GET /api/v9/workspaces/{workspace_id}/tags"
WRITTEN = {
    "jsonl": "progress.log",
    "csv": "progress.log",
    "parquet": "progress.log",
    "sqlite": "toggl.sqlite.partial",
    "duckdb": "toggl.duckdb.partial",
}
"""The file that each format must write to in order to go on."""

SCRIPT = textwrap.dedent("""
    import os, resource, signal, sys
    import pyarrow.dataset  # an older DuckDB loads it when it reads a table
    from toggl_async import ClientOptions, Pace
    from toggl_async.cli import app, connect, main
    from toggl_async.export import FORMATS, sinks
    from toggl_async.export.destination import layout_of

    connect.OPTIONS = ClientOptions(pace=Pace(interval=0.0001))
    layout_of("csv")  # loads what may not be readable in a moment
    for form in FORMATS:
        sinks.make(form, ".")
    rights = os.geteuid(), os.getegid()
    if rights[0] == 0:
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
    limit = int(sys.argv[1])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    code = main(sys.argv[2:])
    # Whoever measures the process may write down what came of it.
    os.seteuid(rights[0])
    os.setegid(rights[1])
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


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory that everybody may write to; those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.parametrize(
    ("form", "limit"),
    [
        ("jsonl", 60_000),
        ("csv", 60_000),
        ("parquet", 60_000),
        ("sqlite", 100_000),
        ("duckdb", 1_100_000),
    ],
)
def test_files_that_cannot_grow_any_more(toggl_sandbox: Sandbox, ground: Path, form: str, limit: int) -> None:
    command = ["export", "--out", str(ground), "--format", form]
    stopped = run(toggl_sandbox, limit, *command)
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr.endswith("the same command goes on from there\n")
    assert "Traceback" not in stopped.stderr
    asked = toggl_sandbox.counts.requests
    done = run(toggl_sandbox, 0, *command)
    assert done.returncode == 0, done.stderr
    assert "totals agree" in done.stdout
    assert ids(ground, form) == [row["id"] for row in toggl_sandbox.company.dataset("time_entries")]
    assert toggl_sandbox.counts.requests - asked <= asked


def test_a_directory_that_may_not_be_written_to(toggl_sandbox: Sandbox, ground: Path) -> None:
    ground.chmod(0o555)
    for place in (ground, ground / "new", ground / "a" / "b"):
        refused = run(toggl_sandbox, 0, "export", "--out", str(place))
        assert refused.returncode == 2, refused.stderr
        assert refused.stderr == (
            f"toggl-async: cannot write to {place}: {ground} is not a directory that you may write to\n"
        )
    assert toggl_sandbox.counts.requests == 0
    assert list(ground.iterdir()) == []


@pytest.mark.parametrize("form", ["jsonl", "sqlite"])
def test_a_directory_that_may_no_longer_be_written_to(
    toggl_sandbox: Sandbox, ground: Path, form: str
) -> None:
    out = ground / "out"
    command = ["export", "--out", str(out), "--format", form]
    toggl_sandbox.order(Fault(status=500), route=TAGS, times=10)
    stopped = run(toggl_sandbox, 0, *command)
    assert stopped.returncode == 1, stopped.stderr
    toggl_sandbox.faults.forget()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    out.chmod(0o555)
    refused = run(toggl_sandbox, 0, *command)
    assert refused.returncode == 2, refused.stderr
    assert f"cannot write to {out}" in refused.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    out.chmod(0o755)
    done = run(toggl_sandbox, 0, *command)
    assert done.returncode == 0, done.stderr
    assert ids(out, form) == [row["id"] for row in toggl_sandbox.company.dataset("time_entries")]


@pytest.mark.parametrize("form", WRITTEN)
def test_a_file_that_may_not_be_written_to(toggl_sandbox: Sandbox, ground: Path, form: str) -> None:
    out = ground / "out"
    command = ["export", "--out", str(out), "--format", form]
    toggl_sandbox.order(Fault(status=500), route=TAGS, times=10)
    assert run(toggl_sandbox, 0, *command).returncode == 1
    toggl_sandbox.faults.forget()
    file = out / WRITTEN[form]
    data = file.read_bytes()
    file.chmod(0o444)
    stopped = run(toggl_sandbox, 0, *command)
    assert stopped.returncode == 1, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert str(file) in stopped.stderr
    assert stopped.stderr.endswith("holds an unfinished export; the same command goes on from there\n")
    assert file.read_bytes() == data
    file.chmod(0o644)
    done = run(toggl_sandbox, 0, *command)
    assert done.returncode == 0, done.stderr
    assert ids(out, form) == [row["id"] for row in toggl_sandbox.company.dataset("time_entries")]
    assert json.loads((out / "manifest.json").read_bytes())["totals_agree"] is True
