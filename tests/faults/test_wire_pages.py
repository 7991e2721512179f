"""Pages of proxies and captive portals: never Toggl's word on credentials, and never remembered."""

import httpx
import pytest

from support.servers import Asked, answer_signed_in, http_server, session_client
from toggl_async import (
    ApiToken,
    ClientOptions,
    EmailPassword,
    Forbidden,
    LoginRefused,
    Pace,
    ResponseError,
    ScheduledTransport,
    SessionCookie,
    TogglClient,
)

pytestmark = pytest.mark.anyio

OPTIONS = ClientOptions(pace=Pace(interval=0))
TOKEN = "a" * 32
PAGE = b"<!DOCTYPE html><html><head><title>Blocked by\n proxy\x1b[31m</title></head></html>"
TITLED = r"HTML came instead of an answer from Toggl, titled .Blocked by proxy\\x1b\[31m."


def page(asked: Asked, status: int) -> None:
    asked.answer(status, PAGE, Content_Type="text/html")


@pytest.mark.parametrize("status", [200, 401, 403, 404])
async def test_a_page_in_place_of_a_login_is_told_and_forgotten(status: int) -> None:
    def portal(asked: Asked) -> None:
        if len(server.asked) == 1:
            page(asked, status)
        else:
            answer_signed_in(asked)

    async with http_server(portal) as server, session_client(server.url, OPTIONS) as toggl:
        with pytest.raises(ResponseError, match=TITLED) as caught:
            await toggl.me.tags.list()
        assert not isinstance(caught.value, LoginRefused)
        assert caught.value.status == status
        assert await toggl.me.tags.list() == []


@pytest.mark.parametrize(
    ("location", "told"),
    [("http://portal.example/in?token=SECRET", "portal.example"), ("http://a:b", "an invalid URL")],
)
async def test_a_login_that_is_led_elsewhere_is_told_and_forgotten(location: str, told: str) -> None:
    def portal(asked: Asked) -> None:
        if len(server.asked) == 1:
            asked.answer(302, b"", Location=location)
        else:
            answer_signed_in(asked)

    async with http_server(portal) as server, session_client(server.url, OPTIONS) as toggl:
        with pytest.raises(ResponseError, match=told) as caught:
            await toggl.me.tags.list()
        assert not isinstance(caught.value, LoginRefused)
        assert "SECRET" not in str(caught.value)
        assert await toggl.me.tags.list() == []


@pytest.mark.parametrize("status", [401, 403])
async def test_a_page_does_not_end_a_session(status: int) -> None:
    def portal(asked: Asked) -> None:
        if len(server.asked) == 2:
            page(asked, status)
        else:
            answer_signed_in(asked)

    async with http_server(portal) as server, session_client(server.url, OPTIONS) as toggl:
        with pytest.raises(ResponseError, match=TITLED):
            await toggl.me.tags.list()
        assert await toggl.me.tags.list() == []
        assert [asked.target for asked in server.asked].count("/api/sessions") == 1


@pytest.mark.parametrize("status", [401, 403, 410])
@pytest.mark.parametrize("path", ["/api/v9/me", "/api/v9/workspaces/3/tags"])
async def test_a_page_in_place_of_an_answer_is_told_and_forgotten(status: int, path: str) -> None:
    def blocked(asked: Asked) -> None:
        if len(server.asked) == 1:
            page(asked, status)
        else:
            asked.answer(body=b"[]")

    async with (
        http_server(blocked) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        with pytest.raises(ResponseError, match=TITLED) as caught:
            await toggl.request("GET", path)
        assert type(caught.value) is ResponseError
        assert await toggl.request("GET", path) == []
        assert len(server.asked) == 2


async def test_a_page_says_nothing_for_credentials_either() -> None:
    def blocked(asked: Asked) -> None:
        if asked.target == "/api/v9/me/logged":
            page(asked, 403)
        else:
            asked.answer(403, b'"no"')

    async with (
        http_server(blocked) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        for _ in range(2):
            with pytest.raises(Forbidden, match=r"^no"):
                await toggl.workspace(3).get()
    assert [asked.target for asked in server.asked].count("/api/v9/me/logged") == 2


async def test_a_page_without_a_title_and_one_of_a_client_of_httpx() -> None:
    async with (
        http_server(lambda asked: asked.answer(403, b"\n<html>no", Content_Type="text/plain")) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
        httpx.AsyncClient(transport=ScheduledTransport(options=OPTIONS)) as client,
    ):
        with pytest.raises(ResponseError, match="an answer from Toggl: a proxy"):
            await toggl.me.get()
        for _ in range(2):
            answer = await client.get(f"{server.url}/api/v9/me", auth=(TOKEN, "api_token"))
            assert answer.status_code == 403
    assert len(server.asked) == 3


@pytest.mark.parametrize("auth", [EmailPassword, SessionCookie])
async def test_who_logs_in_by_password_hears_nothing_of_a_token(
    auth: type[EmailPassword] | type[SessionCookie],
) -> None:
    async with (
        http_server(lambda asked: asked.answer(403, b'"Incorrect username and/or password"')) as server,
        TogglClient(
            auth("ann@example.com", "sesame"),
            base_url=server.url,
            accounts_url=server.url,
            options=OPTIONS,
        ) as toggl,
    ):
        for _ in range(2):
            with pytest.raises(LoginRefused, match="this e-mail address with this password") as caught:
                await toggl.me.get()
            assert "token" not in str(caught.value)
            assert caught.value.by_password


async def test_who_brings_a_token_is_told_where_it_is() -> None:
    async with (
        http_server(lambda asked: asked.answer(403, b'"Incorrect username and/or password"')) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        for _ in range(2):
            with pytest.raises(LoginRefused, match="the API token is at the bottom of") as caught:
                await toggl.me.get()
            assert not caught.value.by_password


async def test_the_words_of_a_refusal_are_escaped_wherever_they_are_kept() -> None:
    words = "\x1b]0;pwn\x07gone\nWARNING root: forged\u202e"
    async with (
        http_server(lambda asked: asked.answer(410, words.encode(), Content_Type="text/plain")) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):
        for _ in range(2):  # the second time from memory
            with pytest.raises(ResponseError, match="gone") as caught:
                await toggl.me.tags.list()
            assert (caught.value.message + str(caught.value)).isprintable()
    assert len(server.asked) == 1
