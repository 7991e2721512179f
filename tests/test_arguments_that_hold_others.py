"""Records, lists, mappings and unions among the arguments of all operations: none is sent unless it fits."""

import datetime as dt
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from support.samples import MOMENT, arguments_of, deprecation, reach, sample
from toggl_async import ApiToken, ClientOptions, InvalidInput, Pace, TogglClient, TogglError
from toggl_async._client.catalog import operation, operations
from toggl_async._operations.files import FileContent
from toggl_async._operations.record import Record
from toggl_async.records import (
    InvoiceItemInput,
    Patch,
    Preferences,
    PreferencesInput,
    ProjectRecurrenceInput,
    SummaryAudit,
    SummaryAuditFilter,
    TimelineEventInput,
    WebhookEventFilterInput,
)

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

NAIVE = MOMENT.replace(tzinfo=None)
VALUES: list[Any] = [
    None, UNSET, "s3cret", "", 5, -1, 2.0, 1.5, True, False, math.nan, math.inf, NAIVE, MOMENT, MOMENT.date(),
    dt.timedelta(5), b"bytes", [], ["s3cret"], [5], [None], [True], {5, 6}, {}, {"a": 1}, {1: "a"},
    {"a": [5]}, object(), Patch(op="add", path="/name", value=1), Patch(op="zap", path="/name"),  # type: ignore[arg-type]
    Patch(op="add", path=5), iter([5]),  # type: ignore[arg-type]
]  # fmt: skip
"""Values that somewhere fit, and mostly don't."""

Put = Callable[[Any], Any]


def scopes(toggl: TogglClient) -> Mapping[str, Any]:
    return {
        "workspace": toggl.workspace(7),
        "organization": toggl.organization(8),
        "shared_report": toggl.shared_report("t0ken"),
    }


def called(toggl: TogglClient, name: str) -> Callable[..., Any]:
    first = name.partition(".")[0]
    return reach(scopes(toggl).get(first) or getattr(toggl, first), name)


