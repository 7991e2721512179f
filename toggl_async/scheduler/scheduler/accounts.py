"""The accounts of a scheduler: found by credential, made when first used, forgotten when idle.

A credential is identified only by a keyed hash (each process has a new key), so that no token can be read
or guessed from a dump, a log or an event. A shared budget needs a name that other processes derive as well: a
hash without a key, which is so slow for passwords that they can't be guessed from it.

At most one account is checked for each call, the one that has been idle for longest, so ten thousand idle
accounts cost nothing.
"""

import asyncio
import hashlib
import os
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from toggl_async.errors import ClientClosed, WrongEventLoop
from toggl_async.options import ClientOptions
from toggl_async.scheduler import events
from toggl_async.scheduler.adapter import credential_of, refuse_key
from toggl_async.scheduler.budgets import Budget, Holder
from toggl_async.scheduler.budgets.memory import MemoryBudget
from toggl_async.scheduler.core.credentials import public_name
from toggl_async.scheduler.core.memory import Belongs, Forgotten
from toggl_async.scheduler.driver import Driver
from toggl_async.scheduler.events import OnEvent
from toggl_async.scheduler.reporter import Reporter, tell
from toggl_async.scheduler.stats import Counters
from toggl_async.scheduler.transport import Around, httpx, running_loop
from toggl_async.scheduler.transport.loops import EndOfLoop, refuse_to_close_elsewhere

__all__ = ["Drivers"]

FORGET_AFTER: Final = 3600.0
"""Seconds after which an idle account is forgotten: by then its quota windows are full again."""

_HASH: Final = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
"""What makes names of accounts, the same for all schedulers of a process: they may share a `MemoryBudget`."""


