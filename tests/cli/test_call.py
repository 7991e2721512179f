"""`toggl-async call`: any operation by hand, on the sandbox."""

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import httpx
import pytest
from msgspec import UnsetType

from toggl_async import InvalidInput, operations
from toggl_async._operations.files import FileContent
from toggl_async.cli import main
from toggl_async.cli.call import _forms, _typed
from toggl_async.cli.output import ESCAPES
from toggl_async.cli.typed import described, from_json, from_text
from toggl_async.records import Patch, PreferencesInput
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414


@pytest.fixture
def workspace(server: Sandbox) -> int:
    return next(iter(server.company.workspaces))


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["call", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_comes_is_json(server: Sandbox, workspace: int, capsys: pytest.CaptureFixture[str]) -> None:
    made = called(capsys, "workspace.tags.create", f"workspace_id={workspace}", "name=null")
    assert (made["name"], made["workspace_id"]) == ("null", workspace)
    found = called(capsys, "workspace.tags.list", f"workspace_id={workspace}")
    assert made["id"] in {tag["id"] for tag in found}
    assert (
        called(capsys, "workspace.tags.delete", f"workspace_id={workspace}", f"tag_id={made['id']}") is None
    )
    assert server.counts.requests == 3


def test_arguments_go_out_as_what_they_are(
    server: Sandbox, workspace: int, capsys: pytest.CaptureFixture[str]
) -> None:
    here = f"workspace_id={workspace}"
    fields = ("name=Apollo", "active=true", "start_date=2026-03-12", 'color:="#0b83d9"', "client_id=null")
    project = called(capsys, "workspace.projects.create", here, *fields)
    assert (project["name"], project["active"]) == ("Apollo", True)
    assert (project["color"], project["client_id"]) == ("#0b83d9", None)
    ids = f"project_ids={project['id']},1"
    patches = 'patches=[{"op": "replace", "path": "/name", "value": "Gemini"}]'
    edited = called(capsys, "workspace.projects.bulk_edit", here, ids, patches)
    assert edited["success"] == [project["id"]]
    entry = called(
        capsys,
        "workspace.time_entries.create",
        here,
        "start=2026-03-12T09:00:00+01:00",
        "duration=60",
        "tags=a, b",
        "created_with=test",
    )
    assert (entry["start"], entry["tags"]) == ("2026-03-12T08:00:00Z", ["a", "b"])


def test_days_are_those_of_the_profile(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    server.company.owner.timezone = "Pacific/Kiritimati"  # where it is tomorrow already
    today = dt.datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    days = ("start_date=yesterday", "end_date=tomorrow")
    found = called(capsys, "me.time_entries.list", *days)
    assert server.counts.requests == 2
    exact = (f"start_date={today - dt.timedelta(days=1)}", f"end_date={today + dt.timedelta(days=1)}")
    assert called(capsys, "me.time_entries.list", *exact) == found
    assert server.counts.requests == 3


def test_files_come_as_they_are(server: Sandbox, workspace: int) -> None:
    command = [sys.executable, "-m", "toggl_async", "call", "workspace.reports.weekly.csv"]
    days = ["start_date=2026-03-02", "end_date=2026-03-08"]
    run = subprocess.run(
        [*command, f"workspace_id={workspace}", *days], capture_output=True, check=True, timeout=60
    )
    auth = (server.api_token, "api_token")
    url = f"{server.base_url}/reports/api/v3/workspace/{workspace}/weekly/time_entries.csv"
    body = {"start_date": "2026-03-02", "end_date": "2026-03-08"}
    assert run.stdout == httpx.post(url, json=body, auth=auth).content


def test_a_file_does_not_go_to_a_terminal(
    server: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    days = ("start_date=2026-03-02", "end_date=2026-03-08")
    assert main(["call", "workspace.reports.weekly.csv", "workspace_id=1", *days]) == 2
    assert "returns a file: redirect it with > FILE" in capsys.readouterr().err
    assert server.counts.requests == 0


def test_a_file_is_sent_by_its_path(
    server: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call", "me.avatar.upload", f"file={tmp_path / 'missing.png'}"]) != 0
    assert "missing.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["workspace.tag.list"],
            "(`toggl-async api WORDS` searches them); did you mean 'workspace.tags.list'",
        ),
        (
            ["workspace.time_entries.list"],
            "(`toggl-async api WORDS` searches them): look at toggl.me.time_entries.list\n",
        ),
        (["me.api_token"], ": look at (await toggl.me.get()).api_token\n"),
        (["xyzzy"], "there is no operation 'xyzzy' (`toggl-async api WORDS` searches them)\n"),
        (
            ["workspace.tags.create"],
            "needs workspace_id=…, name=…; it takes workspace_id: a whole number; name: text",
        ),
        (["workspace.tags.list", "workspaceid=1"], "no argument 'workspaceid'; did you mean 'workspace_id'?"),
        (["me.id", "x=1"], "me.id has no argument 'x'; it takes no arguments"),
        (["workspace.tags.list", "workspace_id"], "write arguments as KEY=VALUE, or as KEY:=JSON"),
        (["workspace.tags.list", "workspace_id=x"], "workspace_id takes a whole number"),
        (["workspace.tags.list", "workspace_id=1", "workspace_id=2"], "workspace_id is given twice"),
        (["workspace.tags.list", "workspace_id:={"], "workspace_id: the value after := is not JSON: "),
        (["workspace.tags.list", 'workspace_id:="1"'], "workspace_id takes a whole number"),
    ],
)
def test_slips_cost_no_request(
    server: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["call", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert server.counts.requests == 0


def test_what_toggl_refuses_is_a_failure(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "me.time_entries.get", "time_entry_id=1"]) == 1
    assert "404" in capsys.readouterr().err


def test_what_is_not_to_be_called_any_more_is_told(
    server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    old = next(one for one in operations() if one.deprecated is not None and one.scope == "organization")
    organization = next(iter(server.company.organizations))
    main(["call", old.name, f"organization_id={organization}"])
    assert f"warning: {old.name}: {old.deprecated}" in capsys.readouterr().err


def test_every_argument_of_every_operation_can_be_described() -> None:
    for one in operations():
        for name, form in _forms(one).items():
            told = described(form.annotation)
            structured = re.search(r"records\.|Mapping", str(form.annotation)) is not None
            assert (bool(told), "JSON" in told) == (True, structured), (one.name, name, told)


def test_operations_without_arguments_are_ready() -> None:
    ready = [
        one for one in operations() if not any(form.default is form.empty for form in _forms(one).values())
    ]
    assert ready
    assert all(_typed(one, []).operation is one for one in ready)


FORMS: list[tuple[str, Any, object]] = [
    ("7", int | UnsetType, 7),
    ("-1", Literal[-1, 0, 1] | UnsetType, -1),
    ("both", bool | Literal["both"] | UnsetType, "both"),
    ("false", bool | Literal["both"] | UnsetType, False),
    ("0.5", float | UnsetType | None, 0.5),
    ("null", float | UnsetType | None, None),
    ("null", str | UnsetType | None, "null"),
    ("", str | UnsetType, ""),
    ("", Collection[int], []),
    ("1,null", Collection[int | None] | UnsetType, [1, None]),
    ("[1, 2]", Collection[int], [1, 2]),
    ("1780000000", dt.datetime | int | UnsetType, 1780000000),
    ("2026-03-12", dt.date | dt.datetime | UnsetType, dt.date(2026, 3, 12)),
    ("2026-03-12T00:00Z", dt.date | dt.datetime, dt.datetime(2026, 3, 12, tzinfo=dt.UTC)),
    ('{"a": [1]}', Mapping[str, Any] | UnsetType, {"a": [1]}),
    ('{"1": [2]}', Mapping[str, Collection[int]], {"1": [2]}),
    ("a.png", FileContent, "a.png"),
    ("a.png,b.png", FileContent | Sequence[FileContent] | UnsetType, ["a.png", "b.png"]),
    ("active,invited", Sequence[Literal["active", "invited"]], ["active", "invited"]),
    ('{"ManualMode": true}', PreferencesInput, PreferencesInput(manual_mode=True)),
    ('{"manual_mode": true}', PreferencesInput, PreferencesInput(manual_mode=True)),
]


@pytest.mark.parametrize(("text", "form", "value"), FORMS)
def test_text_becomes_what_the_signature_says(text: str, form: Any, value: object) -> None:
    assert from_text(text, form, "it") == value


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ("x", int, "it takes a whole number"),
        ("nan", float | UnsetType | None, "it takes a number or null"),
        ("yes", bool, "it takes true or false"),
        ("c", Literal["a", "b"], "it takes a or b"),
        ("2026-03-12T00:00", dt.datetime, "it takes a time with its zone"),
        ("x", dt.date, "it takes a day, such as 2026-03-12, yesterday or monday"),
        (
            "x",
            dt.date | dt.datetime,
            "it takes a day, such as 2026-03-12, yesterday or monday, or a time with its zone, such as 2026-",
        ),
        ("x", Patch | UnsetType | None, "it takes an object, as JSON, or null"),
        ("1,x", Collection[int], "it takes several, separated by commas (a whole number)"),
        ("1", Mapping[str, Any], "it takes an object, as JSON"),
        ("x", Sequence[Patch], "it takes a list, as JSON"),
        ("x", Patch, "it takes an object, as JSON"),
    ],
)
def test_text_that_does_not_fit(text: str, form: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=r".") as refused:
        from_text(text, form, "it")
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ("[]", Patch, "it takes an object, as JSON"),
        ('[{"op": "add", "pth": "/x"}]', Sequence[Patch], "it[0] has no field 'pth'; did you mean 'path'"),
        ('[{"path": "/x"}]', Sequence[Patch], "it[0] needs the field 'op'"),
        ("{}", Sequence[Patch], "it takes a list, as JSON"),
        ("[]", int | float, "it takes a whole number or a number"),
        ("1", FileContent, "it takes the path of a file"),
    ],
)
def test_json_that_does_not_fit(text: str, form: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=r".") as refused:
        from_json(text, form, "it")
    assert str(refused.value).startswith(message)


