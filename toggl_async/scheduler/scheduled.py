"""The httpx transport that schedules: queue, send, judge, send again or hand over.

It wraps any `httpx.AsyncBaseTransport` and serves any httpx client, ours or another. What it adds to an
exchange happens before the request and after the answer; the request itself is passed on unchanged.
"""

from collections.abc import Coroutine, Hashable, Mapping
from typing import Any, Final, NoReturn, Self

from toggl_async.errors import ClientClosed
from toggl_async.options import ClientOptions
from toggl_async.scheduler.adapter import EXTENSION, facts_of
from toggl_async.scheduler.attempts import Attempts
from toggl_async.scheduler.attempts.refusals import refusal_of
from toggl_async.scheduler.budgets import Budget
from toggl_async.scheduler.budgets.named import budget_from_env
from toggl_async.scheduler.core.route import RequestFacts, window_of
from toggl_async.scheduler.driver import Driver
from toggl_async.scheduler.scheduler import Scheduler, drivers_of, refuse_beside
from toggl_async.scheduler.transport import (
    AnyTransport,
    Around,
    EnvironmentNetwork,
    foreign_request,
    httpx,
)
from toggl_async.scheduler.transport.inner import InnerTransport

__all__ = ["ScheduledTransport", "see_attempts"]

_COMPARED: Final = frozenset({EXTENSION, "timeout"})
"""The extensions that are compared as they are."""

_PLAIN: Final = frozenset({str, bytes, int, float, bool})


