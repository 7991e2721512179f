"""Sessions over a real socket, where a browser would not send a Secure cookie."""

import pytest

from support.login_accounts import EMAIL, PASSWORD, Accounts, served, token
from support.support_wire import Received, answer, raw_server
from toggl_async import ClientOptions, LoginRefused, Pace, RateLimited, SessionCookie, TogglClient

pytestmark = pytest.mark.anyio

FAST = ClientOptions(pace=Pace(interval=0.001))


def client(address: str) -> TogglClient:
    auth = SessionCookie(EMAIL, PASSWORD)
    return TogglClient(auth, base_url=address, accounts_url=address, options=FAST)


async def test_a_session_from_login_to_logout() -> None:
    toggl_side = Accounts()
    async with served(toggl_side) as address, client(address) as toggl:
        assert (await toggl.me.get()).id == 7
        toggl_side.valid.clear()
        await toggl.workspace(3).tags.delete(5)
    assert toggl_side.seen == [
        ("POST", "/api/sessions", None),
        ("GET", "/api/v9/me", token(1)),
        ("DELETE", "/api/v9/workspaces/3/tags/5", token(1)),
        ("POST", "/api/sessions", None),
        ("DELETE", "/api/v9/workspaces/3/tags/5", token(2)),
        ("DELETE", "/api/sessions", token(2)),
    ]


async def test_wrong_credentials_are_tried_once() -> None:
    toggl_side = Accounts(password="another")
    async with served(toggl_side) as address, client(address) as toggl:
        for _ in range(2):
            with pytest.raises(LoginRefused) as caught:
                await toggl.me.get()
            assert caught.value.remaining_attempts == 4
    assert toggl_side.seen == [("POST", "/api/sessions", None)]


async def test_to_end_a_session_waits_no_longer_than_it_may() -> None:
    def answering(asked: Received) -> bytes:
        if asked.method == "DELETE":
            return answer(429, b"<html>", {"Content-Type": "text/html", "Retry-After": "60"})
        return answer(200, b"[]", {"Set-Cookie": "__Secure-accounts-session=made.up.session"})

    async with raw_server(answering) as server, client(server.url) as toggl:
        assert await toggl.workspace(3).tags.list() == []
        with pytest.raises(RateLimited):
            await toggl.with_options(max_wait=5).end_session()
        assert [one.method for one in server.received] == ["POST", "GET", "DELETE"]
