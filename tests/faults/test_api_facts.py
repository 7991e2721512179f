"""What is known of the API since the first version: the document of July 2026, and recorded answers."""

import datetime as dt
import inspect
import itertools
import warnings
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from support.answers import Answers
from toggl_async import ApiToken, TogglClient, operations
from toggl_async.sandbox import SMALL, Sandbox, SandboxOptions, serve
from toggl_async.scopes.workspace.billing import Rates

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]

NEW = {
    "organization.subscription.trial_eligibility": (
        "GET",
        "/api/v9/organizations/4/subscription/trial/opt-in",
    ),
    "organization.subscription.opt_in_to_trial": (
        "POST",
        "/api/v9/organizations/4/subscription/trial/opt-in",
    ),
    "organization.subscription.apply_item_discount": (
        "POST",
        "/api/v9/organizations/4/subscriptions/item/discount",
    ),
    "organization.subscription.send_premium_discount_emails": (
        "POST",
        "/api/v9/organizations/4/premium-upgrade-discount-email",
    ),
}


@pytest.mark.parametrize("name", NEW)
async def test_the_operations_of_july_2026_are_sent(name: str) -> None:
    server = Answers({"eligible": True})
    async with server.client() as toggl:
        answer = await getattr(toggl.organization(4).subscription, name.rpartition(".")[2])()
    (request,) = server.asked
    assert (request.method, request.url.path) == NEW[name]
    assert request.content == b""
    assert answer == ({"eligible": True} if request.method == "GET" else None)


@pytest.mark.parametrize(
    ("body", "found"), [(b'{"projects":3}', {"projects": 3}), (b"[1]", [1]), (b"", None)]
)
async def test_counts_of_an_import_are_free_json(body: bytes, found: object) -> None:
    server = Answers(body)
    async with server.client() as toggl:
        assert await toggl.workspace(3).import_preview_counts(data={"a": 1}) == found
    assert server.asked[0].content == b'{"a":1}'


async def test_what_is_deprecated_says_so_and_works() -> None:
    usage = next(one for one in operations() if one.name == "organization.usage")
    assert (
        usage.deprecated == "Toggl's documents of July 2026 have it no more, and name nothing in its place."
    )
    async with Answers([]).client() as toggl:
        organization = toggl.organization(4)
        with pytest.warns(DeprecationWarning, match=r"organization\.usage: .* July 2026") as told:
            assert await organization.usage() == []
        assert told[0].filename == __file__
        assert "Deprecated: " in (inspect.getdoc(organization.usage) or "")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await toggl.workspace(3).tags.list()


def test_counts_in_the_readme_and_the_docs_are_those_of_the_catalog() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        words = path.read_text("utf-8").split()
        counted = {
            int(word)
            for word, what in itertools.pairwise(words)
            if word.isdigit() and what.startswith("operations")
        }
        assert counted <= {len(operations())}, path.name


async def test_tasks_of_the_person_are_asked_for_without_a_size() -> None:
    server = Answers([{"id": 1, "name": "x", "workspace_id": 3, "project_id": 4}])
    async with server.client() as toggl:
        assert len(await toggl.me.tasks.iter().collect()) == 1
    (request,) = server.asked
    assert "per_page" not in request.url.params


def test_both_words_for_what_a_person_costs_are_taken() -> None:
    words = get_args(get_type_hints(Rates.create)["type"])
    assert {"billable_rates", "labor_costs", "labor_rates"} == set(words)


@pytest.fixture
async def sandbox(anyio_backend: object) -> object:
    async with serve(SandboxOptions(size=SMALL, plan="premium")) as running:
        yield running


@pytest.mark.slow
async def test_the_first_day_alone_means_seven(sandbox: Sandbox) -> None:
    async with TogglClient(ApiToken(sandbox.api_token), base_url=sandbox.base_url) as toggl:
        reports = toggl.workspace((await toggl.me.get()).default_workspace_id).reports
        first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)
        alone = await reports.detailed.search(start_date=first, page_size=1000)
        week = await reports.detailed.search(
            start_date=first, end_date=first + dt.timedelta(days=6), page_size=1000
        )
        assert [row.time_entries for row in alone] == [row.time_entries for row in week]
        assert (
            len({entry.start.date() for row in alone for entry in row.time_entries or [] if entry.start}) > 1
        )
    assert "seven days" in (inspect.getdoc(reports.detailed.search) or "")
    assert "left out, they do not" in " ".join((inspect.getdoc(reports.detailed.search) or "").split())
