"""The scheduler: all accounts of a program, and what they share.

Clients share one so that two of them with one token keep one pace. It knows a credential by a keyed
hash only (the key is drawn anew for each scheduler), so that no token can be read, or guessed, from
a dump, a log or an event.

Accounts are made when first used and forgotten when idle: at most one of them is looked at for each
call, the one that has not been used for longest, so ten thousand cost nothing while they rest.

A scheduler lives in one event loop at a time; all its waiting is done in that loop's time.
"""

import asyncio
import contextlib
import hashlib
import http.cookies
import logging
import os
import random
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import httpx

from toggl_async.errors import ClientClosed, ResponseError, WrongEventLoop
from toggl_async.options import ClientOptions
from toggl_async.scheduler import events
from toggl_async.scheduler.account import Account
from toggl_async.scheduler.memory import Memory
from toggl_async.scheduler.outcome import (
    REFUSED,
    WINDOW,
    Outcome,
    OutcomeKind,
    login_refused,
    message_of,
    refuses_credentials,
)
from toggl_async.scheduler.quota import Organizations
from toggl_async.scheduler.route import EXTENSION, RequestFacts, shown_path
from toggl_async.scheduler.stats import AccountStats, Counters, SchedulerStats, WindowStats

__all__ = ["Scheduler"]

FORGET_AFTER: Final = WINDOW
"""Seconds after which an idle account is forgotten: by then its quota windows are full again."""

_SESSION_COOKIES: Final = ("__Secure-accounts-session", "__Host-timer-session")

_logger = logging.getLogger("toggl_async.scheduler")


