"""The attempts of one call: take a turn, send, judge, and repeat, until an answer is final.

Bodies of answers are read here, so that a connection lost half-way through is retried like any other. The
exception is `RequestFacts.streams`: then the body stays on the wire, and occupies its slot until it is
closed.

The attempts of a shared call can change hands. The exchange with Toggl then runs in a task of its own, which
a caller that leaves doesn't cancel.
"""

import datetime as dt
import functools
import http
import json
import re
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from toggl_async.errors import ClientClosed, MaxWaitExceeded, QuotaExceeded, RequestFailed
from toggl_async.scheduler.adapter import EXTENSION, REFUSED, shown_path
from toggl_async.scheduler.attempts.refusals import lesson_of, refusal_of
from toggl_async.scheduler.coalesce import Work
from toggl_async.scheduler.core.foresight import Reason
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.outcome import (
    FIRST_REFUSAL,
    LONGEST_RESET,
    Attempted,
    Outcome,
    OutcomeKind,
    classify,
    read_headers,
)
from toggl_async.scheduler.core.queue import CallState
from toggl_async.scheduler.core.route import RequestFacts, quota_of
from toggl_async.scheduler.core.schedule import Next, Recalled
from toggl_async.scheduler.driver import Background, Driver, Ticket
from toggl_async.scheduler.exchange import Exchange, HeldStream
from toggl_async.scheduler.exchange.bodies import LostRequest, read_answer
from toggl_async.scheduler.transport import httpx
from toggl_async.scheduler.transport.failures import as_failure
from toggl_async.scheduler.transport.inner import InnerTransport

__all__ = ["Attempts"]

