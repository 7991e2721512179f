"""Who goes next: the calls of one account that wait for their turn.

Priorities first (INTERACTIVE, NORMAL, BULK), first come first served within one. A call keeps the
number that it drew when it was made, so one that was refused (429, quota 402) or is retried returns
to the head of its priority instead of the tail.

*Windows.* A call whose quota window is shut must not hold up those of other windows, so each window
has a line of its own and the queue chooses among the heads of the lines that are open. Nothing is
moved when a window shuts or opens, however many wait in it.

*Ageing.* A priority that has waited `PATIENCE` seconds without one grant gets one, whoever else
waits: none starves, and a crowd of old bulk calls cannot push an urgent one aside either (which is
what ageing by the time of each single call would let them do).

*Cancellation.* A caller that gives up only marks its call; the mark is met when the call comes to
the head, or swept out when half of a line is marked. Nobody else's place, future or turn is touched,
and there is no future to be set on a call that has left: the dispatcher asks the queue and grants in
one step, without awaiting in between.
"""

import asyncio
import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import httpx

from toggl_async.options import Priority
from toggl_async.scheduler.quota import Window
from toggl_async.scheduler.route import RequestFacts

__all__ = ["Call", "Queue"]

PATIENCE: Final = 180.0
"""Seconds after which a priority that got nothing gets one turn."""

_SWEEP: Final = 64
"""Marked calls that a line tolerates at least."""

_LEVELS: Final = len(Priority)


class Call:
    """One call on its way through the scheduler; it may wait for several turns."""

    __slots__ = (
        "attempts",
        "deadline",
        "facts",
        "failures",
        "future",
        "granted_at",
        "line",
        "number",
        "owner",
        "request",
        "sent_at",
        "since",
        "timer",
        "turn",
        "unsettled",
        "waited",
        "window",
    )

    def __init__(
        self, number: int, facts: RequestFacts, *, window: Window, request: httpx.Request, owner: object
    ) -> None:
        self.number: int = number
        self.facts: RequestFacts = facts
        self.request: httpx.Request = request
        self.owner: object = owner
        """Whoever may close it: its transport."""
        self.attempts: int = 0
        """How often it got a turn."""
        self.failures: int = 0
        """How often it met a 5xx or a lost connection."""
        self.waited: float = 0.0
        """Seconds of finished waits."""
        self.since: float = 0.0
        """The loop's time at which the present wait began."""
        self.deadline: float = 0.0
        """The loop's time at which the present wait must have ended."""
        self.granted_at: float = 0.0
        self.sent_at: float | None = None
        """When this attempt left; None while it has not."""
        self.turn: int = -1
        """The number of its latest turn: the ticket by which pace and windows know it."""
        self.unsettled: bool = False
        """Whether its latest turn still counts as under way in its window."""
        self.window: Window = window
        self.line: WindowQueue | None = None
        self.future: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def left_at(self) -> float:
        """The loop's time at which this attempt left, or was handed over to do so."""
        return self.granted_at if self.sent_at is None else self.sent_at


class WindowQueue:
    """The calls that wait on one quota window."""

    __slots__ = ("dead", "heaps", "limited", "live", "window")

    def __init__(self, window: Window) -> None:
        self.window: Window = window
        self.heaps: tuple[list[tuple[int, Call]], ...] = tuple([] for _ in range(_LEVELS))
        self.live: list[int] = [0] * _LEVELS
        self.dead: int = 0
        self.limited: int = 0
        """How many of them cannot wait for ever."""

    def push(self, call: Call) -> None:
        """Let a call wait here."""
        call.line = self
        self.limited += call.deadline < math.inf
        self.live[call.facts.priority] += 1
        heapq.heappush(self.heaps[call.facts.priority], (call.number, call))

    def head(self, level: int) -> Call:
        """Return the first call of a priority in which somebody waits, dropping marked ones on the way."""
        heap = self.heaps[level]
        while heap[0][1].line is not self:
            heapq.heappop(heap)
            self.dead -= 1
        return heap[0][1]

    def discard(self, call: Call) -> None:
        """Mark a call as gone; sweep when marks outnumber calls."""
        call.line = None
        self.limited -= call.deadline < math.inf
        self.live[call.facts.priority] -= 1
        self.dead += 1
        if self.dead > _SWEEP and self.dead > sum(self.live):
            for heap in self.heaps:
                heap[:] = [entry for entry in heap if entry[1].line is self]
                heapq.heapify(heap)
            self.dead = 0

    def __iter__(self) -> Iterator[Call]:
        """Go through the calls in the order in which they will be granted."""
        for heap in self.heaps:
            for _, call in sorted(heap):
                if call.line is self:
                    yield call


class Queue:
    """The calls of one account that wait."""

    __slots__ = ("_lines", "_served", "_size")

    def __init__(self) -> None:
        self._lines: dict[Window, WindowQueue] = {}
        self._served = [float("-inf")] * _LEVELS
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def lines(self) -> Iterable[WindowQueue]:
        """The lines in which somebody waits."""
        return self._lines.values()

    def push(self, call: Call, window: Window) -> None:
        """Let a call wait on a window."""
        line = self._lines.get(window)
        if line is None:
            line = self._lines[window] = WindowQueue(window)
        line.push(call)
        self._size += 1

    def discard(self, call: Call) -> None:
        """Take out a call that gave up; does nothing if it does not wait."""
        line = call.line
        if line is None:
            return
        line.discard(call)
        self._size -= 1
        if not any(line.live):
            del self._lines[line.window]

    def take(self, call: Call, now: float) -> None:
        """Take out the call that `choose` returned, because it goes."""
        self._served[call.facts.priority] = now
        self.discard(call)

    def choose(self, now: float, is_open: Callable[[Window], bool]) -> Call | None:
        """Return the call that goes next among the lines whose window is open."""
        heads: list[Call | None] = [None] * _LEVELS
        for line in self._lines.values():
            if not is_open(line.window):
                continue
            for level in range(_LEVELS):
                call = line.head(level) if line.live[level] else None
                best = heads[level]
                if call is not None and (best is None or call.number < best.number):
                    heads[level] = call
        first: Call | None = None
        for level, call in enumerate(heads):
            if call is None:
                continue
            if first is None:
                first = call
            elif now - max(call.since, self._served[level]) >= PATIENCE:
                return call
        return first

    def ahead(self, priority: Priority, window: Window) -> int:
        """Return how many calls wait on `window` before a newcomer of `priority`."""
        line = self._lines.get(window)
        return 0 if line is None else sum(line.live[: priority + 1])

    def merge(self, old: Window, lasting: Window) -> None:
        """Let the calls that wait on `old` wait on `lasting`."""
        line = self._lines.pop(old, None)
        if line is None:
            return
        for call in list(line):
            call.window = lasting
            self._size -= 1
            self.push(call, lasting)
