"""The pure parts of the scheduler: route, outcome, retry, cool-down, quota, queue."""

import asyncio
import datetime as dt
import math
import random
from typing import Any, cast

import httpx
import pytest

from toggl_async import errors
from toggl_async.options import ClientOptions, Cooldown, Pace, Priority, QuotaPolicy, Retry
from toggl_async.scheduler import (
    EXTENSION,
    Attempted,
    Lane,
    OutcomeKind,
    RequestFacts,
    classify,
    error_of,
    events,
    facts_of,
    message_of,
    retry,
)
from toggl_async.scheduler.cooldown import CooldownGate
from toggl_async.scheduler.memory import Memory
from toggl_async.scheduler.pace import Pacer
from toggl_async.scheduler.queue import PATIENCE, Call, Queue
from toggl_async.scheduler.quota import WINDOW, Organizations, QuotaWindows, Window
from toggl_async.scheduler.route import shown_path

NGINX = b"<html><body>429 Too Many Requests<hr>nginx</body></html>"
HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("method", "path", "route", "lane", "reads", "workspace_id", "organization_id"),
    [
        ("GET", "/api/v9/me", "/api/v9/me", Lane.USER, True, None, None),
        ("GET", "/api/v9/me/time_entries/12", "/api/v9/me/time_entries/{id}", Lane.USER, True, None, None),
        (
            "PUT",
            "/api/v9/workspaces/7/projects/9",
            "/api/v9/workspaces/{workspace_id}/projects/{id}",
            Lane.ORGANIZATION,
            False,
            7,
            None,
        ),
        (
            "PATCH",
            "/api/v9/workspaces/7/time_entries/1,2,3",
            "/api/v9/workspaces/{workspace_id}/time_entries/{id}",
            Lane.ORGANIZATION,
            False,
            7,
            None,
        ),
        (
            "DELETE",
            "/api/v9/organizations/5/workspaces/7/groups/1",
            "/api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups/{id}",
            Lane.ORGANIZATION,
            False,
            7,
            5,
        ),
        (
            "GET",
            "/api/v9/audit_logs/5/2026-01-01/2026-02-01",
            "/api/v9/audit_logs/{organization_id}/{id}/{id}",
            Lane.ORGANIZATION,
            True,
            None,
            5,
        ),
        (
            "POST",
            "/reports/api/v3/workspace/7/search/time_entries",
            "/reports/api/v3/workspace/{workspace_id}/search/time_entries",
            Lane.ORGANIZATION,
            True,
            7,
            None,
        ),
        (
            "POST",
            "/reports/api/v3/shared/sesame/csv",
            "/reports/api/v3/shared/{id}/csv",
            Lane.ORGANIZATION,
            True,
            None,
            None,
        ),
        (
            "POST",
            "/webhooks/api/v1/subscriptions/7",
            "/webhooks/api/v1/subscriptions/{workspace_id}",
            Lane.USER,
            False,
            7,
            None,
        ),
        (
            "GET",
            "/api/v9/workspaces/7/exports/data/123e4567-e89b-12d3-a456-426614174000.zip",
            "/api/v9/workspaces/{workspace_id}/exports/data/{id}",
            Lane.ORGANIZATION,
            True,
            7,
            None,
        ),
        ("GET", "/api/v9/ical/a1b2c3d4e5f6a7b8c9d0", "/api/v9/ical/{id}", Lane.USER, True, None, None),
        ("POST", "/api/v9/organizations", "/api/v9/organizations", Lane.USER, False, None, None),
        ("GET", "/api/v9/countries", "/api/v9/countries", Lane.USER, True, None, None),
        ("PUT", "/reports/api/v3/x", "/reports/api/v3/x", Lane.ORGANIZATION, False, None, None),
        ("POST", "/insights/api/v1/x", "/insights/api/v1/x", Lane.ORGANIZATION, True, None, None),
        ("POST", "/api/reports/x", "/api/reports/x", Lane.USER, False, None, None),
        ("POST", "/api/insights/x", "/api/insights/x", Lane.USER, False, None, None),
        (
            "GET",
            "/api/webhooks/workspaces/7",
            "/api/webhooks/workspaces/{workspace_id}",
            Lane.ORGANIZATION,
            True,
            7,
            None,
        ),
        ("GET", "/api/webhooks/ping/7", "/api/webhooks/ping/{id}", Lane.USER, True, None, None),
        ("GET", "/api/v9/subscriptions/7", "/api/v9/subscriptions/{id}", Lane.USER, True, None, None),
    ],
)
def test_facts_are_read_off_the_url(
    method: str,
    path: str,
    route: str,
    lane: Lane,
    reads: bool,
    workspace_id: int | None,
    organization_id: int | None,
) -> None:
    facts = facts_of(httpx.Request(method, f"https://api.track.toggl.com{path}?q=1"), max_wait=5.0)
    assert facts == RequestFacts(
        route=f"{method} {route}",
        lane=lane,
        reads=reads,
        workspace_id=workspace_id,
        organization_id=organization_id,
        max_wait=5.0,
    )


