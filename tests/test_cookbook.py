"""The programs of docs/cookbook.md, run as they stand on the sandbox, and read by two type checkers."""

import ast
import asyncio
import csv
import datetime as dt
import inspect
import json
import math
import os
import re
import shlex
import subprocess
import sys
import textwrap
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.patience import patient
from support.programs import blocks
from toggl_async import webhooks
from toggl_async.cli.app import command as toggl_async_command
from toggl_async.sandbox import SMALL, Fault, Sandbox, SandboxOptions, serve
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

pytestmark = pytest.mark.anyio

TEXT = (Path(__file__).parent.parent / "docs" / "cookbook.md").read_text("utf-8")
RECIPES = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
PROGRAMS = {title: blocks(part, "python") for title, part in RECIPES.items()}
SECRET = "a secret of the test's own"
ADDRESS = "https://example.com/toggl"


@pytest.fixture
def anyio_backend() -> Any:
    """Real sockets, and waits that are short enough for a pace of one request a second."""
    return patient(1000)


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox that the environment points to, and a folder to write to."""
    options = SandboxOptions(size=SMALL, org_quota=math.inf, user_quota=math.inf)
    async with serve(options) as sandbox:
        monkeypatch.setenv("TOGGL_API_TOKEN", sandbox.api_token)
        monkeypatch.setenv("TOGGL_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("TOGGL_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("TOGGL_WEBHOOK_ADDRESS", ADDRESS)
        monkeypatch.chdir(tmp_path)
        yield sandbox
    assert sandbox.counts.refused[429] == 0


def program(title: str) -> str:
    (found,) = PROGRAMS[title]
    return found


async def run_main(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program that ends in `asyncio.run`, in the loop that is there."""
    mains: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "run", mains.append)
        exec(compile(program(title), title, "exec"), {"__name__": "__main__"})
    (main,) = mains
    await main


async def test_the_service(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    service = types.ModuleType("service")
    sys.modules["service"] = service  # FastAPI looks there for the types of its endpoints
    try:
        exec(compile(program("A service with a timer and a webhook"), "service", "exec"), vars(service))
        app = service.app
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as http,
        ):
            started = await http.post("/timer", params={"description": "By the web"})
            assert started.json()["description"] == "By the web"
            stopped = await http.delete("/timer")
            assert stopped.json()["id"] == started.json()["id"]
            assert (await http.delete("/timer")).json() is None
            used_up = {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "3000"}
            sandbox.order(Fault(status=402, headers=used_up), route="GET /api/v9/me/time_entries/current")
            assert (await http.delete("/timer")).status_code == 503
            for_webhook = delivery(started.json())
            signed = {webhooks.SIGNATURE_HEADER: webhooks.sign(for_webhook, SECRET)}
            taken = await http.post("/toggl", content=for_webhook, headers=signed)
            assert taken.status_code == 200
            assert (await http.post("/toggl", content=for_webhook)).status_code == 403
            assert service.seen == ["By the web"]
            odd = json.loads(for_webhook) | {"event_id": 2, "payload": {"id": 5}}
            body = json.dumps(odd).encode()
            signed = {webhooks.SIGNATURE_HEADER: webhooks.sign(body, SECRET)}
            assert (await http.post("/toggl", content=body, headers=signed)).status_code == 200
            assert service.seen == ["By the web"]
            assert "cannot read event 2: " in caplog.text
    finally:
        del sys.modules["service"]


def delivery(entry: Any) -> bytes:
    """What Toggl sends of a time entry that was made."""
    now = dt.datetime.now(dt.UTC).isoformat()
    return json.dumps(
        {
            "event_id": 1,
            "created_at": now,
            "creator_id": 1,
            "metadata": {
                "action": "created",
                "model": "time_entry",
                "workspace_id": entry["workspace_id"],
                "event_user_id": 1,
                "request_type": "POST",
                "path": "/",
            },
            "payload": entry,
            "subscription_id": 1,
            "timestamp": now,
            "url_callback": ADDRESS,
        }
    ).encode()


