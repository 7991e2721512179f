"""How records leave the library and come back: builtins, JSON, keys of a dict, pydantic and FastAPI."""

import datetime as dt
import json
from array import array
from collections import UserDict
from typing import Annotated, Any, Final, Literal

import attrs
import httpx
import msgspec
import pytest
from fastapi import Body, FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from support.codec_records import Node
from support.codec_values import json_values, records, text
from toggl_async import records as front
from toggl_async._operations.operation import Plan
from toggl_async._operations.record import Record
from toggl_async.codec import Codec
from toggl_async.codec.strict import fields_of, is_record
from toggl_async.errors import InvalidInput
from toggl_async.records import Me, Patch, ProjectGroup, TimeEntry

RECORDS: Final = [found for name in front.__all__ if is_record(found := getattr(front, name))]
CODEC: Final = Codec(keep_unknown=True)
FEW: Final = settings(
    deadline=None,
    max_examples=3,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
PLAINTEXT: Final = "0123456789abcdef0123456789abcdef"
START: Final = dt.datetime(2026, 3, 12, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))

pytestmark = pytest.mark.filterwarnings("ignore::toggl_async.codec.DriftWarning")

every_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)


def builtins_alone(value: object) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and builtins_alone(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(builtins_alone, value))
    return value is None or type(value) in {bool, int, float, str}


def strangers(record: Any) -> Any:
    """Draw fields that a record doesn't know."""
    known = {field.wire for field in fields_of(record)}
    return st.dictionaries(text.filter(lambda name: name not in known), json_values, min_size=1, max_size=2)


# Builtins and JSON


@every_record
@pytest.mark.sampled(24)
def test_each_record_comes_back_from_builtins_and_from_json(record: Any) -> None:
    @FEW
    @given(one=records(record), unknown=strangers(record))
    def check(one: Any, unknown: dict[str, Any]) -> None:
        plain = one.to_dict()
        assert builtins_alone(plain)
        sent = {field.wire for field in fields_of(record) if getattr(one, field.name) is not msgspec.UNSET}
        assert plain.keys() == sent
        assert CODEC.decode(record, json.dumps(plain).encode(), operation="x") == one
        assert json.loads(one.to_json()) == plain

        if not sent:
            return  # Nothing of it is left, by which an object could be told for such a record.
        body = json.dumps({**plain, **unknown}).encode()
        kept = CODEC.decode(record, body, operation="x")
        assert kept == one
        assert kept.to_dict() == {**plain, **unknown} == json.loads(kept.to_json())

    check()


def test_the_names_are_toggls_own_and_times_have_their_offset() -> None:
    entry = TimeEntry(id=5, workspace_id=3, start=START, tags=["a"])
    plain = entry.to_dict()
    assert plain["start"] == "2026-03-12T09:30:00+01:00"
    assert (plain["stop"], plain["tags"]) == (None, ["a"])
    assert attrs.evolve(entry, start=START.astimezone(dt.UTC)).to_dict()["start"] == "2026-03-12T08:30:00Z"
    assert Me(id=5, default_workspace_id=3, two_factor_enabled=True).to_dict()["2fa_enabled"] is True


def test_what_could_not_be_read_leaves_as_it_came() -> None:
    body = b'{"id": 5, "workspace_id": 3, "project_id": {"odd": [1]}, "new": 1e999}'
    with pytest.warns(match="project_id"):
        entry: TimeEntry = CODEC.decode(TimeEntry, body, operation="x")
    assert entry.to_dict()["project_id"] == {"odd": [1]}
    assert entry.to_dict()["new"] == "1e999"


def test_what_leaves_shares_nothing_with_the_record() -> None:
    entry: TimeEntry = CODEC.decode(
        TimeEntry, b'{"id": 5, "workspace_id": 3, "tags": [], "new": {"a": []}}', operation="x"
    )
    plain = entry.to_dict()
    plain["tags"].append("b")
    plain["new"]["a"].append("b")
    assert (entry.tags, entry.unknown) == ([], {"new": {"a": []}})


def test_json_has_half_characters_escaped_and_numbers_of_any_size() -> None:
    entry = TimeEntry(id=2**70, workspace_id=3, description="Łódź \ud83d")
    content = entry.to_json()
    assert "Łódź \\ud83d".encode() in content
    assert json.loads(content) == entry.to_dict()


def test_a_word_of_an_enumeration_is_its_text() -> None:
    patch = Patch(op="replace", path="/plan", value=[Plan.STARTER])
    assert patch.to_dict()["value"] == [Plan.STARTER.value]
    assert type(patch.to_dict()["value"][0]) is type(Plan.STARTER.value)


def test_secrets_leave_and_are_not_shown() -> None:
    me = Me(id=5, default_workspace_id=3, api_token=PLAINTEXT)
    assert me.to_dict()["api_token"] == PLAINTEXT
    assert PLAINTEXT not in repr(me)


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (START.replace(tzinfo=None), r"Patch\.value: .* needs a time zone"),
        (float("nan"), r"Patch\.value: JSON cannot represent nan"),
        ({"a": [float("-inf")]}, r"Patch\.value\.a\[0\]: JSON cannot represent -inf"),
        ({1: 2}, r"Patch\.value: keys must be str in JSON, not 1"),
        (b"x", r"Patch\.value: JSON cannot represent a value of type bytes"),
        (object(), r"Patch\.value: JSON cannot represent a value of type object"),
        (LOOP, r"Patch: a field is nested too deeply, or contains itself"),
    ],
    ids=["naive", "nan", "infinite", "key", "bytes", "object", "loop"],
)
def test_what_json_has_nothing_for_is_refused_by_its_field(value: Any, said: str) -> None:
    patch = Patch(op="replace", path="/start", value=value)
    with pytest.raises(InvalidInput, match=f"^{said}"):
        patch.to_dict()
    with pytest.raises(InvalidInput, match=f"^{said}"):
        patch.to_json()


