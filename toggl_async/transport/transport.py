"""The httpx transport that schedules: queue, send, judge, send again or hand over.

It wraps any `httpx.AsyncBaseTransport` and serves any httpx client, ours or another. What it adds to
an exchange happens before the request and after the answer; the request itself goes on as it came.

Bodies of answers are read here, so that a connection lost half-way through is retried like any
other. They are kept as they came (compressed, perhaps) and read again by the client. The exception
is `RequestFacts.streams`: then the body stays on the wire, and its slot is taken until it is closed.
"""

import datetime as dt
import json
from typing import Final, Self

import attrs
import httpx

from toggl_async.errors import ClientClosed, MaxWaitExceeded, QuotaExceeded, RequestFailed
from toggl_async.options import ClientOptions
from toggl_async.transport import retry
from toggl_async.transport.account import Account, Recalled
from toggl_async.transport.events import Reason
from toggl_async.transport.exchange import Exchange, HeldStream, as_failure
from toggl_async.transport.outcome import Attempted, Kind, Outcome, classify
from toggl_async.transport.queue import Call
from toggl_async.transport.route import EXTENSION, RequestFacts, facts_of, shown_path
from toggl_async.transport.scheduler import Scheduler

__all__ = ["ScheduledTransport"]

_SMALL: Final = 1 << 20
"""Bytes up to which an upload is read into memory, so that it can be sent again after a refusal."""

_AGAIN: Final = {Kind.THROTTLED: Reason.COOLDOWN, Kind.QUOTA: Reason.QUOTA, Kind.FAILED: Reason.BACKOFF}


class ScheduledTransport(httpx.AsyncBaseTransport):
    """An httpx transport that keeps Toggl's limits.

    It returns the final answer of any status, with an `Attempted` in its extensions, or raises a
    `TogglError` where there is none.

    Args:
        inner: what sends the requests; httpx's own transport if not given.
        scheduler: what decides when; shared with others, it is not closed with this transport.
        options: those of a scheduler of its own, and the `max_wait` and `coalesce` of requests
            that declare none; the scheduler's if not given.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        scheduler: Scheduler | None = None,
        options: ClientOptions | None = None,
    ) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport()
        self._owns_scheduler = scheduler is None
        self.scheduler: Scheduler = scheduler or Scheduler(options)
        self._options = options or self.scheduler.options
        self._traces = isinstance(self._inner, httpx.AsyncHTTPTransport)
        self._closed = False

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def aclose(self) -> None:
        """End the calls that wait with ClientClosed, and close the inner transport."""
        self._closed = True
        if self._owns_scheduler:
            await self.scheduler.aclose()
        else:
            self.scheduler.close_calls(self)
        await self._inner.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Schedule a request, and return its final answer.

        Raises:
            MaxWaitExceeded: it cannot go within its `max_wait`.
            QuotaExceeded: it cannot, because the hourly quota is used up.
            EndpointGone: it was answered 410 before.
            FeatureUnavailable: it was refused before, by the workspace's plan.
            ConnectionFailed: no answer came.
            RequestTimeout: no answer came in time.
            ClientClosed: this transport or its scheduler was closed.
        """
        if self._closed:
            raise ClientClosed("the client was closed")
        facts = facts_of(request, max_wait=self._options.max_wait, coalesce=self._options.coalesce)
        account = self.scheduler.account(request)
        remembered = self.scheduler.recall(account, facts, request)
        if remembered is not None:
            raise remembered
        if not facts.reads:
            account.coalescer.break_up()
            try:
                return await self._perform(account, facts, request)
            finally:
                account.coalescer.break_up()
        if request.method == "GET" and facts.coalesce and self._options.coalesce and not facts.streams:
            return await self._share(account, facts, request)
        return await self._perform(account, facts, request)

    async def _share(self, account: Account, facts: RequestFacts, request: httpx.Request) -> httpx.Response:
        """Make a request, or wait for the answer to an identical one under way."""
        key = (self, request.url, tuple(request.headers.raw), facts.priority, facts.max_wait)
        joins = account.coalescer.joins(key)
        if joins:
            self.scheduler.tell_shared(account, facts)
        try:
            response, body = await account.coalescer.share(
                key, lambda: self._perform_whole(account, facts, request)
            )
        except (MaxWaitExceeded, QuotaExceeded):
            if not joins:
                raise
            # It was the other's time that ran out; this call came later and may still have some.
            return await self._perform(account, facts, request)
        return await _copy(response, body) if joins else response

    async def _perform_whole(
        self, account: Account, facts: RequestFacts, request: httpx.Request
    ) -> tuple[httpx.Response, bytes]:
        response = await self._perform(account, facts, request)
        return response, await _raw(response)

    async def _perform(self, account: Account, facts: RequestFacts, request: httpx.Request) -> httpx.Response:
        """Take turns until there is a final answer."""
        await _keep_small_upload(request)
        call = account.call(facts, method=request.method, path=shown_path(request), owner=self)
        result: httpx.Response | RequestFailed | None = None
        while True:
            try:
                await account.admit(call)
            except (MaxWaitExceeded, QuotaExceeded):
                if result is None:
                    raise
                return _final(result)
            if self._closed:
                account.decline(call)
                raise ClientClosed("the client was closed")
            try:
                result, reason = await self._attempt(account, call, request)
            except Recalled as recalled:
                account.decline(call)
                reason = recalled.reason
                remembered = self.scheduler.recall(account, facts, request)
                if remembered is not None:
                    raise remembered from None
            else:
                if reason is None:
                    return _final(result)
            account.note_retry(call, reason)

    async def _attempt(
        self, account: Account, call: Call, request: httpx.Request
    ) -> tuple[httpx.Response | RequestFailed, Reason | None]:
        """Send a request once; return what came of it, and why to send it again, if so."""
        exchange = Exchange(
            self._inner,
            account,
            call,
            request,
            traces=self._traces,
            hopeless=lambda: self.scheduler.knows(account, call.facts, request),
        )
        if self.scheduler.knows(account, call.facts, request):
            raise Recalled(Reason.QUEUE)
        replayable = isinstance(request.stream, httpx.ByteStream)
        held = False
        try:
            response = await exchange.send()
            outcome = await self._judge(account, call, exchange, response)
            stream = response.stream
            if call.facts.streams and isinstance(stream, httpx.AsyncByteStream) and not response.is_error:
                response.stream = HeldStream(stream, account, call)
                held = True
        except (httpx.TransportError, httpx.DecodingError) as error:
            sent = exchange.may_have_left(error)
            account.lost(call, type(error).__name__, sent=sent)
            call.failures += 1
            again = not isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
            again = again and self._may_retry(call, sent=sent, replayable=replayable)
            return as_failure(error, request, call, sent=sent), Reason.BACKOFF if again else None
        except Recalled:
            held = True  # the turn goes back as it came
            raise
        finally:
            self._traces = self._traces or exchange.traced
            if not held:
                account.release(call)
        await self._note(account, call, request, response, outcome)
        reason = _AGAIN.get(outcome.kind)
        if outcome.kind is Kind.FAILED:
            call.failures += 1
            if not self._may_retry(call, sent=True, replayable=replayable):
                reason = None
        return response, reason if replayable else None

    async def _judge(
        self, account: Account, call: Call, exchange: Exchange, response: httpx.Response
    ) -> Outcome:
        """Read an answer as far as needed, and let the account learn from it as early as possible."""
        if response.is_error:
            await exchange.read(response)
            outcome = classify(response.status_code, response.headers, response.content)
            account.answered(call, response.status_code, outcome)
            return outcome
        outcome = classify(response.status_code, response.headers, b"")
        account.answered(call, response.status_code, outcome)
        if not call.facts.streams:
            await exchange.read(response)
        return outcome

    def _may_retry(self, call: Call, *, sent: bool, replayable: bool) -> bool:
        return retry.may_retry(
            attempts=call.failures,
            reads=call.facts.reads,
            sent=sent,
            replayable=replayable,
            options=self.scheduler.options.retry,
        )

    async def _note(
        self, account: Account, call: Call, request: httpx.Request, response: httpx.Response, outcome: Outcome
    ) -> None:
        """Mark an answer with how it was come by; remember what it teaches."""
        window = call.window.current()
        response.extensions[EXTENSION] = Attempted(
            attempts=call.attempts,
            waited=call.waited,
            maybe_applied=outcome.kind is Kind.FAILED and not call.facts.reads,
            organization_id=window.organization_id,
            total=window.total,
        )
        self.scheduler.remember(account, call.facts, request, response, outcome)
        if outcome.kind is Kind.DONE and request.url.path.endswith("/me/quota") and not call.facts.streams:
            _learn_quota(account, response.headers, await _raw(response))


