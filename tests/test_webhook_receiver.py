"""Receivers in a framework: what they take, refuse, answer, and handle once."""

import asyncio
import datetime as dt
import functools
import importlib
import json
import math
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import AsyncMock

import attrs
import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from support.served import served
from toggl_async import InvalidInput, TimeEntry, webhooks
from toggl_async.webhooks.fastapi import deliveries

pytestmark = pytest.mark.anyio

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "webhooks.md"
SECRET = "a secret of the test's own"
ADDRESS = "https://example.com/toggl"

PROGRAMS = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text("utf-8"), flags=re.DOTALL)


def delivery(event_id: int | None = 7, **changed: Any) -> bytes:
    fields = {
        "event_id": event_id,
        "created_at": "2026-05-20T12:00:00.207820267Z",
        "creator_id": 6,
        "metadata": {"model": "time_entry", "action": "created", "workspace_id": "3"},
        "payload": {"id": 5, "workspace_id": 3, "duration": -1, "description": "Reading"},
        "subscription_id": 9,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(),
        "url_callback": ADDRESS,
    }
    return json.dumps({**fields, **changed}).encode()


def ping(**changed: Any) -> bytes:
    return delivery(0, payload="ping", **changed)


class Handled:
    """A coroutine that notes what it is given, waits, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.events: list[webhooks.Event] = []
        self.failures = failures
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def __call__(self, event: webhooks.Event) -> None:
        await self.may_go.wait()
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        self.events.append(event)


def in_asgi(receiver: webhooks.Receiver, handle: Handled) -> Any:
    return receiver.app(handle)


def in_fastapi(receiver: webhooks.Receiver, handle: Handled) -> Any:
    app = FastAPI()

    @app.post("/toggl")
    async def toggl(
        delivery: Annotated[webhooks.Delivery, Depends(deliveries(receiver))],
    ) -> dict[str, str]:
        if isinstance(delivery, webhooks.Event):
            await handle(delivery)
        return webhooks.answer(delivery)

    return app


class Caller:
    """Toggl, as far as a receiver knows it."""

    def __init__(self, address: str, http: httpx.AsyncClient) -> None:
        self.address = address
        self.http = http

    async def deliver(
        self, body: bytes | AsyncIterator[bytes], signature: str | None = None
    ) -> tuple[int, Any]:
        if signature is None and isinstance(body, bytes):
            signature = webhooks.sign(body, SECRET)
        headers = {webhooks.SIGNATURE_HEADER: signature or ""}
        answer = await self.http.post(f"{self.address}/toggl", content=body, headers=headers)
        return answer.status_code, answer.json() if "json" in answer.headers.get(
            "content-type", ""
        ) else answer.text


@pytest.fixture(params=[in_asgi, in_fastapi])
def framework(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def handle() -> Handled:
    return Handled()


@pytest.fixture
def app(framework: Any, handle: Handled) -> Any:
    return framework(webhooks.Receiver(SECRET, url_callback=ADDRESS, max_body=1000), handle)


@pytest.fixture
async def toggl(app: Any) -> AsyncIterator[Caller]:
    """Without a socket, which the documented receivers have."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        yield Caller("http://receiver", http)


async def test_a_ping_is_answered_with_its_code(toggl: Caller, handle: Handled) -> None:
    assert await toggl.deliver(ping(validation_code="c-1")) == (200, {"validation_code": "c-1"})
    assert await toggl.deliver(ping()) == (200, {})
    assert handle.events == []


async def test_each_event_is_handled_once(toggl: Caller, handle: Handled) -> None:
    for event_id in (7, 8, 7, 7):
        assert (await toggl.deliver(delivery(event_id)))[0] == 200
    assert (await toggl.deliver(delivery(7, subscription_id=10)))[0] == 200
    assert [(event.event_id, event.subscription_id) for event in handle.events] == [(7, 9), (8, 9), (7, 10)]
    assert handle.events[0].payload_as(TimeEntry).description == "Reading"


