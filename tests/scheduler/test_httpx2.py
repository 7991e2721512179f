"""httpx2: its transports under our scheduler, our scheduler under its clients, over real sockets."""

import asyncio
import datetime as dt
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import attrs
import httpx
import httpx2
import pytest

from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    InvalidInput,
    Pace,
    RequestTimeout,
    Retry,
    ScheduledTransport,
    Scheduler,
    TogglClient,
    WrongEventLoop,
)
from toggl_async.sandbox import SMALL, Fault, Sandbox, SandboxOptions, serve
from toggl_async.scheduler.core.outcome import Attempted
from toggl_async.scheduler.core.route import facts_of

pytestmark = pytest.mark.anyio

QUICK = ClientOptions(pace=Pace(interval=0), retry=Retry(attempts=3, minimum=0.0, maximum=0.0))


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with serve(SandboxOptions(size=SMALL, interval=0.0)) as sandbox:
        yield sandbox


def client_of(sandbox: Sandbox, **options: Any) -> TogglClient:
    given = {"base_url": sandbox.base_url, "options": QUICK, "transport": httpx2.AsyncHTTPTransport()}
    return TogglClient(ApiToken(sandbox.api_token), **{**given, **options})


def web_client(sandbox: Sandbox, transport: ScheduledTransport, **options: Any) -> httpx2.AsyncClient:
    # What httpx2's client needs of a transport is there; that it isn't a subclass matters to type checkers.
    given = cast(httpx2.AsyncBaseTransport, transport)
    auth = (sandbox.api_token, "api_token")
    return httpx2.AsyncClient(transport=given, base_url=sandbox.base_url, auth=auth, **options)


async def test_its_transport_sends_our_requests(sandbox: Sandbox, tmp_path: Path) -> None:
    async with client_of(sandbox) as toggl:
        me = await toggl.me.get()
        workspace = toggl.workspace(me.default_workspace_id)
        tag = await workspace.tags.create(name="Łukasz & söhne?")
        assert tag.id in {one.id for one in await workspace.tags.list()}
        picture = tmp_path / "portrait.png"
        picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100_000))
        assert (await toggl.me.avatar.upload(file=picture)).avatar_urls is not None
        report = workspace.reports.weekly.csv(start_date=dt.date(2026, 3, 2), end_date=dt.date(2026, 3, 8))
        content = await report
        assert await report.save(tmp_path / "week.csv") == len(content)
        assert (tmp_path / "week.csv").read_bytes() == content
    assert sandbox.counts.refused[429] == 0


async def test_the_pace_is_counted_from_its_sends(sandbox: Sandbox) -> None:
    """Its traces say when a request leaves, as httpx's do."""
    async with client_of(sandbox) as toggl:
        await toggl.me.get()
        assert toggl.stats().sent == 1


