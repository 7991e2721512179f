"""Middleware: what it sees and may change, once a call and once an attempt; and what it may not."""

import asyncio
import datetime as dt
import gzip
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from support.support_wire import QUICK, TOKEN, Received, answer, raw_server
from toggl_async import (
    ApiToken,
    ClientClosed,
    ClientOptions,
    ConnectionFailed,
    InvalidInput,
    LoginRefused,
    Middleware,
    Pace,
    RequestFailed,
    RequestTimeout,
    Retry,
    Scheduler,
    Send,
    ServerError,
    TogglClient,
    TogglError,
    capture_responses,
)

pytestmark = pytest.mark.anyio

TAGS = "/api/v9/workspaces/3/tags"
Do = Callable[[httpx.Request, Send], Any]


class Calls(Middleware):
    """Does as a function does, once a call."""

    def __init__(self, do: Do) -> None:
        self.do = do

    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        response: httpx.Response = await self.do(request, send)
        return response


class Attempts(Middleware):
    """Does as a function does, once an attempt."""

    def __init__(self, do: Do) -> None:
        self.do = do

    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        response: httpx.Response = await self.do(request, send)
        return response


class Noting(Middleware):
    """Notes what it sees, and marks the request."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        return await self.note("call", request, send)

    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        return await self.note("attempt", request, send)

    async def note(self, what: str, request: httpx.Request, send: Send) -> httpx.Response:
        knows = "authorization" in request.headers
        self.notes.append(f"{self.name}.{what}{' with credentials' if knows else ''}")
        request.headers["X-Path"] = f"{request.headers.get('X-Path', '')},{self.name}.{what}"
        response = await send(request)
        self.notes.append(f"{self.name}.{what}: {response.status_code}")
        assert ("authorization" in request.headers) is knows
        return response


def answers(*status: int) -> Callable[[Received], bytes]:
    left = list(status)
    return lambda _: answer(left.pop(0) if left else 200, [])


async def test_each_sees_a_call_once_and_every_attempt_at_it() -> None:
    notes: list[str] = []
    middleware = [Noting("a", notes), Noting("b", notes)]
    async with raw_server(answers(503, 200)) as server, server.client(middleware=middleware) as toggl:
        assert await toggl.request("GET", TAGS) == []
    attempt = ["a.attempt with credentials", "b.attempt with credentials"]
    assert notes == [
        *("a.call", "b.call"),
        *(*attempt, "b.attempt: 503", "a.attempt: 503"),
        *(*attempt, "b.attempt: 200", "a.attempt: 200"),
        *("b.call: 200", "a.call: 200"),
    ]
    paths = [received.headers["x-path"] for received in server.received]
    assert paths == [",a.call,b.call,a.attempt,b.attempt"] * 2


async def test_one_that_overrides_nothing_changes_nothing() -> None:
    async with raw_server(answers()) as server, server.client(middleware=[Middleware()]) as toggl:
        assert await toggl.request("GET", TAGS) == []


async def test_a_method_that_is_not_overridden_sends() -> None:
    def send(_request: httpx.Request) -> Any:
        return asyncio.sleep(0, httpx.Response(204))

    request = httpx.Request("GET", "https://example.com")
    for method in (Middleware().call, Middleware().attempt):
        assert (await method(request, send)).status_code == 204


async def test_query_and_body_of_a_call_may_be_changed() -> None:
    async def change(request: httpx.Request, send: Send) -> httpx.Response:
        url = request.url.copy_merge_params({"meta": "true"})
        headers = {"Content-Type": "application/json"}
        return await send(httpx.Request("POST", url, content=b'{"name":"b"}', headers=headers))

    async with raw_server(answers()) as server, server.client(middleware=[Calls(change)]) as toggl:
        await toggl.request("POST", TAGS, json={"name": "a"})
    (received,) = server.received
    assert (received.target, received.body) == (f"{TAGS}?meta=true", b'{"name":"b"}')
    assert received.headers["authorization"]


async def test_a_call_may_be_answered_without_a_request() -> None:
    async def answer_it(_request: httpx.Request, _send: Send) -> httpx.Response:
        return httpx.Response(200, json=[{"id": 1, "workspace_id": 3, "name": "kept"}])

    async with raw_server(answers()) as server, server.client(middleware=[Calls(answer_it)]) as toggl:
        with capture_responses() as captured:
            (tag,) = await toggl.workspace(3).tags.list()
    assert tag.name == "kept"
    assert [(one.attempts, one.waited) for one in captured] == [(0, 0.0)]
    assert server.received == []


async def test_an_answer_in_place_of_another_is_told_as_that_was_come_by() -> None:
    async def shout(request: httpx.Request, send: Send) -> httpx.Response:
        response = await send(request)
        return httpx.Response(response.status_code, content=(await response.aread()).upper())

    refusal = answer(403, b'"incorrect username or password"')
    async with raw_server(lambda _: refusal) as server, server.client(middleware=[Calls(shout)]) as toggl:
        with capture_responses() as captured, pytest.raises(LoginRefused, match="incorrect username"):
            await toggl.me.get()
    assert captured[0].attempts == 1
    assert captured[0].body == b'"INCORRECT USERNAME OR PASSWORD"'


@pytest.mark.jump
async def test_what_a_call_sends_again_takes_a_turn_of_its_own() -> None:
    sent: list[float] = []

    def respond(_request: httpx.Request) -> httpx.Response:
        sent.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=len(sent))

    async def twice(request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        return await send(request)

    transport = httpx.MockTransport(respond)
    options = ClientOptions(pace=Pace(interval=10, margin=0))
    async with TogglClient(
        ApiToken(TOKEN), transport=transport, options=options, middleware=[Calls(twice)]
    ) as toggl:
        assert await toggl.request("GET", TAGS) == 2
    assert sent[1] - sent[0] == pytest.approx(10)


async def test_an_attempt_may_be_answered_for_a_turn() -> None:
    """As a test of one's own program does that wants a server to fail."""
    left = [503, 429]

    async def fail(request: httpx.Request, send: Send) -> httpx.Response:
        return httpx.Response(left.pop()) if left else await send(request)

    async with raw_server(answers()) as server, server.client(middleware=[Attempts(fail)]) as toggl:
        assert await toggl.request("GET", TAGS) == []
        stats = toggl.stats()
    assert len(server.received) == 1
    assert (stats.sent, stats.throttled, stats.retried) == (3, 1, 2)


