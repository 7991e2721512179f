"""`toggl-async quota` and `toggl-async whoami` where Toggl's answers are odd."""

import json

import pytest

from toggl_async.cli import main
from toggl_async.sandbox import Fault, Sandbox

_ME = "GET /api/v9/me"
_QUOTA = "GET /api/v9/me/quota"
_ORGANIZATIONS = "GET /api/v9/me/organizations"

pytestmark = pytest.mark.filterwarnings("default::toggl_async.DriftWarning")


def account(*workspaces: object) -> str:
    return json.dumps({"id": "1", "fullname": "Ada", "email": "ada@example.com", "workspaces": workspaces})


def test_a_quota_of_other_types(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    windows = [
        {"organization_id": None, "remaining": "3", "resets_in_secs": 60, "total": 30},
        {"organization_id": 5, "remaining": 12.5, "resets_in_secs": 60, "total": 30},
    ]
    server.order(Fault(body=json.dumps(windows)), route=_QUOTA)
    server.order(Fault(body='[{"name":"No id"},{"id":"5","name":"Five"}]'), route=_ORGANIZATIONS)
    assert main(["quota"]) == 0
    printed = capsys.readouterr()
    _, mine, theirs, *_ = printed.out.splitlines()
    assert mine.split()[:4] == ["user", "27", "3", "30"]
    assert theirs.split()[:4] == ["Five", "?", "?", "30"]
    assert "warning: me.quota: $[].remaining: expected a whole number, got a string; converted" in printed.err


@pytest.mark.parametrize("body", ["null", "[]"])
def test_no_quota_at_all(server: Sandbox, capsys: pytest.CaptureFixture[str], body: str) -> None:
    server.order(Fault(body=body), route=_QUOTA, times=2)
    assert main(["quota"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "Toggl shows no quotas for this account"
    assert main(["quota", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"windows": [], "waiting": []}


def test_names_of_organizations_that_cannot_be_read(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(
        Fault(body='[{"organization_id":5,"remaining":1,"resets_in_secs":60,"total":30}]'), route=_QUOTA
    )
    server.order(Fault(body="<html><title>Busy</title>"), route=_ORGANIZATIONS)
    assert main(["quota"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split()[:4] == ["5", "29", "1", "30"]
    assert 'warning: GET /api/v9/me/organizations: got HTML from 127.0.0.1, titled "Busy"' in printed.err


def test_an_odd_workspace_costs_only_itself(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    body = account(
        {"name": "No id", "organization_id": 5}, {"id": "7", "name": "Seven", "organization_id": 5}
    )
    server.order(Fault(body=body), route=_ME, times=2)
    server.order(Fault(body='[{"name":"No id"}]'), route=_ORGANIZATIONS, times=2)
    assert main(["whoami"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "Ada <ada@example.com>, user 1",
        "workspace ?: No id (organization 5)",
        "workspace 7: Seven (organization 5)",
    ]
    assert "warning: Toggl doesn't show the organization 5, which has a workspace here" in printed.err
    assert main(["whoami", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["workspaces"]] == [None, 7]


def test_workspaces_that_did_not_come_along_are_listed(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(body=account()), route=_ME)
    assert main(["whoami"]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1 + len(server.company.workspaces)
    assert "doesn't show" not in printed.err
