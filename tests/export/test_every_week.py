"""A mirror that is kept fresh for a week on a free plan's 30 requests an hour: how fresh, at what price."""

import asyncio
import itertools
import random
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from support.sandbox_asgi import World, world
from toggl_async.export import ExportPlan, Manifest, Mirror, refresh_every
from toggl_async.sandbox import CompanySize
from toggl_async.sandbox.entities import TimeEntryRow

pytestmark = [pytest.mark.anyio, pytest.mark.jump, pytest.mark.nightly, pytest.mark.timeout(1800)]

SIZE = CompanySize(time_entries=5000, deleted=80)
"""The people, lists and years of the usual company; fewer entries, so that a week takes minutes."""

EVERY = 600
WEEK = 7 * 86_400
GONE = "SELECT id FROM time_entries WHERE deleted_at IS NOT NULL"
DAY = 86_400
HOUR = 3600


async def live(running: World) -> None:
    """Let people work, quarter of an hour by quarter of an hour."""
    company, chance = running.company, random.Random(7)
    people = [person for person in company.members if not person.inactive]
    while True:
        await asyncio.sleep(900)
        now = running.clock.now()
        person = chance.choice(people)
        space = chance.choice(company.workspaces_of(person))
        seconds = chance.randrange(300, 900)
        added = TimeEntryRow(
            id=company.new_id("entry", 1),
            workspace_id=space.id,
            user_id=person.id,
            project_id=None,
            billable=False,
            start=int(now) - seconds,
            seconds=seconds,
            description="tracked just now",
            tag_ids=(),
        )
        company.touch(added, now)
        known = [one for one in company.entries.values() if one.reported]
        recent = [one for one in known if one.start > now - 20 * DAY]
        changed = [chance.choice(recent if chance.random() < 0.8 else known)]
        kind = chance.randrange(12)
        if kind < 8:
            changed[0].seconds = (changed[0].seconds or 0) + 60
        elif kind == 8:
            changed[0].start -= 40 * DAY
        elif kind == 9:
            changed[0].deleted = int(now)
        elif kind == 10:
            project = chance.choice(list(company.projects.values()))
            project.name = f"{project.name}, renamed"
        for one in changed:
            company.touch(one, now)


def as_of(manifest: Manifest) -> dict[str, float]:
    """How fresh each dataset is, in seconds since 1970."""
    found = {name: entry.as_of for name, entry in manifest.datasets.items()}
    entries = manifest.datasets["time_entries"]
    found["older time entries"] = entries.older_edits_as_of or entries.as_of
    return {name: moment.timestamp() for name, moment in found.items() if moment is not None}


def ages(ends: list[tuple[float, Mapping[str, float]]], name: str) -> list[float]:
    """The age of a dataset, minute by minute."""
    found = []
    for (end, fresh), (following, _) in itertools.pairwise(ends):
        found += [moment - fresh[name] for moment in range(int(end), int(following), 60)]
        found.append(following - fresh[name])
    return found


async def test_a_week_on_thirty_requests_an_hour(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ends: list[tuple[float, Mapping[str, float]]] = []
    parts = Counter[tuple[str, ...]]()
    async with world(size=SIZE, org_quota=30, user_quota=30) as running, running.client() as toggl:
        company, began = running.company, running.clock.now()
        living = asyncio.create_task(live(running))
        lost, early = set[object](), 0
        async with aclosing(
            refresh_every(toggl, ExportPlan(), tmp_path / "toggl.sqlite", every=EVERY)
        ) as rounds:
            async for one in rounds:
                assert one.error is None
                assert one.manifest is not None
                assert one.manifest.totals_agree is not None
                ends.append((running.clock.now(), as_of(one.manifest)))
                parts[one.manifest.read] += 1
                async with Mirror(tmp_path / "toggl.sqlite") as mirror:
                    gone = {row["id"] for row in await mirror.sql(GONE)}
                # What began on another day while it was looked for may be back with the next round only.
                assert lost.isdisjoint(gone)
                lost = {one.id for one in company.entries.values() if one.id in gone and one.deleted is None}
                early += len(lost)
                if running.clock.now() - began > WEEK:
                    break
        living.cancel()
        refused = dict(running.counts.refused)
        arrivals = [moment for moment in running.counts.arrivals(company.account.id) if moment >= ends[0][0]]
        async with Mirror(tmp_path / "toggl.sqlite") as mirror:
            await mirror.refresh(toggl, ExportPlan())
            entries = await mirror.sql("SELECT id, seconds FROM time_entries WHERE deleted_at IS NULL")
            projects = await mirror.sql("SELECT id, name FROM projects WHERE deleted_at IS NULL")
    assert refused == {402: 0, 429: 0}
    assert {row["id"]: row["seconds"] for row in entries} == {
        row["id"]: row["seconds"] for row in company.dataset("time_entries")
    }
    assert {row["id"]: row["name"] for row in projects} == {
        row["id"]: row["name"] for row in company.dataset("projects")
    }
    spent = Counter(int((moment - arrivals[0]) // HOUR) for moment in arrivals)
    hours = [spent[hour] for hour in range(int((arrivals[-1] - arrivals[0]) // HOUR))]
    record_property("rounds", len(ends))
    record_property("rounds, by what they read", len(parts))
    record_property("time entries that were deleted a round too early", early)
    record_property("requests in an hour, mean", round(statistics.mean(hours), 1))
    record_property("requests in an hour, most", max(hours))
    for name in ends[0][1]:
        found = ages(ends, name)
        record_property(f"{name}: age in minutes, median", round(statistics.median(found) / 60, 1))
        record_property(f"{name}: age in minutes, most", round(max(found) / 60, 1))
    # A round that finds recent entries gone takes more than it began for, and may wait for a reset; so may
    # the one before it. Resets are spread by chance, so no two weeks are alike: the bounds allow for that.
    assert max(ages(ends, "time_entries")) <= 2 * HOUR + EVERY
    assert max(ages(ends, "older time entries")) <= 2 * DAY
    for name in ("users", "groups", "clients", "projects", "tags", "tasks"):
        assert max(ages(ends, name)) <= 10 * HOUR
