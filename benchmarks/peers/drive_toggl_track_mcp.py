"""Drives toggl-track-mcp by the client under its tools: asynchronous, paced by a lock."""

# mypy: disable-error-code="import-not-found"

import driver
from toggl_track_mcp.api import client, time_entries


async def main(job: driver.Job) -> list[driver.Call]:
    """Make the calls of a job, all at once."""
    client.TogglClient.BASE_URL = job.url
    client.time = driver.fast_clock(job.speed)
    toggl = client.TogglClient(job.token)

    async def read(number: int) -> object:
        return await time_entries.get_time_entry(toggl, number)

    async def create(number: int) -> object:
        return await time_entries.create_time_entry(
            toggl,
            workspace_id=job.workspace,
            start="2026-11-02T08:00:00Z",
            duration=3600,
            description=driver.description(number),
        )

    try:
        return await driver.together(job.calls, create if job.action == "create" else read)
    finally:
        await toggl.close()


if __name__ == "__main__":
    job = driver.read_job()
    driver.run(main(job), job.speed)
