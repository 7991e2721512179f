"""Between httpx's messages and the core: what a request declares, what an answer means."""

import datetime as dt
from typing import Final

from toggl_async import errors
from toggl_async.scheduler.core import outcome as core
from toggl_async.scheduler.core import route
from toggl_async.scheduler.core.outcome import Attempted, classify
from toggl_async.scheduler.core.route import RequestFacts
from toggl_async.scheduler.transport import httpx

__all__ = ["EXTENSION", "REFUSED", "error_of", "facts_of", "login_refused", "shown_path"]

EXTENSION: Final = "toggl_async"
"""The key of `httpx.Request.extensions` under which a client hands over its `RequestFacts`, and of
`httpx.Response.extensions` under which an `Attempted` says how an answer was come by."""

REFUSED: Final = "toggl_async.credentials_refused"
"""The key of `httpx.Response.extensions` under which an answer says that credentials were refused."""


def facts_of(
    request: httpx.Request, *, max_wait: float | None = 600.0, coalesce: bool = True
) -> RequestFacts:
    """Return the facts that a request carries, or derive them from its method and URL.

    Args:
        request: the request, with `RequestFacts` in its extension `EXTENSION` or without.
        max_wait: seconds that a request without declared facts may wait; None for ever.
        coalesce: whether a request without declared facts may share its answer.
    """
    declared = request.extensions.get(EXTENSION)
    if isinstance(declared, RequestFacts):
        return declared
    return route.facts_of(request.method, request.url.raw_path, max_wait=max_wait, coalesce=coalesce)


def shown_path(request: httpx.Request) -> str:
    """Return the path of a request as errors may show it: without the query, codes and tokens."""
    return route.shown_path(facts_of(request).route, request.url.raw_path)


def error_of(response: httpx.Response, *, method: str, path: str) -> errors.ResponseError:
    """Return the typed error for an answer that isn't a success, whose body has been read if it can be.

    Args:
        response: the answer, as `ScheduledTransport` or any other transport returned it.
        method: the HTTP method of the request.
        path: its path, without the query.
    """
    try:
        body = response.content
    except httpx.ResponseNotRead:  # an odd encoding kept it from being read, and the status says enough
        body = b""
    attempted = response.extensions.get(EXTENSION)
    return core.error_of(
        classify(response.status_code, response.headers, body),
        response.status_code,
        response.headers,
        body,
        method=method,
        path=path,
        attempted=attempted if isinstance(attempted, Attempted) else None,
        today=dt.datetime.now(dt.UTC),
    )


def login_refused(
    response: httpx.Response, *, method: str, path: str, message: str = ""
) -> errors.LoginRefused:
    """Return the error of an answer that refuses credentials.

    Args:
        response: the answer, whose body has been read if it is an error.
        method: the HTTP method of the request.
        path: its path, without the query.
        message: words for an answer that has none of its own.
    """
    headers = {name: value for name, value in response.headers.items() if name != "set-cookie"}
    body = response.content if response.is_error else b""
    message = message or core.message_of(response.status_code, headers, body)
    left = core.login_attempts_left(headers)
    return errors.LoginRefused(
        message if left is None else f"{message}; login attempts left: {left}",
        status=response.status_code,
        method=method,
        path=path,
        request_id=core.request_id_of(headers),
        headers=headers,
        body=body,
    )
