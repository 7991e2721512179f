"""Refused credentials are sent once, however Toggl says that they are wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.support_wire import QUICK, TOKEN, RawServer, Received, answer, raw_server
from toggl_async import (
    ApiToken,
    EmailPassword,
    Forbidden,
    LoginRefused,
    Scheduler,
    TogglClient,
    TogglError,
)
from toggl_async.scheduler import ScheduledTransport

pytestmark = pytest.mark.anyio

ME, LOGGED, TAGS = "/api/v9/me", "/api/v9/me/logged", "/api/v9/workspaces/3/tags"

HTML = {"Content-Type": "text/html"}
ODD: dict[str, tuple[bytes, dict[str, str]]] = {
    "empty": (b"", {}),
    "html": (b"<html><title>403 Forbidden</title><center>nginx</center></html>", HTML),
    "odd words": (b'"Invalid API token"', {}),
    "odd charset": (b"\xff", {"Content-Type": "text/html; charset=hex"}),
    "a right": (b'"You have no access to this"', {}),
}


def saying(status: int, name: str) -> bytes:
    return answer(status, *ODD[name])


async def fifty(toggl: TogglClient, path: str, method: str = "GET") -> list[Any]:
    calls = (toggl.request(method, path, params={"n": number}) for number in range(50))
    return await asyncio.gather(*calls, return_exceptions=True)


def targets(server: RawServer) -> list[str]:
    return [asked.target.partition("?")[0] for asked in server.received]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(("status", "path"), [(401, ME), (401, TAGS), (403, ME)])
async def test_fifty_calls_that_wait_cost_one_request(status: int, path: str, name: str) -> None:
    async with raw_server(lambda _asked: saying(status, name)) as server, server.client() as toggl:
        outcomes = await fifty(toggl, path)
        assert {type(outcome) for outcome in outcomes} == {LoginRefused}
        assert {outcome.status for outcome in outcomes} == {status}
        assert len({id(outcome) for outcome in outcomes}) == 50
        reached = len(server.received)
        assert reached <= QUICK.max_in_flight
        for method in ("GET", "POST"):
            with pytest.raises(LoginRefused, match="from memory") as caught:
                await toggl.request(method, TAGS)
            assert caught.value.path == TAGS
        assert len(server.received) == reached
        toggl.forget_refusals()
        with pytest.raises(LoginRefused):
            await toggl.request("GET", path)
        assert len(server.received) == reached + 1


@pytest.mark.parametrize("name", ODD)
async def test_another_403_asks_once_who_is_known(name: str) -> None:
    """The credentials are wrong: all that wait end, at the cost of one more request."""

    def respond(asked: Received) -> bytes:
        return saying(403, name)

    async with raw_server(respond) as server, server.client() as toggl:
        outcomes = await fifty(toggl, TAGS)
        assert {type(outcome) for outcome in outcomes} == {LoginRefused}
        assert targets(server).count(LOGGED) == 1
        assert len(server.received) <= 2 * QUICK.max_in_flight + 1
        with pytest.raises(LoginRefused, match="from memory"):
            await toggl.request("GET", ME)


@pytest.mark.parametrize("name", ODD)
async def test_a_right_that_is_missing_is_asked_about_once(name: str) -> None:
    """The credentials are good: every call hears its own refusal, and nothing is remembered."""

    def respond(asked: Received) -> bytes:
        return answer(200, b"") if asked.target == LOGGED else saying(403, name)

    async with raw_server(respond) as server, server.client() as toggl:
        for _ in range(2):
            outcomes = await fifty(toggl, TAGS, "POST")
            assert {type(outcome) for outcome in outcomes} == {Forbidden}
        assert targets(server).count(LOGGED) == 1
        assert targets(server).count(TAGS) == 100
        toggl.forget_refusals()
        with pytest.raises(Forbidden):
            await toggl.request("POST", TAGS)
        assert targets(server).count(LOGGED) == 2


@pytest.mark.parametrize("logged", [None, answer(503, b""), answer(500, b"")])
async def test_who_cannot_be_asked_leaves_the_doubt(logged: bytes | None) -> None:
    def respond(asked: Received) -> bytes | None:
        return logged if asked.target == LOGGED else saying(403, "empty")

    async with raw_server(respond) as server, server.client() as toggl:
        for _ in range(2):
            with pytest.raises(Forbidden) as caught:
                await toggl.request("POST", TAGS)
            assert not isinstance(caught.value, LoginRefused)


async def test_one_who_leaves_does_not_end_the_asking() -> None:
    asked_for_logged, go_on = asyncio.Event(), asyncio.Event()

    async def respond(asked: Received) -> bytes:
        if asked.target == LOGGED:
            asked_for_logged.set()
            await go_on.wait()
        return saying(403, "empty")

    async with raw_server(respond) as server, server.client() as toggl:
        leaving = asyncio.ensure_future(toggl.request("POST", TAGS))
        staying = asyncio.ensure_future(toggl.request("POST", TAGS))
        await asked_for_logged.wait()
        leaving.cancel()
        go_on.set()
        with pytest.raises(LoginRefused):
            await staying
        assert targets(server).count(LOGGED) == 1


async def test_clients_of_one_account_share_what_was_refused_and_others_do_not() -> None:
    scheduler = Scheduler(QUICK)

    def respond(asked: Received) -> bytes:
        return answer() if "Basic Yk" in asked.headers["authorization"] else saying(401, "empty")

    async with raw_server(respond) as server:
        first, second = (server.client(scheduler=scheduler) for _ in range(2))
        other = TogglClient(EmailPassword("b@c.example", "made up"), base_url=server.url, scheduler=scheduler)
        outcomes = await asyncio.gather(fifty(first, TAGS), fifty(second, TAGS))
        assert {type(outcome) for several in outcomes for outcome in several} == {LoginRefused}
        assert len(server.received) <= QUICK.max_in_flight
        assert await other.request("GET", TAGS) == {}
        for client in (first, second, other):
            await client.aclose()
        await scheduler.aclose()


async def test_the_scheduler_forgets_what_was_refused() -> None:
    answers: Callable[[], bytes] = iter([saying(401, "empty"), answer(), answer()]).__next__
    async with raw_server(lambda _asked: answers()) as server, server.client() as toggl:
        with pytest.raises(LoginRefused):
            await toggl.request("GET", ME)
        with pytest.raises(LoginRefused):
            await toggl.request("GET", ME)
        toggl.scheduler.forget_refusals()
        assert await toggl.request("GET", ME) == {}


async def test_a_foreign_client_is_spared_its_lock_too() -> None:
    async with raw_server(lambda _asked: saying(401, "empty")) as server:
        transport = ScheduledTransport(options=QUICK)
        async with httpx.AsyncClient(
            transport=transport, auth=(TOKEN, "api_token"), base_url=server.url
        ) as client:
            outcomes = await asyncio.gather(
                *(client.get(TAGS, params={"n": number}) for number in range(50)), return_exceptions=True
            )
        answered = [outcome for outcome in outcomes if isinstance(outcome, httpx.Response)]
        assert len(answered) == len(server.received) <= QUICK.max_in_flight
        assert {type(outcome) for outcome in outcomes if isinstance(outcome, TogglError)} == {LoginRefused}


async def test_a_401_without_credentials_says_nothing_of_any() -> None:
    async with (
        raw_server(lambda _asked: saying(401, "empty")) as server,
        httpx.AsyncClient(transport=ScheduledTransport(options=QUICK)) as client,
    ):
        for _ in range(3):
            assert (await client.get(f"{server.url}{ME}")).status_code == 401
    assert len(server.received) == 3


async def test_no_secret_is_in_what_is_remembered() -> None:
    async with (
        raw_server(lambda _asked: saying(401, "odd words")) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=QUICK) as toggl,
    ):
        for _ in range(2):
            with pytest.raises(LoginRefused) as caught:
                await toggl.request("GET", ME)
            assert TOKEN not in repr(vars(caught.value)) + str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("words", [b"", b'"Invalid API token"', b"<html><title>403</title><hr>nginx</html>"])
async def test_refused_credentials_say_what_to_do(status: int, words: bytes) -> None:
    inner = httpx.MockTransport(lambda request: httpx.Response(status, content=words))
    async with TogglClient(ApiToken("a" * 32), transport=inner) as toggl:
        with pytest.raises(LoginRefused) as caught:
            await toggl.me.get()
        with pytest.raises(LoginRefused) as again:
            await toggl.me.get()
    for error in (caught.value, again.value):
        assert "https://track.toggl.com/profile" in str(error)
        assert "does not accept these credentials" in str(error)
        assert error.message in {"Unauthorized", "Forbidden", "Invalid API token"}


async def test_a_right_that_is_lacking_is_told_from_wrong_credentials() -> None:
    inner = httpx.MockTransport(
        lambda request: httpx.Response(200 if request.url.path.endswith("logged") else 403, content=b"")
    )
    async with TogglClient(ApiToken("a" * 32), transport=inner) as toggl:
        with pytest.raises(Forbidden, match="may lack permission, or the workspace the feature") as caught:
            await toggl.workspace(3).tags.list()
    assert "credentials" not in str(caught.value)
