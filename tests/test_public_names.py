"""The public surface cannot grow, shrink or lose its order by accident."""

import ast
import importlib
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import toggl_async
from toggl_async import _lazy, errors, records

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
"""The front door and the public modules: what they promise."""

LOCKED = {"toggl_async.records"}
"""Their names are locked by codegen/names.toml."""

FIXED_BY_DESIGN = {
    "ApiToken", "ClientClosed", "ClientOptions", "Cooldown", "DecodeError", "EmailPassword", "EndpointGone",
    "FeatureUnavailable", "Pace", "Priority", "QuotaExceeded", "QuotaPolicy", "Retry", "ScheduledTransport",
    "Scheduler", "TogglClient", "UNSET", "capture_responses", "operations",
}  # fmt: skip


def test_every_public_name_exists_and_is_listed_once() -> None:
    assert set(toggl_async.__all__) == set(_lazy.HOMES)
    assert set(toggl_async.__all__) <= set(dir(toggl_async))
    assert len(set(toggl_async.__all__)) == len(toggl_async.__all__)
    assert all(getattr(toggl_async, name) is not None for name in toggl_async.__all__)


def test_a_name_that_is_not_there_is_said_as_such() -> None:
    with pytest.raises(AttributeError, match="module 'toggl_async' has no attribute 'Nobody'"):
        _ = toggl_async.Nobody  # type: ignore[attr-defined]


def test_the_names_that_other_programs_are_written_against_are_there() -> None:
    assert set(toggl_async.__all__) >= FIXED_BY_DESIGN


def test_a_public_module_that_needs_no_extra_is_an_attribute() -> None:
    within = {module.split(".")[1] for module in FROZEN if module.count(".") == 1}
    assert {*_lazy.MODULES, "opentelemetry", "sandbox"} == within | {"records"}
    assert set(_lazy.MODULES) <= set(dir(toggl_async))
    code = "import toggl_async; [print(getattr(toggl_async, name).__name__) for name in {!r}]"
    run = subprocess.run(
        [sys.executable, "-c", code.format(_lazy.MODULES)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [f"toggl_async.{name}" for name in _lazy.MODULES]


def test_every_error_is_at_the_front() -> None:
    assert set(toggl_async.__all__) >= set(errors.__all__)


@pytest.mark.parametrize("name", records.__all__)
def test_every_record_is_at_the_front(name: str) -> None:
    assert getattr(toggl_async, name) is getattr(records, name)


def test_no_name_of_the_front_hides_a_record_or_a_module() -> None:
    names = [name for given in _lazy.FRONT.values() for name in given]
    assert len(set(names)) == len(names)
    assert set(names).isdisjoint(records.__all__)
    assert set(names).isdisjoint(module.name for module in pkgutil.iter_modules(toggl_async.__path__))


def test_the_stub_says_what_there_is() -> None:
    stub = ast.parse(Path(toggl_async.__file__).with_name("__init__.pyi").read_text("utf-8"))
    homes = {
        alias.name: node.module or ""
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = {name for name, home in homes.items() if home == "toggl_async"}
    assert modules == set(_lazy.MODULES)
    assert set(homes) - modules == set(_lazy.HOMES)
    for name, home in homes.items() - {(name, "toggl_async") for name in modules}:
        assert f"{home}.".startswith(f"{_lazy.HOMES[name]}.")


def test_a_public_module_has_no_underscore_and_a_private_one_is_not_promised() -> None:
    assert [module for module in FROZEN if "._" in module] == []


@pytest.mark.parametrize("module", MODULES)
def test_each_module_names_what_is_public_in_order(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__all__ == sorted(
        set(loaded.__all__), key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", FROZEN)
def test_what_programs_import_stays(module: str) -> None:
    public = importlib.import_module(module).__all__
    assert [name for name in public if module != "toggl_async" or name not in records.__all__] == FROZEN[
        module
    ]


def test_each_module_that_the_documents_name_is_frozen() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "".join(page.read_text("utf-8") for page in pages)
    programs = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    imported = set(re.findall(r"^ *from (toggl_async[\w.]*) import", programs, re.MULTILINE))
    assert imported <= {*FROZEN, *LOCKED}


def test_the_version_is_that_of_what_is_installed() -> None:
    assert toggl_async.__version__ == importlib.metadata.version("toggl_async")
