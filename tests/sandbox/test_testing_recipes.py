"""docs/testing.md: each recipe is run as it stands, in a file of its own."""

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


UNITTESTS = {name for name, program in RECIPES.items() if "unittest.main()" in program}


def module(name: str) -> str:
    """Name the file of a recipe."""
    return "test_recipe_" + re.sub(r"\W+", "_", name).lower()


class Recipes:
    """Runs of the recipes: those of one runner in one process, which takes a second to start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._home = folder / "home"
        self._home.mkdir()
        for name, program in RECIPES.items():
            (folder / f"{module(name)}.py").write_text(program, "utf-8")
        scope = "asyncio_default_fixture_loop_scope=function"  # left out, pytest-asyncio warns
        others = [f"{module(name)}.py" for name in RECIPES.keys() - UNITTESTS]
        options = ("-rA", "-p", "no:cacheprovider", "-W", "error", "-o", scope)
        self.said = self._run("-m", "pytest", *options, *sorted(others)) + self._run(
            *("-W", "error", "-m", "unittest", "-v", *sorted(map(module, UNITTESTS)))
        )

    def _run(self, *command: str) -> str:
        home = str(self._home)
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self._folder,
            env=os.environ | {"HOME": home, "XDG_STATE_HOME": f"{home}/state"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(self._home.iterdir()) == []  # nothing of the user's was touched
        return done.stdout + done.stderr

    def passed(self, name: str) -> int:
        """How many tests of a recipe passed."""
        file = module(name)
        # What a program logs may stand between a test of unittest and its "ok".
        lines = rf"^PASSED {file}\.py::|^test_\w+ \({file}\.[\w.]+\) \.\.\. (?!skipped)"
        return len(re.findall(lines, self.said, re.MULTILINE))


@pytest.fixture(scope="session")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Recipes:
    return Recipes(tmp_path_factory.mktemp("recipes"))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_passes(name: str, recipes: Recipes) -> None:
    tests = len(re.findall(r"^ *(?:async )?def test_", RECIPES[name], re.MULTILINE))
    assert recipes.passed(name) == tests > 0


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
