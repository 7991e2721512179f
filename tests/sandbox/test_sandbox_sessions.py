import pytest

from support.sandbox_world import World, world
from toggl_async import ClientOptions, LoginRefused, Pace, SessionCookie, TogglClient

pytestmark = pytest.mark.anyio

EAGER = ClientOptions(pace=Pace(interval=0.001))
COOKIE = "__Secure-accounts-session"


async def log_in(toggl: World, email: str, password: str) -> tuple[int, str, str | None]:
    """Log in; return status, the cookie and how many logins may still fail."""
    answer = await toggl.http.post(
        "/api/sessions", json={"email": email, "password": password}, auth=("", "")
    )
    cookie = answer.headers.get("set-cookie", "").partition(";")[0].partition("=")[2]
    return answer.status_code, cookie, answer.headers.get("x-remaining-login-attempts")


async def asked(toggl: World, cookie: str, method: str = "GET", path: str = "/api/v9/me/logged") -> int:
    """Ask with nothing but the cookie."""
    request = toggl.http.build_request(method, path, headers={"Cookie": f"{COOKIE}={cookie}"})
    return (await toggl.http.send(request, auth=None)).status_code


async def test_a_session_lasts_until_it_is_ended() -> None:
    async with world() as toggl:
        status, cookie, _ = await log_in(toggl, toggl.sandbox.email, toggl.sandbox.password)
        assert (status, cookie.count(".")) == (200, 2)
        assert await asked(toggl, cookie) == 200
        assert await asked(toggl, cookie, "DELETE", "/api/sessions") == 200
        assert await asked(toggl, cookie) == 401
        assert await asked(toggl, cookie, "DELETE", "/api/sessions") == 401


async def test_a_session_ends_by_itself() -> None:
    async with world() as toggl:
        _, cookie, _ = await log_in(toggl, toggl.sandbox.email, toggl.sandbox.password)
        toggl.sandbox.clock.advance(28 * 86_400)
        assert await asked(toggl, cookie) == 401


async def test_wrong_logins_are_counted_and_lock_the_account() -> None:
    async with world() as toggl:
        email, password = toggl.sandbox.email, toggl.sandbox.password
        assert await log_in(toggl, email, "wrong") == (403, "", "4")
        assert (await log_in(toggl, email, password))[0] == 200
        left = [(await log_in(toggl, email, "wrong"))[2] for _ in range(5)]
        assert left == ["4", "3", "2", "1", "0"]
        assert await log_in(toggl, email, password) == (403, "", "0")
        answer = await toggl.http.post("/api/sessions", content=b"{")
        assert answer.status_code == 400


async def test_the_client_lives_on_a_session() -> None:
    async with world() as toggl:
        url = toggl.sandbox.base_url
        auth = SessionCookie(toggl.sandbox.email, toggl.sandbox.password)
        async with TogglClient(auth, base_url=url, accounts_url=url, options=EAGER) as client:
            me = await client.me.get()
            assert me.email == toggl.sandbox.email
            await client.end_session()
        routes = toggl.sandbox.counts
        assert routes.answers("POST /api/sessions") == routes.answers("DELETE /api/sessions") == {200: 1}
        wrong = SessionCookie(toggl.sandbox.email, "wrong")
        async with TogglClient(wrong, base_url=url, accounts_url=url) as client:
            with pytest.raises(LoginRefused) as refused:
                await client.me.get()
        assert refused.value.remaining_attempts == 4
