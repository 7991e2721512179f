"""What an answer means; reading one never raises."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toggl_async import errors
from toggl_async.scheduler.core.limits import SECOND
from toggl_async.scheduler.core.outcome import (
    LONGEST_RESET,
    LONGEST_REST,
    Attempted,
    Outcome,
    OutcomeKind,
    classify,
    error_of,
    message_of,
    read_headers,
)

NGINX = b"<html><body>429 Too Many Requests<hr>nginx</body></html>"
HTML = {"content-type": "text/html"}
QUOTA = b'"You have hit your hourly limit for API calls. Your quota will reset in 2861 seconds."'
LEFT = {"x-toggl-quota-remaining": "7"}
NONE_LEFT = {"x-toggl-quota-remaining": "0"}
TODAY = dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (200, {}, b"[]", OutcomeKind.DONE),
        (302, {}, b"", OutcomeKind.DONE),
        (429, HTML, NGINX, OutcomeKind.THROTTLED),
        (429, {}, b"", OutcomeKind.THROTTLED),
        (400, HTML, NGINX, OutcomeKind.THROTTLED),
        (400, HTML, b"<html>another proxy</html>", OutcomeKind.DENIED),
        (400, {"content-type": "application/json"}, b'"nginx"', OutcomeKind.DENIED),
        (402, {}, QUOTA, OutcomeKind.QUOTA),
        (402, LEFT, QUOTA, OutcomeKind.QUOTA),
        (402, LEFT, b'"Billable is a premium feature"', OutcomeKind.FEATURE),
        (402, NONE_LEFT, b'"Billable is a premium feature"', OutcomeKind.FEATURE),
        (402, {}, b"Billable rates are available for Starter and higher plans.\n", OutcomeKind.FEATURE),
        (402, NONE_LEFT, b"", OutcomeKind.QUOTA),
        (402, LEFT, b"", OutcomeKind.FEATURE),
        (402, {}, b"pay", OutcomeKind.FEATURE),
        (402, {}, b"", OutcomeKind.DENIED),
        (402, {"x-toggl-quota-remaining": "many"}, b"<html>", OutcomeKind.DENIED),
        (401, {}, b"", OutcomeKind.LOGIN),
        (403, {}, b"", OutcomeKind.DENIED),
        (403, {}, b'"Incorrect username and/or password"', OutcomeKind.LOGIN),
        (404, {}, b"", OutcomeKind.DENIED),
        (407, {}, b"", OutcomeKind.DENIED),
        (410, {}, b"", OutcomeKind.GONE),
        (418, {}, b"", OutcomeKind.DENIED),
        (500, {}, b"", OutcomeKind.FAILED),
        (501, {}, b"", OutcomeKind.UNSUPPORTED),
        (599, {}, b"", OutcomeKind.FAILED),
    ],
)
def test_answers_are_told_apart(status: int, headers: dict[str, str], body: bytes, kind: OutcomeKind) -> None:
    assert classify(status, headers, body).kind is kind


@pytest.mark.parametrize("body", [b"", b'"Invalid API token"', b'"something else"'])
def test_a_403_on_me_is_about_the_credentials(body: bytes) -> None:
    for path in ("/api/v9/me", "/me", "/api/v9/me/logged"):
        assert classify(403, {}, body, route=f"GET {path}") == Outcome(OutcomeKind.LOGIN)
    assert classify(403, {}, body, route="GET /api/v9/me/time_entries").kind is OutcomeKind.DENIED


def test_the_quota_is_read_from_headers_and_from_the_body_of_a_402() -> None:
    headers = {"x-toggl-quota-remaining": "29", "x-toggl-quota-resets-in": "3600"}
    outcome = classify(200, headers, b"")
    assert (outcome.remaining, outcome.resets_in) == (29, 3600 * SECOND)
    assert classify(402, headers, QUOTA).resets_in == 2861 * SECOND


def test_only_headers_that_matter_are_read() -> None:
    raw = [(b"X-Toggl-Quota-Remaining", b"3"), (b"Set-Cookie", b"secret"), (b"Retry-After", b"\xe9")]
    assert read_headers(raw) == {"x-toggl-quota-remaining": "3", "retry-after": "\xe9"}


@pytest.mark.parametrize("seconds", ["99999999", "-1", "9" * 320, "9" * 5000, "1e3", "", "²"])
def test_a_reset_that_cannot_be_true_is_not_believed(seconds: str) -> None:
    headers = {"x-toggl-quota-remaining": seconds.replace("-1", "x"), "x-toggl-quota-resets-in": seconds}
    assert classify(200, headers, b"") == Outcome(OutcomeKind.DONE)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "9" * 320}, None),
        ({"retry-after": "Mon, 01 Jan 10000000000 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 9999 10:00:30 GMT"}, 3600),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:00 -0000", "date": "Mon, 23 Nov 2026 10:00:09 GMT"}, 0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:07 GMT", "date": "never"}, 7),
        ({"retry-after": "Mon, 23 Nov 2020 10:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else int(seconds * SECOND)
    assert classify(429, headers, b"", today=TODAY).retry_after == expected
    assert classify(503, headers, b"", today=TODAY).retry_after == expected


def test_a_date_without_a_clock_says_nothing() -> None:
    assert classify(429, {"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, b"").retry_after is None


names = st.sampled_from(
    ["retry-after", "date", "content-type", "x-toggl-quota-remaining", "x-toggl-quota-resets-in"]
)
values = st.text(max_size=30) | st.from_regex(r"-?[0-9]{1,400}(\.[0-9]+)?", fullmatch=True)


@settings(max_examples=300)
@given(
    st.sampled_from([200, 204, 400, 401, 402, 403, 404, 410, 429, 500, 501, 503, 599]),
    st.dictionaries(names, values),
    st.binary(max_size=60) | st.just(b"[" * 100_000) | st.just(b"9" * 5000),
)
def test_reading_never_raises(status: int, headers: dict[str, str], body: bytes) -> None:
    outcome = classify(status, headers, body, today=TODAY)
    assert outcome.resets_in is None or 0 <= outcome.resets_in <= LONGEST_RESET
    assert outcome.retry_after is None or 0 <= outcome.retry_after <= LONGEST_REST
    assert message_of(status, headers, body)
    if status >= 400:
        error = error_of(outcome, status, headers, body, method="GET", path="/x", attempted=None, today=TODAY)
        assert error.status == status


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        (
            {},
            b"\"'since' and 'before' can not be present simultaneously\"",
            "'since' and 'before' can not be present simultaneously",
        ),
        ({"content-type": "text/plain"}, b"Time entry not found\n", "Time entry not found"),
        ({}, b"", "Bad Request"),
        (HTML, NGINX, "Bad Request"),
        ({}, b"<html></html>", "Bad Request"),
        ({}, b'{"error": {"message": "wrong", "tip": "do it right", "code": 400}}', "wrong (do it right)"),
        ({}, b'{"error_message": "wrong"}', "wrong"),
        ({}, b'{"error": "wrong"}', "wrong"),
        ({}, b'["one", {"message": "two"}, 3]', "one; two"),
        ({}, b"{}", "Bad Request"),
        ({}, b"12", "Bad Request"),
        ({}, b"\xff\xfe", "\ufffd\ufffd"),
        ({}, b"x" * 2000, "x" * 500 + "…"),
    ],
)
def test_messages_are_found_in_all_shapes(headers: dict[str, str], body: bytes, message: str) -> None:
    assert message_of(400, headers, body) == message


def test_an_unknown_status_has_a_message_too() -> None:
    assert message_of(499, {}, b"") == "HTTP status 499"


def error(status: int, body: bytes = b"no", *, method: str = "POST", **changes: Any) -> errors.ResponseError:
    headers = changes.pop("headers", {"x-toggl-request-id": "abc"})
    settings = {"path": "/x", "attempted": None, "today": TODAY} | changes
    return error_of(classify(status, headers, body), status, headers, body, method=method, **settings)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (402, errors.FeatureUnavailable),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.ResponseError),
        (409, errors.Conflict),
        (410, errors.EndpointGone),
        (418, errors.ResponseError),
        (429, errors.RateLimited),
        (501, errors.ServerError),
        (502, errors.ServerError),
    ],
)
def test_errors_are_typed(status: int, kind: type[errors.ResponseError]) -> None:
    found = error(status)
    assert type(found) is kind
    assert (found.status, found.method, found.path) == (status, "POST", "/x")
    assert found.message.startswith("no")
    assert (found.request_id, found.body) == ("abc", b"no")


def test_a_402_that_says_nothing_is_neither_quota_nor_feature() -> None:
    assert type(error(402, b"", headers={})) is errors.PaymentRequired


def test_a_quota_error_says_when_and_whose() -> None:
    found = error(402, QUOTA, attempted=Attempted(attempts=1, waited=0.0, organization_id=5, total=30))
    assert isinstance(found, errors.QuotaExceeded)
    assert (found.remaining, found.total, found.organization_id) == (0, 30, 5)
    assert found.reset_at == TODAY + dt.timedelta(seconds=2862)


def test_a_quota_error_without_any_word_waits_a_minute() -> None:
    found = error(402, b"hourly limit")
    assert isinstance(found, errors.QuotaExceeded)
    assert found.reset_at == TODAY + dt.timedelta(seconds=61)
    assert found.organization_id is None


@pytest.mark.parametrize(
    ("method", "status", "attempted", "maybe"),
    [
        ("GET", 502, None, False),
        ("POST", 502, None, True),
        ("POST", 501, None, False),
        ("POST", 502, Attempted(attempts=1, waited=0.0), False),
        ("POST", 502, Attempted(attempts=1, waited=0.0, maybe_applied=True), True),
    ],
)
def test_a_server_error_says_whether_it_may_have_been_applied(
    method: str, status: int, attempted: Attempted | None, maybe: bool
) -> None:
    found = error(status, method=method, attempted=attempted)
    assert isinstance(found, errors.ServerError)
    assert found.maybe_applied is maybe
