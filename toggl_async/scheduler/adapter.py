"""Between httpx's messages and the core: what a request declares, what an answer means."""

import contextlib
import datetime as dt
import http.cookies
from collections.abc import Callable
from typing import Final

from toggl_async import errors
from toggl_async.scheduler.core import credentials, pages, route
from toggl_async.scheduler.core import outcome as core
from toggl_async.scheduler.core.masking import masked_headers, masked_text
from toggl_async.scheduler.core.outcome import Attempted, classify
from toggl_async.scheduler.core.route import RequestFacts
from toggl_async.scheduler.transport import httpx

__all__ = [
    "EXTENSION",
    "REFUSED",
    "asks_by_password",
    "credential_of",
    "error_of",
    "facts_of",
    "login_refused",
    "page_in",
    "refuse_key",
    "shown_path",
    "words_of_another",
]

EXTENSION: Final = "toggl_async"
"""The key of `httpx.Request.extensions` under which a client passes its `RequestFacts`, and of
`httpx.Response.extensions` under which an `Attempted` says how an answer was obtained."""

REFUSED: Final = "toggl_async.credentials_refused"
"""The key of `httpx.Response.extensions` under which an answer says that credentials were refused."""

_OF_A_SERVER: Final = frozenset({400, 408, 429})
"""What nginx says in HTML: 400 is a 429 of older balancers."""

_NAME_LENGTH: Final = len(b"authorization")
_ITS_HOST: Final = "focus.toggl.com"
_SESSION_COOKIES: Final = ("__Secure-accounts-session", "__Host-timer-session")


def facts_of(
    request: httpx.Request, *, max_wait: float | None = 600.0, coalesce: bool = True
) -> RequestFacts:
    """Return the facts that a request carries, or derive them from its method and URL.

    Args:
        request: the request, with `RequestFacts` in its extension `EXTENSION` or without.
        max_wait: seconds that a request without declared facts may wait; None forever.
        coalesce: whether a request without declared facts may share its answer.
    """
    declared = request.extensions.get(EXTENSION)
    if isinstance(declared, RequestFacts):
        return declared
    return route.facts_of(request.method, request.url.raw_path, max_wait=max_wait, coalesce=coalesce)


def credential_of(request: httpx.Request) -> str:
    """Return what proves who asks."""
    declared = request.extensions.get(EXTENSION)
    if isinstance(declared, RequestFacts) and declared.account:
        return declared.account
    headers = request.headers
    for name, value in headers.raw:  # `headers.get` looks through all of them twice
        if value and len(name) == _NAME_LENGTH and name.lower() == b"authorization":
            # All encodings of headers agree on ASCII, and httpx decodes every header to say which one it is.
            return value.decode("ascii" if value.isascii() else headers.encoding)
    return _session(headers.get("cookie", ""))


def asks_by_password(request: httpx.Request) -> bool:
    """Say whether a request proves who asks by a password, or by the session that one opened."""
    return credentials.is_password(request.headers.get("authorization", ""))


def page_in(response: httpx.Response) -> str:
    """Say that a page of HTML came that isn't Toggl's, and its title; nothing where none was read."""
    stream = response.stream
    body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else b""
    return pages.words_of_page(body) if pages.is_page(response.headers, body) else ""


def words_of_another(response: httpx.Response, url: str) -> str:
    """Say what came, if it comes from a proxy or a network that wants a login first; else nothing.

    A server that fails, or asks for a rest, is Toggl's, whatever it sends.
    """
    if response.status_code in _OF_A_SERVER or response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ""
    if core.login_attempts_left(response.headers) is None and (page := page_in(response)):
        return page
    if response.has_redirect_location:
        asked = httpx.URL(url)
        try:
            there = asked.join(response.headers["location"])
        except httpx.InvalidURL:
            return "it redirects to an invalid URL"
        if there.host != asked.host:
            return f"it redirects to {there.host}: a login page of the network may be in the way"
    return ""


def refuse_key(request: httpx.Request) -> None:
    """Refuse a request that takes a key of Toggl 2.0 anywhere but there.

    Raises:
        InvalidInput: it does.
    """
    header = request.headers.get("authorization", "")
    if request.url.host != _ITS_HOST and credentials.holds_key_of_another_product(header):
        raise errors.InvalidInput(
            f"the request's Authorization header contains {credentials.KEY_OF_ANOTHER_PRODUCT}"
        )


def shown_path(request: httpx.Request) -> str:
    """Return the path of a request as errors may show it: without the query, codes and tokens."""
    return route.shown_path(facts_of(request).route, request.url.raw_path)


def error_of(
    response: httpx.Response, *, method: str, path: str, mask: Callable[[bytes], bytes] = bytes
) -> errors.ResponseError:
    """Return the typed error for an answer that isn't a success, whose body has been read if it can be.

    Args:
        response: the answer, as `ScheduledTransport` or any other transport returned it.
        method: the HTTP method of the request.
        path: its path, without the query.
        mask: blanks the credentials of the request, which the answer may repeat.
    """
    try:
        body = mask(response.content)
    except httpx.ResponseNotRead:  # an odd encoding kept it from being read, and the status says enough
        body = b""
    attempted = response.extensions.get(EXTENSION)
    return core.error_of(
        classify(response.status_code, response.headers, body),
        response.status_code,
        masked_headers(response.headers, mask),
        body,
        method=method,
        path=path,
        attempted=attempted if isinstance(attempted, Attempted) else None,
        today=dt.datetime.now(dt.UTC),
        mask=mask,
    )


def login_refused(
    response: httpx.Response,
    *,
    method: str,
    path: str,
    by_password: bool,
    mask: Callable[[bytes], bytes],
    message: str = "",
) -> errors.LoginRefused:
    """Return the error of an answer that refuses credentials.

    Args:
        response: the answer, whose body has been read if it is an error.
        method: the HTTP method of the request.
        path: its path, without the query.
        by_password: whether the credentials were an e-mail address and a password.
        mask: blanks the credentials, which the answer may repeat.
        message: words for an answer that has none of its own.
    """
    headers = masked_headers(response.headers, mask)
    headers.pop("set-cookie", None)
    body = mask(response.content) if response.is_error else b""
    message = message or masked_text(core.message_of(response.status_code, headers, body), mask)
    left = core.login_attempts_left(headers)
    return errors.LoginRefused(
        message if left is None else f"{message}; login attempts left: {left}",
        by_password=by_password,
        status=response.status_code,
        method=method,
        path=path,
        request_id=core.request_id_of(headers),
        headers=headers,
        body=body,
    )


def _session(cookies: str) -> str:
    """Return the session cookie of a Cookie header, or all of it where none is known by name."""
    if any(name in cookies for name in _SESSION_COOKIES):
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):  # a server may have set odd ones
            jar.load(cookies)
        for name in _SESSION_COOKIES:
            if name in jar:
                return jar[name].value
    return cookies
