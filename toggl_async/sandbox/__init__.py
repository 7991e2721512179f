"""A fake Toggl over real HTTP: stateful, seeded, and as strict about its limits as the real one.

::

    async with serve(SandboxOptions(speed=60)) as sandbox:
        …  # ask sandbox.base_url with sandbox.api_token
        assert sandbox.counts.refused[429] == 0

It needs the extra ``sandbox`` (starlette, uvicorn, jsonschema). To test a program that uses Toggl, use the
fixtures `toggl_sandbox` and `toggl_client` of `toggl_async.sandbox.pytest_plugin`.

Names are loaded on first use, because pytest imports this package wherever toggl_async is installed, with the
extra or without.
"""

import importlib
from typing import TYPE_CHECKING, Final

from toggl_async._extras import needed_by

if TYPE_CHECKING:
    from toggl_async.sandbox.clock import Clock
    from toggl_async.sandbox.company import DATASETS, Company
    from toggl_async.sandbox.counts import Counts, Spacing
    from toggl_async.sandbox.fast_loop import FastLoop, run
    from toggl_async.sandbox.faults import Fault
    from toggl_async.sandbox.living import Workday
    from toggl_async.sandbox.options import (
        FULL,
        SMALL,
        CompanySize,
        FaultPlan,
        PlanName,
        RoleName,
        SandboxOptions,
    )
    from toggl_async.sandbox.origin import origins
    from toggl_async.sandbox.sandbox import Sandbox
    from toggl_async.sandbox.server import run_forever, serve

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
    "clock": ("Clock",),
    "company": ("DATASETS", "Company"),
    "counts": ("Counts", "Spacing"),
    "fast_loop": ("FastLoop", "run"),
    "faults": ("Fault",),
    "living": ("Workday",),
    "options": ("FULL", "SMALL", "CompanySize", "FaultPlan", "PlanName", "RoleName", "SandboxOptions"),
    "origin": ("origins",),
    "sandbox": ("Sandbox",),
    "server": ("run_forever", "serve"),
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that it lives in."""
    for module, names in _MODULES.items():
        if name in names:
            with needed_by("the sandbox", "sandbox"):
                loaded = importlib.import_module(f"{__name__}.{module}")
            return getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