class ScheduledTransport(httpx.AsyncBaseTransport):
    """A transport that keeps Toggl's limits, for clients of httpx and httpx2.

    It returns the final answer, of any status, with an `Attempted` in its extensions, or raises a
    `TogglError` if there is none.

    Args:
        inner: the transport of httpx or httpx2 that sends the requests; by default, httpx's own, through the
            proxies that the environment names.
        scheduler: a scheduler to share with others; it is not closed with this transport.
        options: the options of its own scheduler, and the `max_wait` and `coalesce` of requests that declare
            none; by default, those of `scheduler`. If `scheduler` is given, they must not differ in what
            belongs to it.
        budget: where its own scheduler keeps the limits of accounts; by default, the budget that the
            environment variable ``TOGGL_BUDGET`` names (see `TogglClient.from_env`).

    Raises:
        InvalidInput: something that belongs to the scheduler was given as well, ``TOGGL_BUDGET`` doesn't name
            a budget, or an argument has the wrong type, such as a transport that isn't asynchronous.
        BudgetError: the budget that it names needs an extra that is not installed.
    """

    def __init__(
        self,
        inner: AnyTransport | None = None,
        *,
        scheduler: Scheduler | None = None,
        options: ClientOptions | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._inner = InnerTransport(EnvironmentNetwork() if inner is None else inner)
        self._owns_scheduler = scheduler is None
        if scheduler is None:
            scheduler = Scheduler(options, budget=budget_from_env() if budget is None else budget)
        else:
            refuse_beside(scheduler, options=options, budget=budget)
        self.scheduler: Scheduler = scheduler
        self._options = options or self.scheduler.options
        self._drivers = drivers_of(self.scheduler)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ScheduledTransport can't be copied or pickled: make one in each process")

    async def __aenter__(self) -> Self:
        await self._inner.transport.__aenter__()
        return self

    def close_calls(self) -> None:
        """End the waiting calls of this transport with ClientClosed; later calls are accepted."""
        self._drivers.close_calls(self._inner)

    def refuse_to_close_elsewhere(self) -> None:
        """Refuse to be closed while another event loop may be using it.

        Raises:
            WrongEventLoop: it is neither the running one nor closed.
        """
        self._inner.refuse_to_close_elsewhere()
        self._drivers.refuse_to_close_elsewhere()

    async def aclose(self) -> None:
        """End the waiting calls with ClientClosed, and close the inner transport.

        Raises:
            WrongEventLoop: it is in use by another event loop, which is still open.
        """
        self.refuse_to_close_elsewhere()
        self._inner.closed = True
        if self._owns_scheduler:
            await self.scheduler.aclose()
        else:
            self.close_calls()
        await self._inner.aclose()

    def handle_async_request(  # pyright: ignore[reportIncompatibleMethodOverride] - it is awaited all the same
        self, request: httpx.Request
    ) -> Coroutine[Any, Any, httpx.Response]:
        """Schedule a request, and return its final answer.

        Raises:
            MaxWaitExceeded: it cannot be sent within its `max_wait`.
            QuotaExceeded: it cannot, because the hourly quota is used up.
            EndpointGone: it was answered 410 before.
            FeatureUnavailable: it was refused before, by the workspace's plan.
            ConnectionFailed: no answer came.
            RequestTimeout: no answer came in time.
            ClientClosed: this transport or its scheduler was closed.
            InvalidInput: it carries a key of Toggl 2.0, which is another product, to a host other than Toggl
                2.0's; or it is a request of neither httpx nor httpx2.
            WrongEventLoop: the scheduler is in use by another event loop, or `inner` has connections that
                belong to one and can't be replaced.
        """
        given: object = request
        if not isinstance(given, httpx.Request):
            return foreign_request(given, self.handle_async_request)
        # It hands on a coroutine instead of awaiting one, which would be a frame more in every call.
        around = self._drivers.around
        return self._schedule(request) if around is None else around(request, self._schedule)

    async def _schedule(self, request: httpx.Request) -> httpx.Response:
        """Schedule a request, or let it share the answer to an identical one."""
        if self._inner.closed:
            raise ClientClosed("the client was closed")
        facts = facts_of(request, max_wait=self._options.max_wait, coalesce=self._options.coalesce)
        driver = self._drivers.of(request)
        remembered = refusal_of(driver, request, facts)
        if remembered is not None:
            driver.refused(remembered, facts.route)
            raise remembered
        if facts.reads and facts.coalesce and self._options.coalesce and not facts.streams:
            key = self._key(facts, request)
            if key is not None:
                return await self._shared(key, driver, facts, request)
        attempts = self._attempts(driver, facts, request)
        asked_at = driver.used_at
        if facts.reads:
            return await attempts.run(asked_at)
        shared = driver.shared
        shared.break_up()
        try:
            return await attempts.run(asked_at)
        finally:
            shared.break_up()

    def _attempts(self, driver: Driver, facts: RequestFacts, request: httpx.Request) -> Attempts:
        window = window_of(facts, self._drivers.organizations)
        return Attempts(self._inner, driver, window, facts, request)

    def _shared(
        self, key: Hashable, driver: Driver, facts: RequestFacts, request: httpx.Request
    ) -> Coroutine[object, object, httpx.Response]:
        """Make a request, or wait for the answer to an identical one under way."""
        flight = driver.shared.find(key)
        if flight is not None:
            driver.tell_shared(facts.route)
            return flight.follow(driver.used_at)
        return driver.shared.begin(key, self._attempts(driver, facts, request)).lead(driver.used_at)

    def _key(self, facts: RequestFacts, request: httpx.Request) -> Hashable:
        """Return what makes two requests of an account identical; it lives as long as the request does.

        Whatever can change an answer, or what becomes of the request on its way to one, is part of it:
        the URL, headers, body, extensions (timeouts among them), and what the request declares. Where
        any of that can't be compared, there is no key, and the answer isn't shared.
        """
        stream, extensions, url = request.stream, request.extensions, request.url
        if not isinstance(stream, httpx.ByteStream):
            return None
        others = ""
        if not extensions.keys() <= _COMPARED:
            extra = [item for item in extensions.items() if item[0] not in _COMPARED]
            if not all(_is_plain(value) for _, value in extra):
                return None
            others = repr(extra)  # it tells 1 from True and from 1.0
        path = url.raw_path
        return _Asked(
            path,
            (
                id(self._inner),
                facts,
                request.method,
                url.scheme,
                path,
                request.headers.raw,
                tuple(stream),
                extensions.get("timeout"),
                others,
            ),
        )


class _Asked:
    """What was asked for, to be found among what is under way.

    All of it is compared, but only its path is hashed: nearly every request has nobody to share with, and
    would pay for the rest three times.
    """

    __slots__ = ("_hash", "_whole")

    def __init__(self, path: bytes, whole: tuple[object, ...]) -> None:
        self._hash = hash(path)
        self._whole = whole

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self._whole == other._whole


def see_attempts(scheduled: ScheduledTransport, around: Around | None) -> None:
    """Put something around each attempt of a transport, for what belongs to the library."""
    scheduled._inner.around = around  # noqa: SLF001 - the public face is smaller


def _is_plain(value: object) -> bool:
    """Say whether a value shows all of itself in its repr, as the callbacks of a caller do not."""
    if isinstance(value, Mapping):
        return all(_is_plain(name) and _is_plain(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in _PLAIN
