"""Drives toggl-python: synchronous, so from threads."""

# mypy: disable-error-code="import-not-found"

import datetime as dt

import driver
from toggl_python.auth import TokenAuth
from toggl_python.entities.user import CurrentUser
from toggl_python.entities.workspace import Workspace


def main(job: driver.Job) -> list[driver.Call]:
    """Make the calls of a job, from a pool of threads."""
    auth, url = TokenAuth(job.token), f"{job.url}/api/v9"
    user, workspace = CurrentUser(auth, base_url=url), Workspace(auth, base_url=url)
    for client in (user.client, workspace.client):
        client.timeout = 60  # its 5 s, kindly: real seconds, which nothing scales in a thread

    def read(number: int) -> object:
        return user.get_time_entry(number)

    def create(number: int) -> object:
        return workspace.create_time_entry(
            job.workspace,
            dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC),
            "benchmark",
            description=driver.description(number),
            duration=3600,
        )

    return driver.in_threads(job.calls, create if job.action == "create" else read)


if __name__ == "__main__":
    driver.report(main(driver.read_job()))
