"""A running sandbox, as tests and programs hold it."""

import asyncio
import datetime as dt
import random
import threading
from collections.abc import Callable
from typing import TypeVar

import attrs

from toggl_async.sandbox.call import Happening
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.counts import Counts, Spacing
from toggl_async.sandbox.entities import PersonRow
from toggl_async.sandbox.faults import Fault, Faults
from toggl_async.sandbox.living import Workday, live_a_day
from toggl_async.sandbox.origin import insist

__all__ = ["Sandbox"]

ResultT = TypeVar("ResultT")


@attrs.frozen(kw_only=True, eq=False)
class Sandbox:
    """A running fake Toggl. Its methods can be called from any thread.

    Attributes:
        base_url: where it listens, such as ``"http://127.0.0.1:40123"``.
        api_token: the account's token, made for this run: the owner's, or that of the role in the options.
        email: the account's e-mail address, to log in with instead of the token.
        password: its password.
        company: the state behind the answers; `Company.dataset` returns it.
        counts: which requests were received, answered and refused.
        clock: the sandbox's time.
        faults: what goes wrong; `order` adds to it.
    """

    base_url: str
    api_token: str = attrs.field(repr=False)
    email: str
    password: str = attrs.field(repr=False)
    company: Company = attrs.field(repr=False)
    counts: Counts = attrs.field(repr=False)
    clock: Clock = attrs.field(repr=False)
    faults: Faults = attrs.field(repr=False)
    _seed: int = attrs.field(repr=False, alias="seed")
    _publish: Callable[[Happening, PersonRow], None] = attrs.field(repr=False, alias="publish")
    _thread: int = attrs.field(factory=threading.get_ident, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop, init=False, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point another process here, with a budget of its own."""
        return {
            "TOGGL_BASE_URL": self.base_url,
            "TOGGL_API_TOKEN": self.api_token,
            "TOGGL_BUDGET": "none",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    @property
    def now(self) -> dt.datetime:
        """The sandbox's time, in UTC."""
        return dt.datetime.fromtimestamp(self.clock.now(), dt.UTC)

    @property
    def spacing(self) -> Spacing:
        """How far apart the requests of the account arrived, in Toggl seconds."""
        return self.counts.spacing(self.company.account.id)

    @property
    def arrivals(self) -> list[float]:
        """When the requests of the account arrived, in Toggl seconds since the Unix epoch."""
        return self.counts.arrivals(self.company.account.id)

    def order(self, fault: Fault, *, route: str | None = None, times: int = 1) -> None:
        """Make the next requests meet a fault: any, or those of a route such as ``"GET /api/v9/me"``.

        Raises:
            ValueError: there is no such route.
        """
        if route is not None:
            insist([route])
        self._there(lambda: self.faults.order(fault, route=route, times=times))

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Set the time forward, so that a test need not wait, for instance for a quota window to end.

        Raises:
            ValueError: it would go backwards.
        """
        span = dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._there(lambda: self.clock.advance(span.total_seconds()))

    def next_day(self) -> Workday:
        """Let a day pass in the company: time entries are added, edited, re-dated, moved and deleted.

        What happens depends only on the seed and on the day. Webhooks are sent for it.
        """
        return self._there(self._live)

    def _live(self) -> Workday:
        self.clock.advance(dt.timedelta(days=1).total_seconds())
        rng = random.Random(f"{self._seed}:{self.now.date()}")
        # However long it took to ask for it, the day is the same.
        return live_a_day(self.company, rng, self.clock.days_after_the_beginning(), self._publish)

    def _there(self, work: Callable[[], ResultT]) -> ResultT:
        """Work in the sandbox's own thread, so that no request sees it half done."""
        if threading.get_ident() == self._thread:
            return work()

        async def working() -> ResultT:
            return work()

        return asyncio.run_coroutine_threadsafe(working(), self._loop).result()
