"""Drives togglCli as a library: synchronous, so from threads."""

# mypy: disable-error-code="import-not-found"

import driver
import pendulum
from toggl import api, toggl, utils
from toggl.utils import others


def main(job: driver.Job) -> list[driver.Call]:
    """Make the calls of a job, from a pool of threads."""
    toggl.TOGGL_URL = f"{job.url}/api/v9"
    others.sleep = driver.fast_clock(job.speed).sleep
    config = utils.Config.factory(None)
    config.api_token = job.token
    config.default_wid = job.workspace
    config.timezone = "UTC"

    def read(number: int) -> object:
        return api.TimeEntry.objects.get(number, config=config)

    def create(number: int) -> object:
        start = pendulum.datetime(2026, 11, 2, 8)
        entry = api.TimeEntry(
            start=start, stop=start.add(hours=1), description=driver.description(number), config=config
        )
        return entry.save(config=config)

    return driver.in_threads(job.calls, create if job.action == "create" else read)


if __name__ == "__main__":
    driver.report(main(driver.read_job()))
