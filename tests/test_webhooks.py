"""Deliveries: verified, read, answered; and the receiver of the documentation over a real socket."""

import datetime as dt
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from toggl_async import (
    DecodeError,
    InvalidInput,
    InvalidSignature,
    MalformedDelivery,
    MisdirectedDelivery,
    StaleDelivery,
    WebhookError,
    webhooks,
)
from toggl_async.records import TimeEntry
from toggl_async.webhooks import envelope

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "webhooks.md"

# The sample of https://engineering.toggl.com/docs/webhooks_start/validating_received_events, whose
# signature Toggl gives with it.
SECRET = "PGuRrhCFajIyEvFlreKL"
PING = (
    b'{"event_id":0,"created_at":"2022-06-25T03:58:10.207820267Z","creator_id":6,'
    b'"metadata":{"request_type":"POST","event_user_id":6},"payload":"ping","subscription_id":6,'
    b'"timestamp":"2022-06-25T03:58:10.207820267Z","url_callback":"https://callback-url.com"}'
)
SIGNATURE = "sha256=bf829606cda0ca6923defb5ca70a43135adc7e8887486a201a19cb50ca6006b1"
SENT = dt.datetime(2022, 6, 25, 3, 58, 10, 207820, tzinfo=dt.UTC)
ADDRESS = "https://callback-url.com"

EVENT: dict[str, Any] = {
    "event_id": 11426779,
    "created_at": "2026-05-20T12:00:00.207820267Z",
    "creator_id": 6,
    "metadata": {
        "path": "/api/v9/workspaces/3/time_entries",
        "model": "time_entry",
        "action": "created",
        "request_type": "POST",
        "workspace_id": "3",
        "event_user_id": "6",
        "project_id": "5",
        "task_id": None,
    },
    "payload": {"id": 3733245780, "workspace_id": 3, "duration": -1, "description": "Reading"},
    "subscription_id": 9,
    "timestamp": "2026-05-20T12:00:01Z",
    "url_callback": ADDRESS,
}


def event(**changed: Any) -> bytes:
    fields = {**EVENT, **changed}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def test_the_signature_of_toggls_own_sample_is_right() -> None:
    assert webhooks.sign(PING, SECRET) == SIGNATURE
    webhooks.verify(SIGNATURE, PING, SECRET)
    webhooks.verify(f" {SIGNATURE.upper().replace('SHA', 'sha')} ", PING, SECRET)


@pytest.mark.parametrize(
    ("signature", "body", "secret", "message"),
    [
        (None, PING, SECRET, "has no header X-Webhook-Signature-256"),
        ("", PING, SECRET, "is not a signature"),
        (SIGNATURE.removeprefix("sha256="), PING, SECRET, "is not a signature"),
        (SIGNATURE[:-1] + "é", PING, SECRET, "is not a signature"),
        (SIGNATURE.replace("sha256", "sha1"), PING, SECRET, "is not a signature"),
        (SIGNATURE[:-1] + "2", PING, SECRET, "was not signed with the secret"),
        (SIGNATURE, PING + b" ", SECRET, "was not signed with the secret"),
        (SIGNATURE, PING, SECRET + "x", "was not signed with the secret"),
    ],
)
def test_other_signatures_are_refused_without_showing_the_right_one(
    signature: str | None, body: bytes, secret: str, message: str
) -> None:
    with pytest.raises(InvalidSignature, match=message) as caught:
        webhooks.verify(signature, body, secret)
    assert SIGNATURE.removeprefix("sha256=") not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_what_could_not_be_verified_is_refused() -> None:
    with pytest.raises(InvalidInput, match="without a secret"):
        webhooks.verify(SIGNATURE, PING, "")
    with pytest.raises(InvalidInput, match="covers the raw body"):
        webhooks.verify(SIGNATURE, PING.decode(), SECRET)  # type: ignore[arg-type]


