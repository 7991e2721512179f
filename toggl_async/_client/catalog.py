"""The catalog of operations: everything that the client can call, as data.

Reading it loads every endpoint module and record, which takes about 0.3 s for the whole API. It is meant for
tools, tests and documentation, not for the path of a call.
"""

import functools
import importlib

from toggl_async._operations.operation import Operation
from toggl_async.errors import InvalidInput
from toggl_async.scopes import RESOURCE_MODULES

__all__ = ["operation", "operations"]


@functools.cache
def operations() -> tuple[Operation[object], ...]:
    """List every operation, in the order of their names."""
    found = [
        value
        for name in RESOURCE_MODULES
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, Operation)
    ]
    return tuple(sorted(found, key=lambda operation: operation.name))


def operation(name: str) -> Operation[object]:
    """Find an operation by its name, such as ``"workspace.projects.update"``.

    Raises:
        InvalidInput: there is no operation of this name.
    """
    try:
        return _by_name()[name]
    except KeyError:
        raise InvalidInput(f"there is no operation {name!r}") from None


@functools.cache
def _by_name() -> dict[str, Operation[object]]:
    return {operation.name: operation for operation in operations()}
