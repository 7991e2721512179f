"""`toggl-async api`."""

import json

import pytest

from toggl_async import operations
from toggl_async.cli import main


def test_every_operation_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(operations())
    assert [line.split()[0] for line in lines] == [one.name for one in operations()]


def test_words_narrow_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "Time_Entries", "PATCH", "stop"]) == 0
    assert capsys.readouterr().out == (
        "workspace.time_entries.stop  PATCH  "
        "/api/v9/workspaces/{workspace_id}/time_entries/{time_entry_id}/stop  organization\n"
    )


@pytest.mark.parametrize("words", [["time entries", "stop"], ["Stop a running", "time_entry"]])
def test_words_are_looked_for_in_summaries_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", *words]) == 0
    assert "workspace.time_entries.stop  PATCH" in capsys.readouterr().out


def test_every_operation_has_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "--json"]) == 0
    summaries = [one["summary"] for one in json.loads(capsys.readouterr().out)]
    assert len(summaries) == len(operations())
    assert all(text and "``" not in text and text[-1] not in " :." for text in summaries)


def test_plans_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "workspace.clients.archive"]) == 0
    assert capsys.readouterr().out.endswith("  organization  starter\n")
    assert main(["api", "workspace.projects.create"]) == 0
    assert capsys.readouterr().out.endswith("  organization  *\n")


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "--json", "workspace.projects.list GET"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found == {
        "name": "workspace.projects.list",
        "method": "GET",
        "path": "/api/v9/workspaces/{workspace_id}/projects",
        "family": "track",
        "scope": "workspace",
        "resource": "projects",
        "coroutine": "list",
        "summary": "List one page of the workspace's projects",
        "lane": "organization",
        "reads": True,
        "paging": "PageNumber",
        "plan": "free",
        "gated": found["gated"],
    }
    assert main(["api", "--json", "workspace.time_entries.create"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["gated"], found["paging"]) == ({"billable": "starter"}, None)


@pytest.mark.parametrize(("options", "printed"), [([], ""), (["--json"], "[]\n")])
def test_nothing_found(capsys: pytest.CaptureFixture[str], options: list[str], printed: str) -> None:
    assert main(["api", *options, "xyzzy", "plugh"]) == 1
    captured = capsys.readouterr()
    assert captured.out == printed
    assert captured.err == "toggl-async: no operation matches 'xyzzy plugh'\n"
