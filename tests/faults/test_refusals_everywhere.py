"""A refusal means the same to a list, a download, a validation or a login, over a real socket."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from support.support_wire import QUICK, TOKEN, Received, answer, raw_server
from toggl_async import (
    ApiToken,
    EndpointGone,
    FeatureUnavailable,
    LoginRefused,
    MaxWaitExceeded,
    QuotaExceeded,
    RateLimited,
    SessionCookie,
    TogglClient,
    TogglError,
)

pytestmark = pytest.mark.anyio

OPTIONS = attrs.evolve(QUICK, max_wait=5.0)
DAY = dt.date(2026, 3, 4)


async def streamed(toggl: TogglClient) -> bytes:
    download = toggl.workspace(3).reports.detailed.csv(start_date=DAY, end_date=DAY)
    async with download.stream() as chunks:
        return b"".join([chunk async for chunk in chunks])


PLACES: dict[str, tuple[Any, Callable[[TogglClient], Awaitable[object]]]] = {
    "a list": (ApiToken(TOKEN), lambda toggl: toggl.workspace(3).tags.list()),
    "a download": (
        ApiToken(TOKEN),
        lambda toggl: toggl.workspace(3).reports.detailed.csv(start_date=DAY, end_date=DAY),
    ),
    "a stream": (ApiToken(TOKEN), streamed),
    "a validation": (
        ApiToken(TOKEN),
        lambda toggl: toggl.workspace(3).webhooks.validate(5, validation_code="made-up"),
    ),
    "a login": (
        SessionCookie("ann@example.com", "correct horse"),
        lambda toggl: toggl.workspace(3).tags.list(),
    ),
}
REFUSALS: dict[str, tuple[bytes, type[TogglError]]] = {
    "429": (answer(429, b"<html>", {"Content-Type": "text/html", "Retry-After": "60"}), RateLimited),
    "402 for the quota": (
        answer(
            402,
            "You have hit your hourly limit. Your quota will reset in 900 seconds.",
            {"X-Toggl-Quota-Remaining": "0", "X-Toggl-Quota-Resets-In": "900"},
        ),
        QuotaExceeded,
    ),
    "402 for a feature": (
        answer(402, "A feature of premium workspaces"),
        FeatureUnavailable,
    ),
    "403 for the credentials": (answer(403, "Incorrect username and/or password"), LoginRefused),
    "410": (answer(410, "Gone"), EndpointGone),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refusal_is_typed_and_heeded_everywhere(place: str, refusal: str) -> None:
    auth, call = PLACES[place]
    written, kind = REFUSALS[refusal]
    async with (
        raw_server(lambda _: written) as server,
        TogglClient(auth, base_url=server.url, accounts_url=server.url, options=OPTIONS) as toggl,
    ):
        for _ in range(2):
            with pytest.raises(TogglError) as caught:
                await call(toggl)
            # While an account rests after a 429, what would wait longer than it may is told that.
            assert isinstance(caught.value, (kind, MaxWaitExceeded) if kind is RateLimited else kind)
        assert len(server.received) == 1, "what is known to be refused is not asked again"


@pytest.mark.parametrize("place", PLACES)
async def test_a_429_is_waited_for_and_then_answered(place: str) -> None:
    auth, call = PLACES[place]
    refused: list[Received] = []

    def answering(asked: Received) -> bytes:
        if not refused:
            refused.append(asked)
            return answer(429, b"<html>", {"Content-Type": "text/html"})
        cookie = {"Set-Cookie": "__Secure-accounts-session=made.up.session"}
        return answer(200, b'"made-up"' if "validate" in asked.target else b"[]", cookie)

    async with (
        raw_server(answering) as server,
        TogglClient(auth, base_url=server.url, accounts_url=server.url, options=OPTIONS) as toggl,
    ):
        await call(toggl)
        first, second, *_ = server.received
        assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
