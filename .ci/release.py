"""Makes a release: checks what a person would forget, writes version and date, builds, commits, tags.

`nox -s release -- X.Y.Z` runs it. Nothing leaves the machine: pushing the tag is what publishes. Where a
check or the build fails, the files are as they were.
"""

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["ReleaseError", "check_tag", "release"]

_UNRELEASED = "## Unreleased\n"
_VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)


class ReleaseError(Exception):
    """Something stands in the way of the release."""


def release(root: Path, version: str, *, today: dt.date, package: Callable[[Path], None]) -> None:
    """Make the commit and the tag of a release.

    Args:
        root: the work tree.
        version: what is released, as X.Y.Z.
        today: its date.
        package: builds what would be published, and checks it; raises where it is not right.

    Raises:
        ReleaseError: the version, the work tree or the changelog does not allow it.
    """
    project, changelog = root / "pyproject.toml", root / "CHANGELOG.md"
    before = {path: path.read_text("utf-8") for path in (project, changelog)}
    _check_version(version, before[project], _git(root, "tag", "--list", "v*").split())
    _check_tree(root)
    notes = before[changelog].partition(_UNRELEASED)[2].partition("\n## ")[0]
    if not re.search(r"^- ", notes, re.MULTILINE):
        raise ReleaseError("CHANGELOG.md has nothing under 'Unreleased': say what users get")
    try:
        project.write_text(_VERSION.sub(f'version = "{version}"', before[project], count=1), "utf-8")
        heading = f"{_UNRELEASED}\n## {version} - {today}\n"
        changelog.write_text(before[changelog].replace(_UNRELEASED, heading, 1), "utf-8")
        package(root)
    except BaseException:
        for path, text in before.items():
            path.write_text(text, "utf-8")
        raise
    _git(root, "add", project.name, changelog.name)
    _git(root, "commit", "--quiet", "--message", f"Release {version}")
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"Version {version}")


def check_tag(root: Path, tag: str) -> None:
    """Compare a tag with the version of the project.

    Raises:
        ReleaseError: they differ.
    """
    version = _version(root.joinpath("pyproject.toml").read_text("utf-8"))
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, but pyproject.toml has version {version}")


def _version(project: str) -> str:
    found = _VERSION.search(project)
    if found is None:
        raise ReleaseError('pyproject.toml has no line of the form: version = "X.Y.Z"')
    return found[1]


def _check_version(version: str, project: str, tags: list[str]) -> None:
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise ReleaseError(f"{version!r} is not a version of the form X.Y.Z")
    if f"v{version}" in tags:
        raise ReleaseError(f"version {version} was released already: there is a tag v{version}")
    current = _version(project)
    is_first = not tags
    if _numbers(version) < _numbers(current) or (version == current and not is_first):
        raise ReleaseError(f"version {version} does not come after {current}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _check_tree(root: Path) -> None:
    if changed := _git(root, "status", "--porcelain"):
        raise ReleaseError(f"the work tree has changes that are not committed:\n{changed}")
    branch = _git(root, "branch", "--show-current")
    if branch != "main":
        raise ReleaseError(f"releases are made on main, and this is {branch or 'no branch'}")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _package(root: Path) -> None:
    """Let nox build what would be published, and check it."""
    done = subprocess.run([sys.executable, "-m", "nox", "-s", "package"], cwd=root, check=False)
    if done.returncode:
        raise ReleaseError("what would be published is not right: see above")


def main(arguments: list[str]) -> int:
    """Run from the command line: a version releases it, a tag (vX.Y.Z) is compared with the project."""
    root = Path(__file__).parents[1]
    try:
        match arguments:
            case [tag] if tag.startswith("v"):
                check_tag(root, tag)
            case [version]:
                release(root, version, today=dt.datetime.now(dt.UTC).date(), package=_package)
                print(f"Version {version} is committed and tagged. To publish: git push --follow-tags")
            case _:
                raise ReleaseError("give the version: nox -s release -- X.Y.Z")  # noqa: TRY301
    except ReleaseError as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
