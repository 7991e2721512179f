"""What only one process knows about an account: its calls, and what was decided about each.

::

                     ┌───────────────── too late ──────────────────┐
                     │                                             ▼
    submit ──▶ WAITING ──grant──▶ GRANTED ──begin──▶ LEAVING    (refused)
                  ▲  ▲              │                │     │
                  │  └─ sent back ──┴────────────────┘    sent
                  │                                        ▼
                  ├── again ◀── lost ◀───────────────── UNDER_WAY
                  │                                        │
                  │                                     answered
                  │                                        ▼
                  └── again ◀───────────────────────── ANSWERED ──finish──▶ DONE

A call that is withdrawn goes to DONE from wherever it is. From GRANTED to ANSWERED it holds a slot of
`max_in_flight`: GRANTED has a turn whose slot may be a little ahead; LEAVING was handed to the network,
which may have to connect; UNDER_WAY has sent its first byte; ANSWERED has the head of its answer, and
its body is being read.

The schedule says what to want (`wants`), takes what was granted (`grant`), and collects in `notes`
what the shared limits have to be told. It knows no Toggl limit itself: of those it has the latest
`View`, from which `foresight` tells whether a call can go within its `max_wait`.

All times are microseconds of the process's own clock.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from toggl_async.options import Retry
from toggl_async.scheduler.core.ask import Departure, Grant, View
from toggl_async.scheduler.core.foresight import Foresight, Reason, TooLong
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.notes import (
    AnswerTold,
    LossTold,
    Note,
    OrganizationFound,
    QuotaTold,
    Slept,
    Throttled,
    Unused,
)
from toggl_async.scheduler.core.outcome import Outcome, OutcomeKind
from toggl_async.scheduler.core.queue import Call, CallState, Queue
from toggl_async.scheduler.core.retry import Backoff, Loss, may_retry
from toggl_async.scheduler.core.waiters import Want

__all__ = ["Next", "Recalled", "Schedule"]

CLOCK_MARGIN: Final = 60 * SECOND
"""How far the wall clock must get ahead of the process's own before that is taken to have stood still."""


