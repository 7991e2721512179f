"""`toggl-async today`, `current`, `start` and `stop` on the sandbox, as processes too."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from support.pairs import first_of
from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for state of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "toggl_async" / "names"


@pytest.fixture
def http(server: Sandbox) -> Iterator[httpx.Client]:
    """Requests by hand."""
    with httpx.Client(base_url=server.base_url, auth=(server.api_token, "api_token")) as client:
        yield client


def made(http: httpx.Client, path: str, **fields: Any) -> Any:
    answer = http.post(f"/api/v9/workspaces/{workspace_of(http)}/{path}", json=fields)
    answer.raise_for_status()
    return answer.json()


def workspace_of(http: httpx.Client) -> int:
    found: int = http.get("/api/v9/me").json()["default_workspace_id"]
    return found


def cleared(http: httpx.Client, zone: str = "Asia/Tokyo") -> None:
    """An account without time entries, in a time zone."""
    http.put("/api/v9/me", json={"timezone": zone}).raise_for_status()
    for entry in http.get("/api/v9/me/time_entries").json():
        http.delete(
            f"/api/v9/workspaces/{entry['workspace_id']}/time_entries/{entry['id']}"
        ).raise_for_status()


def entry(http: httpx.Client, start: dt.datetime, seconds: int, text: str, **fields: Any) -> Any:
    return made(
        http,
        "time_entries",
        start=start.isoformat(),
        duration=seconds,
        description=text,
        created_with="test",
        workspace_id=workspace_of(http),
        **fields,
    )


def midnight(zone: str, days: int = 0) -> dt.datetime:
    there = dt.datetime.now(ZoneInfo(zone)).date() + dt.timedelta(days=days)
    return dt.datetime.combine(there, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)


def test_today_is_what_the_profile_says(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http)
    begin = midnight("Asia/Tokyo")
    project = made(http, "projects", name="Apollo", active=True)
    made(http, "tags", name="deep")
    entry(http, begin - dt.timedelta(hours=1), 5400, "Late", project_id=project["id"], tags=["deep"])
    entry(http, begin - dt.timedelta(hours=5), 3600, "Yesterday")
    entry(http, begin, 0, "Nothing")
    entry(http, begin + dt.timedelta(hours=25), 60, "Tomorrow")
    before = server.counts.requests
    assert main(["today"]) == 0
    assert server.counts.requests - before == 2
    head, first, second, total = capsys.readouterr().out.splitlines()
    assert head == f"{dt.datetime.now(ZoneInfo('Asia/Tokyo')):%Y-%m-%d, %A} (Asia/Tokyo)"
    assert {first, second} == {
        "00:00 - 00:30   0:30:00  Late [Apollo] #deep",
        "00:00 - 00:00   0:00:00  Nothing",
    }
    assert total == "total           0:30:00"
    assert main(["today", "--day", "Yesterday", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["day"] == f"{dt.datetime.now(ZoneInfo('Asia/Tokyo')).date() - dt.timedelta(days=1)}"
    assert (told["timezone"], told["seconds"]) == ("Asia/Tokyo", 7200)
    assert [(one["seconds"], one["running"]) for one in told["entries"]] == [(3600, False), (3600, False)]
    assert [one["time_entry"]["description"] for one in told["entries"]] == ["Yesterday", "Late"]


def test_what_runs_counts_until_now(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http, "UTC")
    entry(http, dt.datetime.now(dt.UTC) - dt.timedelta(hours=50), -1, "A weekend")
    assert main(["today", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["entries"]
    since_midnight = (dt.datetime.now(dt.UTC) - midnight("UTC")).total_seconds()
    assert one["running"]
    assert since_midnight - 60 <= one["seconds"] <= since_midnight
    assert main(["today"]) == 0
    assert " - now " in capsys.readouterr().out
    yesterday = f"{(dt.datetime.now(dt.UTC) - dt.timedelta(days=1)):%A}"
    assert main(["today", "--day", yesterday, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seconds"], told["entries"][0]["running"]) == (86_400, False)


def test_a_day_without_work(server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    cleared(http)
    assert main(["today", "--day", "tomorrow"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["total           0:00:00"]


@pytest.mark.parametrize("day", ["mondy", "2026-13-01", "10000-01-01", ""])
def test_what_is_no_day_costs_no_request(
    server: Sandbox, capsys: pytest.CaptureFixture[str], day: str
) -> None:
    assert main(["today", "--day", day]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"toggl-async: {day!r} is not a day: write a date such as 2026-03-12")
    assert ("did you mean 'monday'" in message) == (day == "mondy")
    assert server.counts.requests == 0


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_that_no_clock_shows_costs_no_request(
    server: Sandbox, capsys: pytest.CaptureFixture[str], day: str
) -> None:
    assert main(["today", "--day", day]) == 2
    told = f"toggl-async: {day} cannot be shown: choose a day from 1970-01-01 to 2199-12-31\n"
    assert capsys.readouterr().err == told
    assert server.counts.requests == 0


def test_a_day_that_toggl_no_longer_lists_is_found_in_an_export(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["today", "--day", "2020-01-31"]) == 1
    hint, error = capsys.readouterr().err.splitlines()
    assert "start_date must not be earlier than" in error
    assert hint == (
        "toggl-async: Toggl lists only the time entries of about three months here; for older ones, run "
        "`toggl-async export --out DIR`, then `toggl-async report DIR --since 2020-01-31 --until 2020-01-31`"
    )


def test_a_request_that_is_refused_for_another_reason_gets_no_such_hint(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(status=400, body='"no"'), route="GET /api/v9/me/time_entries")
    assert main(["today"]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("toggl-async: no (400 from GET ")


def test_a_working_day(server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    cleared(http, "Europe/Berlin")
    made(http, "projects", name="Apollo 11", active=True)
    made(http, "tags", name="books")

    def spent(*arguments: str, code: int = 0) -> tuple[int, str]:
        before = server.counts.requests
        assert main(list(arguments)) == code
        return server.counts.requests - before, capsys.readouterr().out

    assert spent("current") == (1, "nothing is running\n")
    assert spent("stop") == (1, "nothing is running\n")
    requests, said = spent("start", "Reading", "--project", "apollo 11", "--tag", "Books", "--tag", "books")
    assert requests == 2
    assert said.startswith("started Reading [Apollo 11] #books at ")
    requests, said = spent("current")
    assert requests == 1  # the name of the project was written down
    assert said.startswith("Reading [Apollo 11] #books: 0:00:0")
    requests, said = spent("start", "--billable", "--json")
    told = json.loads(said)
    assert (requests, told["description"], told["billable"], told["duration"]) == (2, "", True, -1)
    assert spent("current", "--json")[0] == 1
    requests, said = spent("stop")
    assert (requests, said[:33]) == (2, "stopped (no description) $ after ")
    assert json.loads(spent("stop", "--json")[1]) is None


def test_a_project_that_was_not_written_down_is_asked_for(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http)
    project = made(http, "projects", name="Gemini", active=True)
    entry(http, dt.datetime.now(dt.UTC) - dt.timedelta(days=2), -1, "Long", project_id=project["id"])
    before = server.counts.requests
    assert main(["current"]) == 0
    assert server.counts.requests - before == 2
    said = capsys.readouterr().out
    assert said.startswith("Long [Gemini]: 48:00:")
    assert f"since {dt.datetime.now().astimezone() - dt.timedelta(days=2):%Y-%m-%d} " in said
    assert main(["stop"]) == 0
    assert capsys.readouterr().out.startswith(f"stopped Long [project {project['id']}] after 48:00:")


def test_names_that_are_not_there(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http)
    twin, other, _ = (
        made(http, "projects", name=name, active=True) for name in ("Twin", "Tvilling", "Zwilling")
    )
    server.company.projects[other["id"]].name = "TWIN"
    made(http, "tags", name="retrospective")
    before = len(http.get("/api/v9/me/projects").json()), len(http.get("/api/v9/me/tags").json())
    assert main(["start", "--project", "Twni"]) == 2
    message = capsys.readouterr().err
    assert "has no active project called 'Twni'; did you mean 'TWIN'?" in message
    assert main(["start", "--project", "twin"]) == 2
    assert "2 projects are called 'twin': use the id of one (" in capsys.readouterr().err
    assert main(["start", "--tag", "retrospectiv"]) == 2
    message = capsys.readouterr().err
    assert (
        "has no tag called 'retrospectiv'; did you mean 'retrospective'? (`toggl-async call workspace.tags"
        in message
    )
    assert main(["start", "--project", "Xyzzy", "--workspace", "1"]) == 2
    assert capsys.readouterr().err == "toggl-async: workspace 1 has no active project called 'Xyzzy'\n"
    elsewhere = f"; it is in another workspace: --workspace {workspace_of(http)}"
    assert main(["start", "--project", "zwilling", "--workspace", "1"]) == 2
    assert f"called 'zwilling'{elsewhere}\n" in capsys.readouterr().err
    assert main(["start", "--tag", "Retrospective", "--workspace", "1"]) == 2
    assert f"called 'Retrospective'{elsewhere} (`toggl-async call" in capsys.readouterr().err
    assert main(["start", "--project", "\x1b[2JTwin"]) == 2
    assert r"called '\u001b[2JTwin'" in capsys.readouterr().err
    after = len(http.get("/api/v9/me/projects").json()), len(http.get("/api/v9/me/tags").json())
    assert after == before
    assert main(["start", "--project", str(twin["id"])]) == 0
    assert "[Twin]" in capsys.readouterr().out


def test_a_refusal_is_not_taken_for_wrong_credentials(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.order(Fault(status=403), route="POST /api/v9/workspaces/{workspace_id}/time_entries")
    assert main(["start"]) == 1
    assert "credentials" not in capsys.readouterr().err
    monkeypatch.setenv("TOGGL_API_TOKEN", "wrong")
    assert main(["start"]) == 2
    assert "Toggl refused the credentials" in capsys.readouterr().err


def test_a_time_zone_that_this_machine_does_not_know(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    server.company.owner.timezone = "Mars/Olympus"
    assert main(["today"]) == 0
    printed = capsys.readouterr()
    assert (
        "this machine doesn't know the time zone Mars/Olympus, so times are in its local time zone"
        in printed.err
    )
    assert printed.out.startswith(f"{dt.datetime.now().astimezone():%Y-%m-%d, %A (%Z)}")
    server.company.owner.timezone = ""
    assert main(["today"]) == 0
    assert capsys.readouterr().err == ""


def test_names_cannot_steer_a_terminal(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http, "UTC")
    evil = "\x1b]0;owned\x07\x9b31m\u202eevil\nsecond line"
    entry(http, dt.datetime.now(dt.UTC), -1, evil)
    assert main(["current"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(r"\u001b]0;owned\u0007\u009b31m\u202eevil second line: 0:00:0")
    assert main(["current", "--json"]) == 0
    said = capsys.readouterr().out
    assert not set("\x1b\x07\x9b\u202e") & set(said)
    assert json.loads(said)["description"] == evil


@pytest.mark.parametrize("encoding", first_of(["cp1252", "ascii", "latin-1", "utf-8"]))
def test_a_pipe_of_any_encoding(server: Sandbox, http: httpx.Client, encoding: str) -> None:
    cleared(http, "UTC")
    entry(http, dt.datetime.now(dt.UTC), -1, "Łukasz é 😀")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "NO_COLOR": "1", "TERM": "dumb"}
    plain, machine = (
        subprocess.run(
            [sys.executable, "-m", "toggl_async", "current", *options],
            env=environment,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for options in ([], ["--json"])
    )
    shown = {"utf-8": "Łukasz é 😀", "ascii": r"\u0141ukasz \u00e9 \ud83d\ude00"}
    expected = shown.get(encoding, r"\u0141ukasz é \ud83d\ude00")
    assert plain.decode(encoding).startswith(f"{expected}: 0:00:")
    assert json.loads(machine.decode("utf-8"))["description"] == "Łukasz é 😀"


def test_names_are_kept_where_nobody_else_reads_them(server: Sandbox, state: Path) -> None:
    assert main(["today"]) == 0
    (path,) = state.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert server.api_token not in path.read_text("utf-8") + path.name
    for number in range(30):
        (state / f"{number}.json").write_text("{}")
    assert main(["today"]) == 0
    assert len(list(state.iterdir())) == 20
    assert path.exists()


def test_a_folder_that_cannot_be_written(
    server: Sandbox, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("a file")
    assert main(["today"]) == 0
    assert main(["current"]) == 0
    assert capsys.readouterr().err == ""


def test_an_answer_without_a_start(
    server: Sandbox, http: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    cleared(http)
    odd = json.dumps([{"id": 1, "workspace_id": 1, "duration": 60, "description": "odd"}])
    server.order(Fault(body=odd), route="GET /api/v9/me/time_entries")
    assert main(["today", "--day", f"{dt.datetime.now(ZoneInfo('Asia/Tokyo')):%Y-%m-%d}"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == ["total           0:00:00"]
    assert "warning: some time entries are not counted, because their " in printed.err
    assert "start or duration is missing or impossible (ids: 1)" in printed.err
    route = "POST /api/v9/workspaces/{workspace_id}/time_entries"
    server.order(Fault(body=odd[1:-1]), route=route)
    assert main(["start", "odd"]) == 0
    assert capsys.readouterr().out == "started odd at ?\n"
