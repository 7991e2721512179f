"""A session at Toggl's accounts host: made by the first call that needs it, and renewed when it expires.

A session expires one day (after about a month, though Toggl promises nothing). Toggl says so with a 401, or
with the 403 that also means "no permission"; so a 403 counts only if the session is old enough to have
expired. It is renewed once: if the new session is refused as well, there is another reason.
"""

import asyncio
import base64
import json
import logging
import math
import time
from collections.abc import Mapping
from typing import Final

import anyio
import attrs
import msgspec

from toggl_async._client.auth import SessionCookie
from toggl_async._client.login import Login
from toggl_async.errors import (
    MaxWaitExceeded,
    RateLimited,
    RequestFailed,
    ResponseError,
    ServerError,
    TogglError,
)
from toggl_async.scheduler import (
    EXTENSION,
    Attempted,
    Lane,
    OutcomeKind,
    RequestFacts,
    ScheduledTransport,
    classify,
    error_of,
    facts_of,
)
from toggl_async.scheduler.adapter import page_in, words_of_another
from toggl_async.scheduler.core.masking import masked_text
from toggl_async.scheduler.exchange.bodies import SECRETS
from toggl_async.scheduler.transport import httpx, running_loop

__all__ = ["SessionLogin"]

_COOKIE: Final = "__Secure-accounts-session"
_PATH: Final = "/api/sessions"

_DOUBTFUL_AFTER: Final = 24 * 3600.0
"""Seconds after which a session that does not say when it expires may have done so."""

_GOODBYE: Final = 5.0
"""Seconds that ending the session may take when the client is closed."""

_REFUSALS: Final = frozenset({OutcomeKind.DENIED, OutcomeKind.LOGIN})

_log = logging.getLogger("toggl_async.login")


@attrs.define(eq=False, repr=False)
class _Held:
    """A session.

    Attributes:
        cookie: the credential; secret.
        doubtful_at: the loop's time from which on a 403 may mean that it has expired.
        is_renewal: whether it took the place of one that was refused.
        worked: whether it was ever accepted.
    """

    cookie: str
    doubtful_at: float
    is_renewal: bool
    worked: bool = False

    def is_over(self, response: httpx.Response) -> bool:
        """Whether an answer means that it has expired."""
        status = response.status_code
        if status not in {401, 403} or page_in(response):
            return False
        is_old = asyncio.get_running_loop().time() >= self.doubtful_at
        return is_old or (status == httpx.codes.UNAUTHORIZED and (self.worked or not self.is_renewal))


