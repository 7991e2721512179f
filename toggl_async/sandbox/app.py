"""The ASGI application: limiters first, then credentials, quotas, faults, and the routes behind them.

The order is Toggl's, as far as it shows: the bucket belongs to the web server in front, so what it
refuses has cost no quota; the quotas count what gets past the credentials, whatever becomes of it.
"""

import asyncio
import email.utils
import logging
import secrets
from collections.abc import Callable
from typing import Final

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toggl_async.sandbox import answers, files
from toggl_async.sandbox.accounts import LOGIN, LOGOUT, SESSION_COOKIE, Accounts
from toggl_async.sandbox.answers import ApiError
from toggl_async.sandbox.call import ApiRequest, Happening
from toggl_async.sandbox.checking import check
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.counts import Counts
from toggl_async.sandbox.deliveries import Deliveries
from toggl_async.sandbox.documents import DescribedOperation, operations
from toggl_async.sandbox.entities import PersonRow
from toggl_async.sandbox.faults import Fault, Faults
from toggl_async.sandbox.limits import QuotaWindow, ServerLimits
from toggl_async.sandbox.origin import routes
from toggl_async.sandbox.routes import HANDLERS
from toggl_async.sandbox.routing import UNKNOWN, router
from toggl_async.sandbox.samples import Samples

__all__ = ["Application"]

_logger: Final = logging.getLogger("toggl_async.sandbox")

_ORIGIN: Final = "X-Sandbox-Answer"
"""The header that says where an answer is from: ``state``, ``sample``, or a ``fault`` on purpose."""

_STATUS: Final = "GET /api/v9/status"
"""The route that needs no credentials and spends no quota."""

_QUOTA_TEXT: Final = (
    "You have hit your hourly limit for API calls. Upgrade your plan for a higher limit or wait. "
    "Your quota will reset in {seconds} seconds. CTA: Go to subscriptions page."
)

_RESET: Final = 0
"""What `Counts` calls the status of a connection that was reset."""

_OWN_FAILURE: Final = 500
"""The 5xx that Toggl sends itself; the others are those of the web server in front."""

_REDIRECT: Final = 302
_TARGET: Final = "https://track.toggl.com/sample"
"""Where redirects lead."""

_SLOW_PIECES: Final = 10


