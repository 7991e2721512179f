"""What an answer means: from status, headers and body to an outcome, an error, a message.

Toggl says the same thing in several ways, and different things in the same way:

* Too fast is a 429 whose body is nginx's HTML. Older balancers answer the same condition with a
  **400** and that very HTML; a 400 of the API itself is JSON or plain text.
* A **402** is either the hourly quota (wait for the reset) or a feature that the plan lacks (never
  ask again). Both come with quota headers, because every answer does. So the body is asked first:
  the quota's names its reset in seconds. One that says nothing leaves the decision to
  ``X-Toggl-Quota-Remaining``; without that, too, nothing is concluded from it.
* A **403** is either wrong credentials or no right to this. On ``/me``, to which everybody has a
  right, it leaves no doubt; elsewhere the words may. If not, the client asks (`_client.login`).
* A 401, 403 or 410 that is a page of HTML, but not nginx's, is the word of something in the way.
* Messages come as a JSON string, as the same text unquoted, in ``{"error": {"message"}}``, in
  ``{"error_message"}``, as HTML, or not at all.

Reading never raises, whatever the bytes are, and impossible numbers are ignored: a window lasts an hour, and
a rest about an hour at most.
"""

import datetime as dt
import email.utils
import enum
import http
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from toggl_async import errors
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.masking import masked_text
from toggl_async.scheduler.core.pages import is_page, words_of_page
from toggl_async.scheduler.core.windows import HOUR, RESET_MARGIN, UNKNOWN_RESET

__all__ = [
    "FIRST_REFUSAL",
    "Attempted",
    "Outcome",
    "OutcomeKind",
    "classify",
    "error_of",
    "login_attempts_left",
    "message_of",
    "read_headers",
    "request_id_of",
]

FIRST_REFUSAL: Final = int(http.HTTPStatus.BAD_REQUEST)
"""From this status on an answer is a refusal. A plain number: on Python 3.11 each look at a member of
`http.HTTPStatus` calls a function."""
LONGEST_REST: Final = HOUR
"""The longest Retry-After that is believed; a longer one counts as this."""
LONGEST_RESET: Final = HOUR + 60 * SECOND
MOST_REQUESTS: Final = 10_000_000
"""More than this can't be a number of requests left in an hour."""

_FOR_GOOD: Final = frozenset({501, 505, 511})
"""The 5xx that aren't accidents: asking again returns the same answer."""

_REMEMBERED: Final = frozenset({401, 403, 410})
"""What is remembered, or may be, where Toggl says it."""

_MESSAGE_LIMIT: Final = 500
_NUMBER: Final = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*")
_DIGITS: Final = 15
_WHOLE: Final = re.compile(rf"\s*(-?\d{{1,{_DIGITS}}})\s*")
_QUOTA_RESET: Final = re.compile(r"(?i)quota will reset in (\d{1,9}) seconds")
_QUOTA_WORDS: Final = re.compile(r"(?i)hourly limit|quota will reset")
_FEATURE_WORDS: Final = re.compile(
    r"(?i)premium|feature|available (?:only )?for|\bplan\b|subscription|upgrade"
)
_WRONG_CREDENTIALS: Final = re.compile(r"(?i)incorrect (?:username|e-?mail)\b.*\bpassword")
_ME: Final = re.compile(r"[A-Z]+ (?:/api/v9)?/me(?:/logged)?")

_READ: Final = {
    name.encode(): name
    for name in (
        "content-type",
        "date",
        "retry-after",
        "x-remaining-login-attempts",
        "x-request-id",
        "x-toggl-quota-remaining",
        "x-toggl-quota-resets-in",
        "x-toggl-request-id",
    )
}


class OutcomeKind(enum.Enum):
    """What the scheduler does about an answer."""

    DONE = "done"
    """1xx to 3xx: hand it over."""
    THROTTLED = "throttled"
    """429, or 400 by nginx: not processed; rest and send it again."""
    QUOTA = "quota"
    """402, hourly quota: not processed; wait for the reset and send it again."""
    FEATURE = "feature"
    """402, the plan lacks it: remember it."""
    GONE = "gone"
    """410: remember it."""
    FAILED = "failed"
    """5xx: perhaps processed; send reads again after a delay."""
    UNSUPPORTED = "unsupported"
    """501, 505, 511: the server can't do this, or the network wants a login; hand it over, once."""
    LOGIN = "login"
    """401, or a 403 that is about the credentials: send nothing more with them."""
    DENIED = "denied"
    """Any other 4xx: hand it over, once."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one answer means.

    Attributes:
        kind: what to do about it.
        remaining: requests left in the quota window that it counted in; None if the answer doesn't say.
        resets_in: microseconds until that window resets; None if the answer doesn't say.
        retry_after: microseconds that the server asked to wait; None if it didn't.
    """

    kind: OutcomeKind
    remaining: int | None = None
    resets_in: int | None = None
    retry_after: int | None = None


