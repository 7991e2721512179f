"""What every driver does: read a job, export, and say how it ended and what memory it took.

A driver runs in the environment of its own client, as a module, with the folder of the benchmarks for
its working directory; so this needs nothing but the standard library (Python 3.11). What was exported
stands in `Job.into`, in the client's own way, whole or not.
"""

import dataclasses
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

TOGGL: Final = "https://api.track.toggl.com"

_STATUS: Final = Path("/proc/self/status")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What to do: `since` is the first day, `into` a directory, `speed` Toggl's seconds to a real one."""

    url: str
    token: str
    since: str
    speed: float
    into: str


def read_job() -> Job:
    """Read the job from the command line."""
    return Job(**json.loads(sys.argv[1]))


def peak_memory() -> int:
    """Return the most memory that this process has had, in MiB."""
    if _STATUS.exists():  # what getrusage tells on Linux includes the process that started this one
        text = _STATUS.read_text("ascii", "replace")
        return int(text.partition("VmHWM:")[2].split()[0]) // 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (1024 * 1024 if sys.platform == "darwin" else 1024)


def conclude(export: Callable[[], object]) -> None:
    """Export, and print how it ended, on the last line of the output; an interrupt ends it as well."""
    random.seed(1)  # where a client's own chance comes from
    error = None
    try:
        export()
    except KeyboardInterrupt:
        error = "interrupted"
    except Exception as raised:  # noqa: BLE001 - whatever a client raises is how it ends
        error = type(raised).__name__
    print("\n" + json.dumps({"error": error, "peak": peak_memory()}), flush=True)


def fast_clock(speed: float) -> SimpleNamespace:
    """Return a stand-in for the module `time`, for clients that sleep by themselves."""
    return SimpleNamespace(sleep=lambda seconds: time.sleep(seconds / speed))


def send_to(server: str, requests: Any, rewrite: Callable[[str], str] = str) -> None:
    """Have `requests.get` send to a server what is meant for Toggl, after a last change of the address."""
    really = requests.get

    def get(url: str, **options: Any) -> Any:
        return really(rewrite(url.replace(TOGGL, server)), **options)

    requests.get = get
