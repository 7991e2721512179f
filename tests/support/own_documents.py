"""Our own documents, read once in a process: the validator looks at them for seconds.

Files that import this stand in a group in conftest.py, so that parallel runs read them in one process.
"""

import functools
from pathlib import Path
from typing import Any

import yaml

from codegen.load import Specification, Violation, load
from codegen.model import LibraryPlan, OperationPlan
from codegen.plan import plan

FOLDER = Path(__file__).parents[2] / "codegen"


@functools.cache
def contents() -> dict[str, Any]:
    """Read the YAML alone, by its fast reader where PyYAML is built with one."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        path.name: yaml.load(path.read_text("utf-8"), Loader=loader)
        for path in sorted((FOLDER / "spec").glob("*.yaml"))
    }


@functools.cache
def source() -> Specification:
    """Read the documents."""
    return load(FOLDER)


@functools.cache
def plan_and_faults() -> tuple[LibraryPlan, tuple[Violation, ...]]:
    """Plan what is generated from the documents."""
    return plan(source())


@functools.cache
def operation_plans() -> dict[str, OperationPlan]:
    """Name the operations that are generated."""
    return {one.name: one for one in plan_and_faults()[0].operations}