async def test_one_that_is_being_handled_is_waited_for(toggl: Caller, handle: Handled) -> None:
    handle.may_go.clear()
    both = [asyncio.create_task(toggl.deliver(delivery())) for _ in range(2)]
    await asyncio.sleep(0)
    handle.may_go.set()
    assert [(await one)[0] for one in both] == [200, 200]
    assert len(handle.events) == 1


async def test_what_failed_is_handled_when_it_comes_again(toggl: Caller, handle: Handled) -> None:
    handle.failures = 1
    assert (await toggl.deliver(delivery()))[0] == 500
    assert (await toggl.deliver(delivery()))[0] == 200
    assert len(handle.events) == 1


@pytest.mark.parametrize(
    ("make", "status", "message"),
    [
        (lambda: delivery(timestamp="2026-05-20T12:00:00Z"), 403, "tolerated"),
        (lambda: delivery(url_callback="https://example.com/other"), 403, "was meant for"),
        (lambda: b"[]", 400, "not a JSON object"),
        (lambda: b" " * 1001, 413, "longer than 1000 bytes"),
    ],
    ids=["old", "for another address", "no object", "too long"],
)
async def test_what_is_not_to_be_trusted_is_refused(
    make: Callable[[], bytes], status: int, message: str, toggl: Caller, handle: Handled
) -> None:
    found, said = await toggl.deliver(make())
    assert (found, message in str(said)) == (status, True)
    assert handle.events == []


_KNOWN = [
    "event_id", "created_at", "creator_id", "metadata", "payload", "subscription_id", "timestamp",
    "url_callback", "validation_code",
]  # fmt: skip
_OF_METADATA = ["model", "action", "path", "request_type", "workspace_id", "event_user_id", "project_id"]
_ODD_WORDS = ["", "null", "ping", "yesterday", "exploded", "0001-01-01T00:00:00Z", "9" * 5000, "\ud800", "é"]


def _keyed(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=5), values, max_size=6)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
_JSON = st.recursive(
    _SCALARS | st.sampled_from(_ODD_WORDS),
    lambda inner: st.lists(inner, max_size=3) | _keyed(_OF_METADATA, inner),
    max_leaves=8,
)
_REFUSABLE = {"timestamp", "url_callback"}
"""What may say that a delivery is old, or somebody else's."""


@pytest.mark.parametrize("framework", [in_asgi, in_fastapi])
@given(odd=_keyed(_KNOWN, _JSON), left_out=st.sets(st.sampled_from(_KNOWN)), in_metadata=st.booleans())
async def test_an_object_that_toggl_signed_is_taken_whatever_it_holds(
    framework: Any, odd: dict[str, Any], left_out: set[str], in_metadata: bool
) -> None:
    handle, changed = Handled(), {"metadata": odd} if in_metadata else odd
    fields = json.loads(delivery()) | changed
    body = json.dumps({name: value for name, value in fields.items() if name not in left_out}).encode()
    app = framework(webhooks.Receiver(SECRET, url_callback=ADDRESS), handle)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        toggl = Caller("http://receiver", http)
        status, said = await toggl.deliver(body)
        if any(isinstance(changed.get(name), str) for name in _REFUSABLE - left_out):
            assert status in {200, 403}, said
            return
        assert status == 200, said
        assert (await toggl.deliver(body))[0] == 200
        for refused, expected in ((body[:-1], 400), (b"[" + body + b"]", 400), (b"", 400)):
            assert (await toggl.deliver(refused))[0] == expected
        assert (await toggl.deliver(body, webhooks.sign(body + b" ", SECRET)))[0] == 403
    is_ping = "payload" not in left_out and fields["payload"] == "ping"
    assert len(handle.events) == (0 if is_ping else 1)  # once, though it came twice
    for event in handle.events:
        attributes = attrs.fields_dict(webhooks.Event).keys()
        assert fields.keys() - left_out <= attributes | event.unknown.keys()
        metadata: Any = {} if "metadata" in left_out else fields["metadata"]
        if isinstance(metadata, dict):
            assert event.metadata.values.keys() == {name for name in metadata if metadata[name] is not None}


