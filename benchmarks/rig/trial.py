"""One client in one scenario: a server and a driver, each in a process of its own, and what came of it."""

import collections
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from rig.environments import BENCHMARKS, Client
from rig.scenarios import Scenario
from rig.server import WORKSPACE, Record, Seen, ServerOptions

__all__ = ["Call", "Trial", "run"]

PATIENCE: Final = 1800.0
"""Real seconds after which a client is taken to hang."""


@attrs.frozen
class Call:
    """What became of one call, in the driver's words; times by the clock that the server reads, too."""

    number: int
    began: float
    ended: float
    error: str | None
    maybe_applied: bool | None


@attrs.frozen(kw_only=True)
class Trial:
    """What a client made of a scenario.

    Attributes:
        client: its name.
        scenario: what it was put through.
        calls: what became of its calls.
        record: what the server saw.
    """

    client: str
    scenario: Scenario
    calls: list[Call]
    record: Record

    @property
    def answered(self) -> int:
        """Calls that returned."""
        return sum(call.error is None for call in self.calls)

    @property
    def errors(self) -> collections.Counter[str]:
        """Calls that raised, by what."""
        return collections.Counter(call.error for call in self.calls if call.error is not None)

    @property
    def began(self) -> float:
        """When the first call was made, in real seconds."""
        return min(call.began for call in self.calls)

    @property
    def duration(self) -> float:
        """Toggl's seconds from the first call to the end of the last."""
        return self.since_start(max(call.ended for call in self.calls))

    @property
    def seen(self) -> list[Seen]:
        """The requests, in the order of their arrival."""
        return self.record.seen

    @property
    def created(self) -> int:
        """Time entries that the server made of this client's calls."""
        return len(self.record.applied)

    @property
    def duplicates(self) -> int:
        """Time entries that should not be there: made twice or more by one call."""
        return self.created - len(set(self.record.applied))

    def statuses(self, status: int) -> int:
        """Count the answers of one status."""
        return sum(seen.status == status for seen in self.seen)

    def since_start(self, moment: float) -> float:
        """Return a moment in Toggl's seconds since the first call."""
        return (moment - self.began) * self.scenario.server.speed


def run(client: Client, scenario: Scenario) -> Trial:
    """Put a client through a scenario.

    Raises:
        RuntimeError: the driver failed or hung; that is a fault of the benchmark, not of the client.
    """
    python = client.python()
    token = secrets.token_hex(16)
    with _serving(scenario.server_for(client.name)) as (url, record):
        job = {
            "url": url,
            "token": token,
            "workspace": WORKSPACE,
            "speed": scenario.server.speed,
            "action": scenario.action,
            "calls": scenario.calls,
            "max_wait": scenario.max_wait,
            "waiting": scenario.waiting,
        }
        calls = _drive(python, client.script, job)
    return Trial(client=client.name, scenario=scenario, calls=calls, record=record)


@contextmanager
def _serving(options: ServerOptions) -> Iterator[tuple[str, Record]]:
    """Run a server; its record is filled in when it ends."""
    record = Record()
    command = [sys.executable, "-m", "rig.server", json.dumps(attrs.asdict(options))]
    with subprocess.Popen(
        command, cwd=BENCHMARKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), record
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    saw = json.loads(output)
    record.seen = [Seen(**seen) for seen in saw["seen"]]
    record.applied, record.failed = saw["applied"], saw["failed"]


def _drive(python: str, script: Path, job: dict[str, Any]) -> list[Call]:
    """Let a driver do a job, and return what became of its calls."""
    try:
        finished = subprocess.run(
            [python, str(script), json.dumps(job)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{script.name} hung") from None
    if finished.returncode:
        raise RuntimeError(f"{script.name} failed:\n{finished.stderr[-4000:]}")
    return [Call(**call) for call in json.loads(finished.stdout.splitlines()[-1])]
