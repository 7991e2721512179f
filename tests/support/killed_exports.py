"""Exports and updates in processes that are killed, and what the next process makes of what they left.

One program in three parts, so that a test and a benchmark can run it::

    python killed_exports.py serve ENTRIES DAYS    a sandbox without limits
    python killed_exports.py nursery               forks a process for each line that names a run

A run tells what is committed when it begins, then every page that it asks for. It is killed with SIGKILL at a
moment of the timeline of a run that was left alone: some time after the request that came before that moment.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import attrs
import psycopg

from support.export_written import FORMATS, rows
from support.postgres_server import PASSWORD, PostgresServer
from toggl_async import ClientOptions, Pace, TogglClient
from toggl_async.export import DATASETS, ExportPlan, Mirror, export
from toggl_async.export.mirror.destination import MIRROR
from toggl_async.export.mirror.urls import store_of

__all__ = ["KINDS", "TARGETS", "Tally", "kill_all"]

POSTGRES: Final = "postgresql"
TARGETS: Final = (*FORMATS, POSTGRES)
"""Where exports go: files, written from a store in SQLite, or a store in PostgreSQL alone."""

FIRST, UPDATE = "first", "update"
KINDS: Final = (FIRST, UPDATE)

DAYS_BETWEEN: Final = 3
"""Days that the company lives on before it is brought up to date."""

Line: TypeAlias = dict[str, Any]


@attrs.frozen(kw_only=True)
class Run:
    """A run in a process of its own, as the nursery is told of it.

    Attributes:
        target: one of `TARGETS`.
        place: the directory of its files, or the URL of its store.
        update: whether a finished one is brought up to date.
    """

    target: str
    place: str
    update: bool

    @property
    def mirror(self) -> str:
        """Where its store is."""
        return self.place if self.target == POSTGRES else str(Path(self.place, MIRROR))

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end, for files."""
        manifest = Path(self.place, "manifest.json")
        return manifest.exists() and bool(json.loads(manifest.read_bytes())["finished"])


@attrs.define(kw_only=True)
class Tally:
    """What came of the kills of one target.

    Attributes:
        kills: how many met a process that had not ended.
        midway: how many of them left a run to go on with.
        runs: runs that were finished after kills.
        differing: those that differ from the uninterrupted one.
        again: committed pages that were asked for again.
    """

    kills: int = 0
    midway: int = 0
    runs: int = 0
    differing: int = 0
    again: int = 0


# What runs in the nursery.


def tell(line: Line) -> None:
    """Write a line in one piece: a pipe takes one that is no longer than this whole, or not at all."""
    data = json.dumps(line).encode() + b"\n"
    assert len(data) <= select.PIPE_BUF, data
    os.write(1, data)


async def perform(run: Run) -> None:
    """Say what is committed, then run, and tell of every page that is asked for."""
    import httpx  # noqa: PLC0415 - what forks needs it as little as the rest

    class Told(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content or b"{}")
            tell({"asked": request.url.path, "query": dict(request.url.params), "body": body})
            return await super().handle_async_request(request)

    if run.target == POSTGRES or Path(run.mirror).exists():
        store = store_of(run.mirror)
        committed = store.open().progress
        store.close()
        for name, progress in committed.items():
            mark = None if progress.bookmark is None else dict(progress.bookmark.position)
            tell({"committed": name, "done": progress.done, "next": mark})
    options = ClientOptions(pace=Pace(interval=0), timeout=60.0)
    async with TogglClient.from_env(transport=Told(verify=False, trust_env=False), options=options) as client:
        if run.target == POSTGRES:
            async with Mirror(run.place) as mirror:
                manifest = await mirror.refresh(client, ExportPlan())
        else:
            manifest = await export(client, ExportPlan(), run.place, format=run.target, update=run.update)
    tell({"finished": manifest.requests, "complete": manifest.complete and manifest.totals_agree})


def await_release(url: str) -> None:
    """Wait until PostgreSQL has noticed that a process was killed, and has released its locks."""
    with psycopg.connect(url) as connection:
        connection.execute("""
            SELECT pg_advisory_lock(classid::int, objid::int) FROM pg_locks JOIN pg_database
            ON pg_database.oid = database WHERE locktype = 'advisory' AND datname = current_database()
        """)


def _load() -> None:
    """Load what every run would load anew."""
    from toggl_async.export.formats import format_named  # noqa: PLC0415
    from toggl_async.export.mirror.tables import table  # noqa: PLC0415

    for form in FORMATS:
        format_named(form)
    for name in DATASETS:
        table(name)
    TogglClient.from_env()


def tend() -> None:
    """Fork a process for each line, tell its id, and when it has ended."""
    _load()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 1
            try:
                run = Run(**json.loads(line))
                if run.target == POSTGRES:
                    await_release(run.place)
                asyncio.run(perform(run))
                code = 0
            except BaseException:  # noqa: BLE001 - whatever it is, nobody else will say it
                traceback.print_exc()
            finally:
                os._exit(code)
        tell({"pid": child})
        _, status = os.waitpid(child, 0)
        tell({"ended": os.waitstatus_to_exitcode(status)})


