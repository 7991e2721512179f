"""What an answer means: pure functions from status, headers and body to a verdict, an error, a message.

Toggl says the same thing in several ways, and different things in the same way:

* Too fast is a 429 whose body is nginx's HTML. Older balancers answer the same condition with a
  **400** and that very HTML; a 400 of the API itself is JSON or plain text.
* A **402** is either the hourly quota (wait for the reset) or a feature that the plan lacks (never
  ask again). Both come with quota headers, because every answer does. So the body is asked first:
  the quota's names its reset in seconds. Only a body that says nothing leaves the decision to
  ``X-Toggl-Quota-Remaining``.
* Messages come as a JSON string, as the same text unquoted, in ``{"error": {"message"}}``, in
  ``{"error_message"}``, as HTML, or not at all.
"""

import datetime as dt
import email.utils
import enum
import http
import json
import re
from collections.abc import Mapping
from typing import Final

import attrs
import httpx

from toggl_async import errors
from toggl_async.scheduler.route import EXTENSION

__all__ = [
    "REFUSED",
    "RESET_MARGIN",
    "WINDOW",
    "Attempted",
    "Outcome",
    "OutcomeKind",
    "classify",
    "error_of",
    "login_refused",
    "message_of",
    "refuses_credentials",
    "request_id_of",
    "reset_told",
    "whole_of",
]

RESET_MARGIN: Final = 1.0
"""Seconds added to a reset that Toggl announced in whole seconds, so as not to come a moment early."""

UNKNOWN_RESET: Final = 60.0
"""Seconds to wait after a quota 402 that did not say when its window resets."""

WINDOW: Final = 3600.0
"""Seconds that a quota window lasts; a rest is never asked for longer either."""

_WINDOW_AT_MOST: Final = WINDOW + 60.0
"""Seconds to a reset that are believed, at most: a window's, and some for rounding and slow clocks."""

_MESSAGE_LIMIT: Final = 1000
_WHOLE: Final = re.compile(r"-?[0-9]{1,9}", re.ASCII)
"""Whole numbers that can be true: nothing is counted in thousands of millions."""
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?", re.ASCII)
_QUOTA_RESET: Final = re.compile(r"(?i)quota will reset in ([0-9]+) seconds")
_QUOTA_WORDS: Final = re.compile(r"(?i)hourly limit|quota will reset")
_FEATURE_WORDS: Final = re.compile(
    r"(?i)premium|feature|available (?:only )?for|\bplan\b|subscription|upgrade"
)


REFUSED: Final = "toggl_async.credentials_refused"
"""The key of `httpx.Response.extensions` under which an answer says that credentials were refused."""

_WRONG_WORDS: Final = re.compile(r"(?i)incorrect (?:username|e-?mail)\b.*\bpassword")

_OWN_PATHS: Final = ("/api/v9/me", "/api/v9/me/logged")
"""Whoever has valid credentials may read these: a 403 leaves no doubt."""


class OutcomeKind(enum.Enum):
    """What the scheduler does about an answer."""

    DONE = "done"
    """1xx to 3xx: hand it over."""
    THROTTLED = "throttled"
    """429, or 400 by nginx: not processed; cool down and send it again."""
    QUOTA = "quota"
    """402, hourly quota: not processed; wait for the reset and send it again."""
    FEATURE = "feature"
    """402, the plan lacks it: remember it."""
    GONE = "gone"
    """410: remember it."""
    FAILED = "failed"
    """5xx: perhaps processed; send reads again after a delay."""
    DENIED = "denied"
    """Any other 4xx: hand it over, once."""


@attrs.frozen(kw_only=True)
class Outcome:
    """The verdict on one answer.

    Attributes:
        kind: what to do about it.
        remaining: requests left in the quota window that it was counted in; None when not said.
        resets_in: seconds until that window resets; None when not said.
        retry_after: seconds that the server asked to wait; None when it did not.
    """

    kind: OutcomeKind
    remaining: int | None = None
    resets_in: float | None = None
    retry_after: float | None = None


