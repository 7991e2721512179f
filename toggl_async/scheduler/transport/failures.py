"""Requests that got no answer: whether sending them again can help, and what their errors say."""

import re
import ssl
from typing import Final

from toggl_async.errors import ConnectionFailed, InvalidInput, RequestFailed, RequestTimeout, printable
from toggl_async.scheduler.transport import httpx

__all__ = ["as_failure", "failure_type", "is_hopeless", "told"]

_FINAL: Final = re.compile(r"\s*4(?!08|25|29)[0-9]{2}\b")
"""How the message of a proxy that refuses for good begins; with other statuses, it may just be busy."""

_SENTENCES: Final = (
    (httpx.ConnectTimeout, "no connection{within}"),
    (httpx.WriteTimeout, "the request could not be sent{within}"),
    (httpx.PoolTimeout, "no connection was free{within}"),
    (httpx.ReadTimeout, "no answer came{within}"),
    (httpx.ProxyError, "the proxy refused to connect"),
    (httpx.ConnectError, "cannot connect"),
    (httpx.WriteError, "the connection was lost while the request was being sent"),
    (httpx.NetworkError, "the connection was lost before the answer was complete"),
    (httpx.RemoteProtocolError, "the server closed the connection early, or did not answer in HTTP"),
)

_QUOTED: Final = re.compile(r"(?:\bbytearray\()?\bb['\"].*", re.DOTALL)
"""Bytes that an error quotes."""


def is_hopeless(error: Exception) -> bool:
    """Say whether a request is bound to fail again.

    A certificate that can't be verified, a proxy that refuses (five wrong passwords lock an account of a
    directory), a request that can't be encoded, middleware that does what it must not.
    """
    error = _unwrapped(error)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | InvalidInput):
        return True
    if isinstance(error, httpx.ProxyError):
        return _FINAL.match(str(error)) is not None
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _unwrapped(error: Exception) -> Exception:
    """Return what a task group of a transport was left with, if that is one exception."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and those that led to it."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    # A transport that raises one exception object time and again makes it part of its own history.
    while cause is not None and all(cause is not known for known in causes):
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def told(error: Exception, timeouts: object = None) -> str:
    """Say in words what happened, followed by the name of the exception and its message.

    Args:
        error: what a transport raised.
        timeouts: the timeouts of the request, as httpx has them in its extensions.
    """
    error = _unwrapped(error)
    _forget_quotes(error)
    name, words = type(error).__name__, printable(str(error))
    detail = f"{name}: {words}" if words else name
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return f"{sentence.format(within=_within(error, timeouts))} ({detail})"
    return detail


def _forget_quotes(error: Exception) -> None:
    """Cut off what an error and its causes quote of an answer: the line that isn't HTTP may set a cookie."""
    for cause in _causes(error):
        words = cause.args[0] if cause.args else None
        if isinstance(words, str) and _QUOTED.search(words):
            cause.args = (_QUOTED.sub("…", words), *cause.args[1:])


def _within(error: Exception, timeouts: object) -> str:
    """Return how long the request waited, if that is known."""
    what = type(error).__name__.removesuffix("Timeout").lower()
    seconds = timeouts.get(what) if isinstance(timeouts, dict) else None
    return f" within {seconds:g} s" if isinstance(seconds, int | float) else ""


def failure_type(error: Exception) -> type[ConnectionFailed | RequestTimeout]:
    """Return the type of the error for what a transport raised."""
    late = isinstance(_unwrapped(error), httpx.TimeoutException | TimeoutError)
    return RequestTimeout if late else ConnectionFailed


def as_failure(
    error: Exception,
    request: httpx.Request,
    *,
    path: str,
    maybe_applied: bool,
    way: str = "",
    closed: bool = False,
) -> RequestFailed:
    """Return the typed error for what an inner transport raised, with that as its cause.

    Args:
        error: what it raised.
        request: the request.
        path: its path as it may be shown.
        maybe_applied: whether Toggl may have carried it out.
        way: the proxy that was used, if any, as it may be shown.
        closed: whether the client was closed meanwhile.
    """
    kind: type[RequestFailed] = failure_type(error)
    cause, error = error, _unwrapped(error)
    words = told(error, request.extensions.get("timeout"))
    if isinstance(error, InvalidInput):
        kind, words = RequestFailed, str(error)
    if closed:
        words = f"the client was closed before the answer was complete: {words}"
    if way:
        words += f", through {way}"
    failure = kind(words, method=request.method, path=path, maybe_applied=maybe_applied)
    if isinstance(error, httpx.RequestError):
        # The request holds the credential, and what is secret in its URL and its body.
        error.request = httpx.Request(request.method, request.url.copy_with(raw_path=failure.path.encode()))
    failure.__cause__ = cause
    return failure
