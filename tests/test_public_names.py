"""The public surface cannot grow, shrink or lose its order by accident."""

import importlib
import importlib.metadata
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import toggl_async
from toggl_async import errors

ROOT = Path(__file__).parent.parent

MODULES = [
    "toggl_async",
    *(
        module.name
        for module in pkgutil.walk_packages(toggl_async.__path__, "toggl_async.")
        if not module.name.endswith("__main__")
    ),
]

FROZEN: dict[str, list[str]] = tomllib.loads((ROOT / "tests" / "public_names.toml").read_text("utf-8"))
"""The modules that programs import from, by what they promise."""

LOCKED = {"toggl_async.records"}
"""Their names are locked by codegen/names.toml."""

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


@pytest.mark.parametrize("module", MODULES)
def test_each_module_names_what_is_public_in_order(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__all__ == sorted(
        set(loaded.__all__), key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", FROZEN)
def test_what_programs_import_stays(module: str) -> None:
    assert importlib.import_module(module).__all__ == FROZEN[module]


def test_each_module_that_the_documents_name_is_frozen() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text("utf-8") for page in pages)
    programs = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    imported = set(re.findall(r"^ *from (toggl_async[\w.]*) import", programs, re.MULTILINE))
    assert imported <= {*FROZEN, *LOCKED}


def test_the_version_is_that_of_what_is_installed() -> None:
    assert toggl_async.__version__ == importlib.metadata.version("toggl_async")
