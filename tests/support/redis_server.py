"""A Redis of the tests' own: started on a free port of the loopback, stopped by its process id."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

SERVER = shutil.which("redis-server")
NEEDED = "TOGGL_TESTS_NEED_REDIS"
"""Set where these tests may not be skipped: `.ci/run` installs the server."""

REASON = "redis-server is not installed (Debian's package has this name)"


def is_missing() -> bool:
    """Say whether tests of Redis have to be skipped.

    Raises:
        RuntimeError: they may not be.
    """
    if SERVER is None and os.environ.get(NEEDED):
        raise RuntimeError(f"{NEEDED} is set, and {REASON}")
    return SERVER is None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class RedisServer:
    """A process of redis-server that keeps everything in memory."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert SERVER is not None
        plain = [] if "--port" in self._options else ["--port", str(self.port)]
        self._process = subprocess.Popen(
            [SERVER, *plain, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise RuntimeError(f"redis-server ended with {self._process.wait(0.01)}")

    def stop(self) -> None:
        """Kill it; what it knew is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop the process as a debugger does: connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(folder: Path, *options: str, port: int | None = None) -> Iterator[RedisServer]:
    """Run a server."""
    server = RedisServer(folder, *options, port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
