"""When a server read its clock, in terms of the running loop's clock.

Everything in a step's result counts from that moment. It is somewhere between question and answer, and nobody
can see where: if a busy machine or network delivered an answer late, the request would leave just as late.
But the difference between the two clocks stays the same, and each exchange bounds it::

    asked          answered          time - answered  <=  difference  <=  time - asked
      ├───────●───────┤
            time

So the quickest exchanges show when the clock was read in the slow ones.
"""

__all__ = ["ServerClock"]


class ServerClock:
    """The difference between a server's clock and the loop's, as far as it is known; in microseconds."""

    __slots__ = ("_least", "_most")

    def __init__(self) -> None:
        self._least = 0
        self._most = -1

    def moment(self, asked: int, time: int, answered: int) -> int:
        """Return when the server read `time`, by the clock of `asked` and `answered`."""
        least, most = time - answered, time - asked
        self._least, self._most = max(self._least, least), min(self._most, most)
        if self._least > self._most:  # a clock was set, or has drifted; or this is the first exchange
            self._least, self._most = least, most
        return time - (self._least + self._most) // 2
