"""The pages of the site that are written by hand: their programs run, their tables name what exists."""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.patience import patient
from support.programs import blocks
from toggl_async import TogglClient, operations, timer
from toggl_async.sandbox import SMALL, Sandbox, SandboxOptions, serve

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parent.parent / "docs"
TEXTS = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")}
PROGRAMS = [
    (page, program)
    for page in ("tutorial", "concepts", "migration")
    for program in blocks(TEXTS[page], "python")
    if "asyncio.run(main())" in program
]
SERVICE, TEST = (program for program in blocks(TEXTS["tutorial"], "python") if "run(main())" not in program)


@pytest.fixture
def anyio_backend() -> Any:
    return patient(100)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with serve(SandboxOptions(size=SMALL, interval=0.0)) as sandbox:
        monkeypatch.setenv("TOGGL_API_TOKEN", sandbox.api_token)
        monkeypatch.setenv("TOGGL_BASE_URL", sandbox.base_url)
        yield sandbox


@pytest.mark.parametrize(("page", "program"), PROGRAMS)
async def test_each_program_runs_and_prints(
    page: str,
    program: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mains: list[Coroutine[Any, Any, None]] = []
    monkeypatch.setattr(asyncio, "run", mains.append)
    exec(compile(program, f"{page}.md", "exec"), {"__name__": "__main__"})
    (main,) = mains
    await main
    assert capsys.readouterr().out.strip()
    assert sandbox.counts.refused[429] == 0


async def test_the_service_answers_with_what_runs(sandbox: Sandbox) -> None:
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(SERVICE, "tutorial.md", "exec"), names)
    app = names["app"]
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http,
        TogglClient.from_env() as toggl,
    ):
        await timer.stop(toggl)
        assert (await http.get("/running")).json() is None
        me = await toggl.me.get()
        entry = await timer.start(toggl.workspace(me.default_workspace_id), description="Served")
        assert (await http.get("/running")).json()["id"] == entry.id


async def test_the_service_does_not_let_its_users_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(SERVICE, "tutorial.md", "exec"), names)
    app = names["app"]
    async with serve(SandboxOptions(size=SMALL, interval=0.0, user_quota=0)) as used_up:
        monkeypatch.setenv("TOGGL_API_TOKEN", used_up.api_token)
        monkeypatch.setenv("TOGGL_BASE_URL", used_up.base_url)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http,
        ):
            answer = await http.get("/running")
    assert answer.status_code == 503
    assert answer.json()["error"]


def test_the_test_of_the_tutorial_passes(toggl_client: TogglClient, toggl_sandbox: Sandbox) -> None:
    names: dict[str, Any] = {"__name__": "test_example"}
    exec(compile(TEST, "tutorial.md", "exec"), names)
    names["test_what_runs_is_found"](toggl_client)
    assert toggl_sandbox.counts.asked["GET /api/v9/me/time_entries/current"] == 1


def test_the_first_page_shows_the_program_of_the_readme() -> None:
    readme = blocks((DOCS.parent / "README.md").read_text("utf-8"), "python")
    assert blocks(TEXTS["index"], "python") == readme[:1]


def test_the_tables_of_the_migration_name_what_exists() -> None:
    named = re.findall(
        r"`((?:me|workspace|organizations?)(?:\.[a-z_]+)+|timer\.[a-z_]+)[`(]", TEXTS["migration"]
    )
    walked = {f"{one.name.rsplit('.', 1)[0]}.iter" for one in operations() if one.paging}
    there = {one.name for one in operations()} | walked | {f"timer.{name}" for name in timer.__all__}
    assert len(named) > 100
    assert sorted(set(named) - there) == []


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = [
        line
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", TEXTS["index"], re.DOTALL)
        for line in tree.splitlines()
        if line and not line.startswith((":", "reference/"))
    ]
    assert sorted(listed) == sorted(TEXTS.keys() - {"index"})


def test_every_public_module_has_a_page_of_the_reference() -> None:
    frozen = tomllib.loads((DOCS.parent / "tests" / "public_names.toml").read_text("utf-8"))
    assert sorted(frozen) == sorted(re.findall(r"reference/modules/(\S+)", TEXTS["index"]))
