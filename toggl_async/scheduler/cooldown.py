"""The rest that an account takes after a 429.

What Toggl does: it refuses with nginx's HTML, nearly always without Retry-After, and advises to wait
"a few minutes". What is sent meanwhile is refused too, and (so the documents hint) may prolong it.

What we do: one gate an account. It only ever extends: a later 429 can move the end further away,
never nearer. Its length is drawn at random, so that programs refused together do not return
together. When it ends, one request goes through as a probe; the others wait for its answer. A probe
that is refused starts the next rest; one that is cancelled or lost says nothing, so another goes.

Several requests can be under way when the first 429 comes, and meet the same fate. They belong to
the same incident: they extend the rest, but teach the pace nothing that it has not learned already.
"""

import math
import random

from toggl_async.options import Cooldown

__all__ = ["CooldownGate"]


class CooldownGate:
    """The gate of one account; open, shut until a time, or ajar for one probe."""

    __slots__ = ("_began", "_options", "_probe", "_probing", "_random", "_until")

    def __init__(self, options: Cooldown, source: random.Random) -> None:
        self._options = options
        self._random = source
        self._began = -math.inf
        self._until = -math.inf
        self._probing = False
        self._probe: object = None

    @property
    def until(self) -> float:
        """The loop's time at which the rest ends; minus infinity before the first."""
        return self._until

    @property
    def probing(self) -> bool:
        """Whether no answer since the last 429 has shown that the rest is over."""
        return self._probing

    def opens_at(self, now: float) -> float:
        """Return when the next request may go: `now` if at once, infinity while a probe is out."""
        if now < self._until:
            return self._until
        return math.inf if self._probe is not None else now

    def refuse(self, now: float, *, sent_at: float, retry_after: float | None) -> bool:
        """Begin or extend the rest after a 429; return whether this is a new incident.

        Args:
            now: the loop's time.
            sent_at: when the refused request left.
            retry_after: seconds that the server asked for; wins where it is longer.
        """
        rest = self._random.uniform(self._options.minimum, self._options.maximum)
        self._until = max(self._until, now + max(rest, retry_after or 0.0))
        self._probing = True
        self._probe = None
        if sent_at <= self._began:
            return False
        self._began = now
        return True

    def granted(self, call: object) -> None:
        """Take note that a call got its turn: after a rest, it is the probe."""
        if self._probing:
            self._probe = call

    def answered(self, call: object) -> None:
        """Take note of an answer that is no 429: the probe's opens the gate."""
        if call is self._probe:
            self._probe = None
            self._probing = False

    def shuts_out(self, call: object, now: float) -> bool:
        """Say whether a call that has had its turn must not be sent any more."""
        return now < self._until or (self._probing and call is not self._probe)

    def gave_up(self, call: object) -> None:
        """Take note that a call ended without an answer: if it was the probe, another may go."""
        if call is self._probe:
            self._probe = None
