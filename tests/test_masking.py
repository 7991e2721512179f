"""Credentials that a server, or a proxy before it, echoes: no error, event or memory repeats them."""

import datetime as dt
import html
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async import (
    ApiToken,
    EmailPassword,
    Middleware,
    ScheduledTransport,
    SessionCookie,
    TogglClient,
    capture_responses,
)
from toggl_async._client.catalog import operation
from toggl_async.cli import main
from toggl_async.errors import DecodeError, ResponseError, TogglError
from toggl_async.sandbox import Fault, Sandbox
from toggl_async.sandbox.pytest_plugin import toggl_sandbox as toggl_sandbox  # noqa: PLC0414
from toggl_async.scheduler import error_of
from toggl_async.scheduler.core.masking import masked, masked_headers, secrets_in

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


_GIVEN_OUT = {
    "Set-Cookie": "__Secure-accounts-session=s3cret-1; Path=/",
    "Set-Cookie2": "s3cret-2",
    "X-Api-Token": "s3cret-3",
    "X-CSRF-Token": "s3cret-4",
    "Authorization": "Bearer s3cret-5",
    "Authentication-Info": 'nextnonce="s3cret-6"',
    "X-Session-Id": "s3cret-7",
    "X-Amz-Security-Token": "s3cret-8",
    "Location": "https://s3cret-9:s3cret-10@files.example/report.csv?X-Amz-Signature=s3cret-11#s3cret-12",
    "Refresh": "0; url=/next?code=s3cret-13",
}
"""What an answer may give out, by its headers."""


def _with_headers(status: int) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        echoes = {
            "X-Request-Id": f"id-{_TOKEN}",
            "X-Echo": request.headers["authorization"],
            "X-Sent": "plain",
        }
        return httpx.Response(status, headers={**_GIVEN_OUT, **echoes}, json=None if status < 300 else "no")

    return httpx.MockTransport(answer)


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 410, 429, 500])
async def test_headers_that_hold_secrets(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "toggl_async")
    events: list[object] = []
    async with TogglClient(
        ApiToken(_TOKEN), transport=_with_headers(status), on_event=events.append
    ) as toggl:
        view = toggl.with_options(attempts=1)
        refusals: list[object] = []
        with capture_responses() as answers:
            for _ in range(2):  # the second may be answered from memory
                try:
                    await view.workspace(7).tags.list()
                except ResponseError as error:
                    refusals.append(f"{error!r} {error} {vars(error)}")
    assert len(refusals) == (0 if status == 200 else 2)
    shown = f"{refusals} {answers} {[one.headers for one in answers]} {events} {caplog.text}"
    assert "s3cret" not in shown
    assert _TOKEN[:8] not in shown
    assert answers[0].headers["x-echo"] == "Basic ***"
    assert answers[0].headers["x-sent"] == "plain"
    assert answers[0].headers["location"] == "https://***@files.example/report.csv?***"
    assert answers[0].request_id == "id-***"


@pytest.mark.anyio
@pytest.mark.jump
async def test_headers_of_an_answer_that_middleware_made_up() -> None:
    class Answers(Middleware):
        async def call(self, request: httpx.Request, send: object) -> httpx.Response:
            return httpx.Response(404, headers={**_GIVEN_OUT, "X-Echo": _TOKEN}, json=_TOKEN)

    async with TogglClient(ApiToken(_TOKEN), middleware=[Answers()]) as toggl:
        with pytest.raises(ResponseError, match=r"^\*\*\* \(404") as caught:
            await toggl.workspace(7).tags.list()
    assert _TOKEN not in f"{vars(caught.value)}"
    assert "s3cret" not in f"{vars(caught.value)}"


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_client_of_ones_own_gets_its_cookies() -> None:
    async with httpx.AsyncClient(transport=ScheduledTransport(_with_headers(404))) as http:
        answer = await http.get("https://api.track.toggl.com/api/v9/me", auth=(_TOKEN, "api_token"))
    assert answer.headers["set-cookie"] == _GIVEN_OUT["Set-Cookie"]
    assert answer.headers["x-echo"] == "Basic ***"
    refusal = error_of(answer, method="GET", path="/api/v9/me")
    assert refusal.headers["set-cookie"] == "***"
    assert "s3cret" not in f"{vars(refusal)}"


