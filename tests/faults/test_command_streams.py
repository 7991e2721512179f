"""The command whose output goes nowhere: a full disk, a reader that has left, a stream that is closed."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.pairs import first_of
from support.stores import TAGS, commit
from toggl_async import ClientOptions, Pace, Retry
from toggl_async.cli import connect, main
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

FULL = Path("/dev/full")
CLOSED = "toggl-async: cannot write to stdout: it is closed\n"
NO_ROOM = "toggl-async: cannot write to stdout: No space left on device\n"

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


@pytest.fixture
def server(toggl_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("TOGGL_API_TOKEN", toggl_sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    options = ClientOptions(pace=Pace(interval=0.0001), retry=Retry(attempts=1, minimum=0.0, maximum=0.0))
    monkeypatch.setattr(connect, "OPTIONS", options)
    return toggl_sandbox


@contextlib.contextmanager
def full() -> Iterator[io.TextIOWrapper]:
    """A stream on a full disk, whose last flush fails, too."""
    stream = FULL.open("w")
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):
            stream.close()


@contextlib.contextmanager
def left() -> Iterator[io.TextIOWrapper]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):
            stream.close()


@contextlib.contextmanager
def closed() -> Iterator[None]:
    """What Python has for a descriptor that was closed before it started."""
    yield None


STREAMS = {"full": full, "left": left, "closed": closed}
SAID = {"full": NO_ROOM, "left": "", "closed": CLOSED}


def run(
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    *,
    out: str | None = None,
    err: str | None = None,
) -> int:
    with contextlib.ExitStack() as opened, monkeypatch.context() as patch:
        for name, kind in (("stdout", out), ("stderr", err)):
            if kind is not None:
                patch.setattr(sys, name, opened.enter_context(STREAMS[kind]()))
        return main(arguments)


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["api"],
        ["api", "--json", "tags"],
        ["quota"],
        ["whoami", "--json"],
        ["export", "--dry-run"],
        ["export", "--dry-run", "--json"],
        ["sandbox", "--operations"],
        ["call", "me.get"],
        ["feed", "{mirror}"],
        ["report", "{mirror}"],
        ["report", "{mirror}", "--format", "csv"],
    ],
    ids=" ".join,
)
def test_an_answer_that_cannot_be_written_is_a_failure(
    arguments: list[str],
    kind: str,
    server: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = mirror(tmp_path / "mirror.sqlite")
    assert run(monkeypatch, [one.format(mirror=path) for one in arguments], out=kind) == 1
    assert capsys.readouterr().err == SAID[kind]
    assert list(tmp_path.iterdir()) == [path]


def mirror(path: Path) -> Path:
    """A mirror whose feed is more than a pipe holds."""
    store = SqliteStore(path)
    store.open()
    store.commit(commit(TAGS, [Line(number, b'{"id":%d}' % number) for number in range(1, 2000)]))
    store.close()
    return path


@pytest.mark.parametrize("kind", first_of(["full", "left"]))
@pytest.mark.parametrize("state", first_of([False, True]))
def test_a_feed_that_is_not_heard_to_its_end_is_told_again(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    state: bool,
) -> None:
    """A process of its own, as its reader is another one's, which leaves after the first line."""
    path = mirror(tmp_path / "mirror.sqlite")
    noted = tmp_path / "state.json"
    feed = [sys.executable, "-m", "toggl_async", "feed", str(path), *(["--state", str(noted)] * state)]
    if kind == "full":
        with FULL.open("w") as stream:
            done = subprocess.run(feed, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
        code, said = done.returncode, done.stderr
    else:
        with subprocess.Popen(feed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            assert json.loads(running.stdout.readline())["revision"] == 1
            running.stdout.close()
            said = running.stderr.read()
        code = running.returncode
    assert (code, said) == (1, SAID[kind])
    assert list(tmp_path.iterdir()) == [path]
    assert main(["feed", str(path), "--state", str(noted)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2000


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["export", "--help"], pytest.param(["sandbox"], marks=pytest.mark.slow)],
    ids=" ".join,
)
def test_so_is_what_click_or_the_sandbox_writes(
    arguments: list[str], kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, arguments, out=kind) == 1
    assert capsys.readouterr().err == SAID[kind]


@pytest.mark.parametrize("kind", STREAMS)
def test_an_export_is_judged_by_its_files_not_by_its_last_line(
    kind: str,
    server: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, ["export", "--out", str(out), "--dataset", "tags"], out=kind) == 0
    said = capsys.readouterr().err
    assert f"{out}: " in said  # the line that stdout did not take
    assert said.replace(SAID[kind], "", 1).count("cannot write to stdout") == 0
    assert SAID[kind] in said
    assert json.loads((out / "manifest.json").read_bytes())["complete"] is True


@pytest.mark.parametrize("kind", STREAMS)
def test_an_export_whose_events_nobody_reads_stops_and_can_go_on(
    kind: str,
    server: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    arguments = ["export", "--out", str(out), "--dataset", "tags", "--json"]
    assert run(monkeypatch, arguments, out=kind) == 1
    said = capsys.readouterr().err
    assert "nothing was written" in said or "run the same command to resume it" in said
    assert len(said.splitlines()) == 1
    assert main(arguments) == 0


@pytest.mark.parametrize("kind", STREAMS)
def test_what_cannot_be_said_on_stderr_changes_nothing(
    kind: str,
    server: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = ["export", "--out", str(tmp_path / "out"), "--dataset", "tags"]
    assert run(monkeypatch, done, err=kind) == 0
    assert "tags: 5 rows" not in capsys.readouterr().out  # nor is it said anywhere else
    assert run(monkeypatch, done, err=kind) == 2  # it holds a finished export
    assert run(monkeypatch, ["api", "tags"], out=kind, err=kind) == 1
    assert run(monkeypatch, ["xyzzy"], err=kind) == 2
    assert capsys.readouterr().out == ""


# Where stdin is closed, too, what is opened first must not take its place.
@pytest.mark.parametrize(("where", "said"), [("<&-", NO_ROOM), (">&-", CLOSED), ("<&- >&-", CLOSED)])
@pytest.mark.parametrize(
    ("words", "shell"), [("--version", ""), ("-h", ""), ("api", ""), ("", "bash_source")]
)
def test_a_process_of_its_own_leaves_no_traceback(words: str, shell: str, where: str, said: str) -> None:
    """Python flushes once more at its end, and would have its own exit code and words for that."""
    program = "import sys; from toggl_async.cli import main; sys.exit(main())"
    command = ["/bin/sh", "-c", f"exec '{sys.executable}' -c '{program}' {words} {where}"]
    environment = os.environ | ({"_TOGGL_ASYNC_COMPLETE": shell} if shell else {})
    with FULL.open("w") as stream:
        done = subprocess.run(
            command, env=environment, stdout=stream, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, said)


class FullAtTheEnd(io.StringIO):
    """What has no room for the last event alone."""

    def write(self, text: str) -> int:
        if '"event":"finished"' in text:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_an_export_whose_last_event_is_lost_says_that_it_is_finished(
    server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", FullAtTheEnd())
        assert main(["export", "--out", str(out), "--dataset", "tags", "--json"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{NO_ROOM.strip()}; {out}: 5 rows in 1 dataset")
    assert len(said.splitlines()) == 1
