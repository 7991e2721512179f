"""A fake Toggl over real HTTP: stateful, seeded, and as strict about its limits as the real one.

::

    async with serve(SandboxOptions(speed=60)) as sandbox:
        …  # ask sandbox.base_url with sandbox.api_token
        assert sandbox.counts.refused[429] == 0

It needs the extra ``sandbox`` (starlette, uvicorn, jsonschema). Programs that use Toggl can be tested
with it by the fixtures `toggl_sandbox` and `toggl_client`, of `toggl_async.sandbox.pytest_plugin`.

The names are loaded when they are first asked for: pytest imports this package wherever
toggl_async is installed, with the extra or without.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toggl_async.sandbox.clock import Clock as Clock
    from toggl_async.sandbox.company import DATASETS as DATASETS
    from toggl_async.sandbox.company import Company as Company
    from toggl_async.sandbox.counts import Counts as Counts
    from toggl_async.sandbox.counts import Spacing as Spacing
    from toggl_async.sandbox.fast_loop import FastLoop as FastLoop
    from toggl_async.sandbox.fast_loop import run as run
    from toggl_async.sandbox.faults import Fault as Fault
    from toggl_async.sandbox.living import Workday as Workday
    from toggl_async.sandbox.options import FULL as FULL
    from toggl_async.sandbox.options import SMALL as SMALL
    from toggl_async.sandbox.options import CompanySize as CompanySize
    from toggl_async.sandbox.options import FaultPlan as FaultPlan
    from toggl_async.sandbox.options import PlanName as PlanName
    from toggl_async.sandbox.options import RoleName as RoleName
    from toggl_async.sandbox.options import SandboxOptions as SandboxOptions
    from toggl_async.sandbox.origin import origins as origins
    from toggl_async.sandbox.sandbox import Sandbox as Sandbox
    from toggl_async.sandbox.server import run_forever as run_forever
    from toggl_async.sandbox.server import serve as serve

__all__ = [
    "DATASETS",
    "FULL",
    "SMALL",
    "Clock",
    "Company",
    "CompanySize",
    "Counts",
    "FastLoop",
    "Fault",
    "FaultPlan",
    "PlanName",
    "RoleName",
    "Sandbox",
    "SandboxOptions",
    "Spacing",
    "Workday",
    "origins",
    "run",
    "run_forever",
    "serve",
]

_MODULES: Final = {
    "DATASETS": "company",
    "FULL": "options",
    "SMALL": "options",
    "Clock": "clock",
    "Company": "company",
    "CompanySize": "options",
    "Counts": "counts",
    "FastLoop": "fast_loop",
    "Fault": "faults",
    "FaultPlan": "options",
    "PlanName": "options",
    "RoleName": "options",
    "Sandbox": "sandbox",
    "SandboxOptions": "options",
    "Spacing": "counts",
    "Workday": "living",
    "origins": "origin",
    "run": "fast_loop",
    "run_forever": "server",
    "serve": "server",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that it lives in."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
