"""`today`, `current`, `start` and `stop` on answers that lack what their records can't do without."""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox

CURRENT = "GET /api/v9/me/time_entries/current"
LIST = "GET /api/v9/me/time_entries"
ME = "GET /api/v9/me"
GONE: Any = ...
ODD_IDS: list[Any] = [GONE, None, 0, "x", []]


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """A folder for state of the test's own; what is odd is told as the command tells it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def changed(told: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {name: value for name, value in (told | fields).items() if value is not GONE}


def answer(server: Sandbox, route: str, told: object) -> None:
    """Have one request of a route answered with this."""
    server.order(Fault(body=json.dumps(told)), route=route, times=1)


def running(server: Sandbox) -> dict[str, Any]:
    """The entry that runs in the sandbox's company."""
    asked = httpx.get(
        f"{server.base_url}/api/v9/me/time_entries/current", auth=(server.api_token, "api_token")
    )
    entry = asked.raise_for_status().json()
    return {
        "id": entry["id"],
        "workspace_id": entry["workspace_id"],
        "start": "2026-03-12T09:30:00Z",
        "duration": -1,
        "description": "Reading",
    }


@pytest.mark.parametrize("workspace_id", ODD_IDS)
def test_what_runs_is_stopped_in_the_default_workspace_unless_it_names_one(
    server: Sandbox, capsys: pytest.CaptureFixture[str], workspace_id: Any
) -> None:
    answer(server, CURRENT, changed(running(server), workspace_id=workspace_id))
    before = server.counts.requests
    assert main(["stop"]) == 0
    assert server.counts.requests - before == 3
    assert capsys.readouterr().out.startswith("stopped ")
    assert main(["current"]) == 0
    assert capsys.readouterr().out == "nothing is running\n"


def test_what_can_be_stopped_nowhere_is_a_failure_that_says_why(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    told = running(server)
    answer(server, CURRENT, changed(told, id=None))
    assert main(["stop"]) == 1
    message = capsys.readouterr().err
    assert message.endswith("$.id: is missing; the running time entry cannot be stopped without it\n")
    answer(server, CURRENT, changed(told, workspace_id=None))
    answer(server, ME, {"id": 1, "email": "a@example.com", "default_workspace_id": None})
    assert main(["stop"]) == 1
    message = capsys.readouterr().err
    assert f"me.get: $.default_workspace_id: is missing; time entry {told['id']} came without a" in message


@pytest.mark.parametrize("name", ["id", "workspace_id", "project_id", "description", "tags"])
@pytest.mark.parametrize("value", [*ODD_IDS, [None]])
def test_what_runs_is_told_whatever_it_lacks(
    server: Sandbox, capsys: pytest.CaptureFixture[str], name: str, value: Any
) -> None:
    told = changed(running(server), **{"project_id": 5, "project_name": "Apollo", name: value})
    answer(server, CURRENT, told)
    assert main(["current"]) == 0
    said = capsys.readouterr().out
    assert said.endswith(", since 2026-03-12 09:30 UTC\n")
    assert ("[Apollo]" in said) == (name != "project_id")
    for route, command in ((CURRENT, "current"), (LIST, "today --day 2026-03-12")):
        answer(server, route, [told] if route == LIST else told)
        assert main([*command.split(), "--json"]) == 0
        assert "Apollo" in capsys.readouterr().out


def test_a_project_without_a_name_is_not_asked_for_by_an_entry_without_an_id(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(server, CURRENT, changed(running(server), id=None, project_id=5))
    before = server.counts.requests
    assert main(["current"]) == 0
    assert capsys.readouterr().out.startswith("Reading [project 5]: ")
    assert server.counts.requests - before == 1


def me(server: Sandbox, **fields: Any) -> dict[str, Any]:
    home = server.company.owner.default_workspace_id
    told = {"id": 1, "email": "a@example.com", "default_workspace_id": home, "timezone": "UTC"}
    project = {"id": 5, "workspace_id": home, "name": "Apollo", "active": True}
    tag = {"id": 6, "workspace_id": home, "name": "deep"}
    return changed({**told, "projects": [project], "tags": [tag]}, **fields)


@pytest.mark.parametrize("workspace_id", ODD_IDS)
def test_without_a_default_workspace_the_only_one_is_taken_or_one_must_be_named(
    server: Sandbox, capsys: pytest.CaptureFixture[str], workspace_id: Any
) -> None:
    home = server.company.owner.default_workspace_id
    only = [{"id": home, "organization_id": 1, "name": "Home"}]
    answer(server, ME, me(server, default_workspace_id=workspace_id, workspaces=only))
    assert main(["start", "Reading"]) == 0
    answer(server, ME, me(server, default_workspace_id=workspace_id))
    assert main(["start", "Reading"]) == 2
    assert capsys.readouterr().err.endswith(
        "toggl-async: the profile has no default workspace; choose one with --workspace ID\n"
    )
    answer(server, ME, me(server, default_workspace_id=workspace_id))
    assert main(["start", "Reading", "--workspace", str(home)]) == 0
    answer(server, ME, me(server, default_workspace_id=workspace_id))
    assert main(["today"]) == 0


@pytest.mark.parametrize("kind", ["project", "tag"])
def test_what_has_no_id_or_name_is_not_chosen(
    server: Sandbox, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    whole = me(server)
    (good,) = whole[f"{kind}s"]
    odd = [
        good,
        changed(good, id=None, name="Odd"),
        changed(good, name=None),
        changed(good, workspace_id=None),
    ]
    answer(server, ME, me(server, **{f"{kind}s": odd}))
    assert main(["start", f"--{kind}", "nothing"]) == 2
    assert "called 'nothing'" in capsys.readouterr().err
    if kind == "project":  # a tag is named, and needs no id
        answer(server, ME, me(server, projects=odd))
        assert main(["start", "--project", "Odd"]) == 2
    answer(server, ME, me(server, **{f"{kind}s": None}))
    assert main(["start", f"--{kind}", "Apollo"]) == 2


@pytest.mark.parametrize("told", [{"a": 1}, [1], "none", "<html>", {"id": {"a": 1}, "new": 1}])
@pytest.mark.parametrize("command", ["today", "current", "start", "stop"])
def test_what_is_another_thing_is_a_failure(
    server: Sandbox, capsys: pytest.CaptureFixture[str], command: str, told: Any
) -> None:
    answer(server, CURRENT if command in {"current", "stop"} else ME, told)
    assert main([command]) == 1
    assert capsys.readouterr().err.startswith("toggl-async: me.")


@pytest.mark.parametrize("told", [{"a": 1}, [1], [{"a": 1}], "none"])
def test_what_is_no_list_of_entries_is_a_failure(
    server: Sandbox, capsys: pytest.CaptureFixture[str], told: Any
) -> None:
    answer(server, LIST, told)
    assert main(["today"]) == 1
    assert capsys.readouterr().err.startswith("toggl-async: me.time_entries.list: ")
