"""`TogglClient`: lifecycle, scopes, options of a call, and the escape hatch."""

import copy
import ipaddress
import os
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Final, Self, TypeVar, overload

import attrs
import httpx
from msgspec import UNSET, UnsetType

from toggl_async import scopes
from toggl_async.answer import Answer
from toggl_async.auth import Auth, SessionCookie, auth_from_env
from toggl_async.codec import Codec
from toggl_async.errors import InvalidInput
from toggl_async.login import FixedLogin, Login, SessionLogin
from toggl_async.operation import Operation, PathValue, Value
from toggl_async.options import ClientOptions, Priority
from toggl_async.plans import KnownPlans
from toggl_async.record import Json
from toggl_async.session import Session
from toggl_async.transport import ScheduledTransport, Scheduler

__all__ = ["ACCOUNTS_URL", "BASE_URL", "TogglClient"]

ACCOUNTS_URL: Final = "https://accounts.toggl.com"
"""Where Toggl keeps its sessions."""

BASE_URL: Final = "https://api.track.toggl.com"
"""Where Toggl serves all four APIs."""

T = TypeVar("T")

_NOTHING: Final[Mapping[str, Value]] = {}

_ACCEPT: Final = "application/json, */*;q=0.5"
"""JSON where there is a choice; files, and refusals in other forms, come as what they are."""

_KEPT_CONNECTIONS: Final = 4
"""Idle connections cost CPU on every request, and a pace of one a second needs few."""