@attrs.frozen(kw_only=True)
class Attempted:
    """How an answer was come by: ``response.extensions["toggl_async"]``.

    Attributes:
        attempts: how often the request had its turn; it left no more often than that.
        waited: seconds that it waited for its turns.
        maybe_applied: whether Toggl may have carried out a write that it did not confirm.
        organization_id: whose quota it spent, as far as known; None for the user's own.
        total: requests that a window of this quota allows, as far as known.
        shared: whether the answer came from an identical request under way.
    """

    attempts: int
    waited: float
    maybe_applied: bool = False
    organization_id: int | None = None
    total: int | None = None
    shared: bool = False


def classify(status: int, headers: httpx.Headers, body: bytes) -> Outcome:
    """Return the verdict on an answer.

    Args:
        status: the HTTP status.
        headers: the headers.
        body: the decoded body; that of an answer under 400 is not looked at.
    """
    remaining, resets_in = _quota_told(headers)
    if status < http.HTTPStatus.BAD_REQUEST:
        return Outcome(kind=OutcomeKind.DONE, remaining=remaining, resets_in=resets_in)
    kind = OutcomeKind.DENIED
    retry_after = None
    if status == http.HTTPStatus.PAYMENT_REQUIRED:
        text = message_of(status, headers, body)
        kind = _payment(text, remaining)
        if kind is OutcomeKind.QUOTA and (named := _QUOTA_RESET.search(text)):
            told = reset_told(whole_of(named[1]))
            resets_in = resets_in if told is None else told
    elif status == http.HTTPStatus.TOO_MANY_REQUESTS or (
        status == http.HTTPStatus.BAD_REQUEST and _is_nginx(headers, body)
    ):
        kind = OutcomeKind.THROTTLED
        retry_after = _retry_after(headers)
    elif status == http.HTTPStatus.GONE:
        kind = OutcomeKind.GONE
    elif status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = OutcomeKind.FAILED
        retry_after = _retry_after(headers)
    return Outcome(kind=kind, remaining=remaining, resets_in=resets_in, retry_after=retry_after)


def _payment(text: str, remaining: int | None) -> OutcomeKind:
    """Tell the two 402s apart: by the words, then by what is left of the quota."""
    if _QUOTA_WORDS.search(text):
        return OutcomeKind.QUOTA
    if _FEATURE_WORDS.search(text):
        return OutcomeKind.FEATURE
    return OutcomeKind.QUOTA if remaining is not None and remaining <= 0 else OutcomeKind.FEATURE


