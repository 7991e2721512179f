"""A company that goes on working while it is exported, and what its mirror must say of it; all from a seed.

Between the requests of a run people create, edit, re-date, move and delete time entries. When they rest,
one update more has to have everything. What was read meanwhile can be out of date, but nothing that Toggl
still has may ever be marked as deleted.
"""

import asyncio
import contextlib
import datetime as dt
import json
import math
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from toggl_async import ApiToken, ClientOptions, Pace, TogglClient
from toggl_async.export import ExportPlan, Manifest, Mirror
from toggl_async.sandbox import CompanySize, FaultPlan, SandboxOptions
from toggl_async.sandbox.app import Application
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.counts import Counts
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.faults import Faults
from toggl_async.sandbox.limits import ServerLimits

DAY: Final = 86_400
OPTIONS: Final = ClientOptions(pace=Pace(interval=1.0))
PLAN: Final = ExportPlan(datasets=("projects", "tags", "time_entries"))

_REACH: Final = 360 * DAY
"""How far before the organization, and ahead of today, exports look in any case: a year."""

Fact: TypeAlias = tuple[object, ...]
"""What is compared of a time entry."""


class RestlessCompany(httpx.AsyncBaseTransport):
    """A sandbox in this process, on the running loop's time, whose people work between two requests.

    Args:
        seed: what it is like, and what they do.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        # Dates around which days, months and zones change are as likely as others.
        begins = dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=self.chance.randrange(2 * 8766))
        size = CompanySize(
            people=3,
            projects=4,
            clients=2,
            tags=3,
            days=self.chance.choice((20, 90, 500)),
            time_entries=self.chance.randint(10, 90),
            deleted=2,
        )
        options = SandboxOptions(seed=seed, size=size, now=begins)
        self.company = Company(options, begins.timestamp())
        self.clock = Clock(begins.timestamp())
        self._earliest = min(one.created for one in self.company.organizations.values()) - _REACH
        self._inside = httpx.ASGITransport(
            Application(
                company=self.company,
                clock=self.clock,
                limits=ServerLimits(interval=0, burst=1, user_quota=math.inf, organization_quota=math.inf),
                faults=Faults(FaultPlan(), random.Random(seed)),
                counts=Counts(),
                gone=frozenset(),
                not_in_plan=frozenset(),
                reset=lambda _: None,
            ),
            raise_app_exceptions=True,
        )
        self._page = self.chance.choice((3, 7, 20, 1000))
        self.busy = 0.0
        """How likely somebody does something before a request."""
        self.before: Callable[[], None] = lambda: None
        self.story: list[str] = []
        """What was asked and what was done, in order."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let somebody work, then answer, a few rows at a time."""
        self.before()
        while self.chance.random() < self.busy:
            self.work()
        body = await request.aread()
        if request.url.path.endswith("/search/time_entries"):
            asked = json.loads(body)
            body = json.dumps({**asked, "page_size": min(asked["page_size"], self._page)}).encode()
        self.story.append(f"{request.method} {request.url.raw_path.decode()} {body.decode()}")
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        passed = httpx.Request(request.method, request.url, headers=headers, content=body)
        return await self._inside.handle_async_request(passed)

    def work(self) -> None:
        """Let somebody create, edit, re-date, move or delete a time entry."""
        company, chance = self.company, self.chance
        now = self.clock.now()
        known = [entry for entry in company.entries.values() if entry.reported]
        kind = chance.choice(("create", "edit", "redate", "move", "delete"))
        if kind == "create" or not known:
            entry = self._new(int(now))
        else:
            entry = chance.choice(known)
            before = f"{entry.workspace_id} {moment(entry.start)}"
            match kind:
                case "edit":
                    entry.seconds = (entry.seconds or 0) + chance.randrange(1, 999)
                    entry.description = f"edited at {now:.0f}"
                case "redate":
                    start = entry.start + chance.choice((1, 2, 7, 31, 40, 300)) * DAY * chance.choice(
                        (-1, -1, 1)
                    )
                    entry.start = min(max(start, self._earliest), int(now) + 20 * DAY)
                case "move":
                    spaces = company.workspaces_of(company.people[entry.user_id])
                    entry.workspace_id = chance.choice(spaces).id
                    entry.project_id = entry.task_id = None
                    entry.billable, entry.tag_ids = False, ()
                case _:
                    entry.deleted = int(now)
            kind += f" (from {before})"
        company.touch(entry, now)
        self.story.append(f"  {entry.id}: {kind} {entry.workspace_id} {moment(entry.start)}")

    def _new(self, now: int) -> TimeEntryRow:
        company, chance = self.company, self.chance
        person = chance.choice(company.members)
        return TimeEntryRow(
            id=company.new_id("entry", chance.randrange(1, 9)),
            workspace_id=chance.choice(company.workspaces_of(person)).id,
            user_id=person.id,
            start=now - chance.choice((0, 1, 20, 40, 400)) * DAY - chance.randrange(DAY),
            seconds=chance.randrange(1, 9_000),
            description="new",
        )

    def truth(self) -> dict[int, Fact]:
        """The time entries that Toggl has."""
        return {row["id"]: fact(row) for row in self.company.dataset("time_entries")}

    def has(self, number: int) -> bool:
        """Whether Toggl has a time entry now."""
        return self.company.entries[number].deleted is None


def moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="minutes")


def fact(row: dict[str, Any]) -> Fact:
    """What is compared of a row, Toggl's own or the mirror's."""
    return (
        row["workspace_id"],
        row["user_id"],
        row.get("project_id"),
        row["description"],
        row["seconds"],
        dt.datetime.fromisoformat(row["start"]).timestamp(),
        sorted(row.get("tag_ids") or ()),
    )


def marked_as_deleted(path: Path, dataset: str = "time_entries") -> set[int]:
    """The ids of a dataset that a mirror has marked as deleted, read beside the run that writes it.

    Args:
        path: the file of the mirror, which need not be there yet.
        dataset: its name.
    """
    if not path.exists():
        return set()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute(f"SELECT id FROM {dataset} WHERE deleted_at IS NOT NULL").fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return set()
    return {number for (number,) in found}


async def trial(seed: int, folder: Path) -> tuple[list[str], list[str]]:
    """Export and update a company that works meanwhile, then one that rests.

    Returns:
        What is wrong with the mirror, and the story.
    """
    company = RestlessCompany(seed)
    chance, path = company.chance, folder / "mirror.sqlite"
    wrong: list[str] = []

    def look() -> None:
        alive = sorted(filter(company.has, marked_as_deleted(path)))
        if alive and (said := f"deleted though Toggl has it: {alive}") not in wrong:
            wrong.append(said)
            company.story.append(f"!! {said}")

    company.before = look
    busy = chance.choice((0.1, 0.3, 0.6))
    async with TogglClient(
        ApiToken(company.company.account.api_token), transport=company, options=OPTIONS
    ) as client:
        for _ in range(chance.randint(1, 3)):
            company.busy = busy
            company.story.append("run")
            await _run(client, path, company, cut_off=chance.random() < 0.3)
            look()
            company.clock.advance(chance.choice((60, 3600, DAY, 3 * DAY, 50 * DAY)))
            for _ in range(chance.choice((0, 3))):
                company.work()
        company.busy = 0.0
        company.story.append("run, at rest")
        await _run(client, path, company, cut_off=False)
        look()
    async with Mirror(path) as mirror:
        rows = [
            json.loads(change.row)
            for change in await mirror.feed()
            if change.dataset == "time_entries" and change.row
        ]
    found, truth = {row["id"]: fact(row) for row in rows}, company.truth()
    if len(rows) != len(found):
        wrong.append("doubled rows")
    for what, ids in (
        ("missing", truth.keys() - found.keys()),
        ("too many", found.keys() - truth.keys()),
        ("differing", {one for one in truth.keys() & found.keys() if truth[one] != found[one]}),
    ):
        wrong += [f"{what}: {sorted(ids)}"] if ids else []
    return wrong, company.story


async def _run(client: TogglClient, path: Path, company: RestlessCompany, *, cut_off: bool) -> Manifest:
    """Bring the mirror up to date; one that is cut off goes on."""
    async with Mirror(path) as mirror:
        running = asyncio.ensure_future(mirror.refresh(client, PLAN))
        left, look = company.chance.randrange(3, 40), company.before

        def count() -> None:
            nonlocal left
            look()
            left -= 1
            if left == 0:
                company.story.append("cut off")
                running.cancel()

        if not cut_off:
            return await running
        company.before = count
        try:
            with contextlib.suppress(asyncio.CancelledError):
                return await running
        finally:
            company.before = look
        return await mirror.refresh(client, PLAN)