class SessionLogin(Login):
    """A session at the accounts host, made by the first call that needs it.

    Args:
        scheduled: what sends the requests, those of the login included.
        auth: who logs in.
        accounts_url: the accounts host.
        user_agent: what the client calls itself.
        timeout: seconds for each of connecting, sending and the next byte of an answer.
    """

    def __init__(
        self,
        scheduled: ScheduledTransport,
        auth: SessionCookie,
        *,
        accounts_url: httpx.URL,
        user_agent: str,
        timeout: float | None,
    ) -> None:
        super().__init__(scheduled)
        self._auth = auth
        self._url = f"{accounts_url}".rstrip("/") + _PATH
        self._headers = {"Accept": "application/json", "User-Agent": user_agent}
        self._timeout = httpx.Timeout(timeout).as_dict()
        self._account = f"session of {auth.email.lower()}"
        self._held: _Held | None = None
        self._logging_in: asyncio.Task[_Held] | None = None
        self._under_way: set[httpx.Request] = set()

    def _secrets(self) -> frozenset[str]:
        held = self._held
        return frozenset({self._auth.password, *(() if held is None else (held.cookie,))})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with the session's cookie; log in before, and once again if it has expired.

        Raises:
            LoginRefused: Toggl refused to log in, now or before.
        """
        running_loop()
        facts = attrs.evolve(facts_of(request), account=self._account)
        request.extensions = {**request.extensions, EXTENSION: facts}
        held = self._held or await self._log_in(request, facts)
        self._under_way.add(request)
        try:
            request.headers["Cookie"] = f"{_COOKIE}={held.cookie}"
            response = await self._pass_on(request)
            if held.is_over(response):
                if self._held is held:
                    self._held = None
                held = self._held or await self._log_in(request, facts, is_renewal=True)
                request.headers["Cookie"] = f"{_COOKIE}={held.cookie}"
                response = await self._pass_on(request)
        finally:
            self._under_way.discard(request)
        now = self._held
        if now is not None and response.status_code not in {401, 403}:
            now.worked = now.worked or now.cookie in request.headers["Cookie"]
        return response

    async def end_session(self, *, max_wait: float | None) -> None:
        """End the session at the accounts host; the next call makes a new one.

        Args:
            max_wait: seconds that this may wait for its turn; None for no limit.

        Raises:
            TogglError: the accounts host could not be told; the session is forgotten here nevertheless.
        """
        held, self._held = self._held, None
        if held is None:
            return
        request = self._request("DELETE", attrs.evolve(self._facts("DELETE"), max_wait=max_wait))
        request.headers["Cookie"] = f"{_COOKIE}={held.cookie}"
        response = await self._send(request)
        if response.is_error and response.status_code not in {401, 403, 404}:
            raise error_of(response, method=request.method, path=_PATH, mask=self.mask)

    async def say_goodbye(self) -> None:
        """End the session if that takes only a moment; waiting calls end with ClientClosed."""
        self._closing = True
        self._scheduled.close_calls()
        with anyio.move_on_after(_GOODBYE, shield=True):
            try:
                if self._logging_in is not None and self._logging_in.get_loop() is asyncio.get_running_loop():
                    await asyncio.wait([self._logging_in])
                await self.end_session(max_wait=_GOODBYE)
            except TogglError as error:
                _log.info("could not end the session: %s", type(error).__name__)

    async def _log_in(
        self, request: httpx.Request, facts: RequestFacts, *, is_renewal: bool = False
    ) -> _Held:
        """Log in, or wait for the login under way; it goes on even if nobody waits any more."""
        is_second = False
        while True:
            task = self._logging_in
            joins = task is not None
            if task is None or task.get_loop() is not asyncio.get_running_loop():
                self._recall(request)
                task = asyncio.get_running_loop().create_task(self._make(facts, is_renewal))
                task.add_done_callback(self._logged_in)
                self._logging_in = task
            try:
                return await asyncio.shield(task)
            except (MaxWaitExceeded, RateLimited):
                # The time of whoever began it may have run out, and this call may have some left.
                if not joins:
                    raise
            except (RequestFailed, ServerError):
                # It may do better for this call. Not more than once: a server that is down fails them all.
                if not joins or is_second:
                    raise
                is_second = True

    def _logged_in(self, task: "asyncio.Task[_Held]") -> None:
        self._logging_in = None
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would complain if nobody waits for it any more

    async def _make(self, facts: RequestFacts, is_renewal: bool) -> _Held:
        """Make a session."""
        login = attrs.evolve(self._facts("POST"), priority=facts.priority, max_wait=facts.max_wait)
        request = self._request("POST", login, {"email": self._auth.email, "password": self._auth.password})
        began = asyncio.get_running_loop().time()
        try:
            response = await self._scheduled.handle_async_request(request)
        except RequestFailed as error:
            # Whether or not the login was carried out, the call that needed it was never sent.
            raise type(error)(
                "the login failed", method=request.method, path=_PATH, maybe_applied=False
            ) from error
        cookie = _cookie(response.headers)
        if response.is_success and cookie:
            lifetime = _lifetime(cookie)
            doubtful_at = began + min(_DOUBTFUL_AFTER, _DOUBTFUL_AFTER if lifetime is None else lifetime)
            held = _Held(cookie, doubtful_at, is_renewal)
            self._held = held
            for waiting in self._under_way:
                # Requests that are queued with the old cookie would only be refused.
                waiting.headers["Cookie"] = f"{_COOKIE}={cookie}"
            return held
        if theirs := words_of_another(response, self._url):
            raise ResponseError(
                "the login was answered, but not by Toggl: " + masked_text(theirs, self.mask),
                status=response.status_code,
                method=request.method,
                path=_PATH,
            )
        if not response.is_error:
            raise self._refuse(request, response, "the accounts host sent no session cookie")
        if classify(response.status_code, response.headers, response.content).kind in _REFUSALS:
            raise self._refuse(request, response)
        attempted: Attempted = response.extensions[EXTENSION]
        response.extensions[EXTENSION] = msgspec.structs.replace(attempted, maybe_applied=False)
        response.headers.pop("set-cookie", None)
        raise error_of(response, method=request.method, path=_PATH, mask=self.mask)

    def _request(
        self, method: str, facts: RequestFacts, body: Mapping[str, str] | None = None
    ) -> httpx.Request:
        return httpx.Request(
            method,
            self._url,
            headers=self._headers,
            json=body,
            extensions={
                EXTENSION: facts,
                SECRETS: frozenset({self._auth.password}),
                "timeout": self._timeout,
            },
        )

    def _facts(self, method: str) -> RequestFacts:
        return RequestFacts(route=f"{method} {_PATH}", lane=Lane.USER, reads=False, account=self._account)


def _cookie(headers: httpx.Headers) -> str | None:
    """Return the session's cookie, if an answer sets it."""
    for line in headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        if name.strip() == _COOKIE and value.strip():
            return value.strip()
    return None


def _lifetime(cookie: str) -> float | None:
    """Return for how many seconds a session says that it is valid; None if it does not say.

    It is a JSON Web Token. Its signature isn't checked, because nothing is trusted here on its word. Its two
    times are compared with each other, so that a wrong clock does no harm.
    """
    try:
        part = cookie.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        lifetime = float(claims["exp"]) - float(claims.get("iat", time.time()))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return lifetime if math.isfinite(lifetime) else None
