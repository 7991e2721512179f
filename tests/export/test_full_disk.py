"""A disk without room: it is said to be full, nothing is lost, and what only reads goes on reading.

A limit of what a process may write stands for it where no file system of a test's own can be mounted.
"""

import contextlib
import errno
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing
from pathlib import Path

import anyio
import pytest

from support.stores import TAGS, commit
from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.cli import connect, main
from toggl_async.export import ExportPlan, Mirror, RefreshRound, export_every, refresh_every
from toggl_async.export.mirror import lock
from toggl_async.export.mirror.sqlite import SqliteStore
from toggl_async.export.rows import Line
from toggl_async.sandbox import Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

pytestmark = pytest.mark.linux

OPTIONS = ClientOptions(pace=Pace(interval=0.0001))
Full = Callable[[], AbstractContextManager[str]]
"""Takes all room away; what is yielded says how that is told."""

MOUNTS = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def limited() -> Iterator[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["limit", pytest.param("disk", marks=pytest.mark.skipif(not MOUNTS, reason="mounts"))])
def full(request: pytest.FixtureRequest, out: Path) -> Iterator[Full]:
    if request.param == "limit":
        yield limited
        return
    disk = out.parent
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")

    @contextlib.contextmanager
    def filled() -> Iterator[str]:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        try:
            yield "the disk is full"
        finally:
            filler.unlink()

    try:
        yield filled
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "out"


@pytest.fixture
def exported(
    full: Full,
    out: Path,
    toggl_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Path:
    monkeypatch.setattr(connect, "OPTIONS", OPTIONS)
    monkeypatch.setenv("TOGGL_API_TOKEN", toggl_sandbox.api_token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    assert main(["export", "--out", str(out), "--dataset", "tags"]) == 0
    capsys.readouterr()
    return out


def held(folder: Path) -> dict[str, bytes]:
    """The files and their content, without the empty log and index that SQLite leaves if it has no room."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".sqlite-shm"}
    return {name: data for name, data in found.items() if data or not name.endswith("-wal")}


def test_an_update_says_so_and_leaves_the_export(
    exported: Path, full: Full, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (["--out", str(exported)], ["--to", f"sqlite:///{exported}/mirror.sqlite"]):
        before, update = held(exported), ["export", *place, "--update", "--dataset", "tags"]
        with full() as said:
            assert main(update) == 1
        told = capsys.readouterr().err
        assert said in told
        assert "still contains the finished export from before" in told
        assert held(exported) == before
        assert main(update) == 0


def test_forgetting_says_so_and_forgets_nothing(
    exported: Path, full: Full, capsys: pytest.CaptureFixture[str]
) -> None:
    before = held(exported)
    for place in (exported, exported / "mirror.sqlite"):
        with full() as said:
            assert main(["forget", str(place), "--user", "1"]) == 1
        assert capsys.readouterr().err.endswith(f": {said}; run the same command again\n")
        assert held(exported) == before


@pytest.mark.parametrize("form", ["files", "mirror"])
def test_it_ends_a_round_and_not_the_following_ones(
    exported: Path, full: Full, toggl_sandbox: Sandbox, form: str
) -> None:
    plan = ExportPlan(datasets=("tags",))
    place = exported if form == "files" else exported / "mirror.sqlite"
    keep_fresh = export_every if form == "files" else refresh_every

    async def rounds() -> None:
        token, url = ApiToken(toggl_sandbox.api_token), toggl_sandbox.base_url
        async with TogglClient(token, base_url=url, options=OPTIONS) as toggl:
            every: AsyncGenerator[RefreshRound, None] = keep_fresh(toggl, plan, place, every=0.001)
            async with aclosing(every):
                with full() as said:
                    one = await anext(every)
                    assert said in str(one.error)
                assert (await anext(every)).manifest is not None

    anyio.run(rounds)


def test_a_made_up_company_says_so(exported: Path, full: Full, capsys: pytest.CaptureFixture[str]) -> None:
    with full() as said:
        assert main(["export", "--sandbox", "--out", str(exported), "--dataset", "tags", "--update"]) == 1
    path = exported / "mirror.sqlite"
    assert re.fullmatch(
        f"toggl-async: cannot open {path}: (disk I/O error: )?{said}\n", capsys.readouterr().err
    )


def test_an_error_without_a_cause_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mirror.sqlite"
    (tmp_path / "mirror.sqlite-shm").mkdir()
    with pytest.raises(
        OSError, match=r"attempt to write a readonly database|unable to open database file"
    ) as caught:
        SqliteStore(path).open()
    assert caught.value.errno == errno.EIO


def test_a_program_gets_an_error_of_the_system(exported: Path, full: Full) -> None:
    async def enter() -> None:
        async with Mirror(exported / "mirror.sqlite"):
            pass

    with full(), pytest.raises(OSError, match=r"mirror\.sqlite") as caught:
        anyio.run(enter)
    assert caught.value.errno in {errno.ENOSPC, errno.EFBIG}


def test_what_only_reads_goes_on(exported: Path, full: Full, capsys: pytest.CaptureFixture[str]) -> None:
    before = held(exported)
    for command in ("report", "feed"):
        assert main([command, str(exported)]) == 0
        there = capsys.readouterr().out
        with full():
            assert main([command, str(exported)]) == 0
        assert capsys.readouterr().out == there
        assert held(exported) == before
        assert main([command, str(exported)]) == 0
        capsys.readouterr()
        assert {path.name for path in exported.iterdir()} == set(before)


def test_so_it_does_where_a_run_was_killed(exported: Path, full: Full, tmp_path: Path) -> None:
    """The latest changes are in the log then, whose index has no room on the disk."""
    store = SqliteStore(exported / "mirror.sqlite")
    store.open()
    store.commit(commit(TAGS, [Line(1, b'{"id":1}')]))
    left = held(exported)
    store.close()
    for name in ("mirror.sqlite", "mirror.sqlite-wal"):
        (exported / name).write_bytes(left[name])
    with full(), SqliteStore(exported / "mirror.sqlite").snapshot() as snapshot:
        assert b'{"id":1}' in list(snapshot.rows(TAGS))


def test_a_lock_that_has_no_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(OSError, match="No space left on device"):
        lock.Lock(tmp_path / "mirror.sqlite").take()
