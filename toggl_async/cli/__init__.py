"""The `toggl-async` command. This module imports nothing beyond the standard library before it is
known that the extra ``cli`` is there; nothing in the library imports the command.
"""  # noqa: D205

import sys
from collections.abc import Sequence

from toggl_async.cli.interrupts import leaving_at_once

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; `toggl_async.cli.exits` lists the codes.

    Args:
        arguments: what follows the command's name; None for those of the process, which ends then.
    """
    with leaving_at_once(for_good=arguments is None):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    """Load the command and run it."""
    try:
        import click  # noqa: F401, PLC0415
        import rich  # noqa: F401, PLC0415
    except ModuleNotFoundError as missing:
        print(  # noqa: T201
            f"toggl-async: {missing.name} is not installed; the command needs the extra 'cli': "
            "python -m pip install 'toggl_async[cli]'",
            file=sys.stderr,
        )
        return 2
    from toggl_async.cli.app import run  # noqa: PLC0415

    return run(arguments)
