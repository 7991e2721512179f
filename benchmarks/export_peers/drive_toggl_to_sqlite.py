"""Drives toggl-to-sqlite: what its command does with ``--since``, in the order that it does it."""

# mypy: disable-error-code="import-not-found, import-untyped, unused-ignore"

import datetime as dt
from pathlib import Path

import requests
import sqlite_utils
from toggl_to_sqlite import utils

from export_peers import driving

DAYS = 25
"""What the command has for a default."""


def main(job: driving.Job) -> None:
    """Export everything."""
    driving.send_to(job.url, requests)
    database = sqlite_utils.Database(Path(job.into) / "toggl.db")
    entries = utils.get_time_entries(job.token, DAYS, dt.datetime.fromisoformat(job.since))
    utils.save_items(entries, "time_entries", database)
    utils.save_items(utils.get_workspaces(job.token), "workspaces", database)
    utils.save_items(utils.get_projects(job.token), "projects", database)


if __name__ == "__main__":
    job = driving.read_job()
    driving.conclude(lambda: main(job))