async def test_odd_deliveries_over_a_socket(app: Any, handle: Handled) -> None:
    metadata: list[Any] = [None, [], "x", {"action": "exploded"}]
    odd = [delivery(number, metadata=one) for number, one in enumerate(metadata, start=1)]
    async with served(app) as address, httpx.AsyncClient(trust_env=False) as http:
        toggl = Caller(address, http)
        for body in (*odd, delivery(None), delivery(None, created_at=6), b"{}"):
            assert (await toggl.deliver(body))[0] == 200
    assert len(handle.events) == 7
    assert [one.event_id for one in handle.events] == [1, 2, 3, 4, None, None, None]


async def test_another_signature_is_refused(toggl: Caller, handle: Handled) -> None:
    status, said = await toggl.deliver(delivery(), webhooks.sign(b"", SECRET))
    assert (status, "was not signed" in str(said)) == (403, True)
    assert SECRET not in str(said)
    assert (await toggl.deliver(delivery(), ""))[0] == 403
    assert handle.events == []


async def test_a_body_of_unknown_length_is_read_as_far_as_it_may_go(toggl: Caller) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 500

    assert (await toggl.deliver(body()))[0] == 413


async def test_a_body_that_is_too_long_is_not_waited_for(app: Any) -> None:
    async with served(app) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(b"POST /toggl HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        assert b" 413 " in await reader.readline()
        writer.close()


async def test_only_posts_are_deliveries(framework: Any, toggl: Caller) -> None:
    answer = await toggl.http.get(f"{toggl.address}/toggl")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_whoever_hangs_up_is_not_answered() -> None:
    handle, sent = Handled(), list[Any]()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": []}
    await webhooks.Receiver(SECRET).app(handle)(scope, receive, send)
    assert (sent, handle.events) == ([], [])
    with pytest.raises(InvalidInput, match="only accepts HTTP, not websocket"):
        await webhooks.Receiver(SECRET).app(handle)({"type": "websocket"}, receive, send)


class Synchronous:
    """A store that forgot to be asynchronous."""

    async def has(self, key: str) -> bool:
        return False

    def add(self, key: str) -> None: ...


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ("", {}, "without a secret"),
    (b"x", {}, "the secret of a webhook must be text, not bytes"),
    (None, {}, "the secret of a webhook must be text, not NoneType"),
    (SECRET, {"url_callback": b"x"}, "url_callback must be text, not bytes"),
    (SECRET, {"max_body": 0}, "max_body must be a whole number over 0"),
    (SECRET, {"max_body": 1.5}, "max_body must be a whole number over 0"),
    (SECRET, {"tolerance": -1}, "tolerance must be 0 or more seconds, not -1"),
    (SECRET, {"tolerance": math.nan}, "tolerance must be 0 or more seconds, not nan"),
    (SECRET, {"timeout": 0}, "timeout must be over 0 seconds, not 0"),
    (SECRET, {"timeout": "1"}, "timeout must be over 0 seconds, not '1'"),
    (
        SECRET,
        {"seen": Synchronous()},
        r"Synchronous has no coroutine function `add`: write `async def add\(self, key\)`",
    ),
    (SECRET, {"seen": set()}, "but set has no coroutine function `has`"),
    (SECRET, {"seen": webhooks.SeenInMemory}, "the class SeenInMemory has no coroutine function `has`"),
]


def test_what_makes_no_receiver_is_refused() -> None:
    for secret, others, message in REFUSED:
        with pytest.raises(InvalidInput, match=message):
            webhooks.Receiver(secret, **others)
    with pytest.raises(InvalidInput, match="seconds and limit must be over 0"):
        webhooks.SeenInMemory(limit=0)
    assert SECRET not in repr(webhooks.Receiver(SECRET))
    assert repr(webhooks.Receiver(SECRET, url_callback=ADDRESS)) == f"<Receiver of {ADDRESS}>"


