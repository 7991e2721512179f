"""What a process has one of, shares, or must not share: TLS contexts, chance, event loops, proxies."""

import asyncio
import os
import random

import httpx
import pytest

from support.model import NGINX
from support.support_wire import TOKEN
from toggl_async import ApiToken, EmailPassword, SessionCookie, TogglClient, WrongEventLoop
from toggl_async.scheduler import ScheduledTransport, Scheduler, events
from toggl_async.scheduler.transport import tls_context


def test_a_thousand_clients_build_one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    create = httpx.create_ssl_context

    def build() -> object:
        built.append(1)
        return create()

    monkeypatch.setattr(httpx, "create_ssl_context", build)
    monkeypatch.setattr("toggl_async.scheduler.transport._contexts", {})
    clients = [TogglClient(ApiToken(TOKEN)) for _ in range(1000)]
    assert len(clients) == 1000
    assert len(built) == 1
    monkeypatch.setenv("SSL_CERT_DIR", os.fspath("/"))
    assert tls_context() is tls_context()
    assert len(built) == 2, "what the environment names is asked each time"


def rest_of(scheduler: Scheduler) -> float:
    """Draw the rest after a 429."""

    async def draw() -> float:
        rests: list[float] = []

        def listen(event: events.SchedulerEvent) -> None:
            if isinstance(event, events.CooledDown):
                rests.append(event.until - event.at)

        end = scheduler.listen(listen)
        transport = httpx.MockTransport(lambda _: httpx.Response(429, html=NGINX))
        async with httpx.AsyncClient(transport=ScheduledTransport(transport, scheduler=scheduler)) as client:
            call = asyncio.ensure_future(client.get("https://toggl.test/api/v9/me"))
            while not rests:  # noqa: ASYNC110 - it takes a few turns of the loop
                await asyncio.sleep(0)
            call.cancel()
        end()
        return rests[0]

    return asyncio.run(draw())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_workers_do_not_share_their_chance() -> None:
    scheduler = Scheduler()
    rests = []
    for _ in range(3):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, repr(rest_of(scheduler)).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading) as result:
            rests.append(float(result.read()))
    assert len(set(rests)) == 3


def test_a_seeded_scheduler_repeats_itself() -> None:
    first, second = (rest_of(Scheduler(random=random.Random(7))) for _ in range(2))
    assert first == pytest.approx(second, abs=1e-3)


AUTHS = [ApiToken(TOKEN), EmailPassword("a@b.example", "x"), SessionCookie("a@b.example", "x")]


@pytest.mark.parametrize("auth", AUTHS)
def test_another_kind_of_event_loop_gets_a_sentence(
    auth: ApiToken | EmailPassword | SessionCookie,
) -> None:
    """As trio begins a task: its coroutine takes the first step where no loop of asyncio runs."""
    call = TogglClient(auth).request("GET", "/api/v9/me")
    with pytest.raises(WrongEventLoop, match="toggl_async needs asyncio"):
        call.send(None)


@pytest.mark.anyio
async def test_a_foreign_client_takes_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, httpx.AsyncClient(transport=ScheduledTransport()) as client:
        with pytest.raises(Exception, match="407"):
            await client.get("https://api.track.toggl.com/api/v9/me")
    assert asked == ["CONNECT api.track.toggl.com:443 HTTP/1.1\r\n"], "once: the next password is as wrong"
