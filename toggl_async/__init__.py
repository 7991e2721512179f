"""toggl_async: an asyncio client for the whole Toggl Track API, with a scheduler that keeps its limits.

Most programs import everything from here: the client, its options, its errors, and every record. A name is
loaded from its module on first use, and so is the table of names, `toggl_async._lazy`. So importing the
package costs nothing, and Ctrl-C works from the first line of the command on. Type checkers find the names in
``__init__.pyi``, which is generated from the table.
"""

import os

if _level := os.environ.get("TOGGL_LOG"):
    from toggl_async._logs import set_up

    set_up(_level)


def __getattr__(name: str) -> object:
    """Load a public name from its module, a public module, the names themselves, or the version."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - reading it takes milliseconds

        return version(__name__)
    from toggl_async._lazy import NAMES, load  # noqa: PLC0415 - see above

    found = list(NAMES) if name == "__all__" else load(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    from toggl_async._lazy import MODULES, NAMES  # noqa: PLC0415 - see above

    return sorted(globals().keys() | {*MODULES, *NAMES})
