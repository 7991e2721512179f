"""What answers each operation, by area: from state, where the sandbox keeps one."""

import importlib
import pkgutil
from typing import Final

from toggl_async.sandbox.call import Handler

__all__ = ["HANDLERS"]

HANDLERS: Final[dict[str, Handler]] = {
    route: handler
    for module in pkgutil.iter_modules(__path__)
    for route, handler in getattr(
        importlib.import_module(f"{__name__}.{module.name}"), "HANDLERS", {}
    ).items()
}
"""What answers from state, by method and path: the tables of all modules here."""
