"""The smallest update: what differs, and nothing else."""

import datetime as dt
import json

import attrs
import httpx
import pytest
from msgspec import UNSET

from toggl_async import ApiToken, InvalidInput, TogglClient, changes
from toggl_async.records import Project, Tag, TimeEntry

BEFORE = Project(id=5, workspace_id=3, name="Apollo", client_id=9, active=True)
NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


def test_only_what_differs_is_listed_and_none_means_null() -> None:
    after = attrs.evolve(BEFORE, name="Artemis", client_id=None)
    assert changes(BEFORE, after) == {"name": "Artemis", "client_id": None}


def test_nothing_differs() -> None:
    assert changes(BEFORE, attrs.evolve(BEFORE)) == {}


def test_lists_are_whole() -> None:
    before = TimeEntry(id=1, workspace_id=3, tags=["a", "b"])
    assert changes(before, attrs.evolve(before, tags=["a", "b", "c"])) == {"tags": ["a", "b", "c"]}
    assert changes(before, attrs.evolve(before, tags=None)) == {"tags": None}


def test_the_same_moment_in_another_zone_is_no_change() -> None:
    before = TimeEntry(id=1, workspace_id=3, start=NOON)
    elsewhere = NOON.astimezone(dt.timezone(dt.timedelta(hours=3)))
    assert changes(before, attrs.evolve(before, start=elsewhere)) == {}


def test_mappings_name_what_they_change() -> None:
    before = {"name": "Apollo", "rate": 10, "active": True, "rounding": 0}
    after = {"rate": None, "active": True, "color": "#0b83d9", "name": UNSET, "rounding": False}
    assert changes(before, after) == {"rate": None, "color": "#0b83d9", "rounding": False}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (BEFORE, Tag(id=5, name="Apollo"), "Project and Tag cannot be compared"),
        (BEFORE, {"name": "Apollo"}, "Project and dict cannot be compared"),
        (5, 6, "int is neither a record nor a mapping"),
    ],
)
def test_what_cannot_be_compared_is_refused(before: Project, after: Project, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        changes(before, after)


@pytest.mark.anyio
async def test_an_update_sends_what_changed() -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"id": 5})

    after = attrs.evolve(BEFORE, name="Artemis", client_id=None)
    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(answer)) as toggl:
        await toggl.workspace(3).projects.update(5, **changes(BEFORE, after))
    assert sent == [{"name": "Artemis", "client_id": None}]