def synchronous(event: webhooks.Event) -> None: ...


class Called:
    def __call__(self, event: webhooks.Event) -> object: ...


@pytest.mark.parametrize(
    ("handle", "name"),
    [
        (synchronous, "the function synchronous"),
        (functools.partial(synchronous), "partial"),
        (Called(), "Called"),
        (7, "int"),
        (Handled, "the class Handled"),
    ],
)
def test_a_handler_that_cannot_be_awaited_is_refused_at_once(handle: Any, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"handle must be a coroutine function, not {name}: write"):
        webhooks.Receiver(SECRET).app(handle)


async def deliver_to(app: Any) -> tuple[int, Any]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport) as http:
        return await Caller("http://receiver", http).deliver(delivery())


async def test_a_handler_may_be_anything_that_is_awaited() -> None:
    async def handle(events: list[int | None], event: webhooks.Event) -> None:
        events.append(event.event_id)

    @functools.wraps(handle)
    def decorated(events: list[int | None], event: webhooks.Event) -> Any:
        return handle(events, event)

    def annotated(event: webhooks.Event) -> Awaitable[None]:
        return handle(events, event)

    def annotated_in_words(event: webhooks.Event) -> "asyncio.Task[None]":
        return asyncio.ensure_future(handle(events, event))

    events: list[int | None] = []
    mock = AsyncMock()
    queue: asyncio.Queue[webhooks.Event] = asyncio.Queue()
    for taken in (
        functools.partial(handle, events),
        functools.partial(decorated, events),
        annotated,
        annotated_in_words,
        lambda event: handle(events, event),
        queue.put,
        mock,
        Handled(),
    ):
        assert await deliver_to(webhooks.Receiver(SECRET).app(taken)) == (200, {})
    assert (events, mock.await_count, queue.qsize()) == ([7] * 5, 1, 1)


async def test_a_lambda_that_returns_nothing_to_await_is_told_by_the_application() -> None:
    said = "handle must be a coroutine function, or return an awaitable: it returned NoneType"
    with pytest.raises(InvalidInput, match=said):
        await deliver_to(webhooks.Receiver(SECRET).app(lambda event: None))  # type: ignore[arg-type,return-value]


async def test_a_store_may_hand_on_what_is_awaited() -> None:
    class Handing:
        def __init__(self) -> None:
            self.kept = webhooks.SeenInMemory()

        def has(self, key: str) -> Awaitable[bool]:
            return self.kept.has(key)

        def add(self, key: str) -> Coroutine[Any, Any, None]:
            return self.kept.add(key)

    handle = Handled()
    app = webhooks.Receiver(SECRET, seen=Handing()).app(handle)
    assert [await deliver_to(app) for _ in range(2)] == [(200, {})] * 2
    assert len(handle.events) == 1

    class Forgetful(Handing):
        has = add = staticmethod(lambda key: None)  # type: ignore[assignment]

    with pytest.raises(InvalidInput, match=r"seen\.has must be a coroutine function"):
        await deliver_to(webhooks.Receiver(SECRET, seen=Forgetful()).app(handle))  # type: ignore[arg-type]


@pytest.mark.parametrize("receiver", [None, SECRET, webhooks.Receiver])
def test_a_dependency_is_made_of_a_receiver(receiver: Any) -> None:
    with pytest.raises(InvalidInput, match="receiver must be a Receiver, not "):
        deliveries(receiver)


def test_a_signature_that_is_not_text_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidInput, match="the signature must be the text of a header, not bytes"):
        webhooks.receive(b"sha256=", b"{}", SECRET)  # type: ignore[arg-type]


