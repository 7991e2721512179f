"""What one call costs that meets nothing in its way: how deep, how many calls, how often another module."""

import asyncio
import itertools
import sys
from pathlib import Path
from types import FrameType

import httpx
import pytest

import toggl_async
from support.support_wire import TOKEN
from toggl_async import ApiToken, TogglClient

pytestmark = [pytest.mark.anyio, pytest.mark.jump]

HOUSE = f"{Path(toggl_async.__file__).parent}/"
ROOM = f"{HOUSE}scheduler/"
MOST = {"frames": 14, "calls": 100, "changes": 76}
"""More than this, and the short way has become a long one. The first version, which knew one process alone,
came to 14, 105 and 69."""


class Inner(httpx.AsyncBaseTransport):
    """Counts the frames of our own files that lead to it."""

    frames = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        frame: FrameType | None = sys._getframe()
        self.frames = 0
        while frame is not None:
            self.frames += frame.f_code.co_filename.startswith(HOUSE)
            frame = frame.f_back
        return httpx.Response(200, json=[])


async def test_an_idle_call_takes_few_steps() -> None:
    inner = Inner()
    calls: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOM):
            calls.append(name)

    async with TogglClient(ApiToken(TOKEN), transport=inner) as toggl:
        tags = toggl.workspace(3).tags
        await tags.list()  # what is made once is made
        await asyncio.sleep(2)
        sys.setprofile(profile)
        try:
            await tags.list()
        finally:
            sys.setprofile(None)
    changes = sum(one != other for one, other in itertools.pairwise(calls))
    counted = {"frames": inner.frames, "calls": len(calls), "changes": changes}
    print(f"\none idle call: {counted}")  # noqa: T201 - for those who run it with -s
    assert all(counted[name] <= MOST[name] for name in MOST)