async def test_a_write_that_never_left_is_sent_again_and_one_that_may_have_is_not(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as toggl:
        me = await toggl.me.get()
        sandbox.order(Fault(reset=True), route="POST /api/v9/workspaces/{workspace_id}/tags")
        with pytest.raises(ConnectionFailed) as lost:
            await toggl.workspace(me.default_workspace_id).tags.create(name="x")
        assert lost.value.maybe_applied
        assert isinstance(lost.value.__cause__, httpx.RequestError)
        assert isinstance(lost.value.__cause__.__cause__, httpx2.RequestError)
        sandbox.order(Fault(cut=True), route="GET /api/v9/me/tags")
        assert await toggl.me.tags.list()
    async with client_of(sandbox, base_url="http://127.0.0.1:1") as nobody:
        with pytest.raises(ConnectionFailed) as refused:
            await nobody.workspace(1).tags.create(name="x")
        assert not refused.value.maybe_applied


async def test_our_scheduler_serves_its_client(sandbox: Sandbox) -> None:
    async with Scheduler(QUICK) as scheduler:
        transport = ScheduledTransport(scheduler=scheduler)
        async with web_client(sandbox, transport) as http:
            sandbox.order(Fault(status=502), route="GET /api/v9/me")
            answer = await http.get("/api/v9/me")
            assert isinstance(answer, httpx2.Response)
            attempted = answer.extensions["toggl_async"]
            assert isinstance(attempted, Attempted)
            assert (answer.status_code, attempted.attempts) == (200, 2)
            assert answer.json()["email"] == sandbox.email
            workspace_id = answer.json()["default_workspace_id"]

            async def body() -> AsyncIterator[bytes]:
                yield b'{"name": '
                yield b'"in pieces"}'

            made = await http.post(f"/api/v9/workspaces/{workspace_id}/tags", content=body())
            assert made.json()["name"] == "in pieces"
            async with http.stream("GET", "/api/v9/me/tags") as streamed:
                pieces = [piece async for piece in streamed.aiter_bytes()]
            assert b"in pieces" in b"".join(pieces)
            with pytest.raises(ConnectionFailed):
                await http.get("http://127.0.0.1:1/api/v9/me")
        assert scheduler.stats().sent == 4


async def test_a_streamed_body_is_told_of_in_the_words_of_its_reader(sandbox: Sandbox) -> None:
    facts = attrs.evolve(facts_of("GET", b"/api/v9/me/tags"), streams=True)
    extensions = {"toggl_async": facts}
    for inner in (httpx2.AsyncHTTPTransport(), None):
        async with web_client(sandbox, ScheduledTransport(inner, options=QUICK)) as http:
            async with http.stream("GET", "/api/v9/me/tags", extensions=extensions) as streamed:
                assert await streamed.aread()
            sandbox.order(Fault(cut=True), route="GET /api/v9/me/tags")
            async with http.stream("GET", "/api/v9/me/tags", extensions=extensions) as streamed:
                with pytest.raises(httpx2.RequestError):
                    await streamed.aread()


async def test_a_transport_that_wraps_one_of_httpx_raises_what_that_raises() -> None:
    class Wrapped(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx.ReadTimeout("slow")

    async with TogglClient(ApiToken("a" * 32), transport=Wrapped(), options=QUICK) as toggl:
        with pytest.raises(RequestTimeout) as lost:
            await toggl.me.tags.list()
        assert isinstance(lost.value.__cause__, httpx.ReadTimeout)


async def test_a_transport_that_returns_no_answer_lost_it() -> None:
    class Odd(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return None  # type: ignore[return-value]

    async with TogglClient(ApiToken("a" * 32), transport=Odd(), options=QUICK) as toggl:
        with pytest.raises(ConnectionFailed, match="the transport returned NoneType, not a Response"):
            await toggl.me.get()


async def test_no_error_leads_to_the_credentials() -> None:
    class Broken(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadError("broken", request=request)

    async with TogglClient(ApiToken("a" * 32), transport=Broken(), options=QUICK) as toggl:
        with pytest.raises(ConnectionFailed) as lost:
            await toggl.workspace(1).tags.create(name="x")
    cause: BaseException | None = lost.value
    while cause is not None:
        request = getattr(cause, "_request", None)
        assert request is None or "authorization" not in request.headers
        cause = cause.__cause__


async def test_both_ways_at_once(sandbox: Sandbox) -> None:
    inner = httpx2.AsyncHTTPTransport()
    async with web_client(sandbox, ScheduledTransport(inner, options=QUICK)) as http:
        assert (await http.get("/api/v9/me/tags")).status_code == 200


@pytest.mark.parametrize(
    "given",
    [httpx2.HTTPTransport(), httpx2.AsyncHTTPTransport, httpx2.Client, 5],
    ids=["synchronous", "class", "client", "number"],
)
async def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="transport must be asynchronous"):
        TogglClient(ApiToken("a" * 32), transport=given)


async def test_requests_of_others_are_refused() -> None:
    transport: Any = ScheduledTransport()
    with pytest.raises(
        InvalidInput, match=r"requests of httpx or httpx2, not of type urllib\.request\.Request"
    ):
        await transport.handle_async_request(urllib.request.Request("https://track.toggl.com"))
    await transport.aclose()


def answered(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json=[])


def test_another_loop() -> None:
    """Its own begins anew, its mocks have nothing to begin, others are refused."""

    class Other(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return answered(request)

    mock, other = (
        TogglClient(ApiToken("a" * 32), transport=transport, options=QUICK)
        for transport in (httpx2.MockTransport(answered), Other())
    )
    for _ in range(2):
        assert asyncio.run(own_tags(mock)) == []
    assert asyncio.run(own_tags(other)) == []
    with pytest.raises(WrongEventLoop, match="this Other has connections of another event loop"):
        asyncio.run(own_tags(other))


async def own_tags(toggl: TogglClient) -> list[Any]:
    return list(await toggl.me.tags.list())


def test_without_it_nothing_changes() -> None:
    """httpx2 is imported by programs that have it, never by the library."""
    program = (
        "import asyncio, sys, httpx\n"
        "from toggl_async import *\n"
        "from toggl_async import ApiToken, InvalidInput, ScheduledTransport, TogglClient\n"
        "TogglClient(ApiToken('a' * 32), transport=httpx.MockTransport(lambda _: httpx.Response(200)))\n"
        "assert 'httpx2' not in sys.modules\n"
        "try:\n    ScheduledTransport().handle_async_request(5)\n"
        "except InvalidInput as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "ScheduledTransport takes requests of httpx or httpx2, not of type builtins.int\n"


def test_in_the_place_of_httpx() -> None:
    program = (
        "import httpx, httpx2\n"
        "assert httpx is httpx2\n"
        "from toggl_async import ApiToken, TogglClient\n"
        "mock = httpx2.MockTransport(lambda _: httpx2.Response(200, json=[]))\n"
        "toggl = TogglClient(ApiToken('a' * 32), transport=mock)\n"
        "import asyncio\n"
        "print(asyncio.run(toggl.me.tags.list()))\n"
    )
    aliased = Path(__file__).parents[1] / "support" / "aliased"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(aliased)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "[]\n"
