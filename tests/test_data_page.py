"""The programs and statements of docs/data.md, run as they stand, against sums of the sandbox's truth."""

import datetime as dt
import math
import re
import sqlite3
import zoneinfo
from collections import Counter, defaultdict
from contextlib import closing
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from support.programs import blocks
from toggl_async import ClientOptions, Pace
from toggl_async.cli import connect, main
from toggl_async.sandbox import SMALL, Sandbox
from toggl_async.sandbox.entities import TimeEntryRow
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414

TEXT = (Path(__file__).parent.parent / "docs" / "data.md").read_text("utf-8")
PARTS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
HOURS, INVOICE, MISSING, ESTIMATE = PARTS

pytestmark = pytest.mark.toggl_sandbox(
    size=attrs.evolve(SMALL, time_entries=900), org_quota=math.inf, user_quota=math.inf
)


@attrs.frozen
class World:
    """A sandbox, exported, and what is true of it.

    Attributes:
        sandbox: the sandbox.
        today: the day for which questions about "now" are asked.
    """

    sandbox: Sandbox
    today: dt.date

    @property
    def entries(self) -> list[TimeEntryRow]:
        """The time entries that Toggl has, running ones included."""
        return [entry for entry in self.sandbox.company.entries.values() if entry.deleted is None]

    def day(self, entry: TimeEntryRow) -> dt.date:
        """The day on which an entry began, where the token's user is."""
        company = self.sandbox.company
        (me,) = (one for one in company.people.values() if one.api_token == self.sandbox.api_token)
        return dt.datetime.fromtimestamp(entry.start, zoneinfo.ZoneInfo(me.timezone)).date()

    def project(self, entry: TimeEntryRow) -> str | None:
        """The name of an entry's project."""
        return self.sandbox.company.projects[entry.project_id].name if entry.project_id else None


