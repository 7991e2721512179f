"""Deliveries: is it from Toggl, is it meant for us, is it fresh, and what does it say?

No network and no clock of its own is used here: a body comes in, a record or a `WebhookError` comes out.

Source: https://engineering.toggl.com/docs/webhooks_start.
"""

import datetime as dt
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

import attrs

from toggl_async._operations.record import Json, Record, aware
from toggl_async.codec import Codec
from toggl_async.errors import (
    InvalidInput,
    InvalidSignature,
    MalformedDelivery,
    MisdirectedDelivery,
    StaleDelivery,
)

__all__ = [
    "SIGNATURE_HEADER",
    "TOLERANCE",
    "Delivery",
    "Event",
    "Metadata",
    "Ping",
    "answer",
    "check_address",
    "check_freshness",
    "check_tolerance",
    "parse",
    "receive",
    "sign",
    "verify",
]

SIGNATURE_HEADER: Final = "X-Webhook-Signature-256"
"""The header with the signature, as ``sha256=`` and 64 hexadecimal digits."""

TOLERANCE: Final = 300.0
"""Seconds that the clocks of Toggl and of this machine may differ, including the time in transit."""

RecordT = TypeVar("RecordT", bound=Record)

_SIGNATURE: Final = re.compile(r"sha256=[0-9a-fA-F]{64}")
_codec: Final = Codec()

_LONGEST_ID: Final = 19
"""Digits that an id has at most: it is a signed integer of 64 bits."""


@attrs.frozen(kw_only=True)
class Metadata:
    """What happened, and to what.

    Attributes:
        model: the kind of entity, such as ``"time_entry"``; None for a ping.
        action: what was done to it, such as ``"created"``; None for a ping.
        path: the path of the request that did it.
        request_type: the HTTP method of that request.
        workspace_id: the workspace in which it was done.
        event_user_id: who did it.
        values: all metadata as text, as Toggl sends it: ``project_id`` and the like.
    """

    model: str | None
    action: str | None
    path: str | None
    request_type: str | None
    workspace_id: int | None
    event_user_id: int | None
    values: Mapping[str, str]

    def id_of(self, name: str) -> int | None:
        """Return an id from the values, such as ``id_of("project_id")``; None if there is none."""
        text = self.values.get(name, "")
        return int(text) if text.isdecimal() else None


@attrs.frozen(kw_only=True)
class _Delivered:
    """What pings and events have in common.

    Attributes:
        event_id: what identifies the event, in every attempt to deliver it; 0 for a ping.
        subscription_id: the webhook that it comes from.
        creator_id: who made that webhook.
        created_at: when it happened.
        timestamp: when this attempt to deliver it was made.
        url_callback: the address that it was meant for.
        metadata: what happened.
    """

    event_id: int
    subscription_id: int
    creator_id: int | None
    created_at: dt.datetime | None
    timestamp: dt.datetime
    url_callback: str
    metadata: Metadata


@attrs.frozen(kw_only=True)
class Ping(_Delivered):
    """A delivery that only asks whether anybody is listening.

    Attributes:
        validation_code: the code to send back to prove that the address is yours; None once the webhook is
            validated.
    """

    validation_code: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Event(_Delivered):
    """A delivery that reports what happened.

    Attributes:
        payload: the entity as it is now, as free-form JSON; `payload_as` turns it into a record.
    """

    payload: Json

    def payload_as(self, record: type[RecordT]) -> RecordT:
        """Read the payload as a record, such as ``event.payload_as(TimeEntry)``.

        Raises:
            DecodeError: the payload isn't such a record, even with tolerance.
        """
        found: RecordT = _codec.decode(
            record, json.dumps(self.payload).encode(), operation=f"webhook {self.metadata.model}"
        )
        return found


Delivery: TypeAlias = Ping | Event
"""A delivery to a webhook."""


def receive(
    signature: str | None,
    body: bytes,
    secret: str,
    *,
    url_callback: str | None = None,
    tolerance: float = TOLERANCE,
    now: dt.datetime | None = None,
) -> Delivery:
    """Check a delivery in every respect, and read it.

    Args:
        signature: the header `SIGNATURE_HEADER`; None when it is missing.
        body: the body as it came, before any parsing.
        secret: the secret of the webhook.
        url_callback: the address of the webhook; None leaves it unchecked.
        tolerance: seconds that the delivery may be old, or ahead of the clock; ``math.inf`` for no limit.
        now: the time to compare with; this moment when left out.

    Raises:
        InvalidSignature: it was not signed with this secret.
        MalformedDelivery: it is neither a ping nor an event.
        MisdirectedDelivery: it was meant for another address.
        StaleDelivery: it is too old, or from the future.
        InvalidInput: the secret is empty or not text, the body isn't bytes, the signature isn't text, the
            tolerance is negative or not a number, or `now` has no time zone.
    """
    verify(signature, body, secret)
    delivery = parse(body)
    if url_callback is not None:
        check_address(delivery, url_callback)
    check_freshness(delivery, tolerance=tolerance, now=now)
    return delivery


