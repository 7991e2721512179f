"""Ten thousand calls that are cancelled at any moment, over real sockets; then eight that are not.

Nothing that a caller does may cost others a connection or a place.
"""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

import anyio
import attrs
import pytest

from hostile.answers import Answer
from hostile.arena import options
from hostile.server import LeapLoop, Reply, Request, serve
from hostile.tally import record
from toggl_async import ApiToken, Retry, TogglClient

CALLS: Final = 10_000
SAMPLE: Final = 200
AT_ONCE: Final = 8

_ENDS: Iterator[Literal["keep", "close"]] = itertools.cycle(("keep", "keep", "close"))
_BODY: Final = b"[" + b", ".join(b'{"id": %d, "name": "x"}' % number for number in range(200)) + b"]"


async def _answer(request: Request) -> Reply:
    """Answer, now and then on a connection that ends with it, so that there is always one to be made."""
    await asyncio.sleep(0)
    return Answer(body=_BODY, framing="chunked", then=next(_ENDS)).reply()


async def _turns(chance: random.Random) -> None:
    for _ in range(chance.randrange(40)):
        await asyncio.sleep(0)


async def _twice_in_two_turns(toggl: TogglClient, chance: random.Random) -> str:
    task = asyncio.ensure_future(toggl.workspace(chance.randrange(1, 100)).tags.list())
    await _turns(chance)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    return await _ending(task)


async def _once(toggl: TogglClient, chance: random.Random) -> str:
    task = asyncio.ensure_future(toggl.workspace(chance.randrange(1, 100)).tags.list())
    await _turns(chance)
    task.cancel()
    return await _ending(task)


async def _by_a_scope(toggl: TogglClient, chance: random.Random) -> str:
    with anyio.CancelScope() as scope:

        async def leave() -> None:
            await _turns(chance)
            scope.cancel()

        leaving = asyncio.ensure_future(leave())
        try:
            await toggl.workspace(chance.randrange(1, 100)).tags.list()
        finally:
            leaving.cancel()
    return "cancelled" if scope.cancelled_caught else "answered"


async def _in_a_body(toggl: TogglClient, chance: random.Random) -> str:
    async def read() -> None:
        async with toggl.workspace(10).reports.weekly.csv().stream() as chunks:
            async for _ in chunks:
                await asyncio.sleep(0)

    task = asyncio.ensure_future(read())
    await _turns(chance)
    task.cancel()
    return await _ending(task)


async def _ending(task: "asyncio.Future[Any]") -> str:
    with contextlib.suppress(asyncio.CancelledError):
        await task
        return "answered"
    return "cancelled"


_WAYS: Final = (_once, _twice_in_two_turns, _by_a_scope, _in_a_body)


async def cancelled(calls: int, chance: random.Random) -> Counter[str]:
    """Cancel so many calls, up to eight at a time; then make eight at once."""
    found: Counter[str] = Counter()
    async with (
        serve(_answer) as url,
        TogglClient(
            ApiToken("0" * 32),
            base_url=url,
            options=attrs.evolve(options(keep_unknown=False), retry=Retry(attempts=1)),
        ) as toggl,
    ):
        while found.total() < calls:
            ways = [chance.choice(_WAYS) for _ in range(chance.randint(1, AT_ONCE))]
            found.update(await asyncio.gather(*(way(toggl, chance) for way in ways)))
        after = [toggl.workspace(1000 + number).tags.list() for number in range(AT_ONCE)]
        for tags in await asyncio.gather(*after):
            assert len(tags) == 200
    return found


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(2))
def test_calls_that_are_cancelled_cost_the_others_nothing(seed: int) -> None:
    with asyncio.Runner(loop_factory=LeapLoop) as runner:
        found = runner.run(cancelled(SAMPLE, random.Random(seed)))
    assert found["cancelled"] > SAMPLE / 10


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_ten_thousand_cancelled_calls_cost_the_others_nothing() -> None:
    found: Counter[str] = Counter()
    with asyncio.Runner(loop_factory=LeapLoop) as runner:
        for seed in itertools.count():
            found += runner.run(cancelled(CALLS // 4, random.Random(seed)))
            if found["cancelled"] >= CALLS:
                break
    record("calls", "cancelled at random", found)
