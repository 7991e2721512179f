"""tap-toggl, every stream of it, against the benchmark's server; runs in a venv that has tap-toggl.

python drive_tap_toggl.py SERVER TOKEN START_DATE
"""

import json
import resource
import sys
from typing import Any

import requests  # type: ignore[import-untyped, unused-ignore]

server, token, start_date = sys.argv[1:]
really = requests.get


def get(url: str, **options: Any) -> requests.Response:
    """Send to the benchmark's server what is meant for Toggl."""
    return really(url.replace("https://api.track.toggl.com", server), **options)


requests.get = get  # type: ignore[assignment, unused-ignore]

from tap_toggl.toggl import Toggl  # type: ignore[import-not-found]  # noqa: E402

client = Toggl(api_token=token, start_date=start_date, user_agent="benchmark")
rows = {
    name: list(getattr(client, name)())
    for name in ("workspaces", "clients", "groups", "projects", "tasks", "tags", "users", "time_entries")
}
entries = rows["time_entries"]
print(
    json.dumps(
        {
            "entries": len(entries),
            "unique": len({row["id"] for row in entries}),
            "rows": sum(map(len, rows.values())),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )
)
