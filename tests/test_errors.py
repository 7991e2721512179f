import copy
import datetime as dt
import inspect
import pickle
import re
from typing import Any

import pytest

from toggl_async import errors
from toggl_async.errors import BadRequest, ConnectionFailed, DecodeError, MaxWaitExceeded, TogglError
from toggl_async.records import BulkEditResult

RESET = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def test_the_tree_drawn_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r" {4}([│├└─ ]*)(\w+)", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth:] = [match[2]]
            drawn[match[2]] = parents[depth - 1] if depth else "Exception"
    actual = {
        name: next(base.__name__ for base in kind.__mro__[1:] if issubclass(base, Exception))
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception)
    }
    assert drawn == actual


def test_every_error_is_public() -> None:
    classes = {
        name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)
    }
    assert set(errors.__all__) == classes
    assert errors.__all__ == sorted(errors.__all__)


def test_a_response_error_shows_toggls_words_and_where_they_came_from() -> None:
    error = errors.NotFound(
        "Time entry not found", status=404, method="GET", path="/api/v9/me/time_entries/7", request_id="r-1"
    )
    assert str(error) == "Time entry not found (404 from GET /api/v9/me/time_entries/7, request id r-1)"
    assert (error.status, error.message, error.request_id) == (404, "Time entry not found", "r-1")


def test_an_error_from_memory_says_so() -> None:
    error = errors.EndpointGone("gone", status=410, method="GET", path="/x", from_memory=True)
    assert str(error) == "gone (410 from GET /x, from memory)"
    assert error.headers == {}


@pytest.mark.parametrize(("maybe_applied", "ending"), [(True, "; it may have been applied"), (False, "lost")])
def test_a_lost_request_says_whether_it_may_have_been_applied(maybe_applied: bool, ending: str) -> None:
    error = errors.ConnectionFailed("lost", method="POST", path="/x", maybe_applied=maybe_applied)
    assert str(error).endswith(ending)
    assert error.maybe_applied is maybe_applied


@pytest.mark.parametrize("maybe_applied", [True, False])
def test_a_server_error_says_whether_it_may_have_been_applied(maybe_applied: bool) -> None:
    error = errors.ServerError(
        "bad gateway", maybe_applied=maybe_applied, status=502, method="POST", path="/x"
    )
    assert ("it may have been applied" in str(error)) is maybe_applied
    assert error.message.startswith("bad gateway")


def test_quota_exceeded_knows_when_the_window_opens() -> None:
    error = errors.QuotaExceeded(
        "used up", reset_at=RESET, remaining=0, total=30, organization_id=5, method="GET", path="/x"
    )
    assert (error.status, error.reset_at, error.remaining, error.total, error.organization_id) == (
        402,
        RESET,
        0,
        30,
        5,
    )


def test_max_wait_exceeded_says_when_the_call_could_go() -> None:
    error = errors.MaxWaitExceeded(reason="cool-down", wait=180.2, max_wait=60, available_at=RESET)
    assert str(error) == (
        "the call would wait 180 s (cool-down), longer than max_wait=60 s; "
        "it could be sent at 2026-11-23 12:00:00 UTC"
    )


def test_a_timeout_is_also_pythons_own() -> None:
    assert issubclass(errors.RequestTimeout, TimeoutError)
    assert issubclass(errors.InvalidInput, ValueError)


def test_a_decode_error_names_operation_and_field() -> None:
    error = errors.DecodeError("no id", operation="workspace.projects.list", field="$[3].id", body=b"[]")
    assert str(error) == "workspace.projects.list: $[3].id: no id"
    assert (error.operation, error.field, error.body) == ("workspace.projects.list", "$[3].id", b"[]")


ANSWERED: dict[str, Any] = {
    "method": "GET",
    "path": "/x",
    "request_id": "r-1",
    "headers": {"a": "b"},
    "body": b"no",
}

BUILT: dict[str, dict[str, Any]] = {
    "NotInPlan": {"operation": "a.b", "fields": {"x": "starter"}, "needed": "starter", "plan": "free"},
    "MaxWaitExceeded": {"reason": "queue", "wait": 3.0, "max_wait": 2.0, "available_at": RESET},
    "BulkEditInterrupted": {"result": BulkEditResult(success=[1]), "failed": [2], "untouched": [3]},
    "DecodeError": {"operation": "a.b", "field": "$", "body": b"no"},
    "StaleDelivery": {"age": 3.0},
    "QuotaExceeded": {"reset_at": RESET, "remaining": 0, "total": 30, "organization_id": 5, **ANSWERED},
    "ServerError": {"maybe_applied": True, "status": 502, **ANSWERED},
}
SPOKEN = {"DecodeError", "StaleDelivery", "QuotaExceeded", "ServerError"}


def built(name: str) -> errors.TogglError:
    kind: type[errors.TogglError] = getattr(errors, name)
    facts = BUILT.get(name, {})
    if issubclass(kind, errors.ResponseError) and not facts:
        facts = {"status": 404, "from_memory": True, **ANSWERED}
    elif issubclass(kind, errors.RequestFailed):
        facts = {"method": "POST", "path": "/x", "maybe_applied": True}
    return kind(**facts) if name in BUILT and name not in SPOKEN else kind("no", **facts)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_can_be_pickled_and_copied(name: str) -> None:
    error = built(name)
    error.add_note("while testing")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_what_a_plan_lacks_is_said_for_each_field() -> None:
    error = errors.NotInPlan(
        operation="a.b",
        fields={"billable": "starter", "rate": "premium", "template": "premium"},
        needed="premium",
        plan="free",
    )
    assert str(error) == (
        "a.b: billable needs the Starter plan; rate, template need the Premium plan, "
        "but the plan here is Free"
    )
    assert error.fields == ("billable", "rate", "template")


def test_a_stop_does_not_stand_before_a_note() -> None:
    lost = errors.ConnectionFailed("no response.", method="POST", path="/a", maybe_applied=True)
    assert str(lost) == "POST /a: no response; it may have been applied"
    failed = errors.ServerError("Busy.", maybe_applied=True, status=500, method="POST", path="/a")
    assert failed.message == "Busy; it may have been applied"


@pytest.mark.parametrize(("wait", "told"), [(12.4, "12 s"), (1e8, "100000000 s"), (1e210, "1e+210 s")])
def test_a_wait_is_told_without_digits_by_the_hundred(wait: float, told: str) -> None:
    error = MaxWaitExceeded(
        reason="pace", wait=wait, max_wait=1.0, available_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    assert f"would wait {told} (pace)" in str(error)


HOSTILE = "\x1b]0;pwn\x07red\nWARNING root: forged\x85\u202e\u2028"


@pytest.mark.parametrize(
    "error",
    [
        BadRequest(HOSTILE, status=400, method="GET", path="/x", request_id=HOSTILE),
        ConnectionFailed(HOSTILE, method="GET", path="/x", maybe_applied=True),
        DecodeError(HOSTILE, operation="me.get", field=f"$.{HOSTILE}", body=b""),
    ],
)
def test_the_words_of_a_server_can_neither_forge_a_line_nor_paint_over_one(error: TogglError) -> None:
    assert str(error).isprintable()
    assert r"\x1b]0;pwn\x07red\nWARNING root: forged\x85\u202e" in str(error)
