"""What the clients are put through: how the server behaves, and what is asked of them."""

from typing import Final

import attrs

from rig.server import ServerOptions

__all__ = ["SCENARIOS", "Scenario"]

SPEED: Final = 20.0
"""Toggl's seconds to a real one. What a client computes counts that many times over."""

TIMED_SPEED: Final = 10.0
"""Where the target is a time: there each millisecond of computing, or of a busy machine, matters."""

QUOTA_SPEED: Final = 60.0
"""Where an hour has to pass."""


@attrs.frozen(kw_only=True)
class Scenario:
    """One situation.

    Attributes:
        name: its key.
        title: what tables and plots call it.
        server: how the server behaves.
        action: what the driver does, see `driver.Job`.
        calls: how often.
        max_wait: Toggl's seconds that a call may wait; None for as long as it takes.
        waiting: bulk calls that wait meanwhile.
        peers: whether it is anything that the peers can do.
        peers_unlimited: whether the peers meet a server without a bucket, because they would not
            get far enough otherwise to show what the scenario is about.
    """

    name: str
    title: str
    server: ServerOptions
    action: str = "read"
    calls: int = 200
    max_wait: float | None = None
    waiting: int = 0
    peers: bool = True
    peers_unlimited: bool = False

    def server_for(self, client: str) -> ServerOptions:
        """Return how the server behaves towards a client."""
        if self.peers_unlimited and client != "toggl_async":
            return attrs.evolve(self.server, interval=0.0)
        return self.server


SCENARIOS: Final = (
    Scenario(
        name="alone",
        title="200 concurrent reads, burst 5, alone on the token",
        server=ServerOptions(speed=TIMED_SPEED),
    ),
    Scenario(
        name="jitter",
        title="burst 1, ±5 % network jitter",
        server=ServerOptions(speed=TIMED_SPEED, burst=1, jitter=0.05),
    ),
    Scenario(
        name="shared",
        title="another program takes 30 % of the bucket",
        server=ServerOptions(speed=SPEED, other=0.3),
    ),
    Scenario(
        name="slow",
        title="every answer takes 2 s",
        server=ServerOptions(speed=TIMED_SPEED, latency=2.0),
    ),
    Scenario(
        name="quota",
        title="a quota of 100 an hour",
        server=ServerOptions(speed=QUOTA_SPEED, quota=100),
    ),
    Scenario(
        name="impatient",
        title="a quota of 100 an hour, calls that wait 300 s at most",
        server=ServerOptions(speed=SPEED, quota=100),
        max_wait=300.0,
        peers=False,
    ),
    Scenario(
        name="creates",
        title="1,000 creates, 5 % 502, half of those applied",
        server=ServerOptions(speed=SPEED, errors=0.05),
        action="create",
        calls=1000,
        peers_unlimited=True,
    ),
    Scenario(
        name="refusals",
        title="410, 402 for a feature, 403: each called 5 times",
        server=ServerOptions(speed=SPEED),
        action="refusals",
        peers=False,
    ),
    Scenario(
        name="urgent",
        title="100 urgent reads while 5,000 bulk ones wait",
        server=ServerOptions(speed=SPEED),
        action="urgent",
        calls=100,
        waiting=5000,
        peers=False,
    ),
)
