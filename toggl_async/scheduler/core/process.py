"""The process that asks, with its own options and its own randomness.

Each process applies its own options. The interval that a 429 widened, gates and windows are shared.
"""

from collections.abc import Callable

import msgspec

from toggl_async.options import ClientOptions
from toggl_async.scheduler.core.limits import SECOND

__all__ = ["Process"]


def _assumed_alive(_name: str) -> bool:
    """Take everybody for alive, where a store gives no sign of it: then leases alone decide."""
    return True


class Process(msgspec.Struct, kw_only=True, gc=False):
    """One process's hold on an account. All times are microseconds.

    Attributes:
        name: what it is called among the waiters; also where it is woken.
        base: the interval that its options name.
        interval: the same with the margin.
        rest_minimum: the shortest rest after a 429.
        rest_maximum: the longest, unless the server asks for more.
        reserve: requests of each quota window that it leaves for other programs.
        lease: how long a request under way is waited for; longer than its timeout.
        lag: how long a transaction of the store takes it; it asks that much earlier.
        chance: a number in [0, 1), drawn again before each step: a step may run twice, and has to
            come to the same result.
        tells: whether sleepers can be woken.
        alive: whether a process, known by its name, still lives.
    """

    name: str
    base: int
    interval: int
    rest_minimum: int
    rest_maximum: int
    reserve: int = 0
    lease: int = 65 * SECOND
    lag: int = 0
    chance: float = 0.0
    tells: bool = True
    alive: Callable[[str], bool] = _assumed_alive

    @classmethod
    def of(cls, name: str, options: ClientOptions) -> "Process":
        """Return a process with the options of a client."""
        pace, cooldown = options.pace, options.cooldown
        return cls(
            name=name,
            base=round(pace.interval * SECOND),
            interval=round(pace.interval * (1 + pace.margin) * SECOND),
            rest_minimum=round(cooldown.minimum * SECOND),
            rest_maximum=round(cooldown.maximum * SECOND),
            reserve=options.quota.reserve,
        )