def test_a_ping_is_read() -> None:
    ping = webhooks.receive(SIGNATURE, PING, SECRET, url_callback=ADDRESS, now=SENT)
    assert isinstance(ping, webhooks.Ping)
    assert (ping.event_id, ping.subscription_id, ping.creator_id) == (0, 6, 6)
    assert ping.timestamp == ping.created_at == SENT
    assert (ping.metadata.request_type, ping.metadata.event_user_id) == ("POST", 6)
    assert (ping.metadata.model, ping.metadata.workspace_id) == (None, None)
    assert webhooks.answer(ping) == {}


def test_a_ping_that_asks_is_answered_with_its_code() -> None:
    ping = webhooks.parse(event(payload="ping", event_id=0, validation_code="c-1"))
    assert webhooks.answer(ping) == {"validation_code": "c-1"}
    assert "c-1" not in repr(ping)


def test_an_event_is_read() -> None:
    found = webhooks.parse(event())
    assert isinstance(found, webhooks.Event)
    assert found.metadata.model == "time_entry"
    assert found.metadata.action == "created"
    assert found.metadata.path == "/api/v9/workspaces/3/time_entries"
    assert found.metadata.workspace_id == 3
    assert found.metadata.values["workspace_id"] == "3"
    assert [found.metadata.id_of(name) for name in ("project_id", "task_id", "model")] == [5, None, None]
    assert found.payload == EVENT["payload"]
    entry = found.payload_as(TimeEntry)
    assert (entry.id, entry.duration, entry.description) == (3733245780, -1, "Reading")
    assert webhooks.answer(found) == {}


def test_a_payload_that_is_no_such_record_is_said_as_such() -> None:
    found = webhooks.parse(event(payload=["none"]))
    assert isinstance(found, webhooks.Event)
    with pytest.raises(DecodeError, match=r"^webhook time_entry: "):
        found.payload_as(TimeEntry)


def test_ids_may_come_as_text_and_much_may_be_missing() -> None:
    found = webhooks.parse(
        event(event_id="7", creator_id=None, created_at=..., metadata=None, url_callback=..., payload=None)
    )
    assert isinstance(found, webhooks.Event)
    assert (found.event_id, found.creator_id, found.created_at) == (7, None, None)
    assert (found.url_callback, found.payload, dict(found.metadata.values)) == ("", None, {})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"event_id": 7', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"[" * 5000 + b"]" * 5000, "not a JSON object"),
    ],
)
def test_what_is_no_delivery_is_said_as_such(body: bytes, message: str) -> None:
    with pytest.raises(MalformedDelivery, match=message) as caught:
        webhooks.receive(webhooks.sign(body, SECRET), body, SECRET)
    assert isinstance(caught.value, WebhookError)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("timestamp", "2026-05-20T12:00:01", dt.datetime(2026, 5, 20, 12, 0, 1, tzinfo=dt.UTC)),
        ("created_at", "2026-05-20", dt.datetime(2026, 5, 20, tzinfo=dt.UTC)),
        ("event_id", "7", 7),
        ("event_id", 7.0, 7),
        ("subscription_id", 2**70, 2**70),
        ("validation_code", None, ...),
        ("payload", None, None),
    ],
)
def test_what_is_harmless_is_converted(name: str, value: object, read: object) -> None:
    found = webhooks.parse(event(**{name: value}))
    assert getattr(found, name, ...) == read
    assert found.unknown.get(name) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(("timestamp", "created_at"), ("yesterday", 1, [], {}, True)),
        *itertools.product(("event_id", "creator_id"), ("x", "9" * 5000, 1.5, True, [])),
        ("url_callback", 5),
        ("url_callback", [ADDRESS]),
        ("new", {"of": "Toggl's"}),
    ],
)
def test_what_cannot_be_read_is_none_and_kept(name: str, value: object) -> None:
    found = webhooks.parse(event(**{name: value}))
    assert not getattr(found, name, None)
    assert dict(found.unknown) == {name: value}
    webhooks.check_address(found, ADDRESS)
    webhooks.check_freshness(found, now=dt.datetime(2026, 5, 20, 12, 0, 1, tzinfo=dt.UTC))


