"""How each request is authenticated: with fixed credentials, or with a session that is renewed.

::

    client ─▶ login (who asks) ─▶ scheduled transport (when) ─▶ network

Both kinds come before the scheduler, so that a login waits for its turn like any request. Neither repeats
wrong credentials, because Toggl locks an account after a few of them. The first refusal is remembered: the
calls that wait for the login end with it, and so does every later call.

A session expires one day (after about a month, though Toggl promises nothing). Toggl says so with a 401, or
with the 403 that also means "no permission"; so a 403 counts only if the session is old enough to have
expired. It is renewed once: if the new session is refused as well, there is another reason.

No cookie reaches the client or its caller: not in an answer, a jar, a repr, a log or an error.
"""

import abc
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

from toggl_async._client.auth import Auth, SessionCookie
from toggl_async.errors import (
    ClientClosed,
    LoginRefused,
    MaxWaitExceeded,
    RateLimited,
    RequestFailed,
    ResponseError,
    ServerError,
    TogglError,
)
from toggl_async.options import Priority
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
from toggl_async.scheduler.adapter import (
    REFUSED,
    asks_by_password,
    login_refused,
    page_in,
    shown_path,
    words_of_another,
)
from toggl_async.scheduler.core.masking import masked, secrets_in
from toggl_async.scheduler.exchange import SECRETS
from toggl_async.scheduler.scheduler import drivers_of
from toggl_async.scheduler.transport import httpx, running_loop

__all__ = ["REFUSAL", "FixedLogin", "Login", "SessionLogin"]

REFUSAL: Final = "toggl_async.login_refused"
"""The key of `httpx.Response.extensions` under which an answer carries its `LoginRefused`."""

_COOKIE: Final = "__Secure-accounts-session"
_PATH: Final = "/api/sessions"

_DOUBTFUL_AFTER: Final = 24 * 3600.0
"""Seconds after which a session that does not say when it expires may have done so."""

_GOODBYE: Final = 5.0
"""Seconds that ending the session may take when the client is closed."""

_LOGGED: Final = "/api/v9/me/logged"

_TRUSTED_FOR: Final = 3600.0
"""Seconds for which credentials that were found good are taken to be."""

_REFUSALS: Final = frozenset({OutcomeKind.DENIED, OutcomeKind.LOGIN})

_log = logging.getLogger("toggl_async.login")


