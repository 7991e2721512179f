"""The command's front and `toggl-async sandbox`."""

import contextlib
import importlib
import io
import re
import signal
import socket
import sys

import httpx
import pytest

from support.commands import running
from toggl_async.cli import app, main
from toggl_async.cli.exits import Exit


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"toggl-async \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_it_writes_to_whatever_stands_in_for_the_terminal() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["--version"]) == 0
    assert said.getvalue().startswith("toggl-async ")


def test_what_imports_its_module_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("toggl_async.__main__")
    assert capsys.readouterr() == ("", "")


def test_help_names_the_exit_codes_and_no_option_for_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    text = capsys.readouterr().out
    assert "130  Ctrl-C" in text
    assert "--token" not in text
    assert "TOGGL_API_TOKEN" in text


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage: toggl-async" in capsys.readouterr().err


def test_an_unknown_command_costs_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["xyzzy"]) == 2
    assert capsys.readouterr().err == "toggl-async: No such command 'xyzzy'.\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["--version"]) == 2
    assert capsys.readouterr().err == (
        f"toggl-async: {missing} is not installed; the command needs the extra 'cli': "
        "python -m pip install 'toggl_async[cli]'\n"
    )


def test_ctrl_c_before_anything_ran(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.command, "main", interrupt)
    assert main([]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == "toggl-async: interrupted\n"


def test_the_sandbox_says_how_to_use_it() -> None:
    with running("sandbox", "--plan", "free", "--speed", "60") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first, url_line, token_line, _ = (process.stdout.readline() for _ in range(4))
        assert "(plan free, speed 60); press Ctrl-C to stop it" in first
        base_url = url_line.split("=", 1)[1].strip()
        token = token_line.split("=", 1)[1].strip()
        assert (url_line.split("=")[0], token_line.split("=")[0]) == (
            "  export TOGGL_BASE_URL",
            "  export TOGGL_API_TOKEN",
        )
        answer = httpx.get(f"{base_url}/api/v9/me", auth=(token, "api_token"))
        assert answer.status_code == 200
        assert answer.headers["X-Toggl-Quota-Remaining"] == "29"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"toggl-async: cannot listen on port {port}: ")


@pytest.mark.parametrize("command", [["sandbox"], ["export", "--sandbox", "--out", "never-made"]])
def test_the_sandbox_without_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delitem(sys.modules, "toggl_async.sandbox.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "toggl-async: uvicorn is not installed; the sandbox needs the extra 'sandbox': "
        "python -m pip install 'toggl_async[sandbox]'\n"
    )
