"""Whatever stands in the headers of an answer, or in the body of a refusal, is read without raising."""

import asyncio
import base64
import datetime as dt
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.servers import session_client
from support.support_wire import QUICK, TOKEN, answer, raw_server
from toggl_async import ApiToken, ClientOptions, Cooldown, LoginRefused, Pace, TogglClient
from toggl_async.errors import MalformedDelivery, TogglError
from toggl_async.scheduler import ScheduledTransport, classify
from toggl_async.webhooks import parse

pytestmark = pytest.mark.anyio

NAMES = (
    "Content-Type",
    "Date",
    "Retry-After",
    "Set-Cookie",
    "X-Next-ID",
    "X-Next-Row-Number",
    "X-Next-Timestamp",
    "X-Pages",
    "X-Remaining-Login-Attempts",
    "X-Toggl-Quota-Remaining",
    "X-Toggl-Quota-Resets-In",
    "X-Toggl-Request-Id",
)

ODD_VALUES = (
    "Mon, 01 Jan 10000000000 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +9959",
    "Mon, 31 Feb 2026 25:61:61",
    "9" * 320,
    "9" * 5000,
    "-1",
    "1.5",
    "1_000",
    "1e999",
    "nan",
    "\u00b2",
    "text/html; charset=hex",
    "text/html; charset=\u00e9",
    "text/html; charset=rot13",
    "__Secure-accounts-session=a b\u00e9; Max-Age=" + "9" * 5000,
    "",
)

ODD_BODIES = (
    b"",
    b"\xff\xfe\x00",
    b"[" * 5000 + b"]" * 5000,
    b"9" * 5000,
    b'"\\ud800"',
    b"Your quota will reset in " + b"9" * 5000 + b" seconds",
    b'{"error": {"message": {"error": [null, 1e999, {}]}}}',
    b"<html>nginx</html>",
)

values = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.integers().map(str),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
fields = st.dictionaries(st.sampled_from(NAMES), values.map(str.strip), max_size=6)
statuses = st.sampled_from([200, 204, 301, 400, 401, 402, 403, 404, 410, 429, 500, 502, 503, 599])


@pytest.mark.filterwarnings("ignore::toggl_async.DriftWarning")
@settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(
    statuses=st.lists(statuses, min_size=1, max_size=3),
    headers=fields,
    body=st.one_of(st.sampled_from(ODD_BODIES), st.binary(max_size=50)),
)
def test_a_call_ends_with_an_answer_or_a_typed_error(
    statuses: list[int], headers: dict[str, str], body: bytes
) -> None:
    left = list(statuses)

    def respond(_: httpx.Request) -> httpx.Response:
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        return httpx.Response(left.pop(0) if left else 200, headers=raw, content=body)

    async def call() -> None:
        options = ClientOptions(
            pace=Pace(interval=1e-6), cooldown=Cooldown(minimum=0.0, maximum=0.0), max_wait=0.5
        )
        async with TogglClient(
            ApiToken(TOKEN), transport=httpx.MockTransport(respond), options=options
        ) as toggl:
            for request in (
                toggl.request("GET", "/api/v9/me/quota"),
                toggl.request("POST", "/api/v9/workspaces/3/tags"),
                toggl.workspace(3).reports.detailed.search(start_date=dt.date(2026, 5, 1)),
            ):
                try:
                    await request
                except TogglError as error:
                    str(error)

    asyncio.run(call())


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(24)
async def test_an_odd_header_does_no_harm_over_a_socket(name: str, value: str) -> None:
    headers = {name: value.encode("latin-1", "replace").decode("latin-1").strip()}
    async with raw_server(lambda _asked: answer(headers=headers)) as server, server.client() as toggl:
        assert await toggl.request("GET", "/api/v9/me") == {}


@pytest.mark.parametrize("value", ODD_VALUES)
async def test_a_429_is_noticed_whatever_its_retry_after_says(value: str) -> None:
    """Its rest is drawn as usual where Retry-After says nothing that can be true."""
    headers = httpx.Headers([(b"Retry-After", value.encode("latin-1", "replace"))])
    outcome = classify(429, headers, b"")
    assert outcome.kind.name == "THROTTLED"
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= 3600 * 10**6


@pytest.mark.parametrize("body", ODD_BODIES)
async def test_a_refusal_of_any_body_is_typed_over_a_socket(body: bytes) -> None:
    async with raw_server(lambda _asked: answer(404, body)) as server, server.client() as toggl:
        with pytest.raises(TogglError) as caught:
            await toggl.request("GET", "/api/v9/me")
    assert caught.value.args


def session(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.sig"


@pytest.mark.parametrize(
    "cookie",
    [
        session({"exp": 10**400}),
        session({"exp": float("nan")}),
        session({"exp": 1e308, "iat": -1e308}),
        session([1]),
        session({"exp": None}),
        "a." + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".c",
        "\u00e9.\u00e9",
    ],
)
async def test_a_session_of_any_shape_is_used(cookie: str) -> None:
    headers = {"Set-Cookie": f"__Secure-accounts-session={cookie}"}
    async with (
        raw_server(lambda _asked: answer(headers=headers)) as server,
        session_client(server.url, QUICK) as toggl,
    ):
        assert await toggl.request("GET", "/api/v9/me") == {}


@pytest.mark.parametrize("attempts", ["9" * 5000, "-1", "\u00b2", "two"])
async def test_login_attempts_that_are_no_number_are_not_told(attempts: str) -> None:
    headers = {"X-Remaining-Login-Attempts": attempts}
    async with raw_server(lambda _asked: answer(401, b"", headers)) as server, server.client() as toggl:
        with pytest.raises(LoginRefused) as caught:
            await toggl.request("GET", "/api/v9/me")
    assert caught.value.remaining_attempts is None


async def test_the_cookies_of_a_foreign_client_may_be_odd() -> None:
    async with raw_server(lambda _asked: answer()) as server:
        transport = ScheduledTransport(options=QUICK)
        async with httpx.AsyncClient(transport=transport) as client:
            odd = "__Host-timer-session=a; b[]=c; (d)=e"
            response = await client.get(f"{server.url}/api/v9/me", headers={"Cookie": odd})
            assert response.status_code == 200


async def test_an_id_of_any_length_is_a_path() -> None:
    path = f"/api/v9/workspaces/{'9' * 5000}/tags"
    async with raw_server(lambda _asked: answer()) as server, server.client() as toggl:
        assert await toggl.request("GET", path) == {}
    assert server.received[0].target == path


def test_an_odd_delivery_is_read_or_malformed() -> None:
    with pytest.raises(MalformedDelivery):
        parse(b"[" * 5000 + b"]" * 5000)
    found = parse(b'{"event_id": "' + b"9" * 5000 + b'", "timestamp": "2026-05-20T12:00:01Z"}')
    assert (found.event_id, found.unknown) == (None, {"event_id": "9" * 5000})
