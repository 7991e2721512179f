"""`toggl-async today`, `current` and `stop` where Toggl's answers are odd, or a part of them is refused."""

import datetime as dt
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

_CURRENT = "GET /api/v9/me/time_entries/current"
_ONE = "GET /api/v9/me/time_entries/{time_entry_id}"
_STOP = "PATCH /api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}/stop"

IMPOSSIBLE = [
    "0001-01-01T00:00:00Z",
    "0001-01-02T12:00:00Z",
    "1969-12-31T23:59:59Z",
    "2005-12-30T00:00:00Z",
    "2200-01-02T00:00:00Z",
    "9999-12-31T23:00:00Z",
]
"""Moments at which no time entry can begin; the first is how servers written in Go say "never"."""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder for state of the test's own, in which nothing is known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def running(**fields: object) -> str:
    begun = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(minutes=5)
    entry = {"id": 1, "workspace_id": 7, "duration": -1, "description": "Reading", "start": begun.isoformat()}
    return json.dumps(entry | fields)


def test_a_clock_that_is_not_the_profiles_is_named(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.company.owner.timezone = "Asia/Kathmandu"
    begun = dt.datetime(2026, 3, 12, 9, 30, tzinfo=dt.UTC)
    server.order(Fault(body=running(start=begun.isoformat())), route=_CURRENT, times=2)
    assert main(["current"]) == 0
    assert capsys.readouterr().out.endswith(f"since {begun.astimezone():%Y-%m-%d %H:%M %Z}\n")
    assert main(["today"]) == 0
    capsys.readouterr()
    assert main(["current"]) == 0
    there = begun.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert capsys.readouterr().out.endswith(f"since {there:%Y-%m-%d %H:%M}\n")


@pytest.mark.parametrize("status", [402, 403, 404])
def test_a_project_whose_name_is_refused_is_shown_by_its_id(
    server: Sandbox, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    server.order(Fault(body=running(project_id=42)), route=_CURRENT, times=2)
    server.order(Fault(status=status, body='"no"'), route=_ONE, times=2)
    assert main(["current"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Reading [project 42]: 0:05:0")
    assert "warning: the name of project 42 cannot be fetched: no (" in printed.err
    assert main(["current", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["project_id"] == 42


def test_a_project_that_came_with_its_name_costs_no_request(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(body=running(project_id=42, project_name="Apollo")), route=_CURRENT)
    assert main(["current"]) == 0
    assert capsys.readouterr().out.startswith("Reading [Apollo]: 0:05:0")
    assert server.counts.requests == 1


@pytest.mark.filterwarnings("default::toggl_async.DriftWarning")
@pytest.mark.parametrize("start", [None, "yesterday", 12])
def test_what_runs_without_a_start(
    server: Sandbox, capsys: pytest.CaptureFixture[str], start: object
) -> None:
    server.order(Fault(body=running(start=start)), route=_CURRENT, times=2)
    assert main(["current"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "Reading: ?, since ?\n"
    assert "warning: time entry 1 has no start" in printed.err
    server.order(Fault(body=running(start=start)), route=_STOP)
    assert main(["stop"]) == 0
    assert capsys.readouterr().out == "stopped Reading after ?\n"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize("start", IMPOSSIBLE)
def test_what_runs_since_a_moment_that_cannot_be(
    server: Sandbox, capsys: pytest.CaptureFixture[str], start: str, zone: str
) -> None:
    server.company.owner.timezone = zone
    server.order(Fault(body=f"[{running(start=start)}]"), route="GET /api/v9/me/time_entries")
    assert main(["today"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == ["total           0:00:00"]
    assert "start or duration is missing or impossible (ids: 1)" in printed.err
    server.order(Fault(body=running(start=start)), route=_CURRENT)
    assert main(["current"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "Reading: ?, since ?\n"
    assert f"time entry 1 has an impossible start: {start.replace('Z', '+00:00')}" in printed.err
    server.order(Fault(body=running(start=start)), route=_CURRENT)
    server.order(Fault(body=running(start=start)), route=_STOP)
    assert main(["stop"]) == 0
    assert capsys.readouterr().out == "stopped Reading after ?\n"


@pytest.mark.parametrize(
    "odd",
    [{"duration": 10**18}, {"duration": 10**13}, {"start": None}, *({"start": one} for one in IMPOSSIBLE)],
)
def test_a_time_entry_that_cannot_be_costs_only_itself(
    server: Sandbox, capsys: pytest.CaptureFixture[str], odd: dict[str, object]
) -> None:
    server.company.owner.timezone = "UTC"
    noon = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}T00:00:00Z"
    good = running(id=2, start=noon, duration=60, description="Good")
    bad = running(**{"start": noon, "duration": 10**6, **odd})
    server.order(Fault(body=f"[{bad},{good}]"), route="GET /api/v9/me/time_entries")
    assert main(["today"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == [
        "00:00 - 00:01   0:01:00  Good",
        "total           0:01:00",
    ]
    assert "start or duration is missing or impossible (ids: 1)" in printed.err


def test_what_was_stopped_elsewhere_is_no_failure(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(body=running()), route=_CURRENT)
    server.order(Fault(status=409, body='"Time entry already stopped"'), route=_STOP)
    assert main(["stop"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "nothing is running\n"
    assert printed.err == (
        "toggl-async: the time entry had been stopped already, by another program or device\n"
    )


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("command", ["current", "stop"])
def test_an_empty_answer_is_not_taken_for_nothing_running(
    server: Sandbox, capsys: pytest.CaptureFixture[str], command: str, status: int
) -> None:
    server.order(Fault(status=status, body=""), route=_CURRENT)
    assert main([command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "me.time_entries.current: expected an object or null, got an empty answer" in printed.err