TOKEN = "a1b2c3d4e5f6a7b8c9d0"


@pytest.mark.parametrize(
    ("path", "route", "shown"),
    [
        ("/api/v9/workspaces/7/projects/9", None, "/api/v9/workspaces/7/projects/9"),
        (f"/reports/api/v3/shared/{TOKEN}/csv", None, "/reports/api/v3/shared/{id}/csv"),
        ("/api/v9/invitations/sesame", "/api/v9/invitations/{code}", "/api/v9/invitations/{code}"),
        ("/api/v9/x/2026-01-02/7,8", "/api/v9/x/{day}/{ids}", "/api/v9/x/2026-01-02/7,8"),
        ("/at/home/api/v9/x/sesame", "/api/v9/x/{code}", "/at/home/api/v9/x/{code}"),
        ("/x", "/api/v9/x", "/x"),
    ],
)
def test_errors_show_ids_but_no_codes(path: str, route: str | None, shown: str) -> None:
    request = httpx.Request("GET", f"https://toggl.test{path}")
    if route is not None:
        request.extensions[EXTENSION] = RequestFacts(route=f"GET {route}", lane=Lane.USER, reads=True)
    assert shown_path(request) == shown


def test_declared_facts_win() -> None:
    facts = RequestFacts(route="GET /x", lane=Lane.USER, reads=True, max_wait=math.inf)
    assert facts_of(httpx.Request("POST", "https://toggl.test/y", extensions={EXTENSION: facts})) is facts


def test_calls_wait_as_long_as_the_options_say_by_default() -> None:
    request = httpx.Request("GET", "https://toggl.test/x")
    assert facts_of(request).max_wait == ClientOptions().max_wait
    assert RequestFacts(route="GET /x", lane=Lane.USER, reads=True).max_wait == ClientOptions().max_wait


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_max_wait_is_validated(value: float) -> None:
    with pytest.raises(errors.InvalidInput, match="max_wait"):
        RequestFacts(route="GET /x", lane=Lane.USER, reads=True, max_wait=value)


QUOTA = b'"You have hit your hourly limit for API calls. Your quota will reset in 2861 seconds."'


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
        (402, {"x-toggl-quota-remaining": "7"}, QUOTA, OutcomeKind.QUOTA),
        (402, {"x-toggl-quota-remaining": "7"}, b'"Billable is a premium feature"', OutcomeKind.FEATURE),
        (402, {"x-toggl-quota-remaining": "0"}, b'"Billable is a premium feature"', OutcomeKind.FEATURE),
        (402, {}, b"Billable rates are available for Starter and higher plans.\n", OutcomeKind.FEATURE),
        (402, {"x-toggl-quota-remaining": "0"}, b"", OutcomeKind.QUOTA),
        (402, {"x-toggl-quota-remaining": "many"}, b"", OutcomeKind.FEATURE),
        (402, {}, b"", OutcomeKind.FEATURE),
        (401, {}, b"", OutcomeKind.DENIED),
        (403, {}, b"", OutcomeKind.DENIED),
        (410, {}, b"", OutcomeKind.GONE),
        (418, {}, b"", OutcomeKind.DENIED),
        (500, {}, b"", OutcomeKind.FAILED),
        (599, {}, b"", OutcomeKind.FAILED),
    ],
)
def test_answers_are_told_apart(status: int, headers: dict[str, str], body: bytes, kind: OutcomeKind) -> None:
    assert classify(status, httpx.Headers(headers), body).kind is kind


def test_the_quota_is_read_from_headers_and_from_the_body_of_a_402() -> None:
    headers = httpx.Headers({"X-Toggl-Quota-Remaining": "29", "X-Toggl-Quota-Resets-In": "3600"})
    outcome = classify(200, headers, b"")
    assert (outcome.remaining, outcome.resets_in) == (29, 3600)
    assert classify(402, headers, QUOTA).resets_in == 2861


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:00 -0000", "date": "Mon, 23 Nov 2026 10:00:09 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2020 10:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert classify(429, httpx.Headers(headers), b"").retry_after == seconds
    assert classify(503, httpx.Headers(headers), b"").retry_after == seconds


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
        ({}, b"x" * 2000, "x" * 1000 + "…"),
    ],
)
def test_messages_are_found_in_all_shapes(headers: dict[str, str], body: bytes, message: str) -> None:
    assert message_of(400, headers, body) == message