def test_json_that_fits() -> None:
    assert from_json('"a.png"', FileContent, "it") == "a.png"
    assert from_json("null", int | UnsetType | None, "it") is None
    assert from_json('[{"op": "add", "path": "/x", "value": [1]}]', Sequence[Patch], "it") == [
        Patch(op="add", path="/x", value=[1])
    ]


@pytest.mark.slow
def test_names_and_arguments_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(*words: str) -> list[str]:
        environment = {
            **os.environ,
            "_TOGGL_ASYNC_COMPLETE": "fish_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": words[-1],
        }
        run = subprocess.run(
            [sys.executable, "-m", "toggl_async"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return run.stdout.split()

    found = completed("toggl-async", "call", "workspace.tags.")
    assert any("workspace.tags.create" in line for line in found)
    assert any(
        "workspace_id=" in line for line in completed("toggl-async", "call", "workspace.tags.list", "w")
    )
    assert completed("toggl-async", "call", "xyzzy", "w") == []


def test_drift_is_told_in_a_line(server: Sandbox) -> None:
    server.order(Fault(body='[{"id": 1, "name": [2]}]'), route="GET /api/v9/me/tags")
    run = subprocess.run(
        [sys.executable, "-m", "toggl_async", "call", "me.tags.list"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(run.stdout)[0]["id"] == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("toggl-async: warning: ")
    assert "name" in line


def test_what_cannot_be_decoded_is_no_business_of_the_escapes() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", ESCAPES)


@pytest.mark.parametrize("sign", ["=", ":="])
def test_what_is_wrong_inside_of_json_is_named(
    server: Sandbox, capsys: pytest.CaptureFixture[str], sign: str
) -> None:
    arguments = ["call", "workspace.projects.bulk_edit", "workspace_id=7", "project_ids=1"]
    for inside, told in (
        ('[{"op":"zap","path":"/a"}]', "patches[0].op takes add or remove or replace"),
        ('[{"op":"remove","path":1}]', "patches[0].path takes text"),
        ("[3]", "patches[0] takes an object, as JSON"),
        ('{"op":"zap"}', "patches takes a list, as JSON"),
    ):
        assert main([*arguments, f"patches{sign}{inside}"]) == 2
        assert capsys.readouterr().err == f"toggl-async: {told}\n"
    assert server.counts.requests == 0


def test_json_may_be_asked_for(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "me.get", "--json")["id"] == server.company.owner.id


def test_a_file_that_is_not_there_is_named_in_full(
    server: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["call", "me.avatar.upload", f"file={tmp_path}/nowhere/me.png"]) == 2
    message = capsys.readouterr().err
    assert message == f"toggl-async: file: No such file or directory: '{tmp_path}/nowhere/me.png'\n"
