"""The waiting calls of one process, in lines: one for each level and quota window.

A call whose window is shut must not hold up those of other windows, so each window has a line of its own.
Nothing moves when a window shuts or opens, however many calls wait in it. `waiters` decides which line goes
next, among those of all processes. Within a line, the call that was made first goes next. A call keeps its
number, so if it was refused or is retried, it returns to the head of its line, not to the tail.

A caller that gives up only marks its call. Marked calls are dropped when they come to the head, or swept out
when most of a line is marked; no other call changes its place.
"""

import enum
import heapq
from collections.abc import Iterator
from typing import Final

import msgspec

from toggl_async.options import Priority

__all__ = ["Call", "CallState", "Queue", "WaitingLine"]

_SWEEP: Final = 64
"""Marked calls that a line tolerates at least."""


class CallState(enum.Enum):
    """Where a call is on its way; `schedule` draws it."""

    WAITING = "waiting"
    GRANTED = "granted"
    LEAVING = "leaving"
    UNDER_WAY = "under way"
    ANSWERED = "answered"
    DONE = "done"


class Call(msgspec.Struct, eq=False):
    """One call on its way through the scheduler; it may wait for several turns."""

    number: int
    """Its place among the calls of its account, in the order in which they were made."""
    level: Priority
    window: str
    """The name of the quota window that it spends from."""
    reads: bool
    """Whether it changes nothing."""
    max_wait: int | None = None
    """Microseconds that all its waits together may take; None for any time."""
    replayable: bool = True
    """Whether its body can be sent a second time."""
    max_attempts: int | None = None
    """How often it is sent at most where it is safe to repeat; None for what the options say."""
    max_cooldowns: int | None = None
    """How often it is sent again after a 429; None for as often as `max_wait` allows."""
    route: str = ""
    """Method and path template, by which it is named."""
    load: object = None
    """What the driver keeps with it."""
    state: CallState = CallState.DONE
    attempts: int = 0
    """How often it got a turn that it used."""
    failures: int = 0
    """How often it met a 5xx or lost its connection."""
    cooldowns: int = 0
    """How often it met a 429."""
    since: int = 0
    """When the present wait began."""
    waited: int = 0
    """Microseconds of finished waits."""
    deadline: int | None = None
    """When the present wait must have ended."""
    turn: int = 0
    """The number of its turn, until an answer or a loss was noted; else 0."""
    probe: bool = False
    leaves_at: int = 0
    sent_at: int = 0
    line: "WaitingLine | None" = None


class WaitingLine:
    """The calls that wait at one level for one window."""

    __slots__ = ("_dead", "_heap", "age", "level", "limited", "live", "window")

    def __init__(self, level: int, window: str) -> None:
        self.level: int = level
        self.window: str = window
        self.live: int = 0
        self.limited: int = 0
        """How many of them cannot wait forever."""
        self.age: int | None = None
        """Its age by the shared limits' last word; None before the first."""
        self._heap: list[tuple[int, Call]] = []
        self._dead = 0

    def push(self, call: Call) -> None:
        """Let a call wait here."""
        call.line = self
        self.live += 1
        self.limited += call.deadline is not None
        heapq.heappush(self._heap, (call.number, call))

    @property
    def head(self) -> Call:
        """The call that goes first; marked ones before it are dropped."""
        heap = self._heap
        while heap[0][1].line is not self:
            heapq.heappop(heap)
            self._dead -= 1
        return heap[0][1]

    def waited(self, now: int) -> int:
        """Return for how long it has waited, as far as that counts as starving.

        The time since the last word doesn't: the process held back by itself, or was stopped.
        """
        return now - self.head.since if self.age is None else self.age

    def discard(self, call: Call) -> None:
        """Mark a call as gone; sweep when marks outnumber calls."""
        call.line = None
        self.live -= 1
        self.limited -= call.deadline is not None
        self._dead += 1
        if self._dead > _SWEEP and self._dead > self.live:
            self._heap = [entry for entry in self._heap if entry[1].line is self]
            heapq.heapify(self._heap)
            self._dead = 0

    def __iter__(self) -> Iterator[Call]:
        """Go through the calls in the order in which they will go."""
        for _, call in sorted(self._heap):
            if call.line is self:
                yield call


class Queue:
    """The calls of one process and account that wait."""

    __slots__ = ("_size", "lines")

    def __init__(self) -> None:
        self.lines: dict[tuple[int, str], WaitingLine] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Call]:
        """Go through all calls; the lines may be changed meanwhile."""
        for line in list(self.lines.values()):
            yield from list(line)

    def push(self, call: Call) -> None:
        """Let a call wait."""
        line = self.lines.get((call.level, call.window))
        if line is None:
            line = self.lines[call.level, call.window] = WaitingLine(call.level, call.window)
        line.push(call)
        self._size += 1

    def discard(self, call: Call) -> None:
        """Take out a call that waits."""
        line = call.line
        assert line is not None  # noqa: S101 - `push` has set it
        line.discard(call)
        self._size -= 1
        if not line.live:
            del self.lines[line.level, line.window]

    def ahead(self, level: int, window: str) -> int:
        """Return how many calls wait on a window before a newcomer of that level."""
        return sum(line.live for line in self.lines.values() if line.window == window and line.level <= level)

    def merge(self, old: str, lasting: str) -> None:
        """Let the calls that wait on a window wait on another, which turned out to be the same quota."""
        for key in [key for key in self.lines if key[1] == old]:
            line = self.lines.pop(key)
            self._size -= line.live
            for call in list(line):
                call.window = lasting
                self.push(call)