class Recalled(Exception):
    """A request must not be sent after all; it goes back to its queue as if it had not had its turn.

    Attributes:
        reason: what was learned while it was on its way to the wire.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Next(msgspec.Struct, frozen=True):
    """What becomes of a call after an answer or a loss.

    Attributes:
        again: why it returns to the queue; None when this was the end of it.
        login_refused: whether nothing more must be sent with these credentials.
    """

    again: Reason | None = None
    login_refused: bool = False


_END: Final = Next()
_AGAIN: Final = {OutcomeKind.THROTTLED: Reason.COOLDOWN, OutcomeKind.QUOTA: Reason.QUOTA}


class Schedule:
    """The calls of one process on one account.

    Args:
        retry: how often and how far apart what failed is sent again.
        max_in_flight: requests under way at once.
    """

    __slots__ = (
        "_lasting",
        "_max_in_flight",
        "_retry",
        "_wall_ahead",
        "backoff",
        "foresight",
        "in_flight",
        "notes",
        "queue",
    )

    def __init__(self, retry: Retry, *, max_in_flight: int) -> None:
        self._retry = retry
        self._max_in_flight = max_in_flight
        self._wall_ahead: int | None = None
        self._lasting: dict[str, str] = {}
        self.queue: Queue = Queue()
        self.backoff: Backoff = Backoff()
        self.foresight: Foresight = Foresight(self.queue, self.backoff)
        self.notes: list[Note] = []
        """What the shared limits are to be told with the next step; the driver takes them out."""
        self.in_flight: int = 0
        """Calls that hold a slot: GRANTED to ANSWERED."""

    # What to want, and what was granted

    def wants(self, now: int) -> tuple[Want, ...]:
        """Return the lines that wait for a turn now; none while something in this process is in the way.

        They come in the order of their first calls: within a priority, first come is first served.
        """
        free = self._max_in_flight - self.in_flight
        if free <= 0 or now < self.backoff.until:
            return ()
        return tuple(
            Want(line.level, line.window, min(line.live, free), line.waited(now))
            for line in sorted(self.queue.lines.values(), key=lambda line: line.head.number)
        )

    def held(self, now: int) -> tuple[Reason, int | None] | None:
        """Return what keeps all calls of this process from going, and until when (None: an answer)."""
        if now < self.backoff.until:
            return Reason.BACKOFF, self.backoff.until
        if self.in_flight >= self._max_in_flight:
            return Reason.IN_FLIGHT, None
        return None

    def see(self, view: View, now: int) -> None:
        """Take the latest view of the shared limits, by which waits are foreseen."""
        self.foresight.view, self.foresight.seen_at = view, now
        for level, window, age in view.ages:
            # Kept here as well: a process that has to hold back leaves the calendar meanwhile.
            if (line := self.queue.lines.get((level, window))) is not None:
                line.age = age

    def look(self, now: int, wall: int) -> None:
        """Compare the clocks: windows end by the wall clock, too, where the process's own stood still.

        A wall clock that is set back is only noted; one that drifts by less than the margin, too.
        """
        ahead = wall - now
        if self._wall_ahead is None or ahead < self._wall_ahead:
            self._wall_ahead = ahead
        elif ahead - self._wall_ahead > CLOCK_MARGIN:
            self.notes.append(Slept(ahead - self._wall_ahead - CLOCK_MARGIN))
            self._wall_ahead = ahead

    def submit(self, call: Call, now: int) -> TooLong | None:
        """Let a call wait for a turn, for the first time or again; or say that it would take too long."""
        self._start(call, now)
        if call.deadline is not None:
            at, reason = self.foresight.expected(call, now)
            if at > call.deadline:
                return TooLong(reason, at)
        self._wait(call)
        return None

    def grant(self, answer: Grant, now: int) -> Call | None:
        """Give a turn to its call; give it back if the call has gone meanwhile."""
        line = self.queue.lines.get((answer.level, answer.window))
        if line is None:
            self.notes.append(Unused(answer.number, answer.window))
            return None
        call = line.head
        self.queue.discard(call)
        call.waited += now - call.since
        call.since = now
        self.give(call, answer, now)
        return call

    def is_clear(self, now: int) -> bool:
        """Say whether a call that comes now may ask for a turn by itself, without standing in a line.

        This is the driver's short way: `give` takes the turn if there is one, else `submit` goes on.
        """
        return not self.queue.lines and self.in_flight < self._max_in_flight and now >= self.backoff.until

    def give(self, call: Call, answer: Grant, now: int) -> None:
        """Give a turn to a call that is not in a line."""
        call.state = CallState.GRANTED
        call.turn, call.probe = answer.number, answer.probe
        call.leaves_at = now + answer.wait
        call.attempts += 1
        self.in_flight += 1

    # On the way

    def begin(self, call: Call, now: int) -> None:
        """Note that a call is handed to the network."""
        call.state = CallState.LEAVING
        call.sent_at = now

    def depart(self, call: Call, departure: Departure, now: int) -> bool:
        """Take the answer to a last look; say whether the request goes: if not, its turn is gone."""
        call.turn, call.leaves_at = departure.number, now + departure.wait
        return departure.number != 0

    def send_back(self, call: Call, now: int) -> None:
        """Send a call back to its queue as if it had not had its turn, which is given back if it is there."""
        self._give_back_turn(call)
        self.in_flight -= 1
        call.attempts -= 1
        call.waited += now - call.since  # a turn given ahead was still waited for
        self._start(call, now)
        self._wait(call)

    def hold_back(self, until: int) -> None:
        """Want nothing before an instant."""
        self.backoff.until = max(self.backoff.until, until)

    def sent(self, call: Call, now: int) -> None:
        """Note that the first byte leaves."""
        call.state = CallState.UNDER_WAY
        call.sent_at = now

    def answered(self, call: Call, outcome: Outcome, now: int, chance: float) -> Next:
        """Learn from an answer; the call keeps its slot until `finish` or `again`.

        Args:
            call: whose answer it is.
            outcome: what it means.
            now: the process's clock.
            chance: a number in [0, 1), for the back-off.
        """
        call.state = CallState.ANSWERED
        self.name_window(call)
        number, call.turn, call.probe = call.turn, 0, False
        kind = outcome.kind
        if kind is OutcomeKind.THROTTLED:
            call.cooldowns += 1
            self.notes.append(Throttled(number, call.window, outcome.retry_after))
        else:
            self.notes.append(
                AnswerTold(
                    number,
                    call.window,
                    outcome.remaining,
                    outcome.resets_in,
                    kind is OutcomeKind.QUOTA,
                    kind is not OutcomeKind.FAILED,
                )
            )
        if kind is OutcomeKind.DONE:
            self.backoff.incidents = 0
            return _END
        if kind is OutcomeKind.FAILED:
            call.failures += 1
            self.backoff.fail(now, call.sent_at, outcome.retry_after, self._retry, chance)
            return Next(Reason.BACKOFF) if self._may_retry(call, Loss.MAY_HAVE_LEFT) else _END
        if kind is not OutcomeKind.THROTTLED:
            self.backoff.recover()
        if kind in _AGAIN:
            return Next(_AGAIN[kind]) if call.replayable and _is_patient(call) else _END
        if kind is OutcomeKind.LOGIN:
            return Next(login_refused=True)
        return _END

    def lost(self, call: Call, loss: Loss, now: int, chance: float) -> Next:
        """Learn from a request that brought no answer, or half of one.

        Args:
            call: whose request it was.
            loss: how it was lost.
            now: the process's clock.
            chance: a number in [0, 1), for the back-off.
        """
        call.failures += 1
        self.name_window(call)
        if call.turn:
            gone = loss is Loss.MAY_HAVE_LEFT
            self.notes.append((LossTold if gone else Unused)(call.turn, call.window))
            call.turn, call.probe = 0, False
        if loss is not Loss.HOPELESS:
            self.backoff.fail(now, call.sent_at, None, self._retry, chance)
        return Next(Reason.BACKOFF) if self._may_retry(call, loss) else _END

    def again(self, call: Call, now: int) -> TooLong | None:
        """Let a call that `Next` sends again return to the head of its line, and free its slot."""
        self.in_flight -= 1
        call.state = CallState.DONE
        return self.submit(call, now)

    def finish(self, call: Call) -> None:
        """Free the slot of a call whose answer has been read, or that ended without one."""
        self.in_flight -= 1
        call.state = CallState.DONE

    def withdraw(self, call: Call) -> None:
        """Release a call whose caller has given up, wherever it is; do nothing if it is done.

        A turn whose request has not left is given back; one that has may have been counted by Toggl.
        """
        if call.state is CallState.DONE:
            return
        if call.state is CallState.WAITING:
            self.queue.discard(call)
        else:
            self.in_flight -= 1
            if call.state is CallState.UNDER_WAY:
                self.notes.append(LossTold(call.turn, self.name_window(call)))
            else:
                self._give_back_turn(call)
        call.turn, call.probe, call.state = 0, False, CallState.DONE

    # What is learned besides

    def told_quota(self, window: str, remaining: int, resets_in: int, total: int | None) -> None:
        """Take a row of ``GET /me/quota``; `resets_in` in microseconds."""
        self.notes.append(QuotaTold(window, remaining, resets_in, total))

    def merge(self, old: str, lasting: str) -> None:
        """Note that two windows are the same quota."""
        self.queue.merge(old, lasting)
        self._lasting[old] = lasting
        self.notes.append(OrganizationFound(old, lasting))

    def name_window(self, call: Call) -> str:
        """Return the window of a call; it may have become part of another while the call was on its way."""
        call.window = self._lasting.get(call.window, call.window)
        return call.window

    def doomed(self, now: int) -> Iterator[tuple[Call, TooLong]]:
        """Take out the waiting calls that cannot make it any more, after a 429 or the end of a window."""
        for call, too_long in self.foresight.late(now):
            self.withdraw(call)
            yield call, too_long

    # Details

    def _start(self, call: Call, now: int) -> None:
        call.since = now
        call.deadline = None if call.max_wait is None else now + call.max_wait - call.waited

    def _wait(self, call: Call) -> None:
        call.state = CallState.WAITING
        self.queue.push(call)

    def _give_back_turn(self, call: Call) -> None:
        self.name_window(call)
        if call.turn:
            self.notes.append(Unused(call.turn, call.window))
            call.turn, call.probe = 0, False

    def _may_retry(self, call: Call, loss: Loss) -> bool:
        return may_retry(
            failures=call.failures,
            reads=call.reads,
            loss=loss,
            replayable=call.replayable,
            attempts=call.max_attempts or self._retry.attempts,
        )


def _is_patient(call: Call) -> bool:
    """Say whether a call that met a 429 may be sent again."""
    return call.max_cooldowns is None or call.cooldowns <= call.max_cooldowns
