"""How long a wrong word of the server's holds: a window lasts an hour, a rest about as long at most."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.support_wire import TOKEN
from toggl_async import ApiToken, ClientOptions, Cooldown, QuotaExceeded, TogglClient

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

HOUR = 3600.0


class Hourly:
    """A Toggl with a quota of 240 an hour, whose first answer is a script's."""

    def __init__(self, *scripted: httpx.Response) -> None:
        self.scripted: Iterator[httpx.Response] = iter(scripted)
        self.sent: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        self.sent.append(now)
        scripted = next(self.scripted, None)
        if scripted is not None:
            return scripted
        used = sum(at // HOUR == now // HOUR for at in self.sent)
        headers = {
            "X-Toggl-Quota-Remaining": str(max(0, 240 - used)),
            "X-Toggl-Quota-Resets-In": str(int(HOUR - now % HOUR)),
        }
        return httpx.Response(200, json={}, headers=headers)


async def seconds_for(calls: int, toggl_side: Hourly, **options: Any) -> float:
    """Make calls one after the other, and return the seconds that they took."""
    settings = ClientOptions(max_wait=float("inf"), **options)
    transport = httpx.MockTransport(toggl_side)
    began = asyncio.get_running_loop().time()
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=settings) as toggl:
        for _ in range(calls):
            await toggl.request("GET", "/api/v9/me")
    return asyncio.get_running_loop().time() - began


def told(resets_in: object, remaining: object = 29, status: int = 200, **other: Any) -> httpx.Response:
    headers = {"X-Toggl-Quota-Remaining": str(remaining), "X-Toggl-Quota-Resets-In": str(resets_in)}
    content: dict[str, Any] = {"json": {}} | other
    return httpx.Response(status, headers=headers, **content)


@pytest.mark.parametrize(
    "resets_in", [99999999, 3700, -1, -(10**9), 10**12, "9" * 320, "9" * 5000, "1e9", "inf", "nan", ""]
)
@pytest.mark.sampled(2)
async def test_a_reset_that_cannot_be_is_not_believed(resets_in: object) -> None:
    assert await seconds_for(240, Hourly(told(resets_in))) < 2 * HOUR


async def test_a_wrong_reset_that_could_be_is_corrected_by_the_next_word() -> None:
    toggl_side = Hourly(told(3599, remaining=3))
    assert await seconds_for(230, toggl_side) < 300


async def test_a_reset_of_a_402_that_cannot_be_is_not_believed() -> None:
    refused = httpx.Response(402, json="You hit your hourly limit. Your quota will reset in 99999999 seconds")
    assert await seconds_for(2, Hourly(refused)) < HOUR


async def test_a_row_of_the_quota_that_cannot_be_is_not_believed() -> None:
    rows = [
        {"organization_id": None, "remaining": 0, "resets_in_secs": 10**400, "total": 30},
        {"organization_id": None, "remaining": 0, "resets_in_secs": 99999999, "total": 30},
        {"organization_id": None, "remaining": 10**400, "resets_in_secs": 60, "total": 30},
        {"organization_id": None, "remaining": True, "resets_in_secs": 60, "total": 30},
    ]
    toggl_side = Hourly(httpx.Response(200, json=rows))
    async with TogglClient(ApiToken(TOKEN), transport=httpx.MockTransport(toggl_side)) as toggl:
        await toggl.request("GET", "/api/v9/me/quota")
        await toggl.request("GET", "/api/v9/me")
    assert toggl_side.sent[1] - toggl_side.sent[0] < 5


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "retry_after",
    ["99999999", "9" * 400, "Fri, 01 Jan 9999 00:00:00 GMT", "Mon, 01 Jan 10000000000 00:00:00 GMT", "-5"],
)
async def test_a_rest_takes_about_an_hour_at_most(status: int, retry_after: str) -> None:
    refused = httpx.Response(status, headers={"Retry-After": retry_after})
    assert await seconds_for(2, Hourly(refused)) <= HOUR * 1.1 + 10


@pytest.mark.parametrize(("retry_after", "rest"), [("300", 300), ("300.5", 300.5), (" 300 ", 300)])
async def test_a_retry_after_that_can_be_is_kept(retry_after: str, rest: float) -> None:
    refused = httpx.Response(429, headers=[(b"Retry-After", retry_after.encode())])
    taken = await seconds_for(2, Hourly(refused), cooldown=Cooldown(minimum=1, maximum=2))
    assert rest <= taken <= rest * 1.1 + 5, "chance adds up to a tenth, against herds"


async def test_an_error_names_a_reset_within_the_hour() -> None:
    refused = told("9" * 320, 0, 402, json="You hit your hourly limit")
    settings = ClientOptions(max_wait=5)
    transport = httpx.MockTransport(lambda _: refused)
    async with TogglClient(ApiToken(TOKEN), transport=transport, options=settings) as toggl:
        with pytest.raises(QuotaExceeded) as caught:
            await toggl.request("GET", "/api/v9/me")
    assert caught.value.reset_at - dt.datetime.now(dt.UTC) < dt.timedelta(hours=1, minutes=2)
