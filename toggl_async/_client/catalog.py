"""The catalog of operations: everything that the client can call, as data.

Reading all of it loads every endpoint module and record (about 0.3 s for the whole API): meant for tools,
tests and documentation, not for the path of a call.
"""

import functools
import importlib
import itertools

from toggl_async._operations.operation import Operation
from toggl_async.errors import InvalidInput
from toggl_async.scopes import RESOURCE_MODULES

__all__ = ["operation", "operations"]

_SCOPES = "toggl_async.scopes."


@functools.cache
def operations() -> tuple[Operation[object], ...]:
    """List every operation, in the order of their names."""
    found = [value for module in RESOURCE_MODULES for value in _by_name(module).values()]
    return tuple(sorted(found, key=lambda operation: operation.name))


def operation(name: str) -> Operation[object]:
    """Find an operation by its name, such as ``"workspace.projects.update"``.

    The modules that are named like it are looked at first; no more are loaded than that takes.

    Raises:
        InvalidInput: there is no operation of this name.
    """
    parts = name.split(".")

    def shared(module: str) -> int:
        pairs = zip(module.removeprefix(_SCOPES).split("."), parts, strict=False)
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))

    for module in sorted(RESOURCE_MODULES, key=shared, reverse=True):
        found = _by_name(module).get(name)
        if found is not None:
            return found
    raise InvalidInput(f"there is no operation {name!r}")


@functools.cache
def _by_name(module: str) -> dict[str, Operation[object]]:
    """The operations of a module."""
    values = vars(importlib.import_module(module)).values()
    return {value.name: value for value in values if isinstance(value, Operation)}
