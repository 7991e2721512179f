"""The public surface cannot grow, shrink or lose its order by accident."""

import importlib

import pytest

import toggl_async
from toggl_async import errors

FIXED_BY_DESIGN = {
    "ApiToken", "ClientClosed", "ClientOptions", "Cooldown", "DecodeError", "EmailPassword", "EndpointGone",
    "FeatureUnavailable", "Pace", "Priority", "QuotaExceeded", "QuotaPolicy", "Retry", "ScheduledTransport",
    "Scheduler", "TogglClient", "UNSET", "capture_responses", "operations",
}  # fmt: skip


def test_every_public_name_exists_and_is_listed_once() -> None:
    assert set(toggl_async.__all__) == set(toggl_async._HOMES)
    assert set(toggl_async.__all__) <= set(dir(toggl_async))
    assert len(set(toggl_async.__all__)) == len(toggl_async.__all__)
    assert all(getattr(toggl_async, name) is not None for name in toggl_async.__all__)


def test_a_name_that_is_not_there_is_said_as_such() -> None:
    with pytest.raises(AttributeError, match="module 'toggl_async' has no attribute 'Client'"):
        _ = toggl_async.Client


def test_the_names_that_other_programs_are_written_against_are_there() -> None:
    assert set(toggl_async.__all__) >= FIXED_BY_DESIGN


def test_every_error_is_at_the_front() -> None:
    assert set(toggl_async.__all__) >= set(errors.__all__)


@pytest.mark.parametrize(
    "module", ["errors", "options", "auth", "catalog", "client", "operation", "pagination"]
)
def test_each_module_names_what_is_public(module: str) -> None:
    loaded = importlib.import_module(f"toggl_async.{module}")
    assert loaded.__all__ == sorted(
        loaded.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert all(hasattr(loaded, name) for name in loaded.__all__)
