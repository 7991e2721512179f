"""How far apart the requests of one account leave.

What Toggl does: one leaky bucket a token, emptied at about one request a second, with a burst that
it does not promise. Overflowing it costs a 429 and minutes; a margin costs milliseconds.

What we do: one `aiolimiter.AsyncLimiter` of capacity one an account, which exists while somebody waits
for its turn; else the time at which it was full says all. A single dispatcher takes from it on behalf
of everybody, so nobody barges in, and order, priority and cancellation stay with the queue. Two things
are added to it.

*Spacing is counted from the send.* Between the turn that was given and the first byte on the wire
lie a task switch, perhaps a TLS handshake. So the bucket is filled up again at the moment of
sending (`depart`), which moves the next turn by as much as this send was late. Where a slow
connection lets a request fall so far behind that another one left in the meantime, it waits there
(`room`), with its connection ready, until its distance is right. The answer is never waited for.

*The interval learns.* A 429 widens it: first by a tenth (what network jitter of ±5 % needs on a
strict bucket; a smaller step only costs another rest of minutes), then by doubling steps (another
program may take a third of the bucket). It narrows back
only after a calm stretch and slowly, and never below ``interval * (1 + margin)``: what a refusal
taught must not be forgotten before it has paid for itself.

What cancellation does: a turn that was taken but not used stays here as `ready`, and the next call
has it at once. Since nobody sent, nobody is too early.

The clock may be coarse: uvloop counts whole milliseconds, so a turn can come 0.8 ms early. Both
ends of each distance are read from the same clock, and the margin is far wider than a millisecond.
"""

import asyncio
import bisect
from typing import Final

from aiolimiter import AsyncLimiter

from toggl_async.options import Pace

__all__ = ["Pacer"]

FIRST_STEP: Final = 0.1
"""Least share of the interval that a 429 adds."""
GROWTH: Final = 2.0
"""What a 429 multiplies the added share by."""
WIDEST: Final = 4.0
"""The most that is ever added, as a share of the interval."""
CALM: Final = 50
"""Answers without a 429 before the interval begins to narrow."""
DECAY: Final = 0.998
"""What each further answer multiplies the added share by."""

_TOLERANCE: Final = 1e-6
"""Share of the interval by which a float may miss."""


class Pacer:
    """The pace of one account; belongs to the event loop that first uses it."""

    __slots__ = (
        "_added",
        "_calm",
        "_departed",
        "_full_at",
        "_held",
        "_limiter",
        "_options",
        "_period",
        "_sent_at",
        "interval",
        "ready",
    )

    def __init__(self, options: Pace) -> None:
        self._options = options
        self._added = options.margin
        self.interval: float = options.interval * (1 + options.margin)
        """Seconds between two requests, as things stand."""
        self._calm = 0
        self._limiter: AsyncLimiter | None = None
        self._period = 0.0
        self._full_at = float("-inf")
        self._sent_at = float("-inf")
        self._departed = -1
        self._held: list[int] = []
        self.ready: bool = False
        """Whether a turn has been taken that nobody has used yet."""

    def next_at(self, now: float) -> float:
        """Return the loop's time of the next turn, as things stand."""
        if self.ready:
            return now
        return max(now, self._full_at + self.interval) + len(self._held) * self.interval

    def turn_at_once(self, now: float) -> bool:
        """Take a turn if there is one now; only while nobody waits in `turn`."""
        if not self.ready:
            if self._held or now < self._full_at + self.interval:
                return False
            self._full_at = now
            self.ready = True
        return True

    async def turn(self) -> None:
        """Wait for the next turn; `ready` tells that it is there.

        A request that leaves meanwhile, because it was held up, fills the bucket again.
        """
        loop = asyncio.get_running_loop()
        self._period = self.interval
        self._limiter = AsyncLimiter(1, self._period)
        try:
            level = 1 - (loop.time() - self._full_at) / self._period
            await self._limiter.acquire(max(0.0, level))
            await self._limiter.acquire()
        finally:
            self._limiter = None
        self._full_at = loop.time()
        self.ready = True

    def has_room(self, ticket: int, now: float) -> bool:
        """Say whether a request is far enough from the one before.

        Args:
            now: the loop's time.
            ticket: the number of the request's turn. The second time (handed over, then really
                sent) it is not held up by itself.
        """
        return ticket == self._departed or self._due(ticket) <= now

    async def room(self, ticket: int) -> None:
        """Wait until a request is far enough from the one before, where `has_room` says that it is not.

        That is so only where other requests overtook this one on its way to the wire. Those that
        wait here leave in the order of their turns, and before anybody gets a new turn.

        Args:
            ticket: the number of the request's turn.
        """
        loop = asyncio.get_running_loop()
        bisect.insort(self._held, ticket)
        try:
            while (wait := self._due(ticket) - loop.time()) > 0:  # noqa: ASYNC110 - the line moves meanwhile
                await asyncio.sleep(wait)
        finally:
            self._held.remove(ticket)

    def _due(self, ticket: int) -> float:
        """Return the loop's time from which a request may leave, behind those held up before it."""
        ahead = bisect.bisect_left(self._held, ticket)
        return self._sent_at + (1 + ahead) * self.interval * (1 - _TOLERANCE)

    async def depart(self, ticket: int, now: float) -> None:
        """Count the spacing from now on, because a request leaves; never waits."""
        self._departed, self._sent_at = ticket, now
        limiter = self._limiter
        if limiter is not None:  # fills it: a whole interval from now
            leaked = min(1.0, (now - self._full_at) / self._period) - _TOLERANCE
            await limiter.acquire(max(0.0, leaked))
        self._full_at = now
        self.ready = False

    def widen(self) -> None:
        """Learn from a 429 that the pace was too fast."""
        self._calm = 0
        self._add(min(WIDEST, max(self._added * GROWTH, self._options.margin + FIRST_STEP)))

    def narrow(self) -> None:
        """Learn from an answer that the pace is slow enough."""
        self._calm += 1
        if self._calm > CALM and self._added > self._options.margin:
            self._add(max(self._options.margin, self._added * DECAY))

    def _add(self, share: float) -> None:
        """Make the interval that much longer than it has to be."""
        self._added = share
        self.interval = self._options.interval * (1 + share)
