"""What all shared stores have in common: how long to wait for a store, and how to do without it.

::

                     no answer within a second, or an error
    with the store ──────────────────────────────────────────▶ alone, in its own places
          ▲                                                       │ one task tries the store
          │  the store is open                                    ▼ every 2 s
          └──────────────────────────────── back: each account asks first how long it is closed

A store knows nothing of this: it applies a step, or says that it cannot (`StoreAway`).
"""

import asyncio
import contextlib
import itertools
import logging
import os
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar, cast

import anyio
import msgspec

from toggl_async.errors import BudgetError, WrongEventLoop
from toggl_async.scheduler.budgets import OnTrouble, Step
from toggl_async.scheduler.budgets.seen import Closed, Passed, Seen
from toggl_async.scheduler.budgets.store import Store, StoreAway
from toggl_async.scheduler.core import alone
from toggl_async.scheduler.core.limits import SECOND, Limits, NewerFormat
from toggl_async.scheduler.core.memory import Lesson, Memories

__all__ = ["BOUND", "SharedHolder"]

T = TypeVar("T")

BOUND: Final = 1.0
"""Seconds that a store may take to answer; then the process goes on alone.

Waits are bounded by asyncio and not by anyio, which knows its own cancellations by their message: redis-py
closes connections in `asyncio.gather`, which drops it, and the program would see itself cancelled.
"""
TRIES: Final = (1.8, 2.0)
"""Seconds from one attempt to reach a lost store to the next, drawn at random so that processes don't
retry in step."""

_PAUSE: Final = 0.05
"""Seconds between two attempts of one transaction while the store fails."""
_IDLE: Final = 3600 * SECOND
_LOOKED_AT: Final = 2
"""How many accounts to check for each new one, to forget those that were idle for an hour."""

_logger = logging.getLogger("toggl_async.budget")


