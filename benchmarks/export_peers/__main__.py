"""Requests, rows and memory of an export, against tap-toggl and toggl-to-sqlite on one server's data.

    python benchmarks/export_peers --tap-toggl VENV/bin/python --toggl-to-sqlite VENV/bin/python

Each peer runs in a virtual environment of its own, for example ``uv venv A && uv pip install --python A
tap-toggl``. The server has no limits, so that every peer comes to its end; what the 1 request/s bucket
and a window of 30 requests an hour would make of it follows from the requests.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
OURS = """
import asyncio, json, resource, sys
from toggl_async import ClientOptions, Pace, TogglClient
from toggl_async.export import ExportPlan, export

async def main():
    async with TogglClient.from_env(options=ClientOptions(pace=Pace(interval=0.0001))) as client:
        return await export(client, ExportPlan(), sys.argv[1])

manifest = asyncio.run(main())
entries = manifest.datasets["time_entries"].rows
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"entries": entries, "unique": entries, "rows": manifest.rows, "peak": peak}))
"""


def main() -> None:
    """Run every peer once and print a table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tap-toggl", metavar="PYTHON")
    arguments.add_argument("--toggl-to-sqlite", metavar="PYTHON")
    given = arguments.parse_args()
    start = (dt.datetime.now(dt.UTC) - dt.timedelta(days=920)).date().isoformat()
    with (
        subprocess.Popen(
            [sys.executable, "-u", str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
        tempfile.TemporaryDirectory() as directory,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        proxy, sandbox, token, entries = server.stdout.readline().split()

        def counts() -> dict[str, int]:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write("\n")
            server.stdin.flush()
            told: dict[str, int] = json.loads(server.stdout.readline())
            return told

        print(
            f"{'':18}{'requests':>9}{'entries':>9}{'of':>8}{'rows/min at 1/s':>17}{'h at 30/h':>11}{'MiB':>6}"
        )
        runs = {
            "toggl_async": [sys.executable, "-c", OURS, str(Path(directory) / "out")],
            "tap-toggl": [given.tap_toggl, str(HERE / "drive_tap_toggl.py"), proxy, token, start],
            "toggl-to-sqlite": [
                given.toggl_to_sqlite,
                str(HERE / "drive_toggl_to_sqlite.py"),
                proxy,
                token,
                start,
            ],
        }
        for name, command in runs.items():
            if command[0] is None:
                continue
            before = counts()["sandbox"]
            environ = {**os.environ, "TOGGL_BASE_URL": sandbox, "TOGGL_API_TOKEN": token}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
            told = json.loads(done.stdout.splitlines()[-1])
            after = counts()
            requests = after["sandbox"] - before if name == "toggl_async" else after["requests"]
            print(
                f"{name:18}{requests:>9}{told['unique']:>9}{entries:>8}{60 * told['rows'] / requests:>17.0f}"
                f"{(requests - 1) // 30:>11}{told['peak']:>6}"
                + (
                    f"  ({told['entries']} rows came, some twice)"
                    if told["entries"] != told["unique"]
                    else ""
                )
                + (f"  ({told['refused']} requests refused)" if told.get("refused") else "")
            )
        server.stdin.close()


if __name__ == "__main__":
    main()