def test_a_ping_with_an_odd_code_is_answered_without_it() -> None:
    ping = webhooks.parse(event(payload="ping", validation_code=["c-1"]))
    assert (webhooks.answer(ping), ping.unknown["validation_code"]) == ({}, ["c-1"])
    assert "c-1" not in repr(ping)
    assert webhooks.answer(webhooks.parse(event(payload="ping", validation_code=5))) == {
        "validation_code": "5"
    }


@pytest.mark.parametrize(
    ("metadata", "values"),
    [
        (..., {}),
        (None, {}),
        ([], {}),
        ("created", {}),
        ({"model": None, "action": "exploded", "new": 1}, {"action": "exploded", "new": "1"}),
        ({"model": {"a": [1]}, "workspace_id": 3}, {"model": '{"a": [1]}', "workspace_id": "3"}),
        (
            {"workspace_id": "9" * 5000, "event_user_id": "٣"},
            {"workspace_id": "9" * 5000, "event_user_id": "٣"},
        ),
    ],
)
def test_metadata_may_be_anything(metadata: Any, values: dict[str, str]) -> None:
    found = webhooks.parse(event(metadata=metadata))
    assert found.metadata.values == values
    assert (found.metadata.model, found.metadata.action) == (values.get("model"), values.get("action"))
    assert found.metadata.workspace_id == (3 if values.get("workspace_id") == "3" else None)
    assert found.metadata.event_user_id is None
    assert found.unknown.get("metadata") == (metadata if metadata in ([], "created") else None)


def test_an_object_of_which_nothing_is_known_is_an_event_all_the_same() -> None:
    for body, unknown in ((b"{}", {}), (b'{"error": "none"}', {"error": "none"})):
        found = webhooks.receive(webhooks.sign(body, SECRET), body, SECRET, url_callback=ADDRESS)
        assert isinstance(found, webhooks.Event)
        assert (found.event_id, found.timestamp, found.payload) == (None, None, None)
        assert found.unknown == unknown


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        (b"1e999", "1e999"),
        (b'{"id": 5, "rate": 1e999}', {"id": 5, "rate": "1e999"}),
        (b'{"id": NaN, "of": [-Infinity, "NaN"]}', {"id": "NaN", "of": ["-Infinity", "NaN"]}),
        (b'{"name": "\\ud800"}', {"name": "\ufffd"}),
        (b'{"name": "\xff"}', {"name": "\ufffd"}),
    ],
)
def test_what_python_has_no_room_for_stays_text(payload: bytes, read: object) -> None:
    found = webhooks.parse(event(payload="here").replace(b'"here"', payload))
    assert isinstance(found, webhooks.Event)
    assert found.payload == read


def test_what_is_nested_too_deeply_stays_text() -> None:
    deep = b"[" * 20_000 + b'"]", NaN' + b"]" * 20_000
    found = webhooks.parse(
        event(payload="here", created_at="also").replace(
            b'"here"', b'{"id": 5, "workspace_id": 3, "a": ' + deep + b"}"
        )
    )
    assert isinstance(found, webhooks.Event)
    assert found.payload["id"] == 5
    inner = found.payload["a"]
    while not isinstance(inner, str):
        (inner,) = inner
    assert inner in deep.decode()
    assert found.payload_as(TimeEntry).id == 5


def test_a_payload_that_python_cannot_write_is_said_as_such() -> None:
    found = webhooks.parse(event())
    assert isinstance(found, webhooks.Event)
    payload: list[Any] = []
    for _ in range(100_000):
        payload = [payload]
    with pytest.raises(DecodeError, match="nested too deeply"):
        attrs.evolve(found, payload=payload).payload_as(TimeEntry)


