"""Text on the command line is UTF-8, whatever encoding Python takes the terminal's to be."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox

ASCII: Final = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has text on its command line")


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder for state of the test's own, in which nothing is known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def run(*arguments: str | bytes, **environment: str) -> tuple[int, str, str]:
    """Run the command in a process whose encoding is ASCII; return its exit code and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "toggl_async", *arguments],
        env={**os.environ, **ASCII, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def as_bytes(text: str) -> str:
    """An argument as Python has it where the encoding is ASCII."""
    return text.encode().decode("ascii", "surrogateescape")


def test_a_process_of_another_encoding_sends_what_was_typed(server: Sandbox) -> None:
    project, *_ = (one for one in server.company.projects.values() if one.active)
    project.name, project.workspace_id = "Żółw", server.company.owner.default_workspace_id
    code, out, err = run("start", "Łukasz 🐢", "--project", "żółw", "--json")
    assert err == ""
    assert code == 0
    assert json.loads(out)["description"] == "Łukasz 🐢"
    assert json.loads(out)["project_id"] == project.id


def test_every_text_is_read_as_utf_8(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    home = server.company.owner.default_workspace_id
    for name in (f"name={as_bytes('Łódź')}", f'name:="{as_bytes("Żółw")}"'):
        assert main(["call", "workspace.tags.create", f"workspace_id={home}", name]) == 0
    assert {"Łódź", "Żółw"} <= {one.name for one in server.company.tags.values()}
    capsys.readouterr()
    assert main(["start", as_bytes("Łukasz"), "--tag", as_bytes("łódź"), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["description"], entry["tags"]) == ("Łukasz", ["Łódź"])
    assert main(["api", as_bytes("ł")]) == 1
    assert capsys.readouterr().err == "toggl-async: no operation matches 'ł'\n"
    assert main(["today", "--day", as_bytes("środa")]) == 2
    assert "'środa' is not a day" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["start", "\udce9t\udce9"], "Invalid value for '[DESCRIPTION]': "),
        (["start", "--project", "\udce9"], "Invalid value for '--project': "),
        (["start", "--tag", "a", "--tag", "\udce9"], "Invalid value for '--tag': "),
        (["today", "--day", "\udce9"], "Invalid value for '--day': "),
        (["today", "--base-url", "\udce9"], "Invalid value for '--base-url': "),
        (["api", "tags", "\udce9"], "Invalid value for '[WORDS]...': "),
        (["report", "--by", "\udce9", "x"], "Invalid value for '--by': "),
        (["call", "\udce9"], "Invalid value for 'OPERATION': "),
        (["call", "workspace.tags.create", "workspace_id=7", "name=\udce9"], "name: "),
        (["call", "workspace.tags.create", "workspace_id=7", 'name:="\udce9"'], "name: "),
    ],
)
def test_what_is_not_text_is_refused_by_its_name(
    server: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"toggl-async: {named}it is not valid text in UTF-8\n"
    assert server.counts.requests == 0


@pytest.mark.parametrize("name", ["Łódź.png".encode(), b"\xe9.png"])
def test_a_path_is_taken_byte_for_byte(server: Sandbox, tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    image = b"\x89PNG\r\n\x1a\n" + bytes(64)
    Path(os.fsdecode(path)).write_bytes(image)
    server.order(Fault(body="{}"), route="POST /api/v9/avatars")
    code, _, err = run("call", "me.avatar.upload", b"file=" + path)
    assert err == ""
    assert code == 0
