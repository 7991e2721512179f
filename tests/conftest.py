import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from support.clock import JUMP
from support.pairs import leave_to_slow_runs
from support.patience import patient
from support.results import Results

GROUPS = {
    "tests/codegen/test_directories.py": "documents",
    "tests/codegen/test_documents.py": "documents",
    "tests/codegen/test_emit_sandbox.py": "documents",
    "tests/codegen/test_load.py": "documents",
    "tests/codegen/test_paging.py": "documents",
    "tests/sandbox/test_testing_recipes.py": "recipes",
    "tests/test_all_operations.py": "operations",
    "tests/test_budgets.py": "budgets",
    "tests/test_generated.py": "documents",
}
"""Files whose tests share what takes seconds to make."""


class InGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Deals tests out to the processes of a parallel run one by one, but groups as a whole and first.

    It stands here because ``--dist loadgroup`` of pytest-xdist 3.8 groups nothing from pytest 9.2 on
    (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return GROUPS.get(nodeid.partition("::")[0], nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of the session `nightly`."""
    group = parser.getgroup("nightly")
    group.addoption("--examples", type=int, help="how many examples each property gets, new ones each time")
    group.addoption("--results", type=Path, help="file for what the tests measured, if all of them pass")


def pytest_configure(config: pytest.Config) -> None:
    """Set how properties are run; neither a busy machine nor chance may fail a change that is right.

    So the suite tries the same examples each time, and the session `nightly` looks for new ones.
    """
    told: int | None = config.option.examples
    examples = told or 50
    settings.register_profile(
        "toggl_async",
        deadline=None,
        derandomize=told is None,
        max_examples=examples,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("toggl_async")
    results: Path | None = config.option.results
    if results is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(results, examples))


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave all but some cases of the tests marked `sampled` to the sessions that run what is slow."""
    leave_to_slow_runs(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups:
    """Replace the scheduler of pytest-xdist."""
    return InGroups(config, log)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run asynchronous tests on a clock that no stall moves, those marked `jump` on one that jumps."""
    return JUMP if request.node.get_closest_marker("jump") else patient(1)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Bring nothing to the disk for good: a test's files need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        patch.setattr("toggl_async.export.mirror.sqlite._SYNCHRONOUS", "OFF")
        yield


@pytest.fixture(autouse=True)
def no_credentials_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep a developer's own token, proxies, budget and folder for state out of the tests."""
    monkeypatch.setenv("TOGGL_BUDGET", "none")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    for name in (
        "TOGGL_API_TOKEN",
        "TOGGL_EMAIL",
        "TOGGL_PASSWORD",
        "TOGGL_BASE_URL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
