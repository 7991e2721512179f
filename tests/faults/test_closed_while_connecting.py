"""A client that is closed while a connection of it is being made leaves none behind, and sends nothing."""

import asyncio
import gc
from typing import Any

import httpx
import pytest

from support.support_wire import QUICK, answer, raw_server
from toggl_async import ClientClosed
from toggl_async.scheduler import ScheduledTransport

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("make", [None, httpx.AsyncHTTPTransport], ids=["own", "given"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_connects_while_its_client_is_closed_is_not_sent(make: Any, method: str) -> None:
    async with raw_server(lambda _: answer()) as server:
        transport = ScheduledTransport(make and make(), options=QUICK)

        async def trace(name: str, info: dict[str, Any]) -> None:
            if name == "connection.connect_tcp.complete":
                assert info["return_value"] is not None
                await transport.aclose()

        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(ClientClosed, match="before the call could be sent"):
                await client.request(method, f"{server.url}/api/v9/me", extensions={"trace": trace})
        while server.open_connections:  # noqa: ASYNC110 - the server's own task notices it a turn later
            await asyncio.sleep(0)
        assert server.received == []
    gc.collect()
