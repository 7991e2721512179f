"""Kill exports with SIGKILL at random moments, go on, and compare with one that was left alone.

    nox -s bench -- export_kills
    python benchmarks/export_kills.py [--kills 200] [--seed 1]

A sandbox runs in a process of its own; each export is another process, killed one to three times, also
in the middle of a write, and then left to finish. Shown for every format: whether what it wrote equals
the uninterrupted export, row by row (byte by byte in JSON Lines), and whether it asked again for a page
that was committed: the progress that stands in the destination after each kill is compared with what
the next run asks for. A run of 200 kills or more writes its table in `docs/benchmarks.md`, and the figures
behind it in `benchmarks/results/`.
"""

import argparse
import asyncio
import contextlib
import csv
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from rig.report import machine, publish, save, table

FORMATS = ("jsonl", "csv", "parquet", "sqlite", "duckdb")
ENTRIES, DAYS = 9_000, 900
KILLS: Final = 200


async def _serve() -> None:
    """Run a sandbox without limits and tell where it is."""
    from toggl_async.sandbox import CompanySize, SandboxOptions, run_forever  # noqa: PLC0415

    size = CompanySize(time_entries=ENTRIES, days=DAYS, projects=250)
    options = SandboxOptions(size=size, interval=0.0, org_quota=1e9, user_quota=1e9)
    await run_forever(options, lambda fake: print(fake.base_url, fake.api_token, flush=True))


async def _export(directory: Path, form: str) -> None:
    """Export into a directory; first say what is committed there, then every page that is asked for."""
    import httpx  # noqa: PLC0415

    from toggl_async import ClientOptions, Pace, TogglClient  # noqa: PLC0415
    from toggl_async.export import ExportPlan, export  # noqa: PLC0415
    from toggl_async.export.mirror.sqlite import SqliteStore  # noqa: PLC0415

    if (directory / "mirror.sqlite").exists():
        store = SqliteStore(directory / "mirror.sqlite")
        committed = store.open().progress
        store.close()
        for name, progress in committed.items():
            mark = None if progress.bookmark is None else dict(progress.bookmark.position)
            print(json.dumps({"committed": name, "done": progress.done, "next": mark}))

    class Told(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content or b"{}")
            print(
                json.dumps(
                    {
                        "at": time.time(),
                        "asked": request.url.path,
                        "query": dict(request.url.params),
                        "body": body,
                    }
                )
            )
            return await super().handle_async_request(request)

    options = ClientOptions(pace=Pace(interval=0.02), timeout=60.0)
    async with TogglClient.from_env(transport=Told(), options=options) as client:
        manifest = await export(client, ExportPlan(), directory, format=form)
    print(json.dumps({"finished": manifest.requests}))


def _asked_again(lines: list[dict[str, Any]]) -> int:
    """How many pages a run asked for although they were committed when it began."""
    committed = {line["committed"]: line for line in lines if "committed" in line}
    again = 0
    for line in lines:
        if "asked" not in line:
            continue
        piece, place = _page(line)
        known = committed.get(piece or "")
        if known is None:
            continue
        reached = (known["next"] or {}).get("first_row_number") or (known["next"] or {}).get("page")
        again += bool(known["done"] or (reached is not None and place < reached))
    return again


def _page(line: dict[str, Any]) -> tuple[str | None, int]:
    """The piece that a request belongs to, and which page of it it is."""
    path, body = line["asked"].strip("/").split("/"), line["body"]
    if path[0] == "reports":
        days = f"{path[4]}/{body['start_date']}..{body['end_date']}"
        kind = "totals" if path[-1] == "totals" else "time_entries"
        return f"{kind}/{days}", body.get("first_row_number") or 1
    if path[-1] == "current":
        return "running", 1
    if len(path) == 5 and path[2] == "workspaces":
        return f"{path[4]}/{path[3]}", int(line["query"].get("page", 1))
    return None, 0


def _rows(directory: Path, form: str) -> dict[str, Any]:
    """Everything that an export wrote, sorted, in a shape that can be compared."""
    if form == "jsonl":
        return {path.name: sorted(path.read_bytes().splitlines()) for path in directory.glob("*.jsonl")}
    if form == "csv":
        return {
            path.name: sorted(csv.reader(path.read_text("utf-8").splitlines()))
            for path in directory.glob("*.csv")
        }
    if form == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415

        return {
            path.name: sorted(map(repr, pq.read_table(path).to_pylist()))
            for path in directory.glob("*.parquet")
        }
    tables = ("organizations", "workspaces", "users", "groups", "clients", "projects", "tags", "tasks")
    if form == "sqlite":
        with contextlib.closing(sqlite3.connect(directory / "toggl.sqlite")) as connection:
            return {
                table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))
                for table in (*tables, "time_entries")
            }
    import duckdb  # noqa: PLC0415

    with duckdb.connect(str(directory / "toggl.duckdb"), read_only=True) as database:
        return {
            table: sorted(map(repr, database.table(table).to_arrow_table().to_pylist()))
            for table in (*tables, "time_entries")
        }


