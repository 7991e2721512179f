"""Middleware: what it sees and may change, once a call and once an attempt; and what it may not."""

import asyncio
import datetime as dt
import gzip
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.support_wire import QUICK, TOKEN, Received, answer, raw_server
from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    InvalidInput,
    LoginRefused,
    Middleware,
    Pace,
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
        if left:
            raise left.pop()
        return await send(request)

    async with raw_server(answers()) as server, server.client(middleware=[Attempts(fail)]) as toggl:
        with pytest.raises(ConnectionFailed, match="no route") as caught:
            await toggl.request("POST", TAGS)
        assert isinstance(caught.value.__cause__, OSError)
        assert await toggl.request("GET", TAGS) == []
        assert toggl.stats().retried == 1


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
    "another path": (Calls(changed(url="https://api.track.toggl.com/api/v9/me")), "changed the (host|path)"),
    "credentials of its own": (Calls(changed(headers={"Authorization": "Basic x"})), "the credentials"),
    "a cookie": (Calls(changed(headers={"Cookie": "a=b"})), "changed the credentials"),
    "other credentials": (Attempts(changed(headers={"Authorization": "Basic x"})), "the credentials"),
    "another body": (Attempts(changed(stream=httpx.ByteStream(b"{}"))), "changed the body"),
    "no request": (Calls(send_nothing), "sent on a NoneType, not an httpx.Request"),
    "no answer": (Calls(nothing), r"Calls.call returned NoneType, not an httpx.Response"),
    "no answer to an attempt": (Attempts(nothing), r"Attempts.attempt returned NoneType"),
    "a body that is gone": (Attempts(consume), "consumed the body of an answer"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_bypass_the_scheduler_is_refused(name: str) -> None:
    middleware, message = REFUSED[name]
    async with raw_server(answers()) as server, server.client(middleware=[middleware]) as toggl:
        with pytest.raises(InvalidInput, match=message) as caught:
            await toggl.request("GET", TAGS)
        assert TOKEN not in str(caught.value)
        (account,) = toggl.stats().accounts or [None]
        assert account is None or (account.in_flight, account.waiting) == (0, 0)
    assert len(server.received) <= 1


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
