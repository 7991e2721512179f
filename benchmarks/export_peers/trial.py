"""One client in one scenario: a server and a driver, each in a process of its own, and what came of it."""

import datetime as dt
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from rig.environments import BENCHMARKS, Client

from export_peers.checking import Found, compare
from export_peers.server import Record, ServerOptions

__all__ = ["OURS", "PEERS", "SCENARIOS", "Exporter", "Scenario", "Trial", "run"]

PATIENCE: Final = 150.0
"""Real seconds after which a client is interrupted; what it has by then counts."""

GRACE: Final = 20.0
"""Real seconds that it then has to say so."""

HISTORY: Final = dt.timedelta(days=920)
"""How far back peers are told to look that have to be told: some days more than the company exists."""


@attrs.frozen(kw_only=True)
class Exporter(Client):
    """A client that can be driven to export; `driver` is a module of this package."""

    @property
    def module(self) -> str:
        """The driver's name, for ``python -m``."""
        return f"{__package__}.{self.driver}"


OURS: Final = Exporter(name="toggl_async", requirements=(), driver="drive_toggl_async")

PEERS: Final = (
    Exporter(name="tap-toggl", requirements=("tap-toggl==2.1.0",), driver="drive_tap_toggl"),
    Exporter(
        name="toggl-to-sqlite", requirements=("toggl-to-sqlite==0.9.0",), driver="drive_toggl_to_sqlite"
    ),
)


@attrs.frozen(kw_only=True)
class Scenario:
    """One situation.

    Attributes:
        name: its key.
        title: what tables call it.
        server: how the server behaves.
        our_speed: how fast time runs for toggl_async, if not as fast as for the peers: where they wait
            for hours that it does not need, the time in which it computes would count for more.
    """

    name: str
    title: str
    server: ServerOptions
    our_speed: float | None = None

    def server_for(self, client: str) -> ServerOptions:
        """Return how the server behaves towards a client."""
        if self.our_speed is not None and client == OURS.name:
            return attrs.evolve(self.server, speed=self.our_speed)
        return self.server


_ANY: Final = ServerOptions(now="", truth="", speed=20.0)

SCENARIOS: Final = (
    Scenario(name="unlimited", title="no limits", server=_ANY),
    Scenario(
        name="bucket",
        title="1 request/s, burst 5, answers take 0.2 s",
        server=attrs.evolve(_ANY, speed=10.0, interval=1.0, latency=0.2),
    ),
    Scenario(
        name="window",
        title="30 requests an hour, no bucket",
        server=attrs.evolve(_ANY, speed=1200.0, plan="free", quota=30),
        our_speed=100.0,
    ),
)
"""Where an hour has to pass, time is too fast for a bucket: a request takes longer than its interval."""


@attrs.frozen(kw_only=True)
class Trial:
    """What a client made of a scenario.

    Attributes:
        client: its name.
        scenario: what it was put through.
        record: what the server saw.
        found: what the client brought.
        peak: the most memory that it took, in MiB; None if it did not live to say so.
        error: what ended it, "interrupted" by us; None if it came to its end.
    """

    client: str
    scenario: Scenario
    record: Record
    found: Found
    peak: int | None
    error: str | None

    @property
    def a_minute(self) -> float:
        """Right rows to a minute of Toggl's time, from the first request to the last."""
        return self.found.right * 60 / self.record.seconds if self.record.seconds else 0.0

    @property
    def for_a_thousand(self) -> float:
        """Requests that a thousand right rows took."""
        return 1000 * self.record.requests / self.found.right if self.found.right else float("inf")


def run(client: Exporter, scenario: Scenario, now: dt.datetime) -> Trial:
    """Put a client through a scenario.

    Raises:
        RuntimeError: the driver failed; that is a fault of the benchmark, not of the client.
    """
    python = client.python()
    with tempfile.TemporaryDirectory() as directory:
        into, truth = Path(directory, "into"), Path(directory, "truth.jsonl")
        into.mkdir()
        options = attrs.evolve(scenario.server_for(client.name), now=now.isoformat(), truth=str(truth))
        with _serving(options) as (where, record):
            since = (now - HISTORY).date().isoformat()
            job = {**where, "since": since, "speed": options.speed, "into": str(into)}
            told = _drive(python, client.module, job)
        return Trial(
            client=client.name,
            scenario=scenario,
            record=Record(**record),
            found=compare(client.name, into, truth),
            peak=told.get("peak"),
            error=told["error"],
        )


@contextmanager
def _serving(options: ServerOptions) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Run a server: where it is, and its record, which is filled in when it ends."""
    record: dict[str, Any] = {}
    command = [sys.executable, "-m", "export_peers.server", json.dumps(attrs.asdict(options))]
    with subprocess.Popen(
        command, cwd=BENCHMARKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline()), record
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    record.update(json.loads(output))


def _drive(python: str, module: str, job: dict[str, Any]) -> dict[str, Any]:
    """Let a driver do a job, for as long as our patience lasts, and return what it says of it."""
    with subprocess.Popen(
        [python, "-m", module, json.dumps(job)],
        cwd=BENCHMARKS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                output, errors = process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return {"error": "interrupted"}
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"{module} failed:\n{errors[-4000:]}")
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return said
