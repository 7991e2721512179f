"""`TogglClient`: lifecycle, scopes, options of a call, and the escape hatch."""

import copy
import functools
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar, overload

import anyio
import attrs
from msgspec import UNSET, UnsetType

from toggl_async import scopes
from toggl_async._client.answer import Answer
from toggl_async._client.auth import Auth, SessionCookie, auth_from_env, checked_environ
from toggl_async._client.login import FixedLogin, Login
from toggl_async._client.middleware import Middleware, attempts_of, calls_of
from toggl_async._client.plans import KnownPlans
from toggl_async._client.session import CallOptions, Session
from toggl_async._client.session_login import SessionLogin
from toggl_async._client.wire import Wire, checked_url, network
from toggl_async._hints import NoSuchName, known_arguments
from toggl_async._operations.arguments import each, one_id, one_text
from toggl_async._operations.operation import Arguments, Operation, PathValue, Value
from toggl_async._operations.record import Json
from toggl_async.codec import Codec
from toggl_async.errors import ClientClosed, InvalidInput, shown
from toggl_async.options import ClientOptions, Priority
from toggl_async.scheduler import Budget, ScheduledTransport, Scheduler
from toggl_async.scheduler.budgets.named import budget_from_env
from toggl_async.scheduler.events import OnEvent
from toggl_async.scheduler.scheduled import see_attempts
from toggl_async.scheduler.scheduler import refuse_beside
from toggl_async.scheduler.stats import SchedulerStats
from toggl_async.scheduler.transport import AnyTransport

__all__ = ["ACCOUNTS_URL", "BASE_URL", "TogglClient"]

ACCOUNTS_URL: Final = "https://accounts.toggl.com"
"""Where Toggl keeps its sessions."""

BASE_URL: Final = "https://api.track.toggl.com"
"""Where Toggl serves all four APIs."""

T = TypeVar("T")

_NOTHING: Final[Mapping[str, Value]] = {}

_ELSEWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(["api_key", "api_token", "token"], "use TogglClient(ApiToken(…))"),
    **dict.fromkeys(["email", "password"], "use TogglClient(EmailPassword(email, password))"),
    **{option: f"pass options=ClientOptions({option}=…)" for option in attrs.fields_dict(ClientOptions)},
    "priority": "use client.with_options(priority=…)",
    "proxy": "set HTTPS_PROXY, or pass transport=httpx.AsyncHTTPTransport(proxy=…)",
    "verify": "pass transport=httpx.AsyncHTTPTransport(verify=…)",
    "workspace_id": "use client.workspace(id)",
}
"""Names that people try as arguments of a client, and what to write instead."""

_FAREWELL: Final = 5.0
"""Seconds that closing the connections may take, whatever happens to the task that closes."""


