"""What `import toggl_async` loads; its cost in milliseconds is measured in benchmarks/imports.py."""

import json
import subprocess
import sys

LIST_MODULES = "import json, sys, toggl_async; print(json.dumps([*sys.modules]))"


def modules_after(code: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    modules: list[str] = json.loads(run.stdout)
    return modules


def test_importing_the_package_loads_nothing_else_of_it() -> None:
    assert [name for name in modules_after(LIST_MODULES) if name.startswith("toggl_async.")] == []


def test_the_client_loads_no_record_and_no_endpoint_module() -> None:
    modules = modules_after(LIST_MODULES.replace("toggl_async;", "toggl_async; toggl_async.TogglClient;"))
    generated = ("toggl_async.records.", "toggl_async.scopes.")
    assert "toggl_async.client" in modules
    assert [name for name in modules if name.startswith(generated)] == []


def test_importing_the_package_loads_nothing_of_the_extras() -> None:
    # click and rich are no proof: httpx loads them by itself where they are installed.
    extras = {"starlette", "uvicorn", "toggl_async.cli", "toggl_async.sandbox", "toggl_async.export"}
    code = LIST_MODULES.replace("toggl_async;", "toggl_async; toggl_async.TogglClient;")
    assert extras.isdisjoint(modules_after(code))