@pytest.mark.jump
async def test_a_turn_that_was_answered_keeps_its_distance() -> None:
    async def fail(request: httpx.Request, _send: Send) -> httpx.Response:
        at.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=[])

    at: list[float] = []
    options = ClientOptions(pace=Pace(interval=10, margin=0))
    async with TogglClient(ApiToken(TOKEN), options=options, middleware=[Attempts(fail)]) as toggl:
        for _ in range(3):
            await toggl.request("GET", TAGS)
    assert [round(later - at[0]) for later in at] == [0, 10, 20]


async def test_what_an_attempt_raises_is_a_connection_lost() -> None:
    left = [OSError("no route"), OSError("no route")]

    async def fail(request: httpx.Request, send: Send) -> httpx.Response:
        answer = await send(request)
        if left:
            raise left.pop()
        return answer

    async with raw_server(answers()) as server, server.client(middleware=[Attempts(fail)]) as toggl:
        with pytest.raises(ConnectionFailed, match="no route") as caught:
            await toggl.request("POST", TAGS)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.maybe_applied
        assert await toggl.request("GET", TAGS) == []
        assert toggl.stats().retried == 1
    assert [received.method for received in server.received] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("transport", [None, httpx.MockTransport(lambda _: httpx.Response(200, json=[]))])
async def test_what_an_attempt_raises_before_it_sends_has_sent_nothing(transport: Any) -> None:
    left = [OSError("no route")] * 4

    async def fail(request: httpx.Request, send: Send) -> httpx.Response:
        if left:
            raise left.pop()
        return await send(request)

    middleware = [Attempts(fail)]
    async with (
        raw_server(answers()) as server,
        server.client(middleware=middleware, transport=transport) as toggl,
    ):
        with pytest.raises(ConnectionFailed, match="no route") as caught:
            await toggl.request("POST", TAGS)
        assert not caught.value.maybe_applied
        assert server.received == []
        assert await toggl.request("POST", TAGS) == []  # sent again by itself, as nothing was sent
        assert toggl.stats().retried == 3


