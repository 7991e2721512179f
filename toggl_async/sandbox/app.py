"""The ASGI application: limiters first, then credentials, quotas, faults, and the routes behind them.

The order is Toggl's, as far as it shows: the bucket belongs to the web server in front, so what it
refuses has cost no quota; the quotas count what gets past the credentials, whatever becomes of it.
"""

import asyncio
import email.utils
import secrets
from collections.abc import Callable
from typing import Final

import attrs
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from toggl_async.sandbox import answers
from toggl_async.sandbox.accounts import LOGIN, LOGOUT, SESSION_COOKIE, Accounts
from toggl_async.sandbox.answers import ApiError, Reply
from toggl_async.sandbox.call import ApiRequest
from toggl_async.sandbox.clock import Clock
from toggl_async.sandbox.company import Company
from toggl_async.sandbox.counts import Counts
from toggl_async.sandbox.deliveries import Deliveries
from toggl_async.sandbox.entities import PersonRow
from toggl_async.sandbox.faults import Fault, Faults
from toggl_async.sandbox.limits import Limits, QuotaWindow
from toggl_async.sandbox.routing import Match, RouteTable

__all__ = ["Application"]

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

_SLOW_PIECES: Final = 10


class Application:
    """Answers every HTTP request of a sandbox.

    Args:
        company: the state.
        clock: the time.
        limits: buckets and quota windows.
        faults: what goes wrong.
        counts: where requests are noted.
        table: the operations.
        gone: routes that answer 410.
        reset: resets the connection from this client address.
    """

    def __init__(
        self,
        *,
        company: Company,
        clock: Clock,
        limits: Limits,
        faults: Faults,
        counts: Counts,
        table: RouteTable,
        gone: frozenset[str],
        reset: Callable[[object], None],
    ) -> None:
        self._company = company
        self._accounts = Accounts(company)
        self._clock = clock
        self._limits = limits
        self._faults = faults
        self._counts = counts
        self._table = table
        self._gone = gone
        self._reset = reset
        self.closing: asyncio.Event = asyncio.Event()
        self.deliveries: Deliveries = Deliveries(company, clock, self.closing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI interface)."""
        now = self._clock.now()
        request = Request(scope, receive)
        match = self._table.find(request.method, request.url.path)
        person = self._accounts.identify(
            request.headers.get("authorization"), request.cookies.get(SESSION_COOKIE), now
        )
        user_id = person.id if isinstance(person, PersonRow) else None
        self._counts.arrived(match.route, user_id, now)
        if not self._limits.bucket(user_id).admit(now):
            self._counts.refuse(429)
            await self._send(match, answers.proxy_page(429), scope, receive, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        fault = self._faults.decide(match.route)
        await self._clock.wait(fault.latency, self.closing)
        answer = await self._answer(match, person, request, body, fault)
        if fault.reset:
            self._counts.answered(match.route, _RESET)
            await self._hang_up(scope, receive)
        else:
            await self._send(match, answer, scope, receive, self._slowly(send, fault.slow_body))

    async def _answer(
        self, match: Match, person: PersonRow | Reply, request: Request, body: bytes, fault: Fault
    ) -> Reply:
        """Return what the request gets, having carried it out unless the fault forbids that."""
        if fault.fails and not fault.applied:
            return _broken(fault)
        if match.route == _STATUS:
            answer = answers.json("OK")
        elif match.route == LOGIN:
            answer = self._accounts.log_in(body, self._clock.now())
        elif match.route == LOGOUT:
            answer = self._accounts.log_out(request.cookies.get(SESSION_COOKIE))
        elif isinstance(person, Reply):
            answer = person
        else:
            answer = await self._within_quota(match, person, request, body)
        return _broken(fault) if fault.fails else answer

    async def _within_quota(self, match: Match, person: PersonRow, request: Request, body: bytes) -> Reply:
        """Spend the quota that the route belongs to; then carry the request out."""
        now = self._clock.now()
        window = self._limits.window(person.id, self._payer(match))
        if window.spend(now):
            call = ApiRequest(
                company=self._company,
                limits=self._limits,
                deliveries=self.deliveries,
                person=person,
                now=now,
                path=match.path,
                ids_in_path=match.ids,
                words=match.words,
                query=request.query_params,
                raw=body,
            )
            answer = await self._handle(match, call)
            self.deliveries.publish(
                call.happenings, person=person, method=request.method, path=request.url.path
            )
        else:
            self._counts.refuse(402)
            state = window.state(now)
            answer = answers.refusal(402, _QUOTA_TEXT.format(seconds=state.resets_in if state else 0))
        return _with_quota(answer, window, now)

    def _payer(self, match: Match) -> int | None:
        """Return the organization whose quota a path spends; None for the user's own."""
        if "organization_id" in match.path and match.path["organization_id"] in self._company.organizations:
            return match.path["organization_id"]
        workspace = self._company.workspaces.get(match.path.get("workspace_id", 0))
        return None if workspace is None else workspace.organization_id

    async def _handle(self, match: Match, call: ApiRequest) -> Reply:
        """Carry the request out."""
        if match.route in self._gone:
            return answers.refusal(410, "This endpoint is no longer available")
        if match.allowed:
            return Reply(status=405, media=None, headers={"Allow": ", ".join(match.allowed)})
        if match.handler is None:
            return Reply(status=404, body=b"404 page not found\n", media="text/plain; charset=utf-8")
        try:
            answer = match.handler(call)
            return answer if isinstance(answer, Reply) else await answer
        except ApiError as refused:
            return answers.refusal(refused.status, refused.text)

    async def _send(self, match: Match, answer: Reply, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an answer with the headers that all of Toggl's have."""
        self._counts.answered(match.route, answer.status)
        request_id = secrets.token_hex(16)
        headers = {
            "X-Toggl-Request-Id": request_id,
            "X-Request-Id": request_id,
            "X-Service-Level": "GREEN",
            "Date": email.utils.formatdate(self._clock.now(), usegmt=True),
            "Cache-Control": "no-store, no-cache, must-revalidate",
            **answer.headers,
        }
        if answer.media is not None:
            headers["Content-Type"] = answer.media
        await Response(answer.body, answer.status, headers)(scope, receive, send)

    def _slowly(self, send: Send, seconds: float) -> Send:
        """Return a `send` that lets bodies arrive in pieces, over so many seconds."""
        if not seconds:
            return send

        async def dripping(message: Message) -> None:
            body = message.get("body", b"")
            size = -(-len(body) // _SLOW_PIECES) or 1
            for start in range(0, len(body), size):
                await self._clock.wait(seconds / _SLOW_PIECES, self.closing)
                await send({"type": message["type"], "body": body[start : start + size], "more_body": True})
            await send({**message, "body": b""} if body else message)

        return dripping

    async def _hang_up(self, scope: Scope, receive: Receive) -> None:
        """Reset the connection, and come back when it is gone."""
        self._reset(scope["client"])
        await receive()  # the whole request has come: what is left to receive is its end


def _broken(fault: Fault) -> Reply:
    """Return the answer of a request that failed: Toggl's own, or its web server's."""
    if fault.status is None or fault.status == _OWN_FAILURE:
        return answers.refusal(500, "Internal server error")
    return answers.proxy_page(fault.status)


def _with_quota(answer: Reply, window: QuotaWindow, now: float) -> Reply:
    """Add what is left of the quota to an answer's headers."""
    state = window.state(now)
    if state is None:
        return answer
    headers = {
        **answer.headers,
        "X-Toggl-Quota-Remaining": str(state.remaining),
        "X-Toggl-Quota-Resets-In": str(state.resets_in),
    }
    return attrs.evolve(answer, headers=headers)
