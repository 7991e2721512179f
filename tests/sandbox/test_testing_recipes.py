"""docs/testing.md: each recipe is run as it stands, in a folder and a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from toggl_async.cli import main

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "testing.md").read_text("utf-8")
RECIPES = {
    f"{title}-{number}": program
    for title, part in re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    for number, program in enumerate(re.findall(r"```python\n(.*?)```", part, re.DOTALL))
}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert list(home.iterdir()) == []  # nothing of the user's was touched
    return done


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_passes(name: str, tmp_path: Path) -> None:
    (tmp_path / "test_recipe.py").write_text(RECIPES[name], "utf-8")
    tests = len(re.findall(r"^ *(?:async )?def test_", RECIPES[name], re.MULTILINE))
    if "unittest.main()" in RECIPES[name]:
        done = run(tmp_path, "-W", "error", "-m", "unittest", "test_recipe")
        assert f"Ran {tests} test" in done.stderr, done.stderr
    else:
        scope = "asyncio_default_fixture_loop_scope=function"  # left out, pytest-asyncio warns
        done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-o", scope)
        assert f"{tests} passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_there_is_a_recipe_for_each_way_of_testing() -> None:
    assert [name.rpartition("-")[0] for name in RECIPES] == [
        "With pytest",
        "With pytest-asyncio",
        "With anyio",
        "With unittest",
        "With unittest",
        "With respx, without a sandbox",
        "Programs in other processes and languages",
        "Time, days, faults, accounts",
    ]


def test_the_table_of_operations_is_what_the_command_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--operations"]) == 0
    listed = capsys.readouterr().out
    page = (DOCS / "sandbox-operations.md").read_text("utf-8")
    assert page.endswith(f"\n\n{listed}"), "write it anew: toggl-async sandbox --operations"
    assert listed.count("\n") == 329 + 2
