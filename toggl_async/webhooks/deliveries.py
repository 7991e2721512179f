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

from toggl_async._operations.portable import Portable
from toggl_async._operations.record import Json, Record, aware
from toggl_async.codec import Codec
from toggl_async.errors import (
    DecodeError,
    InvalidInput,
    InvalidSignature,
    MisdirectedDelivery,
    StaleDelivery,
    shown,
)
from toggl_async.webhooks.envelope import Envelope

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
_ID: Final = re.compile(r"[0-9]{1,19}")
"""An id as text: it is a signed integer of 64 bits."""

_codec: Final = Codec()


@attrs.frozen(kw_only=True)
class Metadata(Portable):
    """What happened, and to what. Anything may be None: Toggl says little of a ping.

    Attributes:
        model: the kind of entity, such as ``"time_entry"``.
        action: what was done to it, such as ``"created"``; there may be others than Toggl describes.
        path: the path of the request that did it.
        request_type: the HTTP method of that request.
        workspace_id: the workspace in which it was done.
        event_user_id: who did it.
        values: all metadata as text, as Toggl sends it: ``project_id`` and the like. A value of another type
            is given as JSON.
    """

    model: str | None
    action: str | None
    path: str | None
    request_type: str | None
    workspace_id: int | None
    event_user_id: int | None
    values: Mapping[str, str] = attrs.field(hash=False)

    def id_of(self, name: str) -> int | None:
        """Return an id from the values, such as ``id_of("project_id")``; None if there is none.

        Raises:
            InvalidInput: `name` isn't text.
        """
        if not isinstance(name, str):
            raise InvalidInput(f"pass the name of a value, such as 'project_id', not {shown(name)}")
        text = self.values.get(name, "")
        return int(text) if _ID.fullmatch(text) else None