def test_an_unknown_status_has_a_message_too() -> None:
    assert message_of(499, {}, b"") == "HTTP status 499"


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
        (502, errors.ServerError),
    ],
)
def test_errors_are_typed(status: int, kind: type[errors.ResponseError]) -> None:
    response = httpx.Response(status, text="no", headers={"X-Toggl-Request-Id": "abc"})
    error = error_of(response, method="POST", path="/x")
    assert type(error) is kind
    assert (error.status, error.message, error.method, error.path) == (status, error.message, "POST", "/x")
    assert error.message.startswith("no")
    assert (error.request_id, error.body) == ("abc", b"no")


def test_a_quota_error_says_when_and_whose() -> None:
    attempted = Attempted(attempts=1, waited=0.0, organization_id=5, total=30)
    response = httpx.Response(402, content=QUOTA, extensions={EXTENSION: attempted})
    error = error_of(response, method="GET", path="/x")
    assert isinstance(error, errors.QuotaExceeded)
    assert (error.remaining, error.total, error.organization_id) == (0, 30, 5)
    seconds = (error.reset_at - dt.datetime.now(dt.UTC)).total_seconds()
    assert 2860 < seconds < 2863


def test_a_quota_error_without_any_word_waits_a_minute() -> None:
    response = httpx.Response(402, headers={"x-toggl-quota-remaining": "0"}, content=b"hourly limit")
    error = error_of(response, method="GET", path="/x")
    assert isinstance(error, errors.QuotaExceeded)
    assert 59 < (error.reset_at - dt.datetime.now(dt.UTC)).total_seconds() < 62
    assert error.organization_id is None


@pytest.mark.parametrize(
    ("method", "extensions", "maybe"),
    [
        ("GET", {}, False),
        ("POST", {}, True),
        ("POST", {EXTENSION: Attempted(attempts=1, waited=0.0)}, False),
        ("POST", {EXTENSION: Attempted(attempts=1, waited=0.0, maybe_applied=True)}, True),
    ],
)
def test_a_server_error_says_whether_it_may_have_been_applied(
    method: str, extensions: dict[str, Any], maybe: bool
) -> None:
    error = error_of(httpx.Response(500, text="no", extensions=extensions), method=method, path="/x")
    assert isinstance(error, errors.ServerError)
    assert error.maybe_applied is maybe
    assert ("may have been applied" in str(error)) is maybe


def test_what_may_be_sent_again() -> None:
    options = Retry(attempts=3)
    cases = [
        (attempts, reads, sent, replayable)
        for attempts in (1, 3)
        for reads in (True, False)
        for sent in (True, False)
        for replayable in (True, False)
        if retry.may_retry(attempts=attempts, reads=reads, sent=sent, replayable=replayable, options=options)
    ]
    assert cases == [
        (1, True, True, True),
        (1, True, False, True),
        (1, True, False, False),
        (1, False, False, True),
        (1, False, False, False),
    ]


def test_delays_grow_within_their_range() -> None:
    options, source = Retry(minimum=0.5, maximum=30.0), random.Random(1)
    drawn = {n: [retry.delay(n, options=options, source=source) for _ in range(300)] for n in (1, 3, 5000)}
    for failures, ceiling in ((1, 1.0), (3, 4.0), (5000, 30.0)):
        assert all(0.5 <= wait <= ceiling for wait in drawn[failures])
        assert max(drawn[failures]) > 0.9 * ceiling
    assert retry.delay(1, options=options, source=source, retry_after=77.0) == 77.0


class TestCooldown:
    def gate(self) -> CooldownGate:
        return CooldownGate(Cooldown(minimum=100.0, maximum=200.0), random.Random(1))

    def test_is_open_at_first(self) -> None:
        gate = self.gate()
        gate.granted("a")
        assert gate.opens_at(5.0) == 5.0
        assert not gate.shuts_out("b", 5.0)

    def test_lets_one_probe_through_when_it_ends(self) -> None:
        gate = self.gate()
        assert gate.refuse(10.0, sent_at=9.0, retry_after=None)
        end = gate.opens_at(10.0)
        assert 110.0 <= end <= 210.0
        assert gate.opens_at(end) == end
        gate.granted("probe")
        assert math.isinf(gate.opens_at(end))
        assert gate.shuts_out("other", end)
        assert not gate.shuts_out("probe", end)
        gate.answered("other")
        assert gate.probing
        gate.answered("probe")
        assert gate.opens_at(end) == end
        assert not gate.probing

    def test_only_ever_extends(self) -> None:
        gate = self.gate()
        gate.refuse(10.0, sent_at=9.0, retry_after=5000.0)
        assert gate.until == 5010.0
        assert not gate.refuse(11.0, sent_at=9.5, retry_after=None)
        assert gate.until == 5010.0
        assert gate.refuse(6000.0, sent_at=5999.0, retry_after=None)
        assert gate.until >= 6100.0

    def test_who_left_in_the_moment_of_the_first_429_belongs_to_it(self) -> None:
        gate = self.gate()
        assert gate.refuse(10.0, sent_at=9.0, retry_after=None)
        assert not gate.refuse(12.0, sent_at=10.0, retry_after=None)
        assert gate.refuse(300.0, sent_at=299.0, retry_after=None)

    def test_nobody_goes_before_its_end(self) -> None:
        gate = self.gate()
        gate.refuse(10.0, sent_at=9.0, retry_after=None)
        gate.granted("probe")
        assert gate.shuts_out("probe", gate.until - 1e-6)
        assert not gate.shuts_out("probe", gate.until)

    def test_a_probe_that_says_nothing_makes_room_for_another(self) -> None:
        gate = self.gate()
        gate.refuse(10.0, sent_at=9.0, retry_after=None)
        gate.granted("probe")
        gate.gave_up("other")
        assert math.isinf(gate.opens_at(1000.0))
        gate.gave_up("probe")
        assert gate.opens_at(1000.0) == 1000.0
        assert gate.probing