def hints_of(found: Callable[..., Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(found)
    return {name: hints[name] for name in inspect.signature(found).parameters}


def bare(hint: Any) -> Any:
    """Leave out that it can be left out, or be null."""
    if typing.get_origin(hint) not in {typing.Union, types.UnionType}:
        return hint
    members = [one for one in typing.get_args(hint) if one not in {UnsetType, type(None)}]
    return members[0] if len(members) == 1 else hint


def places(hint: Any, value: Any, path: str) -> Iterator[tuple[str, Any, Put]]:
    """List the places in a value: where, of which type, and what puts another value there."""
    yield path, hint, lambda new: new
    hint = bare(hint)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and not inner and issubclass(hint, Record):
        for name, form in typing.get_type_hints(hint).items():
            if name in attrs.fields_dict(typing.cast("Any", hint)):
                for where, of, put in places(form, getattr(value, name), f"{path}.{name}"):
                    yield where, of, functools.partial(_evolved, value, name, put)
    elif origin in {Collection, Sequence}:
        for where, of, put in places(inner[0], value[0], f"{path}[0]"):
            yield where, of, functools.partial(_listed, put)
    elif origin is Mapping:
        for where, of, put in places(inner[1], value["key"], f"{path}.key"):
            yield where, of, functools.partial(_keyed, put)


def _evolved(record: Any, name: str, put: Put, new: Any) -> Any:
    return attrs.evolve(record, **{name: put(new)})


def _listed(put: Put, new: Any) -> list[Any]:
    return [put(new)]


def _keyed(put: Put, new: Any) -> dict[str, Any]:
    return {"key": put(new)}


def fits(hint: Any, value: Any) -> bool:
    """Say whether a value is of a type, in words of the test's own."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(fits(one, value) for one in inner)
    if origin is Literal:
        return any(type(one) is type(value) and one == value for one in inner)
    if origin in {Collection, Sequence}:
        return isinstance(value, list | set) and all(fits(inner[0], one) for one in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(
            isinstance(key, str) and fits(inner[1], one) for key, one in value.items()
        )
    if isinstance(hint, type) and issubclass(hint, Record):
        forms = typing.get_type_hints(hint)
        names = attrs.fields_dict(typing.cast("Any", hint))
        return isinstance(value, hint) and all(fits(forms[name], getattr(value, name)) for name in names)
    number: float = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    simple: dict[Any, bool] = {
        Any: True,
        bool: isinstance(value, bool),
        dt.date: type(value) is dt.date,
        dt.datetime: type(value) is dt.datetime and value.tzinfo is not None,
        float: math.isfinite(number),
        int: math.isfinite(number) and number == int(number),
        str: isinstance(value, str),
        types.NoneType: value is None,
        UnsetType: value is UNSET,
    }
    return simple[hint]


def holds_others(hint: Any) -> bool:
    """Whether a type is to be looked into; files and free JSON are looked at where they are written."""
    hint = bare(hint)
    if set(typing.get_args(FileContent)) <= set(typing.get_args(hint)) or hint is Any:
        return False
    if {bool, Literal["both"]} <= set(typing.get_args(hint)):
        return True
    if typing.get_origin(hint) in {Collection, Sequence}:
        item = bare(typing.get_args(hint)[0])
        return item not in {int, str}
    origin = typing.get_origin(hint)
    return origin is Mapping or (isinstance(hint, type) and issubclass(hint, Record))


@attrs.frozen
class Place:
    """A place in an argument of an operation, its type, and what puts a value there."""

    operation: str
    argument: str
    where: str
    form: Any
    put: Put


def found_places() -> Mapping[tuple[str, str], Sequence[Place]]:
    """List the places by operation and argument."""
    toggl = TogglClient(ApiToken("x" * 32), transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    return {
        (one.name, name): [
            Place(one.name, name, where, form, put)
            for where, form, put in places(hint, sample(hint), name)
            if bare(form) is not Any
        ]
        for one in operations()
        for name, hint in hints_of(called(toggl, one.name)).items()
        if holds_others(hint)
    }


PLACES = found_places()


def test_what_is_meant_is_found() -> None:
    assert len(PLACES) == 42
    assert sum(map(len, PLACES.values())) > 600
    assert {"event_filters", "event_filters[0]", "event_filters[0].entity"} <= {
        one.where for one in PLACES["workspace.webhooks.create", "event_filters"]
    }
    assert [one.where for one in PLACES["workspace.projects.list", "active"]] == ["active"]


@settings(max_examples=300)
@given(
    place=st.sampled_from(sorted(PLACES)).flatmap(lambda key: st.sampled_from(PLACES[key])),
    value=st.sampled_from(VALUES),
)
async def test_what_does_not_fit_is_refused_by_its_place_and_the_rest_is_sent(
    place: Place, value: Any
) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(404)

    options = ClientOptions(pace=Pace(interval=0))
    transport = httpx.MockTransport(answer)
    async with TogglClient(ApiToken("x" * 32), transport=transport, options=options) as toggl:
        found = called(toggl, place.operation)
        arguments = arguments_of(found, required_only=True) | {place.argument: place.put(value)}
        with deprecation(operation(place.operation)), pytest.raises(TogglError) as caught:
            await found(**arguments)
    refused = isinstance(caught.value, InvalidInput)
    assert refused is not bool(sent)
    if place.where == place.argument and value is UNSET:  # left out
        return
    if not fits(place.form, value):
        assert refused
        assert str(caught.value).startswith(
            place.where.partition("[")[0] if "patches" in place.where else place.where
        )
        assert "s3cret" not in str(caught.value) or "Literal" in str(place.form)  # it might be secret
    elif value not in ([], ""):  # which a query, a bulk edit and so on have no room for
        assert not refused


# What a checker would refuse.
FILTER: Any = WebhookEventFilterInput
PREFERENCES: Any = PreferencesInput
TIMELINE_EVENT: Any = TimelineEventInput
ITEM: Any = InvoiceItemInput
AUDIT: Any = SummaryAuditFilter


@pytest.mark.parametrize(
    ("name", "odd", "message"),
    [
        (
            "workspace.webhooks.create",
            {"event_filters": {"entity": "tag", "action": "created"}},
            "event_filters: pass a list, each item WebhookEventFilterInput(…), not a value of type dict",
        ),
        (
            "workspace.webhooks.create",
            {"event_filters": [{"entity": "tag", "action": "created"}]},
            "event_filters[0]: pass WebhookEventFilterInput(…), not a value of type dict",
        ),
        (
            "workspace.webhooks.create",
            {"event_filters": [FILTER(entity="tag", action="*"), FILTER(entity=["tag"], action="created")]},
            "event_filters[1].entity: pass a str, not a value of type list",
        ),
        (
            "workspace.projects.create",
            {"name": "x", "recurring_parameters": [ProjectRecurrenceInput()]},
            "recurring_parameters: pass ProjectRecurrenceInput(…), not a value of type list",
        ),
        (
            "workspace.projects.list",
            {"active": "yes"},
            "active: pass a bool or 'both', not a value of type str",
        ),
        (
            "workspace.projects.list",
            {"statuses": ["active", "planned"]},
            "statuses[1]: pass 'upcoming' or 'active' or 'ended' or 'archived' or 'deleted', not 'planned'",
        ),
        ("workspace.reports.saved.create", {"params": {1: 2}}, "params: names must be str, not 1"),
        (
            "workspace.reports.saved.create",
            {"params": {"x": [math.nan]}},
            "params.x[0]: the number nan cannot",
        ),
        (
            "workspace.reports.saved.create",
            {"params": {"x": NAIVE}},
            "params.x: the datetime 2026-03-04 05:06",
        ),
        ("workspace.track_reminders.create", {"frequency": True}, "frequency: pass 1 or 7, not True"),
        (
            "me.preferences.update",
            {"preferences": Preferences()},
            "preferences: pass PreferencesInput(…), not a value of type Preferences",
        ),
        (
            "me.preferences.update",
            {"preferences": PREFERENCES(beginning_of_week="1")},
            "preferences.beginning_of_week: pass an int, not a value of type str",
        ),
        (
            "me.timeline.upload",
            {"events": [TIMELINE_EVENT(start_time=None, end_time=5)]},
            "events[0].start_time: pass an int, not None",
        ),
        (
            "me.timeline.upload",
            {"events": [TIMELINE_EVENT(start_time=UNSET, end_time=5)]},
            "events[0].start_time: pass an int, not UNSET",
        ),
        (
            "workspace.invoices.create",
            {"items": [ITEM(quantity=math.inf)]},
            "items[0].quantity: pass a finite number, not inf",
        ),
        (
            "workspace.reports.summary.search",
            {"audit": SummaryAudit(group_filter=AUDIT(currency=5))},
            "audit.group_filter.currency: pass a str, not a value of type int",
        ),
        (
            "workspace.time_entries.bulk_edit",
            {"patches": [Patch(op="add", path=5)]},  # type: ignore[arg-type]
            "patches[0].path: pass a str, not a value of type int",
        ),
    ],
)
async def test_an_error_names_the_place_what_came_and_what_is_expected(
    name: str, odd: dict[str, Any], message: str
) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise AssertionError

    async with TogglClient(ApiToken("x" * 32), transport=httpx.MockTransport(answer)) as toggl:
        found = called(toggl, name)
        with pytest.raises(InvalidInput) as caught:
            await found(**arguments_of(found, required_only=True) | odd)
    assert str(caught.value).startswith(message)