def _is_nginx(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() and b"nginx" in body.lower()


def _quota_told(headers: httpx.Headers) -> tuple[int | None, int | None]:
    """Return what is left of the quota, and the seconds to its reset, where the headers say so.

    One pass over them: every answer comes by here, and `httpx.Headers.get` makes a pass for each name.
    """
    remaining = resets_in = None
    for name, value in headers.raw:
        match name.lower():
            case b"x-toggl-quota-remaining":
                remaining = whole_of(value.decode("latin-1"))
            case b"x-toggl-quota-resets-in":
                resets_in = reset_told(whole_of(value.decode("latin-1")))
    return remaining, resets_in


def whole_of(text: str) -> int | None:
    """Read a whole number that the server sent; None where it is none, or too large to be true."""
    text = text.strip()
    return int(text) if _WHOLE.fullmatch(text) else None


def reset_told(seconds: int | None) -> int | None:
    """Return the seconds to a reset that the server told; None where they can't be true of a window."""
    return seconds if seconds is not None and 0 <= seconds <= _WINDOW_AT_MOST else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After in seconds, at most an hour; a date is measured against the server's own clock."""
    value = headers.get("retry-after")
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(WINDOW, float(value))
    until = _date(value)
    if until is None:
        return None
    now = _date(headers.get("date", "")) or dt.datetime.now(dt.UTC)
    return min(WINDOW, max(0.0, (until - now).total_seconds()))


def _date(value: str) -> dt.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except Exception:  # noqa: BLE001 - whatever the parser thinks of it: it is what a server sent
        return None


def message_of(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Return Toggl's own words, or the name of the status when it sent none."""
    text = body.decode("utf-8", "replace").strip()
    if text and "html" not in headers.get("content-type", "").lower() and not text.startswith("<"):
        try:
            found = _words(json.loads(text))
        except (ValueError, RecursionError):
            found = text
        if found:
            return found if len(found) <= _MESSAGE_LIMIT else found[:_MESSAGE_LIMIT] + "…"
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def refuses_credentials(status: int, headers: Mapping[str, str], body: bytes, *, route: str) -> bool:
    """Say whether a refusal leaves no doubt that the credentials are wrong.

    A 403 that is neither on the user's own path nor says so can mean that a right is missing.

    Args:
        status: the HTTP status.
        headers: the headers.
        body: the decoded body.
        route: method and path template of the request.
    """
    if status == http.HTTPStatus.UNAUTHORIZED:
        return True
    return status == http.HTTPStatus.FORBIDDEN and (
        (route.startswith("GET ") and route.endswith(_OWN_PATHS))
        or _attempts_left(headers) is not None
        or _WRONG_WORDS.search(message_of(status, headers, body)) is not None
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
    message = message or message_of(response.status_code, headers, body)
    left = _attempts_left(headers)
    return errors.LoginRefused(
        message if left is None else f"{message}; login attempts left: {left}",
        status=response.status_code,
        method=method,
        path=path,
        request_id=request_id_of(headers),
        headers=headers,
        body=body,
    )


def _attempts_left(headers: Mapping[str, str]) -> int | None:
    """Return how many logins may still fail, where an answer says so."""
    attempts = whole_of(headers.get("x-remaining-login-attempts", ""))
    return attempts if attempts is not None and attempts >= 0 else None


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return Toggl's id of a request, from the answer's headers (case-insensitive, or lower case)."""
    return headers.get("x-toggl-request-id") or headers.get("x-request-id")


def _words(value: object) -> str:
    """Find the message in a decoded body of any shape seen."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        for key in ("error_message", "message", "error", "errors", "detail"):
            if words := _words(value.get(key)):
                tip = value.get("tip")
                return f"{words} ({tip})" if isinstance(tip, str) and tip else words
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value)))
    return ""


_BY_STATUS: Final[dict[int, type[errors.ResponseError]]] = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.EndpointGone,
}


def error_of(response: httpx.Response, *, method: str, path: str) -> errors.ResponseError:
    """Return the typed error for an answer that is no success, whose body has been read if it can be.

    Args:
        response: the answer, as `ScheduledTransport` or any other transport returned it.
        method: the HTTP method of the request.
        path: its path, without the query.
    """
    status, headers = response.status_code, response.headers
    try:
        body = response.content
    except httpx.ResponseNotRead:  # an odd encoding kept it from being read, and the status says enough
        body = b""
    outcome = classify(status, headers, body)
    attempted = response.extensions.get(EXTENSION)
    if not isinstance(attempted, Attempted):
        attempted = None
    message = message_of(status, headers, body)
    request_id = request_id_of(headers)
    if outcome.kind is OutcomeKind.QUOTA:
        wait = (UNKNOWN_RESET if outcome.resets_in is None else outcome.resets_in) + RESET_MARGIN
        return errors.QuotaExceeded(
            message,
            reset_at=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait),
            remaining=outcome.remaining or 0,
            total=attempted.total if attempted else None,
            organization_id=attempted.organization_id if attempted else None,
            method=method,
            path=path,
            request_id=request_id,
            headers=headers,
            body=body,
        )
    if outcome.kind is OutcomeKind.FAILED:
        return errors.ServerError(
            message,
            maybe_applied=attempted.maybe_applied if attempted else method not in {"GET", "HEAD"},
            status=status,
            method=method,
            path=path,
            request_id=request_id,
            headers=headers,
            body=body,
        )
    kind: type[errors.ResponseError] = _BY_STATUS.get(status, errors.ResponseError)
    if outcome.kind is OutcomeKind.THROTTLED:
        kind = errors.RateLimited
    elif outcome.kind is OutcomeKind.FEATURE:
        kind = errors.FeatureUnavailable
    return kind(
        message, status=status, method=method, path=path, request_id=request_id, headers=headers, body=body
    )