async def test_the_copy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        await run_main("A copy, every night", monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["projects", "tags"] * 2
    assert lines[:2] == lines[2:]


@pytest.mark.toggl_sandbox(org_quota=math.inf, user_quota=math.inf)
def test_the_month(
    toggl_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", toggl_sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program("Last month as CSV"), "month.py", "exec"), names)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["start"][:7] for row in rows} == {f"{names['LAST']:%Y-%m}"}
    assert sum(float(row["hours"]) for row in rows) > 0
    assert all(row["user"] for row in rows)
    assert toggl_sandbox.counts.requests == 2


async def test_the_invoice(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await run_main("An invoice", monkeypatch)
    assert " is invoice " in capsys.readouterr().out
    assert sandbox.counts.requests == 6
    assert (tmp_path / "entries.csv").read_text("utf-8-sig").count(",") > 5
    assert (tmp_path / "entries.pdf").read_bytes().startswith(b"%PDF")


class Interrupted(Exception):
    """Whatever ends a program half-way."""


def interrupted(line: str, **_: Any) -> None:
    """A print that ends its program half-way."""
    if line == "200 of 500":
        raise Interrupted


@pytest.mark.slow
async def test_the_import_tells_of_each_row_and_goes_on(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=20)
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["start", "seconds", "description"])
        for number in range(500):
            length = 60 if number % 100 else 4_000_000  # over 999 hours, which Toggl refuses
            writer.writerow([(first + dt.timedelta(minutes=number)).isoformat(), length, f"Row {number}"])
    names: dict[str, Any] = {"__name__": "importer"}
    exec(compile(program("Five hundred rows from a CSV"), "importer", "exec"), names)
    sandbox.order(
        Fault(status=502, applied=True), route="POST /api/v9/workspaces/{workspace_id}/time_entries"
    )
    names["print"] = interrupted
    with pytest.raises(Interrupted):
        await names["main"]("rows.csv")
    del names["print"]
    assert await names["main"]("rows.csv") == 1
    told = capsys.readouterr()
    assert "500 of 500" in told.out
    assert "refused: " in told.err
    descriptions = [row.description for row in sandbox.company.entries.values() if row.description]
    imported = [text for text in descriptions if text.startswith("Row ")]
    assert sorted(imported) == sorted({f"Row {number}" for number in range(500) if number % 100})


async def test_the_import_skips_what_it_cannot_read(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names: dict[str, Any] = {"__name__": "importer"}
    exec(compile(program("Five hundred rows from a CSV"), "importer", "exec"), names)
    start = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(days=1)
    bad = [
        f"{start.isoformat()},abc,A",
        f"{start.isoformat()},-5,B",
        "yesterday,5,C",
        "2026-03-04T09:00:00,5,D",
    ]
    good = f"{start.isoformat()},60,Row E"
    (tmp_path / "rows.csv").write_text("\n".join(["start,seconds,description", *bad, "x", good]), "utf-8")
    assert await names["main"]("rows.csv") == 1
    told = capsys.readouterr().err
    assert [line.partition(":")[0] for line in told.splitlines()] == [f"line {line}" for line in range(2, 7)]
    imported = [row for row in sandbox.company.entries.values() if row.description in {*"ABCD", "Row E"}]
    assert [row.description for row in imported] == ["Row E"]
    assert sandbox.counts.statuses.get(400, 0) == 0
    (tmp_path / "rows.csv").write_text("start,seconds\n", "utf-8")
    before = sandbox.counts.requests
    with pytest.raises(SystemExit, match=r"^rows.csv: the first line lacks description$"):
        await names["main"]("rows.csv")
    assert sandbox.counts.requests == before


def test_the_import_without_a_file_says_how_to_run_it(tmp_path: Path) -> None:
    (tmp_path / "import_csv.py").write_text(program("Five hundred rows from a CSV"), "utf-8")
    command = [sys.executable, "import_csv.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.stderr == "usage: python import_csv.py FILE.csv\n"
    assert run.returncode == 1


async def test_the_notebook(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    code = compile(program("A notebook"), "notebook", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, {"__name__": "__main__"})
    assert inspect.isawaitable(running)
    await running
    lines = capsys.readouterr().out.splitlines()
    hours = [float(re.findall(r"([\d.]+) h$", line)[0]) for line in lines]
    assert hours == sorted(hours, reverse=True)
    assert hours


@pytest.mark.slow
@pytest.mark.toggl_sandbox(org_quota=math.inf, user_quota=math.inf)
def test_the_accounts(toggl_sandbox: Sandbox, tmp_path: Path) -> None:
    """In a process of its own: the time of a budget's file is the machine's."""
    people = list(toggl_sandbox.company.people.values())
    tokens = {f"p{number}": person.api_token for number, person in enumerate(people[:9])}
    tokens |= {f"p{number}": "0" * 31 + str(number) for number in range(len(tokens), 10)}
    environment = {f"{name.upper()}_TOKEN": token for name, token in tokens.items()} | {
        "TEAM": ",".join(tokens),
        "TOGGL_BASE_URL": toggl_sandbox.base_url,
        "XDG_STATE_HOME": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", program("Ten accounts, by cron")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert list(lines) == list(tokens)
    assert all(lines[name].endswith(" h") == (not tokens[name].startswith("0" * 31)) for name in tokens)


@pytest.mark.slow
def test_the_tests(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(program("Tests of all this"), "utf-8")
    plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio")
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-W", "error", "test_example.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout


COMMANDS = sorted(set(re.findall(r"toggl-async ((?:start|today|stop|export)[^`\n]*)", TEXT)))


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_one(line: str) -> None:
    name, *arguments = shlex.split(line)
    command = toggl_async_command.commands[name]
    assert command.make_context(name, arguments).command is command


def test_every_recipe_has_its_test() -> None:
    assert [title for title, found in PROGRAMS.items() if found] == [
        "A service with a timer and a webhook",
        "A copy, every night",
        "Last month as CSV",
        "An invoice",
        "Five hundred rows from a CSV",
        "A notebook",
        "Ten accounts, by cron",
        "Tests of all this",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_programs_are_typed(checker: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    pytest.importorskip(checker)
    for number, title in enumerate(title for title, found in PROGRAMS.items() if found):
        text = program(title)
        if title == "A notebook":  # no module can await at its top level
            text = f"async def notebook() -> None:\n{textwrap.indent(text, '    ')}"
        (tmp_path / f"recipe_{number}.py").write_text(text, "utf-8")
    files = sorted(map(str, tmp_path.glob("*.py")))
    if checker == "mypy":
        cache = request.config.cache
        assert cache is not None
        options = ["--strict", f"--cache-dir={cache.mkdir('mypy-documents')}"]
    else:
        options = ["--pythonpath", sys.executable]
    command = [sys.executable, "-m", checker, *options, *files]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
