"""What `import toggl_async` loads; its cost in milliseconds is measured in benchmarks/imports.py."""

import json
import re
import subprocess
import sys
import types

import pytest

from toggl_async import export
from toggl_async._operations import paging as pagination
from toggl_async.scheduler import events

LIST_MODULES = "import json, sys, toggl_async; print(json.dumps([*sys.modules]))"


def modules_after(code: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(run.stdout)
    return modules


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("toggl_async;", []),
        ("toggl_async; toggl_async.__all__;", ["toggl_async.records", "toggl_async._lazy"]),
        ("toggl_async.cli;", ["toggl_async.cli.interrupts", "toggl_async.cli"]),
    ],
)
def test_importing_the_package_loads_nothing(then: str, expected: list[str]) -> None:
    modules = modules_after(LIST_MODULES.replace("toggl_async;", then))
    assert [name for name in modules if name.startswith("toggl_async.")] == expected


def test_a_record_of_the_front_door_loads_its_module_alone() -> None:
    code = LIST_MODULES.replace("toggl_async;", "toggl_async; toggl_async.Tag;")
    generated = ("toggl_async.records.", "toggl_async.scopes.")
    assert [name for name in modules_after(code) if name.startswith(generated)] == [
        "toggl_async.records.tags"
    ]


def test_the_client_loads_no_record_and_no_endpoint_module() -> None:
    modules = modules_after(LIST_MODULES.replace("toggl_async;", "toggl_async; toggl_async.TogglClient;"))
    generated = ("toggl_async.records.", "toggl_async.scopes.")
    assert "toggl_async._client.client" in modules
    assert [name for name in modules if name.startswith(generated)] == []


def test_what_few_need_is_loaded_with_the_first_need() -> None:
    code = LIST_MODULES.replace(
        "toggl_async;",
        "toggl_async; toggl_async.TogglClient(toggl_async.ApiToken('a' * 32));",
    )
    modules = modules_after(code)
    late = {"codec.tolerant", "_operations.paging.schemes", "scheduler.events.kinds"}
    assert {"cattrs", *(f"toggl_async.{name}" for name in late)}.isdisjoint(modules)


@pytest.mark.parametrize(
    ("front", "there", "late"),
    [(events, "SchedulerEvent", "Queued"), (pagination, "Paging", "PageNumber")],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_front_loads_what_is_late_with_the_first_that_is_asked_for(
    front: types.ModuleType, there: str, late: str
) -> None:
    home = getattr(front, late).__module__
    code = f"import {front.__name__} as front; front.{there}; assert {late!r} in dir(front);"
    assert home not in modules_after(f"{code} {LIST_MODULES}")
    assert home in modules_after(f"{code} front.{late}; {LIST_MODULES}")
    assert set(front.__all__) <= set(dir(front))
    assert all(getattr(front, name) is not None for name in front.__all__)
    with pytest.raises(AttributeError, match=f"'{re.escape(front.__name__)}' has no attribute 'Nobody'"):
        _ = front.Nobody


@pytest.mark.slow
def test_the_export_loads_its_own_record_with_the_first_that_asks() -> None:
    code = LIST_MODULES.replace("toggl_async;", "toggl_async.export as export; export.export_batches;")
    home = "toggl_async.export.mirror.tables"
    assert home not in modules_after(code)
    assert home in modules_after(code.replace("export_batches", "ExportedTimeEntry"))
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        _ = export.Nobody  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_of_the_extras() -> None:
    # click and rich are no proof: httpx loads them by itself where they are installed.
    extras = {
        "opentelemetry",
        "starlette",
        "uvicorn",
        "toggl_async.cli",
        "toggl_async.sandbox",
        "toggl_async.export",
    }
    code = LIST_MODULES.replace("toggl_async;", "toggl_async; toggl_async.TogglClient;")
    assert extras.isdisjoint(modules_after(code))