_SMALL: Final = 1 << 20
"""Bytes up to which an upload is read into memory, so that it can be sent again after a refusal."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,9}", re.ASCII)

_Result = httpx.Response | RequestFailed


class Attempts(Work[httpx.Response]):
    """The attempts of one call, as far as they have come."""

    __slots__ = (
        "_apart",
        "_call",
        "_driver",
        "_facts",
        "_inner",
        "_next_turn",
        "_request",
        "_result",
    )

    def __init__(
        self,
        inner: InnerTransport,
        driver: Driver,
        window: str,
        facts: RequestFacts,
        request: httpx.Request,
    ) -> None:
        """Draw a place in the queue; nothing else happens before `run`.

        Args:
            inner: what sends the request.
            driver: whose request it is.
            window: the quota window that it spends from.
            facts: what the request declares.
            request: the request.
        """
        self._inner = inner
        self._driver = driver
        self._facts = facts
        self._request = request
        ticket = Ticket(
            method=request.method,
            path=lambda: shown_path(request),
            owner=inner,
            refusal=lambda: refusal_of(driver, request, facts),
        )
        self._call = driver.call(
            facts.priority,
            window,
            ticket,
            route=facts.route,
            reads=facts.reads,
            max_wait=facts.max_wait,
            max_attempts=facts.attempts,
            max_cooldowns=facts.cooldowns,
        )
        self._next_turn = driver.turn
        self._result: _Result | None = None
        self._apart: Background[tuple[_Result, Reason | None]] | None = None
        self.is_followed = False
        self.ran_out: bool = False

    async def run(self, asked_at: float) -> httpx.Response:
        """Take turns until there is a final answer.

        Args:
            asked_at: the loop's time at which the caller asked, who may not have been the first.
        """
        call, driver = self._call, self._driver
        self.ran_out = False
        if not isinstance(self._request.stream, httpx.ByteStream):
            await _keep_small_upload(self._request)
            call.replayable = isinstance(self._request.stream, httpx.ByteStream)
        if call.waited:
            call.waited = min(call.waited, driver.now() - round(asked_at * SECOND))
        while True:
            if self._apart is None:
                try:
                    waiting = self._take_turn()
                    if waiting is not None:
                        await waiting
                except (MaxWaitExceeded, QuotaExceeded):
                    self.ran_out = True
                    if self._result is None:
                        raise
                    return _final(self._result)
                if self._inner.closed:
                    raise driver.refuse(call, ClientClosed("the client was closed"))
            try:
                self._result, reason = await (
                    self._undisturbed() if self.is_followed or self._apart is not None else self._attempt()
                )
            except Recalled as recalled:
                reason = recalled.reason
                self._next_turn = driver.back
                if (remembered := refusal_of(driver, self._request, self._facts)) is not None:
                    raise driver.refuse(call, remembered) from None
            else:
                if reason is None:
                    return _final(self._result)
                self._next_turn = driver.again
            driver.retried(call, reason)

    def _take_turn(self) -> Awaitable[None] | None:
        """Take a turn, or return what waits for it."""
        driver = self._driver
        next_turn, self._next_turn = self._next_turn, driver.turn
        if self._call.state is CallState.DONE:
            next_turn = driver.turn  # a call that waited before has left its place
        return next_turn(self._call)

    def abandon(self) -> None:
        """Take back the request under way, because nobody waits for its answer any more."""
        apart, self._apart = self._apart, None
        if apart is None:
            self._driver.withdraw(self._call)
            return
        # As it ends, and not here: the caller may be cancelled again while it waits.
        apart.stop(lambda: self._driver.withdraw(self._call))

    def copier(self, result: httpx.Response) -> Callable[[], httpx.Response]:
        """Return what makes answers of their own for calls that share one."""
        body = _raw(result)
        attempted: Attempted = result.extensions[EXTENSION]
        shared = Attempted(
            attempts=attempted.attempts,
            waited=attempted.waited,
            maybe_applied=attempted.maybe_applied,
            organization_id=attempted.organization_id,
            total=attempted.total,
            shared=True,
        )
        extensions = {**result.extensions, EXTENSION: shared}

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
        if self._apart is None:
            self._apart = Background(self._attempt())
        try:
            result = await self._apart.wait()
        except Exception:
            self._apart = None
            raise
        # Not in a `finally`: if this caller is cancelled, the next one to lead needs it.
        self._apart = None
        return result

    async def _attempt(self) -> tuple[_Result, Reason | None]:
        """Send the request once; return what came of it, and why to send it again, if so."""
        driver, call, request = self._driver, self._call, self._request
        depart = functools.partial(driver.depart, call)
        began = driver.begin(call)
        exchange = Exchange(self._inner, request, depart)
        streaming = False
        then = Next()
        try:
            response = await exchange.send()
            response, outcome, then = await self._judge(response, began)
            stream = response.stream
            if self._facts.streams and isinstance(stream, httpx.AsyncByteStream) and not response.is_closed:
                response.stream = HeldStream(
                    stream, exchange, broken=self._broken, closed=lambda: driver.finish(call)
                )
                streaming = True
        except LostRequest as lost:
            error = lost.error
            sent = exchange.may_have_left(error)
            then = driver.lost(call, exchange.loss_of(error), type(error).__name__, sent=sent)
            self._free(then)
            failure = as_failure(
                error,
                request,
                path=shown_path(request),
                maybe_applied=sent and not self._facts.reads,
                way=self._inner.way_to(request.url),
                closed=self._inner.closed,
            )
            return failure, then.again
        except Recalled:
            raise
        except anyio.get_cancelled_exc_class():
            exchange.was_cut_off()
            driver.withdraw(call)
            raise
        except BaseException:
            driver.withdraw(call)
            raise
        finally:
            if not streaming:
                exchange.end()
        if not streaming:
            self._free(then)
        self._note(response, outcome, then)
        return response, then.again

    def _free(self, then: Next) -> None:
        """Free the slot, unless the call keeps it for another attempt."""
        if then.again is None:
            self._driver.finish(self._call)

    def _broken(self, error: Exception) -> None:
        """Note that a streamed answer broke off."""
        self._driver.broke_off(self._call, type(error).__name__)

    async def _judge(self, response: httpx.Response, began: int) -> tuple[httpx.Response, Outcome, Next]:
        """Read an answer as far as needed, and let the account learn from it as early as possible.

        Args:
            response: the answer, of which the head has come.
            began: when its request was handed to the network.

        Returns:
            What to hand over, what it means, and what follows for the call.
        """
        driver, call, status = self._driver, self._call, response.status_code
        if status >= FIRST_REFUSAL:
            response = await read_answer(response, self._request, began=began)
            outcome = classify(
                status,
                response.headers,
                response.content,
                route=self._facts.route,
                today=dt.datetime.now(dt.UTC),
            )
            return response, outcome, driver.answered(call, status, outcome)
        outcome = classify(status, read_headers(response.headers.raw), b"")
        then = driver.answered(call, status, outcome)
        if not self._facts.streams:
            response = await read_answer(response, self._request, began=began)
        return response, outcome, then

    def _note(self, response: httpx.Response, outcome: Outcome, then: Next) -> None:
        """Note on an answer how it was obtained, and remember what it teaches."""
        driver, call = self._driver, self._call
        response.extensions[EXTENSION] = Attempted(
            attempts=call.attempts,
            waited=call.waited / SECOND,
            maybe_applied=not self._facts.reads
            and response.status_code >= http.HTTPStatus.INTERNAL_SERVER_ERROR,
            organization_id=quota_of(call.window)[1],
            total=driver.total(call.window),
        )
        if outcome.kind is not OutcomeKind.DONE:
            self._remember(response, outcome, then)
        elif self._facts.route.endswith("/me/quota") and not self._facts.streams:
            _learn_quota(driver, _raw(response))

    def _remember(self, response: httpx.Response, outcome: Outcome, then: Next) -> None:
        """Remember an answer that will not change by asking again."""
        lesson = lesson_of(self._request, response, outcome, self._facts)
        if lesson is None:
            return
        how_long = "for a day"
        if outcome.kind is OutcomeKind.LOGIN:
            response.extensions[REFUSED] = then.login_refused
            how_long = "with these credentials"
        if self._driver.learn(lesson):
            self._driver.tell_remembered(lesson.status, self._facts.route, how_long)


def _final(result: _Result) -> httpx.Response:
    """Return what the last attempt came to, or raise it."""
    if isinstance(result, RequestFailed):
        raise result
    return result


def _learn_quota(driver: Driver, body: bytes) -> None:
    """Take an answer of ``GET /me/quota``: rows of organization_id, remaining, resets_in_secs, total."""
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        return
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            remaining, seconds = _int(row.get("remaining")), _int(row.get("resets_in_secs"))
            if remaining is None or seconds is None or not 0 <= seconds * SECOND <= LONGEST_RESET:
                continue
            organization_id, total = _int(row.get("organization_id")), _int(row.get("total"))
            driver.told_quota(
                "user" if organization_id is None else f"organization:{organization_id}",
                remaining=remaining,
                resets_in=seconds * SECOND,
                total=total if total is not None and total > 0 else None,
            )


def _int(value: object) -> int | None:
    """Return a whole number of a decoded answer; None if it is implausible."""
    if type(value) not in {int, str}:
        return None
    text = str(value).strip()
    return int(text) if _WHOLE.fullmatch(text) else None


async def _keep_small_upload(request: httpx.Request) -> None:
    """Read a small streamed body into memory, so that it can be sent more than once."""
    length = request.headers.get("content-length", "").strip()
    if _WHOLE.fullmatch(length) and 0 <= int(length) <= _SMALL:
        await request.aread()


def _raw(response: httpx.Response) -> bytes:
    """Return the body of an answer that `read_answer` has read."""
    stream = response.stream
    assert isinstance(stream, httpx.ByteStream)  # noqa: S101 - that is what it leaves
    return b"".join(stream)
