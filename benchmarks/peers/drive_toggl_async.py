"""Drives toggl_async, with the options it has by default but for how long a call may wait."""

import asyncio
import datetime as dt
import math
import random
from collections.abc import Awaitable, Callable

import driver

from toggl_async import ApiToken, ClientOptions, Priority, TogglClient

START = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)
AGAIN = 5
"""How often each refused endpoint is called."""
BULK = 1_000_000
"""What the numbers of bulk reads start from."""


async def main(job: driver.Job) -> list[driver.Call]:
    """Do a job of any kind."""
    # What a server computes is not scaled: a machine that stalls for a second must not cost a repetition.
    options = ClientOptions(
        max_wait=math.inf if job.max_wait is None else job.max_wait, timeout=60.0 * job.speed
    )
    async with TogglClient(ApiToken(job.token), base_url=job.url, options=options) as toggl:
        action = {"read": read, "create": create, "refusals": call_refused, "urgent": read_urgently}
        return await action[job.action](toggl, job)


async def read(toggl: TogglClient, job: driver.Job) -> list[driver.Call]:
    """Read time entries, each its own, so that no two calls can share an answer."""
    return await driver.together(job.calls, toggl.me.time_entries.get)


async def create(toggl: TogglClient, job: driver.Job) -> list[driver.Call]:
    """Create time entries."""
    entries = toggl.workspace(job.workspace).time_entries

    async def one(number: int) -> object:
        return await entries.create(start=START, duration=3600, description=driver.description(number))

    return await driver.together(job.calls, one)


async def call_refused(toggl: TogglClient, job: driver.Job) -> list[driver.Call]:
    """Call what is gone, what the plan lacks and what is forbidden, again and again."""

    async def gone(_number: int) -> object:
        return await toggl.request("GET", "/api/v9/me/location")

    async def lacking(_number: int) -> object:
        return await toggl.workspace(job.workspace).tasks.list()

    async def forbidden(_number: int) -> object:
        return await toggl.organization(5_000_000).get()

    refused: tuple[Callable[[int], Awaitable[object]], ...] = (gone, lacking, forbidden)
    return [await driver.attempt(number, call) for call in refused for number in range(1, AGAIN + 1)]


async def read_urgently(toggl: TogglClient, job: driver.Job) -> list[driver.Call]:
    """Let bulk reads wait, make urgent ones now and then, and give the bulk up in the end."""
    source = random.Random(1)
    bulk = toggl.with_options(priority=Priority.BULK).me.time_entries
    urgent = toggl.with_options(priority=Priority.INTERACTIVE).me.time_entries
    waiting = [asyncio.create_task(bulk.get(BULK + number)) for number in range(job.waiting)]
    await asyncio.sleep(1)  # by then all of them wait
    calls = []
    for number in range(1, job.calls + 1):
        await asyncio.sleep(source.uniform(0.3, 3.0))
        calls.append(asyncio.create_task(driver.attempt(number, urgent.get)))
    done = await asyncio.gather(*calls)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return list(done)


if __name__ == "__main__":
    job = driver.read_job()
    driver.run(main(job), job.speed)
