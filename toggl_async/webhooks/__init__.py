"""Receiving webhooks: an application for any ASGI server, a dependency for FastAPI, and their parts.

Toggl POSTs pings and events to the address of a webhook (which `workspace.webhooks` creates), signed with the
webhook's secret. A `Receiver` checks and answers them, and passes each event to a coroutine once::

    from toggl_async import webhooks

    async def handle(event: webhooks.Event) -> None: …   # event.metadata.model, event.payload

    app = webhooks.Receiver(secret, url_callback=address).app(handle)

In any other framework, one call checks and reads a delivery::

    delivery = webhooks.receive(request.headers.get(webhooks.SIGNATURE_HEADER), body, secret)
    match delivery:
        case webhooks.Event(): …
    return 200, webhooks.answer(delivery)   # as JSON

Deliveries come at least once: remember `Event.key` for a week, and ignore it the second time. If the
answer is anything but a success, Toggl delivers again.
"""

from toggl_async.webhooks.deliveries import (
    SIGNATURE_HEADER,
    TOLERANCE,
    Delivery,
    Event,
    Metadata,
    Ping,
    answer,
    check_address,
    check_freshness,
    parse,
    receive,
    sign,
    verify,
)
from toggl_async.webhooks.receiver import Receiver
from toggl_async.webhooks.seen import SeenEvents, SeenInMemory

__all__ = [
    "SIGNATURE_HEADER",
    "TOLERANCE",
    "Delivery",
    "Event",
    "Metadata",
    "Ping",
    "Receiver",
    "SeenEvents",
    "SeenInMemory",
    "answer",
    "check_address",
    "check_freshness",
    "parse",
    "receive",
    "sign",
    "verify",
]
