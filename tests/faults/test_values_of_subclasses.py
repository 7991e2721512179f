"""Values whose types derive from the builtin ones, as numpy's and bson's do: sent as such, or refused.

One of them, an int, once kept the event loop busy for ever; others raised the encoder's own TypeError.
"""

import contextlib
import datetime as dt
import decimal
import enum
import fractions
import json
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import httpx
import pytest

from support.answers import Answers
from toggl_async import DecodeError, InvalidInput, Patch

pytestmark = pytest.mark.anyio

NOON = dt.datetime(2026, 3, 12, 12, tzinfo=dt.UTC)


class Int(int):
    """An int that writes itself in another way, as bson's Int64 and members of enumerations do."""

    def __repr__(self) -> str:
        return "Int()"

    __str__ = __repr__
    __format__ = object.__format__


class Float(float):
    def __repr__(self) -> str:
        return "Float()"

    __str__ = __repr__


class Str(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"


class Level(enum.IntEnum):
    FIVE = 5


class Color(enum.StrEnum):
    RED = "red"


class OldColor(str, enum.Enum):  # noqa: UP042 - that is the point
    RED = "red"


class Day(dt.date):
    def isoformat(self) -> str:
        return "some day"


class Moment(dt.datetime):
    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return "nanoseconds later"


class Dict(dict[str, object]):
    pass


class List(list[Any]):
    pass


ALIKE: list[tuple[object, object]] = [
    (Int(5), 5), (Level.FIVE, 5), (Float(1.5), 1.5), (Float(5.0), 5), (Str("red"), "red"), (Color.RED, "red"),
    (OldColor.RED, "red"), (Day(2026, 3, 12), "2026-03-12"),
    (Moment(2026, 3, 12, 12, tzinfo=dt.UTC), "2026-03-12T12:00:00Z"),
    (Dict(a=Int(1)), {"a": 1}), (Dict({Str("a"): Str("b")}), {"a": "b"}),
    (List([Int(1), Str("b")]), [1, "b"]),
    ((Int(1), Float(0.5)), [1, 0.5]), (deque([Level.FIVE]), [5]), ({Color.RED: 1}, {"red": 1}),
]  # fmt: skip
"""A value, and what is sent."""

ODD: list[object] = [
    decimal.Decimal("1.5"), fractions.Fraction(1, 2), uuid.UUID(int=5), b"red", bytearray(b"red"),
    memoryview(b"red"),
    1j, object(), int, NOON.time(), NOON - NOON, iter([1]), {1: 2}, {10**5000: 1}, 2**63, -(2**63) - 1,
    10**5000,
    Int(10**5000), float("nan"), Float("inf"), NOON.replace(tzinfo=None), Moment(2026, 3, 12),
]  # fmt: skip
"""What has no plain form, or one that Toggl has no room for."""

REMOVE = Patch(op="remove", path="/tags")

kind = pytest.mark.parametrize


def said(request: httpx.Request) -> Any:
    return json.loads(request.content)


@kind(("value", "sent"), ALIKE, ids=lambda value: type(value).__name__)
async def test_a_value_of_a_subclass_is_sent_as_the_plain_value(value: object, sent: object) -> None:
    answers = Answers({})
    async with answers.client() as toggl:
        await toggl.request("POST", "/api/v9/things", json={"deep": [{"a": value}]})
    assert said(answers.asked[0]) == {"deep": [{"a": sent}]}
    patch = Patch(op="replace", path="/description", value=value)
    assert patch.to_dict()["value"] == sent
    assert json.loads(patch.to_json())["value"] == sent
    assert type(patch.to_dict()["value"]) in {str, int, float, dict, list}


@kind("value", ODD, ids=lambda value: type(value).__name__)
async def test_what_has_no_plain_form_is_refused_with_its_name(value: object) -> None:
    answers = Answers({})
    patches = [Patch(op="replace", path="/description", value=value)]
    async with answers.client() as toggl:
        with pytest.raises(InvalidInput, match=r"deep\[0\]\.a"):
            await toggl.request("POST", "/api/v9/things", json={"deep": [{"a": value}]})
        with pytest.raises(InvalidInput, match="since"):
            await toggl.request("GET", "/api/v9/things", params={"since": value})
        with pytest.raises(InvalidInput, match="value"):
            await toggl.workspace(3).time_entries.bulk_edit([1], patches=patches)
    assert not answers.asked


async def test_every_kind_of_place_takes_values_of_subclasses() -> None:
    answers = Answers({"id": 1, "workspace_id": 3})
    async with answers.client() as toggl:
        workspace = toggl.workspace(Int(3))
        await workspace.time_entries.create(
            start=Moment(2026, 3, 12, 12, tzinfo=dt.UTC),
            duration=Level.FIVE,
            project_id=Int(5),
            description=Str("red"),
            tags=List(["red", Color.RED]),
            tag_ids=(Int(7),),
        )
        body = said(answers.asked[-1])
        wanted = {
            "start": "2026-03-12T12:00:00Z", "duration": 5, "project_id": 5, "description": "red",
            "tags": ["red", "red"], "tag_ids": [7],
        }  # fmt: skip
        assert {name: body[name] for name in wanted} == wanted
        assert answers.asked[-1].url.path == "/api/v9/workspaces/3/time_entries"
        await workspace.projects.create(name=Str("Apollo"), start_date=Day(2026, 3, 12), fixed_fee=Float(2.0))
        assert b'"fixed_fee":2,' in answers.asked[-1].content.replace(b"}", b",")
        assert said(answers.asked[-1])["start_date"] == "2026-03-12"
        await workspace.projects.get(Int(6))
        assert answers.asked[-1].url.path.endswith("/projects/6")
        patch = Patch(op="replace", path=Str("/project_id"), value=Int(5))
        with contextlib.suppress(DecodeError):
            await workspace.time_entries.bulk_edit({Int(1), Int(2)}, patches=(patch,))
        assert answers.asked[-1].url.path.endswith("/time_entries/1,2")
        assert said(answers.asked[-1]) == [{"op": "replace", "path": "/project_id", "value": 5}]
        query = {
            "a": Int(5),
            "b": Float(0.5),
            "c": Str("red"),
            "d": Level.FIVE,
            "e": Color.RED,
            "f": [Int(1), 2],
        }
        await toggl.request("GET", "/api/v9/things", params={**query, "g": Day(2026, 3, 12)})
        asked = dict(answers.asked[-1].url.params)
    assert asked == {"a": "5", "b": "0.5", "c": "red", "d": "5", "e": "red", "f": "1,2", "g": "2026-03-12"}


@kind("value", ODD, ids=lambda value: type(value).__name__)
async def test_every_kind_of_place_refuses_what_has_no_plain_form(value: Any) -> None:
    """No argument of these takes any of them, and each says so before anything is sent."""
    answers = Answers({"id": 1, "workspace_id": 3})
    async with answers.client() as toggl:
        workspace = toggl.workspace(3)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "project_id": lambda: workspace.projects.get(value),
            "name": lambda: workspace.tags.create(name=value),
            "duration": lambda: workspace.time_entries.create(start=NOON, duration=value),
            "tag_ids": lambda: workspace.time_entries.create(start=NOON, duration=5, tag_ids=[value]),
            "tags": lambda: workspace.time_entries.create(start=NOON, duration=5, tags=[value]),
            "start": lambda: workspace.time_entries.create(start=value, duration=5),
            "billable": lambda: workspace.time_entries.create(start=NOON, duration=5, billable=value),
            "rate": lambda: workspace.projects.create(name="Apollo", rate=value),
            "since": lambda: toggl.me.tags.list(since=value),
            "page": lambda: workspace.projects.list(page=value),
            "client": lambda: toggl.me.preferences.get_for_app(value),
            "time_entry_ids": lambda: workspace.time_entries.bulk_edit([value], patches=[REMOVE]),
            "patches": lambda: workspace.time_entries.bulk_edit([1], patches=[value]),
        }
        for name, call in calls.items():
            with pytest.raises(InvalidInput, match=name):
                await call()
    assert not answers.asked


