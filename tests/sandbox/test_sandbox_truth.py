"""All reports tell one truth: random questions, asked of each of them in its own way, get the same sums."""

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from support.pairs import first_of
from support.sandbox_world import World, world
from toggl_async.sandbox import CompanySize

pytestmark = pytest.mark.anyio

SIZE = CompanySize(people=5, projects=12, clients=6, tags=8, days=160, time_entries=1700, deleted=40)
LAST = dt.date(2026, 5, 20)
ROUND = ("rounding", "rounding_minutes")
GROUPINGS = {"projects": "project_id", "clients": "client_id", "users": "user_id"}
TASKS = {**GROUPINGS, "tasks": "task_id"}


def question(rng: random.Random, toggl: World) -> dict[str, Any]:
    """Make up a range, filters and a rounding."""
    company, space = toggl.sandbox.company, toggl.workspace_id
    first = LAST - dt.timedelta(days=rng.randrange(170))
    last = min(LAST, first + dt.timedelta(days=rng.choice((0, 6, 30, 170))))
    body: dict[str, Any] = {"start_date": first.isoformat(), "end_date": last.isoformat()}
    tables: dict[str, list[int | None]] = {
        "project_ids": [*(row.id for row in company.projects_of(space)), None],
        "client_ids": [*(row.id for row in company.clients_of(space)), None],
        "user_ids": [*company.workspaces[space].members],
        "tag_ids": [*(row.id for row in company.tags_of(space)), None],
        "task_ids": [row.id for row in company.tasks_of(space)],
        "group_ids": [row.id for row in company.groups_of(space)],
    }
    for name in rng.sample(sorted(tables), rng.choice((0, 0, 1, 1, 2))):
        body[name] = rng.sample(tables[name], min(len(tables[name]), rng.choice((1, 3))))
    if rng.random() < 0.3:
        body["billable"] = rng.random() < 0.5
    if rng.random() < 0.2:
        body["description"] = "the"
    if rng.random() < 0.2:
        body["min_duration_seconds"] = 1800
    if rng.random() < 0.4:
        body |= {"rounding": rng.choice((-1, 0, 1)), "rounding_minutes": rng.choice((1, 6, 15))}
    return body


class Answers:
    """What the reports of a sandbox answer to one question."""

    def __init__(self, toggl: World, body: dict[str, Any]) -> None:
        self.toggl = toggl
        self.body = body

    async def ask(self, report: str, **more: Any) -> Any:
        answer = await self.toggl.http.post(f"{self.toggl.reports}/{report}", json=self.body | more)
        assert answer.status_code == 200, (report, self.body, answer.text)
        assert answer.headers["x-sandbox-answer"] == "state"
        return answer.json()

    async def rows(self, **more: Any) -> list[Any]:
        """Return all rows of the detailed report."""
        rows: list[Any] = []
        while True:
            page = await self.ask(
                "search/time_entries", page_size=1000, first_row_number=len(rows) + 1, **more
            )
            rows += page
            if len(page) < 1000:
                return rows


def sums(rows: Iterable[Any], key: Any) -> Counter[Any]:
    """Add up the seconds of rows of the detailed report."""
    found: Counter[Any] = Counter()
    for row in rows:
        for entry in row["time_entries"]:
            found[key(row, entry)] += entry["seconds"]
    return positive(found)


def positive(found: Mapping[Any, int]) -> Counter[Any]:
    """Leave out what is 0: a report may name it or not."""
    return Counter({key: seconds for key, seconds in found.items() if seconds})


async def compare(toggl: World, body: dict[str, Any], rng: random.Random) -> None:
    """Ask all reports one question, and compare what they add up to."""
    answers = Answers(toggl, body)
    rows = await answers.rows()
    clients = {row.id: row.client_id for row in toggl.sandbox.company.projects.values()}
    for row in rows:
        row["client_id"] = clients.get(row["project_id"])
    totals = await answers.ask("search/time_entries/totals", with_graph=True)
    billable = sums((row for row in rows if row["billable"]), lambda row, _: row["hourly_rate_in_cents"])
    days = sums(rows, lambda _, entry: entry["start"][:10])

    grouped = await answers.rows(grouped=True)
    assert sums(grouped, lambda row, _: row["project_id"]) == sums(rows, lambda row, _: row["project_id"])
    assert sorted(entry["id"] for row in grouped for entry in row["time_entries"]) == sorted(
        row["time_entries"][0]["id"] for row in rows
    )
    cents = [sum(row["billable_amount_in_cents"] or 0 for row in some) for some in (rows, grouped)]
    assert cents == [totals["billable_amount_in_cents"]] * 2

    assert totals["seconds"] == days.total() == sum(point["seconds"] for point in totals["graph"])
    rates = {rate["hourly_rate_in_cents"]: rate["billable_seconds"] for rate in totals["rates"]}
    assert positive(rates) == billable
    by_rate: Counter[int] = Counter()
    for point in totals["graph"]:
        by_rate.update({int(rate): seconds for rate, seconds in point["by_rate"].items()})
    assert positive(by_rate) == billable

    await compare_summary(answers, rows, rng)
    await compare_week(answers, rows)
    await compare_trends(answers, rows, days)
    # By tag: what has a tag is what its filter lets through.
    tag = rng.choice([*toggl.sandbox.company.tags_of(toggl.workspace_id)]).id
    tagged = [row for row in rows if tag in (row["tag_ids"] or ())]
    if "tag_ids" not in body:
        found = await answers.ask("search/time_entries/totals", tag_ids=[tag])
        assert found["seconds"] == sums(tagged, lambda _, __: None).total()


