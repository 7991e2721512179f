"""The command in a process of its own, which Ctrl-C reaches."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

COMMAND = (sys.executable, "-u", "-m", "toggl_async")


@contextlib.contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run ``toggl-async`` with pipes for both outputs; it does not outlive the block.

    A process that was started in the background ignores SIGINT, and so do its children, unless the
    parent handles it when they start.
    """
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, inherited)
    with process:
        try:
            yield process
        finally:
            process.kill()
