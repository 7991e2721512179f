"""The attempts of one call: take a turn, send, judge, and again, until an answer is final.

Bodies of answers are read here, so that a connection lost half-way through is retried like any
other. The exception is `RequestFacts.streams`: then the body stays on the wire, and its slot is taken
until it is closed.

The attempts of a call that others share can change hands. What is said to Toggl then happens in a
task of its own, which the caller who leaves does not take down with him.
"""

import asyncio
import http
import json
from collections.abc import Callable
from typing import Final

import attrs
import httpx

from toggl_async.errors import ClientClosed, MaxWaitExceeded, QuotaExceeded, RequestFailed
from toggl_async.scheduler import retry
from toggl_async.scheduler.account import Account, Recalled
from toggl_async.scheduler.coalesce import Work
from toggl_async.scheduler.events import Reason
from toggl_async.scheduler.exchange import Exchange, HeldStream, LostRequest, as_failure
from toggl_async.scheduler.inner import InnerTransport
from toggl_async.scheduler.outcome import Attempted, Outcome, OutcomeKind, classify, reset_told, whole_of
from toggl_async.scheduler.route import EXTENSION, RequestFacts
from toggl_async.scheduler.scheduler import Scheduler

__all__ = ["Attempts"]

_SMALL: Final = 1 << 20
"""Bytes up to which an upload is read into memory, so that it can be sent again after a refusal."""

_AGAIN: Final = {
    OutcomeKind.THROTTLED: Reason.COOLDOWN,
    OutcomeKind.QUOTA: Reason.QUOTA,
    OutcomeKind.FAILED: Reason.BACKOFF,
}

_Result = httpx.Response | RequestFailed