def sign(body: bytes, secret: str) -> str:
    """Sign a body as Toggl does; useful to test a receiver.

    Raises:
        InvalidInput: the secret is empty or not text, or the body isn't bytes.
    """
    if not isinstance(secret, str):
        raise InvalidInput(f"the secret of a webhook must be text, not {type(secret).__name__}")
    if not secret:
        raise InvalidInput("a webhook without a secret cannot be trusted: set one")
    if not isinstance(body, bytes):
        raise InvalidInput("the signature covers the raw body: pass the bytes as they were received")
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(signature: str | None, body: bytes, secret: str) -> None:
    """Check that a body was signed with the webhook's secret, in constant time.

    Args:
        signature: the header `SIGNATURE_HEADER`; None when it is missing.
        body: the body as it came, before any parsing.
        secret: the secret of the webhook.

    Raises:
        InvalidSignature: it was not.
        InvalidInput: the secret is empty or not text, the body isn't bytes, or the signature isn't text.
    """
    expected = sign(body, secret)
    if signature is None:
        raise InvalidSignature(f"the delivery has no header {SIGNATURE_HEADER}")
    if not isinstance(signature, str):
        raise InvalidInput(f"the signature must be the text of a header, not {type(signature).__name__}")
    if not _SIGNATURE.fullmatch(signature.strip()):
        raise InvalidSignature(f"the header {SIGNATURE_HEADER} is not a signature")
    if not hmac.compare_digest(expected, signature.strip().lower()):
        raise InvalidSignature("the delivery was not signed with the secret of this webhook")


def parse(body: bytes) -> Delivery:
    """Read a delivery whose signature was verified.

    Raises:
        MalformedDelivery: it is neither a ping nor an event.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedDelivery(f"the delivery is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedDelivery("the delivery is not a JSON object")
    timestamp = _moment(fields, "timestamp")
    if timestamp is None:
        raise MalformedDelivery("timestamp: missing")
    common = _Delivered(
        event_id=_number(fields, "event_id"),
        subscription_id=_number(fields, "subscription_id"),
        creator_id=_number(fields, "creator_id") if fields.get("creator_id") is not None else None,
        created_at=_moment(fields, "created_at"),
        timestamp=timestamp,
        url_callback=_text(fields, "url_callback") or "",
        metadata=_metadata(fields),
    )
    shared = attrs.asdict(common, recurse=False)
    if fields.get("payload") == "ping":
        return Ping(**shared, validation_code=_text(fields, "validation_code"))
    if "payload" not in fields:
        raise MalformedDelivery("payload: missing")
    return Event(**shared, payload=fields["payload"])


def check_address(delivery: Delivery, url_callback: str) -> None:
    """Check that a delivery was meant for this address.

    Raises:
        MisdirectedDelivery: it was not.
    """
    if delivery.url_callback != url_callback:
        raise MisdirectedDelivery(
            f"the delivery was meant for {delivery.url_callback!r}, but this is {url_callback!r}"
        )


def check_freshness(
    delivery: Delivery, *, tolerance: float = TOLERANCE, now: dt.datetime | None = None
) -> None:
    """Check that a delivery was sent just now; Toggl gives each attempt a new timestamp.

    Args:
        delivery: the delivery.
        tolerance: seconds that it may be old, or ahead of the clock.
        now: the time to compare with; this moment when left out.

    Raises:
        StaleDelivery: it was not.
        InvalidInput: `tolerance` is negative or not a number, or `now` has no time zone.
    """
    check_tolerance(tolerance)
    now = dt.datetime.now(dt.UTC) if now is None else aware(now, "now")
    age = (now - delivery.timestamp).total_seconds()
    if abs(age) > tolerance:
        when = f"{age:.0f} s ago" if age >= 0 else f"{-age:.0f} s ahead of this clock"
        raise StaleDelivery(f"the delivery was sent {when}, more than the {tolerance:g} s tolerated", age=age)


def check_tolerance(tolerance: object) -> None:
    """Check that a tolerance is one: with anything else every delivery would pass, or none.

    Raises:
        InvalidInput: it is negative, or not a number.
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise InvalidInput(f"tolerance must be 0 or more seconds, not {tolerance!r}")


def answer(delivery: Delivery) -> dict[str, str]:
    """Return the answer to a delivery, to be sent as JSON with status 200.

    If a ping asks for the validation code, the answer contains it; without it, no events are sent.
    """
    code = delivery.validation_code if isinstance(delivery, Ping) else None
    return {} if code is None else {"validation_code": code}


def _metadata(fields: Mapping[str, Json]) -> Metadata:
    found = fields.get("metadata")
    if found is not None and not isinstance(found, dict):
        raise MalformedDelivery("metadata is not an object")
    values = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in (found or {}).items()
        if value is not None
    }
    bare = Metadata(
        model=values.get("model"),
        action=values.get("action"),
        path=values.get("path"),
        request_type=values.get("request_type"),
        workspace_id=None,
        event_user_id=None,
        values=MappingProxyType(values),
    )
    return attrs.evolve(
        bare, workspace_id=bare.id_of("workspace_id"), event_user_id=bare.id_of("event_user_id")
    )


def _number(fields: Mapping[str, Json], name: str) -> int:
    """Read an id, which may come as text."""
    value = fields.get(name)
    if isinstance(value, str) and value.isdecimal() and len(value) <= _LONGEST_ID:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedDelivery(f"{name}: not a number")
    return value


def _text(fields: Mapping[str, Json], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedDelivery(f"{name}: not text")
    return value


def _moment(fields: Mapping[str, Json], name: str) -> dt.datetime | None:
    """Read a time; what is finer than a microsecond is cut off."""
    text = _text(fields, name)
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise MalformedDelivery(f"{name}: not a time") from None
    if moment.tzinfo is None:
        raise MalformedDelivery(f"{name}: the time has no time zone")
    return moment