async def serve(entries: int, days: int) -> None:
    """Run a sandbox without limits, and tell where it is."""
    from toggl_async.sandbox import CompanySize, SandboxOptions, run_forever  # noqa: PLC0415

    size = CompanySize(time_entries=entries, days=days, projects=250, people=5)
    options = SandboxOptions(size=size, interval=0.0, org_quota=1e9, user_quota=1e9)
    await run_forever(options, lambda fake: tell({"url": fake.base_url, "token": fake.api_token}))


# What starts and kills it.


class Nursery:
    """Starts runs, and kills them.

    Args:
        environ: leads to the server.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])},
        )
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, run: Run, kill: tuple[int, float] | None = None) -> list[Line]:
        """Run, and return what it told.

        Args:
            run: what is run.
            kill: after how many requests it is killed, and how many seconds after the last of these.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(attrs.asdict(run)).encode() + b"\n")
        self._process.stdin.flush()
        told: list[Line] = []
        child = asked = 0
        kill_at: float | None = None
        while not told or "ended" not in told[-1]:
            line = self._line_before(kill_at)
            if line is None:
                # If it has ended meanwhile, the nursery has taken note, and its number isn't another's yet.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                kill_at = None
                continue
            child = line.get("pid", child)
            asked += "asked" in line
            told.append(line)
            if kill is not None and asked == kill[0] and "asked" in line:
                kill_at = line["at"] + kill[1]
        if kill is None and told[-1]["ended"]:
            raise RuntimeError(f"a run failed: {told[-1]}")
        return told

    def _line_before(self, moment: float | None) -> Line | None:
        """The next line, and when it came; None if the moment comes first."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            left = None if moment is None else max(0.0, moment - time.monotonic())
            if not select.select([output], [], [], left)[0]:
                return None
            data = os.read(output, select.PIPE_BUF)
            if not data:
                raise RuntimeError("the nursery has ended")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return {"at": time.monotonic(), **json.loads(line)}


@attrs.frozen(kw_only=True)
class Whole:
    """A run that was left alone: what came of it, what it asked for, and when.

    Attributes:
        written: everything that is in its files and its store.
        asked: each request, and how often it was made.
        moments: when each request was made, and when the run was over, in seconds since the first.
    """

    written: Mapping[str, object]
    asked: Counter[str]
    moments: Sequence[float]

    def kill_at(self, share: float) -> tuple[int, float]:
        """A moment of the run, as what `Nursery.run` takes.

        Args:
            share: of the time between the first request and the end.
        """
        moment = share * self.moments[-1]
        before = [one for one in self.moments[:-1] if one <= moment]
        return len(before), moment - before[-1]


def page_of(line: Line) -> tuple[str | None, int]:
    """The piece that a request belongs to, without its purpose, and which page of it it is."""
    path, body = line["asked"].strip("/").split("/"), line["body"]
    if path[0] == "reports":
        kind = "totals" if path[-1] == "totals" else "time_entries"
        return f"{kind}/{path[4]}/{body['start_date']}..{body['end_date']}", body.get("first_row_number") or 1
    if path[-1] == "current":
        return "running", 1
    if path[-2:] == ["me", "time_entries"]:
        return "changes", 1
    if len(path) == 5 and path[2] == "workspaces":
        return f"{path[4]}/{path[3]}", int(line["query"].get("page", 1))
    return None, 0


def request_of(line: Line) -> str:
    """A request, as one can compare it."""
    return json.dumps([line["asked"], line["query"], line["body"]], sort_keys=True)


def asked_again(lines: Sequence[Line], whole: Whole) -> int:
    """How many pages a run asked for although they were committed when it began.

    Days may be read for more than one purpose: a page is asked for again if it was already committed as
    often as the run that was left alone asked for it.
    """
    committed = [line for line in lines if "committed" in line]
    asked: Counter[str] = Counter()
    again = 0
    for line in lines:
        if "asked" not in line:
            continue
        request = request_of(line)
        asked[request] += 1
        known = sum(_has(one, line) for one in committed)
        again += known > 0 and asked[request] > max(1, whole.asked[request]) - known
    return again


def _has(committed: Line, asked: Line) -> bool:
    """Whether what is committed includes a page that is asked for."""
    piece, place = page_of(asked)
    name: str = committed["committed"]
    if piece is None or not (name == piece or (piece.count("/") > 1 and name.startswith(f"{piece}/"))):
        return False
    if (asked["body"].get("order_by") == "last_update") != name.endswith("/edits"):
        return False
    following = committed["next"] or {}
    reached = following.get("first_row_number") or following.get("page")
    return bool(committed["done"] or (reached is not None and place < reached))


def written(run: Run) -> dict[str, object]:
    """Everything that is in the files of a run, and in its store."""
    found: dict[str, object] = {}
    if run.target != POSTGRES:
        for name in DATASETS:
            found[name] = sorted(map(repr, rows(Path(run.place), run.target, name)))
    store = store_of(run.mirror)
    store.open()
    with store.snapshot() as snapshot:
        found["store"] = sorted(
            (change.dataset, change.key, change.deleted, change.row or b"") for change in snapshot.changes(0)
        )
    store.close()
    return found


class Ground:
    """Where runs of one target begin: from nothing, or from a finished one that is copied.

    Args:
        target: one of `TARGETS`.
        folder: for files.
        server: for a store in PostgreSQL.
    """

    def __init__(self, target: str, folder: Path, server: PostgresServer | None) -> None:
        self._target = target
        self._folder = folder
        self._server = server
        self._numbers = itertools.count()
        self.base = self.new(FIRST)

    def new(self, kind: str) -> Run:
        """A run that begins."""
        name, update = f"{self._target}_{next(self._numbers)}", kind == UPDATE
        if self._server is None:
            place = self._folder / name
            if update:
                shutil.copytree(self.base.place, place)
            return Run(target=self._target, place=str(place), update=update)
        with self._server.connect() as connection:
            template = self.base.place.rpartition("/")[2] if update else "template1"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return Run(target=self._target, place=self._server.url(name), update=update)

    def remove(self, run: Run) -> None:
        """Remove what a run has left."""
        if self._server is None:
            shutil.rmtree(run.place)
            return
        with self._server.connect() as connection:
            connection.execute(f"DROP DATABASE {run.place.rpartition('/')[2]} WITH (FORCE)".encode())


def leave_alone(ground: Ground, kind: str, nursery: Nursery) -> Whole:
    """Run without a kill."""
    run = ground.new(kind)
    told = nursery.run(run)
    asked = [line for line in told if "asked" in line]
    (finished,) = (line for line in told if "finished" in line)
    assert finished["complete"] is True, finished
    return Whole(
        written=written(run),
        asked=Counter(map(request_of, asked)),
        moments=[line["at"] - asked[0]["at"] for line in (*asked, finished)],
    )


def torment(ground: Ground, kind: str, whole: Whole, nursery: Nursery, shares: Sequence[float]) -> Tally:
    """Kill one run at moments between its first request and its end, then let it come to its end."""
    tally, run, ended = Tally(runs=1), ground.new(kind), False
    for share in shares:
        told = nursery.run(run, whole.kill_at(share))
        tally.kills += told[-1]["ended"] == -signal.SIGKILL
        tally.again += asked_again(told, whole)
        ended = any("finished" in line for line in told) or (kind == FIRST and run.is_finished)
        if ended:
            break
        tally.midway += 1
    if not ended:
        tally.again += asked_again(nursery.run(run), whole)
    tally.differing = int(written(run) != whole.written)
    ground.remove(run)
    return tally


@contextlib.contextmanager
def sandbox(entries: int, days: int) -> Iterator[dict[str, str]]:
    """Run the sandbox, and give the environment that leads to it."""
    command = [sys.executable, __file__, "serve", str(entries), str(days)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            leads = {"TOGGL_BASE_URL": told["url"], "TOGGL_API_TOKEN": told["token"]}
            yield {**os.environ, **leads, "TOGGL_BUDGET": "none", "PGPASSWORD": PASSWORD}
        finally:
            server.terminate()


def live_on(base_url: str) -> None:
    """Let the company live on by some days."""
    for _ in range(DAYS_BETWEEN):
        urllib.request.urlopen(f"{base_url}/sandbox/next_day", data=b"").close()


def kill_all(
    kills: int, seed: int, folder: Path, server: PostgresServer, *, entries: int, days: int
) -> dict[str, dict[str, Tally]]:
    """Kill so many times, in first runs and updates of all targets in turn.

    Args:
        kills: how many times.
        seed: of the moments.
        folder: for files.
        server: whose password is in the environment.
        entries: time entries of the company.
        days: days of its history.

    Returns:
        What came of it, by kind and target.
    """
    chance = random.Random(seed)
    tallies = {kind: {target: Tally() for target in TARGETS} for kind in KINDS}
    with sandbox(entries, days) as environ, Nursery(environ) as nursery:
        grounds = {one: Ground(one, folder, server if one == POSTGRES else None) for one in TARGETS}
        for ground in grounds.values():
            nursery.run(ground.base)
        live_on(environ["TOGGL_BASE_URL"])
        turns = list(itertools.product(KINDS, TARGETS))
        whole = {(kind, one): leave_alone(grounds[one], kind, nursery) for kind, one in turns}
        chance.shuffle(turns)
        for kind, target in itertools.cycle(turns):
            left = kills - sum(one.kills for found in tallies.values() for one in found.values())
            if not left:
                return tallies
            shares = [chance.random() for _ in range(min(left, chance.randint(1, 3)))]
            new, tally = (
                torment(grounds[target], kind, whole[kind, target], nursery, shares),
                tallies[kind][target],
            )
            for name in attrs.asdict(new):
                setattr(tally, name, getattr(tally, name) + getattr(new, name))
    raise AssertionError("there is always a turn")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", entries, days]:
            asyncio.run(serve(int(entries), int(days)))
        case _:
            tend()
