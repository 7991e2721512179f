"""Drives lib-toggl: asynchronous, on aiohttp."""

# mypy: disable-error-code="import-not-found"

import datetime as dt

import driver
from lib_toggl import time_entries
from lib_toggl.client import Toggl
from lib_toggl.time_entries import TimeEntry


async def main(job: driver.Job) -> list[driver.Call]:
    """Make the calls of a job, all at once."""
    time_entries.BASE = f"{job.url}/api/v9"

    async with Toggl(job.token) as toggl:

        async def read(number: int) -> object:
            return await toggl.get_time_entry_by_id(number)

        async def create(number: int) -> object:
            entry = TimeEntry(
                workspace_id=job.workspace,
                description=driver.description(number),
                start=dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC),
                duration=3600,
            )
            return await toggl.create_new_time_entry(entry)

        return await driver.together(job.calls, create if job.action == "create" else read)


if __name__ == "__main__":
    job = driver.read_job()
    driver.run(main(job), job.speed)