class Attempts(Work[httpx.Response]):
    """The attempts of one call, as far as they have come."""

    __slots__ = (
        "_account",
        "_call",
        "_inner",
        "_request",
        "_result",
        "_scheduler",
        "_under_way",
        "_waiter",
    )

    def __init__(
        self,
        inner: InnerTransport,
        scheduler: Scheduler,
        account: Account,
        facts: RequestFacts,
        request: httpx.Request,
    ) -> None:
        """Draw a place in the queue; nothing else happens before `run`.

        Args:
            inner: what sends the request.
            scheduler: knows what will be refused, and learns what was.
            account: whose request it is.
            facts: what the request declares.
            request: the request.
        """
        self._inner = inner
        self._scheduler = scheduler
        self._account = account
        self._request = request
        self._call = account.call(facts, request=request, owner=inner)
        self.is_followed = False
        self._result: _Result | None = None
        self._under_way: asyncio.Task[tuple[_Result, Reason | None]] | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def run(self, asked_at: float) -> httpx.Response:
        """Take turns until there is a final answer.

        Args:
            asked_at: the loop's time at which the caller asked, who may not have been the first.
        """
        call, account = self._call, self._account
        if not isinstance(self._request.stream, httpx.ByteStream):
            await _keep_small_upload(self._request)
        if call.waited:
            call.waited = min(call.waited, asyncio.get_running_loop().time() - asked_at)
        while True:
            if self._under_way is None:
                try:
                    waiting = account.admit(call)
                    if waiting is not None:
                        await waiting
                except (MaxWaitExceeded, QuotaExceeded):
                    if self._result is None:
                        raise
                    return _final(self._result)
                if self._inner.closed:
                    account.decline(call)
                    raise ClientClosed("the client was closed")
            try:
                undisturbed = self.is_followed or self._under_way is not None
                self._result, reason = await (self._undisturbed() if undisturbed else self._attempt())
            except Recalled as recalled:
                reason = recalled.reason
                account.decline(call, ready=reason is not Reason.PACE)
                remembered = self._scheduler.recall(account, call.facts, self._request)
                if remembered is not None:
                    raise remembered from None
            else:
                if reason is None:
                    return _final(self._result)
            account.note_retry(call, reason)

    async def abandon(self) -> None:
        """Take back the request under way, because nobody waits for its answer any more."""
        task = self._under_way
        if task is not None:
            task.cancel()
            # Not here, but as it ends: whoever abandons it may be cancelled once more.
            task.add_done_callback(self._abandoned)
            await asyncio.wait([task])

    def _abandoned(self, task: "asyncio.Task[tuple[_Result, Reason | None]]") -> None:
        """Take back the turn of a request that was called back as its last caller left."""
        if not task.cancelled() and isinstance(task.exception(), Recalled):
            self._account.decline(self._call)

    def copier(self, result: httpx.Response) -> Callable[[], httpx.Response]:
        """Return what makes answers of their own for calls that share one."""
        body = _raw(result)
        attempted: Attempted = result.extensions[EXTENSION]
        extensions = {**result.extensions, EXTENSION: attrs.evolve(attempted, shared=True)}

        def copy() -> httpx.Response:
            stream = httpx.ByteStream(body)
            response = httpx.Response(
                result.status_code, headers=result.headers, stream=stream, extensions=extensions
            )
            if response.is_error:
                response.read()
                response.elapsed = result.elapsed
            return response

        return copy

    async def _undisturbed(self) -> tuple[_Result, Reason | None]:
        """Make an attempt, or wait for the one under way, which goes on if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        task = self._under_way
        if task is None:
            task = self._under_way = loop.create_task(self._attempt_in_task())
        if not task.done():
            self._waiter = loop.create_future()
            await self._waiter
        self._under_way = None
        return task.result()

    async def _attempt_in_task(self) -> tuple[_Result, Reason | None]:
        """Make an attempt, and wake whoever waits for it then; `asyncio.shield` would take more rounds."""
        try:
            return await self._attempt()
        finally:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    async def _attempt(self) -> tuple[_Result, Reason | None]:
        """Send the request once; return what came of it, and why to send it again, if so."""
        account, call, request = self._account, self._call, self._request
        if self._is_hopeless():
            raise Recalled(Reason.QUEUE)
        exchange = Exchange(self._inner, account, call, request, hopeless=self._is_hopeless)
        replayable = isinstance(request.stream, httpx.ByteStream)
        held = streaming = False
        try:
            response = await exchange.send()
            outcome = await self._judge(exchange, response)
            stream = response.stream
            if call.facts.streams and isinstance(stream, httpx.AsyncByteStream) and not response.is_closed:
                response.stream = HeldStream(stream, account, call, exchange)
                held = streaming = True
        except LostRequest as lost:
            error = lost.error
            sent = exchange.may_have_left(error)
            account.lost(call, type(error).__name__, sent=sent)
            call.failures += 1
            again = not isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
            again = again and self._may_retry(sent=sent, replayable=replayable)
            return as_failure(error, request, call, sent=sent), Reason.BACKOFF if again else None
        except Recalled:
            held = True  # the turn goes back as it came
            raise
        except asyncio.CancelledError:
            exchange.was_cut_off()
            raise
        finally:
            if not streaming:
                exchange.end()
            if not held:
                account.release(call)
        self._note(response, outcome)
        if outcome.kind is OutcomeKind.DONE:
            return response, None
        reason = _AGAIN.get(outcome.kind) if replayable else None
        if outcome.kind is OutcomeKind.FAILED:
            call.failures += 1
            if not self._may_retry(sent=True, replayable=replayable):
                reason = None
        return response, reason

    async def _judge(self, exchange: Exchange, response: httpx.Response) -> Outcome:
        """Read an answer as far as needed, and let the account learn from it as early as possible."""
        account, call, status = self._account, self._call, response.status_code
        if status >= http.HTTPStatus.BAD_REQUEST:
            await exchange.read(response)
            outcome = classify(status, response.headers, response.content)
            account.answered(call, status, outcome)
            return outcome
        outcome = classify(status, response.headers, b"")
        account.answered(call, status, outcome)
        if not call.facts.streams:
            await exchange.read(response)
        return outcome

    def _may_retry(self, *, sent: bool, replayable: bool) -> bool:
        return retry.may_retry(
            attempts=self._call.failures,
            reads=self._call.facts.reads,
            sent=sent,
            replayable=replayable,
            options=self._scheduler.options.retry,
        )

    def _is_hopeless(self) -> bool:
        """Say whether the refusal of the request is known by now."""
        return self._scheduler.knows(self._account, self._call.facts, self._request)

    def _note(self, response: httpx.Response, outcome: Outcome) -> None:
        """Mark an answer with how it was come by; remember what it teaches."""
        account, call = self._account, self._call
        window = call.window.current()
        response.extensions[EXTENSION] = Attempted(
            attempts=call.attempts,
            waited=call.waited,
            maybe_applied=outcome.kind is OutcomeKind.FAILED and not call.facts.reads,
            organization_id=window.organization_id,
            total=window.total,
        )
        if outcome.kind is not OutcomeKind.DONE:
            self._scheduler.remember(account, call.facts, self._request, response, outcome)
        elif call.facts.route.endswith("/me/quota") and not call.facts.streams:
            _learn_quota(account, _raw(response))


def _final(result: _Result) -> httpx.Response:
    """Hand over what the last attempt came to."""
    if isinstance(result, RequestFailed):
        raise result
    return result


def _learn_quota(account: Account, body: bytes) -> None:
    """Take an answer of ``GET /me/quota``: rows of organization_id, remaining, resets_in_secs, total."""
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        return
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            resets_in = reset_told(_int(row.get("resets_in_secs")))
            if (remaining := _int(row.get("remaining"))) is not None and resets_in is not None:
                total = _int(row.get("total"))
                account.told_quota(
                    _int(row.get("organization_id")),
                    remaining=remaining,
                    resets_in=resets_in,
                    total=total if total is not None and total > 0 else None,
                )


def _int(value: object) -> int | None:
    """Return a whole number that can be true, of a decoded answer."""
    return whole_of(str(value)) if type(value) in {int, str} else None


async def _keep_small_upload(request: httpx.Request) -> None:
    """Read a small streamed body into memory, so that it can be sent more than once."""
    length = request.headers.get("content-length", "")
    size = whole_of(length)
    if size is not None and 0 <= size <= _SMALL:
        await request.aread()


def _raw(response: httpx.Response) -> bytes:
    """Return the body of an answer that `Exchange.read` has read."""
    stream = response.stream
    assert isinstance(stream, httpx.ByteStream)  # noqa: S101 - that is what it leaves
    return b"".join(stream)
