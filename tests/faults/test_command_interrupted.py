"""Ctrl-C at any moment: also while modules are imported, and when all is done but Python has not left."""

import os
import signal
import subprocess
import sys

import pytest

from toggl_async.cli import main

SCRIPT = """
import atexit, os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
if {moment!r} == "the end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv[:] = ["toggl-async", "--version"]
{start}
"""
STARTS = {
    "script": "from toggl_async.cli import main; sys.exit(main())",
    "module": "runpy.run_module('toggl_async', run_name='__main__', alter_sys=True)",
}


@pytest.mark.parametrize(
    ("start", "moment"),
    [("script", "click"), ("module", "toggl_async.cli.app"), ("script", "httpx"), ("module", "the end")],
)
def test_ctrl_c_is_one_line_whenever_it_comes(start: str, moment: str) -> None:
    code = SCRIPT.format(moment=moment, start=STARTS[start])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "toggl-async: interrupted\n")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_a_program_that_runs_the_command_keeps_its_own_ctrl_c(handler: signal.Handlers) -> None:
    """A script in the background ignores it, too."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert main(["--version"]) == 0
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_of_its_own_never_gets_it_back(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """When the command is done, and Python only has to leave, Ctrl-C still is one line."""
    monkeypatch.setattr(sys, "argv", ["toggl-async", "--version"])
    monkeypatch.setattr(os, "_exit", sys.exit)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main() == 0
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capfd.readouterr().err == "toggl-async: interrupted\n"
