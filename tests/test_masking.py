"""Credentials that a server, or a proxy before it, echoes: no error, event or memory repeats them."""

import html
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async import ApiToken, EmailPassword, SessionCookie, TogglClient
from toggl_async._client.catalog import operation
from toggl_async.cli import main
from toggl_async.errors import DecodeError, ResponseError
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414
from toggl_async.scheduler.core.masking import masked, secrets_in

_TOKEN = "0123456789abcdef0123456789abcdef"
_PASSWORD = 'pä"ss<xyzzy>'

_SPELLINGS: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    html.escape,
    lambda text: quote(text, safe=""),
]


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("status", [400, 402, 403, 404, 410, 429, 500])
async def test_a_refusal_that_echoes_the_request(status: int) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        told = f"refused {_TOKEN}: {request.headers['authorization']}"
        return httpx.Response(status, json={"error_message": told, "tip": "x" * 480 + _TOKEN})

    async with TogglClient(ApiToken(_TOKEN), transport=httpx.MockTransport(echo)) as toggl:
        view = toggl.with_options(attempts=1, max_wait=60)
        for _ in range(2 if status in {402, 410} else 1):  # the second may be answered from memory
            with pytest.raises(ResponseError) as caught:
                await view.workspace(7).tags.list()
            shown = f"{caught.value!r} {caught.value.message} {caught.value.body!r}"
            assert "refused ***: Basic ***" in caught.value.message
            assert _TOKEN[:8] not in shown
            assert len(caught.value.message) < 600


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_refusal_that_comes_in_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'"no: '
        yield _TOKEN.encode() + b'"'

    answer = httpx.MockTransport(lambda _: httpx.Response(403, content=pieces()))
    async with TogglClient(ApiToken(_TOKEN), transport=answer) as toggl:
        with pytest.raises(ResponseError, match=r"no: \*\*\*"):
            await toggl.workspace(7).tags.list()


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize(
    ("body", "spelled"),
    [
        *(("<html><title>{}</title>", spelled) for spelled in _SPELLINGS),
        *(("<html><title>{:->120}</title>", spelled) for spelled in _SPELLINGS),
        *(('{{"error": "no: {}"}}', spelled) for spelled in _SPELLINGS[1:]),
    ],
)
async def test_a_page_in_place_of_an_answer(spelled: Callable[[str], str], body: str) -> None:
    text = body.format(spelled(_PASSWORD).removeprefix('"').removesuffix('"'))
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text=text))
    async with TogglClient(EmailPassword("ada@example.com", _PASSWORD), transport=answer) as toggl:
        with pytest.raises(DecodeError) as caught:
            await toggl.me.get()
        answered = await toggl.fetch(operation("me.get"), path={})
    assert "***" in str(caught.value)
    assert b"***" in answered.body
    assert "xyzzy" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_login_that_echoes_the_password_and_a_session_that_echoes_its_cookie() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "accounts.toggl.com":
            cookie = {"Set-Cookie": "__Secure-accounts-session=secret-cookie; Path=/"}
            return httpx.Response(200, headers=cookie)
        if request.url.path.endswith("/me"):
            return httpx.Response(200, text=f"<html><title>{request.headers['cookie']}</title>")
        return httpx.Response(404, text=f"no: {request.headers['cookie']}")

    auth = SessionCookie("ada@example.com", _PASSWORD)
    async with TogglClient(auth, transport=httpx.MockTransport(answer)) as toggl:
        with pytest.raises(ResponseError, match=r"^no: __Secure-accounts-session=\*\*\* \("):
            await toggl.workspace(7).tags.list()
        with pytest.raises(DecodeError, match=r'titled "__Secure-accounts-session=\*\*\*"'):
            await toggl.me.get()
    refusal = httpx.MockTransport(lambda request: httpx.Response(403, content=request.content))
    async with TogglClient(auth, transport=refusal) as toggl:
        with pytest.raises(ResponseError) as caught:
            await toggl.me.get()
    assert b"***" in caught.value.body
    assert "xyzzy" not in f"{caught.value} {caught.value.body!r}"


def test_the_command_does_not_print_a_token_that_comes_back(
    toggl_sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = toggl_sandbox.api_token
    monkeypatch.setenv("TOGGL_API_TOKEN", token)
    monkeypatch.setenv("TOGGL_BASE_URL", toggl_sandbox.base_url)
    toggl_sandbox.order(Fault(status=404, body=json.dumps(f"no such token: {token}")), times=1)
    assert main(["current"]) == 1
    message = capsys.readouterr().err
    assert "no such token: ***" in message
    assert token not in message


@given(secret=st.text(min_size=4, max_size=40), before=st.binary(max_size=20))
def test_no_spelling_is_left(secret: str, before: bytes) -> None:
    for spelled in _SPELLINGS:
        try:
            text = spelled(secret).encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which no header holds
            continue
        assert text not in masked(before + text, {secret}) or text in b"***"


def test_what_is_too_short_to_tell_is_left() -> None:
    assert masked(b"a cat", {"a", ""}) == b"a cat"


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({}, {""}),
        ({"authorization": "Bearer abcdef"}, {"abcdef", ""}),
        ({"authorization": "abcdef"}, {"abcdef", ""}),
        ({"authorization": "Basic abcde"}, {"abcde", ""}),
        ({"cookie": "a=one; b=two"}, {"", "one", "two"}),
    ],
)
def test_what_is_secret(headers: dict[str, str], secrets: set[str]) -> None:
    assert secrets_in(headers) == secrets