@attrs.frozen(kw_only=True)
class _Delivered(Portable):
    """What pings and events have in common.

    Attributes:
        event_id: what identifies the event, in every attempt to deliver it; 0 for a ping. None where it could
            not be read, as with all that follow: see `unknown`.
        subscription_id: the webhook that it comes from.
        creator_id: who made that webhook.
        created_at: when it happened.
        timestamp: when this attempt to deliver it was made.
        url_callback: the address that it was meant for; empty where it names none.
        metadata: what happened.
        unknown: fields of the delivery that have no attribute here, and those that could not be read, as they
            came.
    """

    event_id: int | None
    subscription_id: int | None
    creator_id: int | None
    created_at: dt.datetime | None
    timestamp: dt.datetime | None
    url_callback: str
    metadata: Metadata
    unknown: Mapping[str, Json] = attrs.field(default=MappingProxyType({}), eq=False, repr=False)


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
        payload: the entity as it is now, as free-form JSON; None if it is missing. `payload_as` turns it into
            a record.
    """

    payload: Json = attrs.field(hash=False)
    _digest: str = attrs.field(default="", alias="digest", eq=False, repr=False)

    @property
    def key(self) -> str:
        """What to remember the event by: the same in every attempt to deliver it, and no other event's."""
        # One without an id of its own must not be taken for another.
        return f"{self.subscription_id}:{self.event_id or self._digest}"

    def payload_as(self, record: type[RecordT]) -> RecordT:
        """Read the payload as a record, such as ``event.payload_as(TimeEntry)``.

        Raises:
            DecodeError: the payload isn't such a record, even with tolerance.
            InvalidInput: `record` isn't a class of records.
        """
        _check_record(record)
        operation = f"webhook {self.metadata.model}"
        try:
            body = json.dumps(self.payload).encode()
        except RecursionError:
            raise DecodeError("nested too deeply", operation=operation, field="$", body=b"") from None
        found: RecordT = _codec.decode(record, body, operation=operation)
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
        MalformedDelivery: it isn't a JSON object.
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
    try:
        key = secret.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "the secret of a webhook must be valid Unicode: it has half of a character"
        ) from None
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


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

    What is odd about it, such as a field that is missing or of another type, is told once in the log, and
    costs nothing but that field: see `Event`.

    Raises:
        MalformedDelivery: it isn't a JSON object.
        InvalidInput: the body isn't bytes.
    """
    if not isinstance(body, bytes):
        raise InvalidInput(f"the body of a delivery must be bytes, as it came, not {shown(body)}")
    envelope = Envelope(body)
    payload = envelope.take_json("payload")
    is_ping = payload == "ping"
    common = _Delivered(
        event_id=envelope.take("event_id", int, indispensable=True),
        subscription_id=envelope.take("subscription_id", int, indispensable=True),
        creator_id=envelope.take("creator_id", int),
        created_at=envelope.take("created_at", dt.datetime),
        timestamp=envelope.take("timestamp", dt.datetime, indispensable=True),
        url_callback=envelope.take_address("url_callback"),
        metadata=_metadata(envelope.take_texts("metadata")),
    )
    code = envelope.take("validation_code", str) if is_ping else None
    shared = attrs.asdict(common, recurse=False)
    shared["unknown"] = MappingProxyType(envelope.unknown)
    if is_ping:
        return Ping(**shared, validation_code=code)
    return Event(**shared, payload=payload, digest=envelope.digest)


def check_address(delivery: Delivery, url_callback: str) -> None:
    """Check that a delivery was meant for no other address; one that names none is let through.

    Raises:
        MisdirectedDelivery: it was meant for another.
        InvalidInput: `delivery` isn't one.
    """
    _check_delivery(delivery)
    if delivery.url_callback and delivery.url_callback != url_callback:
        raise MisdirectedDelivery(
            f"the delivery was meant for {delivery.url_callback!r}, but this is {url_callback!r}"
        )


def check_freshness(
    delivery: Delivery, *, tolerance: float = TOLERANCE, now: dt.datetime | None = None
) -> None:
    """Check that a delivery was sent just now; Toggl gives each attempt a new timestamp. One without passes.

    Args:
        delivery: the delivery.
        tolerance: seconds that it may be old, or ahead of the clock.
        now: the time to compare with; this moment when left out.

    Raises:
        StaleDelivery: it was not.
        InvalidInput: `tolerance` is negative or not a number, `now` has no time zone, or `delivery` isn't
            one.
    """
    _check_delivery(delivery)
    check_tolerance(tolerance)
    now = dt.datetime.now(dt.UTC) if now is None else aware(now, "now")
    if delivery.timestamp is None:
        return
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
        raise InvalidInput(f"tolerance must be 0 or more seconds, not {shown(tolerance)}")


def answer(delivery: Delivery) -> dict[str, str]:
    """Return the answer to a delivery, to be sent as JSON with status 200.

    If a ping asks for the validation code, the answer contains it; without it, no events are sent.

    Raises:
        InvalidInput: `delivery` isn't one.
    """
    _check_delivery(delivery)
    code = delivery.validation_code if isinstance(delivery, Ping) else None
    return {} if code is None else {"validation_code": code}


def _check_delivery(delivery: object) -> None:
    if not isinstance(delivery, Ping | Event):
        raise InvalidInput(f"pass a delivery, as receive() returns it, not {shown(delivery)}")


def _check_record(record: object) -> None:
    if not (isinstance(record, type) and issubclass(record, Record)):
        raise InvalidInput(f"pass a class of records, such as TimeEntry, not {shown(record)}")


def _metadata(values: Mapping[str, str]) -> Metadata:
    """Read what happened."""
    bare = Metadata(
        model=values.get("model"),
        action=values.get("action"),
        path=values.get("path"),
        request_type=values.get("request_type"),
        workspace_id=None,
        event_user_id=None,
        values=MappingProxyType(dict(values)),
    )
    return attrs.evolve(
        bare, workspace_id=bare.id_of("workspace_id"), event_user_id=bare.id_of("event_user_id")
    )
