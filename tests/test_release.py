"""What `nox -s release` does, in a repository of the test's own; and which workflows there are."""

import datetime as dt
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TODAY = dt.date(2026, 11, 26)
PROJECT = '[project]\nname = "x"\nversion = "0.1.0"\n'
CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n\n- Something.\n\n## 0.0.1 - 2026-01-01\n\n- All.\n"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RELEASE = load()


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    command = ["git", *who, "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ann@example.com")
    (tmp_path / "pyproject.toml").write_text(PROJECT, "utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    git(tmp_path, "tag", "v0.0.1")
    return tmp_path


def build_nothing(root: Path) -> None:
    """Builds nothing, and finds nothing wrong."""


@needs_git
def test_a_release_has_its_version_its_date_its_commit_and_its_tag(repository: Path) -> None:
    built: list[str] = []

    def package(root: Path) -> None:
        built.append(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])

    RELEASE.release(repository, "0.2.0", today=TODAY, package=package)
    assert built == ["0.2.0"]
    assert (
        (repository / "CHANGELOG.md")
        .read_text("utf-8")
        .startswith("# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-11-26\n\n### Added\n\n- Something.\n")
    )
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "-1", "--format=%s %D") == "Release 0.2.0 HEAD -> main, tag: v0.2.0"
    RELEASE.check_tag(repository, "v0.2.0")
    with pytest.raises(RELEASE.ReleaseError, match=r"the tag is v0\.3\.0, but .+ has version 0\.2\.0"):
        RELEASE.check_tag(repository, "v0.3.0")


@needs_git
def test_the_first_release_has_the_version_that_is_there(repository: Path) -> None:
    git(repository, "tag", "--delete", "v0.0.1")
    RELEASE.release(repository, "0.1.0", today=TODAY, package=build_nothing)
    assert git(repository, "tag") == "v0.1.0"


@needs_git
@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("0.2", "'0.2' is not a version of the form X.Y.Z"),
        ("0.02.0", "is not a version"),
        ("0.0.1", "released already"),
        ("0.0.9", "version 0.0.9 does not come after 0.1.0"),
        ("0.1.0", "version 0.1.0 does not come after 0.1.0"),
    ],
)
def test_a_version_that_cannot_be_is_refused(repository: Path, version: str, says: str) -> None:
    with pytest.raises(RELEASE.ReleaseError, match=re.escape(says)):
        RELEASE.release(repository, version, today=TODAY, package=build_nothing)
    assert git(repository, "tag") == "v0.0.1"


@needs_git
def test_changes_another_branch_and_an_empty_changelog_are_refused(repository: Path) -> None:
    def refused() -> str:
        with pytest.raises(RELEASE.ReleaseError) as raised:
            RELEASE.release(repository, "0.2.0", today=TODAY, package=build_nothing)
        return str(raised.value)

    (repository / "left.txt").touch()
    assert "?? left.txt" in refused()
    (repository / "left.txt").unlink()
    git(repository, "switch", "--quiet", "--create", "work")
    assert refused() == "releases are made on main, and this is work"
    git(repository, "switch", "--quiet", "main")
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("- Something.\n", ""), "utf-8")
    git(repository, "commit", "--quiet", "--all", "--message", "Forget")
    assert "nothing under 'Unreleased'" in refused()
    (repository / "pyproject.toml").write_text("[project]\n", "utf-8")
    assert "no line of the form" in refused()


@needs_git
def test_a_build_that_fails_leaves_everything_as_it_was(repository: Path) -> None:
    def package(root: Path) -> None:
        raise RELEASE.ReleaseError("twine says no")

    with pytest.raises(RELEASE.ReleaseError, match="twine says no"):
        RELEASE.release(repository, "0.2.0", today=TODAY, package=package)
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag") == "v0.0.1"


def test_a_wrong_command_says_what_is_right() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "release.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "No release: give the version: nox -s release -- X.Y.Z\n")


def test_the_index_shows_the_readme_without_links_that_lead_nowhere() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    text = readme = (ROOT / "README.md").read_text("utf-8")
    for one in tools["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("https://")] == []
    assert "<img" not in text
    assert "The chart" not in text
    assert re.findall(r"^#+ .+", text, re.MULTILINE) == re.findall(r"^#+ .+", readme, re.MULTILINE)
    assert len(text) > 0.85 * len(readme)


def test_every_action_is_pinned_and_every_permission_named() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [path.stem for path in workflows] == ["nightly", "release", "site", "tests"]
    for path in workflows:
        text = path.read_text("utf-8")
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        assert all("permissions" in job for job in workflow["jobs"].values())
        for action in re.findall(r"uses: (.+)", text):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_the_workflows_test_every_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert set(named) <= set(matrix["python"])
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}


def test_the_workflows_check_what_ci_checks() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (checks,) = re.findall(r"^nox -s (lint .+)$", script, re.MULTILINE)
    assert f"run: nox -s {checks}\n" in (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
