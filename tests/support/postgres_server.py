"""A PostgreSQL of the tests' own, on a free port of the loopback; a user without rights runs it."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from support.redis_server import free_port

NEEDED = "TOGGL_TESTS_NEED_POSTGRES"
"""Set where these tests may not be skipped: `.ci/run` installs the server."""

REASON = "PostgreSQL is not installed (Debian's package is named postgresql)"

PASSWORD = "correct horse"


def _programs() -> Path | None:
    """The folder of the server's programs; Debian has them beside PATH, one folder for each version."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


PROGRAMS = _programs()


def is_missing() -> bool:
    """Say whether tests of PostgreSQL have to be skipped.

    Raises:
        RuntimeError: they may not be.
    """
    if PROGRAMS is None and os.environ.get(NEEDED):
        raise RuntimeError(f"{NEEDED} is set, and {REASON}")
    return PROGRAMS is None


class PostgresServer:
    """A server with one user, ``toggl``, who owns everything in it."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None
        self.port = free_port()
        self._programs = PROGRAMS
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        # The server refuses root: whoever the tests are run by, it is run by somebody without rights.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self._run(
            *(
                "initdb",
                "--pgdata",
                str(self._data),
                "--username",
                "toggl",
                "--no-sync",
                "--encoding",
                "UTF8",
            ),
            *("--locale", "C.UTF-8", "--auth", "scram-sha-256", "--pwfile", str(folder / "password")),
        )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": 30,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
            )
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self.connect().close()
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
                raise RuntimeError(f"postgres ended: {self._log.read_text()}")

    def stop(self) -> None:
        """End it and all its connections at once; what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection of the test's own; each statement stands for itself."""
        return psycopg.connect(self.url(database), password=PASSWORD, autocommit=True)

    def url(self, database: str = "postgres", schema: str = "") -> str:
        """A URL without the password, which the environment holds."""
        return f"postgresql://toggl@127.0.0.1:{self.port}/{database}" + (
            f"?schema={schema}" if schema else ""
        )

    def new_url(self) -> str:
        """The URL of a schema that isn't there yet."""
        return self.url(schema=f"mirror_{next(self._names)}")


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server."""
    # Not in pytest's folder, which nobody but the user of the tests can enter.
    with tempfile.TemporaryDirectory(prefix="toggl_async-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
