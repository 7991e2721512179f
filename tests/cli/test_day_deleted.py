"""What Toggl has deleted, and still sends, doesn't exist for people; the year 1 is when nothing happened."""

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox

CURRENT: Final = "GET /api/v9/me/time_entries/current"
LIST: Final = "GET /api/v9/me/time_entries"
ME: Final = "GET /api/v9/me"
DELETED: Final = "2026-03-12T10:00:00Z"
NEVER: Final = "0001-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder for state of the test's own, in which nothing is known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def entry(**fields: object) -> dict[str, Any]:
    begun = dt.datetime.now(dt.UTC).replace(microsecond=0)
    told = {"id": 1, "workspace_id": 7, "duration": -1, "description": "Reading", "start": begun.isoformat()}
    return told | fields


def me(server: Sandbox, **fields: object) -> dict[str, Any]:
    home = server.company.owner.default_workspace_id
    return {"id": 1, "email": "a@example.com", "default_workspace_id": home, "timezone": "UTC", **fields}


def answer(server: Sandbox, route: str, told: object) -> None:
    """Have one request of a route answered with this."""
    server.order(Fault(body=json.dumps(told)), route=route, times=1)


@pytest.mark.parametrize("command", ["current", "stop"])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_deleted_time_entry_does_not_run(
    server: Sandbox, capsys: pytest.CaptureFixture[str], command: str, flags: tuple[str, ...]
) -> None:
    answer(server, CURRENT, entry(server_deleted_at=DELETED))
    assert main([command, *flags]) == 0
    assert capsys.readouterr().out == ("null\n" if flags else "nothing is running\n")
    assert server.counts.requests == 1


def test_a_time_entry_that_was_never_deleted_runs(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(server, CURRENT, entry(server_deleted_at=NEVER))
    assert main(["current"]) == 0
    assert capsys.readouterr().out.startswith("Reading: 0:0")


def test_a_day_is_added_up_without_its_deleted_time_entries(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.company.owner.timezone = "UTC"
    midnight = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}T00:00:00Z"
    there = entry(id=2, start=midnight, duration=60, description="There", server_deleted_at=NEVER)
    told = [
        entry(server_deleted_at=DELETED),
        entry(start=midnight, duration=3600, server_deleted_at=DELETED),
        entry(start=None, server_deleted_at=DELETED),
        there,
    ]
    answer(server, LIST, told)
    assert main(["today"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1:] == [
        "00:00 - 00:01   0:01:00  There",
        "total           0:01:00",
    ]
    assert printed.err == ""
    answer(server, LIST, told)
    assert main(["today", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["seconds"], [one["time_entry"]["id"] for one in found["entries"]]) == (60, [2])


@pytest.mark.parametrize(("kind", "field"), [("project", "server_deleted_at"), ("tag", "deleted_at")])
def test_what_was_deleted_is_neither_chosen_nor_completed(
    server: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, field: str
) -> None:
    home = server.company.owner.default_workspace_id
    gone = {"id": 5, "workspace_id": home, "name": "Gone", field: DELETED}
    kept = {"id": 6, "workspace_id": home, "name": "Kept", field: NEVER}
    answer(server, ME, me(server, **{f"{kind}s": [gone, kept]}))
    assert main(["start", "Reading", f"--{kind}", "gone"]) == 2
    assert f"{kind} called 'gone'" in capsys.readouterr().err
    (known,) = (tmp_path / "toggl_async" / "names").iterdir()
    assert [one["name"] for one in json.loads(known.read_bytes())[f"{kind}s"]] == ["Kept"]


@pytest.mark.filterwarnings("default::toggl_async.DriftWarning")
def test_deleted_workspaces_are_neither_shown_nor_taken_for_the_default_one(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    home = server.company.owner.default_workspace_id
    gone = {"id": 5, "organization_id": 1, "name": "Gone", "server_deleted_at": DELETED}
    kept = {"id": home, "organization_id": 1, "name": "Kept", "server_deleted_at": NEVER}
    answer(server, ME, me(server, workspaces=[gone, kept]))
    assert main(["whoami", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["workspaces"]] == ["Kept"]
    answer(server, ME, me(server, workspaces=[gone, kept], default_workspace_id=None))
    assert main(["start", "Reading"]) == 0
