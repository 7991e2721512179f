"""What an export costs: memory for a million rows, time for fifty accounts, requests for a history.

    python benchmarks/export.py [memory|accounts|requests ...]

memory: every format in a process of its own, a million time entries made up page by page; peak
resident memory and time. accounts: fifty people of one sandbox at once, under one scheduler, on a fast
clock; each at its own pace, so all together take what the slowest takes. requests: the company of the
sandbox, on a free plan's quota of 30 an hour, on a fast clock: requests, windows, rows a minute.
"""

import argparse
import asyncio
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from toggl_async import ApiToken, ClientOptions, Pace, Scheduler, TogglClient
from toggl_async.export import FORMATS, ExportPlan, Manifest, export
from toggl_async.sandbox import CompanySize, FastLoop, SandboxOptions, serve

MILLION = 1_000_000
PAGE = 1000
FIRST_DAY = dt.date(2020, 1, 1)


class MadeUp(httpx.AsyncBaseTransport):
    """A workspace of a million time entries, none of which is kept."""

    def __init__(self, rows: int, years: int = 5) -> None:
        self.rows = rows
        self.days = years * 365
        self.each = rows // self.days

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


def memory(rows: int) -> None:
    """Print peak memory and time of each format."""
    for form in FORMATS:
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, __file__, "--into", directory, "--format", form, "--rows", str(rows)]
            began = time.monotonic()
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            seconds = time.monotonic() - began
            size = sum(path.stat().st_size for path in Path(directory).iterdir()) / 1e6
        print(f"{form:8} {int(told[0]):>9,} rows, peak {told[1]} MiB, {seconds:.0f} s, {size:.0f} MB written")


async def _accounts(count: int, directory: Path) -> None:
    size = CompanySize(people=count, projects=12, clients=6, tags=8, days=400, time_entries=4000)
    async with serve(SandboxOptions(size=size, org_quota=1e9)) as fake:
        loop = asyncio.get_running_loop()
        options = ClientOptions(timeout=36_000.0)
        scheduler = Scheduler(options)
        began = loop.time()

        async def one(name: str, token: str) -> Manifest:
            auth = ApiToken(token)
            url = fake.base_url
            async with TogglClient(auth, base_url=url, options=options, scheduler=scheduler) as client:
                return await export(client, ExportPlan(), directory / name)

        people = [person for person in fake.company.people.values() if not person.inactive][:count]
        manifests = await asyncio.gather(*(one(str(person.id), person.api_token) for person in people))
        together = loop.time() - began
        await scheduler.aclose()
        slowest = max(manifest.duration for manifest in manifests)
        requests = sum(manifest.requests for manifest in manifests)
        apart = sum(manifest.duration for manifest in manifests)
        print(
            f"{len(people)} accounts: {requests} requests in {together:.0f} s of Toggl's time; the slowest "
            f"of them took {slowest:.0f} s, one after the other {apart:.0f} s; refused {fake.counts.refused}"
        )


async def _requests(directory: Path) -> None:
    async with serve(SandboxOptions(plan="free")) as fake:
        options = ClientOptions(timeout=36_000.0)
        async with TogglClient(ApiToken(fake.api_token), base_url=fake.base_url, options=options) as client:
            manifest = await export(client, ExportPlan(), directory)
        minutes = manifest.duration / 60
        entries = manifest.datasets["time_entries"].rows
        print(
            f"free plan: {entries:,} time entries, {manifest.requests} requests, {minutes:.0f} min, "
            f"{manifest.rows / minutes:.0f} rows a minute, refused {fake.counts.refused}, "
            f"totals agree: {manifest.totals_agree}"
        )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", nargs="*", default=["memory", "accounts", "requests"])
    arguments.add_argument("--rows", type=int, default=MILLION)
    arguments.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--format", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.into:
        manifest = asyncio.run(_million(given.into, given.format, given.rows))
        print(manifest.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    if "memory" in given.what:
        memory(given.rows)
    with tempfile.TemporaryDirectory() as directory:
        if "accounts" in given.what:  # at real speed: the work of fifty accounts takes a while on its own
            asyncio.run(_accounts(50, Path(directory)))
        if "requests" in given.what:
            with asyncio.Runner(loop_factory=lambda: FastLoop(1000)) as runner:
                runner.run(_requests(Path(directory) / "free"))


if __name__ == "__main__":
    main()