class TestWindow:
    def test_without_a_word_everything_may_go(self) -> None:
        window = Window(("user", None), reserve=0)
        window.spend(1)
        window.settle(1, counted=True)
        assert window.left(0.0) is None
        assert window.hope(0.0) is None
        assert window.opens_at(0.0) == 0.0
        assert not window.overdrawn(0.0, 2)

    def test_requests_under_way_count_as_spent(self) -> None:
        window = Window(("user", None), reserve=0)
        window.spend(1)
        window.settle(1, counted=True)
        window.learn(0.0, 1, remaining=3, resets_in=600)
        for ticket in (2, 3, 4):
            window.spend(ticket)
        assert window.left(0.0) == 0
        assert window.opens_at(1.0) == 601.0
        window.settle(2, counted=False)
        assert window.left(0.0) == 1
        window.settle(3, counted=True)
        assert (window.left(0.0), window.remaining) == (1, 2)
        assert window.left(601.0) is None

    def test_an_older_answer_can_only_lower_the_number(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2, 3):
            window.spend(ticket)
            window.depart(0.0, ticket, ticket)
        window.settle(2, counted=True)
        window.learn(0.0, 2, remaining=10, resets_in=600)
        assert (window.left(0.0), window.hope(0.0)) == (8, 9)
        window.settle(1, counted=True)
        window.learn(0.0, 1, remaining=11, resets_in=600)
        assert (window.left(0.0), window.hope(0.0)) == (9, 9)
        window.settle(3, counted=True)
        window.learn(0.0, 3, remaining=14, resets_in=590)
        assert window.left(0.0) == 14
        assert window.reset_at == 591.0

    def test_waits_for_the_answers_where_they_may_leave_something(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2):
            window.spend(ticket)
            window.depart(0.0, ticket, ticket)
        window.settle(2, counted=True)
        window.learn(0.0, 2, remaining=1, resets_in=600)
        assert (window.left(0.0), window.hope(0.0)) == (0, 1)
        assert math.isinf(window.opens_at(0.0))

    def test_stays_shut_after_a_402_until_its_reset(self) -> None:
        window = Window(("organization", 5), reserve=0)
        window.exhaust(0.0, 100, -1)
        window.learn(1.0, 9, remaining=20, resets_in=99)
        assert window.left(50.0) == 0
        window.exhaust(2.0, None, -1)
        assert window.opens_at(50.0) == 101.0
        assert window.left(101.0) is None
        window.learn(102.0, 10, remaining=20, resets_in=3599)
        window.learn(103.0, 9, remaining=0, resets_in=5)
        assert window.left(103.0) == 20
        window.exhaust(103.0, None, -1)
        assert window.opens_at(103.0) == 102.0 + 3599 + 1

    def test_a_402_without_a_time_waits_a_minute(self) -> None:
        window = Window(("user", None), reserve=0)
        window.exhaust(0.0, None, -1)
        assert window.opens_at(0.0) == 61.0

    def test_a_quota_that_is_not_enforced_is_no_limit(self) -> None:
        window = Window(("user", None), reserve=0)
        window.learn(0.0, 1, remaining=-5, resets_in=10)
        assert window.left(0.0) is None
        window.state(0.0, remaining=-5, resets_in=10, total=30)
        assert window.left(0.0) is None

    def test_is_full_again_after_the_reset_if_its_total_is_known(self) -> None:
        window = Window(("user", None), reserve=4)
        window.state(0.0, remaining=2, resets_in=10, total=30)
        assert window.left(0.0) == 0
        assert window.left(11.0) == 26
        window.spend(1)
        rested_until = window.reset_at
        window.depart(12.0, 1, 2)
        assert (rested_until, window.reset_at) == (None, 12.0 + WINDOW + 1)
        window.settle(2, counted=True)
        assert window.left(12.0) == 25

    @pytest.mark.parametrize(("answered_at", "resets_in"), [(40.0, 3599), (13.0, 1200)])
    def test_who_opened_it_is_for_toggl_to_say(self, answered_at: float, resets_in: int) -> None:
        """A slow answer opened it later than it left; another program may have been there before."""
        window = Window(("user", None), reserve=0)
        window.state(0.0, remaining=2, resets_in=10, total=30)
        window.spend(1)
        window.depart(12.0, 1, 2)
        window.settle(2, counted=True)
        window.learn(answered_at, 2, remaining=20, resets_in=resets_in)
        assert window.reset_at == answered_at + resets_in + 1
        assert window.left(answered_at) == 20
        window.learn(answered_at + 9, 2, remaining=20, resets_in=resets_in)
        assert window.reset_at == answered_at + resets_in + 1

    def test_the_word_of_the_window_before_does_not_say_who_opened_it(self) -> None:
        window = Window(("user", None), reserve=0)
        window.state(0.0, remaining=2, resets_in=10, total=30)
        for ticket in (1, 2):
            window.spend(ticket)
        window.depart(9.0, 1, 3)
        window.depart(12.0, 2, 4)
        window.settle(3, counted=True)
        window.learn(13.0, 3, remaining=1, resets_in=1)
        assert window.left(13.0) == 28
        assert window.reset_at == 12.0 + WINDOW + 1

    def test_a_402_says_when_a_window_ends_that_others_opened(self) -> None:
        window = Window(("user", None), reserve=0)
        window.state(0.0, remaining=2, resets_in=10, total=30)
        for ticket in (1, 2):
            window.spend(ticket)
            window.depart(12.0, ticket, ticket + 2)
        window.exhaust(13.0, 600, -1)
        window.learn(14.0, 4, remaining=1, resets_in=599)
        assert window.left(14.0) == 0
        assert window.opens_at(14.0) == 13.0 + 600 + 1

    def test_a_merged_window_knows_who_opened_it(self) -> None:
        lasting, old = (Window(("organization", 5), reserve=0) for _ in range(2))
        old.state(0.0, remaining=2, resets_in=10, total=30)
        old.spend(1)
        old.depart(12.0, 1, 2)
        lasting.absorb(old)
        lasting.learn(13.0, 2, remaining=9, resets_in=1200)
        assert lasting.opens_at(13.0) == 13.0
        assert lasting.reset_at == 13.0 + 1200 + 1

    def test_the_reserve_never_takes_a_whole_window(self) -> None:
        window = Window(("user", None), reserve=50)
        window.state(0.0, remaining=30, resets_in=10, total=30)
        assert window.left(0.0) == 1

    def test_a_late_departure_finds_nothing_left(self) -> None:
        window = Window(("user", None), reserve=0)
        window.spend(1)
        window.spend(2)
        window.depart(0.0, 1, 3)
        window.depart(0.0, 77, 78)
        window.settle(3, counted=True)
        window.learn(0.0, 3, remaining=0, resets_in=9)
        assert window.overdrawn(0.0, 2)
        assert 78 not in window.under_way

    def test_an_older_answer_cannot_give_back_what_another_program_took(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2):
            window.spend(ticket)
            window.depart(0.0, ticket, ticket)
        window.settle(2, counted=True)
        window.learn(0.0, 2, remaining=5, resets_in=600)
        window.settle(1, counted=True)
        window.learn(0.0, 1, remaining=11, resets_in=600)
        assert window.left(0.0) == 5

    def test_what_was_answered_after_an_older_request_is_taken_off_its_word(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2, 3):
            window.spend(ticket)
            window.depart(0.0, ticket, ticket)
        for ticket in (3, 2):  # answered without a word
            window.settle(ticket, counted=True)
        window.settle(1, counted=True)
        window.learn(0.0, 1, remaining=9, resets_in=600)
        assert window.left(0.0) == 7

    def test_who_has_not_left_is_not_in_the_word_on_another(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2):
            window.spend(ticket)
        window.depart(0.0, 2, 3)
        window.settle(3, counted=True)
        window.learn(0.0, 3, remaining=4, resets_in=600)
        assert (window.left(0.0), window.hope(0.0)) == (3, 3)
        window.depart(0.0, 1, 4)
        assert (window.left(0.0), window.hope(0.0)) == (3, 3)

    def test_a_word_that_comes_after_the_reset_is_on_the_next_window(self) -> None:
        window = Window(("user", None), reserve=0)
        window.exhaust(0.0, 100, -1)
        window.learn(105.0, 1, remaining=20, resets_in=10)
        assert (window.left(105.0), window.reset_at) == (20, 116.0)

    def test_announcements_that_differ_by_half_a_minute_are_of_one_reset(self) -> None:
        window = Window(("user", None), reserve=0)
        window.learn(0.0, 1, remaining=5, resets_in=100)
        window.learn(30.0, 2, remaining=3, resets_in=100)
        assert (window.left(30.0), window.reset_at) == (3, 101.0)
        window.learn(31.0, 3, remaining=9, resets_in=39)
        assert (window.left(31.0), window.reset_at) == (9, 71.0)
        window.learn(31.0, 2, remaining=8, resets_in=8)
        assert (window.left(31.0), window.reset_at) == (9, 71.0)
        window.learn(31.0, 4, remaining=8, resets_in=8)
        assert (window.left(31.0), window.reset_at) == (8, 40.0)
        window.learn(31.0, 5, remaining=2, resets_in=70)
        assert (window.left(31.0), window.reset_at) == (2, 102.0)

    def test_one_below_nothing_is_not_enforced(self) -> None:
        window = Window(("user", None), reserve=0)
        window.learn(0.0, 1, remaining=-1, resets_in=10)
        assert (window.left(0.0), window.reset_at) == (None, None)
        window.state(0.0, remaining=-1, resets_in=10, total=None)
        assert (window.left(0.0), window.reset_at) == (None, None)

    def test_whoever_asks_first_after_the_reset_finds_the_next_window(self) -> None:
        def at_its_end() -> Window:
            window = Window(("user", None), reserve=0)
            window.exhaust(0.0, 100, -1)
            return window

        assert at_its_end().hope(101.0) is None
        assert not at_its_end().overdrawn(101.0, 1)
        again = at_its_end()
        again.exhaust(200.0, None, -1)
        assert again.opens_at(200.0) == 261.0

    def test_there_is_never_less_than_nothing(self) -> None:
        window = Window(("user", None), reserve=3)
        window.learn(0.0, 1, remaining=1, resets_in=100)
        assert (window.left(0.0), window.hope(0.0)) == (0, 0)
        for ticket in (2, 3):
            window.spend(ticket)
        for ticket in (2, 3):
            window.settle(ticket, counted=True)
        assert window.remaining == 0
        window.exhaust(0.0, 100, -1)
        assert window.remaining == 0

    def test_toggls_own_statement_opens_a_shut_window(self) -> None:
        window = Window(("user", None), reserve=0)
        window.exhaust(0.0, 100, -1)
        window.state(1.0, remaining=7, resets_in=99, total=30)
        window.learn(2.0, 1, remaining=6, resets_in=98)
        assert window.left(2.0) == 6

    def test_toggls_own_statement_includes_what_has_left(self) -> None:
        window = Window(("user", None), reserve=0)
        window.spend(1)
        window.depart(0.0, 1, 2)
        window.state(0.0, remaining=5, resets_in=99, total=30)
        assert (window.left(0.0), window.hope(0.0)) == (4, 5)
        window.settle(2, counted=True)
        assert window.left(0.0) == 5

    def test_an_old_word_on_the_last_request_leaves_nothing(self) -> None:
        window = Window(("user", None), reserve=0)
        for ticket in (1, 2):
            window.spend(ticket)
            window.depart(0.0, ticket, ticket)
        window.settle(2, counted=True)
        window.settle(1, counted=True)
        window.learn(0.0, 1, remaining=0, resets_in=99)
        assert window.remaining == 0

    def test_a_window_that_was_shut_is_open_after_its_reset(self) -> None:
        window = Window(("user", None), reserve=0)
        window.state(0.0, remaining=0, resets_in=100, total=30)
        window.exhaust(0.0, 100, -1)
        window.spend(1)
        window.settle(1, counted=True)
        assert window.left(101.0) == 30
        window.spend(2)
        window.depart(101.0, 2, 3)
        window.settle(3, counted=True)
        window.learn(102.0, 3, remaining=29, resets_in=3600)
        assert window.left(102.0) == 29

    def test_a_window_merged_into_a_new_one_is_not_shut(self) -> None:
        lasting, old = (Window(("organization", 5), reserve=0) for _ in range(2))
        old.learn(0.0, 1, remaining=7, resets_in=100)
        lasting.absorb(old)
        lasting.learn(1.0, 2, remaining=6, resets_in=99)
        assert lasting.left(1.0) == 6

    def test_a_window_of_one_is_not_reserved(self) -> None:
        window = Window(("user", None), reserve=5)
        window.state(0.0, remaining=1, resets_in=10, total=1)
        assert window.left(0.0) == 1

    def test_a_merged_window_knows_what_both_have_settled(self) -> None:
        lasting, old = (Window(("organization", 5), reserve=0) for _ in range(2))
        for ticket in (1, 2):
            old.spend(ticket)
            old.depart(0.0, ticket, ticket)
        old.settle(2, counted=True)
        lasting.absorb(old)
        lasting.settle(1, counted=True)
        lasting.learn(0.0, 1, remaining=9, resets_in=600)
        assert lasting.left(0.0) == 8