# Keys


@every_record
@pytest.mark.sampled(24)
def test_each_record_can_be_hashed_and_equal_ones_alike(record: Any) -> None:
    @FEW
    @given(one=records(record))
    def check(one: Any) -> None:
        again = CODEC.decode(record, one.to_json(), operation="x")
        assert (again, hash(again)) == (one, hash(one))
        assert {one: "it"}[again] == "it"

    check()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2, {"a": [True]}]], [1.0, [2, {"a": [1]}]]),
        ((1, [2]), (1, [2])),
        ({1, 2}, frozenset({2, 1})),
        (UserDict(a=[1]), UserDict(a=[1])),
        (bytearray(b"x"), b"x"),
        (array("i", [1]), array("i", [1])),
    ],
    ids=str,
)
def test_equal_values_of_any_kind_hash_alike(one: Any, other: Any) -> None:
    patches = [Patch(op="replace", path="/tags", value=value) for value in (one, other)]
    assert patches[0] == patches[1]
    assert len(set(patches)) == 1


def test_different_records_hash_apart() -> None:
    found = {
        TimeEntry(id=5, workspace_id=3),
        TimeEntry(id=5, workspace_id=3, tags=["a"]),
        TimeEntry(id=5, workspace_id=3, tags=["b"]),
        Me(id=5, default_workspace_id=3),
    }
    assert len({hash(one) for one in found}) == 4


# pydantic


@every_record
@pytest.mark.sampled(24)
def test_pydantic_takes_and_gives_each_record(record: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(record)
    names = [field.wire for field in fields_of(record)]
    required = [field.wire for field in fields_of(record) if field.required]
    modes: tuple[Literal["validation", "serialization"], ...] = ("validation", "serialization")
    for mode in modes:
        schema = adapter.json_schema(mode=mode)
        described = schema["$defs"][record.__name__] if "$ref" in schema else schema
        assert list(described["properties"]) == names
        assert described["title"] == record.__name__
        assert set(required) <= set(described.get("required", []))

    @FEW
    @given(one=records(record), unknown=strangers(record))
    def check(one: Any, unknown: dict[str, Any]) -> None:
        plain = one.to_dict()
        assert adapter.validate_python(one) is one
        assert adapter.validate_python(plain) == one
        assert adapter.validate_json(one.to_json()) == one
        assert json.loads(adapter.dump_json(one)) == plain
        assert adapter.dump_python(one, mode="json") == plain
        kept = adapter.validate_python({**plain, **unknown})
        assert (kept, kept.unknown) == (one, unknown)
        assert adapter.dump_python(kept, mode="json") == {**plain, **unknown}

    check()


class Week(BaseModel):
    best: TimeEntry
    entries: list[TimeEntry] = []
    owner: Me | None = None


def test_a_model_holds_records() -> None:
    entry = TimeEntry(id=5, workspace_id=3, start=START)
    week = Week(best=entry, entries=[entry], owner=Me(id=1, default_workspace_id=3))
    assert week.best is entry
    assert Week.model_validate_json(week.model_dump_json()) == week
    assert week.model_dump(exclude_none=True, include={"best"}) == {
        "best": {"id": 5, "workspace_id": 3, "start": START}
    }


def test_a_record_that_holds_itself_has_a_schema() -> None:
    node = Node(id=1, nodes=[Node(id=2, nodes=[Node(id=3)])])
    adapter = TypeAdapter(Node)
    assert adapter.validate_json(adapter.dump_json(node)) == node


@pytest.mark.parametrize(
    ("given", "where", "kind"),
    [
        ({"id": "x", "workspace_id": 3}, ("id",), "int_parsing"),
        ({"id": 5}, ("workspace_id",), "missing"),
        ({"id": 5, "workspace_id": 3, "start": "2026-03-12T09:30:00"}, ("start",), "timezone_aware"),
        ({"id": 5, "workspace_id": 3, "shared_with": [{"user_id": []}]}, ("shared_with", 0, "user_id"), None),
    ],
)
def test_pydantic_says_which_field_is_wrong(given: Any, where: tuple[object, ...], kind: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(TimeEntry).validate_python(given)
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert kind in {None, error["type"]}


def test_a_record_of_ones_own_does_as_well() -> None:
    @attrs.frozen(kw_only=True)
    class Mood(Record):
        word: str
        groups: list[ProjectGroup] = attrs.field(factory=list)

    mood = Mood(word="fine", groups=[ProjectGroup(id=1)])
    adapter = TypeAdapter(Mood)
    assert adapter.validate_json(mood.to_json()) == mood
    assert len({mood, adapter.validate_python({"word": "fine", "groups": [{"id": 1}]})}) == 1


@pytest.mark.anyio
async def test_fastapi_takes_and_returns_records() -> None:
    app = FastAPI()

    @app.post("/moved", response_model_exclude_none=True)
    async def moved(entry: Annotated[TimeEntry, Body()]) -> TimeEntry:
        return attrs.evolve(entry, project_id=7)

    start = "2026-03-12T08:30:00Z"
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/moved", json={"id": 5, "workspace_id": 3, "start": start})
        assert answer.json() == {
            "id": 5, "workspace_id": 3, "project_id": 7, "start": start,
        }  # fmt: skip
        refused = await client.post("/moved", json={"id": 5})
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", "workspace_id"]
        described = (await client.get("/openapi.json")).json()["components"]["schemas"]
        assert any(name.startswith("TimeEntry") for name in described)
