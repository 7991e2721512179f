"""`toggl-async export`: formats, resuming, updates, estimates, events for machines, many accounts."""

import json
import re
import shlex
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from support.commands import running
from support.sandbox_world import GROUPS
from toggl_async.cli import main
from toggl_async.export.mirror.books import Books
from toggl_async.sandbox import Fault, Sandbox

TAGS = "GET /api/v9/workspaces/{workspace_id}/tags"


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_database_with_a_view_of_names(server: Sandbox, out: Path) -> None:
    assert main(["export", "--out", str(out), "--format", "sqlite"]) == 0
    with closing(sqlite3.connect(out / "toggl.sqlite")) as database:
        database.row_factory = sqlite3.Row
        named = [dict(row) for row in database.execute("SELECT * FROM time_entries_named ORDER BY id")]
    truth = server.company
    assert len(named) == len(truth.dataset("time_entries"))
    for row in named:
        entry = truth.entries[row["id"]]
        project = truth.projects.get(entry.project_id or 0)
        client = truth.clients.get(project.client_id or 0) if project else None
        assert row["user_name"] == truth.people[entry.user_id].name
        assert row["current_project_name"] == (project.name if project else None)
        assert row["current_client_name"] == (client.name if client else None)
        assert row["current_task_name"] == (truth.tasks[entry.task_id].name if entry.task_id else None)
        assert sorted(json.loads(row["current_tag_names"])) == sorted(
            truth.tags[tag_id].name for tag_id in entry.tag_ids
        )
        assert row["workspace_name"] == truth.workspaces[entry.workspace_id].name


def test_the_same_command_goes_on(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.order(Fault(status=403, body='"Incorrect username and/or password"'), route=TAGS)
    assert main(["export", "--out", str(out)]) == 1
    assert capsys.readouterr().err.endswith(
        "contains an unfinished export; run the same command to resume it\n"
    )
    failed = server.counts.requests
    assert main(["export", "--out", str(out)]) == 0
    assert "totals agree" in capsys.readouterr().out
    gone_on = server.counts.requests
    assert main(["export", "--out", str(out.with_name("anew"))]) == 0
    assert gone_on - failed < server.counts.requests - gone_on
    assert main(["export", "--out", str(out)]) == 2
    assert "contains a finished export; --update brings it up to date" in capsys.readouterr().err
    assert main(["export", "--out", str(out), "--update"]) == 0
    assert json.loads((out / "manifest.json").read_bytes())["update"] is True


def test_an_update_says_how_fresh_everything_is(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "--out", str(out)]) == 0
    assert "as of" not in capsys.readouterr().out
    company = server.company
    edited = next(iter(company.reported(next(iter(company.workspaces)))))
    edited.description = "an old edit that changes no sum"
    company.touch(edited, server.clock.now())
    assert main(["export", "--out", str(out), "--update"]) == 0
    text = (out / "time_entries.jsonl").read_text()
    assert edited.description in text
    manifest = json.loads((out / "manifest.json").read_bytes())
    facts = manifest["datasets"]["time_entries"]
    as_of = f"{facts['as_of'].replace('T', ' ').removesuffix('Z')} UTC"
    before = f"{facts['older_read_at'].replace('T', ' ').removesuffix('Z')} UTC"
    everything, names, last, *_ = capsys.readouterr().out.splitlines()
    assert everything == f"as of {as_of}: {', '.join(manifest['datasets'])}"
    assert names == (
        f"time_entries before {facts['read_from']}: names of projects, clients, tasks and tags as of "
        f"{before} or later"
    )
    assert re.search(r"totals agree with Toggl's \(\d ranges\)$", last)

    # Toggl does not sort, and one list is refused.
    server.order(Fault(status=403), route=TAGS, times=1)
    server.clock.advance(2)
    with monkeypatch.context() as patch:
        patch.setattr(Books, "is_ordered", False)
        assert main(["export", "--out", str(out), "--update", "--recheck", "5"]) == 4
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert any(
        f": edits that change no total as of {as_of}; --recheck all reads them again" in line
        for line in lines
    )
    kept = [f"tags of workspace {one}: as of {as_of}; could not be read since" for one in company.workspaces]
    [refused] = set(kept) & set(lines)
    assert f"toggl-async: {refused.partition(':')[0]} were left as they were: " in printed.err
    assert main(["export", "--out", str(out), "--update", "--recheck", "all"]) == 0
    (everything, last, *_) = capsys.readouterr().out.splitlines()
    assert everything.endswith(", ".join(manifest["datasets"]))


