"""The programs and commands of the README and of docs/, run as they stand."""

import ast
import asyncio
import inspect
import logging
import re
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from support.hook_receiver import receiver
from support.patience import patient
from support.programs import blocks
from toggl_async import TogglClient, operations, webhooks
from toggl_async.cli.app import command as toggl_async_command
from toggl_async.sandbox import SMALL, Sandbox, SandboxOptions, serve

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))}
TEXTS = {name: path.read_text("utf-8") for name, path in PAGES.items()}


def sections(text: str) -> dict[str, list[str]]:
    """The programs of a page by the heading that they stand under, those before any under ""."""
    headed = re.split(r"^## (.+)$", f"\n{text}", flags=re.MULTILINE)
    found = {"": headed[0], **dict(zip(headed[1::2], headed[2::2], strict=True))}
    return {title: programs for title, part in found.items() if (programs := blocks(part, "python"))}


PROGRAMS = blocks(TEXTS["README.md"], "python")
COMMANDS = [
    line
    for name in ("README.md", "guide.md", "tutorial.md", "command.md")
    for part in blocks(TEXTS[name], "sh")
    for line in part.splitlines()
]
GUIDE = sections(TEXTS["guide.md"])
(PRELUDE,) = GUIDE.pop("")


@pytest.fixture
def anyio_backend() -> Any:
    """Real sockets, and waits that are short enough for a pace of one request a second."""
    return patient(100)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox that the environment points to, and a folder to write to."""
    async with serve(SandboxOptions(size=SMALL)) as sandbox:
        monkeypatch.setenv("TOGGL_API_TOKEN", sandbox.api_token)
        monkeypatch.setenv("TOGGL_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
        monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "portrait.png").write_bytes(picture())
        yield sandbox
    for name in ("httpx", "toggl_async"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def picture() -> bytes:
    """A PNG of one grey pixel."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


async def paste(program: str, names: dict[str, Any], page: str) -> None:
    """Run a program as `python -m asyncio` does: with `await` at its top level."""
    code = compile(program, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)
    if inspect.isawaitable(running):
        await running


@pytest.mark.parametrize("program", PROGRAMS)
async def test_each_program_of_the_readme_runs_and_prints(
    program: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mains: list[Coroutine[Any, Any, None]] = []
    monkeypatch.setattr(asyncio, "run", mains.append)
    exec(compile(program, "README.md", "exec"), {"__name__": "__main__"})
    (main,) = mains
    await main
    assert capsys.readouterr().out.strip()
    assert sandbox.counts.refused[429] == 0


@pytest.mark.parametrize("title", GUIDE)
async def test_each_section_of_the_guide_runs_and_prints(
    title: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    await paste(PRELUDE, names, "guide.md")
    toggl: TogglClient = names["toggl"]
    async with toggl:
        for program in GUIDE[title]:
            if "def test_" in program:
                run_as_tests(program)
                continue
            await paste(program, names, f"guide.md, {title}")
            assert capsys.readouterr().out.strip(), program
    assert sandbox.counts.refused[429] == 0


@pytest.mark.slow
def test_the_programs_are_typed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A section of the guide goes into a coroutine, since no module can await at its top level."""
    pytest.importorskip("mypy")
    cache = request.config.cache
    assert cache is not None
    programs = [
        "\n".join([PRELUDE, *(program for program in section if "def test_" not in program)])
        for section in GUIDE.values()
    ]
    coroutines = (
        f"async def section_{number}() -> None:\n{textwrap.indent(program, '    ')}"
        for number, program in enumerate(programs)
    )
    (tmp_path / "guide.py").write_text("\n".join(coroutines), "utf-8")
    for name in ("README.md", "tutorial.md", "concepts.md", "migration.md"):
        whole = [program for program in blocks(TEXTS[name], "python") if "def test_" not in program]
        for number, program in enumerate(whole):
            (tmp_path / f"{Path(name).stem.lower()}_{number}.py").write_text(program, "utf-8")
    files = sorted(map(str, tmp_path.glob("*.py")))
    options = ("--strict", f"--cache-dir={cache.mkdir('mypy-documents')}")
    command = [sys.executable, "-m", "mypy", *options, *files]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def run_as_tests(program: str) -> None:
    """Let pytest run a program's tests, in a process and a folder of their own."""
    folder = Path("tests")
    folder.mkdir()
    (folder / "test_example.py").write_text(program, "utf-8")
    plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-W", "error"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{program.count('def test_')} passed" in run.stdout


@pytest.mark.slow
async def test_the_programs_about_exports_run(sandbox: Sandbox, tmp_path: Path) -> None:
    mains: list[Coroutine[Any, Any, None]] = []
    for program in blocks(TEXTS["export.md"], "python"):
        with pytest.MonkeyPatch.context() as patch:
            if program.endswith("asyncio.run(main())\n"):
                patch.setattr(asyncio, "run", mains.append)
            exec(compile(program, "export.md", "exec"), {"__name__": "__main__"})
        while mains:
            await mains.pop()
    assert sorted(path.suffix for path in (tmp_path / "projects").rglob("projects*")) == [".parquet"]
    assert sandbox.counts.refused[429] == 0


async def test_the_program_that_makes_a_webhook_makes_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a secret of the test's own"
    async with receiver() as hooks, TogglClient.from_env() as toggl:
        monkeypatch.setenv("TOGGL_WEBHOOK_ADDRESS", hooks.url)
        monkeypatch.setenv("TOGGL_WEBHOOK_SECRET", secret)
        names: dict[str, Any] = {"__name__": "subscriber"}
        (program,) = [one for one in blocks(TEXTS["webhooks.md"], "python") if "def subscribe" in one]
        await paste(program, names, "webhooks.md")
        workspace_id = (await toggl.me.get()).default_workspace_id
        assert workspace_id is not None
        await names["subscribe"](workspace_id)
        (made,) = await toggl.workspace(workspace_id).webhooks.list()
    assert (made.url_callback, made.enabled) == (hooks.url, True)
    headers, ping = hooks.came[0]
    webhooks.verify(headers[webhooks.SIGNATURE_HEADER], ping, secret)


def test_there_are_programs_and_commands() -> None:
    assert len(PROGRAMS) == 3
    assert len(GUIDE) == 20
    assert COMMANDS[0] == (
        'python -m pip install ".[cli,sandbox]" && toggl-async export --sandbox --out toggl-export'
    )


@pytest.mark.parametrize(
    "line", sorted({match for line in COMMANDS for match in re.findall(r"toggl-async ([^&|]+)", line)})
)
def test_each_command_is_one(line: str) -> None:
    name, *arguments = line.split()
    command = toggl_async_command.commands[name]
    assert command.make_context(name, arguments).command is command


def test_the_test_command_is_what_ci_runs() -> None:
    assert "python -m pip install nox && nox -s tests" in COMMANDS  # see test_ci.py


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = PAGES[name]
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", TEXTS[name]):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
            }


def test_the_readme_has_the_figures_of_the_benchmarks() -> None:
    published = re.findall(r"<!-- begin (.+?) -->.*?<!-- end \1 -->", TEXTS["README.md"], re.DOTALL)
    assert published == ["scheduler reads"]
    table = re.compile(r"<!-- begin scheduler reads -->.*?<!-- end scheduler reads -->", re.DOTALL)
    assert table.findall(TEXTS["README.md"]) == table.findall(TEXTS["benchmarks.md"])


def test_the_number_of_operations_is_told_rightly() -> None:
    assert f"all {len(operations())} operations" in TEXTS["README.md"]
