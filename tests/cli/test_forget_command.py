"""`toggl-async forget`: what is erased, where, and what is told."""

import contextlib
import datetime as dt
import io
import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from toggl_async.cli import main
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.sandbox import Sandbox

DAY = dt.timedelta(days=1)
DOCS = Path(__file__).parent.parent.parent / "docs"
COMMANDS = sorted(
    {
        line
        for page in ("export.md", "command.md")
        for line in re.findall(r"^toggl-async (forget .*)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    }
)


@pytest.fixture
def exported(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["export", "--out", str(out), "--format", "csv"]) == 0
    capsys.readouterr()
    return out


def days(directory: Path) -> list[str]:
    """The days of the time entries that a mirror has."""
    with contextlib.closing(sqlite3.connect(directory / "mirror.sqlite")) as database:
        found = database.execute("SELECT day FROM time_entries WHERE deleted_at IS NULL ORDER BY day")
        return [day for (day,) in found]


def lines(directory: Path) -> int:
    """The rows of the file of time entries."""
    return (directory / "time_entries.csv").read_bytes().count(b"\r\n") - 1


def test_old_time_entries_are_erased_and_stay_away(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = days(exported)
    first = before[len(before) // 2]
    gone = sum(day < first for day in before)
    assert main(["forget", str(exported), "--before", first]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{exported}: forgot {gone} rows",
        f"time entries are kept from {first} on; updates no longer read older ones",
    ]
    assert lines(exported) == len(days(exported)) == len(before) - gone
    assert main(["export", "--out", str(exported), "--format", "csv", "--update", "--recheck", "all"]) == 0
    assert min(days(exported)) == first
    assert f"time entries from {first} to " in capsys.readouterr().out
    assert main(["report", str(exported)]) == 0
    assert f"time entries from before {first} were forgotten" in capsys.readouterr().err
    assert main(["report", str(exported), "--since", first]) == 0
    assert capsys.readouterr().err == ""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main(["feed", str(exported)]) == 0
    deleted = [row for row in map(json.loads, told.getvalue().splitlines()) if row.get("deleted")]
    assert len(deleted) == gone


def test_the_manifest_says_at_once_what_is_kept(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = days(exported)[len(days(exported)) // 2]
    earlier = (dt.date.fromisoformat(first) - 3 * DAY).isoformat()
    assert main(["forget", str(exported), "--before", first]) == 0
    manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
    assert manifest["kept_from"] == first
    assert manifest["datasets"]["time_entries"]["rows"] == lines(exported)
    capsys.readouterr()
    assert main(["forget", str(exported), "--before", earlier]) == 0
    told, kept = capsys.readouterr().out.splitlines()
    assert told == f"{exported}: forgot 0 rows"
    assert kept.startswith(f"time entries are kept from {first} on, as chosen before: {earlier} doesn't move")
    assert main(["forget", str(exported), "--user", "1"]) == 0
    assert json.loads((exported / "manifest.json").read_text("utf-8"))["kept_from"] == first


def test_so_does_that_of_an_unfinished_export(exported: Path) -> None:
    path = exported / "manifest.json"
    manifest = json.loads(path.read_text("utf-8")) | {"finished": False, "complete": False, "files": {}}
    path.write_text(json.dumps(manifest))
    first = days(exported)[-1]
    assert main(["forget", str(exported), "--before", first]) == 0
    manifest |= {"kept_from": first}
    assert json.loads(path.read_text("utf-8")) == manifest


def test_a_day_that_has_begun_anywhere_is_not_in_the_future(exported: Path) -> None:
    furthest = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=14)).date()
    assert main(["forget", str(exported), "--before", furthest.isoformat()]) == 0
    assert main(["forget", str(exported), "--before", (furthest + 2 * DAY).isoformat()]) == 2


def test_a_manifest_that_cannot_be_read(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, before = exported / "manifest.json", days(exported)
    path.write_bytes(b"{}")
    assert main(["forget", str(exported), "--older-than", "1"]) == 2
    assert "manifest.json is damaged: " in (told := capsys.readouterr().err)
    assert told.endswith("; remove that file, and bring the export up to date with --update\n")
    path.unlink()
    path.mkdir()
    assert main(["forget", str(exported), "--older-than", "1"]) == 2
    assert capsys.readouterr().err == f"toggl-async: cannot read {path}: Is a directory\n"
    assert days(exported) == before


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.sampled(1)
def test_each_command_of_the_documents_runs(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    monkeypatch.chdir(exported.parent)
    exported.rename("toggl-export")
    assert main(line.split()) == 0
    assert capsys.readouterr().out.startswith("toggl-export: forgot ")


@pytest.mark.parametrize("place", ["{}", "{}/mirror.sqlite", "sqlite:///{}/mirror.sqlite"])
@pytest.mark.sampled(1)
def test_what_is_older_than_some_days(exported: Path, place: str) -> None:
    assert main(["forget", place.format(exported), "--older-than", "30"]) == 0
    first = (dt.datetime.now(dt.UTC).date() - 30 * DAY).isoformat()
    assert first <= min(days(exported))
    assert lines(exported) == len(days(exported))


def test_a_user_and_a_workspace_may_come_back(
    exported: Path, server: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    before = days(exported)
    (_, workspace), user = server.company.workspaces, next(iter(server.company.people))
    assert main(["forget", str(exported), "--user", str(user)]) == 0
    capsys.readouterr()
    assert main(["forget", str(exported), "--workspace", str(workspace)]) == 0
    told, note = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{re.escape(str(exported))}: forgot \d+ rows", told)
    assert note == "what Toggl still shows to the token comes back with the next update"
    assert 0 < lines(exported) == len(days(exported)) < len(before)
    assert main(["export", "--out", str(exported), "--format", "csv", "--update"]) == 0
    assert days(exported) == before


def test_a_mirror_without_files(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = tmp_path / "alone.sqlite"
    shutil.copyfile(exported / "mirror.sqlite", alone)
    assert main(["forget", str(alone), "--older-than", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{alone}: forgot ")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copyfile(exported / "mirror.sqlite", bare / "mirror.sqlite")
    assert main(["forget", str(bare), "--older-than", "1"]) == 0
    assert not (bare / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "choose one thing to forget: --user, --workspace, --before, --older-than; got none"),
        (["--before", "2020-01-01", "--older-than", "3"], "; got --before and --older-than"),
        (["--user", "1", "--workspace", "2"], "; got --user and --workspace"),
        (["--before", "2199-01-01"], "before 2199-01-01 is in the future: it would erase all time entries"),
        (["--before", "yesterday"], "'--before': 'yesterday' is not a date; expected YYYY-MM-DD"),
        (["--before", "9999-12-31"], "before 9999-12-31 is in the future: "),
        (["--user", str(2**63)], "user must be an id, a whole number from 1 to "),
        (["--older-than", "0"], "0 is not in the range 1<=x<=36500"),
        (["--user", "0"], "'--user': 0 is not in the range x>=1"),
        (["--user", "-2"], "'--user': -2 is not in the range x>=1"),
        (["--workspace", "0"], "'--workspace': 0 is not in the range x>=1"),
        (["--workspace", str(2**63)], f"workspace must be an id, a whole number from 1 to {2**63 - 1}"),
    ],
)
@pytest.mark.sampled(2)
def test_bad_input_erases_nothing(
    exported: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = days(exported)
    assert main(["forget", str(exported), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert days(exported) == before


@pytest.mark.parametrize("place", ["none", "sqlite:///none", "."])
def test_no_mirror_is_made_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["forget", place, "--user", "1"]) == 2
    assert "there is no mirror at " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_no_mirror(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "mysql://db/reports", "--user", "1"]) == 2
    assert "cannot keep a mirror in mysql://" in capsys.readouterr().err


def test_a_password_on_the_command_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forget", "postgresql://toggl:secret@db/reports", "--user", "1"]) == 2
    told = capsys.readouterr().err
    assert "leave it out, and set PGPASSWORD" in told
    assert "secret" not in told


def test_a_mirror_that_cannot_be_written(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SqliteStore, "forget", full)
    assert main(["forget", str(exported), "--user", "1"]) == 1
    assert capsys.readouterr().err == (
        "toggl-async: not everything was forgotten: No space left on device; run the same command again\n"
    )
