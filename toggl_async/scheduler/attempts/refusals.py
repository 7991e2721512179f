"""Refusals that are remembered: what one teaches, and what a request is told in its place."""

from toggl_async.errors import LoginRefused, TogglError
from toggl_async.scheduler.adapter import asks_by_password, shown_path
from toggl_async.scheduler.core.masking import masked, masked_text
from toggl_async.scheduler.core.memory import RefusalMet, error_from_memory, key_of
from toggl_async.scheduler.core.outcome import (
    Outcome,
    OutcomeKind,
    login_attempts_left,
    message_of,
    request_id_of,
)
from toggl_async.scheduler.core.route import RequestFacts
from toggl_async.scheduler.driver import Driver
from toggl_async.scheduler.exchange.bodies import secrets_of
from toggl_async.scheduler.transport import httpx

__all__ = ["lesson_of", "refusal_of"]


def lesson_of(
    request: httpx.Request, response: httpx.Response, outcome: Outcome, facts: RequestFacts
) -> RefusalMet | None:
    """Return what a refusal teaches for later calls, if anything; its body has been read."""
    kind, key = outcome.kind, b""
    if kind is OutcomeKind.LOGIN:
        if facts.account is not None or "authorization" not in request.headers:
            return None  # a session, which is renewed; or nobody's credentials
    elif kind in {OutcomeKind.GONE, OutcomeKind.FEATURE}:
        body = _body_of(request)
        if body is None and kind is OutcomeKind.FEATURE:
            return None  # what was refused isn't known
        path, _, query = request.url.raw_path.partition(b"?")
        key = key_of(kind, request.method, path.decode("ascii"), query, body or b"")
    else:
        return None
    status, headers = response.status_code, response.headers
    secrets = secrets_of(request)
    message = masked_text(message_of(status, headers, response.content), lambda body: masked(body, secrets))
    left = login_attempts_left(headers)
    if left is not None:
        message = f"{message}; login attempts left: {left}"
    return RefusalMet(kind, key, status, message, request_id_of(headers), left)


def refusal_of(driver: Driver, request: httpx.Request, facts: RequestFacts) -> TogglError | None:
    """Return the refusal that is remembered for a request, if any."""
    memories = driver.memories
    if memories.login is None and not memories.refusals:
        return None
    if not facts.recalls and not memories.refuses_login(driver.now()):
        return None
    path, _, query = request.url.raw_path.partition(b"?")
    found = memories.recall(request.method, path.decode("ascii"), query, _body_of(request), driver.now())
    if found is None:
        return None
    if found is memories.login:
        left = found.attempts_left
        return LoginRefused(
            found.message,
            by_password=asks_by_password(request),
            status=found.status,
            method=request.method,
            path=shown_path(request),
            request_id=found.request_id,
            headers={} if left is None else {"x-remaining-login-attempts": str(left)},
            from_memory=True,
        )
    return error_from_memory(found, method=request.method, path=shown_path(request))


def _body_of(request: httpx.Request) -> bytes | None:
    """Return the body of a request; None where it isn't known, as that of a stream."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return None
