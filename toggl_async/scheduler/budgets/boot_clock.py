"""The clock of a machine: nobody can set it, all processes share it, and it keeps running during sleep.

A reading is the time since the machine was started. So that times in a file survive a restart, the file
records how far its own time is ahead of that clock (`ahead_after_boot`).
"""

import time
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["BootClock", "Reading", "ahead_after_boot"]

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Reading(msgspec.Struct, frozen=True):
    """A look at the clocks.

    Attributes:
        boot: what tells this start of the machine from others; empty where the system doesn't say.
        uptime: microseconds since the start, sleep included where the system counts it.
        wall: the wall clock, in microseconds.
    """

    boot: str
    uptime: int
    wall: int


class BootClock:
    """The machine's clocks."""

    __slots__ = ("_boot", "_clock")

    def __init__(self) -> None:
        try:
            self._boot = _BOOT_ID.read_text("ascii").strip()
        except OSError:
            self._boot = ""
        # The monotonic clock of Linux stands still while a laptop sleeps.
        self._clock = getattr(time, "CLOCK_BOOTTIME", None)

    def uptime(self) -> int:
        """Return the microseconds since the start of the machine."""
        if self._clock is None:
            return time.monotonic_ns() // 1000
        return time.clock_gettime_ns(self._clock) // 1000

    def read(self) -> Reading:
        """Read all clocks."""
        return Reading(self._boot, self.uptime(), time.time_ns() // 1000)


def ahead_after_boot(reading: Reading, last: int, wall: int) -> int:
    """Return how far the time of a file is ahead of the clock of a machine that was restarted.

    Args:
        reading: the clocks now.
        last: the file's time of the latest write, before the start.
        wall: the wall clock then. It says how long ago that was; at least as long as the machine is up.
    """
    return last + max(reading.uptime, reading.wall - wall) - reading.uptime