class Drivers:
    """All accounts of a scheduler, and the event loop that they live in.

    Args:
        options: for every account.
        budget: where their limits are kept.
        chance: the source of randomness; by default, a new one in each process.
        counters: where everything is counted.
        listeners: the functions that are called with events; they come and go.
    """

    def __init__(
        self,
        options: ClientOptions,
        budget: Budget,
        *,
        chance: random.Random | None,
        counters: Counters,
        listeners: Sequence[OnEvent],
    ) -> None:
        self.options: ClientOptions = options
        self.closed: bool = False
        self.around: Around | None = None
        """What goes around each call, if anything, such as a span."""
        self.organizations: dict[int, int] = {}
        """The organization of each workspace that was seen."""
        self._budget = budget
        self._given_chance = chance
        self._counters = counters
        self._listeners = listeners
        self._drivers: OrderedDict[bytes, Driver] = OrderedDict()
        self._by_name: dict[str, Driver] = {}
        self._made = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: Holder | None = None
        self._end_of_loop: EndOfLoop | None = None
        self._forgets = False
        self._process = os.getpid()
        self._chance = random.Random()

    def __len__(self) -> int:
        return len(self._drivers)

    @property
    def drivers(self) -> list[Driver]:
        """The drivers of all accounts."""
        return list(self._drivers.values())

    @property
    def alone(self) -> bool:
        """Whether the budget's store cannot be used now."""
        return self._holder is not None and self._holder.away

    def of(self, request: httpx.Request) -> Driver:
        """Return the driver of the account that a request is made with.

        Raises:
            ClientClosed: the scheduler was closed.
            WrongEventLoop: it is in use by another event loop.
        """
        if self.closed:
            raise ClientClosed("the scheduler was closed")
        loop = running_loop()
        if self._loop is not loop or self._process != os.getpid():
            self._bind(loop)
        now = loop.time()
        credential = credential_of(request)
        key = self._key(request, credential)
        driver = self._drivers.get(key)
        if driver is None:
            driver = self._drivers[key] = self._make(request, credential, key)
        driver.used_at = now
        if len(self._drivers) > 1:
            self._drivers.move_to_end(key)
            self._forget_idle(now)
        return driver

    def are_refused(self, request: httpx.Request) -> bool:
        """Say whether the credentials that a request is made with are known to be refused."""
        driver = self._drivers.get(self._key(request, credential_of(request)))
        return driver is not None and driver.memories.refuses_login(driver.now())

    def close_calls(self, owner: object) -> None:
        """End the waiting calls of one transport with ClientClosed."""
        for driver in self.drivers:
            driver.close(owner)

    def forget_refusals(self) -> None:
        """Forget the refusals of all accounts, and of those to come, which a shared budget may know."""
        self._forgets = True
        for driver in self.drivers:
            driver.learn(Forgotten())

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Note the organization of a workspace, whose quota its requests spend."""
        if self._loop is None or self._loop.is_closed():
            self._let_go()
        if self.organizations.get(workspace_id) != organization_id:
            self.organizations[workspace_id] = organization_id
            for driver in self._drivers.values():
                driver.place(
                    workspace_id, f"organization:{organization_id}", Belongs(workspace_id, organization_id)
                )

    def refuse_to_close_elsewhere(self) -> None:
        """Refuse to be closed while another event loop may be using the accounts.

        Raises:
            WrongEventLoop: it is neither the running one nor closed.
        """
        refuse_to_close_elsewhere("the scheduler", self._loop, self._process)

    async def aclose(self) -> None:
        """End all waiting calls with ClientClosed, and let go of the budget.

        Raises:
            WrongEventLoop: another event loop, which is still open, uses the accounts.
        """
        self.refuse_to_close_elsewhere()
        self.closed = True
        if self._end_of_loop is not None:
            self._end_of_loop.forget()
        await self._let_budget_go()

    async def _let_budget_go(self) -> None:
        """End all waiting calls with ClientClosed, and let go of the budget, which belongs to one loop."""
        drivers = self.drivers
        for driver in drivers:
            driver.close()
        if self._holder is not None and self._loop is running_loop():
            for driver in drivers:
                await driver.stop()
            await self._holder.aclose()

    async def _end_with_loop(self) -> None:
        """Let go of the budget because the loop ends; the next call opens it again."""
        await self._let_budget_go()
        self._loop = None

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tie the accounts to the running loop; those of a loop that is over are let go."""
        is_fork = self._process != os.getpid()
        if self._loop is not None and not self._loop.is_closed() and not is_fork and self._loop is not loop:
            raise WrongEventLoop(
                "this scheduler is in use by another event loop; give each loop a scheduler of its own"
            )
        self._let_go()
        self._holder = self._budget.open(self._woken, on_trouble=self._tell_trouble)
        self._loop, self._process = loop, os.getpid()
        if self._end_of_loop is not None:
            self._end_of_loop.forget()
        self._end_of_loop = EndOfLoop(self._end_with_loop)
        # With a shared random state, as after a fork, processes would come back from a rest together.
        self._chance = self._given_chance or random.Random()

    def _let_go(self) -> None:
        """Let go of all accounts, because their loop is over."""
        self._drivers.clear()
        self._by_name.clear()

    def _make(self, request: httpx.Request, credential: str, key: bytes) -> Driver:
        """Make a driver.

        Raises:
            InvalidInput: the credential is a key of another product.
        """
        refuse_key(request)
        assert self._holder is not None  # noqa: S101 - `_bind` has opened it
        self._made += 1
        name = key.hex()
        if not isinstance(self._budget, MemoryBudget):
            name = public_name(request.url.netloc, credential)
        driver = Driver(
            name,
            self._made,
            options=self.options,
            holder=self._holder,
            chance=self._chance,
            report=Reporter(self._made, self._counters, self._listeners),
            wall=time.time,
            learned=self.learn_organization,
        )
        self._by_name[name] = driver
        if self._forgets:
            driver.learn(Forgotten())
        return driver

    def _woken(self, name: str) -> None:
        driver = self._by_name.get(name)
        if driver is not None:
            driver.wake()

    def _tell_trouble(self, reason: str | None) -> None:
        """Tell listeners that the budget was lost, or that it is back; the log has been told."""
        if self._listeners:
            at = running_loop().time()
            tell(
                self._listeners,
                events.BudgetBack(at=at, account=0)
                if reason is None
                else events.BudgetLost(at=at, account=0, reason=reason),
            )

    def _key(self, request: httpx.Request, credential: str) -> bytes:
        """Hash host and credential; the credential itself is kept nowhere."""
        digest = _HASH.copy()
        digest.update(request.url.netloc + b"\0" + credential.encode("utf-8", "surrogateescape"))
        return digest.digest()

    def _forget_idle(self, now: float) -> None:
        key, oldest = next(iter(self._drivers.items()))
        if now - oldest.used_at >= FORGET_AFTER:
            if oldest.is_idle():
                del self._drivers[key]
                self._by_name.pop(oldest.key, None)
            else:
                self._drivers.move_to_end(key)
