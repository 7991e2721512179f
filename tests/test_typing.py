"""What the type checkers say about programs that use the package: see tests/typing.

The session `typing` of nox checks those files as well, and finds superfluous marks there. Here the
marks are taken away, so that the checkers have to find each mistake by themselves.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "typing"
MARK = re.compile(r"  # type: ignore\[([\w-]+)\]$")


def marked() -> dict[int, str]:
    """Line to the mistake that it is marked with."""
    lines = (CASES / "refused.py").read_text("utf-8").splitlines()
    return {number: mark[1] for number, line in enumerate(lines, 1) if (mark := MARK.search(line))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the files, without marks."""
    for path in CASES.glob("*.py"):
        lines = (MARK.sub("", line) for line in path.read_text("utf-8").splitlines())
        (tmp_path / path.name).write_text("\n".join(lines), "utf-8")
    return tmp_path


def run(folder: Path, *command: str) -> str:
    """Run a type checker on the files; it must find something."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    files = ("answers.py", "refused.py")
    found = subprocess.run(
        [sys.executable, "-m", *command, *files],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


def test_the_cases_are_there() -> None:
    assert len(marked()) > 30
    assert set(marked().values()) >= {"arg-type", "attr-defined", "call-arg"}


@pytest.mark.slow
def test_mypy_refuses_what_is_marked_and_nothing_else(folder: Path, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("mypy")
    cache = request.config.cache
    assert cache is not None
    options = ("--strict", "--config-file=", "--no-error-summary", "--hide-error-context", "--no-pretty")
    output = run(folder, "mypy", *options, f"--cache-dir={cache.mkdir('mypy')}")
    found = re.findall(r"^(\w+\.py):(\d+): error: .*\[([\w-]+)\]$", output, flags=re.MULTILINE)
    assert {int(line): code for file, line, code in found if file == "refused.py"} == marked()
    assert [one for one in found if one[0] != "refused.py"] == []


@pytest.mark.slow
def test_pyright_refuses_what_is_marked_and_nothing_else(folder: Path) -> None:
    pytest.importorskip("pyright")
    output = run(folder, "pyright", f"--pythonpath={sys.executable}", "--outputjson")
    found = [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in json.loads(output)["generalDiagnostics"]
        if one["severity"] == "error"
    ]
    assert set(found) == {("refused.py", line) for line in marked()}
