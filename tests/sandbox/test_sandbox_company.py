import datetime as dt
import itertools
import time
import unicodedata
from collections import Counter
from collections.abc import Callable

import attrs
import pytest

from support.sandbox_world import NOW
from toggl_async.sandbox import DATASETS, FULL, SMALL, Company, CompanySize, SandboxOptions

SECONDS = NOW.timestamp()


@pytest.fixture(scope="module")
def full() -> Company:
    return Company(SandboxOptions(), SECONDS)


@pytest.mark.slow
def test_the_full_company_has_what_was_promised(full: Company) -> None:
    assert len(full.dataset("users")) == 12
    assert len(full.dataset("projects")) == 40
    assert len(full.dataset("workspaces")) == 2
    entries = full.dataset("time_entries")
    assert len(entries) == 26_401
    assert sum(entry["running"] for entry in entries) == 1
    first, last = min(entry["start"] for entry in entries), max(entry["start"] for entry in entries)
    assert dt.datetime.fromisoformat(last) - dt.datetime.fromisoformat(first) > dt.timedelta(days=911)
    assert sum(entry.deleted is not None for entry in full.entries.values()) == 420


@pytest.mark.nightly
def test_it_is_made_in_less_than_two_seconds(record_property: Callable[[str, object], None]) -> None:
    began = time.process_time()
    Company(SandboxOptions(), SECONDS)
    took = time.process_time() - began
    assert took < 2
    record_property("seconds of CPU", round(took, 2))


def test_it_has_one_of_every_oddity(full: Company) -> None:
    entries = list(full.entries.values())
    visible = [entry for entry in entries if entry.deleted is None]
    assert min(entry.id for entry in entries) > 2**31
    assert min(task.id for task in full.tasks.values()) > 2**31
    assert any(not entry.tag_ids and entry.bare for entry in visible)
    assert any(not entry.tag_ids and not entry.bare for entry in visible)
    assert any(entry.project_id is None for entry in visible)
    assert any(entry.task_id is not None for entry in visible)
    assert any(entry.description == "" for entry in visible)
    assert {entry.billable for entry in visible} == {True, False}
    scripts = {
        unicodedata.name(letter).split()[0]
        for entry in visible
        for letter in entry.description
        if letter.isalpha()
    }
    assert {
        "LATIN",
        "CYRILLIC",
        "GREEK",
        "HEBREW",
        "ARABIC",
        "HANGUL",
        "THAI",
        "DEVANAGARI",
        "CJK",
    } <= scripts
    assert {project.active for project in full.projects.values()} == {True, False}
    assert {project.is_private for project in full.projects.values()} == {True, False}
    assert {client.archived for client in full.clients.values()} == {True, False}
    assert len({person.timezone for person in full.people.values()}) > 5


def test_some_time_entries_overlap(full: Company) -> None:
    mine = [entry for entry in reversed(full.personal(full.owner.id)) if entry.reported]
    overlaps = sum((one.stop or 0) > other.start for one, other in itertools.pairwise(mine))
    assert 10 < overlaps < len(mine) / 3


def test_one_workspace_is_big_and_one_small(full: Company) -> None:
    big, small = sorted(full.workspaces)
    assert len(full.reported(big)) > 15 * len(full.reported(small)) > 15 * 300


def test_nothing_happens_in_the_future(full: Company) -> None:
    assert all(entry.changed < SECONDS * 1_000_000 for entry in full.entries.values())
    assert all((entry.stop or 0) < SECONDS for entry in full.entries.values())


def test_the_owner_has_recent_and_deleted_entries(full: Company) -> None:
    recent = [entry for entry in full.personal(full.owner.id) if entry.start > SECONDS - 60 * 86_400]
    assert sum(entry.deleted is not None for entry in recent) >= 3
    assert full.running(full.owner.id) in recent


@pytest.mark.parametrize("name", DATASETS)
def test_ids_are_unique(full: Company, name: str) -> None:
    rows = full.dataset(name)
    ids = [row["group_id" if name == "groups" else "id"] for row in rows]
    assert ids
    assert len(ids) == len(set(ids))


def test_references_lead_somewhere_in_the_same_workspace(full: Company) -> None:
    for entry in full.entries.values():
        assert entry.user_id in full.workspaces[entry.workspace_id].members
        assert entry.project_id is None or full.projects[entry.project_id].workspace_id == entry.workspace_id
        assert entry.task_id is None or full.tasks[entry.task_id].project_id == entry.project_id
        assert all(full.tags[tag_id].workspace_id == entry.workspace_id for tag_id in entry.tag_ids)


def test_one_seed_makes_one_company_but_other_secrets() -> None:
    options = SandboxOptions(size=SMALL)
    one, other = Company(options, SECONDS), Company(options, SECONDS)
    assert one.dataset("time_entries") == other.dataset("time_entries")
    assert one.dataset("users") == other.dataset("users")
    assert one.owner.api_token != other.owner.api_token
    assert one.owner.password != other.owner.password
    different = Company(attrs.evolve(options, seed=7), SECONDS)
    assert one.dataset("time_entries") != different.dataset("time_entries")


def test_an_unknown_dataset_is_an_error(full: Company) -> None:
    with pytest.raises(KeyError):
        full.dataset("invoices")


def test_the_free_plan_shows_no_tasks() -> None:
    company = Company(SandboxOptions(size=SMALL, plan="free"), SECONDS)
    assert company.dataset("tasks") == []
    assert company.tasks


@pytest.mark.parametrize(
    "size",
    [
        CompanySize(people=1, projects=2, clients=2, tags=2, days=7, time_entries=0, deleted=0),
        CompanySize(people=1, projects=2, clients=2, tags=2, days=7, time_entries=5, deleted=1),
        CompanySize(people=26, projects=45, clients=30, tags=50, days=30, time_entries=900, deleted=30),
    ],
)
def test_companies_of_any_size_can_be_made(size: CompanySize) -> None:
    company = Company(SandboxOptions(size=size), SECONDS)
    assert (
        sum(len(company.reported(workspace_id)) for workspace_id in company.workspaces) == size.time_entries
    )
    assert sum(entry.deleted is not None for entry in company.entries.values()) == size.deleted
    assert len(company.people) == size.people
    names = Counter((project.workspace_id, project.name) for project in company.projects.values())
    assert set(names.values()) == {1}


def test_no_secret_shows_in_a_repr(full: Company) -> None:
    for person in full.people.values():
        assert person.api_token not in repr(person)
        assert person.password not in repr(person)
    for workspace in full.workspaces.values():
        assert workspace.api_token not in repr(workspace)


def test_full_and_small_are_what_they_are_called() -> None:
    assert FULL.time_entries > 100 * SMALL.time_entries
