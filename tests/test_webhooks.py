"""Deliveries: verified, read, answered; and the receiver of the documentation over a real socket."""

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

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
        (b"[]", "not a JSON object"),
        (event(timestamp=...), "timestamp: missing"),
        (event(timestamp="yesterday"), "timestamp: not a time"),
        (event(timestamp="2026-05-20T12:00:01"), "timestamp: the time has no time zone"),
        (event(timestamp=1), "timestamp: not text"),
        (event(event_id=...), "event_id: not a number"),
        (event(event_id=True), "event_id: not a number"),
        (event(subscription_id="x"), "subscription_id: not a number"),
        (event(metadata=[]), "metadata is not an object"),
        (event(payload=...), "payload: missing"),
        (event(payload="ping", validation_code=5), "validation_code: not text"),
    ],
)
def test_what_is_no_delivery_is_said_as_such(body: bytes, message: str) -> None:
    with pytest.raises(MalformedDelivery, match=message) as caught:
        webhooks.receive(webhooks.sign(body, SECRET), body, SECRET)
    assert isinstance(caught.value, WebhookError)


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
