"""The stub of the front door follows from its table and from the records."""

import ast
from pathlib import Path

import pytest

from codegen.emit import formatted
from codegen.emit_front import STUB, front_files
from codegen.plan import plan
from support.pets import Folder


def stub(folder: Folder, package: Path, table: str) -> str:
    result, faults = plan(folder.load())
    assert [str(fault) for fault in faults] == []
    package.joinpath("_lazy.py").write_text(table, "utf-8")
    return formatted(dict(front_files(result, package)))[STUB]


def test_the_stub_names_what_the_table_and_the_records_name(folder: Folder, tmp_path: Path) -> None:
    text = stub(
        folder,
        tmp_path,
        'FRONT: dict = {"toggl_async.errors": ("NotFound",), "msgspec": ("UNSET",)}\n'
        'MODULES: tuple = ("errors",)',
    )
    assert '__all__ = [\n    "UNSET", "NotFound", "Pet",\n]  # fmt: skip\n\n__version__: str\n' in text
    imported = {
        (node.module, alias.name, alias.asname)
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {
        ("msgspec", "UNSET", "UNSET"),
        ("toggl_async", "errors", "errors"),
        ("toggl_async.errors", "NotFound", "NotFound"),
        ("toggl_async.records.pets", "Pet", "Pet"),
    }


def test_a_package_without_a_front_gets_no_stub(folder: Folder, tmp_path: Path) -> None:
    result, _ = plan(folder.load())
    assert dict(front_files(result, tmp_path)) == {}


def test_a_table_that_is_not_there_is_told(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"_lazy\.py has no table FRONT"):
        stub(folder, tmp_path, "HOMES = {}")
