"""Completion in a shell: from what was written down, in a process of its own, as bash asks for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "toggl_async" / "names"


@pytest.fixture
def known(server: Sandbox) -> Sandbox:
    """A sandbox with names that are hard on a shell, which a command has written down."""
    default = server.company.owner.default_workspace_id
    projects = list(server.company.projects.values())
    for row in projects:
        row.workspace_id = default
    names = ["Website relaunch", "website $HOME", "Web\nline", "Web\x1b[31m", "Łukasz"]
    for row, name in zip([one for one in projects if one.active][: len(names)], names, strict=True):
        row.name = name
    assert main(["today"]) == 0
    return server


def completions(words: str, shell: str = "zsh", **environment: str) -> list[str]:
    """What `toggl-async` answers a shell; of zsh's three lines each, the value."""
    count = len(words.split("\n")) - 1
    run = subprocess.run(
        [sys.executable, "-c", "import sys; from toggl_async.cli import main; sys.exit(main())"],
        env={
            **os.environ,
            "_TOGGL_ASYNC_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(count),
            **environment,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.rstrip("\n").split("\n")[1::3] if shell == "zsh" else run.stdout.splitlines()


def test_projects_and_tags(known: Sandbox) -> None:
    before = known.counts.requests
    assert completions("toggl-async\nstart\n--project\nweb") == ["website $HOME", "Website relaunch"]
    tags = {tag.name for tag in known.company.tags.values()}
    found = completions("toggl-async\nstart\n--tag\n")
    assert found
    assert set(found) <= tags
    assert completions("toggl-async\nstart\n--project\nxyzzy") == []
    assert known.counts.requests == before


@pytest.mark.slow
def test_names_of_other_workspaces_are_left_out(server: Sandbox) -> None:
    """Starting a timer would refuse them."""
    first, second, *_ = server.company.projects.values()
    first.name, second.name = "Web here", "Web there"
    default = server.company.owner.default_workspace_id
    other = next(one for one in server.company.workspaces if one != default)
    first.workspace_id, second.workspace_id = default, other
    first.active = second.active = True
    assert main(["today"]) == 0
    assert completions("toggl-async\nstart\n--project\nweb ") == ["Web here"]
    assert completions(f"toggl-async\nstart\n--workspace\n{other}\n--project\nweb ") == ["Web there"]


@pytest.mark.slow
def test_days() -> None:
    assert completions("toggl-async\ntoday\n--day\nm") == ["monday"]
    assert completions("toggl-async\ntoday\n--day\nT") == ["today", "tomorrow", "tuesday", "thursday"]


@pytest.mark.slow
def test_where_nothing_is_known(known: Sandbox, state: Path) -> None:
    words = "toggl-async\nstart\n--project\n"
    assert completions(words, TOGGL_API_TOKEN="") == []
    assert completions(words, TOGGL_API_TOKEN="another") == []
    assert completions(words, TOGGL_BASE_URL="http://127.0.0.1:1") == []
    assert completions(words, TOGGL_BASE_URL="http://[") == []
    (path,) = state.iterdir()
    path.write_bytes(b"\xff{")
    assert completions(words) == []


def test_commands(known: Sandbox) -> None:
    assert {"start", "stop"} <= set(completions("toggl-async\nst"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_itself(known: Sandbox, tmp_path: Path) -> None:
    """A name comes back as bash would have to be given it."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "toggl-async"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toggl_async "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    script = subprocess.run(
        [command],
        env={**environment, "_TOGGL_ASYNC_COMPLETE": "bash_source"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    asked = (
        "COMP_WORDS=(toggl-async start --project web); COMP_CWORD=3; _toggl_async_completion toggl-async; "
        'for one in "${COMPREPLY[@]}"; do eval "printf \'%s\\n\' $one"; done'
    )
    run = subprocess.run(
        ["bash", "--norc", "-c", f"complete() {{ :; }}\n{script}\n{asked}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.splitlines() == ["website $HOME", "Website relaunch"]


def test_a_shell_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TOGGL_ASYNC_COMPLETE", "xyzzy_source")
    assert main([]) == 1
