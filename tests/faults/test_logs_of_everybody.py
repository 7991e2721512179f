"""A program that logs everything at DEBUG, libraries below included: no secret is in any record."""

import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from support.support_wire import QUICK, TOKEN, Received, answer, raw_server
from toggl_async import (
    ApiToken,
    ConnectionFailed,
    EmailPassword,
    Middleware,
    SessionCookie,
    TogglClient,
    TogglError,
)
from toggl_async.scheduler import ScheduledTransport

pytestmark = pytest.mark.anyio

PASSWORD = "correct-horse-battery"
SESSION = "made.up.session"
HOOK = "a-hook-secret"
CODE = "a-shared-code"
SECRETS = {
    TOKEN,
    PASSWORD,
    SESSION,
    HOOK,
    CODE,
    base64.b64encode(f"{TOKEN}:api_token".encode()).decode(),
    base64.b64encode(f"ann@example.com:{PASSWORD}".encode()).decode(),
}

AUTHS: dict[str, Any] = {
    "token": ApiToken(TOKEN),
    "password": EmailPassword("ann@example.com", PASSWORD),
    "session": SessionCookie("ann@example.com", PASSWORD),
}


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    for name in ("toggl_async", "httpcore", "httpx", "h11"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def assert_clean(caplog: pytest.LogCaptureFixture) -> None:
    told = [f"{record.name}: {record.getMessage()} {record.exc_text}" for record in caplog.records]
    assert any(line.startswith("httpcore.http11: receive_response_headers.") for line in told)
    assert [line for line in told if any(secret in line for secret in SECRETS)] == []


def answering(received: Received) -> bytes:
    """Set a session's cookie, whatever is asked, and repeat what came."""
    headers = {
        "Set-Cookie": f"__Secure-accounts-session={SESSION}; Path=/; HttpOnly",
        "X-Echo": received.headers.get("authorization", received.headers.get("cookie", "")),
        "Location": f"https://files.example/export?signature={CODE}",
    }
    return answer(200, [{"id": 1, "name": "a", "secret": HOOK}], headers)


CALLS: dict[str, Callable[[TogglClient], Awaitable[object]]] = {
    "a list": lambda toggl: toggl.workspace(3).tags.list(),
    "a shared report": lambda toggl: toggl.shared_report(CODE).get(),
    "webhooks": lambda toggl: toggl.workspace(3).webhooks.list(),
    "a new webhook": lambda toggl: toggl.request(
        "POST", "/webhooks/api/v1/subscriptions/3", json={"secret": HOOK}
    ),
}


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
async def test_no_record_of_anybody_holds_a_secret(auth: Any, everything: pytest.LogCaptureFixture) -> None:
    async with raw_server(answering) as server:
        async with TogglClient(auth, base_url=server.url, accounts_url=server.url, options=QUICK) as toggl:
            for call in CALLS.values():
                with contextlib.suppress(TogglError):
                    await call(toggl)
        assert len(server.received) >= len(CALLS)
    assert_clean(everything)


@pytest.mark.parametrize(
    "line",
    [f"Set-Cookie : s={SESSION}", f"Set-Cookie: s={SESSION}\0", f"{SESSION}"],
    ids=["space", "null", "no-header"],
)
async def test_a_line_that_is_no_header_is_not_quoted(
    line: str, everything: pytest.LogCaptureFixture
) -> None:
    written = f"HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    async with raw_server(lambda _: written) as server, server.client() as toggl:
        with pytest.raises(ConnectionFailed, match="illegal header line: …") as caught:
            await toggl.request("POST", "/api/v9/x", json={})
    error: BaseException | None = caught.value
    while error is not None:
        assert SESSION not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    everything.records.append(
        logging.makeLogRecord({"name": "httpcore.http11", "msg": "receive_response_headers"})
    )
    assert_clean(everything)


async def test_a_header_that_cannot_be_sent_is_not_quoted(everything: pytest.LogCaptureFixture) -> None:
    class Signing(Middleware):
        async def attempt(self, request: Any, send: Any) -> Any:
            request.headers["X-Signature"] = f"{HOOK}\n"
            return await send(request)

    async with (
        raw_server(answering) as server,
        server.client(middleware=[Signing()]) as toggl,
    ):
        with pytest.raises(TogglError, match="the value of its header X-Signature"):
            await toggl.workspace(3).tags.list()
    told = [record.getMessage() for record in everything.records]
    assert any("send_request_headers.failed" in line for line in told)
    assert [line for line in told if HOOK in line] == []


async def test_a_cookie_of_another_client_stays_its_own(everything: pytest.LogCaptureFixture) -> None:
    """Only the log is blanked: whoever sends through the transport gets what came."""
    traced: list[Any] = []

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name == "http11.receive_response_headers.complete":
            traced.extend(info["return_value"][3])

    async with raw_server(answering) as server:
        transport = ScheduledTransport(options=QUICK)
        async with httpx.AsyncClient(transport=transport, auth=(TOKEN, "api_token")) as client:
            response = await client.get(f"{server.url}/api/v9/me", extensions={"trace": trace})
    assert SESSION in response.headers["set-cookie"]
    assert any(SESSION.encode() in value for _, value in traced)
    assert_clean(everything)


async def test_http2_logs_no_secret_of_an_answer(everything: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("h2")
    from support.http2 import http2_server  # noqa: PLC0415 - needs h2

    transport = httpx.AsyncHTTPTransport(http1=False, http2=True)
    headers = [("set-cookie", f"__Secure-accounts-session={SESSION}")]
    async with (
        http2_server([], headers) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, transport=transport, options=QUICK) as toggl,
    ):
        assert await toggl.request("GET", "/api/v9/x") == {}
    told = [f"{record.name}: {record.getMessage()}" for record in everything.records]
    assert any(line.startswith("httpcore.http2: receive_response_headers.complete") for line in told)
    assert [line for line in told if line.startswith("httpcore") and (SESSION in line or TOKEN in line)] == []
