"""What a network does to requests, over real sockets: breaks, stalls, proxies, TLS and HTTP/2."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import httpx
import pytest

from support.loopback import listening
from support.model import NGINX
from support.servers import Asked, http_proxy, http_server
from toggl_async import errors
from toggl_async.options import ClientOptions, Cooldown, Pace, Retry
from toggl_async.scheduler import (
    EXTENSION,
    Lane,
    Reason,
    RequestFacts,
    ScheduledTransport,
    Scheduler,
    SchedulerEvent,
    events,
)

pytestmark = pytest.mark.anyio

OPTIONS = ClientOptions(
    pace=Pace(interval=0.002),
    retry=Retry(attempts=3, minimum=0.0, maximum=0.004),
    cooldown=Cooldown(minimum=0.01, maximum=0.02),
)
INTERVAL = OPTIONS.pace.interval * (1 + OPTIONS.pace.margin)
FEW = httpx.Limits(max_connections=1)


class World:
    """A client over a transport of httpx's, with all events."""

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None, **options: Any) -> None:
        self.events: list[SchedulerEvent] = []
        self.scheduler = Scheduler(OPTIONS, on_event=self.events.append)
        inner = inner or httpx.AsyncHTTPTransport(limits=FEW, **options)
        self.client = httpx.AsyncClient(transport=ScheduledTransport(inner, scheduler=self.scheduler))

    def of(self, kind: type[SchedulerEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, *_error: object) -> None:
        await self.client.aclose()
        await self.scheduler.aclose()
        for account in self.scheduler.stats().accounts:
            assert kind is not None or (account.in_flight, account.waiting) == (0, 0)


def then(*handlers: Callable[[Asked], Any]) -> Callable[[Asked], Any]:
    """Answer one request after the other; the last handler stays."""
    left = list(handlers)

    def handle(asked: Asked) -> Any:
        handler = left.pop(0) if left[1:] else left[0]
        return handler(asked)

    return handle


def ok(asked: Asked) -> None:
    asked.answer()


def refuse(asked: Asked) -> None:
    asked.answer(429, NGINX.encode(), Content_Type="text/html")


def fail(asked: Asked) -> None:
    asked.answer(502, b"<html>nginx</html>", Content_Type="text/html")


def hang_up(asked: Asked) -> None:
    asked.hang_up()


def break_off(asked: Asked) -> None:
    asked.head(200, 100)
    asked.writer.write(b'{"id"')
    asked.hang_up()


async def stall(_asked: Asked) -> None:
    await asyncio.Event().wait()


def facts(**other: Any) -> dict[str, Any]:
    return {EXTENSION: RequestFacts(**{"route": "POST /x", "lane": Lane.USER, "reads": True, **other})}


async def pieces(count: int, size: int = 65536) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


class TestBrokenConnections:
    @pytest.mark.parametrize("fault", [hang_up, break_off])
    async def test_a_read_whose_answer_is_lost_or_half_is_fetched_again(
        self, fault: Callable[[Asked], Any]
    ) -> None:
        async with http_server(then(fault, ok)) as server, World() as world:
            response = await world.client.get(f"{server.url}/api/v9/me")
        assert response.json() == {}
        assert response.extensions[EXTENSION].attempts == len(server.asked) == 2
        assert [event.sent for event in world.of(events.Lost)] == [True]

    @pytest.mark.parametrize("fault", [hang_up, break_off])
    async def test_a_write_whose_answer_is_lost_or_half_is_not(self, fault: Callable[[Asked], Any]) -> None:
        async with http_server(then(fault, ok)) as server, World() as world:
            with pytest.raises(errors.ConnectionFailed) as caught:
                await world.client.post(f"{server.url}/api/v9/me", json={})
            assert caught.value.maybe_applied
            assert len(server.asked) == 1
            assert (await world.client.post(f"{server.url}/api/v9/me", json={})).status_code == 200

    async def test_no_answer_in_time(self) -> None:
        async with http_server(stall) as server, World() as world:
            with pytest.raises(errors.RequestTimeout) as caught:
                await world.client.post(f"{server.url}/api/v9/me", json={}, timeout=0.05)
            assert caught.value.maybe_applied
            with pytest.raises(errors.RequestTimeout) as caught:
                await world.client.get(f"{server.url}/api/v9/me", timeout=0.05)
            assert not caught.value.maybe_applied
        assert [asked.method for asked in server.asked] == ["POST", "GET", "GET", "GET"]

    async def test_a_kept_connection_that_the_server_closed_costs_no_write(self) -> None:
        async with http_server(ok) as server, World() as world:
            for number in range(3):
                response = await world.client.post(f"{server.url}/api/v9/me/{number}", json={})
                assert response.status_code == 200
                server.connections[-1].close()
                await server.connections[-1].wait_closed()
        assert [asked.target for asked in server.asked] == [f"/api/v9/me/{number}" for number in range(3)]
        assert [asked.connection for asked in server.asked] == [0, 1, 2]
        assert not world.of(events.Lost)

    async def test_a_kept_connection_that_breaks_under_a_read_is_replaced(self) -> None:
        async with http_server(then(ok, hang_up, ok)) as server, World() as world:
            for _ in range(2):
                assert (await world.client.get(f"{server.url}/api/v9/me")).status_code == 200
        assert [asked.connection for asked in server.asked] == [0, 0, 1]

    async def test_cancelled_requests_lose_no_connection_and_no_slot(self) -> None:
        waiting = asyncio.Semaphore(0)

        async def answer(asked: Asked) -> None:
            waiting.release()
            await stall(asked)

        async with http_server(then(*[answer] * 12, ok)) as server, World() as world:
            for number in range(12):
                method = "POST" if number % 2 else "GET"
                call = asyncio.ensure_future(world.client.request(method, f"{server.url}/api/v9/me"))
                await waiting.acquire()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert (await world.client.get(f"{server.url}/api/v9/me")).status_code == 200
        assert len(world.of(events.Cancelled)) == 12


class TestBodies:
    @pytest.mark.parametrize("refusal", [refuse, fail])
    async def test_a_small_upload_is_sent_again(self, refusal: Callable[[Asked], Any]) -> None:
        async with http_server(then(refusal, ok)) as server, World() as world:
            response = await world.client.post(
                f"{server.url}/api/v9/me", files={"logo": b"png" * 1000}, extensions=facts()
            )
        assert response.status_code == 200
        assert len(server.asked) == 2
        assert server.asked[0].body == server.asked[1].body
        assert b"png" * 1000 in server.asked[0].body

    @pytest.mark.parametrize("refusal", [refuse, fail, hang_up])
    async def test_a_big_streamed_upload_goes_once(self, refusal: Callable[[Asked], Any]) -> None:
        async with http_server(then(refusal, ok)) as server, World() as world:
            upload = world.client.post(f"{server.url}/api/v9/me", content=pieces(24), extensions=facts())
            if refusal is hang_up:
                with pytest.raises(errors.ConnectionFailed):
                    await upload
            else:
                assert (await upload).status_code in {429, 502}
            [asked] = server.asked
            assert len(asked.body) == 24 * 65536
            again = await world.client.post(f"{server.url}/api/v9/me", content=pieces(24))
            assert again.status_code == 200

    async def test_a_streamed_download_holds_its_slot_while_it_runs(self) -> None:
        more, waits = asyncio.Event(), asyncio.Event()

        def happened(event: SchedulerEvent) -> None:
            if isinstance(event, events.Paused) and event.reason is Reason.IN_FLIGHT:
                waits.set()

        async def trickle(asked: Asked) -> None:
            asked.head(200, 6)
            asked.writer.write(b"abc")
            await asked.writer.drain()
            await more.wait()
            asked.writer.write(b"def")

        options = ClientOptions(pace=OPTIONS.pace, max_in_flight=1)
        scheduler = Scheduler(options, on_event=happened)
        transport = ScheduledTransport(scheduler=scheduler)
        async with http_server(then(trickle, ok)) as server, httpx.AsyncClient(transport=transport) as client:
            download = client.stream("GET", f"{server.url}/api/v9/me", extensions=facts(streams=True))
            async with download as response:
                body = response.aiter_raw()
                assert await anext(body) == b"abc"
                other = asyncio.ensure_future(client.get(f"{server.url}/api/v9/me"))
                await waits.wait()
                assert len(server.asked) == 1
                more.set()
                assert [piece async for piece in body] == [b"def"]
            assert (await other).status_code == 200
            assert scheduler.stats().accounts[0].in_flight == 0

    @pytest.mark.parametrize(
        "path",
        [
            "/reports/api/v3/workspace/1/summary/time_entries.pdf",
            "/reports/api/v3/shared/0a1b2c3d4e5f6a7b/csv",
            "/api/v9/workspaces/1/exports/data/f81d4fae-7dec-11d0-a765-00a0c91e6bf6.zip?x=1",
        ],
    )
    async def test_a_file_is_streamed_to_another_client_without_a_word_of_its_own(self, path: str) -> None:
        more = asyncio.Event()

        async def trickle(asked: Asked) -> None:
            asked.head(200, 6, Content_Type="application/octet-stream")
            asked.writer.write(b"abc")
            await more.wait()
            asked.writer.write(b"def")

        async with http_server(trickle) as server, World() as world:
            async with world.client.stream("GET", f"{server.url}{path}") as response:
                body = response.aiter_raw()
                assert await anext(body) == b"abc"
                more.set()
                assert [piece async for piece in body] == [b"def"]
            assert (await world.client.post(f"{server.url}{path}", json={})).content == b"abcdef"

    async def test_a_streamed_download_that_breaks_off_frees_its_slot(self) -> None:
        async with http_server(break_off) as server, World() as world:
            download = world.client.stream("GET", f"{server.url}/api/v9/me", extensions=facts(streams=True))
            with pytest.raises(httpx.RemoteProtocolError):
                async with download as response:
                    await response.aread()

    @pytest.mark.parametrize("closes", [False, True])
    async def test_a_streamed_answer_that_was_read_before_frees_its_slot(self, closes: bool) -> None:
        """An inner transport that caches hands over answers which httpx does not close again."""
        inner = httpx.MockTransport(lambda _request: httpx.Response(200, json={"from": "a cache"}))
        async with World(inner) as world:
            url = "http://toggl.test/api/v9/me"
            async with world.client.stream("GET", url, extensions=facts(streams=True)) as response:
                assert await response.aread() == b'{"from":"a cache"}'
                if closes:
                    await response.aclose()


class TestClosing:
    async def test_closing_ends_who_waits_and_lets_the_rest_finish(self) -> None:
        arrived, go = asyncio.Event(), asyncio.Event()

        async def slow(asked: Asked) -> None:
            arrived.set()
            await go.wait()
            asked.answer()

        async with http_server(slow) as server, World() as world:
            calls = [
                asyncio.ensure_future(world.client.post(f"{server.url}/api/v9/me", json={})) for _ in range(4)
            ]
            await arrived.wait()
            await world.scheduler.aclose()
            go.set()
            results = await asyncio.gather(*calls, return_exceptions=True)
        kinds = {type(result) for result in results}
        assert kinds == {httpx.Response, errors.ClientClosed}
        assert sum(isinstance(result, httpx.Response) for result in results) == len(server.asked)


class Untraced(httpx.AsyncBaseTransport):
    """A custom transport that passes no trace on."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport(limits=FEW)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        extensions = {name: value for name, value in request.extensions.items() if name != "trace"}
        return await self.inner.handle_async_request(
            httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


class TestInnerTransports:
    async def test_one_that_does_not_trace(self) -> None:
        async with http_server(then(ok, refuse, ok)) as server, World(Untraced()) as world:
            calls = [world.client.post(f"{server.url}/api/v9/me/{n}", json={}) for n in range(6)]
            assert {response.status_code for response in await asyncio.gather(*calls)} == {200}
            assert len(server.asked) == 7
        sent = [event.at for event in world.of(events.Sent)]
        assert len(sent) == 7
        assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= INTERVAL - 1e-6

    async def test_one_that_does_not_trace_proves_nothing_about_a_lost_write(self) -> None:
        async with http_server(hang_up) as server, World(Untraced()) as world:
            with pytest.raises(errors.ConnectionFailed) as caught:
                await world.client.post(f"{server.url}/api/v9/me", json={})
        assert caught.value.maybe_applied
        assert len(server.asked) == 1

    async def test_http_2(self) -> None:
        pytest.importorskip("h2")
        from support.http2 import http2_server  # noqa: PLC0415 - needs h2

        inner = httpx.AsyncHTTPTransport(http1=False, http2=True)
        async with http2_server([200, 429, 200, 502]) as server, World(inner) as world:
            await world.client.get(f"{server.url}/api/v9/me")
            calls = [world.client.get(f"{server.url}/api/v9/me/{n}") for n in range(8)]
            responses = await asyncio.gather(*calls)
            assert {response.status_code for response in responses} == {200}
            assert {response.http_version for response in responses} == {"HTTP/2"}
            assert len(server.paths) == 11
            assert server.connections == 1
        assert len(world.of(events.CooledDown)) == 1
        sent = [event.at for event in world.of(events.Sent)]
        assert len(sent) == 11
        assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= INTERVAL - 1e-6

    async def test_requests_that_wait_for_one_http_2_connection(self) -> None:
        pytest.importorskip("h2")
        from support.http2 import http2_server  # noqa: PLC0415 - needs h2

        async def connect_slowly(name: str, _info: dict[str, Any]) -> None:
            if name == "connection.connect_tcp.started":
                await asyncio.sleep(20 * INTERVAL)

        inner = httpx.AsyncHTTPTransport(http1=False, http2=True)
        async with http2_server([]) as server, World(inner) as world:
            calls = [
                world.client.get(f"{server.url}/api/v9/me/{n}", extensions={"trace": connect_slowly})
                for n in range(6)
            ]
            responses = await asyncio.gather(*calls)
        assert {response.status_code for response in responses} == {200}
        assert len(server.paths) == 6


class TestProxies:
    async def test_requests_are_forwarded(self) -> None:
        async with http_server(then(refuse, ok)) as server, http_proxy() as proxy:
            async with World(httpx.AsyncHTTPTransport(proxy=proxy.url)) as world:
                response = await world.client.post(f"{server.url}/api/v9/me", json={"a": 1})
            assert response.status_code == 200
            assert {asked.target for asked in proxy.asked} == {f"{server.url}/api/v9/me"}
            assert [asked.body for asked in server.asked] == [b'{"a":1}'] * 2
            assert len(world.of(events.Sent)) == 2

    async def test_a_proxy_that_opens_no_tunnel_lets_no_write_out(self) -> None:
        async with http_proxy(opens=lambda _asked: False) as proxy:
            async with World(httpx.AsyncHTTPTransport(proxy=proxy.url)) as world:
                with pytest.raises(errors.ConnectionFailed, match="ProxyError") as caught:
                    await world.client.post("https://127.0.0.1:9/api/v9/me", json={})
            assert not caught.value.maybe_applied
            assert [asked.method for asked in proxy.asked] == ["CONNECT"] * 3
            assert not world.of(events.Sent)
            assert [event.sent for event in world.of(events.Lost)] == [False] * 3

    async def test_a_tunnel_whose_tls_fails_lets_no_write_out(self) -> None:
        async def slam(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            pass

        async with listening(slam) as port, http_proxy() as proxy:
            async with World(httpx.AsyncHTTPTransport(proxy=proxy.url)) as world:
                with pytest.raises(errors.ConnectionFailed) as caught:
                    await world.client.post(f"https://127.0.0.1:{port}/api/v9/me", json={})
            assert not caught.value.maybe_applied
            assert len(proxy.asked) == 3
            assert not world.of(events.Sent)

    async def test_requests_through_a_tunnel(self, authority: "Authority") -> None:
        async with http_server(then(refuse, ok), tls=authority.server) as server, http_proxy() as proxy:
            inner = httpx.AsyncHTTPTransport(proxy=proxy.url, verify=authority.client)
            async with World(inner) as world:
                url = f"https://127.0.0.1:{server.port}/api/v9/me"
                responses = [await world.client.post(url, json={}) for _ in range(2)]
            assert [response.status_code for response in responses] == [200, 200]
            assert len(server.asked) == 3
            assert [asked.method for asked in proxy.asked] == ["CONNECT"]
            assert len(world.of(events.Sent)) == 3


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, trustme: Any) -> None:
        made = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.issue_cert("127.0.0.1").configure_cert(self.server)
        self.client = ssl.create_default_context()
        made.configure_trust(self.client)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(pytest.importorskip("trustme"))


class TestTls:
    async def test_a_trusted_server(self, authority: Authority) -> None:
        async with http_server(then(ok, refuse, ok), tls=authority.server) as server:
            async with World(verify=authority.client) as world:
                url = f"https://127.0.0.1:{server.port}/api/v9/me"
                for _ in range(3):
                    assert (await world.client.post(url, json={})).status_code == 200
            assert len(server.asked) == 4

    async def test_an_untrusted_server_gets_no_write(self, authority: Authority) -> None:
        async with http_server(ok, tls=authority.server) as server, World() as world:
            with pytest.raises(errors.ConnectionFailed, match="CERTIFICATE") as caught:
                await world.client.post(f"https://127.0.0.1:{server.port}/api/v9/me", json={})
            assert not caught.value.maybe_applied
            assert not server.asked
            assert [event.sent for event in world.of(events.Lost)] == [False], "it would fare no better"


async def test_a_scheduler_keeps_one_pace_for_foreign_clients_too() -> None:
    async with http_server(ok) as server, World() as world, contextlib.AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(
                httpx.AsyncClient(transport=ScheduledTransport(scheduler=world.scheduler))
            )
            for _ in range(3)
        ]
        calls = [
            client.get(f"{server.url}/api/v9/me/{number}", auth=("made-up", "api_token"))
            for number, client in enumerate(others * 4)
        ]
        await asyncio.gather(*calls)
        assert len(world.scheduler.stats().accounts) == 1
    sent = [event.at for event in world.of(events.Sent)]
    assert len(sent) == len(server.asked) == 12
    assert min(later - earlier for earlier, later in itertools.pairwise(sent)) >= INTERVAL - 1e-6