class TogglClient:
    """A client of Toggl's Track, Reports, Insights and Webhooks APIs.

    Use it as an asynchronous context manager, or call `aclose()`. Any number of tasks in one event loop may
    share it. The module `toggl_async.timer` starts and stops the running time entry.

    Args:
        auth: the credentials, such as ``ApiToken("…")``.
        base_url: another server with Toggl's API; it must use https, unless it is on this machine.
        accounts_url: where a `SessionCookie` logs in; it must use https as well.
        transport: the asynchronous transport of httpx or httpx2 that sends the requests; by default, httpx's
            own, through the proxy that ``HTTPS_PROXY`` and ``NO_PROXY`` name for the server. The scheduler
            wraps it.
        options: everything that can be set; by default, the options of `scheduler`.
        scheduler: a scheduler to share with other clients, which stays open when this one closes. It has its
            own pace, retries, cool-down, quota and requests in flight: `options` that differ in these are
            refused, and so are `budget` and `on_event`.
        budget: where the limits of the account are kept: ``FileBudget()`` for all processes of this machine,
            ``RedisBudget(url)`` for many machines; by default, in this client's own memory.
        middleware: your own code around each call and each attempt; the first one is the outermost.
        on_event: called with everything that the scheduler does; see `Scheduler.listen`.

    Raises:
        InvalidInput: one of the URLs doesn't use https or isn't a URL; the credentials or the options have
            the wrong type; or the options differ from those of the scheduler.
    """

    _is_view: bool = False

    @known_arguments(_ELSEWHERE)
    def __init__(
        self,
        auth: Auth | SessionCookie,
        *,
        base_url: str = BASE_URL,
        accounts_url: str = ACCOUNTS_URL,
        transport: AnyTransport | None = None,
        options: ClientOptions | None = None,
        scheduler: Scheduler | None = None,
        budget: Budget | None = None,
        middleware: Sequence[Middleware] = (),
        on_event: OnEvent | None = None,
    ) -> None:
        if options is not None and not isinstance(options, ClientOptions):
            raise InvalidInput(f"options must be a ClientOptions, not {_kind(options)}")
        self._base_url = checked_url(base_url, "base")
        self._owns_scheduler = scheduler is None
        if scheduler is None:
            scheduler = Scheduler(options, budget=budget, on_event=on_event)
        else:
            refuse_beside(scheduler, options=options, budget=budget, on_event=on_event)
        self._options = options or scheduler.options
        scheduled = ScheduledTransport(
            network(self._base_url, connections=self._options.max_in_flight)
            if transport is None
            else transport,
            scheduler=scheduler,
        )
        self._attempts = attempts_of(middleware)
        see_attempts(scheduled, self._attempts)
        self._login = self._login_with(auth, scheduled, accounts_url)
        self._session = Session(
            wire=Wire(
                self._base_url,
                user_agent=self._options.user_agent,
                transport=self._login,
                around=calls_of(middleware),
            ),
            scheduler=scheduler,
            codec=Codec(
                keep_unknown=self._options.keep_unknown, server=self._base_url.host, mask=self._login.mask
            ),
            plans=KnownPlans(check=self._options.plan_check),
            options=CallOptions(
                priority=Priority.NORMAL,
                max_wait=self._options.max_wait,
                timeout=self._options.timeout,
                attempts=None,
                coalesce=self._options.coalesce,
            ),
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TogglClient can't be deep-copied or pickled: make one in each process")

    def __copy__(self) -> Self:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        return view

    def _login_with(
        self, auth: Auth | SessionCookie, scheduled: ScheduledTransport, accounts_url: str
    ) -> Login:
        """Choose the login that fits the credentials."""
        accounts = checked_url(accounts_url, "accounts")
        if not isinstance(auth, SessionCookie):
            if isinstance(auth, type) or not callable(getattr(auth, "headers", None)):
                known = "ApiToken(…), EmailPassword(…) or SessionCookie(…)"
                raise InvalidInput(f"auth must be {known}, not {_kind(auth)}")
            return FixedLogin(scheduled, auth, base_url=self._base_url)
        return SessionLogin(
            scheduled,
            auth,
            accounts_url=accounts,
            user_agent=self._options.user_agent,
            timeout=self._options.timeout,
        )

    @classmethod
    @known_arguments(_ELSEWHERE)
    def from_env(
        cls,
        *,
        base_url: str | None = None,
        accounts_url: str = ACCOUNTS_URL,
        environ: Mapping[str, str] | None = None,
        transport: AnyTransport | None = None,
        options: ClientOptions | None = None,
        scheduler: Scheduler | None = None,
        budget: Budget | None = None,
        middleware: Sequence[Middleware] = (),
        on_event: OnEvent | None = None,
    ) -> Self:
        """Build a client from the environment.

        Reads the credentials from ``TOGGL_API_TOKEN``, or from ``TOGGL_EMAIL`` and ``TOGGL_PASSWORD``. If
        `base_url` is left out, ``TOGGL_BASE_URL`` may name the server. If neither `scheduler` nor `budget` is
        given, ``TOGGL_BUDGET`` may name the budget: ``none`` (this client's own memory, the default),
        ``file`` or ``file:PATH`` (`FileBudget`), ``redis://…`` or ``rediss://…`` (`RedisBudget`).

        Args:
            base_url: as for the class.
            accounts_url: as for the class.
            environ: the variables; by default, those of the process.
            transport: as for the class.
            options: as for the class.
            scheduler: as for the class.
            budget: as for the class.
            middleware: as for the class.
            on_event: as for the class.

        Raises:
            MissingCredentials: no credentials are set, or they are empty.
            InvalidInput: a variable doesn't contain valid credentials, a base URL or a budget.
            BudgetError: the budget needs an extra that is not installed.
        """
        environ = checked_environ(environ)
        if scheduler is None and budget is None:
            budget = budget_from_env(environ)
        return cls(
            auth_from_env(environ),
            base_url=environ.get("TOGGL_BASE_URL", BASE_URL) if base_url is None else base_url,
            accounts_url=accounts_url,
            transport=transport,
            options=options,
            scheduler=scheduler,
            budget=budget,
            middleware=middleware,
            on_event=on_event,
        )

    if not TYPE_CHECKING:  # A type checker that saw it would believe every name.

        def __getattr__(self, name: str) -> NoReturn:
            message = f"TogglClient has no attribute {name!r}"
            if name.startswith("_"):
                raise AttributeError(message, name=name, obj=self)
            raise NoSuchName(message, name=name, obj=self, hint=functools.partial(_hint, name))

    def __repr__(self) -> str:
        return f"TogglClient(base_url={str(self._base_url)!r})"

    async def __aenter__(self) -> Self:
        if self._is_view:
            raise InvalidInput("a view of a client cannot be entered: enter the client that it was made from")
        if self._login.is_closing:
            raise ClientClosed("the client was closed, and cannot be entered again: make a new one")
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

        Calls that are still waiting end with `ClientClosed`. A scheduler that was passed in stays open for
        its other clients. Closing a view made by `with_options` does nothing, because views own nothing.

        A client that isn't closed lets go of its connections when its event loop ends, as at the end of
        `asyncio.run`. The next loop may use it again, or close it.

        Raises:
            WrongEventLoop: it is in use by another event loop, which is still open.
        """
        if self._is_view:
            return
        self._login.refuse_to_close_elsewhere()
        try:
            await self._login.say_goodbye()
        finally:
            # In a scope that was cancelled every wait is cut short, and this has some.
            with anyio.move_on_after(_FAREWELL, shield=True):
                try:
                    if self._owns_scheduler:
                        await self.scheduler.aclose()
                finally:
                    if self._attempts is not None:
                        self._attempts.close()
                    await self._login.aclose()

    async def end_session(self) -> None:
        """End the session of a `SessionCookie`; the next call logs in again.

        With other credentials there is no session, and nothing happens.

        Raises:
            TogglError: Toggl could not be told; the client has forgotten the session nevertheless.

        ``DELETE https://accounts.toggl.com/api/sessions``
        """
        await self._login.end_session(max_wait=self._session.options.max_wait)

    def with_options(
        self,
        *,
        priority: Priority | UnsetType = UNSET,
        max_wait: float | UnsetType | None = UNSET,
        timeout: float | UnsetType | None = UNSET,
        attempts: int | UnsetType = UNSET,
    ) -> Self:
        """Make a light view of this client, with the same connections, scheduler and account.

        Use the view while the client is open, without entering or closing it.

        Args:
            priority: which call goes first when several wait.
            max_wait: seconds that a call may wait for its turn; None for no limit.
            timeout: seconds for each of connecting, sending and the next byte of an answer; None for no
                limit.
            attempts: how often a request that is safe to repeat is sent at most; 1 never repeats it. Requests
                that Toggl did not process, as after a 429, are sent again in any case.

        Raises:
            InvalidInput: a value is out of range.
        """
        given = self._session.options
        checked = attrs.evolve(
            self._options,
            max_wait=given.max_wait if max_wait is UNSET else max_wait,
            timeout=given.timeout if timeout is UNSET else timeout,
        )
        if attempts is not UNSET:
            attrs.evolve(checked.retry, attempts=attempts)  # refused if it is out of range
        view = copy.copy(self)
        view._is_view = True  # noqa: SLF001 - of the same class
        options = attrs.evolve(
            given,
            priority=given.priority if priority is UNSET else _as_priority(priority),
            max_wait=checked.max_wait,
            timeout=checked.timeout,
            attempts=given.attempts if attempts is UNSET else attempts,
        )
        view._session = attrs.evolve(self._session, options=options)  # noqa: SLF001 - likewise
        return view

    @property
    def me(self) -> "scopes.MeScope":
        """The user behind the credentials (``/api/v9/me…``)."""
        return scopes.MeScope(self._session, {})

    def workspace(self, workspace_id: int) -> "scopes.WorkspaceScope":
        """One workspace: its projects, time entries, reports and the rest; nothing is sent yet."""
        return scopes.WorkspaceScope(self._session, each(one_id, workspace_id=workspace_id))

    def organization(self, organization_id: int) -> "scopes.OrganizationScope":
        """One organization: its users, groups and the rest; nothing is sent yet."""
        return scopes.OrganizationScope(self._session, each(one_id, organization_id=organization_id))

    @property
    def organizations(self) -> "scopes.OrganizationsScope":
        """Calls outside of any organization: creating one, and answering invitations."""
        return scopes.OrganizationsScope(self._session, {})

    @property
    def calendar(self) -> "scopes.CalendarScope":
        """Calendar accounts that the user has connected."""
        return scopes.CalendarScope(self._session, {})

    def shared_report(self, report_token: str) -> "scopes.SharedReportScope":
        """One saved report, by the token that it is shared with; nothing is sent yet."""
        return scopes.SharedReportScope(self._session, each(one_text, report_token=report_token))

    @property
    def service(self) -> "scopes.ServiceScope":
        """Calls that concern nobody in particular, such as Toggl's status."""
        return scopes.ServiceScope(self._session, {})

    @property
    def base_url(self) -> str:
        """The server that this client sends its requests to."""
        return str(self._base_url)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that this client's calls go through."""
        return self._session.scheduler

    def stats(self) -> SchedulerStats:
        """Return a snapshot of the scheduler: what is waiting and why, what was sent, what quota is left.

        It counts the calls of all clients that share the scheduler.
        """
        return self.scheduler.stats()

    def forget_refusals(self) -> None:
        """Forget which endpoints, features and credentials Toggl refused, so that calls ask again."""
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
        """Call an endpoint that has no coroutine, through the same scheduler and with the same errors.

        Args:
            method: the HTTP method.
            path: the path after the host, such as ``"/api/v9/me"``, already escaped. It may contain a query
                if `params` is left out.
            params: the query; UNSET is left out.
            json: the body; UNSET sends none, and is left out at every depth.
            returns: the type of the answer, such as a record, ``list[record]`` or ``bytes``; by default,
                free-form JSON.

        Raises:
            InvalidInput: the method or the path is not valid, the path has dot segments, an argument cannot
                be sent, or `returns` is not a type that JSON can be read as.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        return await self._session.request(method, path, query=params, body=json, returns=returns)

    async def fetch(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
        recalls: bool = True,
        cooldowns: int | None = None,
    ) -> Answer:
        """Call an operation once, and return its answer as it came, not decoded.

        This is for programs that pass answers on, such as the bulk export. Other programs call the coroutine,
        or `request` if there is none.

        Args:
            operation: one of `operations()`.
            path: the values for the names in its path.
            query: its query; UNSET is left out.
            body: its body; UNSET sends none, and is left out at every depth.
            recalls: whether a remembered 410, or 402 for a feature, may answer the call without a request;
                otherwise Toggl is asked again. Refused credentials are remembered in any case.
            cooldowns: how often the call is sent again after a 429; None for as often as `max_wait` allows.

        Raises:
            InvalidInput: an argument cannot be sent.
            TogglError: whatever became of the request; see `toggl_async.errors`.
        """
        return await self._session.fetch(
            operation, Arguments(path, query, body), recalls=recalls, cooldowns=cooldowns
        )

    def walk(
        self,
        operation: Operation[object],
        *,
        path: Mapping[str, PathValue],
        query: Mapping[str, Value] = _NOTHING,
        body: Value = UNSET,
    ) -> AsyncGenerator[list[bytes], None]:
        """Walk the pages of an operation, each a list of rows as Toggl sent them, as JSON.

        This is for programs that pass rows on. Other programs use the coroutine's ``iter()``.

        It takes the same arguments as `fetch`, and raises the same errors, while walking.
        """
        return self._session.walk(operation, Arguments(path, query, body))


def _hint(name: str) -> str:
    """Say where to look for a name that the client doesn't have."""
    from toggl_async._client.whereabouts import hint_for_client  # noqa: PLC0415 - loads every scope

    return hint_for_client([one for one in vars(TogglClient) if not one.startswith("_")], name)


def _kind(value: object) -> str:
    """Name what was given in place of something else, without showing it: it may be a secret."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _as_priority(value: Priority) -> Priority:
    """Refuse anything but a Priority here, where the caller can see who gave it, and not when calls wait."""
    try:
        return Priority(value)
    except ValueError:
        raise InvalidInput(f"priority must be a Priority, not {shown(value)}") from None
