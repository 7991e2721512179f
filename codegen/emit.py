"""Step three: write the plan down as files, formatted, the same each time.

Whole directories are replaced, so nothing of an earlier run stays behind.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from codegen.emit_front import STUB
from codegen.emit_records import record_files
from codegen.emit_sandbox import FOLDER
from codegen.emit_scopes import scope_files
from codegen.model import LibraryPlan
from codegen.text import WIDTH

__all__ = ["DIRECTORIES", "emit", "formatted", "stale", "write"]

DIRECTORIES: Final = ("records", FOLDER, "scopes")
"""What is generated as a whole, under ``toggl_async``."""


def emit(plan: LibraryPlan) -> dict[str, str]:
    """Write every file: path under ``toggl_async`` to formatted text."""
    return formatted(dict([*record_files(plan), *scope_files(plan)]))


def write(files: Mapping[str, str], package: Path) -> None:
    """Replace the generated directories of a package."""
    for path in _existing(package):
        if path not in files:
            (package / path).unlink()
    for path, text in files.items():
        target = package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    for folder in sorted(_folders(package), reverse=True):
        if not any(one.name != "__pycache__" for one in folder.iterdir()):
            _remove(folder)


def stale(files: Mapping[str, str], package: Path) -> list[str]:
    """List what differs from the files, is missing, or should not be there."""
    existing = set(_existing(package))
    differing = [
        path
        for path, text in files.items()
        if path in existing and (package / path).read_text("utf-8") != text
    ]
    return sorted([*differing, *(existing ^ files.keys())])


def _existing(package: Path) -> list[str]:
    found = [path for directory in DIRECTORIES for path in (package / directory).rglob("*")]
    return sorted(
        path.relative_to(package).as_posix()
        for path in (*found, package / STUB)
        if path.is_file() and "__pycache__" not in path.parts
    )


def _folders(package: Path) -> Iterator[Path]:
    for directory in DIRECTORIES:
        yield from (
            path
            for path in (package / directory).rglob("*")
            if path.is_dir() and "__pycache__" not in path.parts
        )


def _remove(folder: Path) -> None:
    """Remove a folder that holds nothing but compiled files."""
    for path in (folder / "__pycache__").glob("*"):
        path.unlink()
    if (folder / "__pycache__").exists():
        (folder / "__pycache__").rmdir()
    folder.rmdir()


def formatted(files: Mapping[str, str]) -> dict[str, str]:
    """Sort imports and format, with fixed settings so that no other configuration has a say."""
    with tempfile.TemporaryDirectory() as name:
        stage = Path(name)
        for path, text in files.items():
            target = stage / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        common = ["--isolated", "--quiet", "--no-cache", f"--config=line-length={WIDTH}"]
        sorting = ["--select=I", "--fix", '--config=lint.isort.known-first-party=["toggl_async"]']
        _ruff("check", *common, *sorting, str(stage))
        _ruff("format", *common, str(stage))
        return {path: (stage / path).read_text("utf-8") for path in sorted(files)}


def _ruff(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "ruff", *arguments], check=True)  # noqa: S603  our own arguments