def test_a_connection_lost_midway_is_no_bad_input(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(reset=True), route=TAGS)
    assert main(["export", "--out", str(out)]) == 4
    assert "tags of workspace" in capsys.readouterr().err


def test_credentials_revoked_midway_are_no_bad_input(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from toggl_async import Unauthorized  # noqa: PLC0415
    from toggl_async.export.read import reading  # noqa: PLC0415

    async def refuse(*args: object, **options: object) -> None:
        raise Unauthorized("", status=401, method="GET", path="/api/v9/x")

    monkeypatch.setattr(reading.Reader, "fetch", refuse)
    assert main(["export", "--out", str(out), "--dataset", "time_entries"]) == 1
    assert "401" in capsys.readouterr().err


def test_an_estimate(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--dry-run"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["dataset", "rows", "requests"]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert rows["time_entries"][0] == "240"
    assert rows["users"][0] == "?"
    assert any(line.startswith("quota of the user: ") for line in lines)
    assert any(line.startswith("quota of the organization ") for line in lines)
    assert lines[-1].startswith("about ")
    assert main(["export", "--dry-run", "--json", "--out", str(out)]) == 0
    (estimate,) = events(capsys.readouterr().out)
    assert estimate["event"] == "estimate"
    assert estimate["requests"] == int(rows["all"][0])
    assert not out.exists()
    asked = server.counts.requests
    assert main(["export", "--out", str(out)]) == 0
    assert server.counts.requests - asked == estimate["requests"]


@pytest.mark.parametrize("choice", ["workspace", "user", "project", "client", "tag", "since", "billable", ""])
@pytest.mark.sampled(2)
def test_an_estimate_of_a_choice_is_what_it_costs(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    company = server.company
    project = next(one for one in company.projects.values() if one.client_id)
    first = {
        "workspace": next(iter(company.workspaces)),
        "user": next(iter(company.people)),
        "project": project.id,
        "client": project.client_id,
        "tag": next(iter(company.tags)),
        "since": "2024-06-01",
    }
    options = [f"--{choice}", str(first[choice])] if choice in first else [f"--{choice}"] if choice else []
    assert main(["export", "--dry-run", "--json", *options]) == 0
    (estimate,) = events(capsys.readouterr().out)
    assert estimate["spent"] == server.counts.requests
    assert main(["export", "--out", str(out), *options]) == 0
    assert server.counts.requests - estimate["spent"] == estimate["requests"]
    manifest = json.loads((out / "manifest.json").read_bytes())
    entries = next(part for part in estimate["datasets"] if part["dataset"] == "time_entries")
    # The running one is counted by no report.
    assert manifest["datasets"]["time_entries"]["rows"] - entries["rows"] in {0, 1}


@pytest.mark.toggl_sandbox(org_quota=8)
def test_an_estimate_over_several_windows(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "windows" in text
    assert " h " in text.splitlines()[-1]


def test_events_for_machines(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--out", str(out), "--json", "--dataset", "tags"]) == 0
    printed = capsys.readouterr()
    told = events(printed.out)
    assert told[0] == {"event": "export_started", "datasets": ["tags"], "workspaces": 2}
    assert {event["event"] for event in told} >= {"rows_written", "dataset_finished", "finished"}
    assert told[-1]["exit"] == 0
    assert told[-1]["manifest"]["datasets"]["tags"]["rows"] == 5
    assert printed.err == ""
    server.order(Fault(status=500), route=TAGS)
    assert main(["export", "--out", f"{out}2", "--json", "--dataset", "tags"]) == 4
    last = events(capsys.readouterr().out)[-1]
    assert (last["event"], last["exit"], last["manifest"]["complete"]) == ("finished", 4, False)


@pytest.mark.toggl_sandbox(interval=1.0, burst=5)
def test_a_long_wait_is_told_to_machines(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from toggl_async.cli.machine import MachineDisplay  # noqa: PLC0415
    from toggl_async.scheduler.events import Paused, Reason, Sent  # noqa: PLC0415

    shown = MachineDisplay(account="alice")
    for until in (100.5, 130.0, 130.0, 120.0, float("inf")):
        shown.on_scheduler(Paused(at=100.0, account=1, reason=Reason.QUOTA, until=until, waiting=3))
    shown.on_scheduler(Sent(at=1.0, account=1, call=1, route="", attempt=1))
    first, last = events(capsys.readouterr().out)
    assert (first["event"], first["account"], first["reason"], first["seconds"]) == (
        "waiting", "alice", "quota", 30.0,
    )  # fmt: skip
    assert last["seconds"] is None


# Many accounts


@pytest.fixture
def accounts(server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of accounts: two people of the company."""
    file = tmp_path / "accounts"
    first, second, *_ = server.company.people.values()
    monkeypatch.setenv("FIRST_TOKEN", first.api_token)
    monkeypatch.setenv("SECOND_TOKEN", f" {second.api_token}\n")
    monkeypatch.delenv("TOGGL_API_TOKEN")
    file.write_text("# who   where\nfirst    env:FIRST_TOKEN\n\nsecond\tenv:SECOND_TOKEN # both\n")
    return file


def test_a_file_of_accounts_that_an_editor_marked(
    server: Sandbox, out: Path, accounts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.write_bytes(b"\xef\xbb\xbfalice env:FIRST_TOKEN\r\n")
    assert main(["export", "--dataset", "tags", "--accounts", str(accounts), "--out", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["alice"]


def test_many_accounts_at_once(
    server: Sandbox, out: Path, accounts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = ["--dataset", "tags", "--accounts", str(accounts)]
    assert main(["export", "--out", str(out), *choice]) == 0
    printed = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ["first", "second"]
    assert {line.split(":")[0] for line in printed.err.splitlines()} == {"first", "second"}
    manifests = [json.loads((out / name / "manifest.json").read_bytes()) for name in ("first", "second")]
    assert [manifest["user_id"] for manifest in manifests] == list(server.company.people)[:2]
    assert sum(manifest["requests"] for manifest in manifests) == server.counts.requests
    assert main(["export", "--dry-run", *choice]) == 0
    assert {"first:", "second:"} <= {*capsys.readouterr().out.splitlines()}
    assert main(["export", "--out", str(out), *choice, "--json", "--update"]) == 0
    assert {event["account"] for event in events(capsys.readouterr().out)} == {"first", "second"}


def test_one_account_that_fails_leaves_the_others_alone(
    server: Sandbox,
    out: Path,
    accounts: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRST_TOKEN", "wrong")
    assert main(["export", "--out", str(out), "--accounts", str(accounts)]) == 2
    printed = capsys.readouterr()
    assert "toggl-async: first: Toggl refused the credentials" in printed.err
    assert "wrong" not in printed.err
    assert f"{out / 'second'}: " in printed.out
    assert (
        main(["export", "--out", f"{out}2", "--accounts", str(accounts), "--json", "--dataset", "tags"]) == 2
    )
    (ended,) = (event for event in events(capsys.readouterr().out) if event["event"] == "failed")
    assert ended["account"] == "first"
    assert ended["message"].startswith("Toggl refused the credentials")


@pytest.mark.toggl_sandbox(gone=GROUPS)
def test_what_is_missing_is_said_of_each_account(
    server: Sandbox, out: Path, accounts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = ["--dataset", "groups", "--accounts", str(accounts)]
    assert main(["export", "--out", str(out), *choice]) == 4
    assert "toggl-async: second: groups of workspace " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "does not name any account"),
        ("alice", "line 1: write NAME env:VARIABLE or NAME keyring:SERVICE/USER"),
        ("alice 5f3a-token", "line 1: write NAME"),
        ("../x env:A_TOKEN", "line 1: write NAME"),
        *(
            (
                f"{name} env:A_TOKEN",
                "; a name has letters from A to Z, digits, and . _ @ -, without spaces, and",
            )
            for name in ("my team", "a&b", ".hidden", "ä")
        ),
        ("a env:A_TOKEN\nA env:A_TOKEN", "line 2: the name A is used twice"),
        ("alice env:NOT_SET", "line 1: the environment variable NOT_SET is not set\n"),
        ("alice env:not_set", "line 1: the environment variable not_set is not set\n"),
        *(
            (
                f"alice env:{token}",
                "line 1: the environment variable named there is not set; its name is not ",
            )
            for token in ("0a" * 16, "toggl_sk_AB")
        ),
        *(
            (f"alice env:{token} extra", "line 1: an environment variable has no space in its name; put ")
            for token in ("A_TOKEN", "0a" * 16)
        ),
        ("alice keyring:toggl/alice", "line 1: no token found in the keyring entry"),
        ("alice keyring:broken/alice", "line 1: the keyring cannot be read: locked"),
    ],
)
def test_files_of_accounts_that_are_refused(
    tmp_path: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    message: str,
) -> None:
    import keyring  # noqa: PLC0415
    import keyring.errors  # noqa: PLC0415

    def password(service: str, user: str) -> str | None:
        if service == "broken":
            raise keyring.errors.KeyringError("locked")
        return None

    monkeypatch.setattr(keyring, "get_password", password)
    monkeypatch.setenv("A_TOKEN", "x")
    file = tmp_path / "accounts"
    file.write_text(line)
    assert main(["export", "--out", str(out), "--accounts", str(file)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert "5f3a" not in printed
    assert not out.exists()


def test_accounts_in_the_keyring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring  # noqa: PLC0415

    from toggl_async.cli.accounts import read_accounts  # noqa: PLC0415
    from toggl_async.errors import InvalidInput  # noqa: PLC0415

    asked = []

    def password(service: str, user: str) -> str:
        asked.append((service, user))
        return "from-the-keyring"

    monkeypatch.setattr(keyring, "get_password", password)
    file = tmp_path / "accounts"
    file.write_text("alice keyring:my/toggl/alice@example.com")
    (account,) = read_accounts(file)
    assert asked == [("my/toggl", "alice@example.com")]
    assert account.name == "alice"
    assert "from-the-keyring" not in repr(account)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(InvalidInput, match=r"keyring is not installed: .*toggl_async\[keyring\]"):
        read_accounts(file)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_accounts(tmp_path / "none")


def test_the_sandbox_has_one_account(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--out", str(out), "--sandbox", "--accounts", str(tmp_path / "x")]) == 2
    assert "--sandbox and --accounts cannot be combined" in capsys.readouterr().err


def test_a_format_whose_package_is_missing(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("toggl_async.export.formats.duck")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["export", "--out", str(out), "--format", "duckdb"]) == 2
    assert "duckdb is not installed; the format duckdb needs the extra 'duckdb'" in capsys.readouterr().err
    assert not out.exists()
    assert main(["export", "--out", str(out), "--format", "xml"]) == 2


@pytest.mark.slow
def test_ctrl_c_and_many_accounts(server: Sandbox, out: Path, accounts: Path) -> None:
    with running("export", "--out", str(out), "--accounts", str(accounts)) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "workspaces: " in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait() == 130
    assert "first: interrupted; " in rest
    assert "second: interrupted; " in rest
    assert "Traceback" not in rest


@pytest.mark.linux
def test_a_database_is_brought_up_to_date_without_files(
    server: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep" / "toggl.sqlite"
    command = ["export", "--to", f"sqlite:///{path}", "--since", "2020-01-01", "--until", "2030-01-01"]
    server.order(Fault(status=403, body="Incorrect username and/or password"), route=TAGS, times=1)
    assert main(command) == 1
    assert capsys.readouterr().err.endswith(
        f"{path} contains an unfinished export; run the same command to resume it\n"
    )
    assert main(command) == 0
    told, looked, following, report = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{path}: 277 rows in 9 datasets, ")
    assert re.search(r"totals agree with Toggl's \(\d ranges\)$", told)
    assert looked == "time entries from 2020-01-01 to 2030-01-01 were read"
    assert report == f"next: toggl-async report {path}"
    _, tool, file, statement = shlex.split(following)
    assert (tool, file) == ("sqlite3", str(path))
    with closing(sqlite3.connect(path)) as database:
        hours = database.execute(statement).fetchall()
    assert len(hours) > 1
    assert all(number > 0 for _, number in hours)
    assert main([*command, "--recheck", "5"]) == 0
    assert capsys.readouterr().out.startswith("as of ")
    assert [one.name for one in path.parent.iterdir()] == ["toggl.sqlite"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "sqlite:///x", "--out", "y"], "--to and --out or --format cannot be combined"),
        (["--to", "sqlite:///x", "--format", "csv"], "--to and --out or --format cannot be combined"),
        (["--to", "sqlite:///x", "--accounts", "y"], "--to and --accounts cannot be combined"),
        (["--to", "mysql://u:p@h/d"], "cannot keep a mirror in mysql://…; name a file: sqlite:///PATH"),
    ],
)
def test_what_does_not_go_with_a_database(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["export", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("form", ["sqlite", "duckdb"])
def test_the_next_step_of_a_database_works(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert main(["export", "--out", str(out), "--format", form]) == 0
    *_, following, report = capsys.readouterr().out.splitlines()
    _, tool, path, statement = shlex.split(following)
    assert path == str(out / f"toggl.{form}")
    assert main(shlex.split(report)[2:]) == 0
    assert "total" in capsys.readouterr().out
    connection: Any = sqlite3.connect(path) if tool == "sqlite3" else duckdb.connect(path)
    with closing(connection):
        assert len(connection.execute(statement).fetchall()) > 1


def test_csv_for_excel(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tag = next(iter(server.company.tags.values()))
    tag.name = "=HYPERLINK(1)"
    command = ["export", "--out", str(out), "--format", "csv", "--excel"]
    assert main(command) == 0
    assert f"next: open {out / 'time_entries.csv'} in Excel" in capsys.readouterr().out.splitlines()
    data = (out / "tags.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\n") == data.count(b"\r\n") > 1
    assert b',"\'=HYPERLINK(1)",' in data
    assert json.loads((out / "manifest.json").read_bytes())["excel"] is True
    for update in (command, command[:-1], command[:3]):
        tag.name += "!"
        data = data.replace(b"HYPERLINK(1)", b"HYPERLINK(1)!")
        assert main([*update, "--update"]) == 0
        assert (out / "tags.csv").read_bytes() == data
        assert json.loads((out / "manifest.json").read_bytes())["excel"] is True
    other = out.with_name("machines")
    assert main(["export", "--out", str(other), "--format", "csv"]) == 0
    assert main(["export", "--out", str(other), "--format", "csv", "--excel", "--update"]) == 2
    assert "contains CSV files for machines, not for spreadsheets" in capsys.readouterr().err
    assert b",=HYPERLINK(1)!!!," in (other / "tags.csv").read_bytes()


def test_an_update_keeps_the_format_of_the_directory(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(out), "--format", "parquet"]) == 0
    assert main(["export", "--out", str(out), "--update"]) == 0
    assert json.loads((out / "manifest.json").read_bytes())["format"] == "parquet"
    assert not list(out.glob("*.jsonl"))
    capsys.readouterr()
    assert main(["export", "--out", str(out), "--update", "--format", "jsonl"]) == 2
    assert "contains an export in the format parquet, not jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--format", "jsonl"], ["--format", "sqlite"]])
def test_excel_opens_csv_alone(out: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["export", "--out", str(out), "--excel", *arguments]) == 2
    assert capsys.readouterr().err == "toggl-async: --excel needs --format csv\n"
    assert not out.exists()


def test_everything_is_looked_for_until_2030(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines name the days, and what looks further."""
    command = ["export", "--out", str(out), "--dataset", "time_entries", "--since", "2025-01-01"]
    assert main(command) == 0
    looked = capsys.readouterr().out.splitlines()[1]
    assert looked.startswith("time entries from 2025-01-01 to ")
    assert looked.endswith(" were read; --everything looks beyond empty years, too")
    assert main([*command, "--update", "--everything"]) == 0
    assert "time entries from 2025-01-01 to 2030-01-01 were read" in capsys.readouterr().out.splitlines()