@pytest.fixture
def world(
    toggl_sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> World:
    """A company in which everything occurs that the page speaks of, exported to where the page has it."""
    pytest.importorskip("pyarrow")
    company = toggl_sandbox.company
    first, second, third, *_ = company.projects.values()
    first.rate, first.client_id = 33.33, None
    second.estimated_seconds, third.estimated_seconds = 36_000, 7_200_000
    third.name = second.name
    for number, entry in enumerate(company.entries.values()):
        if entry.seconds is not None and number % 7 == 0:
            entry.seconds = 900 * (1 + number % 3)
        if number % 5 == 0:
            entry.billable, entry.project_id, entry.task_id = True, first.id, None
            entry.workspace_id = first.workspace_id
    last = max(entry.start for entry in company.entries.values() if entry.seconds is not None)
    absent = max(company.people)
    for entry in company.entries.values():
        if entry.user_id == absent and last - 9 * 86_400 < entry.start < last - 4 * 86_400:
            entry.deleted = entry.start
    for name, value in toggl_sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(connect, "OPTIONS", ClientOptions(pace=Pace(interval=0.0001)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    for command in re.findall(r"^toggl-async (export .*)$", TEXT, re.MULTILINE):
        assert main(command.split()) == 0
    capsys.readouterr()
    return World(toggl_sandbox, dt.datetime.fromtimestamp(last, dt.UTC).date())


def answer(world: World, title: str) -> list[dict[str, Any]]:
    """What the statement of a part says, asked on the day of the world."""
    (statement,) = blocks(PARTS[title], "sql")
    with closing(sqlite3.connect("file:toggl-export/mirror.sqlite?mode=ro", uri=True)) as mirror:
        mirror.row_factory = sqlite3.Row
        found = mirror.execute(statement.replace("'now'", f"'{world.today}'")).fetchall()
    assert found
    return [dict(row) for row in found]


def program(title: str) -> str:
    (found,) = blocks(PARTS[title], "python")
    return found


def run(title: str, **replaced: str) -> dict[str, Any]:
    """The names that a program leaves."""
    text = program(title)
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, title, "exec"), names)
    return names


def monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


def hours_by_week(world: World) -> Counter[tuple[int | None, str | None, str]]:
    seconds: Counter[tuple[int | None, str | None, str]] = Counter()
    for entry in world.entries:
        if entry.seconds is not None:
            week = monday(world.day(entry)).isoformat()
            seconds[entry.project_id, world.project(entry), week] += entry.seconds
    return seconds


def test_hours_per_project_and_week(world: World) -> None:
    found = answer(world, HOURS)
    expected = sorted(
        (name or "", week, seconds / 3600) for (_, name, week), seconds in hours_by_week(world).items()
    )
    told = sorted((row["project_name"] or "", row["week"], row["hours"]) for row in found)
    assert [row[:2] for row in told] == [row[:2] for row in expected]
    assert sum(row[2] for row in told) == pytest.approx(sum(row[2] for row in expected), abs=0.01 * len(told))
    assert len({row["week"] for row in found}) > 5


@pytest.mark.slow
def test_hours_in_polars_and_the_plot(world: World, tmp_path: Path) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("matplotlib")
    names = run(HOURS)
    found = {
        (row["project_id"], row["project"], row["week"].isoformat()): row["hours"]
        for row in names["hours"].to_dicts()
    }
    expected = {key: seconds / 3600 for key, seconds in hours_by_week(world).items()}
    assert found == pytest.approx(expected)
    assert (tmp_path / "hours.png").read_bytes().startswith(b"\x89PNG")
    drawn = names["axes"].get_lines()
    assert len(drawn) == len({key[0] for key in expected})
    assert sum(sum(line.get_ydata()) for line in drawn) == pytest.approx(sum(expected.values()))
    names["plt"].close(names["fig"])


def test_an_invoice_for_each_client(world: World) -> None:
    company = world.sandbox.company
    begin = (world.today.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    quarters: Counter[tuple[int | None, int | None, Decimal]] = Counter()
    for entry in world.entries:
        if entry.billable and entry.seconds and begin <= world.day(entry) < world.today.replace(day=1):
            project = company.projects.get(entry.project_id or 0)
            rate = company.workspaces[entry.workspace_id].default_hourly_rate
            if project is not None and project.rate is not None:
                rate = project.rate
            client = None if project is None else project.client_id
            quarters[client, entry.project_id, Decimal(str(rate))] += math.ceil(entry.seconds / 900)
    cent = Decimal("0.01")
    positions = {
        key: (Decimal(number) * key[2] / 4).quantize(cent, ROUND_HALF_UP) for key, number in quarters.items()
    }
    totals: defaultdict[int | None, Decimal] = defaultdict(Decimal)
    for (client, _, _), money in positions.items():
        totals[client] += money
    expected = sorted(
        (
            company.clients[client].name if client else "",
            company.projects[project].name if project else "",
            quarters[client, project, rate] / 4,
            rate,
            money,
            totals[client],
        )
        for (client, project, rate), money in positions.items()
    )
    found = answer(world, INVOICE)
    assert expected == sorted(
        (
            row["client_name"] or "",
            row["project_name"] or "",
            row["hours"],
            *(Decimal(str(row[name])) for name in ("hourly_rate", "amount", "client_total")),
        )
        for row in found
    )
    assert {row["currency"] for row in found} == {"EUR"}


def test_an_invoice_without_rates(world: World) -> None:
    """Where Toggl tells no rate there is no amount, and above all none of 0.00."""
    with closing(sqlite3.connect("toggl-export/mirror.sqlite")) as mirror:
        mirror.execute("UPDATE time_entries SET raw = json_remove(raw, '$.hourly_rate_in_cents')")
        mirror.commit()
    found = answer(world, INVOICE)
    assert {row[name] for row in found for name in ("hourly_rate", "amount", "client_total")} == {None}
    assert all(row["hours"] > 0 for row in found)


def people_of(world: World) -> dict[int, str]:
    company = world.sandbox.company
    members = {number for space in company.workspaces.values() for number in space.members}
    return {
        number: one.name for number, one in company.people.items() if number in members and not one.inactive
    }


def test_who_did_not_track(world: World) -> None:
    tracked = {(world.day(entry), entry.user_id) for entry in world.entries}
    days = [world.today - dt.timedelta(days=ago) for ago in range(14, 0, -1)]
    expected = [
        {"day": day.isoformat(), "name": name}
        for day in days
        if day.weekday() < 5
        for number, name in sorted(people_of(world).items(), key=lambda person: person[1])
        if (day, number) not in tracked
    ]
    assert answer(world, MISSING) == expected


def test_who_tracked_little_in_duckdb(world: World) -> None:
    pytest.importorskip("duckdb")
    run(MISSING)  # as it stands
    short = run(MISSING, current_date=f"DATE '{world.today}'")["short"]
    seconds: Counter[tuple[dt.date, int]] = Counter()
    for entry in world.entries:
        seconds[monday(world.day(entry)), entry.user_id] += entry.seconds or 0
    weeks = [monday(world.today) - dt.timedelta(weeks=ago) for ago in range(4, 0, -1)]
    expected = [
        (week, name, seconds[week, number])
        for week in weeks
        for number, name in sorted(people_of(world).items(), key=lambda person: person[1])
        if seconds[week, number] < 30 * 3600
    ]
    found = short.fetchall()
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] / 3600 for row in expected], abs=0.006)
    assert any(row[2] for row in found)


def estimates(world: World) -> list[tuple[str, float, float]]:
    """Name, estimated and actual hours of each project with an estimate."""
    actual: Counter[int | None] = Counter()
    for entry in world.entries:
        actual[entry.project_id] += entry.seconds or 0
    return [
        (project.name, project.estimated_seconds / 3600, actual[project.id] / 3600)
        for project in world.sandbox.company.projects.values()
        if project.estimated_seconds
    ]


def test_estimate_against_actual(world: World) -> None:
    found = answer(world, ESTIMATE)
    expected = sorted(estimates(world), key=lambda row: -row[2] / row[1])
    assert [row["name"] for row in found] == [row[0] for row in expected]
    assert len(found) > 1
    for row, (_, estimated, actual) in zip(found, expected, strict=True):
        assert row["estimated_hours"] == pytest.approx(estimated, abs=0.051)
        assert row["actual_hours"] == pytest.approx(actual, abs=0.051)
        assert row["percent"] == pytest.approx(100 * actual / estimated, abs=0.51)


def test_estimate_in_pandas(world: World) -> None:
    pytest.importorskip("pandas")
    budget = run(ESTIMATE)["budget"]
    rows = [tuple(row) for row in budget[["project", "estimated_hours", "actual_hours"]].to_numpy()]
    assert sorted(rows) == [pytest.approx(row) for row in sorted(estimates(world))]
    assert list(budget["percent"]) == pytest.approx([100 * row[2] / row[1] for row in rows])


def test_every_program_and_statement_has_its_test() -> None:
    assert {
        title: (len(blocks(part, "sql")), len(blocks(part, "python"))) for title, part in PARTS.items()
    } == {
        HOURS: (1, 1),
        INVOICE: (1, 0),
        MISSING: (1, 1),
        ESTIMATE: (1, 1),
    }
