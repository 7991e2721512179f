"""Drives tap-toggl: every stream that it reads from Toggl, each row written as it comes.

The work of Singer around it (bookmarks, schemas) is left out: it costs time and no request.
"""

# mypy: disable-error-code="import-not-found, import-untyped, unused-ignore"

import json
import re
from pathlib import Path

import backoff
import requests
from tap_toggl.toggl import Toggl

from export_peers import driving

STREAMS = ("workspaces", "clients", "groups", "projects", "tasks", "tags", "users", "time_entries")


def workspace_into_path(url: str) -> str:
    """Name the workspace of a report in the path, where the server finds whose quota it spends."""
    return re.sub(r"/v2/details\?workspace_id=(\d+)&", r"/v2/workspace/\1/details?", url)


def main(job: driving.Job) -> None:
    """Export everything."""
    driving.send_to(job.url, requests, workspace_into_path)
    backoff._sync.time = driving.fast_clock(job.speed)  # noqa: SLF001 - where it sleeps
    client = Toggl(api_token=job.token, start_date=job.since, user_agent="benchmark")
    for name in STREAMS:
        with Path(job.into, f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in getattr(client, name)())


if __name__ == "__main__":
    job = driving.read_job()
    driving.conclude(lambda: main(job))
