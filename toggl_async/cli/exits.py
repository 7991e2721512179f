"""The exit codes of the command."""

import enum

__all__ = ["Exit"]


class Exit(enum.IntEnum):
    """How the command ended."""

    DONE = 0
    """Everything was done."""
    FAILED = 1
    """Something failed while it ran, or what was asked for could not be written to stdout."""
    REFUSED = 2
    """The input was wrong, or the first requests failed; nothing was written."""
    DIFFERS = 3
    """The export is there, but its seconds differ from Toggl's own totals."""
    INCOMPLETE = 4
    """The export is there without what Toggl refused, or what could not be read; the manifest names it."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """SIGTERM, for what would have come to an end by itself."""
