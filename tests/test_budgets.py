"""Budgets of hand-written files, and of what the first touch of a resource loads.

Those of the generated files stand in test_generated.py, what imports load in test_import.py. Nothing
here measures time, which differs from machine to machine: benchmarks/imports.py does. What is counted
instead is what the time goes into: attrs takes about half a millisecond for each class.
"""

import ast
import functools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from toggl_async import scopes

ROOT = Path(__file__).parents[1]
GENERATED = {"records", "scopes"}
LINES_OF_A_MODULE = 500
"""A net for accidents: modules split where the matter splits, at about 400 lines."""
LINES_OF_A_FUNCTION = 60
CLASSES_OF_A_TOUCH = 40
MODULES_OF_A_TOUCH = 15

FIRST_TOUCHES = """
import importlib, json, sys
import attrs
import toggl_async._client.client
from toggl_async import scopes

generated = ("toggl_async.records.", "toggl_async.scopes.")
found = {}
for resource in scopes.RESOURCE_MODULES:
    for name in [name for name in sys.modules if name.startswith(generated)]:
        del sys.modules[name]
    importlib.import_module(resource.rpartition(".")[0])
    before = set(sys.modules)
    importlib.import_module(resource)
    loaded = [name for name in sys.modules if name.startswith(generated) and name not in before]
    classes = [
        one
        for name in loaded
        for one in vars(sys.modules[name]).values()
        if isinstance(one, type) and one.__module__ == name and attrs.has(one)
    ]
    found[resource] = (len(loaded), len(classes))
print(json.dumps(found))
"""
"""Touches each resource as if it were the first, in one interpreter."""


def hand_written() -> Iterator[Path]:
    for package in ("toggl_async", "codegen"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.relative_to(ROOT).parts[1] not in GENERATED:
                yield path


@pytest.mark.parametrize("path", list(hand_written()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_hand_written_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES_OF_A_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LINES_OF_A_FUNCTION, node.name


@functools.cache
def first_touches() -> Mapping[str, tuple[int, int]]:
    """Count the modules and the classes that each resource loads when it is the first."""
    run = subprocess.run([sys.executable, "-c", FIRST_TOUCHES], capture_output=True, text=True, check=True)
    found: Mapping[str, tuple[int, int]] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("resource", scopes.RESOURCE_MODULES)
def test_the_first_touch_of_a_resource_loads_little(resource: str) -> None:
    modules, classes = first_touches()[resource]
    assert 1 <= modules <= MODULES_OF_A_TOUCH
    assert classes <= CLASSES_OF_A_TOUCH


def test_the_count_sees_what_is_loaded() -> None:
    modules, classes = first_touches()["toggl_async.scopes.workspace.tags"]
    assert (modules, classes) == (2, 1)
