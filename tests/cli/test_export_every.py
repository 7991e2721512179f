"""`toggl-async export --every` and `--max-wait`: a daemon in a process of its own, its lines, and its end."""

import configparser
import json
import re
import shlex
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from support.commands import running
from support.programs import blocks
from toggl_async.cli import app, daemon, main
from toggl_async.cli.durations import Duration
from toggl_async.sandbox import Fault, Sandbox

MADE_UP = ("--sandbox", "--speed", "1000", "--dataset", "tags", "--dataset", "time_entries")
TAGS = "GET /api/v9/workspaces/{workspace_id}/tags"


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.linux
@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGTERM, 0), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_process_goes_round_after_round_until_it_is_told_to_end(
    out: Path, ending: signal.Signals, code: int
) -> None:
    with running("export", *MADE_UP, "--every", "10m", "--out", str(out)) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        lines: list[str] = []
        while len(lines) < 2:
            line = process.stderr.readline()
            assert line
            lines += [line] if "next round at" in line else []
        process.send_signal(ending)
        rest = process.stderr.read()
        assert process.wait() == code
        assert process.stdout.read() == ""
    assert re.search(r" tags: [\d,]+ added, time_entries: [\d,]+ added; ", lines[0])
    assert "time_entries: 22 added, " in lines[1]
    assert "; requests left: user " in lines[1]
    last = f"toggl-async: stopped; {out} keeps all that was committed; run the same command to resume\n"
    assert rest.endswith(last)
    assert "Traceback" not in rest
    with closing(sqlite3.connect(out / "mirror.sqlite")) as mirror:
        (count,) = mirror.execute("SELECT COUNT(*) FROM time_entries").fetchone()
    assert count > 26_400
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["changes"]["time_entries"]["added"] > 0


@pytest.mark.slow
@pytest.mark.linux
def test_a_process_against_a_server(server: Sandbox, out: Path) -> None:
    """Over a real socket to another process's server, at the pace that everybody gets."""
    workspace = next(iter(server.company.workspaces))
    choice = ["--dataset", "tags", "--workspace", str(workspace), "--every", "1s", "--json"]
    with running("export", *choice, "--to", f"sqlite:///{out}.sqlite") as process:
        assert process.stdout is not None
        rounds: list[dict[str, Any]] = []
        while len(rounds) < 2:
            event = json.loads(process.stdout.readline())
            if event["event"] == "round_finished":
                rounds.append(event)
                tag = next(one for one in server.company.tags.values() if one.workspace_id == workspace)
                tag.name = "renamed between two rounds"
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 0
    assert [one["exit"] for one in rounds] == [0, 0]
    assert rounds[1]["changes"] == {"tags": {"added": 0, "edited": 1, "deleted": 0}}
    assert rounds[1]["error"] is None
    assert rounds[1]["next_in"] >= 0
    assert rounds[0]["as_of"]["tags"] < rounds[1]["next_at"]
    assert events(rest)[-1] == {"event": "stopped", "place": f"{out}.sqlite"}


