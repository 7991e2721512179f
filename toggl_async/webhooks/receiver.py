"""Receives deliveries over HTTP: limits, checks and answers them, and handles each event once.

`Receiver` turns a coroutine into an ASGI application; `toggl_async.webhooks.fastapi` turns a `Receiver` into
a dependency. Errors in the program's own code are not caught: its server answers 500, and Toggl delivers the
event again.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import anyio

from toggl_async.errors import (
    InvalidInput,
    MalformedDelivery,
    OversizedDelivery,
    SlowDelivery,
    WebhookError,
    shown,
)
from toggl_async.webhooks.awaited import checked_awaitable, may_be_awaited, named
from toggl_async.webhooks.deliveries import (
    SIGNATURE_HEADER,
    TOLERANCE,
    Delivery,
    Event,
    answer,
    check_tolerance,
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
_TIMEOUT: Final = 30.0
_LENGTH: Final = b"content-length"
_SIGNATURE: Final = SIGNATURE_HEADER.lower().encode()


class Receiver:
    """Receives the deliveries of a webhook.

    Args:
        secret: the secret of the webhook.
        url_callback: the address of the webhook, as Toggl knows it; None leaves it unchecked.
        seen: remembers which events were handled; by default, in the memory of this process.
        max_body: how many bytes a delivery may have; the rest of a longer one isn't read.
        tolerance: seconds that a delivery may be old, or ahead of the clock.
        timeout: seconds that the body of a delivery may take to arrive; ``math.inf`` for no limit.

    Raises:
        InvalidInput: the secret is empty or not text, `seen` has no functions `has` and `add` that can be
            awaited, or another argument has the wrong type or is out of range.
    """

    def __init__(
        self,
        secret: str,
        *,
        url_callback: str | None = None,
        seen: SeenEvents | None = None,
        max_body: int = _MAX_BODY,
        tolerance: float = TOLERANCE,
        timeout: float = _TIMEOUT,
    ) -> None:
        # All of it here, and not when the first delivery comes.
        sign(b"", secret)
        check_tolerance(tolerance)
        _check_limits(url_callback, max_body, timeout)
        if seen is not None:
            _check_store(seen)
        self._secret = secret
        self._url_callback = url_callback
        self._seen: SeenEvents = SeenInMemory() if seen is None else seen
        self._max_body = max_body
        self._tolerance = tolerance
        self._timeout = timeout
        self._turns: dict[str, _Turn] = {}

    def __repr__(self) -> str:
        return f"<Receiver of {self._url_callback or 'any address'}>"

    async def check(self, signature: str | None, length: str | None, body: AsyncIterable[bytes]) -> Delivery:
        """Read a delivery, within its limits, and check it in every respect.

        Args:
            signature: the header `SIGNATURE_HEADER`; None when it is missing.
            length: the header Content-Length; None when it is missing.
            body: the body, chunk by chunk.

        Raises:
            OversizedDelivery: it is too long; if its header says so, nothing is read.
            SlowDelivery: it doesn't arrive in time.
            WebhookError: it can't be trusted; see `receive`.
        """
        if length is not None and length.isdecimal() and self._is_beyond(length):
            raise self._oversized()
        try:
            with anyio.fail_after(self._timeout):
                content = await self._read(body)
        except TimeoutError:
            raise SlowDelivery(f"the delivery did not arrive within {self._timeout:g} s") from None
        return receive(
            signature,
            content,
            self._secret,
            url_callback=self._url_callback,
            tolerance=self._tolerance,
        )

    @asynccontextmanager
    async def once(self, event: Event) -> AsyncIterator[bool]:
        """Handle an event inside, if it is new; it is remembered unless something is raised.

        If the same event is already being handled, this waits for that, and the event is new again if that
        failed. Two processes that get an event at the same moment both handle it, so neither loses it.

        Yields:
            Whether it is new.
        """
        key = event.key
        turn = self._turns.setdefault(key, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                if await checked_awaitable(self._seen.has(key), "seen.has"):
                    yield False
                else:
                    yield True
                    await checked_awaitable(self._seen.add(key), "seen.add")
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]

    def app(self, handle: Handle) -> ASGIApp:
        """Make an ASGI application, to mount at the webhook's address or to serve by itself.

        Args:
            handle: a coroutine function, or another that returns an awaitable, that is called with each event
                once. If it raises, the error reaches the server, and the event is delivered again.

        Raises:
            InvalidInput: `handle` is not such a function. If only its result shows that, the application
                raises this, and the event is delivered again.
        """
        if not may_be_awaited(handle):
            raise InvalidInput(
                f"handle must be a coroutine function, not {named(handle)}: write `async def handle(event)`, "
                "or annotate what it returns with Awaitable"
            )
        return _App(self, handle)

    async def _read(self, body: AsyncIterable[bytes]) -> bytes:
        """Read a body, no further than it may go."""
        content = bytearray()
        async for chunk in body:
            content += chunk
            if len(content) > self._max_body:
                raise self._oversized()
        return bytes(content)

    def _is_beyond(self, length: str) -> bool:
        """Say whether a length is too much; Python reads no number of more than 4,300 digits."""
        digits = length.lstrip("0")
        return len(digits) > len(str(self._max_body)) or int(digits or "0") > self._max_body

    def _oversized(self) -> OversizedDelivery:
        return OversizedDelivery(f"the delivery is longer than {self._max_body} bytes")


class _App:
    """The ASGI application of a receiver.

    No function, since Starlette and FastAPI take a function at a route for an endpoint of their own kind.
    """

    def __init__(self, receiver: Receiver, handle: Handle) -> None:
        self._receiver = receiver
        self._handle = handle

    async def __call__(self, scope: MutableMapping[str, Any], receive: ASGIReceive, send: ASGISend) -> None:
        """Take a delivery, and answer it.

        Raises:
            InvalidInput: it is asked for anything but HTTP.
        """
        if scope["type"] != "http":
            raise InvalidInput(f"a webhook receiver only accepts HTTP, not {scope['type']}")
        if scope["method"] != "POST":
            await _say(send, 405, {"error": "deliveries are sent with POST"}, [(b"allow", b"POST")])
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        receiver = self._receiver
        try:
            delivery = await receiver.check(headers.get(_SIGNATURE), headers.get(_LENGTH), _chunks(receive))
        except _GoneError:
            return
        except WebhookError as error:
            await _say(send, status_of(error), {"error": str(error)})
            return
        if isinstance(delivery, Event):
            async with receiver.once(delivery) as is_new:
                if is_new:
                    await checked_awaitable(self._handle(delivery), "handle")
        await _say(send, 200, answer(delivery))


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
    if isinstance(error, SlowDelivery):
        return 408
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


def _check_limits(url_callback: object, max_body: object, timeout: object) -> None:
    """Refuse what would only come to light with a delivery.

    Raises:
        InvalidInput: one of them is of another type or out of range.
    """
    if not isinstance(url_callback, str | None):
        raise InvalidInput(f"url_callback must be text, not {type(url_callback).__name__}")
    if url_callback is not None and not url_callback.strip():
        raise InvalidInput("url_callback is empty: pass the webhook's address, or None to leave it unchecked")
    if type(max_body) is not int or max_body <= 0:
        raise InvalidInput(f"max_body must be a whole number over 0, not {shown(max_body)}")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise InvalidInput(f"timeout must be over 0 seconds, not {shown(timeout)}")


def _check_store(seen: object) -> None:
    """Refuse a store that can't be awaited.

    Raises:
        InvalidInput: it lacks a coroutine function.
    """
    for name in ("has", "add"):
        method = getattr(seen, name, None)
        if isinstance(seen, type) or not may_be_awaited(method):
            raise InvalidInput(
                f"seen must have the coroutine functions `has` and `add`, but {named(seen)} has no "
                f"coroutine function `{name}`: write `async def {name}(self, key)`"
            )