def _final(result: httpx.Response | RequestFailed) -> httpx.Response:
    """Hand over what the last attempt came to."""
    if isinstance(result, RequestFailed):
        raise result
    return result


def _learn_quota(account: Account, headers: httpx.Headers, body: bytes) -> None:
    """Take an answer of ``GET /me/quota``: rows of organization_id, remaining, resets_in_secs, total."""
    try:
        rows = json.loads(httpx.Response(200, headers=headers, content=body).content)
    except (ValueError, httpx.DecodingError):
        return
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            organization_id, total = row.get("organization_id"), row.get("total")
            remaining, resets_in = row.get("remaining"), row.get("resets_in_secs")
            if isinstance(remaining, int) and isinstance(resets_in, int):
                account.told_quota(
                    organization_id if isinstance(organization_id, int) else None,
                    remaining=remaining,
                    resets_in=resets_in,
                    total=total if isinstance(total, int) and total > 0 else None,
                )


async def _keep_small_upload(request: httpx.Request) -> None:
    """Read a small streamed body into memory, so that it can be sent more than once."""
    if not isinstance(request.stream, httpx.ByteStream):
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= _SMALL:
            await request.aread()


async def _raw(response: httpx.Response) -> bytes:
    """Return the body of an answer as it came; it has been read."""
    stream = response.stream
    return b"".join(stream) if isinstance(stream, httpx.ByteStream) else await response.aread()


async def _copy(response: httpx.Response, body: bytes) -> httpx.Response:
    """Return an answer of its own for a call that shares one."""
    attempted: Attempted = response.extensions[EXTENSION]
    extensions = {**response.extensions, EXTENSION: attrs.evolve(attempted, shared=True)}
    copy = httpx.Response(
        response.status_code, headers=response.headers, stream=httpx.ByteStream(body), extensions=extensions
    )
    if copy.is_error:
        await copy.aread()
        copy.elapsed = dt.timedelta()
    return copy
