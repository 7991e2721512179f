"""Sessions over a real socket, where a browser would not send a Secure cookie."""

import pytest

from support.login_accounts import EMAIL, PASSWORD, Accounts, served, token
from toggl_async import ClientOptions, LoginRefused, Pace, SessionCookie, TogglClient

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
