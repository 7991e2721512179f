"""What the sandbox was asked, what it answered, what it refused, and how far apart requests came."""

import itertools
from collections import Counter
from collections.abc import Mapping

import attrs

__all__ = ["Counts", "Spacing"]


@attrs.frozen(kw_only=True)
class Spacing:
    """Seconds between one request of an account and the next.

    Attributes:
        minimum: the shortest; 0 if there were fewer than two requests.
        mean: the mean; 0 if there were fewer than two requests.
        requests: how many requests came.
    """

    minimum: float
    mean: float
    requests: int


class Counts:
    """A record of every request, by route, status and account.

    A route is the method and the path with its parameters named, such as
    ``"GET /api/v9/workspaces/{workspace_id}/projects"``; one that does not exist is
    ``"GET (unknown)"``. Times are Toggl seconds since the Unix epoch.
    """

    def __init__(self) -> None:
        self._answered: Counter[tuple[str, int]] = Counter()
        self._asked: Counter[str] = Counter()
        self._refused: Counter[int] = Counter()
        self._sampled: Counter[str] = Counter()
        self._arrivals: dict[int | None, list[float]] = {}

    def arrived(self, route: str, user_id: int | None, moment: float) -> None:
        """Note that a request arrived; `user_id` is None without valid credentials."""
        self._asked[route] += 1
        self._arrivals.setdefault(user_id, []).append(moment)

    def answered(self, route: str, status: int) -> None:
        """Note how a request ended; status 0 is a connection that was reset."""
        self._answered[route, status] += 1

    def refuse(self, status: int) -> None:
        """Note that a limiter refused: the bucket with 429, a quota with 402."""
        self._refused[status] += 1

    def sampled(self, route: str) -> None:
        """Note that a request was answered by a sample."""
        self._sampled[route] += 1

    def reset(self) -> None:
        """Forget everything."""
        self._answered.clear()
        self._asked.clear()
        self._refused.clear()
        self._sampled.clear()
        self._arrivals.clear()

    @property
    def asked(self) -> Mapping[str, int]:
        """Requests received, by route."""
        return dict(self._asked)

    @property
    def requests(self) -> int:
        """Requests received in all."""
        return self._asked.total()

    @property
    def statuses(self) -> Mapping[int, int]:
        """Answers given, by status."""
        totals: Counter[int] = Counter()
        for (_, status), times in self._answered.items():
            totals[status] += times
        return dict(totals)

    def answers(self, route: str) -> Mapping[int, int]:
        """Return the answers given on one route, by status."""
        return {status: times for (asked, status), times in self._answered.items() if asked == route}

    @property
    def refused(self) -> Mapping[int, int]:
        """Requests that a limiter refused: 429 the bucket, 402 a quota (and not the plan)."""
        return {status: self._refused[status] for status in (402, 429)}

    @property
    def samples(self) -> Mapping[str, int]:
        """Requests that were answered by a sample rather than from state, by route."""
        return dict(self._sampled)

    def arrivals(self, user_id: int | None) -> list[float]:
        """Return when the requests of an account arrived, in order."""
        return list(self._arrivals.get(user_id, ()))

    def spacing(self, user_id: int | None) -> Spacing:
        """Return how far apart the requests of an account arrived."""
        moments = self.arrivals(user_id)
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        if not gaps:
            return Spacing(minimum=0.0, mean=0.0, requests=len(moments))
        return Spacing(minimum=min(gaps), mean=sum(gaps) / len(gaps), requests=len(moments))