class SharedHolder:
    """A holder on a store that other processes share; continues alone while the store is away.

    Args:
        store: the connection.
        on_trouble: called once each time that the store is lost (with the reason) or is back (with None).
        chance: where chance comes from.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_trouble: OnTrouble | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._on_trouble = on_trouble
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._accounts: OrderedDict[str, Seen] = OrderedDict()
        self._used = False
        self._refusal = ""
        """The mistake in the configuration that has been logged."""
        self._failed = ""
        """The account whose transaction found the store away."""
        self._opening: asyncio.TimerHandle | None = None
        """Reports that a store can be used again, when one that lost its data opens."""
        self._trial: asyncio.Task[None] | None = None
        self._closed = False
        self.away: bool = False
        """Whether the store is away; what `transact` gives then comes from no store."""
        self.read_at: int = 0
        """When the clock was read that the latest step was given, in microseconds of the loop's."""

    def __repr__(self) -> str:
        return f"<holder {self.name} of {self._store.place}{', alone' if self.away else ''}>"

    @property
    def name(self) -> str:
        """The name of this holder among the waiters."""
        return self._store.name

    def alive(self, name: str) -> bool:
        """Say whether another holder is still alive, as far as is known."""
        return self._store.alive(name)

    def transact(self, account: str, step: Step[T], lessons: Sequence[Lesson] = ()) -> T | Awaitable[T]:
        """Apply a step to the limits of an account, in the store or alone, within `BOUND`.

        Raises:
            BudgetError: the store cannot be used as it is configured; only before it has been used.
            WrongEventLoop: this holder belongs to another loop, or to a process that was forked.
        """
        if os.getpid() != self._process or asyncio.get_running_loop() is not self._loop:
            raise WrongEventLoop(
                "this hold on a shared budget belongs to another process or event loop: open one in each"
            )
        now = self._now()
        seen = self._accounts.get(account)
        if seen is None:
            seen = self._meet(account, now)
        seen.used_at = now
        if self.away or self._closed or (seen.round is not None and self._stays_alone(seen, now)):
            return self._without(seen, step, lessons)
        passed = Passed(self.name, seen, step, now, self._read)
        try:
            result = self._store.transact(account, passed, (*passed.lessons, *lessons))
        except (StoreAway, NewerFormat, BudgetError) as error:
            if isinstance(error, StoreAway) and self._used:
                return self._wait(account, seen, step, lessons, passed, None, str(error))
            return self._lost(account, seen, step, lessons, error)
        if isinstance(result, Awaitable):
            pending = cast("Awaitable[T | Closed]", result)
            return self._wait(account, seen, step, lessons, passed, pending, f"no answer within {BOUND:g} s")
        return self._with(seen, step, passed, result)

    async def _wait(
        self,
        account: str,
        seen: Seen,
        step: Step[T],
        lessons: Sequence[Lesson],
        passed: Passed[T],
        pending: Awaitable[T | Closed] | None,
        reason: str,
    ) -> T:
        """Wait for the store, and try again while it fails.

        A short outage should cost nothing: a process that went on alone at the first failure would collide
        with those that asked a moment later, and got an answer.
        """
        try:
            async with asyncio.timeout(BOUND):
                while True:
                    try:
                        if pending is None:
                            await anyio.sleep(_PAUSE)
                            pending = self._again(account, passed, lessons)
                        result = await pending
                        break
                    except StoreAway as error:
                        if not self._used:
                            return self._lost(account, seen, step, lessons, error)
                        pending, reason = None, str(error)
        except TimeoutError:
            return self._lost(account, seen, step, lessons, StoreAway(reason))
        except (NewerFormat, BudgetError) as error:
            return self._lost(account, seen, step, lessons, error)
        return self._with(seen, step, passed, result)

    async def _again(self, account: str, passed: Passed[T], lessons: Sequence[Lesson]) -> T | Closed:
        result = self._store.transact(account, passed, (*passed.lessons, *lessons))
        return cast("T | Closed", await result) if isinstance(result, Awaitable) else result

    def recall(self, account: str) -> Memories | Awaitable[Memories]:
        """Return what was learned about an account; its times are those of the running loop's clock."""
        now = self._now()
        seen = self._accounts.get(account) or self._meet(account, now)
        if self.away or self._closed or seen.newer:
            return seen.memories
        try:
            found = self._store.recall(account)
        except (StoreAway, NewerFormat, BudgetError) as error:
            self._lose(account, error)
            return seen.memories
        if isinstance(found, Awaitable):
            return self._recalled(account, seen, found)
        return self._remember(seen, *found)

    async def aclose(self) -> None:
        """Let go of the store, within `BOUND`; it is not told of requests that are still under way."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.wait([self._trial], timeout=BOUND)
            self._trial = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BOUND):
                await self._store.aclose()

    # With the store

    def _meet(self, account: str, now: int) -> Seen:
        for known in list(itertools.islice(self._accounts, _LOOKED_AT)):
            seen = self._accounts.pop(known)
            if now - seen.used_at < _IDLE or seen.round is not None or seen.lessons:
                self._accounts[known] = seen  # behind the others
        seen = self._accounts[account] = Seen(now)
        return seen

    def _with(self, seen: Seen, step: Step[T], passed: "Passed[T]", result: T | Closed) -> T:
        """Take in the answer of the store."""
        self._used = True
        if passed.lessons:
            seen.lessons = [lesson for lesson in seen.lessons if lesson not in passed.lessons]
        limits = passed.limits
        seen.highest, seen.before = max(seen.highest, limits.number), limits.before
        if isinstance(result, Closed):
            return self._stay_alone(seen, step, result)
        seen.limits, seen.ahead, seen.round, seen.opens_at = limits, passed.ahead, None, None
        if limits.holder == self.name:
            seen.departed = limits.slot
        return result

    async def _recalled(self, account: str, seen: Seen, pending: Awaitable[tuple[Memories, int]]) -> Memories:
        try:
            async with asyncio.timeout(BOUND):
                found = await pending
        except TimeoutError:
            self._lose(account, StoreAway(f"no answer within {BOUND:g} s"))
            return seen.memories
        except (StoreAway, NewerFormat, BudgetError) as error:
            self._lose(account, error)
            return seen.memories
        return self._remember(seen, *found)

    def _remember(self, seen: Seen, memories: Memories, at: int) -> Memories:
        """Keep memories, their instants turned into those of the loop's clock."""
        ahead = self._now() - at
        for key, refusal in memories.refusals.items():
            if refusal.until is not None:
                memories.refusals[key] = msgspec.structs.replace(refusal, until=refusal.until + ahead)
        if memories.login is not None and memories.login.until is not None:
            memories.login = msgspec.structs.replace(memories.login, until=memories.login.until + ahead)
        for lesson in seen.lessons:
            memories.take(lesson, self._now(), shared=True)
        seen.memories = memories
        return memories

    # Without it

    def _lost(
        self,
        account: str,
        seen: Seen,
        step: Step[T],
        lessons: Sequence[Lesson],
        error: StoreAway | NewerFormat | BudgetError,
    ) -> T:
        if isinstance(error, NewerFormat):
            if not seen.newer:
                seen.newer = True
                _logger.warning(
                    "%s: %s; this process carries on alone for this account", self._store.place, error
                )
                self._tell(str(error))
        else:
            self._lose(account, error)
        return self._without(seen, step, lessons)

    def _lose(self, account: str, error: StoreAway | NewerFormat | BudgetError) -> None:
        """Continue alone, for all accounts.

        Raises:
            BudgetError: that was the error, and the store has never been used.
        """
        if isinstance(error, BudgetError) and not self._used:
            if self._refusal != str(error):
                self._refusal = str(error)
                _logger.error("%s", error)
            raise error
        if self.away:
            return
        self.away, self._failed = True, account
        for seen in self._accounts.values():
            seen.lost_at = self._now()  # even if it was alone before, for another reason
        _logger.warning(
            "%s cannot be used (%s): this process keeps its own pace until it can, and tries again "
            "every %g s",
            self._store.place,
            error,
            TRIES[1],
        )
        self._tell(str(error))
        self._trial = self._loop.create_task(self._try_again())

    def _tell(self, reason: str | None) -> None:
        if self._on_trouble is not None:
            self._on_trouble(reason)

    async def _try_again(self) -> None:
        while True:
            began = self._loop.time()
            try:
                async with asyncio.timeout(BOUND):
                    await self._store.ping()
                    await self._try(self._failed)
            except (StoreAway, BudgetError, TimeoutError):
                pause = TRIES[0] + (TRIES[1] - TRIES[0]) * self._chance()
                await anyio.sleep(max(0.0, began + pause - self._loop.time()))
            else:
                break
        self.away = False
        for seen in self._accounts.values():
            seen.opens_at = None
        self._tell_back()

    async def _try(self, account: str) -> None:
        """Repeat what failed: a store may work forevery account but one."""
        with contextlib.suppress(NewerFormat):
            done = self._store.transact(account, _look, ())
            if isinstance(done, Awaitable):
                await done
            found = self._store.recall(account)
            if isinstance(found, Awaitable):
                await found

    def _stay_alone(self, seen: Seen, step: Step[T], closed: Closed) -> T:
        """Stay alone until the store opens: others may not have noticed yet that it is back."""
        now = self._now()
        if seen.round is None:
            self._go_alone(seen, now)
            if self._opening is None:
                reason = "it has lost its data"
                _logger.warning(
                    "%s cannot be used for %g s (%s): this process keeps its own pace until it can",
                    self._store.place,
                    round(closed.left / SECOND, 1),
                    reason,
                )
                self._tell(reason)
                self._opening = self._loop.call_later(closed.left / SECOND, self._opened)
        seen.opens_at = now + closed.left
        return self._without(seen, step, ())

    def _opened(self) -> None:
        self._opening = None
        if not self.away:
            self._tell_back()

    def _tell_back(self) -> None:
        _logger.info("%s can be used again", self._store.place)
        self._tell(None)

    def _go_alone(self, seen: Seen, now: int) -> Limits:
        """Keep to this process's own places from now on."""
        limits = seen.limits
        if limits is None:
            limits = seen.limits = Limits.new(now)
        seen.lost_at = now
        seen.round = alone.go_alone(limits, self.name, seen.departed)
        seen.opens_at = None
        return limits

    def _stays_alone(self, seen: Seen, now: int) -> bool:
        """Say whether an account stays alone although the store is back."""
        if seen.newer:
            return True
        return seen.opens_at is not None and seen.next_place(now) < seen.opens_at

    def _without(self, seen: Seen, step: Step[T], lessons: Sequence[Lesson]) -> T:
        """Apply a step to the limits that were seen last, in this process's own places."""
        now = self.read_at = self._now()
        for lesson in lessons:
            seen.lessons.append(lesson)
            seen.memories.take(lesson, now, shared=True)
        limits = seen.limits
        if seen.round is None or limits is None:
            limits = self._go_alone(seen, now)
        assert seen.round is not None  # noqa: S101 - `_go_alone` has set it
        now += seen.ahead
        interval = alone.interval_by(step, limits.added, now, self.name)
        if interval is not None:
            seen.interval = interval
            alone.draw(seen.round, limits, now, interval, self._chance())
        alone.make_place(seen.round, limits, now, seen.interval or 0)
        limits, result, _ = step(limits, now)
        seen.limits = limits
        return result

    def _read(self) -> int:
        """Return when the store's clock was read, within a step."""
        self.read_at = self._store.read_at
        return self.read_at

    def _now(self) -> int:
        return int(self._loop.time() * SECOND)


def _look(limits: Limits, _now: int) -> tuple[Limits, None, tuple[()]]:
    """Change nothing."""
    return limits, None, ()
