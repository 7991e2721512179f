"""The generator writes whole directories, and says which of their files are stale."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codegen.__main__ import main
from codegen.emit import stale, write
from support import own_documents
from support.pets import Folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tmp_path / "toggl_async"


@pytest.fixture
def run(folder: Folder, package: Path) -> Any:
    def run(*arguments: str) -> int:
        return main([*arguments, "--spec", str(folder.save()), "--package", str(package)])

    return run


def test_write_and_check(run: Any, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert capsys.readouterr().out == "6 files, 2 operations, 1 records\n"
    assert run("--check") == 0
    assert capsys.readouterr().out == ""
    assert (package / "scopes" / "workspace" / "pets.py").is_file()


def test_check_names_what_is_stale_missing_or_extra(
    run: Any, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    (package / "records" / "pets.py").write_text("# edited\n", "utf-8")
    (package / "scopes" / "workspace" / "pets.py").unlink()
    (package / "scopes" / "extra.txt").write_text("?", "utf-8")
    (package / "records" / "__pycache__").mkdir()
    (package / "records" / "__pycache__" / "pets.pyc").write_bytes(b"")
    capsys.readouterr()
    assert run("--check") == 1
    assert capsys.readouterr().out.splitlines() == [
        "stale: records/pets.py",
        "stale: scopes/extra.txt",
        "stale: scopes/workspace/pets.py",
    ]
    assert (package / "records" / "pets.py").read_text("utf-8") == "# edited\n"


def test_whole_directories_are_replaced(run: Any, package: Path) -> None:
    old = package / "scopes" / "old"
    (old / "__pycache__").mkdir(parents=True)
    (old / "__pycache__" / "birds.pyc").write_bytes(b"")
    (old / "empty").mkdir()
    (old / "birds.py").write_text("", "utf-8")
    (package / "client.py").write_text("", "utf-8")
    assert run() == 0
    assert not old.exists()
    assert (package / "client.py").exists()
    assert run() == 0
    assert run("--check") == 0


def test_with_faults_nothing_is_written(
    run: Any, folder: Folder, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del folder.pets["get"]["summary"]
    assert run() == 2
    assert capsys.readouterr().err == "fault: GET /api/v9/workspaces/{workspace_id}/pets: has no summary\n"
    assert not package.exists()


def test_the_command_in_a_process_of_its_own(run: Any, folder: Folder, package: Path) -> None:
    assert run() == 0
    (package / "records" / "pets.py").write_text("# edited\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "codegen", "--check", "--spec", str(folder.path), "--package", str(package)],
        cwd=own_documents.FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "stale: records/pets.py\n", "")


def test_write_leaves_the_rest_alone(tmp_path: Path) -> None:
    write({"records/a.py": "a"}, tmp_path)
    assert stale({"records/a.py": "a"}, tmp_path) == []
    assert stale({}, tmp_path) == ["records/a.py"]
