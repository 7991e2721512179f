"""`toggl-async quota` and `toggl-async whoami`."""

import json

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox


@pytest.mark.toggl_sandbox(org_quota=240, user_quota=30)
def test_every_window_is_shown(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whoami"]) == 0
    capsys.readouterr()
    assert main(["quota"]) == 0
    head, mine, *theirs, waiting = capsys.readouterr().out.splitlines()
    assert head.split() == ["quota", "used", "left", "of", "resets"]
    assert mine.split()[:4] == ["user", "3", "27", "30"]
    assert " in " in mine
    assert waiting == "no other program that shares the budget waits"
    assert len(theirs) <= 1
    assert server.counts.requests == 4


def test_windows_for_machines(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    server.company.organizations[next(iter(server.company.organizations))].name = "Org"
    assert main(["quota", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["waiting"] == []
    assert all(
        {"organization_id", "remaining", "resets_in_secs", "total"} <= window.keys()
        for window in told["windows"]
    )


def test_windows_that_say_little(capsys: pytest.CaptureFixture[str]) -> None:
    from toggl_async.cli.quota import _Quotas, _quotas_as_text, _Window  # noqa: PLC0415
    from toggl_async.scheduler import Scheduler  # noqa: PLC0415

    quotas = _Quotas(
        windows=[_Window(organization_id=5), _Window(organization_id=6, remaining=-2, total=30)],
        names={6: "A name that is a good deal too long for its column"},
        stats=Scheduler().stats(),
    )
    _, first, second, _ = _quotas_as_text(quotas).splitlines()
    assert first.split() == ["5", "?", "?", "?", "when", "first", "used"]
    assert second.split()[-6:-3] == ["32", "-2", "30"]


def test_who_it_is(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whoami"]) == 0
    first, *workspaces = capsys.readouterr().out.splitlines()
    owner = server.company.owner
    assert first == f"{owner.name} <{owner.email}>, user {owner.id}"
    assert [line.split(":")[0] for line in workspaces] == [
        f"workspace {number}" for number in server.company.workspaces
    ]
    assert main(["whoami", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["user_id"] == owner.id
    assert server.api_token not in text


@pytest.mark.parametrize("command", ["quota", "whoami"])
def test_trouble(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    server.order(Fault(status=500), times=1)
    assert main([command]) == 1
    assert "500" in capsys.readouterr().err
    assert main([command, "--base-url", "http://toggl.example.com"]) == 2
    assert "must be https" in capsys.readouterr().err
    monkeypatch.setenv("TOGGL_API_TOKEN", "wrong")
    assert main([command]) == 2
    assert "Toggl refused the credentials" in capsys.readouterr().err
