"""The README's programs and commands, run as they stand."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from toggl_async.sandbox import FastLoop, Sandbox, SandboxOptions, serve

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)


@pytest.fixture
def anyio_backend() -> Any:
    """Real sockets, on a clock that runs fast enough for a pace of one request a second."""
    return "asyncio", {"loop_factory": lambda: FastLoop(200)}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(SandboxOptions()) as sandbox:
        yield sandbox


@pytest.mark.parametrize("program", PROGRAMS)
async def test_each_program_runs_and_prints(
    program: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mains: list[Coroutine[Any, Any, None]] = []
    monkeypatch.setattr(asyncio, "run", mains.append)
    monkeypatch.setenv("TOGGL_API_TOKEN", sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", sandbox.base_url)
    exec(compile(program, "<README.md>", "exec"), {"__name__": "__main__"})
    (main,) = mains
    await main
    assert capsys.readouterr().out.strip()
    assert sandbox.counts.refused[429] == 0


def test_there_are_programs_and_commands() -> None:
    assert len(PROGRAMS) == 3
    assert COMMANDS[0] == (
        'python -m pip install ".[cli,sandbox]" && toggl-async export --sandbox --out toggl-export'
    )


def test_the_test_command_is_what_ci_runs() -> None:
    command = "python -m pip install nox && nox -s tests"
    assert command in COMMANDS
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
