"""The house: imports between its rooms are few, go one way, and are drawn by `support.arrows`."""

import ast
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

import codegen
import toggl_async
from support.arrows import SHEETS, Sheet, graph, sheet

ROOT = Path(__file__).parent.parent

MOST_ARROWS = {"toggl_async": 58, "toggl_async.scheduler": 38, "toggl_async.export": 29}
"""So many arrows at most: what a reader of the picture can still follow."""


@pytest.fixture(scope="module")
def sheets() -> dict[str, Sheet]:
    imports = graph()
    return {package: sheet(imports, package) for package in SHEETS}


@pytest.mark.parametrize("package", SHEETS)
def test_few_arrows_and_no_circle(package: str, sheets: dict[str, Sheet]) -> None:
    print(sheets[package])  # noqa: T201 - the picture, with pytest -s
    assert sheets[package].layers()
    assert sheets[package].arrows <= MOST_ARROWS[package]


@pytest.mark.parametrize("package", SHEETS)
def test_no_arrow_goes_up(package: str, sheets: dict[str, Sheet]) -> None:
    floors = contract(package)
    heights = {room: height for height, layer in enumerate(floors) for room in layer}
    drawn = {room: below for room, below in sheets[package].below.items() if room != "sandbox"}
    assert drawn.keys() <= heights.keys()
    upward = [
        f"{room} -> {other}"
        for room, below in drawn.items()
        for other in below - {"sandbox"}
        if heights[room] >= heights[other]
    ]
    assert upward == []


def contract(package: str) -> list[set[str]]:
    """The layers of a package in the contract of import-linter, from the top down."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (layers,) = (
        one["layers"]
        for one in project["tool"]["importlinter"]["contracts"]
        if one.get("containers") == [package] and one["type"] == "layers"
    )
    return [{room.strip() for room in layer.split("|")} for layer in layers]


def test_a_circle_is_told() -> None:
    circle = Sheet("p", {"a": frozenset({"b"}), "b": frozenset({"a"}), "c": frozenset()})
    with pytest.raises(ValueError, match="a circle among a, b"):
        circle.layers()


def test_one_word_means_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for package in (toggl_async, codegen):
        root = Path(package.__path__[0]).parent  # of an installed package, where it is installed
        paths = sorted((root / package.__name__).rglob("*.py"))
        assert paths
        for path in paths:
            # Resources of different scopes have the same name on purpose: me.projects, workspace.projects.
            if path.relative_to(root).parts[:2] != ("toggl_async", "scopes"):
                for name in public_classes(ast.parse(path.read_text("utf-8"))):
                    homes[name].append(path.relative_to(root).as_posix())
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def public_classes(tree: ast.Module) -> list[str]:
    """Classes of a module, and aliases of types."""
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    aliases = [
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "TypeAlias"
    ]
    return [name for name in classes + aliases if not name.startswith("_")]