async def compare_summary(answers: Answers, rows: list[Any], rng: random.Random) -> None:
    grouping = rng.choice(sorted(GROUPINGS))
    below = rng.choice([*sorted(TASKS.keys() - {grouping}), "time_entries"])
    groups = (await answers.ask("summary/time_entries", grouping=grouping, sub_grouping=below))["groups"]
    inner = "description" if below == "time_entries" else TASKS[below]
    found: Counter[Any] = Counter()
    billable = 0
    for group in groups:
        for sub in group["sub_groups"]:
            found[group["id"], sub["title"] if below == "time_entries" else sub["id"]] += sub["seconds"]
            billable += sum(rate["billable_seconds"] for rate in sub["rates"] or ())
    assert positive(found) == sums(rows, lambda row, _: (row[GROUPINGS[grouping]], row[inner]))
    assert billable == sums((row for row in rows if row["billable"]), lambda _, __: None).total()


async def compare_week(answers: Answers, rows: list[Any]) -> None:
    first = dt.date.fromisoformat(answers.body["start_date"])
    found, billable = Counter[Any](), Counter[Any]()
    for row in await answers.ask("weekly/time_entries"):
        for place in range(7):
            key = (row["user_id"], row["project_id"], (first + dt.timedelta(days=place)).isoformat())
            found[key] += row["seconds"][place]
            billable[key] += row["billable_seconds"][place]

    def key_of(row: Any, entry: Any) -> tuple[int, int | None, str]:
        return row["user_id"], row["project_id"], entry["start"][:10]

    week = [row for row in rows if days_between(first, row["time_entries"][0]) < 7]
    assert positive(found) == sums(week, key_of)
    assert positive(billable) == sums((row for row in week if row["billable"]), key_of)


def days_between(first: dt.date, entry: Any) -> int:
    return (dt.date.fromisoformat(entry["start"][:10]) - first).days


async def compare_trends(answers: Answers, rows: list[Any], days: Counter[Any]) -> None:
    compared = (await answers.ask("comparative", resolution="day"))["graph"]["data"]
    assert positive({point["date"]: point["total_seconds"] for point in compared}) == days
    for kind, name in GROUPINGS.items():
        graph = (await answers.ask(f"data_trends/{kind}", resolution="day"))["graph"]["data"]
        found = {(point["date"], row[name]): row["total_seconds"] for point in graph for row in point[kind]}
        assert positive(found) == sums(rows, lambda row, entry, name=name: (entry["start"][:10], row[name]))
    table = (await answers.ask("profitability/projects"))["table"]
    projects = positive({row["project_id"]: row["total_seconds"] for row in table})
    assert projects == sums(rows, lambda row, _: row["project_id"])
    if answers.body.keys() <= {"start_date", "end_date", *ROUND}:
        pairs = await answers.ask("projects/summary")
        found = {(row["user_id"], row["project_id"]): row["tracked_seconds"] for row in pairs}
        assert positive(found) == sums(rows, lambda row, _: (row["user_id"], row["project_id"]))


async def contradictions(seed: int, questions: int) -> int:
    """Ask so many random questions; fail at the first contradiction, and return how many were asked."""
    rng = random.Random(seed)
    async with world(size=SIZE, plan="premium", rounding_minutes=seed % 2 * 15) as toggl:
        for place in range(questions):
            body = question(rng, toggl)
            try:
                await compare(toggl, body, rng)
            except (AssertionError, httpx.HTTPError) as error:
                raise AssertionError(f"question {place}: {json.dumps(body)}") from error
    return questions


@pytest.mark.parametrize("seed", first_of(range(4)))
async def test_reports_do_not_contradict_each_other(seed: int) -> None:
    assert await contradictions(seed, 10) == 10


@pytest.mark.nightly
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_a_thousand_questions_find_no_contradiction(seed: int) -> None:
    assert await contradictions(seed, 100) == 100
