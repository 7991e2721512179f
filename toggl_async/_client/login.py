"""How each request is authenticated: what all logins have in common, and credentials that never change.

::

    client ─▶ login (who asks) ─▶ scheduled transport (when) ─▶ network

The other kind is a session that is renewed (`session_login`). Both come before the scheduler, so that a login
waits for its turn like any request. Neither repeats wrong credentials, because Toggl locks an account after a
few of them. The first refusal is remembered: the calls that wait for the login end with it, and so does every
later call.

No cookie reaches the client or its caller: not in an answer, a jar, a repr, a log or an error.
"""

import abc
import asyncio
import logging
import math
from typing import Final

from toggl_async._client.auth import Auth
from toggl_async.errors import ClientClosed, LoginRefused, TogglError
from toggl_async.options import Priority
from toggl_async.scheduler import EXTENSION, Lane, RequestFacts, ScheduledTransport, facts_of
from toggl_async.scheduler.adapter import REFUSED, asks_by_password, login_refused, page_in, shown_path
from toggl_async.scheduler.core.masking import masked, secrets_in
from toggl_async.scheduler.scheduler import drivers_of
from toggl_async.scheduler.transport import httpx

__all__ = ["REFUSAL", "FixedLogin", "Login"]

REFUSAL: Final = "toggl_async.login_refused"
"""The key of `httpx.Response.extensions` under which an answer carries its `LoginRefused`."""

_LOGGED: Final = "/api/v9/me/logged"

_TRUSTED_FOR: Final = 3600.0
"""Seconds for which credentials that were found valid are taken to be so."""

_log = logging.getLogger("toggl_async.login")


class Login(httpx.AsyncBaseTransport, abc.ABC):
    """A transport that adds credentials to requests, and leaves the rest to the scheduled one.

    Args:
        scheduled: what sends the requests; closed with this one.
    """

    credentials: tuple[str, ...] = ("Cookie",)
    """The names of the headers that hold the credentials."""

    def __init__(self, scheduled: ScheduledTransport) -> None:
        self._scheduled = scheduled
        self._refused: LoginRefused | None = None
        self._closing = False

    @property
    def is_closing(self) -> bool:
        """Whether the client is closing, and accepts no new call."""
        return self._closing

    def mask(self, body: bytes) -> bytes:
        """Blank the credentials in what a server said."""
        return masked(body, self._secrets())

    def refuse_to_close_elsewhere(self) -> None:
        """Refuse to be closed while another event loop may be using it.

        Raises:
            WrongEventLoop: it is neither the running one nor closed.
        """
        self._scheduled.refuse_to_close_elsewhere()

    @abc.abstractmethod
    def _secrets(self) -> frozenset[str]:
        """Return what no error, event or log may show."""

    def forget_refusal(self) -> None:
        """Try credentials again that were refused, for instance because the lock is over."""
        self._refused = None

    async def end_session(self, *, max_wait: float | None) -> None:
        """End the session, if there is one.

        Args:
            max_wait: seconds that this may wait for its turn; None for no limit.
        """

    async def say_goodbye(self) -> None:
        """Accept no new call, and end the session if there is one and that takes only a moment."""
        self._closing = True

    async def aclose(self) -> None:
        """Close the transport."""
        await self._scheduled.aclose()

    async def _pass_on(self, request: httpx.Request) -> httpx.Response:
        """Send a request, unless the credentials have been refused by then."""
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
        """Raise the remembered refusal, if there is one, or ClientClosed while closing."""
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
            response,
            method=request.method,
            path=shown_path(request),
            by_password=True,
            mask=self.mask,
            message=message,
        )
        self._scheduled.close_calls()
        return self._refused


class FixedLogin(Login):
    """Credentials that go with every request.

    The scheduler knows, for all clients that use them, when they have been refused: by a 401, by a 403 on
    the user's own path, or in so many words. Any other 403 can mean that a right is missing, or come from
    something between here and Toggl. Then ``/me/logged`` is asked, which answers any valid credentials; its
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
                mask=self.mask,
            )
        return response

    def _secrets(self) -> frozenset[str]:
        return secrets_in({name.lower(): value for name, value in self._headers.items()})

    def forget_refusal(self) -> None:
        """Forget also that the credentials are known to be valid."""
        super().forget_refusal()
        self._trusted_until = -math.inf

    async def _ask(self, request: httpx.Request, facts: RequestFacts) -> None:
        """Ask whether the credentials are valid, unless that is known; callers share one request."""
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
        """Ask ``/me/logged``; the scheduler judges the answer."""
        headers = {name: request.headers[name] for name in ("accept", "user-agent", *self._headers)}
        asked = RequestFacts(
            route=f"GET {_LOGGED}",
            lane=Lane.USER,
            reads=True,
            priority=Priority.INTERACTIVE,  # its answer saves each waiting call a failed login
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
