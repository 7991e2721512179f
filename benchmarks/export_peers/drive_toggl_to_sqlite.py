"""toggl-to-sqlite against the benchmark's server; runs in a venv that has toggl-to-sqlite.

python drive_toggl_to_sqlite.py SERVER TOKEN START_DATE
"""

import datetime as dt
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests  # type: ignore[import-untyped, unused-ignore]
import sqlite_utils  # type: ignore[import-not-found]

server, token, start_date = sys.argv[1:]
really = requests.get


def get(url: str, **options: Any) -> requests.Response:
    """Send to the benchmark's server what is meant for Toggl."""
    return really(url.replace("https://api.track.toggl.com", server), **options)


requests.get = get  # type: ignore[assignment, unused-ignore]

from toggl_to_sqlite import utils  # type: ignore[import-not-found]  # noqa: E402

since = dt.datetime.fromisoformat(start_date)
with tempfile.TemporaryDirectory() as directory:
    database = sqlite_utils.Database(Path(directory) / "toggl.db")
    # Refusals (older than three months) come as JSON strings in place of rows.
    answers = utils.get_time_entries(token, 25, since)
    utils.save_items([answer for answer in answers if isinstance(answer, list)], "time_entries", database)
    utils.save_items(utils.get_workspaces(token), "workspaces", database)
    utils.save_items(utils.get_projects(token), "projects", database)
    counts = {name: database[name].count for name in database.table_names()}
print(
    json.dumps(
        {
            "entries": counts.get("time_entries", 0),
            "unique": counts.get("time_entries", 0),
            "rows": sum(counts.values()),
            "refused": sum(not isinstance(answer, list) for answer in answers),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )
)