@pytest.mark.jump
async def test_a_body_that_never_ends_is_refused_in_time(framework: Any, handle: Handled) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    sent: list[Any] = []
    chunks = aiter(body())

    async def receive() -> Any:
        return {"type": "http.request", "body": await anext(chunks), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/toggl", "query_string": b"", "headers": []}
    began = asyncio.get_running_loop().time()
    await framework(webhooks.Receiver(SECRET, timeout=20), handle)(scope, receive, send)
    assert asyncio.get_running_loop().time() - began == pytest.approx(20)
    assert sent[0]["status"] == 408
    assert b"did not arrive within 20 s" in sent[1]["body"]


async def test_a_body_that_never_ends_is_refused_over_a_socket(app_in_no_time: Any) -> None:
    async with served(app_in_no_time) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writer.write(b"POST /toggl HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{")
        assert b" 408 " in await reader.readline()
        writer.close()


@pytest.fixture
def app_in_no_time(framework: Any, handle: Handled) -> Any:
    return framework(webhooks.Receiver(SECRET, timeout=0.01), handle)


@pytest.mark.jump
async def test_memory_forgets_after_a_week_and_what_is_too_much() -> None:
    seen = webhooks.SeenInMemory(limit=2)
    await seen.add("a")
    await asyncio.sleep(24 * 3600)
    await seen.add("b")
    await seen.add("a")
    assert await seen.has("a")
    await seen.add("c")
    assert [await seen.has(key) for key in "abc"] == [True, False, True]
    await asyncio.sleep(7 * 24 * 3600)
    assert [await seen.has(key) for key in "abc"] == [False, False, False]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGGL_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TOGGL_WEBHOOK_ADDRESS", ADDRESS)


def program(number: int) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": f"program_{number}"}
    exec(compile(PROGRAMS[number], "webhooks.md", "exec"), module)
    return module


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, "created time_entry in workspace 3\nReading\n"),
        (1, "created\n"),
        (2, "created\n"),
        (4, "created time_entry\n"),
    ],
)
async def test_the_documented_receivers_work(
    number: int, printed: str, environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    app = program(number)["app"]
    async with served(app) as address, httpx.AsyncClient(trust_env=False) as http:
        toggl = Caller(address, http)  # at /toggl, as documented; it follows no redirection
        assert await toggl.deliver(ping(validation_code="c-1")) == (200, {"validation_code": "c-1"})
        for _ in range(2):
            assert (await toggl.deliver(delivery()))[0] == 200
    assert capsys.readouterr().out == printed


async def test_the_documented_store_outlives_its_process(tmp_path: Path) -> None:
    store = program(5)["SeenInTable"]
    for events in ([], ["Reading"]):
        handle = Handled()
        receiver = webhooks.Receiver(SECRET, seen=store(str(tmp_path / "seen.sqlite")))
        transport = httpx.ASGITransport(receiver.app(handle))
        async with httpx.AsyncClient(transport=transport) as http:
            assert await Caller("http://receiver", http).deliver(delivery()) == (200, {})
        assert len(handle.events) == (0 if events else 1)


def test_a_delivery_can_be_taken_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    deliver, body = program(6)["deliver"], delivery()
    assert deliver(webhooks.sign(body, SECRET), body, SECRET, ADDRESS) == (200, {})
    assert deliver(None, body, SECRET, ADDRESS)[0] == 403
    assert capsys.readouterr().out.startswith("9:7 ")
    assert len(PROGRAMS) == 8


async def test_the_documented_test_of_a_receiver_passes(capsys: pytest.CaptureFixture[str]) -> None:
    await program(7)["test_an_event_is_handled_once"]()
    assert capsys.readouterr().out == ""


def test_without_the_extra_one_sentence_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "toggl_async.webhooks.fastapi")
    with pytest.raises(ModuleNotFoundError, match=r"needs the extra 'fastapi': python -m pip install"):
        importlib.import_module("toggl_async.webhooks.fastapi")
