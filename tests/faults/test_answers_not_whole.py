"""A status that says "not all of it" is never forgotten: on every path of answers, over a real socket."""

import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from support.support_wire import RawServer, answer, raw_server
from toggl_async import DecodeError, ResponseError, Tag, TogglClient, operations
from toggl_async._operations.operation import Operation
from toggl_async.writes import How, write_all

pytestmark = pytest.mark.anyio

TAGS = b'[{"id": 1, "name": "a", "workspace_id": 3}]'
TAG = b'{"id": 1, "name": "a", "workspace_id": 3}'
ROWS = b'[{"user_id": 1, "time_entries": [{"id": 1, "seconds": 5}]}]'
DAY = dt.date(2026, 3, 4)

Call = Callable[[TogglClient], Awaitable[Any]]


def named(name: str) -> Operation[Any]:
    return next(one for one in operations() if one.name == name)


async def walk(toggl: TogglClient) -> list[bytes]:
    async with aclosing(toggl.walk(named("workspace.projects.list"), path={"workspace_id": 3})) as pages:
        return [row async for page in pages for row in page]


READS: dict[str, tuple[Call, bytes]] = {
    "list": (lambda toggl: toggl.workspace(3).tags.list(), TAGS),
    "get": (lambda toggl: toggl.request("GET", "/api/v9/tags/1", returns=Tag), TAG),
    "iter": (lambda toggl: toggl.workspace(3).projects.iter().collect(), TAGS),
    "report": (
        lambda toggl: toggl.workspace(3).reports.detailed.iter(start_date=DAY, end_date=DAY).collect(),
        ROWS,
    ),
    "request": (lambda toggl: toggl.request("GET", "/api/v9/anything"), TAGS),
    "bytes": (lambda toggl: toggl.request("GET", "/api/v9/anything", returns=bytes), TAGS),
    "fetch": (
        lambda toggl: toggl.fetch(named("workspace.tags.list"), path={"workspace_id": 3}),
        TAGS,
    ),
    "walk": (walk, TAGS),
}
WRITES: dict[str, tuple[Call, bytes]] = {
    "create": (lambda toggl: toggl.workspace(3).tags.create(name="a"), TAG),
    "delete": (lambda toggl: toggl.workspace(3).tags.delete(1), b""),
    "request": (lambda toggl: toggl.request("POST", "/api/v9/anything", json={}), TAG),
}
EVERY = [*(pytest.param(*one, id=f"read-{name}") for name, one in READS.items())] + [
    pytest.param(*one, id=f"write-{name}") for name, one in WRITES.items()
]


def bodiless(status: int) -> bytes:
    return f"HTTP/1.1 {status} Status\r\n\r\n".encode()


async def answered(call: Call, written: bytes) -> tuple[Any, RawServer]:
    async with raw_server(lambda _: written) as server, server.client() as toggl:
        return await call(toggl), server


@pytest.mark.parametrize(("call", "body"), EVERY)
@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (
            206,
            {"Content-Range": "bytes 0-9/900"},
            r"all of it was asked for: bytes 0-9/900 \(206 Partial Content\)",
        ),
        (206, {}, r"without a Content-Range \(206"),
        (226, {"IM": "feed"}, r"only a part of the answer.* \(226 IM Used\)"),
    ],
)
async def test_a_part_is_not_taken_for_the_whole(
    call: Call, body: bytes, status: int, headers: dict[str, str], told: str
) -> None:
    async with raw_server(lambda _: answer(status, body, headers)) as server, server.client() as toggl:
        with pytest.raises(DecodeError, match=told) as caught:
            await call(toggl)
        assert len(server.received) == 1
    assert caught.value.body == body


@pytest.mark.parametrize(("call", "body"), [pytest.param(*one, id=name) for name, one in READS.items()])
@pytest.mark.parametrize("status", [202, 205])
async def test_a_promise_is_not_taken_for_an_answer(call: Call, body: bytes, status: int) -> None:
    for said in (body, b""):
        with pytest.raises(DecodeError, match=rf"got no answer yet \({status} "):
            await answered(call, answer(status, said))


@pytest.mark.parametrize(("call", "body"), [pytest.param(*one, id=name) for name, one in WRITES.items()])
async def test_a_write_that_was_accepted_is_answered(call: Call, body: bytes) -> None:
    expected, _ = await answered(call, answer(200, body))
    assert (await answered(call, answer(202, body)))[0] == expected


@pytest.mark.parametrize(("call", "body"), EVERY)
@pytest.mark.parametrize("status", [201, 203])
async def test_other_successes_bring_what_200_brings(call: Call, body: bytes, status: int) -> None:
    expected, given = [(await answered(call, answer(one, body)))[0] for one in (200, status)]
    assert getattr(given, "body", given) == getattr(expected, "body", expected)


@pytest.mark.parametrize(("call", "body"), EVERY)
@pytest.mark.parametrize("status", [300, 302, 304, 308, 399])
@pytest.mark.parametrize("location", [None, "https://elsewhere.example/api/v9/x"])
async def test_a_redirect_or_an_unasked_not_modified_is_no_answer(
    call: Call, body: bytes, status: int, location: str | None
) -> None:
    headers = {} if location is None else {"Location": location}
    written = bodiless(status) if status == 304 else answer(status, body, headers)
    async with raw_server(lambda _: written) as server, server.client() as toggl:
        with pytest.raises(ResponseError) as caught:
            await call(toggl)
        assert len(server.received) == 1, "nothing is followed"
    assert caught.value.status == status


async def test_a_write_of_which_a_part_came_is_in_doubt() -> None:
    async with raw_server(lambda _: answer(206, TAG)) as server, server.client() as toggl:
        tags = toggl.workspace(3).tags
        (written,) = [one async for one in write_all(["a"], lambda name: tags.create(name=name))]
    assert written.how is How.IN_DOUBT