def facts(**other: Any) -> RequestFacts:
    return RequestFacts(**{"route": "GET /x", "lane": Lane.ORGANIZATION, "reads": True, **other})


class TestQuota:
    def test_windows_are_those_of_user_organization_and_unknown_workspace(self) -> None:
        organizations = Organizations()
        organizations.learn(8, 5)
        quota = QuotaWindows(QuotaPolicy(), organizations, lambda _old, _lasting: None)
        user = quota.window(facts(lane=Lane.USER, workspace_id=7))
        assert (user.lane, user.organization_id, user.workspace_id) == (Lane.USER, None, None)
        five = quota.window(facts(organization_id=5, workspace_id=7))
        assert quota.window(facts(workspace_id=8)) is five
        assert (five.lane, five.organization_id) == (Lane.ORGANIZATION, 5)
        seven = quota.window(facts(workspace_id=7))
        assert (seven.lane, seven.organization_id, seven.workspace_id) == (Lane.ORGANIZATION, None, 7)
        nobody = quota.window(facts())
        assert nobody not in {user, five, seven}
        assert list(quota) == [user, five, seven, nobody]

    def test_a_workspace_merges_into_its_organization_once_known(self) -> None:
        merged: list[tuple[Window, Window]] = []
        organizations = Organizations()
        quota = QuotaWindows(QuotaPolicy(), organizations, lambda old, lasting: merged.append((old, lasting)))
        old = quota.window(facts(workspace_id=7))
        old.spend(1)
        old.state(0.0, remaining=9, resets_in=100, total=30)
        quota.tell(0.0, 5, remaining=20, resets_in=50, total=None)
        organizations.learn(7, 5)
        organizations.learn(7, 5)
        lasting = quota.window(facts(workspace_id=7))
        assert merged == [(old, lasting)]
        assert old.current() is lasting
        assert (lasting.remaining, lasting.reset_at, lasting.total, lasting.left(0.0)) == (9, 101.0, 30, 8)
        quota.merge(99, 5)
        assert len(merged) == 1

    def test_the_more_careful_of_two_words_survives_a_merger(self) -> None:
        lasting, old, new = (Window(("organization", 5), reserve=0) for _ in range(3))
        lasting.state(0.0, remaining=3, resets_in=500, total=30)
        old.state(0.0, remaining=9, resets_in=100, total=None)
        lasting.absorb(old)
        lasting.absorb(new)
        assert (lasting.remaining, lasting.reset_at, lasting.total) == (3, 501.0, 30)

    def test_only_workspaces_wait_for_their_organization(self) -> None:
        organizations = Organizations()
        quota = QuotaWindows(QuotaPolicy(), organizations, lambda _old, _lasting: None)
        for made in (facts(lane=Lane.USER), facts(organization_id=5), facts(), facts(workspace_id=7)):
            quota.window(made)
        assert set(organizations._waiting) == {7}

    def test_a_forgotten_account_is_told_nothing(self) -> None:
        told: list[object] = []
        organizations = Organizations()
        quota, other = (
            QuotaWindows(QuotaPolicy(), organizations, lambda old, _: told.append(old)) for _ in range(2)
        )
        quota.window(facts(workspace_id=7))
        quota.window(facts(organization_id=7))
        quota.window(facts(workspace_id=8))
        kept = other.window(facts(workspace_id=8))
        quota.forget()
        quota.forget()
        organizations.learn(7, 5)
        organizations.learn(8, 5)
        assert told == [kept]


