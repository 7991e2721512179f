"""What an export costs: against other exporters, for a million rows, and for fifty accounts at once.

    nox -s bench -- export
    python benchmarks/export.py [peers|scale ...]

peers: toggl_async, tap-toggl and toggl-to-sqlite, each in a process and an environment of its own, export
the sandbox's company: without limits, under a bucket of 1 request/s, and within 30 requests an hour. Time
runs faster than Toggl's (`export_peers.trial`); it takes five minutes. scale: every format in a process
of its own takes a million time entries that are made up page by page; and fifty people of one sandbox
export at once, under one scheduler. Each part writes its table in `docs/benchmarks.md`, and the figures
behind it in `benchmarks/results/`.
"""

import argparse
import asyncio
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import httpx
from export_peers.driving import peak_memory
from export_peers.trial import OURS, PEERS, SCENARIOS, Trial, run
from rig.report import machine, mark, publish, save, table

from toggl_async import ApiToken, ClientOptions, Pace, Scheduler, TogglClient
from toggl_async.export import FORMATS, ExportPlan, Manifest, export
from toggl_async.sandbox import CompanySize, SandboxOptions, serve

MILLION: Final = 1_000_000
PAGE: Final = 1000
FIRST_DAY: Final = dt.date(2020, 1, 1)
ACCOUNTS: Final = 50

FEWER: Final = 5
"""How many times as many requests the better peer has to need."""

MEMORY_LIMIT: Final = 200
"""MiB that an export of any length may take."""

TOGETHER_LIMIT: Final = 1.05
"""How much longer than the slowest of many accounts all of them may take at once."""


@attrs.frozen
class Figure:
    """One measurement, and its limit."""

    what: str
    shown: str
    target: str
    met: bool


