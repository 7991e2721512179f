"""Taking deliveries over HTTP: limited, checked, answered, and each event handled once.

`Receiver` has the parts, and makes an ASGI application of a coroutine; `toggl_async.webhooks.fastapi` makes a
dependency of it. What goes wrong in the program's own code is not caught: its server answers 500, and Toggl
delivers the event again.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import anyio

from toggl_async.errors import InvalidInput, MalformedDelivery, OversizedDelivery, WebhookError
from toggl_async.webhooks.deliveries import (
    SIGNATURE_HEADER,
    TOLERANCE,
    Delivery,
    Event,
    answer,
    receive,
    sign,
)
from toggl_async.webhooks.seen import SeenEvents, SeenInMemory

__all__ = ["Receiver", "status_of"]

Message: TypeAlias = MutableMapping[str, Any]
ASGIReceive: TypeAlias = Callable[[], Awaitable[Message]]
ASGISend: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], ASGIReceive, ASGISend], Awaitable[None]]
"""As in the ASGI specification, version 3."""

Handle: TypeAlias = Callable[[Event], Awaitable[object]]

_MAX_BODY: Final = 1 << 20
_LENGTH: Final = b"content-length"
_SIGNATURE: Final = SIGNATURE_HEADER.lower().encode()


class Receiver:
    """Takes the deliveries of a webhook.

    Args:
        secret: the secret of the webhook.
        url_callback: the address of the webhook, as Toggl knows it; None leaves it unchecked.
        seen: remembers which events were handled; memory of this process if not given.
        max_body: bytes that a delivery may have; the rest of a longer one isn't read.
        tolerance: seconds that a delivery may be old, or ahead.

    Raises:
        InvalidInput: the secret is empty, or `max_body` isn't positive.
    """

    def __init__(
        self,
        secret: str,
        *,
        url_callback: str | None = None,
        seen: SeenEvents | None = None,
        max_body: int = _MAX_BODY,
        tolerance: float = TOLERANCE,
    ) -> None:
        sign(b"", secret)  # refuses an empty one here, and not when the first delivery comes
        if max_body <= 0:
            raise InvalidInput(f"max_body must be over 0, not {max_body!r}")
        self._secret = secret
        self._url_callback = url_callback
        self._seen: SeenEvents = SeenInMemory() if seen is None else seen
        self._max_body = max_body
        self._tolerance = tolerance
        self._turns: dict[str, _Turn] = {}

    def __repr__(self) -> str:
        return f"<Receiver of {self._url_callback or 'any address'}>"

    async def check(self, signature: str | None, length: str | None, body: AsyncIterable[bytes]) -> Delivery:
        """Read a delivery, no further than it may go, and check it in every respect.

        Args:
            signature: the header `SIGNATURE_HEADER`; None when it is missing.
            length: the header Content-Length; None when it is missing.
            body: the body, chunk by chunk.

        Raises:
            OversizedDelivery: it is too long; of one that says so, nothing is read.
            WebhookError: it is not to be trusted; see `receive`.
        """
        if length is not None and length.isdecimal() and int(length) > self._max_body:
            raise self._oversized()
        content = bytearray()
        async for chunk in body:
            content += chunk
            if len(content) > self._max_body:
                raise self._oversized()
        return receive(
            signature,
            bytes(content),
            self._secret,
            url_callback=self._url_callback,
            tolerance=self._tolerance,
        )

    @asynccontextmanager
    async def once(self, event: Event) -> AsyncIterator[bool]:
        """Handle an event inside, if it is new; it is remembered when nothing was raised.

        One that is being handled is waited for, and is new again if that failed. Two processes that have it
        at the same moment both handle it: it is lost by neither.

        Yields:
            Whether it is new.
        """
        key = f"{event.subscription_id}:{event.event_id}"
        turn = self._turns.setdefault(key, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                if await self._seen.has(key):
                    yield False
                else:
                    yield True
                    await self._seen.add(key)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]

    def app(self, handle: Handle) -> ASGIApp:
        """Make an ASGI application, to be mounted at the webhook's address or served by itself.

        Args:
            handle: is given each event once. What it raises goes through to the server, and the event is
                delivered again.
        """

        async def app(scope: MutableMapping[str, Any], receive: ASGIReceive, send: ASGISend) -> None:
            if scope["type"] != "http":
                raise InvalidInput(f"a receiver of webhooks takes HTTP alone, not {scope['type']}")
            if scope["method"] != "POST":
                await _say(send, 405, {"error": "deliveries are POSTed"}, [(b"allow", b"POST")])
                return
            headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
            try:
                delivery = await self.check(headers.get(_SIGNATURE), headers.get(_LENGTH), _chunks(receive))
            except _GoneError:
                return
            except WebhookError as error:
                await _say(send, status_of(error), {"error": str(error)})
                return
            if isinstance(delivery, Event):
                async with self.once(delivery) as is_new:
                    if is_new:
                        await handle(delivery)
            await _say(send, 200, answer(delivery))

        return app

    def _oversized(self) -> OversizedDelivery:
        return OversizedDelivery(f"the delivery is longer than {self._max_body} bytes")


class _Turn:
    """Who handles an event, and how many wait for that."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.waiting = 0


class _GoneError(Exception):
    """Whoever delivered has hung up."""


def status_of(error: WebhookError) -> int:
    """Return the HTTP status that a delivery is refused with."""
    if isinstance(error, OversizedDelivery):
        return 413
    return 400 if isinstance(error, MalformedDelivery) else 403


async def _chunks(receive: ASGIReceive) -> AsyncIterator[bytes]:
    """Pass on the body of a request.

    Raises:
        _GoneError: it broke off.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _GoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _say(
    send: ASGISend, status: int, said: dict[str, str], headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with JSON."""
    body = json.dumps(said).encode()
    fixed = [(b"content-type", b"application/json"), (_LENGTH, str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