# In this process


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of the rounds; SIGTERM comes after so many as the test says by the first element."""
    lines: list[str] = []

    def remark(line: str) -> None:
        lines.append(line)
        if line.count("next round at") and sum("next round at" in one for one in lines) == 2:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # once is enough, and twice does no harm

    monkeypatch.setattr(daemon, "remark", remark)
    return lines


@pytest.mark.slow
@pytest.mark.linux
def test_a_line_a_round(out: Path, capsys: pytest.CaptureFixture[str], rounds: list[str]) -> None:
    command = ["export", "--sandbox", "--speed", "1000", "--dataset", "clients", "--out", str(out)]
    assert main(command) == 0
    assert main([*command, "--every", "1h"]) == 0
    assert len(rounds) == 2
    for line in rounds:
        assert line.partition(" ")[2].startswith("nothing has changed; ")
        assert "; requests left: user " in line
        assert ", organization " in line
    assert capsys.readouterr().err.endswith("run the same command to resume\n")


@pytest.mark.linux
def test_the_first_round_says_what_it_wrote(out: Path, server: Sandbox, rounds: list[str]) -> None:
    for place in (["--out", str(out)], ["--to", f"sqlite:///{out}.sqlite"]):
        rounds.clear()
        assert main(["export", "--dataset", "tags", "--dataset", "clients", "--every", "1s", *place]) == 0
        tags, clients = len(server.company.tags), len(server.company.clients)
        assert f" clients: {clients} added, tags: {tags} added; " in rounds[0]
        assert " nothing has changed; " in rounds[1]


@pytest.mark.linux
def test_trouble_is_told_and_the_next_round_comes(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], rounds: list[str]
) -> None:
    server.order(Fault(status=500), route="GET /api/v9/me")
    assert main(["export", "--dataset", "tags", "--every", "1s", "--out", str(out)]) == 0
    assert "the round ended early: " in rounds[0]
    assert re.search(r" tags: \d+ added; ", rounds[1])
    assert "nothing has changed" not in rounds[1]
    assert (out / "tags.jsonl").exists()


@pytest.mark.linux
def test_an_incomplete_round_says_so(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], rounds: list[str]
) -> None:
    server.order(Fault(status=500), route=TAGS)
    command = ["export", "--dataset", "tags", "--every", "1s", "--to", f"sqlite:///{out}.sqlite"]
    assert main(command) == 0
    assert re.search(r" tags: \d+ added, incomplete; ", rounds[0])
    assert "incomplete" not in rounds[1]
    assert "tags of workspace " in capsys.readouterr().err


@pytest.mark.linux
def test_refused_credentials_end_it(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["export", "--dataset", "tags", "--every", "1s", "--out", str(out)]
    monkeypatch.setenv("TOGGL_API_TOKEN", "wrong")
    assert main(command) == 1
    assert (
        "Toggl refused the credentials, so there can be no further rounds: Incorrect username"
        in capsys.readouterr().err
    )
    assert not out.exists()
    assert main([*command, "--json"]) == 1
    assert events(capsys.readouterr().out)[-1]["event"] == "failed"


@pytest.mark.linux
def test_many_accounts_are_kept_fresh(
    server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: list[str]
) -> None:
    first, second, *_ = server.company.people.values()
    monkeypatch.setenv("FIRST_TOKEN", first.api_token)
    monkeypatch.setenv("SECOND_TOKEN", second.api_token)
    (file := tmp_path / "accounts").write_text("first env:FIRST_TOKEN\nsecond env:SECOND_TOKEN\n")
    out = tmp_path / "out"
    choice = ["--dataset", "tags", "--accounts", str(file), "--every", "1h"]
    assert main(["export", "--out", str(out), *choice]) == 0
    assert {line.split()[1] for line in rounds} == {"first:", "second:"}
    assert sorted(path.name for path in out.iterdir()) == ["first", "second"]


def test_where_there_is_no_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio  # noqa: PLC0415

    async def ended() -> bool:
        def missing(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", missing)
        with daemon.terminable() as was_terminated:
            return was_terminated()

    assert asyncio.run(ended()) is False


# Bounded waits


@pytest.mark.slow
@pytest.mark.toggl_sandbox(org_quota=3)
def test_a_bounded_wait_ends_the_run_and_the_same_command_goes_on(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--dataset", "tags", "--dataset", "clients", "--max-wait", "1m", "--out", str(out)]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert " s (quota)" in told
    assert ", longer than max_wait=60 s; it could be sent at 20" in told
    assert told.endswith("contains an unfinished export; run the same command to resume it\n")
    server.advance(hours=1)
    assert main([*command[:-4], "--max-wait", "2h", *command[-2:]]) == 0
    assert json.loads((out / "manifest.json").read_bytes())["complete"] is True


# Options


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1d", 86_400),
        ("1.5h", 5400),
        ("366d", 31_622_400),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert Duration(1).convert(written, None, None) == seconds


@pytest.mark.parametrize(
    "written", ["", "m", "10 m", "-1m", "1w", "1h30m", "0", "0.5s", "45", "1.5", "367d", "9" * 400]
)
def test_durations_that_are_refused(written: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration(1).convert(written, None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--every", "often"], "'often' is not a duration; write it as 90s, 10m, 1h or 1d"),
        (["--every", "10"], "10 has no unit; write 10s for seconds, or 10m for minutes"),
        (["--max-wait", "0"], "0 has no unit; write 0s for seconds, or 0m for minutes"),
        (["--every", "0s"], "'--every': '0s' is out of range; write a duration from 1s to 366d"),
        (["--every", "367d"], "'367d' is out of range; write a duration from 1s to 366d"),
        (["--max-wait", "9000h"], "'9000h' is out of range; write a duration from 0s to 366d"),
        (["--since", "20260101"], "'--since': '20260101' is not a date; expected YYYY-MM-DD"),
        (["--every", "1h", "--dry-run"], "--every and --dry-run cannot be combined"),
        (["--every", "1h", "--recheck", "5"], "--every and --recheck cannot be combined"),
        (["--max-wait", "1h", "--dry-run"], "--max-wait and --dry-run cannot be combined"),
    ],
)
def test_bad_options(
    out: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["export", "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


# As a service


def test_the_unit_of_systemd_in_the_documents() -> None:
    """It parses, restarts only what failed, and runs a command with options that there are."""
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
    (text,) = [block for block in blocks(page, "ini") if "ExecStart" in block]
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    program, name, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).is_absolute()
    with app.command.commands[name].make_context(name, arguments) as context:
        assert context.params["every"] == 600
        assert context.params["url"] == f"sqlite:////var/lib/{service['StateDirectory']}/toggl.sqlite"
    # SIGTERM, which systemd stops with unless it is told otherwise, ends it with 0: nothing has failed then.
    assert "KillSignal" not in service
    assert service["Restart"] == "on-failure"
    variable, _, budget = service["Environment"].partition("=")
    assert variable == "TOGGL_BUDGET"
    assert budget.startswith(f"file:/var/lib/{service['StateDirectory']}/")
