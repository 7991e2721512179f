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
    names = [name for name in vars(toggl_async) if not name.startswith("_") and name not in submodules()]
    assert sorted(toggl_async.__all__) == sorted(names)
    assert len(set(toggl_async.__all__)) == len(toggl_async.__all__)


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


def submodules() -> set[str]:
    """Modules that importing the package leaves in its namespace."""
    return {name for name, value in vars(toggl_async).items() if type(value).__name__ == "module"}
