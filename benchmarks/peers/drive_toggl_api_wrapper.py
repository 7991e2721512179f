"""Drives toggl-api-wrapper, the asynchronous half: `AsyncTrackerEndpoint`."""

# mypy: disable-error-code="import-not-found"

import datetime as dt

import driver
import httpx
from toggl_api import TrackerBody
from toggl_api.asyncio import AsyncTrackerEndpoint


async def main(job: driver.Job) -> list[driver.Call]:
    """Make the calls of a job, all at once."""
    AsyncTrackerEndpoint.BASE_ENDPOINT = httpx.URL(f"{job.url}/api/v9/")
    # Its 10 s would be half a real second here, too short for two hundred calls at once.
    auth = httpx.BasicAuth(job.token, "api_token")
    trackers = AsyncTrackerEndpoint(job.workspace, auth, timeout=600)

    async def read(number: int) -> object:
        return await trackers.get(number, refresh=True)

    async def create(number: int) -> object:
        start = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)
        body = TrackerBody(
            description=driver.description(number), start=start, stop=start + dt.timedelta(hours=1)
        )
        return await trackers.add(body)

    async with trackers.client:
        return await driver.together(job.calls, create if job.action == "create" else read)


if __name__ == "__main__":
    job = driver.read_job()
    driver.run(main(job), job.speed)
