"""The state that everything that uses one account shares: a value that can be stored.

All instants in it are whole microseconds of the store's clock, and none of them leaves it: processes only get
durations. Process clocks differ, and in more than one limiter, an instant of another clock has let requests
leave too early.

The value is changed in place. A store decodes it, applies a step and encodes the result, and may do
so twice; memory applies the step to the value that it holds.
"""

from typing import Final

import msgspec

from toggl_async.options import Priority

__all__ = [
    "FORMAT",
    "LEVELS",
    "NEVER",
    "SECOND",
    "Demand",
    "Gate",
    "Limits",
    "NewerFormat",
    "Waiter",
    "Window",
]

FORMAT: Final = 1
"""The layout of the stored value. Fields are only ever added at the end."""

SECOND: Final = 1_000_000
LEVELS: Final = len(Priority)

NEVER: Final = -(2**62)
"""The instant of what has not happened yet: before any reading of any clock, by more than any interval.

A store's clock may have begun a moment ago, with the machine, so neither 0 nor a day ago is early enough.
"""


class NewerFormat(Exception):
    """The stored value was written by a newer version; it must be left alone.

    Attributes:
        format: the layout that it has.
    """

    def __init__(self, format: int) -> None:  # noqa: A002 - the field's own name
        super().__init__(
            f"the stored limits have format {format}, and this version of toggl_async reads up to {FORMAT}"
        )
        self.format = format


# gc=False keeps these small, short-lived objects out of the garbage collector's rounds. None of them
# can be part of a cycle: they hold numbers, strings and each other, from the outside in.
class Gate(msgspec.Struct, array_like=True, gc=False):
    """The rest after a 429."""

    until: int = 0
    """The end of the rest."""
    number: int = -1
    """The latest turn when the latest 429 came: what left before it is part of the same incident."""
    probing: bool = False
    """Whether no answer since the last 429 has shown that the rest is over."""
    probe: int = 0
    """The turn that tries whether it is over; 0 while none does."""
    prober: str = ""
    probe_at: int = 0
    probe_until: int = 0
    """When the probe is taken for dead unless its process gives a sign of life."""


class Window(msgspec.Struct, array_like=True, gc=False):
    """One hourly quota."""

    remaining: int | None = None
    """Requests left by Toggl's last word, less those answered since; None when unknown."""
    reset_at: int | None = None
    """When it is full again; None when unknown."""
    word: int = -1
    """The turn whose answer spoke last; answers of earlier turns know less."""
    total: int | None = None
    """Requests that a whole window allows; None when unknown."""
    flying: dict[int, int] = msgspec.field(default_factory=dict)
    """Turns not answered yet, each with the instant at which its request is given up."""
    settled: list[int] = msgspec.field(default_factory=list)
    """Turns answered while an earlier one was still under way: that one's word doesn't count them."""
    spread: int = 0
    """What chance added to the reset, so that programs that share nothing don't return together."""
    shut_at: int = 0
    """Since when nothing is left, as far as a step has seen it; 0 while something is."""


class Demand(msgspec.Struct, array_like=True, gc=False):
    """The calls of one process that wait at one level for one window."""

    level: int
    window: str
    count: int
    since: int
    """What they age from: when the first of them began to wait, or when their level was last served.
    Rests and shut windows move it on, since they don't count as starving."""


class Waiter(msgspec.Struct, array_like=True, gc=False):
    """A process with something to send, and the place that it was promised."""

    lines: list[Demand]
    wakes: int
    """The place that it comes for."""
    until: int
    """The end of its lease: it should have looked again by then."""


class Limits(msgspec.Struct, array_like=True, gc=False):
    """Where an account stands: 90 bytes while nobody waits and no quota is known."""

    format: int
    at: int
    """The latest time seen."""
    skew: int
    """What a clock that went back has lost; see `advance`."""
    number: int
    """The latest turn. Numbers grow in the order of leaving, and begin at the store's own time, so
    that they also grow across a loss of the store's memory."""
    slot: int
    """When the latest turn leaves; `NEVER` before the first one."""
    before: int
    """The slot before it, for a turn that is given back."""
    holder: str = ""
    """The process that has the latest turn."""
    added: float = 0.0
    """What 429s have added to the interval, as a share of it."""
    calm: int = 0
    """Answers since the last 429."""
    served: list[int] = msgspec.field(default_factory=lambda: [NEVER] * LEVELS)
    """When each level had its latest turn; `NEVER` before its first one."""
    closed: int = 0
    """Until then, processes that lost the store may still be sending on their own; 0 for never."""
    gate: Gate = msgspec.field(default_factory=Gate)
    windows: dict[str, Window] = msgspec.field(default_factory=dict)
    waiters: dict[str, Waiter] = msgspec.field(default_factory=dict)
    cold: int = 0
    """Grows with each refusal or organization learned; these are kept beside the value."""

    @classmethod
    def new(cls, now: int) -> "Limits":
        """Return the limits of an account that nothing is known of."""
        return cls(format=FORMAT, at=now, skew=0, number=max(now, 0), slot=NEVER, before=NEVER)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Limits":
        """Return stored limits.

        Raises:
            NewerFormat: a newer version wrote them.
            msgspec.DecodeError: they are damaged.
        """
        try:
            return _decoder.decode(stored)
        except msgspec.DecodeError:
            # Only now: a value of this format shouldn't be read twice.
            fields = msgspec.msgpack.decode(stored)
            if isinstance(fields, list) and fields and isinstance(fields[0], int) and fields[0] > FORMAT:
                raise NewerFormat(fields[0]) from None
            raise

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise NewerFormat(self.format)

    def to_bytes(self) -> bytes:
        """Return the value as it is stored."""
        return _encoder.encode(self)

    def advance(self, now: int) -> int:
        """Return the time of the limits for a reading of the store's clock.

        A clock that goes back stands still for that reading, and time goes on from there: otherwise
        everybody would wait until it has caught up.
        """
        now += self.skew
        if now < self.at:
            self.skew += self.at - now
            return self.at
        self.at = now
        return now


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Limits)