class Busy(Middleware):
    """Is busy before it sends an attempt, after, or both, until it is ended."""

    def __init__(self, *when: str, seconds: float = 7 * 24 * 3600.0, read: bool = False) -> None:
        self.seconds = [seconds if one in when else 0.0 for one in ("before", "after")]
        self.read = read
        self.began = asyncio.Event()
        self.ended = 0

    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        before, after = self.seconds
        try:
            if before:
                self.began.set()
                await asyncio.sleep(before)
            response = await send(request)
            if self.read:
                await response.aread()
            if after:
                self.began.set()
                await asyncio.sleep(after)
        finally:
            self.ended += 1
        return response


@pytest.mark.parametrize(
    ("method", "when", "error", "maybe_applied"),
    [
        ("GET", "before", ClientClosed, None),
        ("GET", "after", ClientClosed, None),
        ("POST", "before", ClientClosed, None),  # nothing was sent
        ("POST", "after", ConnectionFailed, True),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
async def test_closing_the_client_ends_a_busy_attempt(
    method: str, when: str, error: type[TogglError], maybe_applied: bool | None, shared: bool
) -> None:
    busy = Busy(when)
    async with raw_server(answers()) as server, Scheduler(QUICK) as scheduler:
        toggl = TogglClient(
            ApiToken(TOKEN),
            base_url=server.url,
            middleware=[busy],
            options=None if shared else QUICK,
            scheduler=scheduler if shared else None,
        )
        call = asyncio.create_task(toggl.request(method, TAGS))
        await busy.began.wait()
        await toggl.aclose()
        with pytest.raises(error) as caught:
            await call
        assert getattr(caught.value, "maybe_applied", None) is maybe_applied
    assert busy.ended == 1


async def test_closing_the_client_ends_an_attempt_once_it_is_back_from_the_wire() -> None:
    arrived = asyncio.Event()

    async def never(_: Received) -> bytes:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def stubborn(request: httpx.Request, send: Send) -> httpx.Response:
        try:
            return await send(request)
        except httpx.HTTPError:
            await asyncio.Event().wait()
            raise

    async with raw_server(never) as server:
        toggl = server.client(middleware=[Attempts(stubborn)])
        call = asyncio.create_task(toggl.request("POST", TAGS))
        await arrived.wait()
        await toggl.aclose()
        with pytest.raises(ConnectionFailed) as caught:
            await call
        assert caught.value.maybe_applied


@pytest.mark.jump
@pytest.mark.parametrize(("when", "maybe_applied"), [("before", False), ("after", True)])
async def test_a_busy_attempt_is_bounded_by_the_timeout(when: str, maybe_applied: bool) -> None:
    busy = Busy(when)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[]))
    options = ClientOptions(timeout=7, pace=Pace(interval=0), retry=Retry(attempts=1))
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=options, middleware=[busy]) as toggl:
        began = asyncio.get_running_loop().time()
        with pytest.raises(RequestTimeout, match="middleware took longer than 7 s") as caught:
            await toggl.request("POST", TAGS)
        assert asyncio.get_running_loop().time() - began == pytest.approx(7)
        assert caught.value.maybe_applied is maybe_applied
        with pytest.raises(RequestTimeout):
            await toggl.request("GET", TAGS)
        assert toggl.stats().accounts[0].in_flight == 0


@pytest.mark.jump
async def test_what_the_wire_takes_is_no_time_of_middleware() -> None:
    """Neither the answer nor its body, whose chunks come slowly; nor is there a limit where none is set."""

    async def body() -> AsyncIterator[bytes]:
        for byte in (b"[", b"1", b"]"):
            await asyncio.sleep(6)
            yield byte

    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200, content=body())

    transport = httpx.MockTransport(respond)
    for timeout, busy in [
        (7.0, Busy("before", "after", seconds=5, read=True)),
        (7.0, Busy("before", "after", seconds=5)),
        (None, Busy("before")),
    ]:
        options = ClientOptions(timeout=timeout, pace=Pace(interval=0))
        async with TogglClient(
            ApiToken(TOKEN), transport=transport, options=options, middleware=[busy]
        ) as toggl:
            assert await toggl.request("GET", TAGS) == [1]