def _run(
    directory: Path, form: str, environ: dict[str, str], kill_after: float | None
) -> list[dict[str, Any]]:
    """Run an export, killed after some seconds unless it ends before; return what it told."""
    command = [sys.executable, "-u", __file__, "--into", str(directory), "--format", form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        if kill_after is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(kill_after)
            process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    if kill_after is None and process.returncode:
        raise SystemExit(f"an export failed: {output}")
    lines = []
    for line in output.splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # the last line may be cut off
            lines.append(json.loads(line))
    return lines


@contextlib.contextmanager
def _sandbox() -> Iterator[dict[str, str]]:
    """Run the sandbox and give the environment that leads to it."""
    with subprocess.Popen(
        [sys.executable, "-u", __file__, "--serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url, token = server.stdout.readline().split()
        try:
            yield {**os.environ, "TOGGL_BASE_URL": url, "TOGGL_API_TOKEN": token}
        finally:
            server.terminate()


@attrs.frozen(kw_only=True)
class Whole:
    """An export that was left alone.

    Attributes:
        rows: what it wrote.
        seconds: how long it took.
        starting: how long of these until its first request: before it there is only Python starting.
    """

    rows: dict[str, Any]
    seconds: float
    starting: float


@attrs.define(kw_only=True)
class Tally:
    """What came of the kills of one format.

    Attributes:
        kills: how many.
        midway: how many of them left an export to go on with.
        exports: exports that were finished after kills.
        differing: those that differ from the uninterrupted one.
        again: committed pages that were asked for again.
    """

    kills: int = 0
    midway: int = 0
    exports: int = 0
    differing: int = 0
    again: int = 0


def leave_alone(directory: Path, form: str, environ: dict[str, str]) -> Whole:
    """Export without a kill."""
    began = time.time()
    lines = _run(directory, form, environ, None)
    seconds = time.time() - began
    starting = next(line["at"] for line in lines if "at" in line) - began
    requests = lines[-1]["finished"]
    print(f"{form}: {requests} requests in {seconds:.2f} s, the first after {starting:.2f} s", flush=True)
    return Whole(rows=_rows(directory, form), seconds=seconds, starting=starting)


def torment(
    directory: Path, form: str, whole: Whole, environ: dict[str, str], moments: Sequence[float]
) -> Tally:
    """Kill one export at moments between its first request and its end, then let it come to its end.

    Args:
        directory: where to.
        form: its format.
        whole: the same export, left alone.
        environ: leads to the server.
        moments: when to kill, as shares of that time.
    """
    tally = Tally(exports=1)
    mirror, manifest = directory / "mirror.sqlite", directory / "manifest.json"
    for moment in moments:
        after = whole.starting + moment * (whole.seconds - whole.starting)
        lines = _run(directory, form, environ, after)
        tally.kills += 1
        tally.again += _asked_again(lines)
        if any("finished" in line for line in lines) or _is_finished(manifest):
            break
        tally.midway += mirror.exists()
    if not _is_finished(manifest):
        tally.again += _asked_again(_run(directory, form, environ, None))
    if _rows(directory, form) != whole.rows:
        tally.differing = 1
        print(f"{form}: differs", flush=True)
    shutil.rmtree(directory)
    return tally


def _is_finished(manifest: Path) -> bool:
    """Whether an export came to its end."""
    return manifest.exists() and bool(json.loads(manifest.read_bytes())["finished"])


def kill_all(kills: int, seed: int) -> dict[str, Tally]:
    """Kill so many times, in all formats in turn."""
    chance = random.Random(seed)
    tallies = {form: Tally() for form in FORMATS}
    forms = itertools.cycle(FORMATS)
    with _sandbox() as environ, tempfile.TemporaryDirectory() as base:
        whole = {form: leave_alone(Path(base, form), form, environ) for form in FORMATS}
        while left := kills - sum(tally.kills for tally in tallies.values()):
            form = next(forms)
            moments = [chance.random() for _ in range(min(left, chance.randint(1, 3)))]
            new, tally = torment(Path(base, "trial"), form, whole[form], environ, moments), tallies[form]
            for name in attrs.asdict(new):
                setattr(tally, name, getattr(tally, name) + getattr(new, name))
    return tallies


def report(tallies: Mapping[str, Tally]) -> str:
    """Write the table: what is asked for, is none in the last two columns."""
    head = ("format", "kills", "of these midway", "exports", "differing", "committed pages asked for again")
    return table(head, [(form, *map(str, attrs.astuple(tally))) for form, tally in tallies.items()])


def main() -> int:
    """Kill, print, and write the results of a whole run; return the exit code."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=KILLS)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--format", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve:
        asyncio.run(_serve())
        return 0
    if given.into:
        asyncio.run(_export(given.into, given.format))
        return 0
    described = machine()
    tallies = kill_all(given.kills, given.seed)
    text = report(tallies)
    print(text)
    if given.kills >= KILLS:
        publish("export kills", text)
        found = {form: attrs.asdict(tally) for form, tally in tallies.items()}
        save("export_kills", {"machine": described, "seed": given.seed, "formats": found})
    return int(any(tally.differing or tally.again for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
