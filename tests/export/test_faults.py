"""Faults of the machine, with real processes, real limits and real permissions.

Permissions mean nothing to the superuser, so a process that has its rights gives them up first. What
needs no limits runs in the test's own process, which is quicker.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.export_written import ids
from support.pairs import by_night, first_of
from toggl_async import ClientOptions, Pace, Retry
from toggl_async.cli import connect, main
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and permissions are POSIX's")

TAGS = "GET /api/v9/workspaces/{workspace_id}/tags"
SCRIPT = textwrap.dedent("""
    import os, resource, signal, sys
    import anyio
    if sys.argv[2] == "duckdb":
        import pyarrow.dataset  # an older one loads it when it reads a table
    from toggl_async import ClientOptions, Pace, Retry
    from toggl_async.cli import app, connect, main
    from toggl_async.export import formats
    from toggl_async.export.mirror.destination import layout_of

    connect.OPTIONS = ClientOptions(pace=Pace(interval=0.0001), retry=Retry(minimum=0, maximum=0))
    # Loads what may not be readable in a moment.
    anyio.run(anyio.sleep, 0)
    layout_of("csv")
    formats.format_named(sys.argv[2])
    rights = os.geteuid(), os.getegid()
    if rights[0] == 0:
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
    limit = int(sys.argv[1])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    code = max(main(["export", "--format", sys.argv[2], "--out", out]) for out in sys.argv[3:])
    # Whoever measures the process may write down what came of it.
    os.seteuid(rights[0])
    os.setegid(rights[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.exit(code)
""")


NOBODY = 65534
Exporting = Callable[[str], tuple[int, str, str]]
"""Exports in a format; returns exit code, output and errors."""


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory that everybody may write to; those of pytest are for their owner alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def out(ground: Path) -> Path:
    return ground / "out"


@pytest.fixture
def server(toggl_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that the environment leads to."""
    monkeypatch.setenv("TOGGL_API_TOKEN", toggl_sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    return toggl_sandbox


def limited(limit: int, form: str, *places: Path) -> subprocess.CompletedProcess[str]:
    """Export in a process without special rights, whose files can't grow beyond a limit; 0 for none."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(limit), form, *map(str, places)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def here(
    server: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Exporting:
    """Export in this process, and let a process without special rights own the files."""
    options = ClientOptions(pace=Pace(interval=0.0001), retry=Retry(minimum=0, maximum=0))
    monkeypatch.setattr(connect, "OPTIONS", options)

    def export(form: str) -> tuple[int, str, str]:
        code = main(["export", "--out", str(out), "--format", form])
        if os.geteuid() == 0:
            for path in (out, *out.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return export


@contextlib.contextmanager
def unreachable_from(route: str, server: Sandbox) -> Iterator[None]:
    """Let nothing be answered once this route is asked for, which ends an export."""
    down = False

    def decide(asked: str) -> Fault:
        nonlocal down
        down = down or asked == route
        return Fault(status=500) if down else Fault()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.faults, "decide", decide)
        yield


LIMITS: dict[str, int] = dict.fromkeys(("jsonl", "csv", "parquet", "sqlite", "duckdb"), 1_000_000)
"""Bytes at which the mirror is full when some of the company is in it."""


@pytest.mark.parametrize("form", by_night(LIMITS, besides=["jsonl"]))
def test_files_that_cannot_grow_any_more(server: Sandbox, out: Path, here: Exporting, form: str) -> None:
    stopped = limited(LIMITS[form], form, out)
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr.endswith("run the same command to resume it\n")
    assert "Traceback" not in stopped.stderr
    asked = server.counts.requests
    code, printed, errors = here(form)
    assert code == 0, errors
    assert "totals agree" in printed
    assert ids(out, form) == [row["id"] for row in server.company.dataset("time_entries")]
    assert server.counts.requests - asked <= asked


def test_a_directory_that_may_not_be_written_to(server: Sandbox, ground: Path) -> None:
    ground.chmod(0o555)
    places = (ground, ground / "new", ground / "a" / "b")
    refused = limited(0, "jsonl", *places)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.splitlines() == [
        f"toggl-async: cannot write to {place}: {ground} is not a directory that you can write to"
        for place in places
    ]
    assert server.counts.requests == 0
    assert list(ground.iterdir()) == []


@pytest.mark.parametrize("form", first_of(["jsonl", "sqlite"]))
def test_a_directory_that_may_no_longer_be_written_to(
    server: Sandbox, out: Path, here: Exporting, form: str
) -> None:
    with unreachable_from(TAGS, server):
        code, _, errors = here(form)
    assert code == 1, errors
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    out.chmod(0o555)
    refused = limited(0, form, out)
    assert refused.returncode == 2, refused.stderr
    assert f"cannot write to {out}" in refused.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    out.chmod(0o755)
    code, _, errors = here(form)
    assert code == 0, errors
    assert ids(out, form) == [row["id"] for row in server.company.dataset("time_entries")]


def test_a_mirror_that_may_not_be_written_to(server: Sandbox, out: Path, here: Exporting) -> None:
    with unreachable_from(TAGS, server):
        assert here("jsonl")[0] == 1
    file = out / "mirror.sqlite"
    data = file.read_bytes()
    file.chmod(0o444)
    stopped = limited(0, "jsonl", out)
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.startswith(f"toggl-async: cannot open {file} as a mirror: ")
    assert stopped.stderr.endswith("Permission denied\n")
    assert file.read_bytes() == data
    file.chmod(0o600)
    code, _, errors = here("jsonl")
    assert code == 0, errors
    assert ids(out, "jsonl") == [row["id"] for row in server.company.dataset("time_entries")]
    assert json.loads((out / "manifest.json").read_bytes())["totals_agree"] is True