class MadeUp(httpx.AsyncBaseTransport):
    """A workspace of a million time entries, none of which is kept."""

    def __init__(self, rows: int, years: int = 5) -> None:
        self.rows = rows
        self.days = years * 365
        self.each = -(-rows // self.days)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer what an export of time entries asks for."""
        path, body = request.url.path, json.loads(request.content or b"null")
        if path.endswith("/me"):
            workspace = {"id": 10, "name": "Big", "organization_id": 1}
            return httpx.Response(
                200, json={"id": 7, "fullname": "A", "email": "a@example.com", "workspaces": [workspace]}
            )
        if path.endswith("/current"):
            return httpx.Response(200, content=b"null")
        first = max(0, (dt.date.fromisoformat(body["start_date"]) - FIRST_DAY).days)
        last = min(self.days, (dt.date.fromisoformat(body["end_date"]) - FIRST_DAY).days + 1)
        count = max(0, last - first) * self.each
        if path.endswith("totals"):
            return httpx.Response(200, json={"seconds": 60 * count})
        begin = (body.get("first_row_number") or 1) - 1
        end = min(count, begin + PAGE)
        rows = b",".join(self._row(first * self.each + number) for number in range(begin, end))
        headers = {"X-Next-Row-Number": str(end + 1)} if end < count else {}
        return httpx.Response(200, content=b"[%b]" % rows, headers=headers)

    def _row(self, number: int) -> bytes:
        start = f"{FIRST_DAY + dt.timedelta(days=number // self.each)}T09:00:00+01:00"
        return (
            f'{{"user_id":7,"username":"Somebody","project_id":{number % 40},'
            f'"project_name":"Project {number % 40}","task_id":null,"billable":true,'
            f'"description":"Worked on item {number} of the list","tag_ids":[1,2],"tag_names":["one","two"],'
            f'"billable_amount_in_cents":150,"hourly_rate_in_cents":9000,"currency":"EUR",'
            f'"row_number":{number},"client_name":"Client","email":"a@example.com","time_entries":[{{'
            f'"id":{3_600_000_000 + number},"seconds":60,"start":"{start}","stop":"{start}","at":"{start}",'
            f'"at_tz":"{start}"}}]}}'
        ).encode()


async def _million(directory: Path, form: str, rows: int) -> Manifest:
    plan = ExportPlan(datasets=("time_entries",), since=FIRST_DAY, until=dt.date(2025, 1, 1))
    options = ClientOptions(pace=Pace(interval=1e-5))
    async with TogglClient(ApiToken("made-up"), transport=MadeUp(rows), options=options) as client:
        return await export(client, plan, directory, format=form)


def memory(form: str, rows: int) -> Figure:
    """Export so many rows in one format, in a process of its own, and look at its peak memory."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--into", directory, "--format", form, "--rows", str(rows)]
        began = time.monotonic()
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        seconds = time.monotonic() - began
        size = sum(path.stat().st_size for path in Path(directory).iterdir()) / 1e6
    shown = f"{told['peak']} MiB ({seconds:.0f} s, {size:.0f} MB written)"
    limit = f"under {MEMORY_LIMIT} MiB"
    return Figure(f"{told['rows']:,} rows as {form}", shown, limit, told["peak"] < MEMORY_LIMIT)


async def accounts(count: int) -> Figure:
    """Export many accounts at once, at real speed, since the work of all of them takes a while."""
    spare = count // 10  # some people are inactive
    size = CompanySize(people=count + spare, projects=12, clients=6, tags=8, days=400, time_entries=4000)
    async with serve(SandboxOptions(size=size, org_quota=1e9, user_quota=1e9)) as fake:
        loop = asyncio.get_running_loop()
        options = ClientOptions()
        scheduler = Scheduler(options)
        people = [person for person in fake.company.people.values() if not person.inactive][:count]
        began = loop.time()

        async def one(directory: Path, token: str) -> Manifest:
            auth, url = ApiToken(token), fake.base_url
            async with TogglClient(auth, base_url=url, options=options, scheduler=scheduler) as client:
                return await export(client, ExportPlan(), directory)

        with tempfile.TemporaryDirectory() as base:
            into = Path(base)
            manifests = await asyncio.gather(
                *(one(into / str(person.id), person.api_token) for person in people)
            )
        together = loop.time() - began
        await scheduler.aclose()
        refused = sum(fake.counts.refused.values())
    slowest = max(manifest.duration for manifest in manifests)
    apart = sum(manifest.duration for manifest in manifests)
    requests = sum(manifest.requests for manifest in manifests)
    return Figure(
        f"{len(people)} accounts at once, {requests:,} requests",
        f"{together:.0f} s, the slowest {slowest:.0f} s, one after the other {apart:,.0f} s; "
        f"{refused} requests refused",
        f"at most {TOGETHER_LIMIT:g} x the slowest",
        together <= TOGETHER_LIMIT * slowest,
    )


def scale(rows: int) -> bool:
    """Measure what many rows and many accounts take; return whether every target is met."""
    described = machine()
    figures = [memory(form, rows) for form in FORMATS]
    figures.append(asyncio.run(accounts(ACCOUNTS)))
    text = table(("what", "measured", "target", ""), _cells(figures))
    print(text, end="\n\n")
    if rows == MILLION:
        publish("export scale", text)
        save("export_scale", {"machine": described, "figures": [attrs.asdict(one) for one in figures]})
    return all(figure.met for figure in figures)


def peers() -> bool:
    """Put every exporter through every scenario; return whether every target is met."""
    clients = (OURS, *PEERS)
    for client in clients:
        client.python()  # installs what is missing, before anything is measured
    now, described = dt.datetime.now(dt.UTC).replace(microsecond=0), machine()
    trials = []
    for scenario in SCENARIOS:
        for client in clients:
            trials.append(run(client, scenario, now))
            print(f"{scenario.name}: {client.name}: {trials[-1].found.right:,} rows", file=sys.stderr)
    figures = judge(trials)
    sections = {
        "export peers": peers_table(trials),
        "export targets": table(("what", "measured", "target", ""), _cells(figures)),
    }
    for section, text in sections.items():
        print(text, end="\n\n")
        publish(section, text)
    save(
        "export",
        {
            "machine": described,
            "peers": {client.name: list(client.requirements) for client in PEERS},
            "targets": [attrs.asdict(figure) for figure in figures],
            "trials": [summary(trial) for trial in trials],
        },
    )
    return all(figure.met for figure in figures)


def judge(trials: Sequence[Trial]) -> list[Figure]:
    """Hold the trials of toggl_async against its targets."""
    figures = []
    for ours in (trial for trial in trials if trial.client == OURS.name):
        others = [other for other in trials if other.scenario == ours.scenario and other is not ours]
        better = min(others, key=lambda other: other.for_a_thousand)
        ratio = better.for_a_thousand / ours.for_a_thousand
        figures.append(
            Figure(
                f"{ours.scenario.title}: requests for 1,000 right rows",
                f"{ours.for_a_thousand:.1f}, the better peer ({better.client}) "
                f"{better.for_a_thousand:.1f}: {ratio:.1f} x",
                f"at least {FEWER} x fewer",
                ratio >= FEWER,
            )
        )
        found = ours.found
        figures.append(
            Figure(
                f"{ours.scenario.title}: time entries",
                f"{found.right:,} of {found.there:,} right, {found.wrong} wrong, {found.twice} twice",
                "every one right, once",
                found.right == found.there and not found.wrong and not found.twice,
            )
        )
    return figures


def summary(trial: Trial) -> dict[str, object]:
    """Return the figures of a trial, for the JSON file."""
    server = attrs.asdict(trial.scenario.server_for(trial.client))
    return {
        "client": trial.client,
        "scenario": trial.scenario.name,
        "server": {name: value for name, value in server.items() if name not in {"now", "truth"}},
        **attrs.asdict(trial.record),
        **attrs.asdict(trial.found),
        "rows_a_minute": round(trial.a_minute, 1),
        "peak_mib": trial.peak,
        "error": trial.error,
    }


def peers_table(trials: Sequence[Trial]) -> str:
    """Compare the exporters, scenario by scenario."""
    head = (
        "scenario",
        "client",
        "requests",
        "refused 429 / 402",
        "time entries right / of",
        "rows a minute of Toggl's time",
        "peak memory",
        "ended",
    )
    rows = []
    for trial in trials:
        limited = trial.scenario is not SCENARIOS[0]
        first = trial.client == OURS.name
        rows.append(
            (
                trial.scenario.title if first else "",
                f"**{trial.client}**" if first else trial.client,
                f"{trial.record.requests:,}",
                f"{trial.record.throttled:,} / {trial.record.over_quota:,}" if limited else "-",
                f"{trial.found.right:,} / {trial.found.there:,}" + _odd(trial),
                f"{trial.a_minute:,.0f}" if limited else "-",
                "?" if trial.peak is None else f"{trial.peak} MiB",
                _end(trial),
            )
        )
    return table(head, rows)


def _odd(trial: Trial) -> str:
    """Name the rows that should not be there."""
    found = trial.found
    odd = {"wrong": found.wrong, "twice": found.twice}
    return "".join(f", {count:,} {how}" for how, count in odd.items() if count)


def _end(trial: Trial) -> str:
    """Say how long it went on, and how it ended."""
    seconds = trial.record.seconds
    lasted = f"after {seconds / 3600:.1f} h" if seconds >= 3600 else f"after {seconds:.0f} s"
    how = "done" if trial.error is None else trial.error
    return how if trial.scenario is SCENARIOS[0] else f"{how} {lasted}"


def _cells(figures: Sequence[Figure]) -> list[tuple[str, str, str, str]]:
    return [(figure.what, figure.shown, figure.target, mark(met=figure.met)) for figure in figures]


def main() -> int:
    """Measure what is asked for; return the exit code."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*", default=["peers", "scale"], metavar="peers|scale")
    arguments.add_argument("--rows", type=int, default=MILLION)
    arguments.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--format", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.into:
        manifest = asyncio.run(_million(given.into, given.format, given.rows))
        print(json.dumps({"rows": manifest.rows, "peak": peak_memory()}))
        return 0
    met = [peers() if part == "peers" else scale(given.rows) for part in given.parts]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