def test_an_event_has_a_key_of_its_own() -> None:
    keys = [
        found.key
        for changed in ({}, {"event_id": None}, {"event_id": 0}, {"event_id": None, "payload": 5})
        if isinstance(found := webhooks.parse(event(**changed)), webhooks.Event)
    ]
    assert keys[0] == "9:11426779"
    assert len(set(keys)) == len(keys) == 4
    again = webhooks.parse(event(event_id=None, timestamp="2026-05-20T13:00:01Z"))
    assert isinstance(again, webhooks.Event)
    assert again.key == keys[1]


def test_oddities_are_told_once_and_without_their_values(caplog: pytest.LogCaptureFixture) -> None:
    envelope._told.clear()
    for _ in range(2):
        webhooks.parse(event(creator_id=["s3cret"], timestamp=..., metadata=5))
    assert sorted(caplog.messages) == [
        "unexpected field in a webhook delivery: $.creator_id: expected a whole number, got a list; left out",
        "unexpected field in a webhook delivery: $.metadata: expected an object, got a number; left out",
        "unexpected field in a webhook delivery: $.timestamp: is missing or null",
    ]


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_delivery_may_be_a_little_old_or_ahead(seconds: float) -> None:
    now = SENT + dt.timedelta(seconds=seconds)
    assert webhooks.receive(SIGNATURE, PING, SECRET, now=now).event_id == 0


@pytest.mark.parametrize(("seconds", "words"), [(301, "sent 301 s ago"), (-301, "sent 301 s ahead")])
def test_but_not_more(seconds: float, words: str) -> None:
    now = SENT + dt.timedelta(seconds=seconds)
    with pytest.raises(StaleDelivery, match=words) as caught:
        webhooks.receive(SIGNATURE, PING, SECRET, now=now)
    assert caught.value.age == seconds


def test_the_time_is_that_of_this_machine_unless_told_otherwise() -> None:
    with pytest.raises(StaleDelivery):
        webhooks.receive(SIGNATURE, PING, SECRET)
    assert webhooks.receive(SIGNATURE, PING, SECRET, tolerance=math.inf).event_id == 0
    with pytest.raises(InvalidInput, match="now: a datetime needs a time zone"):
        webhooks.receive(SIGNATURE, PING, SECRET, now=SENT.replace(tzinfo=None))


def test_a_delivery_for_another_address_is_refused() -> None:
    with pytest.raises(MisdirectedDelivery, match=r"'https://callback-url\.com', but this is 'https://me'"):
        webhooks.receive(SIGNATURE, PING, SECRET, url_callback="https://me", now=SENT)


def test_every_public_name_is_there() -> None:
    assert sorted(webhooks.__all__) == sorted(set(webhooks.__all__))
    assert all(hasattr(webhooks, name) for name in webhooks.__all__)


ODD: list[Any] = [
    None,
    math.nan,
    10**400,
    "x",
    "\ud800",
    True,
    [],
    {},
    object(),
    ...,
    int,
    dt.date(2026, 1, 1),
]
"""What may be passed by mistake."""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_wrong_arguments_are_said_as_such(odd: Any) -> None:
    event = webhooks.parse(b'{"payload": {"id": 1}, "metadata": {"project_id": "7"}}')
    assert isinstance(event, webhooks.Event)
    calls: list[Callable[[], object]] = [
        lambda: webhooks.sign(odd, "secret"),
        lambda: webhooks.parse(odd),
        lambda: webhooks.answer(odd),
        lambda: webhooks.check_address(odd, ADDRESS),
        lambda: webhooks.check_freshness(odd),
        lambda: event.payload_as(odd),
    ]
    for call in calls:
        with pytest.raises(InvalidInput):
            call()
    if isinstance(odd, str):
        assert event.metadata.id_of(odd) is None
    else:
        with pytest.raises(InvalidInput):
            event.metadata.id_of(odd)


def test_a_secret_that_no_header_can_be_made_of() -> None:
    with pytest.raises(InvalidInput, match=r"^the secret of a webhook must be valid Unicode"):
        webhooks.sign(b"{}", "\ud800")
    with pytest.raises(InvalidInput, match=r"^the secret of a webhook must be valid Unicode"):
        webhooks.receive(SIGNATURE, b"{}", "\ud800")
