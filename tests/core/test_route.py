"""What a request is, read off method and path."""

import math
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toggl_async.errors import InvalidInput
from toggl_async.options import Priority
from toggl_async.scheduler.core import route as routes
from toggl_async.scheduler.core.route import Lane, RequestFacts, facts_of, shown_path, window_of


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
    facts = facts_of(method, f"{path}?q=1".encode(), max_wait=5.0)
    assert facts == RequestFacts(
        route=f"{method} {route}",
        lane=lane,
        reads=reads,
        workspace_id=workspace_id,
        organization_id=organization_id,
        max_wait=5.0,
        streams=path.endswith(("/csv", ".zip")),
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
    raw_path = f"{path}?secret=1".encode()
    assert shown_path(facts_of("GET", raw_path).route if route is None else f"GET {route}", raw_path) == shown


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_max_wait_is_validated(value: float) -> None:
    with pytest.raises(InvalidInput, match="max_wait must be None or at least 0 s"):
        RequestFacts(route="GET /x", lane=Lane.USER, reads=True, max_wait=value)
    assert RequestFacts(route="GET /x", lane=Lane.USER, reads=True, max_wait=None).max_wait is None


@pytest.mark.parametrize("priority", [7, "bulk"])
def test_a_priority_is_one_of_three(priority: object) -> None:
    with pytest.raises(InvalidInput, match="priority must be a Priority"):
        RequestFacts(route="GET /x", lane=Lane.USER, reads=True, priority=cast("Priority", priority))


def test_a_code_that_validates_is_no_part_of_a_route() -> None:
    facts = facts_of("GET", b"/webhooks/api/v1/validate/7/abc/sesame")
    assert facts.route == "GET /webhooks/api/v1/validate/{workspace_id}/{id}/{id}"
    assert facts.workspace_id == 7


def test_a_request_spends_the_window_of_whom_it_asks() -> None:
    assert window_of(facts_of("GET", b"/api/v9/me"), {}) == "user"
    assert window_of(facts_of("GET", b"/api/v9/workspaces/7/tags"), {}) == "workspace:7"
    assert window_of(facts_of("GET", b"/api/v9/workspaces/7/tags"), {7: 5}) == "organization:5"
    assert window_of(facts_of("GET", b"/api/v9/organizations/5/workspaces/7/groups"), {}) == "organization:5"
    assert window_of(facts_of("POST", b"/reports/api/v3/shared/sesame"), {}) == "organization:0"


@given(st.text(max_size=5), st.binary(max_size=40))
def test_any_path_has_facts(method: str, raw_path: bytes) -> None:
    assert shown_path(facts_of(method, raw_path).route, raw_path) is not None


NUMBERS = st.one_of(st.integers(0, 10**19).map(str), st.sampled_from(["0", "007", "9" * 19, "1" * 20]))
WORDS = st.sampled_from(
    ["api", "v9", "me", "tags", "workspaces", "organizations", "reports", "webhooks", "12.csv"]
)
OTHERS = st.sampled_from(
    ["validate", "subscriptions", "shared", "sesame", "2024-01-01", "a1b2c3d4e5f6a7b8", "1,2", ""]
)
PATHS = st.lists(st.one_of(WORDS, OTHERS, NUMBERS), min_size=1, max_size=8).map("/".join)


@given(st.sampled_from(["GET", "POST", "DELETE"]), PATHS, NUMBERS, st.booleans())
def test_facts_do_not_depend_on_what_was_asked_before(
    method: str, path: str, number: str, begins: bool
) -> None:
    asked = f"{'/' if begins else ''}{path}?of={number}".encode()
    like_it = "/".join(number if piece.isdecimal() else piece for piece in path.split("/"))
    routes._outlines.clear()
    alone = facts_of(method, asked)
    routes._outlines.clear()
    facts_of(method, f"{'/' if begins else ''}{like_it}".encode())
    assert facts_of(method, asked) == alone


def test_nothing_is_kept_of_a_path_but_words_and_that_there_are_numbers() -> None:
    routes._outlines.clear()
    for path in (b"/api/v9/me/time_entries/17", b"/reports/api/v3/shared/sesame", b"/api/v9/invitations/abc"):
        facts_of("GET", path)
    assert list(routes._outlines) == [("GET", b"/api/v9/me/time_entries/", b"")]


def test_no_more_outlines_are_kept_than_a_program_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    routes._outlines.clear()
    monkeypatch.setattr(routes, "_MOST_OUTLINES", 2)
    for word in ("tags", "clients", "projects"):
        assert facts_of("GET", f"/api/v9/me/{word}".encode()).route == f"GET /api/v9/me/{word}"
    assert len(routes._outlines) == 2