class Application:
    """Answers every HTTP request of a sandbox.

    Args:
        company: the state.
        clock: the time.
        limits: buckets and quota windows.
        faults: what goes wrong.
        counts: where requests are noted.
        gone: routes that answer 410.
        not_in_plan: beginnings of parts of paths whose routes answer 402.
        reset: resets the connection from this client address.
    """

    def __init__(
        self,
        *,
        company: Company,
        clock: Clock,
        limits: ServerLimits,
        faults: Faults,
        counts: Counts,
        gone: frozenset[str],
        not_in_plan: frozenset[str],
        reset: Callable[[object], None],
    ) -> None:
        self._company = company
        self._accounts = Accounts(company)
        self._clock = clock
        self._limits = limits
        self._faults = faults
        self._counts = counts
        self._gone = gone
        self._not_in_plan = not_in_plan
        self._reset = reset
        self._closing = asyncio.Event()
        self._deliveries = Deliveries(company, clock, self._closing)
        self._told: set[str] = set()
        self.control: ASGIApp | None = None
        self._under_way: set[asyncio.Task[object]] = set()
        self._router = router(routes(), _Endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI interface)."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - uvicorn runs each request in a task
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        if self.control is not None and scope["path"].startswith("/sandbox"):
            await self.control(scope, receive, send)
        else:
            await self._router({**scope, "app": self}, receive, send)

    def publish(self, happening: Happening, person: PersonRow) -> None:
        """Tell webhooks of what somebody has done in another way than by a request."""
        self._deliveries.publish([happening], person=person, method="POST", path="/api/v9/sync")

    async def aclose(self) -> None:
        """Give up what is on its way to webhooks, and let nothing wait any longer."""
        self._closing.set()
        await self._deliveries.aclose()

    async def idle(self) -> None:
        """Wait until no request is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def answer(self, endpoint: "_Endpoint", request: Request, send: Send) -> None:
        """Answer a request, whose endpoint Starlette found."""
        now = self._clock.now()
        route = endpoint.route if endpoint.route != UNKNOWN else f"{request.method} {UNKNOWN}"
        person = self._accounts.identify(
            request.headers.get("authorization"), request.cookies.get(SESSION_COOKIE), now
        )
        user_id = person.id if isinstance(person, PersonRow) else None
        self._counts.arrived(route, user_id, now)
        if not await self._limits.admit(user_id):
            self._counts.refuse(429)
            await self._send(route, answers.proxy_page(429), request, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        fault = self._faults.decide(route)
        await self._clock.wait(fault.latency, self._closing)
        response = await self._answer(endpoint, person, request, body, fault)
        if fault.reset:
            self._counts.answered(route, _RESET)
            await self._hang_up(request)
            return
        send = self._slowly(send, fault.slow_body)
        await self._send(route, response, request, self._halving(send, request) if fault.cut else send)

    async def _answer(
        self, endpoint: "_Endpoint", person: PersonRow | Response, request: Request, body: bytes, fault: Fault
    ) -> Response:
        """Return what the request gets, having carried it out unless the fault forbids that."""
        if fault.fails and not fault.applied:
            return _broken(fault)
        if endpoint.route == _STATUS:
            response = answers.json("OK")
        elif endpoint.route == LOGIN:
            response = self._accounts.log_in(body, self._clock.now())
        elif endpoint.route == LOGOUT:
            response = self._accounts.log_out(request.cookies.get(SESSION_COOKIE))
        elif isinstance(person, Response):
            response = person
        else:
            response = await self._within_quota(endpoint, person, request, body)
        return _broken(fault) if fault.fails else response

    async def _within_quota(
        self, endpoint: "_Endpoint", person: PersonRow, request: Request, body: bytes
    ) -> Response:
        """Spend the quota that the route belongs to; then carry the request out."""
        now = self._clock.now()
        call = ApiRequest(
            company=self._company,
            limits=self._limits,
            deliveries=self._deliveries,
            person=person,
            now=now,
            path=request.path_params,
            query=request.query_params,
            raw=body,
        )
        window = self._limits.window(person.id, self._payer(call))
        if window.spend(now):
            response = await self._handle(endpoint, call)
            self._deliveries.publish(
                call.happenings, person=person, method=request.method, path=request.url.path
            )
        else:
            self._counts.refuse(402)
            state = window.state(now)
            response = answers.refusal(402, _QUOTA_TEXT.format(seconds=state.resets_in if state else 0))
        _tell_quota(response, window, now)
        return response

    def _payer(self, call: ApiRequest) -> int | None:
        """Return the organization whose quota a path spends; None for the user's own."""
        organization = self._company.organizations.get(call.path.get("organization_id", 0))
        workspace = self._company.workspaces.get(call.path.get("workspace_id", 0))
        if organization is not None:
            return organization.id
        return None if workspace is None else workspace.organization_id

    async def _handle(self, endpoint: "_Endpoint", call: ApiRequest) -> Response:
        """Carry the request out."""
        if endpoint.route in self._gone:
            return answers.refusal(410, "This endpoint is no longer available")
        for feature in self._not_in_plan:
            if f"/{feature}" in endpoint.route:
                return answers.refusal(402, f"{feature.capitalize()} is a premium feature")
        if endpoint.allowed:
            return answers.empty(status=405, headers={"Allow": ", ".join(endpoint.allowed)})
        operation, handler = operations().get(endpoint.route), HANDLERS.get(endpoint.route)
        try:
            if operation is not None:
                call.enter()
                check(operation, call, whole=handler is None)
                if handler is None:
                    return self._sampled(endpoint.route, operation, call)
            if handler is None:
                return answers.not_found()
            answer = handler(call)
            return answer if isinstance(answer, Response) else await answer
        except ApiError as refused:
            return answers.refusal(refused.status, refused.text)

    def _sampled(self, route: str, operation: DescribedOperation, call: ApiRequest) -> Response:
        """Make an answer up, and say so: by a header, a count, and one line of the log for each route."""
        response = _sample(operation, call)
        response.headers[_ORIGIN] = "sample"
        self._counts.sampled(route)
        if route not in self._told:
            self._told.add(route)
            _logger.info("%s is answered by a sample: the sandbox keeps no state for it", route)
        return response

    async def _send(self, route: str, response: Response, request: Request, send: Send) -> None:
        """Send an answer with the headers that all of Toggl's have."""
        self._counts.answered(route, response.status_code)
        request_id = secrets.token_hex(16)
        response.headers.setdefault(_ORIGIN, "state")
        response.headers.update(
            {
                "X-Toggl-Request-Id": request_id,
                "X-Request-Id": request_id,
                "X-Service-Level": "GREEN",
                "Date": email.utils.formatdate(self._clock.now(), usegmt=True),
                "Cache-Control": "no-store, no-cache, must-revalidate",
            }
        )
        await response(request.scope, request.receive, send)

    def _slowly(self, send: Send, seconds: float) -> Send:
        """Return a `send` that lets bodies arrive in pieces, over so many seconds."""
        if not seconds:
            return send

        async def dripping(message: Message) -> None:
            body = message.get("body", b"")
            size = -(-len(body) // _SLOW_PIECES) or 1
            for start in range(0, len(body), size):
                await self._clock.wait(seconds / _SLOW_PIECES, self._closing)
                await send({"type": message["type"], "body": body[start : start + size], "more_body": True})
            await send({**message, "body": b""} if body else message)

        return dripping

    def _halving(self, send: Send, request: Request) -> Send:
        """Return a `send` that lets half of the body through and then resets the connection."""

        async def halving(message: Message) -> None:
            body = message.get("body")
            if body is None:
                await send(message)
            else:
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                await self._hang_up(request)

        return halving

    async def _hang_up(self, request: Request) -> None:
        """Reset the connection, and come back when it is gone."""
        self._reset(request.scope["client"])
        await request.receive()  # the whole request has come: what is left to receive is its end


@attrs.frozen(eq=False)
class _Endpoint:
    """Answers the requests of one route (the ASGI interface).

    Attributes:
        route: its method and path; `UNKNOWN` for a path or a method that does not exist.
        allowed: the methods that the path has, if not this one.
    """

    route: str
    allowed: tuple[str, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application: Application = scope["app"]
        await application.answer(self, Request(scope, receive), send)


def _sample(operation: DescribedOperation, call: ApiRequest) -> Response:
    """Make an answer up, as the document has it."""
    if operation.status == _REDIRECT:
        return answers.empty(status=_REDIRECT, headers={"Location": _TARGET})
    content = operation.answer
    if content is None:
        return answers.empty(status=operation.status)
    if content.is_json:
        sent = call.json() if call.raw and operation.json_schema is not None else None
        made = Samples(call, sent if isinstance(sent, dict) else {}).answer(content.schema)
        return answers.json(made, status=operation.status)
    # Where there are two kinds of files, the path says which.
    media = files.XLSX if call.path.get("extension") == "xlsx" else content.media[0]
    return answers.file(files.made(media), media)


def _broken(fault: Fault) -> Response:
    """Return the answer of a request that failed: an odd one, or what its status comes with."""
    if fault.body is not None:
        response = Response(fault.body, fault.status or 200, {"Content-Type": fault.media})
    else:
        response = answers.by_status(_OWN_FAILURE if fault.status is None else fault.status)
    response.headers.update({_ORIGIN: "fault", **fault.headers})
    return response


def _tell_quota(response: Response, window: QuotaWindow, now: float) -> None:
    """Add what is left of the quota to an answer's headers."""
    state = window.state(now)
    if state is not None:
        response.headers["X-Toggl-Quota-Remaining"] = str(state.remaining)
        response.headers["X-Toggl-Quota-Resets-In"] = str(state.resets_in)
