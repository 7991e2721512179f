"""`.ci/run` from outside, with made-up Pythons: which it finds, what it runs on each, when it fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
README_COMMAND = "python -m pip install nox && nox -s tests"

PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c import sys;"*) echo {version} ;;
    "-c import sys, venv, ensurepip;"*) {whole} && echo {version} ;;
    "-m venv")
        mkdir -p "$3/bin"
        printf '#!/bin/sh\necho "{version} python $*" >> "$LOG"\n{python_ends}' > "$3/bin/python"
        printf '#!/bin/sh\necho "{version} nox $*" >> "$LOG"\n{nox_ends}' > "$3/bin/nox"
        chmod +x "$3/bin/python" "$3/bin/nox" ;;
esac
"""
SHIM = "#!/bin/sh\necho 'pyenv: not found' >&2\nexit 127\n"
"""A shim of a Python that pyenv has not been told to use."""


class Machine:
    """A machine with made-up Pythons, and a clone that holds the script alone."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.path, self.home = folder / "clone", folder / "path", folder / "home"
        self.system, self.log = folder / "system", folder / "log"
        for made in (self.clone / ".ci", self.path, self.home, self.system):
            made.mkdir(parents=True)
        shutil.copy(SCRIPT, self.clone / ".ci" / "run")
        for tool in ("bash", "dirname", "mktemp", "rm", "mkdir", "chmod", "sh"):
            found = shutil.which(tool)
            assert found is not None
            (self.path / tool).symlink_to(found)
        self.has(self.path / "apt-get", "#!/bin/sh\nexit 100\n")
        self.has(self.path / "redis-server", "#!/bin/sh\n")
        self.has(self.system / "postgresql" / "15" / "bin" / "initdb", "#!/bin/sh\n")

    def has(self, file: Path, text: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(0o755)
        return file

    def python(
        self,
        file: Path,
        version: str,
        *,
        whole: bool = True,
        pip_fails: bool = False,
        nox_fails: bool = False,
    ) -> Path:
        """Put a Python somewhere."""
        text = PYTHON.format(
            version=version,
            whole="true" if whole else "false",
            python_ends=f"exit {int(pip_fails)}\\n",
            nox_ends=f"exit {int(nox_fails)}\\n",
        )
        return self.has(file, text)

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run the script."""
        return subprocess.run(
            [str(self.clone / ".ci" / "run"), *arguments],
            env={
                "PATH": str(self.path),
                "HOME": str(self.home),
                "LOG": str(self.log),
                "PYTHON_FOLDERS": str(self.system),
                "POSTGRES_FOLDER": str(self.system / "postgresql"),
                "TMPDIR": str(self.home),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def done(self) -> list[str]:
        """What was run in the environments, each line with its Python's version."""
        return self.log.read_text("utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_pythons_are_found_on_path_and_beside_it(machine: Machine) -> None:
    machine.has(machine.path / "python3.11", SHIM)
    machine.has(machine.path / "python3.12", SHIM)
    eleven = machine.python(machine.home / ".pyenv" / "versions" / "3.11.7" / "bin" / "python", "3.11")
    twelve = machine.python(machine.path / "python3", "3.12")
    thirteen = machine.python(machine.system / "python3.13", "3.13")
    machine.python(machine.home / ".pyenv" / "versions" / "3.9.18" / "bin" / "python", "3.9")
    found = machine.run("--pythons")
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        f"Python 3.11: {eleven}",
        f"Python 3.12: {twelve}",
        f"Python 3.13: {thirteen}",
    ]
    assert machine.done == []


@pytest.mark.parametrize("says", ["the variable", "the command"])
def test_pyenv_may_be_anywhere(machine: Machine, tmp_path: Path, says: str) -> None:
    root = tmp_path / "elsewhere"
    python = machine.python(root / "versions" / "3.12.1" / "bin" / "python", "3.12")
    environ = {"PYENV_ROOT": str(root)} if says == "the variable" else {}
    if says == "the command":
        machine.has(machine.path / "pyenv", f"#!/bin/sh\n[ $1 = root ] && echo {root}\n")
    found = machine.run("--pythons", **environ)
    assert found.stdout == f"Python 3.12: {python}\n"


def test_the_readmes_command_is_run_on_each_and_the_rest_once(machine: Machine) -> None:
    assert README_COMMAND in [line.strip() for line in SCRIPT.read_text("utf-8").splitlines()]
    for version in ("3.13", "3.11", "3.12"):
        machine.python(machine.path / f"python{version}", version)
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("passed; the README's test command on Python 3.11 3.12 3.13\n")
    each = [
        line
        for version in ("3.11", "3.12", "3.13")
        for line in (f"{version} python -m pip install nox", f"{version} nox -s tests")
    ]
    assert machine.done[:6] == each
    *_, once = machine.done
    assert once == "3.11 nox -s lint typing coverage minimums wheel contract docs workflows"
    assert list(machine.home.iterdir()) == []  # no environment is left


@pytest.mark.parametrize("fails", ["pip_fails", "nox_fails"])
def test_it_fails_where_one_python_fails(machine: Machine, fails: str) -> None:
    machine.python(machine.path / "python3.11", "3.11")
    machine.python(machine.path / "python3.12", "3.12", **{fails: True})
    machine.python(machine.path / "python3.13", "3.13")
    done = machine.run()
    assert done.returncode != 0
    assert not [line for line in machine.done if line.startswith("3.13") or "lint" in line]


def test_it_fails_where_one_that_is_there_cannot_be_run(machine: Machine) -> None:
    machine.python(machine.path / "python3.11", "3.11")
    bare = machine.python(machine.path / "python3.12", "3.12", whole=False)
    done = machine.run()
    assert done.returncode == 1
    assert "installing python3.12-venv" in done.stderr
    assert done.stderr.endswith(f"Python 3.12 is there ({bare}), but cannot make an environment\n")
    assert machine.done == []


def test_a_bare_machine_gets_debians_python(machine: Machine) -> None:
    found = machine.run()
    assert found.returncode != 0
    assert "installing python3 python3-venv python3-pip git" in found.stderr
    python = machine.python(machine.home / "python3.11", "3.11")
    machine.has(machine.path / "apt-get", f"#!/bin/sh\n/bin/ln -sf {python} {machine.path}/python3\n")
    found = machine.run("--pythons")
    assert (found.returncode, found.stdout) == (0, f"Python 3.11: {machine.path}/python3\n")


@pytest.mark.parametrize(
    ("program", "package"),
    [("path/redis-server", "redis-server"), ("system/postgresql/15/bin/initdb", "postgresql")],
)
def test_a_machine_without_a_server_gets_debians_before_any_test(
    machine: Machine, program: str, package: str
) -> None:
    machine.python(machine.path / "python3.11", "3.11")
    (machine.path.parent / program).unlink()
    done = machine.run()
    assert done.returncode != 0
    assert f"installing {package}\n" in done.stderr
    assert machine.done == []
    machine.has(machine.path / "apt-get", "#!/bin/sh\n")
    assert machine.run().returncode == 0
