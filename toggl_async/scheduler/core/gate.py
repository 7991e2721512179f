"""The rest that an account takes after a 429, and the probe that ends it.

What Toggl does: it refuses with nginx's HTML, nearly always without Retry-After, and advises to wait
"a few minutes". What is sent meanwhile is refused too, and may prolong it.

What we do: one gate an account. Its end only ever moves away. The length of a rest is drawn at
random, so that programs refused together do not return together. When it is over, one request goes
as a probe, and all others wait for its answer: a probe that is refused begins the next rest, one
that is lost or given back says nothing, so another goes.

Several requests can be under way when the first 429 comes, and are refused as well. They are one incident:
they extend the rest, but they don't widen the interval again.
"""

from typing import Final

from toggl_async.scheduler.core.limits import Gate, Limits
from toggl_async.scheduler.core.process import Process
from toggl_async.scheduler.core.turns import PROBE_LEASE, widen

__all__ = ["RETRY_AFTER_SPREAD", "keep_probe", "probe_answered", "probe_gone", "rest", "shuts_out"]

RETRY_AFTER_SPREAD: Final = 0.1
"""The most that chance adds to a Retry-After, as a share of it: whoever was told the same number of
seconds would come back in the same moment."""


def rest(limits: Limits, now: int, me: Process, number: int, retry_after: int | None) -> None:
    """Begin or extend the rest, because turn `number` met a 429."""
    gate = limits.gate
    length = me.rest_minimum + int((me.rest_maximum - me.rest_minimum) * me.chance)
    if retry_after is not None:
        length = max(length, retry_after + int(retry_after * RETRY_AFTER_SPREAD * me.chance))
    until = max(gate.until, now + length)
    _stop_the_age_of_waiting(limits, until - max(gate.until, now))
    gate.until = until
    gate.probing = True
    gate.probe = 0
    limits.calm = 0
    if number > gate.number:
        widen(limits)
        gate.number = limits.number


def shuts_out(gate: Gate, now: int, number: int) -> bool:
    """Say whether turn `number` must not be sent any more."""
    return now < gate.until or (gate.probing and number != gate.probe)


def probe_answered(gate: Gate, number: int) -> None:
    """Open the gate if the probe was answered with anything but a 429."""
    if gate.probe and number == gate.probe:
        gate.probing = False
        gate.probe = 0


def probe_gone(gate: Gate, number: int) -> None:
    """Let another request probe, if turn `number` was the probe and brought no answer."""
    if number == gate.probe:
        gate.probe = 0


def keep_probe(gate: Gate, now: int, name: str) -> None:
    """Take a sign of life of the process that probes."""
    if gate.probe and gate.prober == name:
        gate.probe_until = max(gate.probe_until, now + PROBE_LEASE)


def _stop_the_age_of_waiting(limits: Limits, rest: int) -> None:
    """Move on the instants from which ages are counted.

    Rests don't count as starving, or the patient would go before what was refused after each of them.
    """
    limits.served = [at + rest for at in limits.served]
    for window in limits.windows.values():
        if window.shut_at:
            window.shut_at += rest  # or it would be taken off twice
    for waiter in limits.waiters.values():
        for line in waiter.lines:
            line.since += rest
