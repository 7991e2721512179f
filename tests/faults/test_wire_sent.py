"""What goes wrong after a request has left is told as that, and what never left is told as that."""

from typing import Any

import httpx
import pytest

from support.servers import Asked, http_server
from toggl_async import (
    ApiToken,
    ClientOptions,
    InvalidInput,
    Middleware,
    Pace,
    RequestFailed,
    Retry,
    ScheduledTransport,
    Send,
    TogglClient,
)
from toggl_async.writes import How, write_all

pytestmark = pytest.mark.anyio

TOKEN = "5f3c0a9d8b7e6f1a2c3d4e5f6a7b8c9d"
OPTIONS = ClientOptions(pace=Pace(interval=0), retry=Retry(attempts=3, minimum=0.0, maximum=0.0))


def created(asked: Asked) -> None:
    asked.answer(body=b'{"id": 1, "name": "x"}')


class HalfRead(Middleware):
    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        response = await send(request)
        async for _ in response.aiter_raw():
            break
        return response


class SentTwice(Middleware):
    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        return await send(request)


class NothingReturned(Middleware):
    async def attempt(self, request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        return None  # type: ignore[return-value]


class NothingReturnedByCall(Middleware):
    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        return None  # type: ignore[return-value]


class LossSwallowed(Middleware):
    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        try:
            return await send(request)
        except RequestFailed:
            return None  # type: ignore[return-value]


class ChangedAfterwards(Middleware):
    async def call(self, request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        request.url = request.url.copy_with(path="/api/v9/elsewhere")
        return await send(request)


MISTAKES = [HalfRead, SentTwice, NothingReturned, NothingReturnedByCall, ChangedAfterwards]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
async def test_a_mistake_of_middleware_after_a_write_left_says_that_it_may_have_been_applied(
    mistake: type[Middleware], tmp_path: Any
) -> None:
    async with (
        http_server(created) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS, middleware=[mistake()]) as toggl,
    ):

        async def write(name: str) -> object:
            return await toggl.workspace(3).tags.create(name=name)

        journal = tmp_path / "journal.sqlite"
        first = [one async for one in write_all(["x"], write, journal=journal)]
        again = [one async for one in write_all(["x"], write, journal=journal)]
    assert [one.how for one in first + again] == [How.IN_DOUBT, How.IN_DOUBT]
    assert isinstance(first[0].error, RequestFailed)
    assert first[0].error.maybe_applied
    assert "middleware" in str(first[0].error) or "NothingReturned" in str(first[0].error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
async def test_a_read_that_left_is_no_invalid_input_either_and_is_not_repeated(
    mistake: type[Middleware],
) -> None:
    async with (
        http_server(lambda asked: asked.answer(body=b"[]")) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS, middleware=[mistake()]) as toggl,
    ):
        with pytest.raises(RequestFailed) as caught:
            await toggl.me.tags.list()
    assert not caught.value.maybe_applied
    assert len(server.asked) == 1


async def test_a_loss_that_middleware_swallowed_is_not_lost_with_it() -> None:
    async with (
        http_server(lambda asked: asked.hang_up()) as server,
        TogglClient(
            ApiToken(TOKEN), base_url=server.url, options=OPTIONS, middleware=[LossSwallowed()]
        ) as toggl,
    ):
        with pytest.raises(RequestFailed) as caught:
            await toggl.workspace(3).tags.create(name="x")
    assert caught.value.maybe_applied


class Refusing(httpx.AsyncBaseTransport):
    """A transport of a program's own, of which nobody knows what it has sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise InvalidInput("no")


async def test_what_a_foreign_transport_refuses_may_have_left() -> None:
    async with TogglClient(ApiToken(TOKEN), transport=Refusing(), options=OPTIONS) as toggl:
        with pytest.raises(RequestFailed) as caught:
            await toggl.workspace(3).tags.create(name="x")
    assert caught.value.maybe_applied


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("X-Odd", "SECRET\r\nX-Other: 1", "its header X-Odd"),
        ("X-Odd", "SECRET\n", "its header X-Odd"),
        ("X-Odd", "SECRET\0", "its header X-Odd"),
        ("X Odd", "SECRET", "'X Odd' is not the name"),
        ("Content-Length", "SECRET", "HTTP does not allow"),
    ],
)
@pytest.mark.parametrize("where", ["call", "attempt"])
async def test_a_header_that_cannot_be_written_is_refused_unsent(
    where: str, name: str, value: str, told: str
) -> None:
    async def mark(_self: Middleware, request: httpx.Request, send: Send) -> httpx.Response:
        request.headers[name] = value
        return await send(request)

    kind = type("Marking", (Middleware,), {where: mark})
    async with (
        http_server(created) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS, middleware=[kind()]) as toggl,
    ):
        with pytest.raises(InvalidInput, match=told) as caught:
            await toggl.workspace(3).tags.create(name="x")
        assert "SECRET" not in str(caught.value)
        assert caught.value.__suppress_context__
    assert server.asked == []


async def test_a_client_of_httpx_is_told_of_it_as_well() -> None:
    async with (
        http_server(created) as server,
        httpx.AsyncClient(transport=ScheduledTransport(options=OPTIONS)) as client,
    ):
        with pytest.raises(InvalidInput, match="X-Odd"):
            await client.post(f"{server.url}/api/v9/x", headers={"X-Odd": "a\r\nb"})
    assert server.asked == []


@pytest.mark.parametrize(("status", "how"), [(302, How.IN_DOUBT), (304, How.IN_DOUBT), (400, How.REFUSED)])
async def test_a_write_that_is_neither_confirmed_nor_refused_is_in_doubt(status: int, how: How) -> None:
    async with (
        http_server(lambda asked: asked.answer(status, b"", Location="/elsewhere")) as server,
        TogglClient(ApiToken(TOKEN), base_url=server.url, options=OPTIONS) as toggl,
    ):

        async def write(name: str) -> object:
            return await toggl.workspace(3).tags.create(name=name)

        assert [one.how async for one in write_all(["x"], write)] == [how]