class Login(httpx.AsyncBaseTransport, abc.ABC):
    """A transport that says who asks, and leaves the rest to the scheduled one.

    Args:
        scheduled: what sends the requests; closed with this one.
    """

    credentials: tuple[str, ...] = ("Cookie",)
    """The names of the headers that say who asks."""

    def __init__(self, scheduled: ScheduledTransport) -> None:
        self._scheduled = scheduled
        self._refused: LoginRefused | None = None
        self._closing = False

    @property
    def is_closing(self) -> bool:
        """Whether nothing may start any more."""
        return self._closing

    def mask(self, body: bytes) -> bytes:
        """Blank the credentials in what a server said."""
        return masked(body, self._secrets())

    @abc.abstractmethod
    def _secrets(self) -> frozenset[str]:
        """What proves who asks."""

    def forget_refusal(self) -> None:
        """Try credentials again that were refused, for instance because the lock is over."""
        self._refused = None

    async def end_session(self) -> None:
        """End the session, if there is one."""

    async def say_goodbye(self) -> None:
        """Let nothing start any more, and end the session if there is one and it can be done quickly."""
        self._closing = True

    async def aclose(self) -> None:
        """Close the transport."""
        await self._scheduled.aclose()

    async def _pass_on(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless it is known by then that the credentials are wrong."""
        self._recall(request)
        try:
            response = await self._send(request)
        except ClientClosed:
            self._recall(request)
            raise
        if "set-cookie" in response.headers:  # asked first: `Headers.pop` raises and catches for each answer
            del response.headers["set-cookie"]
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; one that fails is left without credentials.

        An error leads to its request, through causes and frames, and there are tools that print all
        they can reach. A call that was cancelled keeps them: others may wait for its answer.
        """
        try:
            return await self._scheduled.handle_async_request(request)
        except Exception:
            for name in self.credentials:
                request.headers.pop(name, None)
            raise

    def _recall(self, request: httpx.Request) -> None:
        """Raise the refusal that is remembered, if any; and let nothing start while closing."""
        if self._closing:
            raise ClientClosed("the client was closed")
        first = self._refused
        if first is not None:
            raise LoginRefused(
                first.message,
                by_password=first.by_password,
                status=first.status,
                method=request.method,
                path=shown_path(request),
                request_id=first.request_id,
                headers=first.headers,
                from_memory=True,
            )

    def _refuse(self, request: httpx.Request, response: httpx.Response, message: str = "") -> LoginRefused:
        """Remember a refusal, and end the calls that wait with it."""
        self._refused = login_refused(
            response, method=request.method, path=shown_path(request), by_password=True, message=message
        )
        self._scheduled.close_calls()
        return self._refused


class FixedLogin(Login):
    """Credentials that go with every request.

    That they were refused is known to the scheduler, for all clients that use them: after a 401, a 403 on
    the user's own path, or words that say so. Any other 403 can mean that a right is missing, or come from
    something between here and Toggl. Then ``/me/logged`` is asked, which answers whoever is known; its
    answer holds for an hour.

    Args:
        scheduled: what sends the requests.
        auth: the credentials.
        base_url: the server.
    """

    def __init__(self, scheduled: ScheduledTransport, auth: Auth, *, base_url: httpx.URL) -> None:
        super().__init__(scheduled)
        self._headers = dict(auth.headers())
        self.credentials: tuple[str, ...] = tuple(self._headers)
        self._logged_url = f"{base_url}".rstrip("/") + _LOGGED
        self._trusted_until = -math.inf
        self._asking: asyncio.Task[None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with the credentials.

        Raises:
            LoginRefused: they were refused before.
        """
        for name, value in self._headers.items():
            request.headers[name] = value  # `Headers.update` makes another `Headers` first
        response = await self._pass_on(request)
        if (
            response.status_code == httpx.codes.FORBIDDEN
            and REFUSED not in response.extensions
            and not page_in(response)
        ):
            facts = facts_of(request)
            await self._ask(request, facts)
            if drivers_of(self._scheduled.scheduler).are_refused(request):
                response.extensions[REFUSED] = True
        if REFUSED in response.extensions:
            response.extensions[REFUSAL] = login_refused(
                response,
                method=request.method,
                path=shown_path(request),
                by_password=asks_by_password(request),
            )
        return response

    def _secrets(self) -> frozenset[str]:
        return secrets_in({name.lower(): value for name, value in self._headers.items()})

    def forget_refusal(self) -> None:
        """Forget whether the credentials are known to be good, too."""
        super().forget_refusal()
        self._trusted_until = -math.inf

    async def _ask(self, request: httpx.Request, facts: RequestFacts) -> None:
        """Ask whether the credentials are good, unless that is known; once for all that want to know."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._trusted_until:
            return
        if self._asking is None or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(self._ask_logged(request, facts))
            self._asking.add_done_callback(self._asked)
        await asyncio.wait([self._asking])

    def _asked(self, _task: "asyncio.Task[None]") -> None:
        self._asking = None

    async def _ask_logged(self, request: httpx.Request, facts: RequestFacts) -> None:
        """Ask ``/me/logged``; what the answer means is the scheduler's business."""
        headers = {name: request.headers[name] for name in ("accept", "user-agent", *self._headers)}
        asked = RequestFacts(
            route=f"GET {_LOGGED}",
            lane=Lane.USER,
            reads=True,
            priority=Priority.INTERACTIVE,  # what it tells spares those who wait a wrong login each
            max_wait=facts.max_wait,
        )
        extensions = {name: value for name, value in request.extensions.items() if name == "timeout"}
        logged = httpx.Request(
            "GET", self._logged_url, headers=headers, extensions={**extensions, EXTENSION: asked}
        )
        try:
            response = await self._send(logged)
        except TogglError as error:
            _log.info("could not check whether the credentials are valid: %s", type(error).__name__)
            return
        is_toggls = response.status_code < httpx.codes.INTERNAL_SERVER_ERROR and not page_in(response)
        if is_toggls and REFUSED not in response.extensions:
            self._trusted_until = asyncio.get_running_loop().time() + _TRUSTED_FOR


@attrs.define(eq=False, repr=False)
class _Held:
    """A session.

    Attributes:
        cookie: what proves who asks; secret.
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

    async def end_session(self) -> None:
        """End the session at the accounts host; the next call makes a new one.

        Raises:
            TogglError: the accounts host could not be told; the session is forgotten here nevertheless.
        """
        held, self._held = self._held, None
        if held is None:
            return
        request = self._request("DELETE", self._facts("DELETE"))
        request.headers["Cookie"] = f"{_COOKIE}={held.cookie}"
        response = await self._send(request)
        if response.is_error and response.status_code not in {401, 403, 404}:
            raise error_of(response, method=request.method, path=_PATH)

    async def say_goodbye(self) -> None:
        """End the session if that takes a moment only; calls that wait end with ClientClosed."""
        self._closing = True
        self._scheduled.close_calls()
        with anyio.move_on_after(_GOODBYE, shield=True):
            try:
                if self._logging_in is not None:
                    await asyncio.wait([self._logging_in])
                await self.end_session()
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
                # Perhaps it was the other's time that ran out, and this call still has some.
                if not joins:
                    raise
            except (RequestFailed, ServerError):
                # It was the other's bad luck. Once is enough: a server that is down fails all of them.
                if not joins or is_second:
                    raise
                is_second = True

    def _logged_in(self, task: "asyncio.Task[_Held]") -> None:
        self._logging_in = None
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain when nobody waits any more

    async def _make(self, facts: RequestFacts, is_renewal: bool) -> _Held:
        """Make a session."""
        login = attrs.evolve(self._facts("POST"), priority=facts.priority, max_wait=facts.max_wait)
        request = self._request("POST", login, {"email": self._auth.email, "password": self._auth.password})
        began = asyncio.get_running_loop().time()
        try:
            response = await self._scheduled.handle_async_request(request)
        except RequestFailed as error:
            # Whatever became of the login, the call behind it was never sent.
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
                # What waits in the queue with the old cookie would only be refused.
                waiting.headers["Cookie"] = f"{_COOKIE}={cookie}"
            return held
        if theirs := words_of_another(response, self._url):
            raise ResponseError(
                "the login was not answered by Toggl: " + self.mask(theirs.encode()).decode(),
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
        raise error_of(response, method=request.method, path=_PATH)

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
    """Find the session's cookie among those that an answer sets."""
    for line in headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        if name.strip() == _COOKIE and value.strip():
            return value.strip()
    return None


def _lifetime(cookie: str) -> float | None:
    """Return for how many seconds a session says that it is valid; None when it does not say.

    It is a JSON Web Token, read here without a look at its signature: it is not us whom it has to
    convince. Its two times are compared with each other, so that a wrong clock does no harm.
    """
    try:
        part = cookie.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        lifetime = float(claims["exp"]) - float(claims.get("iat", time.time()))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return lifetime if math.isfinite(lifetime) else None
