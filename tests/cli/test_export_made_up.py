"""`toggl-async export --sandbox`: one company for everybody, gone on with, a day older with each update."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.commands import running
from toggl_async.cli import made_up, main
from toggl_async.cli.made_up import BEGINNING, days_lived
from toggl_async.sandbox import SandboxOptions, Workday, serve

SPEED = ("--speed", "1000")
ENTRIES = ("--dataset", "time_entries")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def manifest(out: Path) -> Any:
    return json.loads((out / "manifest.json").read_bytes())


def rows(out: Path) -> dict[int, tuple[int | None, int]]:
    """The seconds and the workspace of each time entry that isn't running."""
    with closing(sqlite3.connect(out / "mirror.sqlite")) as mirror:
        found = mirror.execute(
            "SELECT id, seconds, workspace_id FROM time_entries "
            "WHERE deleted_at IS NULL AND seconds IS NOT NULL"
        )
        return {number: (seconds, workspace) for number, seconds, workspace in found}


async def days() -> tuple[list[Workday], dict[int, tuple[int | None, int]]]:
    """What happens in the first two days of the company, and its time entries then."""
    async with serve(SandboxOptions(now=BEGINNING)) as sandbox:
        lived = [sandbox.next_day(), sandbox.next_day()]
        truth = {
            row["id"]: (row["seconds"], row["workspace_id"])
            for row in sandbox.company.dataset("time_entries")
            if not row["running"]
        }
    return lived, truth


@pytest.mark.slow
@pytest.mark.anyio
async def test_each_update_brings_a_day(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio  # noqa: PLC0415

    lived, truth = await days()
    command = ["export", "--sandbox", *SPEED, *ENTRIES, "--out", str(out)]

    def told(*arguments: str) -> str:
        assert main([*command, *arguments]) == 0
        return capsys.readouterr().out

    assert "added" not in await asyncio.to_thread(told)
    for day in lived:
        edited = len(day.edited) + len(day.redated) + len(day.moved)
        expected = f"time_entries: {len(day.added)} added, {edited} edited, {len(day.deleted)} deleted\n"
        assert expected in await asyncio.to_thread(told, "--update")
    assert rows(out) == truth


@pytest.mark.slow
def test_the_same_command_goes_on_after_ctrl_c(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's first command, for which time runs twenty times as fast; then faster."""
    with running("export", "--sandbox", "--out", str(out)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("workspaces: "):
                process.send_signal(signal.SIGINT)
                break
        assert "run the same command to resume it" in process.stderr.read()
        assert process.wait() == 130
    spent = manifest(out)["requests"]
    command = ["export", "--sandbox", *SPEED, "--out", str(out)]
    assert main(command) == 0
    whole = manifest(out)
    assert (whole["finished"], whole["complete"], whole["totals_agree"]) == (True, True, True)
    assert spent < whole["requests"]
    anew = out.with_name("anew")
    assert main([*command[:-1], str(anew)]) == 0
    assert rows(out) == rows(anew)
    assert whole["requests"] <= manifest(anew)["requests"] + 2  # whose token it is, and what was under way
    capsys.readouterr()
    assert main(command) == 2
    assert capsys.readouterr().err == (
        f"toggl-async: {out} contains a finished export; --update brings it up to date; for another export, "
        "name another directory\n"
    )


@pytest.mark.slow
def test_a_database_is_kept_fresh_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "--sandbox", *SPEED, *ENTRIES, "--to", f"sqlite:///{tmp_path / 'm.sqlite'}"]
    assert main(command) == 0
    assert main(command) == 0
    assert "time_entries: 22 added, 25 edited, 5 deleted\n" in capsys.readouterr().out


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    path = tmp_path / "mirror.sqlite"
    assert main(["export", "--sandbox", *SPEED, "--dataset", "tags", "--to", str(path)]) == 0
    return path


def test_how_many_days_were_lived(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert days_lived(mirror.with_name("missing"), update=True) == 0
    assert days_lived(mirror, update=False) == 0
    assert days_lived(mirror, update=True) == 1
    assert days_lived(f"sqlite:///{mirror}", update=True) == 1
    assert days_lived(f"sqlite:///{mirror.with_name('new')}", update=True) == 0
    monkeypatch.setattr(made_up, "_HOST", "toggl.example.com")  # an export of somebody's own data
    assert days_lived(mirror, update=True) == 1
