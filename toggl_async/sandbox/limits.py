"""Toggl's two limiters: a leaky bucket per account, and hourly quotas per user and organization.

They know nothing of each other. The bucket comes first and answers 429; a request that it refuses spends no
quota. The quotas answer 402, and say in every answer what is left. The caller passes in the time.
"""

import math

import attrs
from aiolimiter import AsyncLimiter

__all__ = ["QuotaState", "QuotaWindow", "ServerLimits"]

_HOUR = 3600.0
_ROUNDING = 1e-6
"""Seconds by which a request may be early, since times are sums of floating-point numbers."""


@attrs.frozen(kw_only=True)
class QuotaState:
    """A quota window as the headers of an answer tell it.

    Attributes:
        remaining: requests left until the reset.
        resets_in: whole seconds until the reset, rounded up.
        total: requests in a full window.
    """

    remaining: int
    resets_in: int
    total: int


class QuotaWindow:
    """A fixed window of an hour that the first request opens.

    When the hour is over it closes, and the next request opens another. A total of infinity
    switches it off.
    """

    __slots__ = ("_ends", "_spent", "_total")

    def __init__(self, total: float) -> None:
        self._total = total
        self._spent = 0
        self._ends: float | None = None

    def spend(self, now: float) -> bool:
        """Count a request, or refuse it; a refused one changes nothing."""
        self._close(now)
        if self._spent >= self._total:
            return False
        if self._ends is None:
            self._ends = now + _HOUR
        self._spent += 1
        return True

    def state(self, now: float) -> QuotaState | None:
        """Return what is left, or None if the window is switched off."""
        self._close(now)
        if self._total == math.inf:
            return None
        left = _HOUR if self._ends is None else self._ends - now
        total = int(self._total)
        return QuotaState(remaining=total - self._spent, resets_in=math.ceil(left - _ROUNDING), total=total)

    def _close(self, now: float) -> None:
        if self._ends is not None and now >= self._ends - _ROUNDING:
            self._ends = None
            self._spent = 0


class ServerLimits:
    """The buckets and windows of all accounts, made when they are first needed.

    Args:
        interval: seconds of the event loop that the bucket wants between two requests, on average.
        burst: requests that may come at once; with 1, it insists on the interval between any two.
        user_quota: requests an hour for ``/me`` and what belongs to nobody.
        organization_quota: requests an hour for each organization.
    """

    def __init__(self, *, interval: float, burst: int, user_quota: float, organization_quota: float) -> None:
        self._interval = interval
        self._burst = burst
        self._user_quota = user_quota
        self._organization_quota = organization_quota
        self._buckets: dict[int | None, AsyncLimiter] = {}
        self._windows: dict[tuple[int, int | None], QuotaWindow] = {}

    async def admit(self, user_id: int | None) -> bool:
        """Take a request into a user's bucket, or refuse it; what is refused is not poured in.

        None stands for requests without valid credentials.
        """
        if not self._interval:
            return True
        if user_id not in self._buckets:
            # The level is a sum of floating-point numbers, so it may be over by a trace.
            self._buckets[user_id] = AsyncLimiter(self._burst + _ROUNDING, self._burst * self._interval)
        bucket = self._buckets[user_id]
        if not bucket.has_capacity():
            return False
        await bucket.acquire()  # there is room: it does not wait
        return True

    def empty_buckets(self) -> None:
        """Forget what is in the buckets: the time was moved, and they know the loop's alone."""
        self._buckets.clear()

    def window(self, user_id: int, organization_id: int | None) -> QuotaWindow:
        """Return a user's window for an organization; None stands for the user's own."""
        key = (user_id, organization_id)
        if key not in self._windows:
            total = self._user_quota if organization_id is None else self._organization_quota
            self._windows[key] = QuotaWindow(total)
        return self._windows[key]