@given(
    before=st.sampled_from(["", "x-", "x-toggl-"]),
    word=st.sampled_from(
        [
            "Api-Key",
            "Auth",
            "Authorization",
            "Cookie",
            "CSRF",
            "JWT",
            "Password",
            "Secret",
            "Session",
            "Token",
        ]
    ),
    after=st.sampled_from(["", "-id", "-2"]),
    value=st.text(min_size=4),
)
def test_no_header_that_speaks_of_a_secret_shows_it(before: str, word: str, after: str, value: str) -> None:
    assert masked_headers({f"{before}{word}{after}": value}) == {f"{before}{word}{after}".lower(): "***"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access-control-allow-credentials", "true"),
        ("www-authenticate", 'Basic realm="Toggl"'),
        ("x-content-type-options", "nosniff"),
        ("x-next-id", "20262026"),
        ("x-toggl-quota-remaining", "2026"),
        ("date", "Thu, 12 Mar 2026 09:30:00 GMT"),
        ("author", "Ada"),
        ("location", "/api/v9/me"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    assert masked_headers({name: value}, lambda text: masked(text, {"2026"})) == {name: value}


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


def _in_json(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{high:02x}{low:02X}" for high, low in zip(units[::2], units[1::2], strict=True))


_ESCAPES: list[Callable[[str], str]] = [
    str,
    lambda one: json.dumps(one)[1:-1],
    lambda one: json.dumps(html.escape(one))[1:-1].replace("&", r"\u0026"),
    lambda one: html.escape(html.escape(one)),
    lambda one: f"{_in_json('&')}#{ord(one)};",
    _in_json,
    html.escape,
    lambda one: f"&#0{ord(one)};",
    lambda one: f"&#x{ord(one):X};",
    lambda one: f"&#X{ord(one):x}",
    lambda one: {" ": "+", "/": r"\/", "€": "&#128;", "é": "&eacute;"}.get(one, one),
    lambda one: "".join(f"%{byte:02x}" for byte in one.encode()),
    lambda one: "".join(f"%25{byte:02X}" for byte in one.encode()),
]
"""Ways to write one character."""

_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from(
    '&<>"\\/% €é+'
)


@given(written=st.lists(st.tuples(_characters, st.sampled_from(_ESCAPES)), min_size=4, max_size=20))
def test_no_mixture_of_escapes_is_left(written: list[tuple[str, Callable[[str], str]]]) -> None:
    secret = "".join(one for one, _ in written)
    text = "".join(escape(one) for one, escape in written)
    for body in (f'{{"error": "{text}"}}', f"<title>{text}</title>"):
        shown = masked(body.encode(), {secret})
        assert b"***" in shown
        assert len(shown) <= len(body.encode()) - len(text.encode()) + len(b"***;")


@pytest.mark.parametrize("secret", [_TOKEN, r"a\b\c", "a&b&c"])
@pytest.mark.parametrize("filler", [b"\\", b"\\u", b"%25", b"&amp;", b"&#", b"&#0", b"0"])
def test_a_body_made_to_be_searched_for_long(secret: str, filler: bytes) -> None:
    assert masked(b"&#" + filler * 20_000, {secret}) == b"&#" + filler * 20_000


def _as_go(text: str) -> str:
    """Write text as JSON the way Go does."""
    return json.dumps(text).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003E")


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("auth", [EmailPassword, SessionCookie])
@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 410, 429, 500])
@pytest.mark.parametrize("body", ["{}", '{{"error": {{"message": {}}}}}', '{{"error": {}}}'])
async def test_a_password_in_the_escapes_of_go(
    auth: Callable[[str, str], EmailPassword | SessionCookie],
    status: int,
    body: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    events: list[object] = []
    password = "p&ss<w0rd>1"

    def echo(_: httpx.Request) -> httpx.Response:
        headers = {"X-Toggl-Request-Id": quote(password), "X-Echo": _as_go(password)}
        return httpx.Response(status, headers=headers, text=body.format(_as_go(f"no: {password}")))

    transport = httpx.MockTransport(echo)
    async with TogglClient(
        auth("ada@example.com", password), transport=transport, on_event=events.append
    ) as toggl:
        shown = []
        for _ in range(2):  # the second may be answered from memory
            with pytest.raises(TogglError) as caught:
                await toggl.with_options(attempts=1, max_wait=60).me.get()
            shown.append(f"{caught.value!r} {caught.value} {vars(caught.value)}")
    seen = html.unescape(f"{shown} {events} {caplog.text}")
    assert "w0rd" not in seen


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("title", ["".join(f"&#{ord(one)};" for one in _TOKEN), "\u200b".join(_TOKEN)])
@pytest.mark.parametrize("page", ["<title>{}</title>", '{{"error": "{}"}}'])
async def test_a_page_that_writes_the_token_in_entities_or_with_what_is_left_out(
    page: str, title: str
) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text=page.format(title)))
    async with TogglClient(ApiToken(_TOKEN), transport=answer) as toggl:
        for call in (toggl.me.get, lambda: toggl.workspace(7).tags.delete(1)):
            with pytest.raises(DecodeError) as caught:
                await call()
            assert _TOKEN not in str(caught.value)
            assert _TOKEN not in html.unescape(caught.value.body.decode())


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_text_in_place_of_a_file_is_masked_before_it_is_cut() -> None:
    text = json.dumps("x" * 190 + _TOKEN)
    answer = httpx.MockTransport(
        lambda _: httpx.Response(200, text=text, headers={"Content-Type": "application/json"})
    )
    async with TogglClient(ApiToken(_TOKEN), transport=answer) as toggl:
        with pytest.raises(DecodeError, match=r"xxx\*\*\*") as caught:
            await toggl.workspace(7).reports.weekly.csv(start_date=dt.date(2026, 3, 2))
    assert _TOKEN[:6] not in f"{caught.value} {caught.value.body!r}"


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