async def test_what_a_call_raises_reaches_the_caller_as_it_is() -> None:
    async def fail(request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        raise ZeroDivisionError

    async with raw_server(answers()) as server, server.client(middleware=[Calls(fail)]) as toggl:
        with pytest.raises(ZeroDivisionError):
            await toggl.request("GET", TAGS)
        day = dt.date(2026, 5, 1)
        with pytest.raises(ZeroDivisionError):
            async with toggl.workspace(3).reports.weekly.csv(start_date=day, end_date=day).stream():
                pass
        assert toggl.stats().accounts[0].in_flight == 0


@pytest.mark.parametrize("kind", [Calls, Attempts])
@pytest.mark.parametrize("coding", ["gzip", None])
async def test_a_body_that_was_read_is_handed_on(kind: type[Calls | Attempts], coding: str | None) -> None:
    async def read(request: httpx.Request, send: Send) -> httpx.Response:
        response = await send(request)
        seen.append(await response.aread())
        return response

    content = b"a,b\n1,2\n"
    headers = {"Content-Type": "text/csv"} | ({"Content-Encoding": coding} if coding else {})
    reply = answer(200, gzip.compress(content) if coding else content, headers)
    seen: list[bytes] = []
    day = dt.date(2026, 5, 1)
    async with raw_server(lambda _: reply) as server, server.client(middleware=[kind(read)]) as toggl:
        download = toggl.workspace(3).reports.weekly.csv(start_date=day, end_date=day)
        assert await download == content
        async with download.stream() as chunks:
            assert b"".join([chunk async for chunk in chunks]) == content
    assert seen == [content, content]


async def test_an_answer_may_have_a_body_of_any_kind() -> None:
    async def later() -> Any:
        yield b"[1"
        yield b"]"

    bodies: list[Any] = [later(), iter([b"[1", b"]"]), b"[1]"]

    async def make(_request: httpx.Request, _send: Send) -> httpx.Response:
        return httpx.Response(200, content=bodies.pop())

    async with raw_server(answers()) as server, server.client(middleware=[Calls(make)]) as toggl:
        for _ in range(3):
            assert await toggl.request("GET", TAGS) == [1]


async def test_an_answer_that_another_replaces_is_closed() -> None:
    async def replace(request: httpx.Request, send: Send) -> httpx.Response:
        sent.append(await send(request))
        return httpx.Response(200, json=[])

    sent: list[httpx.Response] = []
    async with raw_server(answers()) as server, server.client(middleware=[Attempts(replace)]) as toggl:
        await toggl.request("GET", TAGS)
        await toggl.request("GET", TAGS)
    assert [response.is_closed for response in sent] == [True, True]


def changed(**fields: Any) -> Do:
    async def change(request: httpx.Request, send: Send) -> httpx.Response:
        known = {"method": request.method, "url": request.url, "headers": request.headers}
        return await send(httpx.Request(**{**known, "stream": request.stream, **fields}))

    return change


async def twice(request: httpx.Request, send: Send) -> httpx.Response:
    await send(request)
    return await send(request)


async def nothing(_request: httpx.Request, _send: Send) -> None:
    return None


def synchronous(_request: httpx.Request, _send: Send) -> httpx.Response:
    return httpx.Response(200)


class SynchronousCalls(Middleware):
    call = staticmethod(synchronous)  # type: ignore[assignment]


class SynchronousAttempts(Middleware):
    attempt = staticmethod(synchronous)  # type: ignore[assignment]


async def send_nothing(_request: httpx.Request, send: Any) -> Any:
    return await send(None)


async def consume(request: httpx.Request, send: Send) -> httpx.Response:
    response = await send(request)
    async for _ in response.aiter_raw():
        pass
    return response


REFUSED: dict[str, tuple[Middleware, str]] = {
    "an attempt sent twice": (Attempts(twice), "sent one attempt twice"),
    "another method": (Calls(changed(method="PUT")), "changed the method"),
    "another host": (Calls(changed(url=f"https://example.com{TAGS}")), "changed the host"),
    "another Host header": (Calls(changed(headers={"Host": "example.com"})), "changed the Host header"),
    "another Host in an attempt": (
        Attempts(changed(headers={"Host": "a.b"})),
        "changed the Host header of a",
    ),
    "a synchronous call": (SynchronousCalls(), "synchronous is not a coroutine function: write `async def`"),
    "a synchronous attempt": (SynchronousAttempts(), "synchronous is not a coroutine function"),
    "another path": (Calls(changed(url="https://api.track.toggl.com/api/v9/me")), "changed the (host|path)"),
    "credentials of its own": (Calls(changed(headers={"Authorization": "Basic x"})), "the credentials"),
    "a cookie": (Calls(changed(headers={"Cookie": "a=b"})), "changed the credentials"),
    "other credentials": (Attempts(changed(headers={"Authorization": "Basic x"})), "the credentials"),
    "another body": (
        Attempts(changed(stream=httpx.ByteStream(b"{}"))),
        "the body of an attempt: .* in `call` instead",
    ),
    "no request": (Calls(send_nothing), "sent on a NoneType, not an httpx.Request"),
    "no answer": (Calls(nothing), r"Calls.call returned NoneType, not an httpx.Response"),
    "no answer to an attempt": (Attempts(nothing), r"Attempts.attempt returned NoneType"),
    "a body that is gone": (Attempts(consume), "consumed the body of an answer"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_bypass_the_scheduler_is_refused(name: str) -> None:
    middleware, message = REFUSED[name]
    async with raw_server(answers()) as server, server.client(middleware=[middleware]) as toggl:
        with pytest.raises((InvalidInput, RequestFailed), match=message) as caught:
            await toggl.request("GET", TAGS)
        assert TOKEN not in str(caught.value)
        assert isinstance(caught.value, RequestFailed) is bool(server.received)
        (account,) = toggl.stats().accounts or [None]
        assert account is None or (account.in_flight, account.waiting) == (0, 0)
    assert len(server.received) <= 1


async def test_another_query_in_an_attempt_is_refused_with_its_reason() -> None:
    async def change(request: httpx.Request, send: Send) -> httpx.Response:
        request.url = request.url.copy_merge_params({"meta": "true"})
        return await send(request)

    async with raw_server(answers()) as server, server.client(middleware=[Attempts(change)]) as toggl:
        with pytest.raises(InvalidInput, match=r"the query of an attempt: .* in `call` instead"):
            await toggl.request("GET", TAGS)
    assert server.received == []


@pytest.mark.parametrize(
    ("given", "message"),
    [(print, "not builtin_function_or_method"), (Middleware, "not the class Middleware")],
)
async def test_what_is_no_middleware_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"must be instances of Middleware, {message}"):
        TogglClient(ApiToken(TOKEN), middleware=[given])


async def test_no_error_leads_to_the_credentials() -> None:
    notes: list[str] = []
    middleware = [Noting("a", notes), Noting("b", notes)]

    def look(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    transport = httpx.MockTransport(look)
    async with TogglClient(
        ApiToken(TOKEN), transport=transport, options=QUICK, middleware=middleware
    ) as toggl:
        with pytest.raises(TogglError) as caught:
            await toggl.request("POST", TAGS)
    secret = ApiToken(TOKEN).headers()["Authorization"]
    error: BaseException | None = caught.value
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, httpx.Request):
                    assert secret not in value.headers.values()
        error = error.__cause__


async def test_a_server_error_comes_as_without_middleware() -> None:
    async with raw_server(answers(500)) as server, server.client(middleware=[Noting("a", [])]) as toggl:
        with pytest.raises(ServerError) as caught:
            await toggl.request("POST", TAGS)
    assert caught.value.maybe_applied


async def test_an_upload_passes_through() -> None:
    received: list[str] = []
    middleware = [Noting("a", received)]
    async with raw_server(answers()) as server, server.client(middleware=middleware) as toggl:
        avatar = toggl.me.avatar.upload(file=("a.png", b"a picture", "image/png"))
        with pytest.raises(TogglError):
            await avatar  # what was answered is no avatar
    assert b"a picture" in server.received[0].body


async def test_a_transport_that_returns_nothing_is_not_taken_for_middleware() -> None:
    class Odd(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return None  # type: ignore[return-value]

    middleware = [Noting("a", [])]
    async with TogglClient(ApiToken(TOKEN), transport=Odd(), options=QUICK, middleware=middleware) as toggl:
        with pytest.raises(ConnectionFailed, match="the transport returned NoneType, not a Response"):
            await toggl.request("POST", TAGS)