class Scheduler:
    """Keeps Toggl's limits for any number of accounts; shared by clients and transports.

    Args:
        options: pace, cool-down, quota policy, retries and requests in flight, for every account.
        random: where chance comes from; a seeded one makes a run repeatable.
        on_event: is told of every `Event`, synchronously.
    """

    def __init__(
        self,
        options: ClientOptions | None = None,
        *,
        random: random.Random | None = None,
        on_event: Callable[[events.SchedulerEvent], None] | None = None,
    ) -> None:
        self.options: ClientOptions = options or ClientOptions()
        self._random = random or _random()
        self._on_event = on_event or _nobody
        self._is_heard = on_event is not None
        self._hash = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()
        self._made = 0
        self._organizations = Organizations()
        self._memory = Memory()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._closed = False
        self.counters: Counters = Counters()

    def __repr__(self) -> str:
        return f"<Scheduler of {len(self._accounts)} accounts{', closed' if self._closed else ''}>"

    def stats(self) -> SchedulerStats:
        """Return a snapshot of what is going on."""
        now = self._loop.time() if self._loop is not None else 0.0
        return self.counters.snapshot(tuple(_stats(account, now) for account in self._accounts.values()))

    def forget_refusals(self) -> None:
        """Forget endpoints gone, features and credentials refused, for instance after an upgrade."""
        self._memory.forget()

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Take note of the organization of a workspace, whose quota its requests spend."""
        if self._loop is not None and self._loop.is_closed():
            self._let_go()
        self._organizations.learn(workspace_id, organization_id)

    async def aclose(self) -> None:
        """End all waiting calls with ClientClosed, and take no more; requests under way go on."""
        self._closed = True
        accounts = list(self._accounts.values())
        for account in accounts:
            account.close()
        if self._loop is asyncio.get_running_loop():
            for account in accounts:
                await account.stop()

    def account(self, request: httpx.Request) -> Account:
        """Return the account that a request is made with.

        Raises:
            ClientClosed: the scheduler was closed.
            WrongEventLoop: it is in use by another event loop.
        """
        if self._closed:
            raise ClientClosed("the scheduler was closed")
        loop = self._bind()
        now = loop.time()
        key = self._key(request)
        account = self._accounts.get(key)
        if account is None:
            self._made += 1
            account = self._accounts[key] = Account(
                self._made,
                key,
                options=self.options,
                source=self._random,
                organizations=self._organizations,
                counters=self.counters,
                tell=self._tell if self._is_heard else None,
            )
        account.used_at = now
        self._accounts.move_to_end(key)
        self._forget_idle(now)
        return account

    def close_calls(self, owner: object) -> None:
        """End the waiting calls of one transport with ClientClosed."""
        for account in self._accounts.values():
            account.close(owner)

    def recall(self, account: Account, facts: RequestFacts, request: httpx.Request) -> ResponseError | None:
        """Return the refusal that is remembered for a request, if any."""
        error = self._memory.recall(account.key, facts, request)
        if error is not None:
            self.counters.refused += 1
            if self._is_heard:
                self._tell(
                    events.Refused(
                        at=account.used_at,
                        account=account.number,
                        call=-1,
                        route=facts.route,
                        error=type(error).__name__,
                    )
                )
        return error

    def knows(self, account: Account, facts: RequestFacts, request: httpx.Request) -> bool:
        """Say whether the refusal of a request is remembered."""
        return self._memory.recall(account.key, facts, request) is not None

    def remember(
        self,
        account: Account,
        facts: RequestFacts,
        request: httpx.Request,
        response: httpx.Response,
        outcome: Outcome,
    ) -> None:
        """Remember an answer that will not change by asking again; its body has been read."""
        if (
            outcome.kind is OutcomeKind.DENIED
            and facts.account is None
            and "authorization" in request.headers
        ):
            self._remember_credentials(account, facts, request, response)
        if outcome.kind in {OutcomeKind.GONE, OutcomeKind.FEATURE}:
            headers = response.headers
            self._memory.note(
                outcome.kind,
                account.key,
                facts,
                request,
                message=message_of(response.status_code, headers, response.content),
                request_id=headers.get("x-toggl-request-id") or headers.get("x-request-id"),
            )

    def are_refused(self, request: httpx.Request) -> bool:
        """Say whether the credentials that a request is made with are known to be refused."""
        return self._memory.are_refused(self._key(request))

    def _remember_credentials(
        self, account: Account, facts: RequestFacts, request: httpx.Request, response: httpx.Response
    ) -> None:
        """Remember that credentials were refused, if they were, and end the calls that wait with them."""
        if refuses_credentials(response.status_code, response.headers, response.content, route=facts.route):
            response.extensions[REFUSED] = True
            refused = login_refused(response, method=request.method, path=shown_path(request))
            self._memory.refuse(account.key, refused)
            account.fail_each(lambda call: self._memory.recall(account.key, call.facts, call.request))

    def tell_shared(self, account: Account, facts: RequestFacts) -> None:
        """Count a call that joins an identical one, and tell of it."""
        self.counters.shared += 1
        if self._is_heard:
            self._tell(events.Shared(at=account.used_at, account=account.number, call=-1, route=facts.route))

    def _bind(self) -> asyncio.AbstractEventLoop:
        """Tie the scheduler to the running loop; accounts of a loop that is over are let go."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._process != os.getpid():
            if self._loop is not None and not self._loop.is_closed() and self._process == os.getpid():
                raise WrongEventLoop(
                    "this scheduler is in use by another event loop; give each loop a scheduler of its own"
                )
            self._loop, self._process = loop, os.getpid()
            self._let_go()
        return loop

    def _let_go(self) -> None:
        """Let go of all accounts, because their loop is over."""
        for account in self._accounts.values():
            account.gates.quota.forget()
        self._accounts.clear()

    def _key(self, request: httpx.Request) -> bytes:
        """Hash host and credential; the credential itself is kept nowhere."""
        headers = request.headers
        declared = request.extensions.get(EXTENSION)
        named = declared.account if isinstance(declared, RequestFacts) else None
        credential = named or headers.get("authorization") or _session(headers.get("cookie", ""))
        digest = self._hash.copy()
        digest.update(request.url.netloc + b"\0" + credential.encode("utf-8", "surrogateescape"))
        return digest.digest()

    def _forget_idle(self, now: float) -> None:
        key, oldest = next(iter(self._accounts.items()))
        if now - oldest.used_at >= FORGET_AFTER:
            if oldest.is_idle(now):
                del self._accounts[key]
                oldest.gates.quota.forget()
            else:
                self._accounts.move_to_end(key)

    def _tell(self, event: events.SchedulerEvent) -> None:
        """Hand an event over; what goes wrong there stays there."""
        try:
            self._on_event(event)
        except Exception:
            _logger.exception("on_event failed on %s", type(event).__name__)


def _nobody(_event: events.SchedulerEvent) -> None:
    """Listen to nothing."""


def _random() -> random.Random:
    return random.Random()


def _session(cookies: str) -> str:
    """Return the session cookie of a Cookie header, or all of it where none is known by name."""
    if any(name in cookies for name in _SESSION_COOKIES):
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):  # a server may have set odd ones
            jar.load(cookies)
        for name in _SESSION_COOKIES:
            if name in jar:
                return jar[name].value
    return cookies


def _stats(account: Account, now: float) -> AccountStats:
    """Take a snapshot of one account."""
    gates = account.gates
    reason, until = account.pause or (None, None)
    return AccountStats(
        account=account.number,
        waiting=len(gates.queue),
        in_flight=gates.in_flight,
        interval=gates.pacer.interval,
        reason=reason,
        wait=None if until is None else max(0.0, until - now),
        windows=tuple(
            WindowStats(
                lane=window.lane,
                organization_id=window.organization_id,
                workspace_id=window.workspace_id,
                remaining=window.left(now),
                total=window.total,
                resets_in=None if window.reset_at is None else window.reset_at - now,
            )
            for window in gates.quota
        ),
    )
