"""`toggl-async report`: hours from a mirror, against the truth of the sandbox and against made-up rows."""

import csv
import datetime as dt
import json
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from toggl_async.cli import main
from toggl_async.export.mirror.pieces import Progress
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.store import Commit
from toggl_async.export.plan.datasets import dataset
from toggl_async.export.rows import entry_lines, list_line
from toggl_async.sandbox import Fault, Sandbox

ENTRIES = "POST /reports/api/v3/workspace/{workspace_id}/search/time_entries"
WORKSPACE = 10


@pytest.fixture
def exported(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An export of the sandbox's company."""
    assert main(["export", "--out", str(out)]) == 0
    capsys.readouterr()
    return out


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["report", *arguments, "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def written(directory: Path) -> list[dict[str, Any]]:
    """The ended time entries that the export has written."""
    lines = (directory / "time_entries.jsonl").read_bytes().splitlines()
    return [row for row in map(json.loads, lines) if row["seconds"] is not None]


def week_of(day: str) -> str:
    year, week, _ = dt.date.fromisoformat(day).isocalendar()
    return dt.date.fromisocalendar(year, week, 1).isoformat()


# Against the truth of the sandbox


def test_hours_by_project_and_week(
    exported: Path, server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_request(*_: object) -> None:
        raise AssertionError("a request was made")

    monkeypatch.setattr(socket.socket, "connect", no_request)
    before = server.counts.requests
    answer = asked(capsys, str(exported), "--by", "project,week")
    seconds, billable = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for row in written(exported):
        key = row["project_id"], week_of(row["start"][:10])
        seconds[key] += row["seconds"]
        billable[key] += row["seconds"] if row["billable"] else 0
    rows = {(row["project_id"], row["week"]): row for row in answer["rows"]}
    assert {key: row["seconds"] for key, row in rows.items()} == seconds
    assert {key: row["billable_seconds"] for key, row in rows.items()} == +billable | dict.fromkeys(
        set(rows) - set(+billable), 0
    )
    for row in answer["rows"]:
        project = server.company.projects.get(row["project_id"] or 0)
        assert row["project"] == (project.name if project else None)
    assert answer["total"]["seconds"] == seconds.total()
    assert answer["total"]["entries"] == len(written(exported))
    assert server.counts.requests == before


def test_hours_by_client_user_tag_and_month(
    exported: Path, server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, rows = server.company, written(exported)
    clients, users, tags = Counter[Any](), Counter[Any](), Counter[Any]()
    for row in rows:
        project = truth.projects.get(row["project_id"] or 0)
        month = row["start"][:7]
        clients[project.client_id if project else None, month] += row["seconds"]
        users[row["user_id"]] += row["seconds"]
        for tag in row["tag_ids"] or [None]:
            tags[tag] += row["seconds"]
    by_client = asked(capsys, str(exported), "--by", "client,month")["rows"]
    assert {(row["client_id"], row["month"]): row["seconds"] for row in by_client} == clients
    assert {row["client"] for row in by_client if row["client_id"]} <= {
        client.name for client in truth.clients.values()
    }
    by_user = asked(capsys, str(exported), "--by", "user")["rows"]
    assert {row["user_id"]: row["seconds"] for row in by_user} == users
    assert [row["user"] for row in by_user] == [truth.people[row["user_id"]].name for row in by_user]
    by_tag = asked(capsys, str(exported), "--by", "tag")
    assert {row["tag_id"]: row["seconds"] for row in by_tag["rows"]} == tags
    assert by_tag["total"]["seconds"] == users.total() < tags.total()
    assert {row["tag"] for row in by_tag["rows"]} == {
        truth.tags[tag].name if tag is not None else None for tag in tags
    }


def test_hours_of_some_days(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = Counter[str]()
    for row in written(exported):
        days[row["start"][:10]] += row["seconds"]
    first, last = sorted(days)[10], sorted(days)[20]
    found = asked(capsys, str(exported), "--by", "day", "--since", first, "--until", last)
    assert {row["day"]: row["seconds"] for row in found["rows"]} == {
        day: seconds for day, seconds in days.items() if first <= day <= last
    }
    assert [row["day"] for row in found["rows"]] == sorted(row["day"] for row in found["rows"])
    assert "day_id" not in found["rows"][0]


def test_an_export_that_has_not_ended(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.order(Fault(status=403, body='"Incorrect username and/or password"'), route=ENTRIES)
    assert main(["export", "--out", str(out)]) == 1
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("total")
    assert printed.err == "toggl-async: the export is unfinished: hours are missing\n"


def test_an_update_that_has_not_ended(
    exported: Path, server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(status=403, body='"Incorrect username and/or password"'), route=ENTRIES)
    assert main(["export", "--out", str(exported), "--update"]) == 1
    capsys.readouterr()
    assert main(["report", str(exported), "--format", "json"]) == 0
    printed = capsys.readouterr()
    doubt = "an update is under way, or was interrupted: hours may be missing"
    assert json.loads(printed.out)["doubts"] == [doubt]
    assert printed.err == f"toggl-async: {doubt}\n"


def test_an_incomplete_export(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.order(Fault(status=403, body='"no"'), route=ENTRIES, times=100)
    assert main(["export", "--out", str(out)]) == 4
    capsys.readouterr()
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().err == (
        "toggl-async: the export is incomplete: hours may be missing; its manifest says why\n"
    )


def test_an_export_of_a_part(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = ["--since", "2026-01-01", "--until", "2026-03-31"]
    chosen = ["--dataset", "time_entries", "--billable", *days]
    assert main(["export", "--out", str(out), *chosen]) == 0
    capsys.readouterr()
    assert main(["report", str(out), "--by", "project"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "toggl-async: the export includes only some time entries, chosen by billable",
        "toggl-async: the export includes time entries only from 2026-01-01 on",
        "toggl-async: the export includes time entries only until 2026-03-31",
    ]
    assert main(["report", str(out), *days]) == 0
    assert capsys.readouterr().err.count("\n") == 1
    lists = out.with_name("lists")
    assert main(["export", "--out", str(lists), "--dataset", "tags"]) == 0
    capsys.readouterr()
    assert main(["report", str(lists)]) == 0
    assert capsys.readouterr().err == "toggl-async: the export does not include time entries\n"


# Against made-up rows


def entry(number: int, **fields: object) -> bytes:
    row = {"id": number, "seconds": 3600, "start": "2026-01-05T09:00:00+01:00", "billable": False}
    return json.dumps(row | fields).encode()


def mirror(
    path: Path, entries: Sequence[bytes], deleted: Sequence[int] = (), **lists: Sequence[dict[str, Any]]
) -> str:
    """A mirror with these rows."""
    store = SqliteStore(path)
    store.open()
    for name, rows in lists.items():
        lines = [list_line(json.dumps(row).encode(), workspace_id=WORKSPACE) for row in rows]
        store.commit(
            Commit(
                piece=name,
                progress=Progress(),
                requests=0,
                dataset=dataset(name),
                workspace_id=WORKSPACE,
                lines=lines,
            )
        )
    store.commit(
        Commit(
            piece="entries",
            progress=Progress(),
            requests=0,
            dataset=dataset("time_entries"),
            workspace_id=WORKSPACE,
            lines=[line for row in entries for line in entry_lines(row, workspace_id=WORKSPACE)],
        )
    )
    store.commit(
        Commit(
            piece="entries",
            progress=Progress(),
            requests=0,
            dataset=dataset("time_entries"),
            workspace_id=WORKSPACE,
            deleted=deleted,
        )
    )
    store.close()
    return str(path)


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["report", *arguments]) == 0
    return capsys.readouterr().out


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mirror(
        tmp_path / "m.sqlite",
        [
            entry(1, project_id=1, billable=True),
            entry(2, project_id=1, seconds=1800),
            entry(3, project_id=2, project_name="Then\x1b[2J 佐藤"),
            entry(4, seconds=None),
            entry(5, seconds=None),
            entry(6),
            entry(7),
            entry(8, seconds=0),
        ],
        deleted=[6],
        projects=[{"id": 1, "name": "Apollo"}],
    )
    assert answered(capsys, path, "--by", "project,day").splitlines() == [
        "project             day         entries  hours  billable  share",
        "Apollo              2026-01-05        2   1.50      1.00    67%",
        "Then\\u001b[2J 佐藤  2026-01-05        1   1.00      0.00     0%",
        "(none)              2026-01-05        2   1.00      0.00     0%",
        "total                                 5   3.50      1.00    29%",
        "not counted: 2 running time entries",
    ]


def test_nothing_to_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mirror(tmp_path / "m.sqlite", [entry(1, seconds=None)])
    assert answered(capsys, path, "--by", "tag").splitlines() == [
        "tag    entries  hours  billable  share",
        "total        0   0.00      0.00      -",
        "not counted: 1 running time entry",
    ]
    assert answered(capsys, path, "--by", "tag", "--format", "csv") == (
        "tag_id,tag,entries,seconds,hours,billable_seconds,billable_hours,billable_share\n"
    )
    assert asked_anyhow(capsys, path)["rows"] == []


def asked_anyhow(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The answer of a mirror that no run has finished."""
    return json.loads(answered(capsys, *arguments, "--format", "json"))


def test_names_are_those_of_now_and_else_the_latest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mirror(
        tmp_path / "m.sqlite",
        [
            entry(1, project_id=1, project_name="First", start="2026-01-05T09:00:00Z", client_name="Gone"),
            entry(2, project_id=1, project_name="Second", start="2026-03-05T09:00:00Z", client_name="Gone"),
            entry(3, project_id=1, project_name="Between", start="2026-02-05T09:00:00Z"),
            entry(4, project_id=2, project_name="Old", client_name="Old client", user_id=7, username="Then"),
            entry(5, project_id=3, project_name="Old", client_name="Lost"),
        ],
        projects=[
            {"id": 2, "name": "New", "client_id": 5},
            {"id": 3, "name": "New", "client_id": None},
        ],
        clients=[{"id": 5, "name": "New client"}],
        users=[{"id": 7, "fullname": "Now"}],
    )
    rows = asked_anyhow(capsys, path)["rows"]
    # Two projects of one name are two projects.
    assert [(row["project_id"], row["project"], row["entries"]) for row in rows] == [
        (2, "New", 1),
        (3, "New", 1),
        (1, "Second", 3),
    ]
    rows = asked_anyhow(capsys, path, "--by", "client")["rows"]
    assert [(row["client_id"], row["client"], row["entries"]) for row in rows] == [
        (None, "Gone", 2),
        (5, "New client", 1),
        (None, None, 2),
    ]
    rows = asked_anyhow(capsys, path, "--by", "user")["rows"]
    assert [(row["user_id"], row["user"]) for row in rows] == [(7, "Now"), (None, None)]


def test_tags_and_several_groupings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mirror(
        tmp_path / "m.sqlite",
        [
            entry(1, tag_ids=[1, 2, 1], start="2026-01-04T23:59:00-05:00"),  # a Sunday
            entry(2, tag_ids=[], start="2026-01-05T00:00:00+09:00"),
            entry(3, tag_ids=[3], start="2026-12-31T00:00:00Z"),
        ],
        tags=[{"id": 1, "name": "a"}, {"id": 2, "name": "=b"}],
    )
    text = answered(capsys, path, "--by", "week, tag", "--format", "csv")
    rows = [
        (row["week"], row["tag_id"], row["tag"], row["hours"]) for row in csv.DictReader(text.splitlines())
    ]
    assert rows == [
        ("2025-12-29", "2", "=b", "1.0"),
        ("2025-12-29", "1", "a", "1.0"),
        ("2026-01-05", "", "", "1.0"),
        ("2026-12-28", "3", "", "1.0"),
    ]
    assert asked_anyhow(capsys, path, "--by", "tag")["total"]["entries"] == 3


def test_lengths_and_days_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    huge = 2**63 - 1
    path = mirror(
        tmp_path / "m.sqlite",
        [entry(number, seconds=huge, billable=True) for number in (1, 2, 3)]
        + [entry(4, seconds=-5, start="soon"), entry(5, seconds="long"), b'"odd"'],
    )
    found = asked_anyhow(capsys, path, "--by", "month,day")
    assert [(row["month"], row["day"], row["seconds"]) for row in found["rows"]] == [
        ("2026-01", "2026-01-05", 3 * huge),
    ]
    assert found["running"] == 1  # it has no length; what has no day either is none
    assert asked_anyhow(capsys, path, "--since", "2026-01-06")["total"]["seconds"] == 0


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "colour"], "cannot add up by 'colour'; choose among project, client, user, tag, day, week"),
        (["--by", "day,week,day"], "cannot add up by day twice"),
        (["--by", ""], "cannot add up by ''"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "the last day, 2026-01-01, is before the first"),
        (["--since", "2026-13-01"], "'--since': '2026-13-01' is not a date; expected YYYY-MM-DD"),
    ],
)
def test_what_cannot_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    path = mirror(tmp_path / "m.sqlite", [])
    assert main(["report", path, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_what_is_no_mirror(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"no database " * 1000)
    assert main(["report", str(text)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"{text} is not a mirror, because it is not a SQLite database" in printed.err
    assert main(["report", "mysql://host/name"]) == 2
    assert "cannot keep a mirror in mysql://" in capsys.readouterr().err


def test_a_mirror_by_its_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = mirror(tmp_path / "m.sqlite", [entry(1)])
    assert asked_anyhow(capsys, f"sqlite:///{path}")["total"]["hours"] == 1.0