class Attempted(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer was obtained.

    Attributes:
        attempts: how often the request got its turn; it was sent at most that often.
        waited: seconds that it waited for its turns.
        maybe_applied: whether Toggl may have carried out a write that it did not confirm.
        organization_id: whose quota it spent, if known; None for the user's own.
        total: requests that a window of this quota allows, if known.
        shared: whether the answer came from an identical request under way.
    """

    attempts: int
    waited: float
    maybe_applied: bool = False
    organization_id: int | None = None
    total: int | None = None
    shared: bool = False


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that matter here, in lower case: one pass over those of every answer."""
    return {
        name: value.decode("latin-1") for key, value in raw if (name := _READ.get(key.lower())) is not None
    }


def classify(
    status: int, headers: Mapping[str, str], body: bytes, *, route: str = "", today: dt.datetime | None = None
) -> Outcome:
    """Return what an answer means.

    Args:
        status: the HTTP status.
        headers: the headers, by names in lower case (`read_headers`) or regardless of case.
        body: the decoded body; ignored if the status is under 400.
        route: method and path template of the request.
        today: the wall clock, for a Retry-After that is a date in an answer without a date of its own.
    """
    remaining = _whole(headers.get("x-toggl-quota-remaining"), most=MOST_REQUESTS)
    seconds = _whole(headers.get("x-toggl-quota-resets-in"), most=LONGEST_RESET // SECOND, least=0)
    resets_in = None if seconds is None else seconds * SECOND
    if status < FIRST_REFUSAL:
        return Outcome(OutcomeKind.DONE, remaining, resets_in)
    if status == http.HTTPStatus.PAYMENT_REQUIRED:
        text = _text_of(headers, body)
        kind = _payment(text, remaining)
        if kind is OutcomeKind.QUOTA and (named := _QUOTA_RESET.search(text)):
            told = int(named[1]) * SECOND
            resets_in = told if told <= LONGEST_RESET else resets_in
        return Outcome(kind, remaining, resets_in)
    if status == http.HTTPStatus.TOO_MANY_REQUESTS or (
        status == http.HTTPStatus.BAD_REQUEST and _is_nginx(headers, body)
    ):
        return Outcome(OutcomeKind.THROTTLED, remaining, resets_in, _retry_after(headers, today))
    if _is_anothers(status, headers, body):
        return Outcome(OutcomeKind.DENIED, remaining, resets_in)
    if status == http.HTTPStatus.GONE:
        return Outcome(OutcomeKind.GONE, remaining, resets_in)
    if status in _FOR_GOOD:
        return Outcome(OutcomeKind.UNSUPPORTED, remaining, resets_in)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome(OutcomeKind.FAILED, remaining, resets_in, _retry_after(headers, today))
    if status == http.HTTPStatus.UNAUTHORIZED:
        return Outcome(OutcomeKind.LOGIN, remaining, resets_in)
    if status == http.HTTPStatus.FORBIDDEN and (
        _ME.fullmatch(route)
        or login_attempts_left(headers) is not None
        or _WRONG_CREDENTIALS.search(_text_of(headers, body))
    ):
        return Outcome(OutcomeKind.LOGIN, remaining, resets_in)
    return Outcome(OutcomeKind.DENIED, remaining, resets_in)


def _is_anothers(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether a refusal that is remembered comes from a proxy, or from a login page of the network."""
    return status in _REMEMBERED and login_attempts_left(headers) is None and is_page(headers, body)


def _payment(text: str, remaining: int | None) -> OutcomeKind:
    """Tell the two 402s apart: by the words, then by what is left of the quota."""
    if _QUOTA_WORDS.search(text):
        return OutcomeKind.QUOTA
    if _FEATURE_WORDS.search(text):
        return OutcomeKind.FEATURE
    if remaining is None:
        return OutcomeKind.FEATURE if text else OutcomeKind.DENIED
    return OutcomeKind.FEATURE if remaining > 0 else OutcomeKind.QUOTA


def _is_nginx(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() and b"nginx" in body.lower()


def _whole(text: str | None, *, most: int, least: int | None = None) -> int | None:
    """Return a whole number that can be true, or None."""
    if text is None:
        return None
    if text.isdecimal() and len(text) <= _DIGITS:
        number = int(text)  # as Toggl sends it with every answer: nothing has to be searched for
    elif (found := _WHOLE.fullmatch(text)) is not None:
        number = int(found[1])
    else:
        return None
    return number if number <= most and (least is None or number >= least) else None


def _retry_after(headers: Mapping[str, str], today: dt.datetime | None) -> int | None:
    """Return Retry-After in microseconds; a date is measured against the server's own clock."""
    value = headers.get("retry-after")
    if value is None:
        return None
    if (number := _NUMBER.fullmatch(value)) is not None:
        return min(int(float(number[1]) * SECOND), LONGEST_REST)
    until = _date(value)
    now = _date(headers.get("date", "")) or today
    if until is None or now is None:
        return None
    return min(max(0, int((until - now).total_seconds() * SECOND)), LONGEST_REST)


def _date(value: str) -> dt.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except Exception:  # noqa: BLE001 - whatever the parser thinks of it: it is what a server sent
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def message_of(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Return Toggl's own words, printable, or the name of the status if it sent none."""
    if text := _text_of(headers, body):
        return errors.printable(text)
    if _is_anothers(status, headers, body):
        return errors.printable(words_of_page(body))
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def login_attempts_left(headers: Mapping[str, str]) -> int | None:
    """Return how many logins may still fail before Toggl locks the user out, where an answer says so."""
    return _whole(headers.get("x-remaining-login-attempts"), most=MOST_REQUESTS, least=0)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return Toggl's id of a request, from the answer's headers."""
    found = headers.get("x-toggl-request-id") or headers.get("x-request-id")
    return None if found is None else errors.printable(found)


def _text_of(headers: Mapping[str, str], body: bytes) -> str:
    """Return the words of a body, cut to a length for people; empty where there are none."""
    text = body.decode("utf-8", "replace").strip()
    if not text or text.startswith("<") or "html" in headers.get("content-type", "").lower():
        return ""
    try:
        found = _words(json.loads(text))
    except (ValueError, RecursionError):  # no JSON, or nested a thousandfold
        found = text
    # JSON can hold half a surrogate pair, which no file and no terminal takes.
    found = found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return found if len(found) <= _MESSAGE_LIMIT else found[:_MESSAGE_LIMIT] + "…"


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
    402: errors.PaymentRequired,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.EndpointGone,
}

_BY_KIND: Final[dict[OutcomeKind, type[errors.ResponseError]]] = {
    OutcomeKind.THROTTLED: errors.RateLimited,
    OutcomeKind.FEATURE: errors.FeatureUnavailable,
}
"""What the scheduler knows better than the status."""


def error_of(
    outcome: Outcome,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    attempted: Attempted | None,
    today: dt.datetime,
    mask: Callable[[bytes], bytes] = bytes,
) -> errors.ResponseError:
    """Return the typed error for an answer of status 400 and over, whose body has been read.

    Args:
        outcome: what `classify` said of it.
        status: the HTTP status.
        headers: all headers, without secrets; the error keeps them.
        body: the decoded body.
        method: the HTTP method of the request.
        path: its path as it may be shown, without the query.
        attempted: how the answer was obtained; None if no scheduler was involved.
        today: the wall clock, in UTC.
        mask: blanks the credentials of the request in what decoding reveals.
    """
    message = masked_text(message_of(status, headers, body), mask)
    request_id = request_id_of(headers)
    if outcome.kind is OutcomeKind.QUOTA:
        resets_in = (UNKNOWN_RESET if outcome.resets_in is None else outcome.resets_in) + RESET_MARGIN
        return errors.QuotaExceeded(
            message,
            reset_at=today + dt.timedelta(microseconds=resets_in),
            remaining=outcome.remaining or 0,
            total=attempted.total if attempted else None,
            organization_id=attempted.organization_id if attempted else None,
            method=method,
            path=path,
            request_id=request_id,
            headers=headers,
            body=body,
        )
    if outcome.kind in {OutcomeKind.FAILED, OutcomeKind.UNSUPPORTED}:
        writes = method not in {"GET", "HEAD", "OPTIONS"} and outcome.kind is OutcomeKind.FAILED
        return errors.ServerError(
            message,
            maybe_applied=attempted.maybe_applied if attempted else writes,
            status=status,
            method=method,
            path=path,
            request_id=request_id,
            headers=headers,
            body=body,
        )
    is_anothers = _is_anothers(status, headers, body)
    kind = errors.ResponseError if is_anothers else _BY_STATUS.get(status, errors.ResponseError)
    return _BY_KIND.get(outcome.kind, kind)(
        message, status=status, method=method, path=path, request_id=request_id, headers=headers, body=body
    )
