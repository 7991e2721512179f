"""When a server read its clock, by the clock of the running loop.

All that a step answers is counted from that moment. It lies between question and answer, and where in
between cannot be seen: an answer that a busy machine or network delivers late would have its request
leave as late. But the difference of the two clocks stays the same, and each exchange bounds it::

    asked          answered          time - answered  <=  difference  <=  time - asked
      ├───────●───────┤
            time

So the quickest exchanges tell when the slow ones were read.
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