def test_each_refusal_is_remembered_beside_the_other() -> None:
    memory = Memory()
    gone, lacking, fine = (httpx.Request("GET", f"https://toggl.test/{path}") for path in ("a", "b", "c"))
    for request, kind in ((gone, OutcomeKind.GONE), (lacking, OutcomeKind.FEATURE)):
        memory.note(kind, b"me", facts_of(request), request, message="no", request_id=None)
    found = [memory.recall(b"me", facts_of(request), request) for request in (gone, lacking, fine)]
    assert [(type(error), error and error.status) for error in found] == [
        (errors.EndpointGone, 410),
        (errors.FeatureUnavailable, 402),
        (type(None), None),
    ]
    assert memory.recall(b"you", facts_of(lacking), lacking) is None
    memory.forget()
    assert memory.recall(b"me", facts_of(gone), gone) is None
    assert memory.recall(b"me", facts_of(lacking), lacking) is None


def call(number: int, priority: Priority = Priority.NORMAL, *, deadline: float = math.inf) -> Call:
    request = httpx.Request("GET", "https://toggl.test/x")
    made = Call(number, facts(priority=priority), window=TestQueue.window, request=request, owner=None)
    made.deadline = deadline
    return made


class TestQueue:
    window = Window(("user", None), reserve=0)
    other = Window(("organization", 5), reserve=0)

    def drain(self, queue: Queue, *, shut: Window | None = None) -> list[int]:
        order = []
        while (chosen := queue.choose(0.0, lambda window: window is not shut)) is not None:
            queue.take(chosen, 0.0)
            order.append(chosen.number)
        return order

    def test_priorities_first_then_first_come_first_served(self) -> None:
        queue = Queue()
        for number, priority in enumerate([2, 1, 0, 2, 1, 0]):
            queue.push(call(number, Priority(priority)), self.window if number % 2 else self.other)
        assert queue.ahead(Priority.BULK, self.window) == 3
        assert queue.ahead(Priority.INTERACTIVE, self.window) == 1
        assert self.drain(queue) == [2, 5, 1, 4, 0, 3]
        assert len(queue) == 0
        assert queue.ahead(Priority.BULK, self.window) == 0

    def test_a_shut_window_holds_nobody_else_up(self) -> None:
        queue = Queue()
        for number in range(6):
            queue.push(call(number), self.window if number < 3 else self.other)
        assert self.drain(queue, shut=self.window) == [3, 4, 5]
        assert self.drain(queue) == [0, 1, 2]

    def test_who_comes_back_goes_to_the_head(self) -> None:
        queue = Queue()
        for number in (4, 5, 6, 2):
            queue.push(call(number), self.window)
        assert self.drain(queue) == [2, 4, 5, 6]

    def test_a_priority_that_got_nothing_for_long_gets_one_turn(self) -> None:
        queue = Queue()
        bulk, urgent = call(1, Priority.BULK), call(2, Priority.INTERACTIVE)
        queue.push(bulk, self.window)
        queue.push(call(3, Priority.BULK), self.window)
        queue.push(urgent, self.window)
        assert queue.choose(PATIENCE - 1, lambda _: True) is urgent
        assert queue.choose(PATIENCE, lambda _: True) is bulk
        queue.take(bulk, PATIENCE)
        assert queue.choose(PATIENCE + 1, lambda _: True) is urgent

    def test_marked_calls_are_swept_out(self) -> None:
        queue = Queue()
        calls = [call(number, deadline=9.0) for number in range(300)]
        for made in calls:
            queue.push(made, self.window)
        line = next(iter(queue.lines))
        assert line.limited == 300
        for made in calls[:299]:
            queue.discard(made)
            queue.discard(made)
        assert sum(map(len, line.heaps)) < 100
        assert line.limited == 1
        assert self.drain(queue) == [299]

    def test_sweeping_keeps_the_order(self) -> None:
        queue, source = Queue(), random.Random(1)
        calls = [call(number) for number in range(400)]
        source.shuffle(calls)
        for made in calls:
            queue.push(made, self.window)
        line = next(iter(queue.lines))
        leaving = source.sample(calls, 350)
        for made in leaving:
            queue.discard(made)
            assert line.dead == sum(map(len, line.heaps)) - len(queue)
        kept = sorted(made.number for made in calls if made not in leaving)
        assert self.drain(queue)[:40] == kept[:40]
        assert line.dead == sum(map(len, line.heaps))

    def test_lines_merge(self) -> None:
        queue = Queue()
        for number in range(6):
            queue.push(call(number), self.window if number % 2 else self.other)
        queue.merge(self.window, self.other)
        queue.merge(self.window, self.other)
        assert len(queue) == 6
        assert [made.number for line in queue.lines for made in line] == [0, 1, 2, 3, 4, 5]


def test_the_kinds_of_events_are_loaded_with_the_first() -> None:
    assert set(events.__all__) <= set(dir(events))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        getattr(events, "Nonsense")  # noqa: B009 - type checkers know that it isn't there


@pytest.mark.parametrize("priority", [7, "bulk"])
def test_a_priority_is_one_of_three(priority: object) -> None:
    with pytest.raises(errors.InvalidInput, match="priority must be a Priority"):
        RequestFacts(route="GET /x", lane=Lane.USER, reads=True, priority=cast("Priority", priority))


@pytest.mark.anyio
@pytest.mark.jump
async def test_a_request_that_leaves_late_delays_who_waits_for_the_next_turn() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(Pace())
    assert pacer.turn_at_once(loop.time())
    start = loop.time()
    waiting = asyncio.ensure_future(pacer.turn())
    await asyncio.sleep(0.5)
    await pacer.depart(1, loop.time())
    await waiting
    assert loop.time() - start == pytest.approx(0.5 + 1.02, abs=1e-5)
    pacer.ready = False
    await asyncio.sleep(5)
    start = loop.time()
    await pacer.turn()
    assert loop.time() - start < 1e-5