class TogglClient:
    """A client of Toggl's Track, Reports, Insights and Webhooks APIs.

    Use it as an asynchronous context manager, or call `aclose()`. Any number of tasks of one event
    loop may share it.

    Args:
        auth: the credentials, such as ``ApiToken("…")``.
        base_url: another server that speaks Toggl's API; https, unless on this machine.
        accounts_url: where a `SessionCookie` logs in; likewise.
        transport: what sends the requests, in place of httpx's own; the scheduler wraps it.
        options: everything that can be set.
        scheduler: a scheduler shared with other clients, which stays open when this one closes.

    Raises:
        InvalidInput: one of the URLs is not https, or no URL.
    """

    def __init__(
        self,
        auth: Auth | SessionCookie,
        *,
        base_url: str = BASE_URL,
        accounts_url: str = ACCOUNTS_URL,
        transport: httpx.AsyncBaseTransport | None = None,
        options: ClientOptions | None = None,
        scheduler: Scheduler | None = None,
    ) -> None:
        self._options = options or ClientOptions()
        self._base_url = _checked(base_url, "base")
        self._owns_scheduler = scheduler is None
        scheduler = scheduler or Scheduler(self._options)
        limits = httpx.Limits(
            max_connections=self._options.max_in_flight, max_keepalive_connections=_KEPT_CONNECTIONS
        )
        scheduled = ScheduledTransport(
            transport or httpx.AsyncHTTPTransport(limits=limits), scheduler=scheduler
        )
        self._login = self._login_with(auth, scheduled, accounts_url)
        http = httpx.AsyncClient(
            base_url=self._base_url,
            headers={"Accept": _ACCEPT, "User-Agent": self._options.user_agent},
            transport=self._login,
        )
        self._session = Session(
            http=http,
            scheduler=scheduler,
            codec=Codec(keep_unknown=self._options.keep_unknown),
            plans=KnownPlans(check=self._options.plan_check),
            priority=Priority.NORMAL,
            max_wait=self._options.max_wait,
            timeout=self._options.timeout,
            coalesce=self._options.coalesce,
        )

    def _login_with(
        self, auth: Auth | SessionCookie, scheduled: ScheduledTransport, accounts_url: str
    ) -> Login:
        """Choose what says who asks."""
        accounts = _checked(accounts_url, "accounts")
        if not isinstance(auth, SessionCookie):
            return FixedLogin(scheduled, auth)
        return SessionLogin(
            scheduled,
            auth,
            accounts_url=accounts,
            user_agent=self._options.user_agent,
            timeout=self._options.timeout,
        )

    @classmethod
    def from_env(
        cls,
        *,
        environ: Mapping[str, str] = os.environ,
        transport: httpx.AsyncBaseTransport | None = None,
        options: ClientOptions | None = None,
        scheduler: Scheduler | None = None,
    ) -> Self:
        """Build a client from the environment.

        Reads ``TOGGL_API_TOKEN`` (or ``TOGGL_EMAIL`` and ``TOGGL_PASSWORD``) and, where it is set,
        ``TOGGL_BASE_URL``.

        Raises:
            MissingCredentials: no credentials are set, or empty ones.
            InvalidInput: what is set cannot be credentials or a base URL.
        """
        return cls(
            auth_from_env(environ),
            base_url=environ.get("TOGGL_BASE_URL", BASE_URL),
            transport=transport,
            options=options,
            scheduler=scheduler,
        )

    def __repr__(self) -> str:
        return f"TogglClient(base_url={str(self._base_url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the session, if there is one, and close the connections.

        Calls that still wait end with `ClientClosed`. A scheduler that was passed in stays open for
        its other clients.
        """
        try:
            await self._login.say_goodbye()
        finally:
            if self._owns_scheduler:
                await self.scheduler.aclose()
            await self._session.http.aclose()

    async def end_session(self) -> None:
        """End the session of a `SessionCookie`; the next call logs in anew.

        With other credentials there is none, and nothing happens.

        Raises:
            TogglError: Toggl could not be told; the session is forgotten here all the same.

        ``DELETE https://accounts.toggl.com/api/sessions``
        """
        await self._login.end_session()

    def with_options(
        self,
        *,
        priority: Priority | UnsetType = UNSET,
        max_wait: float | UnsetType = UNSET,
        timeout: float | UnsetType = UNSET,
    ) -> Self:
        """Make a light view of this client: the same connections, scheduler and account.

        Args:
            priority: who goes first when calls wait.
            max_wait: seconds that a call may wait for its turn.
            timeout: seconds for each of connecting, sending and the next byte of an answer.

        Raises:
            InvalidInput: a value is out of range.
        """
        session = self._session
        options = attrs.evolve(
            self._options,
            max_wait=session.max_wait if max_wait is UNSET else max_wait,
            timeout=session.timeout if timeout is UNSET else timeout,
        )
        view = copy.copy(self)
        view._session = attrs.evolve(  # noqa: SLF001 - the view is one of us
            session,
            priority=session.priority if priority is UNSET else priority,
            max_wait=options.max_wait,
            timeout=options.timeout,
        )
        return view

    @property
    def me(self) -> "scopes.MeScope":
        """The user behind the credentials (``/api/v9/me…``)."""
        return scopes.MeScope(self._session, {})

    def workspace(self, workspace_id: int) -> "scopes.WorkspaceScope":
        """One workspace: its projects, time entries, reports and the rest; nothing is sent yet."""
        return scopes.WorkspaceScope(self._session, {"workspace_id": workspace_id})

    def organization(self, organization_id: int) -> "scopes.OrganizationScope":
        """One organization: its users, groups and the rest; nothing is sent yet."""
        return scopes.OrganizationScope(self._session, {"organization_id": organization_id})

    @property
    def organizations(self) -> "scopes.OrganizationsScope":
        """What concerns no organization yet: creating one, and answering invitations."""
        return scopes.OrganizationsScope(self._session, {})

    @property
    def calendar(self) -> "scopes.CalendarScope":
        """Calendar accounts that the user has connected."""
        return scopes.CalendarScope(self._session, {})

    def shared_report(self, report_token: str) -> "scopes.SharedReportScope":
        """One saved report, by the token that it is shared with; nothing is sent yet."""
        return scopes.SharedReportScope(self._session, {"report_token": report_token})

    @property
    def service(self) -> "scopes.ServiceScope":
        """What belongs to nobody, such as Toggl's status."""
        return scopes.ServiceScope(self._session, {})

    @property
    def base_url(self) -> str:
        """The server that this client asks."""
        return str(self._base_url)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that this client's calls go through."""
        return self._session.scheduler

    def forget_refusals(self) -> None:
        """Ask again where a 410, a feature or plan that lacked, or a wrong login is remembered."""
        self.scheduler.forget_refusals()
        self._session.plans.forget()
        self._login.forget_refusal()

    @overload
    async def request(
        self, method: str, path: str, *, params: Mapping[str, Value] = ..., json: Value = ...
    ) -> Json: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Value] = ...,
        json: Value = ...,
        returns: type[T],
    ) -> T: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Value] = _NOTHING,
        json: Value = UNSET,
        returns: object = Json,
    ) -> object:
        """Call what has no coroutine, through the same scheduler and with the same errors.

        Args:
            method: the HTTP method.
            path: the path from the host on, such as ``"/api/v9/me"``, escaped already.
            params: the query; UNSET is left out.
            json: the body; UNSET sends none, and is left out at every depth.
            returns: the type of the answer, such as a record, ``list[record]`` or ``bytes``; free
                JSON when left out.

        Raises:
            InvalidInput: the path is no path, or an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        return await self._session.request(method.upper(), path, query=params, body=json, returns=returns)

    async def fetch(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
    ) -> Answer:
        """Make one call of an operation and return its answer as it came.

        Args:
            operation: one of `operations()`.
            path: the values for the names in its path.
            query: its query; UNSET is left out.
            body: its body; UNSET sends none, and is left out at every depth.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        return await self._session.fetch(operation, path=path, query=query, body=body)

    def walk(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
    ) -> AsyncIterator[list[bytes]]:
        """Walk the pages of an operation, each a list of rows as Toggl sent them, as JSON.

        Takes what `fetch` takes, and raises what it raises, while walking.
        """
        return self._session.walk(operation, path=path, query=query, body=body)


def _checked(address: str, name: str) -> httpx.URL:
    """Refuse a base or accounts URL over which the credentials would travel in clear."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidInput(f"the {name} URL is no URL: {error}") from None
    if url.userinfo:
        raise InvalidInput(f"the {name} URL must hold no credentials")
    if (
        not url.host
        or any(map(str.isspace, address))
        or url.scheme not in {"http", "https"}
        or url.query
        or url.fragment
    ):
        raise InvalidInput(f"the {name} URL must be https://HOST, not {address!r}")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise InvalidInput(f"the {name} URL must be https, or credentials would travel in clear: {address!r}")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
