"""Which GETs under way share one answer: those that are the same in everything that can change it."""

import asyncio
from typing import Any

import attrs
import httpx
import pytest

from support.support_wire import QUICK, answer, raw_server
from toggl_async.options import Priority
from toggl_async.scheduler import EXTENSION, Lane, RequestFacts, ScheduledTransport

pytestmark = pytest.mark.anyio

PATH = "/api/v9/me"


async def test_two_bodies_are_two_requests() -> None:
    async with raw_server(lambda asked: answer(body=asked.body)) as server, server.client() as toggl:
        calls = (toggl.request("GET", PATH, json={"id": number}) for number in (1, 2))
        assert await asyncio.gather(*calls) == [{"id": 1}, {"id": 2}]
    assert len(server.received) == 2


FACTS = RequestFacts(route=f"GET {PATH}", lane=Lane.USER, reads=True)

OTHER_FACTS: dict[str, Any] = {
    "route": "GET /api/v9/{id}",
    "lane": Lane.ORGANIZATION,
    "reads": False,
    "workspace_id": 3,
    "organization_id": 4,
    "priority": Priority.BULK,
    "max_wait": 7.0,
    "attempts": 2,
    "cooldowns": 1,
    "streams": True,
    "coalesce": False,
    "account": "another",
    "recalls": False,
}


async def requests_for(*requests: httpx.Request) -> int:
    """Make requests at once, and count those that the server sees."""
    async with raw_server(lambda _asked: answer()) as server:
        async with ScheduledTransport(options=QUICK) as transport:
            sent = [
                httpx.Request(
                    request.method,
                    f"{server.url}{request.url.raw_path.decode()}",
                    headers=request.headers.raw,
                    stream=request.stream,
                    extensions=request.extensions,
                )
                for request in requests
            ]
            responses = await asyncio.gather(*map(transport.handle_async_request, sent))
            for response in responses:
                await response.aread()
        return len(server.received)


def get(**changes: Any) -> httpx.Request:
    given: dict[str, Any] = {"extensions": {EXTENSION: FACTS}, "url": f"http://toggl.test{PATH}"} | changes
    return httpx.Request("GET", **given)


def with_extensions(**extensions: object) -> httpx.Request:
    return get(extensions={EXTENSION: FACTS, **extensions})


def test_every_fact_is_tried() -> None:
    assert set(OTHER_FACTS) == {field.name for field in attrs.fields(RequestFacts)}


@pytest.mark.parametrize(("name", "value"), OTHER_FACTS.items(), ids=list(OTHER_FACTS))
async def test_what_a_request_declares_is_part_of_what_it_is(name: str, value: object) -> None:
    changed: dict[str, Any] = {name: value}
    other = get(extensions={EXTENSION: attrs.evolve(FACTS, **changed)})
    assert await requests_for(get(), other) == 2


async def traced(_name: str, _info: object) -> None:
    """Watch a request."""


async def piecewise() -> Any:
    yield b"{}"


@pytest.mark.parametrize(
    "pair",
    [
        (get(), get(url=f"http://toggl.test{PATH}?since=1")),
        (get(), get(headers={"Accept": "text/csv"})),
        (get(headers={"A": "b", "C": "d"}), get(headers={"A": "d", "C": "b"})),
        (get(content=b"1"), get(content=b"2")),
        (with_extensions(timeout={"read": 5.0}), with_extensions(timeout={"read": 6.0})),
        (get(), with_extensions(sni_hostname="toggl.test")),
        (with_extensions(trace=traced), with_extensions(trace=traced)),
        (with_extensions(odd=[{"of": object()}]), with_extensions(odd=[{"of": object()}])),
        tuple(get(content=piecewise(), headers={"Content-Length": "2"}) for _ in range(2)),
    ],
    ids=["query", "header", "headers", "body", "timeout", "extension", "trace", "object", "stream"],
)
async def test_what_differs_or_cannot_be_compared_is_not_shared(
    pair: tuple[httpx.Request, httpx.Request],
) -> None:
    assert await requests_for(*pair) == 2


async def test_what_is_the_same_is_shared() -> None:
    same = [with_extensions(timeout={"read": 5.0, "pool": None}, tags=("a", 1, b"b", True)) for _ in range(3)]
    assert await requests_for(*same) == 1
