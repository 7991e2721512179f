"""Exports that end before they have begun to read: which exit code they have, and what they say is left."""

import asyncio
import json
from pathlib import Path

import pytest

from toggl_async.cli import main
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.run import refresh
from toggl_async.sandbox import Fault, Sandbox

ME = "GET /api/v9/me"
SUMMARY = "POST /reports/api/v3/workspace/{workspace_id}/summary/time_entries"
TAGS = ["--dataset", "tags"]

FAULTS = {
    "500 from GET /api/v9/me": Fault(status=500),
    "503 from GET /api/v9/me": Fault(status=503, body="<html>"),
    "404 from GET /api/v9/me": Fault(status=404, body='"nf"'),
    "missing required field `id`": Fault(status=200, body="{}"),
}


def _finished(out: Path) -> bool:
    return json.loads((out / "manifest.json").read_bytes())["finished"] is True


@pytest.mark.parametrize("cause", FAULTS)
@pytest.mark.parametrize("to", ["out", "to", "dry-run"])
def test_the_first_requests_fail(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], cause: str, to: str
) -> None:
    server.order(FAULTS[cause], route=ME)
    place = {"out": ["--out", str(out)], "to": ["--to", f"sqlite:///{out}"], "dry-run": ["--dry-run"]}[to]
    assert main(["export", *place, *TAGS]) == 2
    printed = capsys.readouterr()
    assert cause in printed.err
    assert to == "dry-run" or printed.err.endswith("; nothing was written\n")
    assert main(["export", *place, *TAGS]) == 0


@pytest.mark.parametrize("to", ["out", "to"])
def test_the_first_requests_of_an_update_fail(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], to: str
) -> None:
    place = ["--out", str(out), "--update"] if to == "out" else ["--to", f"sqlite:///{out}"]
    assert main(["export", *place, *TAGS]) == 0
    server.order(Fault(status=500), route=ME)
    assert main(["export", *place, *TAGS]) == 2
    assert capsys.readouterr().err.endswith(f"; {out} still contains the finished export from before\n")
    assert to == "to" or _finished(out)
    assert main(["export", *place, *TAGS]) == 0


def test_the_first_request_of_a_run_that_is_resumed_fails(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Fault(status=403, body='"Incorrect username and/or password"')
    server.order(refused, route="GET /api/v9/workspaces/{workspace_id}/tags")
    assert main(["export", "--out", str(out), *TAGS]) == 1
    server.order(Fault(status=500), route=ME)
    assert main(["export", "--out", str(out), *TAGS]) == 2
    said = "contains an unfinished export; run the same command to resume it\n"
    assert capsys.readouterr().err.endswith(said)
    assert main(["export", "--out", str(out), *TAGS]) == 0


def test_an_update_that_is_interrupted_before_it_begins(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "--out", str(out), *TAGS]) == 0

    async def interrupted(*args: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(refresh, "survey", interrupted)
    assert main(["export", "--out", str(out), "--update", *TAGS]) == 130
    said = f"interrupted; {out} still contains the finished export from before\n"
    assert capsys.readouterr().err.endswith(said)
    assert _finished(out)


def test_a_disk_that_is_full_when_an_update_begins(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "--out", str(out), *TAGS]) == 0

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SqliteStore, "begin", full)
    assert main(["export", "--out", str(out), "--update", *TAGS]) == 1
    assert capsys.readouterr().err.endswith(f"; {out} still contains the finished export from before\n")
    assert _finished(out)


@pytest.mark.parametrize("written", [b'{"finished": false}', b"[]", b"{"])
def test_a_mirror_whose_files_are_not_written_is_unfinished(
    server: Sandbox,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    written: bytes,
) -> None:
    assert main(["export", "--out", str(out), *TAGS]) == 0

    async def interrupted(*args: object) -> None:
        (out / "manifest.json").write_bytes(written)
        raise asyncio.CancelledError

    monkeypatch.setattr(refresh, "survey", interrupted)
    assert main(["export", "--out", str(out), "--update", *TAGS]) == 130
    assert "contains an unfinished export" in capsys.readouterr().err


def test_a_mirror_that_cannot_be_read_is_unfinished(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", "--out", str(out), *TAGS]) == 0

    async def interrupted(*args: object) -> None:
        (out / "mirror.sqlite").write_bytes(b"")
        raise asyncio.CancelledError

    monkeypatch.setattr(refresh, "survey", interrupted)
    assert main(["export", "--out", str(out), "--update", *TAGS]) == 130
    assert "contains an unfinished export" in capsys.readouterr().err


def test_an_estimate_says_what_it_cannot_count(server: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    server.order(Fault(status=402, body='"a premium feature"'), route=SUMMARY, times=100)
    workspace = str(next(iter(server.company.workspaces)))
    assert main(["export", "--dry-run", "--dataset", "time_entries", "--workspace", workspace]) == 0
    printed = capsys.readouterr().out
    assert "time_entries             ?" in printed
    assert f"the time entries of workspace {workspace} could not be counted" in printed
    assert "a premium feature" in printed
