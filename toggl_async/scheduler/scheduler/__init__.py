"""The scheduler: what keeps Toggl's limits for clients and transports, and what they may see of it.

Clients share a scheduler so that two of them with one token keep one pace. It holds any number of accounts,
each at its own pace (`accounts`), and lives in one event loop at a time.
"""

import random
from collections.abc import Callable
from types import TracebackType
from typing import Final, NoReturn, Self

from toggl_async.errors import InvalidInput
from toggl_async.options import ClientOptions, Priority
from toggl_async.scheduler.budgets import Budget
from toggl_async.scheduler.budgets.memory import MemoryBudget
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.route import quota_of
from toggl_async.scheduler.driver import Driver
from toggl_async.scheduler.events import OnEvent, SchedulerEvent
from toggl_async.scheduler.events.listening import check_listener, notify
from toggl_async.scheduler.scheduler.accounts import Drivers
from toggl_async.scheduler.stats import AccountStats, Counters, ProcessStats, SchedulerStats, WindowStats

__all__ = ["Scheduler", "drivers_of", "on_made", "refuse_beside"]

_ITS_OWN: Final = ("pace", "retry", "cooldown", "quota", "max_in_flight")
"""The options that belong to a scheduler."""


on_made: Final[list[Callable[["Scheduler"], None]]] = []
"""Called with each scheduler that is made, so that telemetry can cover a whole process."""


class Scheduler:
    """Keeps Toggl's limits for any number of accounts; shared by clients and transports.

    Use it as an asynchronous context manager, or call `aclose()`.

    Args:
        options: pace, cool-down, quota policy, retries and requests in flight, for every account.
        random: the source of randomness; a seeded one makes a run repeatable.
        budget: where the limits of accounts are kept, such as ``FileBudget()`` for all processes of this
            machine; by default, in this scheduler's own memory.
        on_event: called synchronously with every event; see `listen`.
    """

    def __init__(
        self,
        options: ClientOptions | None = None,
        *,
        random: random.Random | None = None,
        budget: Budget | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        if options is not None and not isinstance(options, ClientOptions):
            raise InvalidInput(f"options must be a ClientOptions, not {type(options).__name__}")
        if budget is not None and (isinstance(budget, type) or not callable(getattr(budget, "open", None))):
            known = "FileBudget(…), RedisBudget(…) or MemoryBudget()"
            what = budget.__name__ if isinstance(budget, type) else type(budget).__name__
            raise InvalidInput(f"budget must be {known}, not {what}")
        if on_event is not None:
            check_listener(on_event)
        self.options: ClientOptions = options or ClientOptions()
        self._counters = Counters()
        self._listeners: list[OnEvent] = []
        self._drivers = Drivers(
            self.options,
            MemoryBudget() if budget is None else budget,
            chance=random,
            counters=self._counters,
            listeners=self._listeners,
        )
        if on_event is not None:
            self._listeners.append(_Listener(on_event))
        for told in on_made:
            told(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Scheduler can't be copied or pickled: make one in each process")

    def __repr__(self) -> str:
        return f"<Scheduler of {len(self._drivers)} accounts{', closed' if self._drivers.closed else ''}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def stats(self) -> SchedulerStats:
        """Return a snapshot of what is going on."""
        return self._counters.snapshot(tuple(map(_stats, self._drivers.drivers)), alone=self._drivers.alone)

    def listen(self, on_event: OnEvent) -> Callable[[], None]:
        """Call a function with every event from now on.

        Args:
            on_event: called synchronously with each `SchedulerEvent`. It may do anything to calls and to the
                scheduler; whatever it raises is logged, and goes no further.

        Returns:
            A function that stops this; calling it twice does nothing.
        """
        check_listener(on_event)
        # Wrapped, so that a function may listen twice, and each can be ended on its own.
        listener = _Listener(on_event)
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def forget_refusals(self) -> None:
        """Forget which endpoints, features and credentials Toggl refused, for instance after an upgrade.

        A shared budget forgets them, too, for each account that this scheduler uses, now or later.
        """
        self._drivers.forget_refusals()

    async def aclose(self) -> None:
        """End all waiting calls with ClientClosed, and accept no more; requests under way continue.

        Raises:
            WrongEventLoop: it is in use by another event loop, which is still open.
        """
        await self._drivers.aclose()


class _Listener:
    """A listener; two of the same function are not equal."""

    __slots__ = ("_on_event",)

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event

    def __call__(self, event: SchedulerEvent) -> None:
        notify(self._on_event, event)


def refuse_beside(
    scheduler: Scheduler,
    *,
    options: ClientOptions | None = None,
    budget: Budget | None = None,
    on_event: OnEvent | None = None,
) -> None:
    """Refuse beside a shared scheduler what belongs to it.

    Raises:
        InvalidInput: an argument would have to be ignored, or the scheduler isn't a `Scheduler`.
    """
    if not isinstance(scheduler, Scheduler):
        raise InvalidInput(f"scheduler must be a Scheduler, not {type(scheduler).__name__}")
    if options is not None and not isinstance(options, ClientOptions):
        raise InvalidInput(f"options must be a ClientOptions, not {type(options).__name__}")
    if budget is not None:
        raise InvalidInput("budget and scheduler cannot be combined: pass budget to Scheduler(budget=…)")
    if on_event is not None:
        raise InvalidInput("on_event and scheduler cannot be combined: use scheduler.listen(on_event)")
    for name in _ITS_OWN if options is not None else ():
        if getattr(options, name) != getattr(scheduler.options, name):
            raise InvalidInput(
                f"options.{name} differs from that of the scheduler, which all its clients share: set it "
                "on the scheduler, and pass attrs.evolve(scheduler.options, …) here"
            )


def drivers_of(scheduler: Scheduler) -> Drivers:
    """Return the accounts of a scheduler, for what belongs to the library."""
    return scheduler._drivers  # noqa: SLF001 - the public face is smaller


def _stats(driver: Driver) -> AccountStats:
    """Take a snapshot of one account."""
    seen = driver.look()
    reason, wait = driver.waits()
    return AccountStats(
        account=driver.number,
        waiting=len(driver.schedule.queue),
        in_flight=driver.schedule.in_flight,
        interval=driver.interval,
        reason=reason,
        wait=wait,
        windows=tuple(
            WindowStats(
                lane=quota_of(name)[0],
                organization_id=quota_of(name)[1],
                workspace_id=quota_of(name)[2],
                remaining=window.left,
                total=window.total,
                resets_in=None if window.resets_in is None else window.resets_in / SECOND,
            )
            for name, window in (seen.windows.items() if seen is not None else ())
        ),
        processes=tuple(
            ProcessStats(
                process=other.process,
                priority=Priority(other.level),
                waiting=other.count,
                waited=(other.age + driver.seen_ago()) / SECOND,
            )
            for other in (seen.others if seen is not None else ())
        ),
    )
