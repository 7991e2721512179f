"""toggl_async: an asyncio client for the whole Toggl Track API, with a scheduler that keeps its limits.

This is the front door, and all that most programs import from: the client, its options, its errors, and
every record. A name is loaded from its module when it is first asked for, so that importing the package
costs next to nothing. Which names there are stands in `toggl_async._lazy`, and for type checkers in
``__init__.pyi``, which is generated from it.
"""

import os

from toggl_async._lazy import NAMES, load

__all__ = list(NAMES)  # pyright: ignore[reportUnsupportedDunderAll] - it reads them in the stub

if _level := os.environ.get("TOGGL_LOG"):
    from toggl_async._logs import set_up

    set_up(_level)


def __getattr__(name: str) -> object:
    """Load a public name from its module, or the version from what is installed."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reading it takes milliseconds

        return version(__name__)
    found = load(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(globals().keys() | set(NAMES))
