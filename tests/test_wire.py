"""Requests built and sent without httpx's own client: what that did for us has to go on."""

import asyncio
import gzip
import urllib.parse

import httpx
import pytest

from support.loopback import listening
from toggl_async import (
    ApiToken,
    ClientOptions,
    ConnectionFailed,
    DecodeError,
    InvalidInput,
    Retry,
    TogglClient,
)
from toggl_async._client.wire import Wire, check_call, network

API = httpx.URL("https://api.track.toggl.com")


@pytest.mark.parametrize(
    ("method", "path", "has_query", "message"),
    [
        ("GET", "api/v9/me", False, "path must start with a single slash"),
        ("GET", "//evil.example/api", False, "path must start with a single slash"),
        ("GET", "https://evil.example/", False, "path must start with a single slash"),
        ("GET", "/x?since=1", True, "path already contains a query: pass all of it in params"),
        ("GET", "/x#there", False, "path must not contain a fragment"),
        ("GET", "/api/../admin", False, "path must not contain dot segments"),
        ("GET", "/api/%2e%2E/admin", False, "path must not contain dot segments"),
        ("GET", "/api/./me", False, "path must not contain dot segments"),
        ("FOO BAR", "/x", False, "method must be an HTTP method, not 'FOO BAR'"),
        ("", "/x", False, "method must be an HTTP method, not ''"),
    ],
)
def test_what_would_go_elsewhere_or_lose_something_is_refused(
    method: str, path: str, has_query: bool, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        check_call(method, path, has_query=has_query)
    assert "evil" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize(("path", "has_query"), [("/x?a=../b", False), ("/x..y/.z", True), ("/", False)])
async def test_what_stays_is_let_through(path: str, has_query: bool) -> None:
    check_call("PURGE", path, has_query=has_query)
    wire = Wire(API, user_agent="x", transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    request = await wire.request("PURGE", path, query=(("a", "b"),) * has_query, body=None, timeout=1.0)
    assert request.method == "PURGE"
    assert request.url.raw_path.decode() == (f"{path}?a=b" if has_query else path)


@pytest.mark.anyio
@pytest.mark.jump
@pytest.mark.parametrize("path", ["/a\r\nX-Evil: 1", "/\x00", "/" + "x" * 70_000, "/\ud800"])
async def test_what_makes_no_url_is_refused(path: str) -> None:
    wire = Wire(API, user_agent="x", transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(InvalidInput, match=r"^GET: the path does not make a valid URL"):
        await wire.request("GET", path, query=(), body=None, timeout=1.0)


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_request_is_complete() -> None:
    network = httpx.MockTransport(lambda _: httpx.Response(200))
    wire = Wire(httpx.URL("http://localhost:8080/home/"), user_agent="timesheets", transport=network)
    request = await wire.request("POST", "/x%2Fy", query=(("a", "b c"),), body=b"{}", timeout=2.5)
    assert str(request.url) == "http://localhost:8080/home/x%2Fy?a=b+c"
    assert dict(request.headers) == {
        "host": "localhost:8080",
        "accept": "application/json, */*;q=0.5",
        "accept-encoding": "gzip, deflate",
        "user-agent": "timesheets",
        "content-type": "application/json",
        "content-length": "2",
    }
    assert request.extensions == {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), 2.5)}


@pytest.mark.anyio
@pytest.mark.jump
async def test_an_answer_is_decompressed() -> None:
    body = gzip.compress(b'"up"')
    answer = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(body))
    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(lambda _: answer)) as toggl:
        assert await toggl.request("GET", "/api/v9/status") == "up"


@pytest.mark.anyio
@pytest.mark.jump
async def test_an_answer_that_cannot_be_decompressed_is_said_as_such() -> None:
    answer = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"{}"))
    async with TogglClient(ApiToken("a" * 32), transport=httpx.MockTransport(lambda _: answer)) as toggl:
        with pytest.raises(DecodeError, match=r"^me\.get: cannot be decompressed") as caught:
            await toggl.me.get()
    assert caught.value.body == b"{}"


@pytest.mark.anyio
async def test_cookies_and_redirects_go_nowhere() -> None:
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(
                b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
            )
        await writer.drain()

    async with (
        listening(serve) as port,
        TogglClient(ApiToken("a" * 32), base_url=f"http://127.0.0.1:{port}") as toggl,
    ):
        for _ in range(2):
            assert await toggl.me.desktop_login_tokens.redeem(login_token="x") == "/elsewhere"
    assert [request.split(" ")[1] for request in asked] == ["/api/v9/desktop_login?login_token=x"] * 2
    assert all("cookie" not in request.lower() for request in asked)


def proxy_of(transport: httpx.AsyncHTTPTransport) -> str | None:
    url = getattr(transport._pool, "_proxy_url", None)
    return None if url is None else f"{url.scheme.decode()}://{url.host.decode()}:{url.port}"


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, API, "http://proxy.example:3128"),
        ({"https_proxy": "proxy.example:3128"}, API, "http://proxy.example:3128"),
        ({"ALL_PROXY": "http://proxy.example:3128"}, API, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".toggl.com"}, API, None),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, API, None),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, httpx.URL("http://127.0.0.1:8080"), None),
    ],
)
def test_the_proxy_of_the_environment_is_taken(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: httpx.URL, proxy: str | None
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(network(url, connections=3)) == proxy


def test_what_is_no_proxy_is_refused_without_being_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://ada:sesame@proxy.example")
    with pytest.raises(InvalidInput, match="not valid: HTTPS_PROXY must be a URL") as caught:
        TogglClient(ApiToken("a" * 32))
    assert "sesame" not in str(caught.value)


@pytest.mark.anyio
async def test_a_proxy_is_asked_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    options = ClientOptions(retry=Retry(attempts=1))
    async with listening(serve) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with TogglClient(ApiToken("a" * 32), options=options) as toggl:
            with pytest.raises(ConnectionFailed, match="ProxyError"):
                await toggl.me.get()
    assert asked == [f"CONNECT {urllib.parse.urlsplit(str(API)).hostname}:443 HTTP/1.1"]