class Scalar:
    """A collection by its methods alone, as numpy's arrays without dimensions are."""

    def __len__(self) -> int:
        raise TypeError("len() of unsized object")

    def __iter__(self) -> Iterator[int]:
        raise TypeError("iteration over a 0-d array")

    def __contains__(self, item: object) -> bool:
        raise TypeError("iteration over a 0-d array")


@kind(
    "ids",
    [memoryview(b"x"), b"x", bytearray(b"x"), {1: 2}, "12", NOON, 5, iter([1]), object(), Scalar()],
    ids=lambda one: type(one).__name__,
)
async def test_ids_are_a_collection_and_nothing_that_only_looks_like_one(ids: Any) -> None:
    answers = Answers([])
    day = NOON.date()
    async with answers.client() as toggl:
        workspace, organization = toggl.workspace(3), toggl.organization(4)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: workspace.reports.detailed.search(start_date=day, user_ids=ids),
            lambda: workspace.projects.list(client_ids=ids),
            lambda: workspace.time_entries.create(start=NOON, duration=5, tag_ids=ids),
            lambda: workspace.time_entries.create(start=NOON, duration=5, tags=ids),
            lambda: workspace.time_entries.bulk_edit(
                ids, patches=[Patch(op="add", path="/tags", value=["a"])]
            ),
            lambda: workspace.webhooks.create(
                description="a",
                event_filters=ids,
                url_callback="https://example.com",
                enabled=True,
                secret="b",
            ),
            lambda: organization.users.list(workspaces=ids),
            lambda: workspace.time_entries.bulk_edit([1], patches=ids),
        ]
        for call in calls:
            with pytest.raises(InvalidInput):
                await call()
    assert not answers.asked


async def test_the_values_of_a_dict_are_a_collection() -> None:
    answers = Answers({"id": 1, "workspace_id": 3})
    async with answers.client() as toggl:
        await toggl.workspace(3).time_entries.create(
            start=NOON, duration=5, tag_ids={"a": 1}.values(), tags=cast("Any", {"b": "red"}.values())
        )
    assert (said(answers.asked[0])["tag_ids"], said(answers.asked[0])["tags"]) == ([1], ["red"])


async def test_an_error_repeats_no_more_of_a_value_than_a_line_has_room_for() -> None:
    answers = Answers([])
    async with answers.client() as toggl:
        refused: Any = "x " * 50_000
        for call in (
            lambda: toggl.me.preferences.get_for_app(refused),
            lambda: toggl.workspace(3).time_entries.bulk_edit([1], patches=[Patch(op=refused, path="/a")]),
            lambda: toggl.request(refused, "/api/v9/me"),
        ):
            with pytest.raises(InvalidInput, match=r"…") as error:
                await call()
            assert len(str(error.value)) < 300
    assert not answers.asked
