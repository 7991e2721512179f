"""`toggl-async export`: its exit codes, its lines, and what it leaves behind."""

import json
import re
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from support.commands import COMMAND, running
from support.loopback import nobody_listening
from support.postgres_server import PASSWORD, REASON, is_missing, postgres_server
from support.sandbox_world import GROUPS
from toggl_async.cli import main
from toggl_async.export.mirror.postgres import PostgresStore
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.mirror.store import Commit
from toggl_async.export.read import totals
from toggl_async.sandbox import Fault, Sandbox

ME = "GET /api/v9/me"


def refused(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> str:
    """Run an export that is refused: one line on stderr, exit code 2, nothing written."""
    assert main(["export", "--out", str(out), *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("toggl-async: ")
    assert printed.err.count("\n") == 1
    assert not out.exists()
    return printed.err


# Bad input


def test_without_a_token(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "TOGGL_API_TOKEN" in refused(capsys, out)


@pytest.mark.parametrize("token", ["", "  "])
def test_with_an_empty_token(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", token)
    assert "TOGGL_API_TOKEN is empty" in refused(capsys, out)


def test_a_server_that_would_get_the_token_in_clear(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", "made-up")
    assert "must use https" in refused(capsys, out, "--base-url", "http://toggl.example.com")
    monkeypatch.setenv("TOGGL_BASE_URL", "http://toggl.example.com")
    assert "must use https" in refused(capsys, out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "entries"], "unknown dataset 'entries'; choose one of organizations, "),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "comes after until"),
        (["--since", "yesterday"], "'yesterday' is not a date; expected YYYY-MM-DD"),
        (["--workspace", "first"], "'first' is not a valid integer"),
        (["--speed", "20"], "--speed needs --sandbox"),
        (["--sandbox", "--base-url", "https://example.com"], "cannot be combined"),
        (["--sandbox", "--speed", "0"], "0.0 is not in the range"),
        (["--token", "x"], "No such option"),
        (["--recheck", "5"], "--recheck needs --update"),
        (["--update", "--recheck", "-1"], "-1 is not in the range"),
        (["--update", "--recheck", "some"], "'some' is not a valid integer"),
        (["--update", "--dry-run"], "--dry-run cannot be combined with --update"),
    ],
)
def test_bad_options(
    out: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, out, *arguments)


def test_a_destination_is_compulsory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 2
    assert capsys.readouterr().err == (
        "toggl-async: choose where to export to: --out DIR for files, or --to URL for a database\n"
    )


def test_a_destination_that_is_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", "made-up")
    (tmp_path / "kept").write_text("kept")
    for destination, message in ((tmp_path, "is not empty"), (tmp_path / "kept", "is not a directory")):
        assert main(["export", "--out", str(destination)]) == 2
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.err.count("\n") == 1
    assert (tmp_path / "kept").read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_host_that_nobody_listens_on(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", "made-up")
    with nobody_listening() as port:
        message = refused(capsys, out, "--base-url", f"http://127.0.0.1:{port}")
    assert f"cannot reach http://127.0.0.1:{port}: " in message


def test_a_host_that_does_not_answer(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silence(host: str, port: int) -> None:
        assert (host, port) == ("toggl.example.com", 443)
        raise TimeoutError

    monkeypatch.setenv("TOGGL_API_TOKEN", "made-up")
    monkeypatch.setattr(anyio, "connect_tcp", silence)
    message = refused(capsys, out, "--base-url", "https://toggl.example.com")
    assert message == "toggl-async: cannot reach https://toggl.example.com: no answer\n"


def test_a_connection_lost_at_first_contact(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(reset=True), route=ME)
    assert f"cannot reach {server.base_url}: GET /api/v9/me: " in refused(capsys, out)


def test_a_wrong_token_is_tried_once(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGGL_API_TOKEN", "wrong")
    message = refused(capsys, out)
    assert "Toggl refused the credentials: " in message
    assert "403" in message
    assert "wrong" not in message
    assert server.counts.requests == 1


def test_a_workspace_that_is_not_there(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "unknown workspace 5; the token sees " in refused(capsys, out, "--workspace", "5")


# Exports


def test_a_choice_is_exported(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = next(iter(server.company.workspaces))
    arguments = ["--dataset", "tags", "--dataset", "users", "--workspace", str(workspace)]
    assert main(["export", "--out", str(out), *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        f"{out}: {_lines(out / 'tags.jsonl') + _lines(out / 'users.jsonl')} rows in 2 datasets, "
        f"{server.counts.requests} requests, no totals to compare\n"
        f"the rows and their changes are in {out / 'mirror.sqlite'}; --update brings it up to date\n"
    )
    assert sorted(printed.err.splitlines()) == [
        f"tags: {_lines(out / 'tags.jsonl')} rows",
        f"users: {_lines(out / 'users.jsonl')} rows",
    ]


def test_everything_is_exported_from_a_server(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(out), "--since", "2020-01-01", "--until", "2030-01-01"]) == 0
    told, looked, kept, following, report = capsys.readouterr().out.splitlines()
    assert re.search(r"totals agree with Toggl's \(\d ranges\)$", told)
    assert looked == "time entries from 2020-01-01 to 2030-01-01 were read"
    assert kept == f"the rows and their changes are in {out / 'mirror.sqlite'}; --update brings it up to date"
    program = f'import pandas; print(pandas.read_json("{out}/time_entries.jsonl", lines=True))'
    assert following == f"next: python -c '{program}'"
    assert report == f"next: toggl-async report {out}"
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["requests"] == server.counts.requests
    assert (manifest["plan"]["since"], manifest["plan"]["until"]) == ("2020-01-01", "2030-01-01")
    assert server.counts.refused == {402: 0, 429: 0}
    data = b"".join(path.read_bytes() for path in out.iterdir())
    assert server.api_token.encode() not in data


def test_totals_that_differ(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "totals_of", lambda body: (1, ()))
    # Where Toggl counts a second and no row came, something is missing: that outweighs a sum that differs.
    assert main(["export", "--out", str(out), "--dataset", "time_entries"]) == 4
    printed = capsys.readouterr()
    assert "s in the rows, but 1 s in Toggl's total" in printed.err
    assert (out / "time_entries.jsonl").exists()


@pytest.mark.toggl_sandbox(gone=GROUPS)
def test_what_toggl_refuses_is_missing(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--out", str(out), "--dataset", "groups", "--dataset", "tags"]) == 4
    printed = capsys.readouterr()
    workspace = next(iter(server.company.workspaces))
    assert f"toggl-async: groups of workspace {workspace} are missing: " in printed.err
    assert _lines(out / "tags.jsonl") > 0
    assert _lines(out / "groups.jsonl") == 0


def test_a_part_of_the_account_is_named_as_such(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(status=402), route="GET /api/v9/me/time_entries/current")
    assert main(["export", "--out", str(out)]) == 4
    told = capsys.readouterr().err
    assert "\ntime_entries of the account: " in f"\n{told}"
    assert "\ntoggl-async: time_entries of the account are missing: " in told


def test_a_server_that_fails_midway(server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.order(Fault(status=500), route="GET /api/v9/workspaces/{workspace_id}/clients")
    chosen = ["--workspace", str(next(iter(server.company.workspaces)))]
    chosen += ["--dataset", "clients", "--dataset", "workspaces"]
    assert main(["export", "--out", str(out), *chosen]) == 4
    assert "500 from GET /api/v9/workspaces/" in capsys.readouterr().err
    assert _lines(out / "workspaces.jsonl") == 1
    assert json.loads((out / "manifest.json").read_bytes())["complete"] is False


def test_a_server_that_fails_at_first_contact(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.order(Fault(status=500), route=ME)
    assert main(["export", "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.err.endswith("; nothing was written\n")
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.skipif(is_missing(), reason=REASON)
def test_a_database_that_dies_midway_keeps_what_was_committed(
    server: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    committed = 0

    def dying(store: PostgresStore, made: Commit) -> None:
        nonlocal committed
        committed += 1
        if committed == 5:
            database.stop()
        commit(store, made)

    commit = PostgresStore.commit
    monkeypatch.setattr(PostgresStore, "commit", dying)
    with postgres_server() as database:
        url = database.new_url()
        assert main(["export", "--to", url]) == 1
        said = capsys.readouterr().err
        assert said.endswith(f"; {url} keeps what was committed; run the same command to resume\n")
        database.start()
        assert main(["export", "--to", url]) == 0


def test_a_full_disk(
    server: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SqliteStore, "commit", full)
    assert main(["export", "--out", str(out)]) == 1
    assert "No space left on device; " in capsys.readouterr().err


# The sandbox in the same process


def test_the_sandbox_is_exported_whole(out: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "export", "--sandbox", "--out", str(out), "--speed", "200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 26,")
    assert "totals agree with Toggl's (6 ranges)" in done.stdout
    manifest = json.loads((out / "manifest.json").read_bytes())
    ids = {json.loads(line)["id"] for line in (out / "time_entries.jsonl").read_bytes().splitlines()}
    assert len(ids) == manifest["datasets"]["time_entries"]["rows"] == 26_401


def test_part_of_the_sandbox_in_this_process(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--sandbox", "--out", str(out), "--speed", "500", "--dataset", "clients"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 14 rows in 1 dataset, 3 requests")


@pytest.mark.slow
def test_the_sandbox_is_exported_again_from_another_port(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--sandbox", "--out", str(out), "--speed", "500", "--dataset", "clients"]
    assert main(command) == 0
    assert main(command) == 2
    assert "contains a finished export; --update brings it up to date" in capsys.readouterr().err
    assert main([*command, "--update"]) == 0


def test_this_machine_is_one_server_by_each_of_its_names(
    server: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["export", "--out", str(out), "--dataset", "tags", "--update"]
    assert main(command) == 0
    monkeypatch.setenv("TOGGL_BASE_URL", server.base_url.replace("127.0.0.1", "localhost"))
    assert main(command) == 0


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.sampled(1)
def test_ctrl_c_and_sigterm_leave_a_clear_state(out: Path, ending: signal.Signals, code: int) -> None:
    with running("export", "--sandbox", "--out", str(out)) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.startswith("workspaces: "):
                process.send_signal(ending)
                break
        rest = process.stderr.read()
        assert process.wait() == code
        assert process.stdout.read() == ""
    last = rest.splitlines()[-1]
    assert last.startswith(f"toggl-async: interrupted; {out} contains an unfinished export; ")
    assert "Traceback" not in rest
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["complete"] is False
    assert manifest["error"] == "interrupted"
    assert manifest["datasets"]["organizations"]["complete"] is True
    assert manifest["datasets"]["time_entries"]["complete"] is False
    assert {dataset["file"] for dataset in manifest["datasets"].values()} == {None}
    assert {path.name for path in out.iterdir()} == {"manifest.json", "mirror.sqlite"}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
